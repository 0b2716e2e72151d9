"""The platform's packages: what is installed, and what its requirements ask for, with places."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from saas_doctor.actions import Conflict
from saas_doctor.actions.files import EditFile
from saas_doctor.edits import Edit, newline_of
from saas_doctor.facts import Fact
from saas_doctor.facts.interpreter import Interpreter
from saas_doctor.model import Absent, Place, Unreadable
from saas_doctor.platform import Platform
from saas_doctor.syntax import parse_requirement


@dataclass(frozen=True)
class Package:
    """One installed distribution; `name` is normalised as PEP 503 says."""

    name: str
    version: Version
    folder: Path

    @property
    def requires(self) -> list[Requirement]:
        """What its metadata requires, the extras' requirements included (with their markers)."""
        found = []
        for text in _header(self.folder, "Requires-Dist"):
            try:
                found.append(parse_requirement(text))
            except InvalidRequirement:
                continue  # an old package's own mistake, which pip passes over too
        return found

    def provides(self, module: str) -> bool:
        """Whether the top-level module comes from this distribution."""
        record = _text(self.folder / "RECORD") or _text(self.folder / "SOURCES.txt")
        return f"\n{module}/" in f"\n{record}" or f"\n{module}.py," in f"\n{record}"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _header(folder: Path, name: str) -> list[str]:
    """The values of one field of a package's metadata; the headers end at the first blank line.

    importlib.metadata would do it too, and loads an e-mail parser for it: longer than a check.
    """
    text = _text(folder / "METADATA") or _text(folder / "PKG-INFO")
    lines = text.partition("\n\n")[0].splitlines()
    return [line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:")]


@dataclass(frozen=True)
class Installed(Fact):
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
            _markers(interpreter.version),
        )

    def get(self, name: str) -> Package | None:
        return self.packages.get(canonicalize_name(name))

    def provider(self, module: str) -> Package | None:
        """The distribution that a top-level module comes from (`passlib`: passlib or libpass)."""
        likely = self.get(module)
        if likely and likely.provides(module):
            return likely
        return next((p for p in self.packages.values() if p.provides(module)), likely)

    def applies(self, requirement: Requirement, extra: str = "") -> bool:
        """Whether the requirement's marker holds for the platform's interpreter."""
        if requirement.marker is None:
            return True
        return requirement.marker.evaluate({**self.markers, "extra": extra})

    def where(self, package: Package) -> str:
        return f"{self.name}/{package.folder.name}"


def _sites(interpreter: Interpreter) -> list[Path]:
    """The folders of its packages, as it finds them: its own, then the system's where it sees them."""
    own = interpreter.site_packages
    if not interpreter.sees_system or interpreter.python is None:
        return [own]
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
        raise Unreadable(f"{interpreter.name}: its packages can't be asked for ({error})") from None
    others = [Path(line) for line in done.stdout.splitlines()]
    return [own, *(path for path in others if path != own and path.is_dir())]


def _packages(site: Path) -> Iterator[Package]:
    for folder in sorted(site.iterdir()):
        if folder.suffix not in (".dist-info", ".egg-info"):
            continue
        # The folder's name tells name and version; opening each METADATA costs ten times as much.
        name, _, version = folder.name.rpartition(".")[0].partition("-")
        if folder.suffix == ".egg-info":
            version = (_header(folder, "Version") or [""])[0]
        try:
            yield Package(canonicalize_name(name), Version(version), folder)
        except InvalidVersion:
            continue


def _markers(version: Version) -> dict[str, str]:
    """The marker values of the platform's interpreter on this machine."""
    return {
        **{key: str(value) for key, value in default_environment().items()},
        "python_version": f"{version.major}.{version.minor}",
        "python_full_version": str(version),
        "implementation_version": str(version),
    }


@dataclass(frozen=True)
class RequirementLine:
    """One requirement in a file: where its text stands (byte offsets) and what it says."""

    requirement: Requirement
    path: Path
    place: Place
    start: int
    end: int
    hashed: bool = False

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)


