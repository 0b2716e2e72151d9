"""How the images of the Compose project are built: Dockerfiles, contexts, what is not in them."""

from __future__ import annotations

import difflib
import os
import posixpath
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from msgspec import Struct

from saas_doctor.compose.model import Service
from saas_doctor.compose.values import Build
from saas_doctor.facts import Fact, dockerignore, gitignore
from saas_doctor.facts import dockerfile as dockerfiles
from saas_doctor.facts.compose import Compose
from saas_doctor.facts.dockerfile import Dockerfile, Source
from saas_doctor.facts.dockerignore import Ignored, Pattern
from saas_doctor.platform import Platform
from saas_doctor.reading import read_bytes

_WILDCARD = "*?["
_LARGEST = 1_000_000
_CLASSIC = re.compile(rb"^(?![ \t]*#).*\bDOCKER_BUILDKIT[ \t]*:?=[ \t]*[\"']?0\b", re.M)


class Lost(Struct, frozen=True):
    """A path that a build takes from its context, where it is not.

    `near` is one there of nearly that name, `pattern` the line of the ignore file that leaves it
    out, `outside` the path as it lies on this machine, `kept_back` whether git is told to ignore
    it: then another step makes it.
    """

    source: Source
    path: str
    near: str = ""
    pattern: Pattern | None = None
    outside: str = ""
    kept_back: bool = False


class ServiceBuild(Struct, frozen=True, dict=True):
    """The build of a service. `name` is its Dockerfile as reports show it.

    `dockerfile` is None where it is not there or not known, `missing` says which of the two paths
    is not there.
    """

    service: Service
    build: Build
    name: str
    dockerfile: Dockerfile | None
    root: Path
    missing: str = ""
    near: str = ""
    ignored: Ignored | None = None

    @cached_property
    def lost(self) -> tuple[Lost, ...]:
        """What the Dockerfile takes from the context and is not there."""
        if self.dockerfile is None or self.build.context is None or self.dockerfile.flaws:
            return ()
        found: dict[str, Lost] = {}
        for source in self.dockerfile.sources(self.build.args, self.build.target):
            lost = self._lost(source)
            if lost:
                found.setdefault(lost.path, lost)
        return tuple(found.values())

    def _lost(self, source: Source) -> Lost | None:
        context = self.build.context
        if source.path is None or context is None or any(s in source.path for s in _WILDCARD):
            return None
        # The builder knows nothing above the context: `../x` and `/x` are both `x` in it.
        path = posixpath.normpath("/" + source.path.replace("\\", "/")).lstrip("/")
        if not path:
            return None
        there, near = _in(context, path)
        if there:
            pattern = self.ignored.leaves_out(context, path) if self.ignored else None
            return Lost(source, path, pattern=pattern) if pattern else None
        outside = ""
        if source.path.startswith("../"):
            lies = Path(os.path.normpath(context / source.path))
            outside = os.path.relpath(lies, context) if lies.exists() else ""
        kept_back = not outside and gitignore.names(self.root, context / path)
        return Lost(source, path, near, None, outside, kept_back)


def _in(folder: Path, path: str) -> tuple[bool, str]:
    """Whether a path is there with these very letters, and one that is nearly it."""
    at = folder
    parts = path.split("/")
    for number, part in enumerate(parts):
        below = at / part
        if below.is_symlink():
            return True, ""  # where it leads can't be followed in the builder's context
        try:
            # On a disk that ignores case, another spelling is there as well.
            names = os.listdir(at) if not below.exists() or _ignores_case(below) else [part]
        except OSError:
            return os.path.lexists(at), ""
        if part not in names:
            near = [n for n in names if n.lower() == part.lower()]
            near = near or difflib.get_close_matches(part, names, n=1, cutoff=0.8)
            return False, "/".join([*parts[:number], near[0], *parts[number + 1 :]]) if near else ""
        at = below
    return True, ""


