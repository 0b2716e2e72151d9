"""The platform's own Python: its environment's folder, what it says of itself, what it answers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from saas_doctor.facts import Fact, dockerfile, images, pyproject
from saas_doctor.model import Absent, DoctorError, Place, Unreadable
from saas_doctor.platform import Platform
from saas_doctor.reading import read_bytes, read_text

DEFAULT_PYTHON = ">=3.11"

_ASK = "import sys; print('%d.%d.%d' % sys.version_info[:3])"


class Interpreter(Fact, frozen=True):
    """The platform's environment and its interpreter.

    `version` is what the interpreter itself answered; `failure` says why it did not, with the
    command. `folder` may not exist. Nothing is concluded from $VIRTUAL_ENV.
    """

    folder: Path
    name: str
    exists: bool = True
    python: Path | None = None
    version: Version | None = None
    failure: str = ""
    home: str = ""
    has_config: bool = True
    sees_system: bool = False
    """Whether the system's packages count too (`include-system-site-packages`)."""
    made_with: Version | None = None
    """The version of the Python that it was made with, by its own word."""

    @classmethod
    def read(cls, platform: Platform) -> Interpreter:
        folder = platform.path(platform.config.environment)
        name = platform.config.environment
        try:
            os.listdir(folder)
        except (FileNotFoundError, NotADirectoryError):
            if not os.path.lexists(folder):
                return cls(folder, name, exists=False)
            return cls(
                folder, name, failure=f"{name} is not a folder, or a link that leads nowhere"
            )
        except OSError as error:
            raise Unreadable(f"{name}: can't be read ({error.strerror})") from None
        config = _pyvenv(folder)
        python = python_in(folder)
        if not os.path.lexists(python):
            failure = f"{platform.relative(python)} is not there"
            return cls(
                folder,
                name,
                failure=failure,
                home=config.get("home", ""),
                has_config=bool(config),
                made_with=_version(config),
            )
        version, failure = ask_version(python)
        sees = config.get("include-system-site-packages", "").lower() == "true"
        home = config.get("home", "")
        return cls(
            folder, name, True, python, version, failure, home, bool(config), sees, _version(config)
        )

    @property
    def site_packages(self) -> Path:
        """Where its packages are; raises Absent where there is no environment.

        Unreadable where its interpreter does not answer.
        """
        if not self.exists:
            raise Absent(f"there is no environment at {self.name}")
        if self.version is None:
            raise Unreadable(f"{self.name}: its interpreter does not answer ({self.failure})")
        if os.name == "nt":
            return self.folder / "Lib" / "site-packages"
        minor = f"python{self.version.major}.{self.version.minor}"
        return self.folder / "lib" / minor / "site-packages"

    @cached_property
    def packages_of_another(self) -> str:
        """The folder of another minor version's packages (`python3.11`), where its own has none."""
        if self.version is None or os.name == "nt" or self.site_packages.is_dir():
            return ""
        found = self.folder.glob("lib/python3*/site-packages/*.dist-info")
        return next((path.parent.parent.name for path in found), "")

    @cached_property
    def made_at(self) -> Path | None:
        """The folder that its `activate` leads to; None where it finds out its own place."""
        try:
            text = read_text(self.folder / "bin" / "activate")
        except OSError:
            return None
        found = re.search(r"^\s*(?:export )?VIRTUAL_ENV=([\"']?)(/[^\"'$\n]+)\1\s*$", text, re.M)
        return Path(found.group(2)) if found else None

    @property
    def moved(self) -> bool:
        """Whether it was made in another place than it stands in."""
        return self.made_at is not None and not _same(self.made_at, self.folder)

    def foreign_commands(self) -> list[str]:
        """The console scripts that start with a Python outside of this environment."""
        found = []
        for script in sorted((self.folder / "bin").iterdir()):
            if script.is_file():
                with script.open("rb") as file:
                    said = _SHEBANG.match(file.read(512))
                home = Path(os.fsdecode(said.group(1))).parent.parent if said else self.folder
                if not _same(home, self.folder):
                    found.append(script.name)
        return found


# Of a long path, pip and uv make a call by the shell.
_SHEBANG = re.compile(rb"#!(?:/bin/sh\n'{3}exec' \"?)?(/[^\n\"]*?/bin/python[\d.]*)")


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _version(config: Mapping[str, str]) -> Version | None:
    text = config.get("version_info") or config.get("version") or ""
    found = re.match(r"\d+\.\d+(\.\d+)?", text)
    return Version(found.group()) if found else None


def python_in(folder: Path) -> Path:
    """The interpreter's place in an environment."""
    return folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python"


