"""The paths that the doctor's own configuration names, with the line that names each."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from saas_doctor import config as configuration
from saas_doctor.facts import Fact
from saas_doctor.model import Absent, DoctorError, Place, Unreadable
from saas_doctor.platform import Platform

_PATHS = ("backend", "compose-file", "env-example", "requirements", "source-roots")
_DEEP = 4


class NamedPath(Struct, frozen=True):
    """A path that a key of the configuration names; `near` is one that is there and like it."""

    key: str
    path: str
    exists: bool
    near: str
    place: Place


class ConfiguredPaths(Fact, frozen=True):
    """The paths that the configuration file itself names; none where it is found by looking."""

    named: tuple[NamedPath, ...]

    @classmethod
    def read(cls, platform: Platform) -> ConfiguredPaths:
        file = platform.config_file
        if file is None or not file.is_file():  # it may be a pipe, which is read by now
            raise Absent("no configuration file")
        try:
            table, _ = configuration.load(platform.root, file)
            text = file.read_text(encoding="utf-8")
        except (DoctorError, OSError, UnicodeDecodeError) as error:
            raise Unreadable(str(error)) from None
        name = platform.relative(file)
        return cls(tuple(_named(platform, key, path, text, name) for key, path in _paths(table)))


def _paths(table: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key in _PATHS:
        value = table.get(key)
        yield from ((key, v) for v in (value if isinstance(value, list) else [value]) if v)
    for name, service in table.get("services", {}).items():
        if "directory" in service:
            yield f"services.{name}.directory", service["directory"]
    if "directory" in table.get("frontend", {}):
        yield "frontend.directory", table["frontend"]["directory"]


def _named(platform: Platform, key: str, path: str, text: str, name: str) -> NamedPath:
    exists = platform.path(path).exists()
    written = re.search(rf"(?m)^[^#\n]*[\"']{re.escape(path)}[\"']", text)
    line = text.count("\n", 0, written.start()) + 1 if written else None
    return NamedPath(
        key, path, exists, "" if exists else _near(platform.root, path), Place(name, line)
    )


def _near(root: Path, path: str) -> str:
    """The path with the first part that is not there replaced by one that is there and like it."""
    folder = root
    parts = Path(path).parts
    for at, part in enumerate(parts[:_DEEP]):
        if (folder / part).exists():
            folder = folder / part
            continue
        try:
            inside = [entry.name for entry in folder.iterdir()]
        except OSError:
            return ""
        like = difflib.get_close_matches(part, inside, n=1)
        found = folder.joinpath(like[0], *parts[at + 1 :]) if like else None
        return found.relative_to(root).as_posix() if found and found.exists() else ""
    return ""