def _ignores_case(path: Path) -> bool:
    other = path.name.swapcase()
    return other != path.name and path.with_name(other).exists()


class Builds(Fact, frozen=True):
    """The Dockerfiles that the Compose file names, and their contexts."""

    builds: tuple[ServiceBuild, ...]
    compose: Compose
    platform: Platform
    partial: str = ""

    @classmethod
    def read(cls, compose: Compose, platform: Platform) -> Builds:
        unreadable: dict[str, None] = {}
        builds = tuple(_builds(compose, platform, unreadable))
        return cls(builds, compose, platform, "; ".join(unreadable))

    @cached_property
    def classic(self) -> str:
        """What asks for the classic builder; empty where nothing does."""
        if self.platform.environ.get("DOCKER_BUILDKIT") == "0":
            return "this shell"
        project = self.compose.project
        if project.loaded.variables.get("DOCKER_BUILDKIT") == "0":
            return self.platform.relative(project.folder / ".env")
        for path in _scripts(self.platform.root):
            try:
                data = read_bytes(path, _LARGEST)
            except OSError:
                continue
            if found := _CLASSIC.search(data):
                line = data.count(b"\n", 0, found.start()) + 1
                return f"{self.platform.relative(path)}:{line}"
        return ""

    def of(self, service: str) -> ServiceBuild | None:
        return next((build for build in self.builds if build.service.name == service), None)


def _scripts(root: Path) -> Iterator[Path]:
    yield root / "Makefile"
    for folder in (root, *(root / name for name in ("bin", "docker", "scripts"))):
        yield from sorted(folder.glob("*.sh"))


def _builds(
    compose: Compose, platform: Platform, unreadable: dict[str, None]
) -> Iterator[ServiceBuild]:
    """The builds; what can't be read of them is added to `unreadable`, with the reason."""
    read: dict[Path, Dockerfile | None] = {}
    root = platform.root

    def data_of(path: Path) -> bytes | None:
        try:
            return read_bytes(path, _LARGEST)
        except OSError as error:
            unreadable[f"{platform.relative(path)}: can't be read ({error.strerror})"] = None
        return None

    def ignored_in(context: Path, dockerfile: Path | None) -> Ignored | None:
        """The ignore file that counts: the Dockerfile's own before the context's."""
        own = [dockerfile.with_name(dockerfile.name + ".dockerignore")] if dockerfile else []
        path = next((p for p in (*own, context / ".dockerignore") if p.is_file()), None)
        data = data_of(path) if path else None
        return dockerignore.parse(platform.relative(path), data) if path and data else None

    for service in compose.services.values():
        build = service.build
        if build is None:
            continue
        if build.inline and build.context is not None:
            text = dockerfiles.parse(build.inline.encode())
            ignored = ignored_in(build.context, None)
            yield ServiceBuild(service, build, compose.name, text, root, ignored=ignored)
            continue
        if build.context is None or build.dockerfile is None:
            yield ServiceBuild(service, build, "", None, root)
            continue
        if not build.context.is_dir():
            _, near = _in(build.context.parent, build.context.name)
            name = platform.relative(build.context)
            yield ServiceBuild(service, build, name, None, root, missing="context", near=near)
            continue
        path = _found(build.dockerfile)
        name = platform.relative(path)
        if not path.is_file():
            _, near = _in(path.parent, path.name)
            yield ServiceBuild(service, build, name, None, root, missing="dockerfile", near=near)
            continue
        if path not in read:
            data = data_of(path)
            read[path] = None if data is None else dockerfiles.parse(data)
        ignored = ignored_in(build.context, path)
        yield ServiceBuild(service, build, name, read[path], root, ignored=ignored)


def _found(path: Path) -> Path:
    """The Dockerfile; Docker takes `dockerfile` too, where it is to take the usual one."""
    small = path.with_name("dockerfile")
    return small if path.name == "Dockerfile" and not path.exists() and small.is_file() else path
