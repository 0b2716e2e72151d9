"""The lock file beside a pyproject.toml: the exact versions that the platform is meant to run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from saas_doctor.reading import read_bytes

# How each tool asks for another version (it locks and installs it), and installs what is locked.
TOOLS = {
    "uv.lock": ("uv add", "uv sync"),
    "poetry.lock": ("poetry add", "poetry install"),
    "pdm.lock": ("pdm add", "pdm install"),
}
# A parser takes a tenth of a second for what every one of these tools writes alike.
_PACKAGE = re.compile(
    rb'^\[\[package\]\]\r?\nname = "([^"\n]+)"\r?\nversion = "([^"\n]+)"(.*)', re.M
)

_LARGEST = 50_000_000
"""Bytes: a lock names every file of every package."""


class Lock(Struct, frozen=True):
    """One lock file; `versions` has several for a package that is locked anew for each marker."""

    path: Path
    name: str
    versions: Mapping[str, tuple[Version, ...]]
    lines: Mapping[str, int]

    def version(self, package: str) -> Version | None:
        """The one version that is locked, None where there are several or none."""
        found = self.versions.get(canonicalize_name(package), ())
        return found[0] if len(found) == 1 else None

    @property
    def constraints(self) -> list[str]:
        """The locked versions as constraints for an installer."""
        return [f"{name}=={found[0]}" for name, found in self.versions.items() if len(found) == 1]

    @property
    def add(self) -> str:
        return TOOLS[self.path.name][0]

    @property
    def sync(self) -> str:
        return TOOLS[self.path.name][1]


def read(path: Path, name: str) -> Lock:
    """What a lock file holds; raises OSError."""
    data = read_bytes(path, _LARGEST)
    versions: dict[str, tuple[Version, ...]] = {}
    lines: dict[str, int] = {}
    line, at = 1, 0
    for found in _PACKAGE.finditer(data):
        try:
            package = canonicalize_name(found[1].decode())
            version = Version(found[2].decode())
        except (InvalidVersion, UnicodeDecodeError):
            continue
        line, at = line + data.count(b"\n", at, found.start(2)), found.start(2)
        lines.setdefault(package, line)
        versions[package] = (*versions.get(package, ()), version)
    return Lock(path, name, versions, lines)


def beside(folder: Path, root: Path) -> Path | None:
    """The lock of the project in a folder; a workspace has one at its root."""
    for where in dict.fromkeys((folder, root)):
        for name in TOOLS:
            if (where / name).is_file():
                return where / name
    return None
