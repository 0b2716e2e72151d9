"""Walks through the files of a platform that somebody may have written."""

from __future__ import annotations

import os
from collections.abc import Iterator

from saas_doctor.discovery import is_left_out
from saas_doctor.platform import Platform

_MOST = 50_000


def files(platform: Platform) -> Iterator[os.DirEntry[str]]:
    """The files below the root but caches, logs, and what is installed; hidden files are among them."""
    count = 0
    folders = [str(platform.root)]
    while folders and count < _MOST:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if not entry.is_dir(follow_symlinks=False):
                        count += 1
                        yield entry
                    elif not is_left_out(entry.path):
                        folders.append(entry.path)
        except OSError:
            continue
