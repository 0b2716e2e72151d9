"""Reads the platform's files: regular ones alone, of a bounded size, without ever waiting.

A pipe, a socket or a device in the place of a file would keep a reader waiting for ever, and a file
without an end would take all memory. What is refused is an OSError, as is what can't be read.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LARGEST = 8_000_000
"""Bytes: ten times as many as any file has that somebody wrote."""

READ = "saas_doctor.read"
"""The event that tells of a file that is to be read."""

_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


_before: Callable[[str], bytes | None] | None = None


@contextmanager
def reading_before(before: Callable[[str], bytes | None]) -> Iterator[None]:
    """Meanwhile, read what `before` gives for a file in place of it; None for the file itself.

    For one thread alone, and before others begin to read.
    """
    global _before
    _before = before
    try:
        yield
    finally:
        _before = None


def tell(path: str | Path) -> None:
    """Tell whoever traces what is read of a file: here, or by a program that is asked."""
    sys.audit(READ, str(path))


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
    tell(path)  # also of one that is not there
    before = _before(str(path)) if _before else None
    if before is not None:
        return before[:size]
    try:
        _refuse(os.stat(path), path)  # to open a device may already do something
    except ValueError:  # a NUL in its name
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from None
    handle = os.open(path, _FLAGS)
    try:
        status = os.fstat(handle)
        _refuse(status, path)  # it may be another by now
        if stat.S_ISCHR(status.st_mode):
            return b""
        found = b""
        while len(found) < size:
            # One byte more than it has: where that does not come, nothing will. Some tell no size.
            wanted = status.st_size + 1 if status.st_size else 65_536
            part = os.read(handle, min(size - len(found), wanted))
            found += part
            if not part or len(found) == status.st_size:
                break
        return found
    finally:
        os.close(handle)


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
