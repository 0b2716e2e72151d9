"""The packages in the platform's environment, read from their metadata."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

from msgspec import Struct
from packaging.markers import default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from saas_doctor.facts import Fact
from saas_doctor.facts.interpreter import Interpreter
from saas_doctor.model import Unreadable
from saas_doctor.platform import Platform
from saas_doctor.reading import read_bytes, read_text
from saas_doctor.syntax import parse_requirement

_FOR_EXTRA = re.compile(r"\bextra\s*==")


class Package(Struct, frozen=True, dict=True):
    """One installed distribution; `name` is normalised as PEP 503 says."""

    name: str
    version: Version
    folder: Path

    @cached_property
    def _head(self) -> str:
        return _head(self.folder)

    @cached_property
    def requires(self) -> list[Requirement]:
        """What its metadata requires, the extras' requirements included (with their markers)."""
        return [*_parsed(_values(self._head, "Requires-Dist"))]

    @cached_property
    def always(self) -> list[Requirement]:
        """What it requires without any extra."""
        if "requires" in self.__dict__:
            return [r for r in self.requires if not _FOR_EXTRA.search(str(r.marker or ""))]
        lines = _values(self._head, "Requires-Dist")
        return [*_parsed(line for line in lines if not _FOR_EXTRA.search(line))]

    @property
    def extras(self) -> set[str]:
        """The extras that it says it has."""
        return {canonicalize_name(extra) for extra in _values(self._head, "Provides-Extra")}

    @property
    def requires_python(self) -> str:
        return next(iter(_values(self._head, "Requires-Python")), "")

    @cached_property
    def _record(self) -> str:
        return "\n" + (_text(self.folder / "RECORD") or _text(self.folder / "SOURCES.txt"))

    def provides(self, module: str) -> bool:
        """Whether the top-level module comes from this distribution."""
        return f"\n{module}/" in self._record or f"\n{module}.py," in self._record

    def owns(self, file: str) -> bool:
        """Whether the file, as it is now, is the one that this distribution brought."""
        said = re.search(rf"\n{re.escape(file)},sha256=([^,\n]+),", self._record)
        try:
            data = read_bytes(self.folder.parent / file)
        except OSError:
            return False
        there = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=")
        return said is not None and said[1].encode() == there


def _parsed(lines: Iterator[str] | list[str]) -> Iterator[Requirement]:
    for text in lines:
        try:
            yield parse_requirement(text)
        except InvalidRequirement:
            continue  # an old package's own mistake, which pip passes over too


def _text(path: Path) -> str:
    try:
        return read_text(path)
    except OSError:
        return ""


def _head(folder: Path) -> str:
    """The headers of a package's metadata; they end at the first blank line.

    importlib.metadata would do it too, and loads an e-mail parser for it: longer than a check.
    """
    for path in (folder / "METADATA", folder / "PKG-INFO", folder):
        try:
            with path.open("rb", buffering=0) as file:
                head = b""
                while chunk := file.read(8192):  # the description after them is far longer
                    head += chunk
                    if b"\n\n" in chunk or b"\n\n" in head[-8200:]:
                        break
        except OSError:
            continue
        return head.replace(b"\r\n", b"\n").partition(b"\n\n")[0].decode("utf-8", "replace")
    return ""


def _values(head: str, field: str) -> list[str]:
    """The values of one field of the headers."""
    return [line.strip() for line in re.findall(rf"^{field}:(.*)", head, re.M)]


class Installed(Fact, frozen=True):
    """The packages in the platform's environment, read from their metadata; nothing is imported."""

    folder: Path
    name: str
    packages: Mapping[str, Package]
    markers: Mapping[str, str]

    @classmethod
    def read(cls, platform: Platform, interpreter: Interpreter) -> Installed:
        folder = interpreter.site_packages
        try:
            found = [p for site in _sites(interpreter) for p in _packages(site)]
        except OSError as error:
            raise Unreadable(f"{folder}: can't be read ({error.strerror})") from None
        assert interpreter.version
        return cls(
            folder,
            platform.relative(folder),
            {p.name: p for p in reversed(found)},  # the environment's own come first and win
            markers(interpreter.version),
        )

    def get(self, name: str) -> Package | None:
        return self.packages.get(canonicalize_name(name))

    def provider(self, module: str) -> Package | None:
        """The distribution that a top-level module comes from (`passlib`: passlib or libpass).

        Where several bring it, it is the one whose files are there: the one installed last.
        """
        likely, file = self.get(module), f"{module}/__init__.py"
        if not ((self.folder / module).exists() or (self.folder / f"{module}.py").exists()):
            return likely  # nowhere, or the system's; reading every package's list takes long
        if likely and likely.provides(module) and likely.owns(file):
            return likely
        found = [p for p in self.packages.values() if p.provides(module)]
        return next((p for p in found if p.owns(file)), next(iter(found), likely))

    def applies(self, requirement: Requirement, extra: str = "") -> bool:
        """Whether the requirement's marker holds for the platform's interpreter."""
        if requirement.marker is None:
            return True
        return requirement.marker.evaluate({**self.markers, "extra": extra})

    def meets(self, requirement: Requirement) -> bool:
        """Whether what is installed is what the requirement allows; a pre-release was meant."""
        package = self.get(requirement.name)
        return package is not None and requirement.specifier.contains(
            package.version, prereleases=True
        )

    def where(self, package: Package) -> str:
        return f"{self.name}/{package.folder.name}"


def _sites(interpreter: Interpreter) -> Iterator[Path]:
    """The folders of its packages, as it finds them: its own, then the system's where it sees them."""
    own = interpreter.site_packages
    others: list[Path] = []
    if interpreter.sees_system and interpreter.python is not None:
        ask = "import site; print(*site.getsitepackages(), sep='\\n')"
        try:
            done = subprocess.run(
                [str(interpreter.python), "-I", "-c", ask],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=2.5,
                text=True,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise Unreadable(
                f"{interpreter.name}: its packages can't be asked for ({error})"
            ) from None
        others = [Path(line) for line in done.stdout.splitlines()]
    for site in [own, *(path for path in others if path != own and path.is_dir())]:
        yield site
        for path in sorted(site.glob("*.pth")):  # folders that are searched as well
            for line in _text(path).splitlines():
                if not line.startswith(("import ", "import\t", "#")) and line.strip():
                    folder = site / line.strip()
                    if folder.is_dir() and folder != site:
                        yield folder


def _packages(site: Path) -> Iterator[Package]:
    for folder in sorted(site.iterdir()):
        if folder.suffix not in (".dist-info", ".egg-info"):
            continue
        # The folder's name tells name and version; opening each METADATA costs ten times as much.
        name, _, text = folder.name.rpartition(".")[0].partition("-")
        version = _version(text) if folder.suffix == ".dist-info" else None
        if version is None:
            head = _head(folder)
            version = _version(next(iter(_values(head, "Version")), ""))
            name = next(iter(_values(head, "Name")), name)
        if version is not None:
            yield Package(canonicalize_name(name), version, folder)


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def markers(version: Version) -> dict[str, str]:
    """The marker values of the platform's interpreter on this machine."""
    return {
        **{key: str(value) for key, value in default_environment().items()},
        "python_version": f"{version.major}.{version.minor}",
        "python_full_version": str(version),
        "implementation_version": str(version),
    }
