"""The configuration files of this machine that are mounted into a container."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from saas_doctor.compose.model import Service

_MAXIMUM = 200_000


def configurations(service: Service) -> Iterator[bytes]:
    """The texts of the files that are mounted one by one, or as a folder below `/etc`."""
    for mount in service.volumes:
        if mount.path is None:
            continue
        found = [mount.path]
        if mount.path.is_dir():
            found = _inside(mount.path) if mount.target.startswith("/etc") else []
        for path in found:
            if (text := _read(path)) is not None:
                yield text


def _inside(folder: Path) -> list[Path]:
    try:
        return sorted(Path(entry.path) for entry in os.scandir(folder))
    except OSError:
        return []


def _read(path: Path) -> bytes | None:
    try:
        if path.is_file() and path.stat().st_size <= _MAXIMUM:
            return path.read_bytes()
    except OSError:
        pass
    return None
