"""The installers that developers call: how old they are, where something depends on it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from saas_doctor.facts import Fact
from saas_doctor.model import Place, Unreadable
from saas_doctor.platform import Platform
from saas_doctor.reading import read_bytes

_WANTED = re.compile(rb"""^required-version\s*=\s*["']([^"'\n]+)["']""", re.M)

_FILES = ("uv.toml", "pyproject.toml")


class Uv(Fact, frozen=True):
    """uv, and which of its versions the project demands (`required-version` in `[tool.uv]`).

    It is asked for its version only where one is demanded.
    """

    path: Path | None = None
    version: Version | None = None
    wanted: SpecifierSet | None = None
    place: Place | None = None

    @classmethod
    def read(cls, platform: Platform) -> Uv:
        backend = platform.config.backend
        names = [f"{folder}/{file}" for folder in (backend, ".") for file in _FILES]
        for file in dict.fromkeys(map(platform.path, names)):
            data = _bytes(file)
            found = _WANTED.search(data) if file.name == "uv.toml" or b"[tool.uv]" in data else None
            path = shutil.which("uv", path=platform.environ.get("PATH", ""))
            if found and path:
                try:
                    wanted = SpecifierSet(found[1].decode())
                except (InvalidSpecifier, UnicodeDecodeError):
                    continue  # uv itself says so
                line = data.count(b"\n", 0, found.start(1)) + 1
                place = Place(platform.relative(file), line)
                return cls(Path(path), _ask(path), wanted, place)
        return cls()


def _bytes(file: Path) -> bytes:
    try:
        return read_bytes(file)
    except OSError:
        return b""


def _ask(path: str) -> Version:
    try:
        done = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=2.5,
            text=True,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise Unreadable(f"{path} --version: {error}") from None
    found = re.search(r"\d+(\.\d+)+", done.stdout)
    if not found:
        raise Unreadable(f"{path} --version answered {done.stdout[:80]!r}")
    return Version(found.group())