def ask_version(python: Path) -> tuple[Version | None, str]:
    """The version an interpreter answers, or None and why it does not."""
    try:
        done = subprocess.run(
            [str(python), "-I", "-S", "-c", _ASK],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=2.5,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError:
        target = os.path.realpath(python)
        return None, f"{python} leads to {target}, which is not there"
    except subprocess.TimeoutExpired:
        raise Unreadable(f"{python}: no answer within 2.5 s") from None
    except PermissionError as error:
        raise Unreadable(f"{python}: {error.strerror}") from None
    except OSError as error:
        return None, f"{python}: {error.strerror}"
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        return None, f"{python} ended with {done.returncode}: {last}"
    try:
        return Version(done.stdout.strip()), ""
    except ValueError:
        return None, f"{python} answered {done.stdout[:80]!r}, not a version"


def _pyvenv(folder: Path) -> dict[str, str]:
    try:
        text = read_text(folder / "pyvenv.cfg")
    except OSError:
        return {}
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


class WantedPython(Fact, frozen=True):
    """Which Python the platform wants: the configuration, the project file, else 3.11 or newer.

    An older one that the platform's own Dockerfile builds on is good enough, too.
    """

    specifier: SpecifierSet
    source: str
    place: Place | None = None
    declared: bool = True
    """Whether the platform says so itself."""

    @classmethod
    def read(cls, platform: Platform) -> WantedPython:
        if platform.config.python:
            where = (
                platform.relative(platform.config_file) if platform.config_file else "configuration"
            )
            return cls(_specifier(platform.config.python, where), f"`python` in {where}")
        for folder in dict.fromkeys((platform.path(platform.config.backend), platform.root)):
            for file, key in _DECLARED.items():
                found = _declared(folder / file, key)
                if found:
                    text, line = found
                    name = platform.relative(folder / file)
                    word = key.split("\\", 1)[0]
                    return cls(_specifier(text, name), f"{word} in {name}", Place(name, line))
            text = _poetry_python(folder / "pyproject.toml")
            if text:
                name = platform.relative(folder / "pyproject.toml")
                return cls(_specifier(text, name), f"Poetry's python in {name}", Place(name))
        default = SpecifierSet(DEFAULT_PYTHON)
        for folder in dict.fromkeys((platform.path(platform.config.backend), platform.root)):
            image = _base_image(folder / "Dockerfile")
            older = images.python_minor(image)
            if older and not default.contains(older):
                name = platform.relative(folder / "Dockerfile")
                return cls(_specifier(f">={older}", name), f"{image} in {name}", declared=False)
        return cls(default, "the doctor's default for this kind of platform", declared=False)


def _base_image(file: Path) -> str:
    """The image that a Dockerfile builds on; an empty text where that can't be told."""
    try:
        return dockerfile.parse(read_bytes(file)).base_image({}) or ""
    except OSError:
        return ""


def _specifier(text: str, where: str) -> SpecifierSet:
    try:
        return SpecifierSet(text if text[:1] in "<>=!~" else f"=={text}.*")
    except InvalidSpecifier:
        raise DoctorError(f"{where}: `{text}` is not a version range such as >=3.11") from None


_DECLARED = {
    "pyproject.toml": r"requires-python\s*=\s*[\"']([^\"'\n]+)[\"']",
    "setup.cfg": r"python_requires\s*=\s*([<>=!~][^\n#]*)",
    "setup.py": r"python_requires\s*=\s*[\"']([<>=!~][^\"'\n]*)[\"']",
}
"""How a project file says which Python it wants."""


def _declared(file: Path, key: str) -> tuple[str, int] | None:
    try:
        text = read_text(file)
    except OSError:
        return None
    found = re.search(rf"^[^#\n]*?\b{key}", text, re.M)
    return (found.group(1).strip(), text.count("\n", 0, found.start(1)) + 1) if found else None


def _poetry_python(file: Path) -> str:
    """The range of Pythons in a Poetry project's dependencies."""
    try:
        data = read_bytes(file)
    except OSError:
        return ""
    return (pyproject.python_of(data) or "") if b"tool.poetry.dependencies" in data else ""


# Wheels for this platform's usual pins exist for these; 3.12 has them for the oldest pins too.
_PREFERRED = ((3, 12), (3, 11), (3, 13))


class Pythons(Fact, frozen=True):
    """The interpreters found on this machine: on PATH, from pyenv, uv and Homebrew."""

    found: tuple[tuple[Path, Version], ...]

    limit = 10.0

    @classmethod
    def read(cls, platform: Platform) -> Pythons:
        found: dict[Path, tuple[Path, Version]] = {}
        for path in _candidates(platform):
            real = path.resolve()
            if real in found:
                continue
            try:
                version, _ = ask_version(path)
            except Unreadable:
                continue
            if version:
                found[real] = (path, version)
        return cls(tuple(found.values()))

    def best(
        self, wanted: SpecifierSet, like: Version | None = None
    ) -> tuple[Path, Version] | None:
        """The one to build an environment with: fitting, and with wheels for the usual pins.

        One of the same minor version as `like` comes first: what was installed fits it.
        """

        def rank(item: tuple[Path, Version]) -> tuple[bool, int, Version]:
            minor = item[1].release[:2]
            known = _PREFERRED.index(minor) if minor in _PREFERRED else len(_PREFERRED)
            return bool(like and minor == like.release[:2]), -known, item[1]

        fitting = [item for item in self.found if wanted.contains(item[1], prereleases=True)]
        return max(fitting, key=rank, default=None)


def _candidates(platform: Platform) -> Iterator[Path]:
    names = [f"python3.{minor}" for minor in range(15, 8, -1)]
    for name in (*names, "python3", "python"):
        path = shutil.which(name, path=platform.environ.get("PATH"))
        # A pyenv shim starts whatever the folder says; its versions are looked at below.
        if path and "/shims/" not in path:
            yield Path(path)
    home = Path(platform.environ.get("HOME", "/nonexistent"))
    pyenv = Path(platform.environ.get("PYENV_ROOT", home / ".pyenv"))
    yield from _matching(pyenv, "versions/3.*/bin/python3")
    yield from _matching(home / ".local/share/uv/python", "cpython-3.*/bin/python3")
    for folder in ("/opt/homebrew/bin", "/usr/local/bin", "/usr/bin"):
        yield from _matching(Path(folder), "python3.[0-9]*[0-9]")
    base = Path(sys.base_prefix) / "bin" / "python3"
    if base.exists():
        yield base


def _matching(folder: Path, pattern: str) -> list[Path]:
    """The files below a folder; none where this user may not look into it."""
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return []
