"""What a fix can change of a copy: its files, its packages, and its part of the database server."""

from __future__ import annotations

import hashlib
import os
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from tests.testbed.platforms import template_environment

if TYPE_CHECKING:
    from tests.faults import Copy

_LEFT_OUT = {".saas-doctor", "__pycache__", ".pytest_cache"}


@dataclass(frozen=True)
class World:
    """A state that can be compared with a later one."""

    files: dict[str, str]
    server: tuple[str, ...]

    @classmethod
    def of(cls, copy: Copy) -> World:
        return cls(dict(_files(copy.root, copy.root)), tuple(_server(copy)))

    def differences(self, other: World) -> list[str]:
        names = sorted(self.files.keys() | other.files.keys())
        changed = [n for n in names if self.files.get(n) != other.files.get(n)]
        return changed + sorted(set(self.server) ^ set(other.server))


def _files(folder: Path, root: Path) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for entry in os.scandir(folder):
        if entry.name in _LEFT_OUT:
            continue
        name = entry.path[len(str(root)) + 1 :]
        if entry.is_symlink():
            found.append((name, f"-> {os.readlink(entry.path)}"))
        elif entry.is_dir():
            found.append((name, "folder"))
            found += _files(Path(entry.path), root)
        else:
            found.append((name, _state(entry)))
    return found


def _state(entry: os.DirEntry[str]) -> str:
    status = entry.stat()
    mode = f"{status.st_mode:o}"
    if "/.venv/" in entry.path:
        # Quickly, for there are many. No times: files are linked between copies, which share them.
        return f"{mode} {_checksum(entry.path, status)}"
    return f"{mode} {hashlib.sha256(Path(entry.path).read_bytes()).hexdigest()}"


def _checksum(path: str, status: os.stat_result) -> int:
    known = _template().get(_file(status)) if status.st_nlink > 1 else None
    return zlib.crc32(Path(path).read_bytes()) if known is None else known


@cache
def _template() -> dict[tuple[int, int, int, int], int]:
    """The checksums of the files that environments of copies are linked from, found once.

    Those stay while tests run, so that the number of none is given to another file.
    """
    places = (
        Path(folder, name) for folder, _, names in os.walk(template_environment()) for name in names
    )
    return {
        _file(path.stat()): zlib.crc32(path.read_bytes())
        for path in places
        if path.is_file() and not path.is_symlink()
    }


def _file(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _server(copy: Copy) -> list[str]:
    """Roles, databases, owners and rights that belong to the copy."""
    names = (copy.role, copy.database)
    try:
        copy.cluster.connected().close()
    except psycopg.OperationalError:
        return ["the server does not run"]
    state = [
        f"role {row}"
        for row in copy.cluster.sql(
            "SELECT rolname, rolcanlogin, rolsuper, rolpassword, rolvaliduntil::text FROM pg_authid "
            f"WHERE rolname IN ('{names[0]}', '{names[1]}')"
        )
    ]
    databases = copy.cluster.sql(
        "SELECT datname, pg_get_userbyid(datdba), datacl FROM pg_database "
        f"WHERE datname IN ('{names[0]}', '{names[1]}')"
    )
    state += [f"database {row}" for row in databases]
    for name, *_ in databases:
        rights = copy.cluster.sql(
            "SELECT nspname, pg_get_userbyid(nspowner), nspacl FROM pg_namespace "
            "WHERE nspname NOT LIKE 'pg\\_%'",
            database=str(name),
        )
        state += [f"schema {name} {row}" for row in rights]
    return state
