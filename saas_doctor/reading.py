"""Reads the platform's files: regular ones alone, of a bounded size, without ever waiting.

A pipe, a socket or a device in the place of a file would keep a reader waiting for ever, and a file
without an end would take all memory. What is refused is an OSError, as is what can't be read.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

LARGEST = 8_000_000
"""Bytes: ten times as many as any file has that somebody wrote."""

_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def read_bytes(path: str | Path, limit: int = LARGEST) -> bytes:
    """The file's bytes; raises OSError for what is no regular file, and for one above the limit."""
    data = read_head(path, limit + 1)
    if len(data) > limit:
        size = f"{limit // 1_000_000} MB" if limit >= 1_000_000 else f"{limit} bytes"
        raise OSError(errno.EFBIG, f"larger than {size}", str(path))
    return data


def read_text(path: str | Path, limit: int = LARGEST) -> str:
    """The file as text, what is not UTF-8 replaced; as `Path.read_text` has it, lines end in `\\n`."""
    text = read_bytes(path, limit).decode("utf-8", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_head(path: str | Path, size: int) -> bytes:
    """The first bytes of a regular file; raises OSError for what is none."""
    try:
        _refuse(os.stat(path), path)  # to open a device may already do something
    except ValueError:  # a NUL in its name
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from None
    handle = os.open(path, _FLAGS)
    with open(handle, "rb", buffering=0) as file:
        status = os.fstat(handle)
        _refuse(status, path)  # it may be another by now
        if stat.S_ISCHR(status.st_mode):
            return b""
        found = bytearray()
        while len(found) < size:
            part = file.read(min(size - len(found), max(status.st_size + 1, 65_536)))
            if not part:
                break
            found += part
        return bytes(found)


def require_file(path: str | Path) -> None:
    """Raises OSError for what is there and no regular file: its writer would wait for a reader."""
    try:
        _refuse(os.stat(path), path)
    except FileNotFoundError:
        return


def _refuse(status: os.stat_result, path: str | Path) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    if stat.S_ISDIR(status.st_mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    # Linked to the null device, a file is empty: so somebody turns it off.
    if stat.S_ISCHR(status.st_mode) and os.path.samestat(status, os.stat(os.devnull)):
        return
    kind = next((name for test, name in _KINDS if test(status.st_mode)), "something else")
    raise OSError(errno.EINVAL, f"it is {kind}, not a file", str(path))
