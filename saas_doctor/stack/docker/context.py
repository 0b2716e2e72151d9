"""What an image is built from: the Dockerfile, the files it takes from its context, and a digest of all."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator, Mapping
from functools import cached_property
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import IO, Any

from msgspec import Struct

from saas_doctor.compose.spec import Build
from saas_doctor.facts import dockerfile as dockerfiles
from saas_doctor.facts.dockerfile import Dockerfile

_INLINE = "Dockerfile.inline"
_BLOCK = 1 << 20


class Unbuildable(Exception):
    """Why an image can't be built, and what to do."""

    def __init__(self, what: str, next_step: str, code: str = "DOCK604") -> None:
        super().__init__(what)
        self.next_step, self.code = next_step, code


class Context(Struct, frozen=True, dict=True):
    """A build with its folder."""

    build: Build
    folder: Path

    @classmethod
    def of(cls, build: Build) -> Context:
        """Raises Unbuildable where the folder or the Dockerfile is not there."""
        found = cls(build, Path(build.context))
        if not found.folder.is_dir():
            raise Unbuildable(
                f"its build context {build.context} is not there",
                "correct `build.context` in the Compose file (saas-doctor explain DOCK604)",
            )
        if not build.dockerfile_inline and not found.path.is_file():
            raise Unbuildable(
                f"its Dockerfile {found.path} is not there",
                "correct `build.dockerfile` in the Compose file (saas-doctor explain DOCK604)",
            )
        return found

    @cached_property
    def path(self) -> Path:
        """The Dockerfile; Docker takes `dockerfile` too, where it is to take the usual one."""
        path = Path(os.path.normpath(self.folder / (self.build.dockerfile or "Dockerfile")))
        small = path.with_name("dockerfile")
        usual = path.name == "Dockerfile" and not path.exists() and small.is_file()
        return small if usual else path

    @property
    def where(self) -> str:
        return "dockerfile_inline" if self.build.dockerfile_inline else str(self.path)

    @cached_property
    def text(self) -> bytes:
        if self.build.dockerfile_inline:
            return self.build.dockerfile_inline.encode()
        return self.path.read_bytes()

    @cached_property
    def dockerfile(self) -> Dockerfile:
        return dockerfiles.parse(self.text)

    @cached_property
    def ignored(self) -> list[str]:
        """The patterns of what is left out."""
        own = self.path.with_name(f"{self.path.name}.dockerignore")
        for path in (own, self.folder / ".dockerignore"):
            if path.is_file():
                lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
                return [line.strip() for line in lines if line.strip() and line[0] != "#"]
        return []

    @cached_property
    def inside(self) -> str:
        """The Dockerfile's path in the context; empty where it lies outside."""
        if self.build.dockerfile_inline or self.folder not in self.path.parents:
            return ""
        return self.path.relative_to(self.folder).as_posix()

    def archive(self) -> tuple[IO[bytes], str]:
        """The context as the classic builder takes it, and the name of the Dockerfile in it."""
        if self.inside:
            return self._packed((self.inside, None)), self.inside
        given = (_INLINE, self.text.decode("utf-8", "replace"))
        return self._packed(given), _INLINE

    def _packed(self, dockerfile: tuple[str, str | None]) -> Any:
        from docker.utils.build import tar

        return tar(self.folder, exclude=list(self.ignored), dockerfile=dockerfile)

    def digest(self, args: Mapping[str, str | None]) -> str:
        """Changes with what goes into the image: what its Dockerfile says and takes, arguments, target."""
        found = sha256(self.text)
        for part in (
            self.build.target,
            self.build.network,
            *sorted(f"{k}={v}" for k, v in args.items()),
        ):
            found.update(f"\0{part}".encode())
        for path in self._taken(args):
            found.update(f"\0{path}\0".encode("utf-8", "surrogateescape"))
            for block in _content(self.folder / path):
                found.update(block)
        return found.hexdigest()

    def _taken(self, args: Mapping[str, str | None]) -> Iterator[str]:
        from docker.utils.build import exclude_paths

        roots = set()
        for source in self.dockerfile.sources(args, self.build.target):
            path = source.path
            if path is None or any(sign in path for sign in "*?["):
                roots = {"."}
                break
            roots.add(PurePosixPath(os.path.normpath("/" + path)).relative_to("/").as_posix())
        if not roots:
            return
        files = sorted(
            exclude_paths(str(self.folder), list(self.ignored), dockerfile=self.inside or _INLINE)
        )
        for path in files:
            name = path.replace(os.sep, "/")
            if "." in roots or any(name == root or name.startswith(f"{root}/") for root in roots):
                yield path


def _content(path: Path) -> Iterator[bytes]:
    try:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            yield os.fsencode(os.readlink(path))
        elif stat.S_ISREG(status.st_mode):
            yield b"x" if status.st_mode & 0o111 else b"-"
            with path.open("rb") as file:
                while block := file.read(_BLOCK):
                    yield block
    except OSError as error:
        # The builder will say so, if it needs it.
        yield str(error.errno).encode()


def one_file(name: str, data: bytes, mode: int, owner: tuple[int, int]) -> bytes:
    """An archive with one file, as the engine takes it to put into a container."""
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), mode
        info.uid, info.gid = owner
        archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
