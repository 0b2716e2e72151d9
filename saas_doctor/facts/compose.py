"""The platform's Compose project: the file that counts, with all that belongs to it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from msgspec import Struct

from saas_doctor.compose.consistency import inconsistencies
from saas_doctor.compose.files import NAMES, chosen, load
from saas_doctor.compose.model import Project, Service
from saas_doctor.compose.nodes import Broken, Problem
from saas_doctor.compose.values import EnvFile
from saas_doctor.compose.variables import NotValid, read_env
from saas_doctor.facts import Fact, gitignore
from saas_doctor.model import Absent, Blocked, Unreadable
from saas_doctor.platform import Platform
from saas_doctor.reading import read_bytes


class Compose(Fact, frozen=True):
    """The platform's Compose file, with its overrides, includes and variables."""

    name: str
    """Empty where there is no Compose file."""
    root: Path
    loaded: Project | None = None
    broken: Problem | None = None
    """Why it, or a file that belongs to it, is not YAML."""
    unreadable: str = ""
    alike: tuple[str, ...] = ()
    """The further files beside it that Compose would take if it were not there, where they differ."""

    @classmethod
    def read(cls, platform: Platform) -> Compose:
        name = platform.config.compose_file
        if name is None:
            return cls("", platform.root)
        path = platform.path(name)
        try:
            paths = chosen(path, platform.environ)
            loaded = load(paths, platform.environ, platform.relative)
            if lies_in(platform.root, Project(loaded)):
                loaded = load(paths, platform.environ, platform.relative, platform.root)
        except Broken as error:
            return cls(name, platform.root, broken=error.problem)
        except OSError as error:
            what = platform.relative(Path(error.filename)) if error.filename else name
            return cls(
                name, platform.root, unreadable=f"{what}: can't be read ({error.strerror or error})"
            )
        used = [file.path for file in loaded.files]
        return cls(name, platform.root, Project(loaded), alike=tuple(_alike(path, platform, used)))

    @property
    def project(self) -> Project:
        """What it says; raises Absent where there is none, Blocked or Unreadable where none can be read."""
        if not self.name:
            raise Absent("no compose file")
        if self.broken:
            raise Blocked("DOCK601", f"{self.broken.place} is not YAML")
        if self.loaded is None:
            raise Unreadable(self.unreadable)
        return self.loaded

    @cached_property
    def data(self) -> bytes:
        """The bytes of all its files: what is not in them need not be looked for."""
        return b"\n".join(file.data for file in self.loaded.loaded.files) if self.loaded else b""

    @property
    def services(self) -> Mapping[str, Service]:
        return self.project.services

    @property
    def known_services(self) -> Mapping[str, Service]:
        """The services, as far as there are any that can be read."""
        return self.loaded.services if self.loaded else {}

    @cached_property
    def unused_env_files(self) -> tuple[UnusedEnvFile, ...]:
        """The env files that are not there, or that Compose can't read."""
        name = self.project.loaded.name
        return tuple(u for s in self.services.values() for u in _unused(s, name, self.root))

    @cached_property
    def problems(self) -> tuple[tuple[Problem, bool], ...]:
        """What Compose refuses, and whether it does so in what `docker compose up` starts."""
        found = [(problem, True) for problem in self.project.loaded.problems]
        if not found:
            # With a key that is wrong, what else is missing is mostly the same mistake.
            found = [
                (problem, service is None or service.active)
                for service, problem in inconsistencies(self.project)
            ]
        return tuple(found)


def lies_in(root: Path, project: Project) -> bool:
    """Whether its paths begin at the root, and not where its file lies (`--project-directory .`)."""
    folder = project.folder
    if folder == root:
        return False
    named = [s.build.context for s in project.services.values() if s.build and s.build.context]
    named += [file.path for service in project.services.values() for file in service.env_files]
    from_root = [root / os.path.relpath(path, folder) for path in named]
    missing = [there for path, there in zip(named, from_root, strict=True) if not path.exists()]
    return bool(missing) and all(path.exists() for path in missing)


class UnusedEnvFile(Struct, frozen=True):
    """An `env_file` that Compose can't use, and why; `example` is the file that it is made from."""

    service: Service
    file: EnvFile
    name: str
    reason: str = ""
    example: Path | None = None
    private: bool = False
    """Whether everybody has one of his own: git is told to ignore it, or it is a `.env`."""


_EXAMPLES = (".example", ".sample", ".template", ".dist", ".tmpl", "-example", ".default")


def _unused(service: Service, name: Callable[[Path], str], root: Path) -> Iterator[UnusedEnvFile]:
    for file in service.env_files:
        try:
            text = read_bytes(file.path).decode("utf-8-sig")
            read_env(text, lambda _: "", raw=file.raw)
        except FileNotFoundError:
            if file.required:
                beside = [file.path.with_name(file.path.name + end) for end in _EXAMPLES]
                beside.append(file.path.with_name("example" + file.path.name))
                beside.append(file.path.with_name(file.path.name.lstrip(".") + ".example"))
                example = next((path for path in beside if path.is_file()), None)
                private = file.path.name.startswith(".env") or gitignore.names(root, file.path)
                yield UnusedEnvFile(service, file, name(file.path), "", example, private)
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", "") or "it is not UTF-8 text"
            yield UnusedEnvFile(service, file, name(file.path), reason)
        except NotValid as error:
            line = text.count("\n", 0, error.index) + 1
            yield UnusedEnvFile(service, file, name(file.path), f"line {line}: {error}")


def _alike(path: Path, platform: Platform, used: Iterable[Path]) -> Iterator[str]:
    """The other files of the usual names that say something else, and are no part of the project."""
    others = [path.with_name(name) for name in NAMES if name != path.name]
    for other in others if path.name in NAMES else ():
        try:
            if other not in used and read_bytes(other) != read_bytes(path):
                yield platform.relative(other)
        except OSError:
            continue