@dataclass(frozen=True)
class Requirements(Fact):
    """The platform's requirement files, read as pip reads them, with every line's place.

    There may be none.
    """

    files: Mapping[Path, bytes]
    names: Mapping[Path, str]
    lines: tuple[RequirementLine, ...]
    bad: tuple[tuple[Place, str], ...] = ()
    partial: str = ""

    @classmethod
    def read(cls, platform: Platform) -> Requirements:
        files: dict[Path, bytes] = {}
        lines: list[RequirementLine] = []
        bad: list[tuple[Place, str]] = []
        queue = [platform.path(name) for name in platform.config.requirements]
        queue = [path for path in queue if path.exists()]
        while queue:
            path = queue.pop(0)
            if path in files:
                continue
            files[path] = _bytes(path, platform)
            for found in _parse(files[path], path, platform.relative(path)):
                if isinstance(found, RequirementLine):
                    lines.append(found)
                elif isinstance(found, Path):
                    queue.append(found)
                else:
                    bad.append(found)
        names_of = {path: platform.relative(path) for path in files}
        return cls(files, names_of, tuple(lines), tuple(bad), _not_read(platform, files, bad))

    def find(self, name: str) -> RequirementLine | None:
        """The line that asks for it: one without a marker counts before one for other cases."""
        wanted = canonicalize_name(name)
        found = [line for line in self.lines if line.name == wanted]
        return min(found, key=lambda line: line.requirement.marker is not None, default=None)

    def place(self, name: str) -> Place | None:
        line = self.find(name)
        return line.place if line else None

    def pin(self, name: str, specifier: str) -> EditFile:
        """The edit that gives a requirement this specifier, or adds it to the first file.

        Extras, marker, comment and spelling of the name stay as they are.
        """
        line = self.find(name)
        if line is None:
            return self.add(f"{name}{specifier}")
        if line.hashed:
            # Another version has other hashes, which only the tool that made the file knows.
            raise Conflict(
                f"{line.place} is pinned by hash; make the file anew with {name}{specifier}"
            )
        data = self.files[line.path]
        text = data[line.start : line.end].decode()
        # After the name and its extras, up to a marker: the versions.
        head = re.match(r"\s*[A-Za-z0-9._-]+(\s*\[[^\]]*\])?", text)
        assert head
        tail = text.find(";") if ";" in text else len(text.rstrip())
        begin, end = head.end(), max(head.end(), len(text[:tail].rstrip()))
        offset = line.start
        edit = Edit(
            offset + len(text[:begin].encode()),
            offset + len(text[:end].encode()),
            specifier.encode(),
        )
        return self._edit(line.path, edit, f"{name}{specifier}")

    def add(self, text: str) -> EditFile:
        """The edit that adds a requirement at the end of the first file."""
        path = next(iter(self.files), None)
        if path is None:
            raise Absent(f"no requirements file to add {text} to")
        data = self.files[path]
        newline = newline_of(data)
        gap = b"" if not data or data.endswith(b"\n") else newline
        return self._edit(path, Edit(len(data), len(data), gap + text.encode() + newline), text)

    def _edit(self, path: Path, edit: Edit, why: str) -> EditFile:
        return EditFile(path, self.names[path], self.files[path], (edit,), (why,))


def _not_read(platform: Platform, files: Mapping[Path, bytes], bad: list[tuple[Place, str]]) -> str:
    """What of the requirements could not be read, in words."""
    if bad:
        return f"{bad[0][0]}: not a requirement ({bad[0][1]})"
    project = platform.path(platform.config.backend) / "pyproject.toml"
    if not files and project.is_file() and b"dependencies" in _bytes(project, platform):
        return f"{platform.relative(project)}: its dependencies are not examined yet"
    return ""


def _bytes(path: Path, platform: Platform) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Unreadable(f"{platform.relative(path)}: can't be read ({error.strerror})") from None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Unreadable(f"{platform.relative(path)}: UTF-16, not UTF-8 text")
    return data


def _parse(
    data: bytes, path: Path, name: str
) -> Iterator[RequirementLine | Path | tuple[Place, str]]:
    """The requirements of one file, the files it includes, and the lines that say nothing."""
    for number, start, raw in _logical_lines(data):
        text = _strip_comment(raw.decode("utf-8", "replace").removeprefix("\ufeff"))
        text, hashes, _ = re.sub(r"\\\r?\n", lambda end: " " * len(end.group()), text).partition(
            " --hash"
        )
        stripped = text.strip()
        if not stripped:
            continue
        include = re.match(r"(?:-r|--requirement)[\s=]*(\S+)", stripped)
        if include:
            yield path.parent / include.group(1)
            continue
        if stripped.startswith("-") or re.match(r"[a-z+]+://|\.{0,2}/", stripped):
            continue  # an option, a path or an address: pip's own business
        begin = start + len(raw[: len(raw) - len(raw.lstrip(b" \t\xef\xbb\xbf"))])
        try:
            requirement = parse_requirement(stripped)
        except InvalidRequirement as error:
            yield Place(name, number), str(error).splitlines()[0]
            continue
        end = begin + len(stripped.encode())
        yield RequirementLine(requirement, path, Place(name, number), begin, end, bool(hashes))


def _strip_comment(text: str) -> str:
    return re.sub(r"(^|\s)#.*", "", text)


def _logical_lines(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Lines joined over trailing backslashes: line number, byte offset, text."""
    start = number = 0
    held: tuple[int, int, bytes] | None = None
    for raw in data.splitlines(keepends=True):
        number += 1
        first, at, text = held or (number, start, b"")
        text += raw
        start += len(raw)
        if raw.rstrip(b"\r\n").endswith(b"\\"):
            held = (first, at, text)
            continue
        held = None
        yield first, at, text
    if held:
        yield held
