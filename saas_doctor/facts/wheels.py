"""For which Pythons and machines the platform's usual packages have wheels: a table shipped along.

`tests/testbed/wheels.py` makes it anew from the package index.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

TABLE = Path(__file__).with_name("wheels.json")


class Published(Struct, frozen=True):
    """What was published of one package.

    `runs`: the versions at which having a wheel begins, ends, begins again, ... for one Python on
    one machine. `pythons`: which Python is required, from a version on.
    """

    first: Version
    last: Version
    pythons: tuple[tuple[Version, str], ...]
    table: Mapping[str, Mapping[str, list[str]]]

    def requires_python(self, version: Version) -> SpecifierSet:
        text = next((text for v, text in reversed(self.pythons) if v <= version), "")
        return SpecifierSet(text)

    def for_python(self, python: Version) -> list[SpecifierSet]:
        """The ranges of versions that this Python may install."""
        bounds = [v for v, _ in self.pythons]
        ranges = zip(bounds, [*bounds[1:], None], strict=True)
        return [
            _range(low, high)
            for low, high in ranges
            if self.requires_python(low).contains(python, prereleases=True)
        ]

    def with_wheel(self, python: Version, machine: str) -> list[SpecifierSet] | None:
        """The ranges of versions that have a wheel; None where the table does not tell.

        Of versions newer than the table, one may have it, unless none ever had.
        """
        runs = self._runs(python, machine)
        if runs is None:
            return None
        found = [_range(*pair) for pair in zip(runs[::2], [*runs[1::2], None], strict=False)]
        if len(runs) % 2 == 0 and any(self.table[machine].values()):
            found.append(SpecifierSet(f">{self.last}"))
        return found

    @property
    def everything(self) -> SpecifierSet:
        return SpecifierSet(f">={self.first},<={self.last}")

    def next_with_wheel(self, version: Version, python: Version, machine: str) -> Version | None:
        """The first version above this one that has a wheel."""
        runs = self._runs(python, machine) or []
        return next((b for b in runs[::2] if b > version), None)

    def _runs(self, python: Version, machine: str) -> list[Version] | None:
        table = self.table.get(machine)
        if not table or python.major != 3:
            return None
        newest = max(map(int, table))
        # What had no wheel for the newest known Python has none for a newer one.
        texts = table.get(str(min(python.minor, newest)))
        return None if texts is None else [Version(text) for text in texts]


def _range(low: Version, high: Version | None) -> SpecifierSet:
    return SpecifierSet(f">={low}" + (f",<{high}" if high else ""))


@cache
def _table() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(TABLE.read_bytes())["packages"]
    return found


@cache
def published(name: str) -> Published | None:
    """What is known of a package; None for one that the table does not hold."""
    entry = _table().get(canonicalize_name(name))
    if entry is None:
        return None
    table = {m: runs for ms, runs in entry["wheels"].items() for m in ms.split()}
    first, last = map(Version, entry["versions"])
    return Published(first, last, tuple((Version(v), t) for v, t in entry["python"]), table)


@cache
def this_machine() -> str:
    """This machine as the table calls it: `linux-x86_64`."""
    systems = {"darwin": "macos", "win32": "windows", "linux": "linux"}
    system = systems.get(sys.platform, sys.platform)
    if system == "linux" and platform.libc_ver()[0] != "glibc":
        system = "musl"
    name = platform.machine().lower()
    name = {"amd64": "x86_64", "aarch64": "arm64"}.get(name, name)
    return f"{system}-{name}" if sys.maxsize > 2**32 else "another"
