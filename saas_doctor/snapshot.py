"""Keeps a folder's former state by hard links, and brings it back exactly."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

_CACHE = "__pycache__"


def take(folder: Path, kept: Path) -> None:
    """Clone the tree. Files are linked, not copied: installers replace files, they don't rewrite them.

    Where links can't be made (another file system) files are copied. Byte-code caches are left out.
    """
    kept.mkdir()
    for entry in os.scandir(folder):
        target = kept / entry.name
        if entry.is_symlink():
            target.symlink_to(os.readlink(entry.path))
        elif entry.is_dir():
            if entry.name != _CACHE:
                take(Path(entry.path), target)
        else:
            _link(Path(entry.path), target)
    shutil.copystat(folder, kept)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


_OWN = {_CACHE, ".lock"}
"""What running and installing leave behind by themselves."""


def listing(folder: Path, prefix: str = "") -> dict[str, list[int]]:
    """Size and time of every file of a tree, byte-code caches left out: what tells a later change."""
    found: dict[str, list[int]] = {}
    for entry in os.scandir(folder):
        name = prefix + entry.name
        if entry.name in _OWN:
            continue
        if entry.is_dir(follow_symlinks=False):
            found |= listing(Path(entry.path), f"{name}/")
        else:
            status = entry.stat(follow_symlinks=False)
            found[name] = [status.st_size, status.st_mtime_ns]
    return found


def restore(kept: Path, folder: Path) -> None:
    """Make the folder the same as what was kept; what is the same already is not touched.

    May be repeated after an interruption: what was kept stays as it is.
    """
    folder.mkdir(exist_ok=True)
    wanted = {entry.name: entry for entry in os.scandir(kept)}
    for entry in list(os.scandir(folder)):
        if entry.name not in wanted and entry.name != _CACHE:
            _remove(Path(entry.path))
    for name, entry in wanted.items():
        live = folder / name
        if entry.is_symlink():
            _restore_link(os.readlink(entry.path), live)
        elif entry.is_dir():
            if live.is_symlink() or (live.exists() and not live.is_dir()):
                _remove(live)
            restore(Path(entry.path), live)
        elif not _same(entry, live):
            _put(Path(entry.path), live)
    with contextlib.suppress(OSError):
        shutil.copystat(kept, folder)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _restore_link(text: str, live: Path) -> None:
    if not (live.is_symlink() and os.readlink(live) == text):
        _remove(live)
        live.symlink_to(text)


def _same(entry: os.DirEntry[str], live: Path) -> bool:
    try:
        now = os.lstat(live)
    except OSError:
        return False
    was = entry.stat(follow_symlinks=False)
    if os.path.samestat(was, now):
        return True
    return (was.st_size, was.st_mtime_ns, was.st_mode) == (
        now.st_size,
        now.st_mtime_ns,
        now.st_mode,
    )


def _put(source: Path, live: Path) -> None:
    if live.is_dir() and not live.is_symlink():
        shutil.rmtree(live)
    temporary = live.with_name(f".saas-doctor-tmp-{live.name}")
    temporary.unlink(missing_ok=True)
    _link(source, temporary)
    os.replace(temporary, live)
    # Replacing a link of the same file leaves the temporary name behind.
    temporary.unlink(missing_ok=True)
