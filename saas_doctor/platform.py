"""The thing examined: a directory with its configuration, found by its marks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

from saas_doctor import config as configuration
from saas_doctor.config import Config
from saas_doctor.discovery import COMPOSE_FILES, discover, holds_project, looks_like_project
from saas_doctor.known_secrets import secrets_of
from saas_doctor.model import DoctorError
from saas_doctor.reading import read_bytes
from saas_doctor.redact import know

STATE = ".saas-doctor"


class Platform(Struct, frozen=True):
    """A platform's root, its configuration, and the environment the doctor was called in."""

    root: Path
    config: Config
    config_file: Path | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def path(self, relative: str) -> Path:
        return self.root / relative

    def relative(self, path: Path) -> str:
        """The path as reports show it: relative to the platform where it lies inside."""
        try:
            return path.relative_to(self.root).as_posix()
        except ValueError:
            return str(path)

    @property
    def state(self) -> Path:
        """Where the doctor keeps journals and former bytes; made only by `fix`."""
        return self.root / STATE


def find_root(start: Path, *, named: bool = False) -> Path:
    """The nearest ancestor of `start` that is configured or looks like a platform.

    `named`: somebody said that it is this one, so it may look like little. Raises DoctorError
    when there is none up to the file system's root.
    """
    start = start.resolve()
    if not os.path.isdir(start):
        raise DoctorError(f"{start}: not a directory; name the platform with -C DIRECTORY")
    above = (start, *start.parents)
    for looks in (looks_like_platform, looks_like_project):
        for folder in above:
            if looks(folder):
                return folder
    if named and holds_project(start):
        return start
    raise DoctorError(
        f"{start}: no platform here or above (no {configuration.FILE}, no backend/ beside a compose "
        "file, no project that requires FastAPI); name it with -C DIRECTORY, or run `saas-doctor init` in it"
    )


def looks_like_platform(folder: Path) -> bool:
    """Whether it is configured, or has the usual shape."""
    if os.path.lexists(folder / configuration.FILE):
        return True
    if os.path.isdir(folder / "backend"):
        marks = (*COMPOSE_FILES, "backend/requirements.txt", "backend/pyproject.toml")
        return any(os.path.isfile(folder / mark) for mark in marks)
    try:
        return b"[tool.saas-doctor" in read_bytes(folder / "pyproject.toml")
    except OSError:
        return False


def load(
    start: Path,
    config_file: Path | None = None,
    *,
    exact: bool = False,
    named: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Platform:
    """The platform around `start`; `exact` takes the directory itself, whatever it looks like."""
    root = start.resolve() if exact else find_root(start, named=named)
    environ = dict(os.environ) if environ is None else environ
    config, file = configured(root, config_file, environ)
    know(secrets_of(root, config, environ))
    return Platform(root, config, file, environ)


def configured(
    root: Path, config_file: Path | None, environ: Mapping[str, str]
) -> tuple[Config, Path | None]:
    """The configuration, with what is discovered where it says nothing, and its file."""
    table, file = configuration.load(root, config_file)
    home = Path(environ["HOME"]) if environ.get("HOME") else None
    return configuration.validate({**discover(root, table, home), **table}, file), file
