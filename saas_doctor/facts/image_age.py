"""The running containers whose image is older than what it would be made from now."""

from __future__ import annotations

import io
import os
import posixpath
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.builds import Builds, ServiceBuild
from saas_doctor.facts.containers import OwnContainer
from saas_doctor.facts.docker import connect
from saas_doctor.facts.own_stack import OwnStack
from saas_doctor.model import Unreadable
from saas_doctor.platform import Platform
from saas_doctor.reading import read_bytes

_CODE = frozenset(
    [
        ".py",
        ".pyi",
        ".js",
        ".mjs",
        ".cjs",
        ".ts",
        ".tsx",
        ".jsx",
        ".vue",
        ".svelte",
        ".html",
        ".css",
        ".sql",
        ".sh",
        ".txt",
        ".toml",
        ".cfg",
        ".ini",
        ".json",
        ".yml",
        ".yaml",
    ]
)
_NO_CODE = frozenset(
    (".git", ".venv", "venv", "node_modules", "__pycache__", "logs", ".saas-doctor")
)
_MOST = 20_000
"""Files of a build that are looked at."""
_COMPARED = 12
"""Of those that are newer than the image, the newest, whose bytes are compared."""
_LARGEST = 1_000_000
_SLACK = 1.0
"""Seconds by which the engine's clock and the disk's may differ."""


class Old(Struct, frozen=True):
    """A running container of an old image.

    `rebuilt`: its image's name means another one by now. `files`: what lies in the platform with
    other bytes than in the container, the newest first, as reports show it. `built`: seconds since
    1970.
    """

    container: OwnContainer
    rebuilt: bool
    files: tuple[str, ...]
    built: float


class ImageAge(Fact, frozen=True):
    """The running containers of old images; looked for when it is asked."""

    platform: Platform
    stack: OwnStack
    builds: Builds

    live = True
    limit = 6.0

    @classmethod
    def read(cls, platform: Platform, stack: OwnStack, builds: Builds) -> ImageAge:
        return cls(platform, stack, builds)

    @cached_property
    def old(self) -> Sequence[Old]:
        """Raises Unreadable."""
        running = [(s, c) for s, c in self.stack.members if c.runs]
        if not running:
            return ()
        with closing(connect(self.platform.environ)) as client:
            import docker
            import requests

            try:
                found = (self._old(client.api, s.name, c) for s, c in running)
                return [one for one in found if one.rebuilt or one.files]
            except (docker.errors.DockerException, requests.RequestException) as error:
                raise Unreadable(f"the Docker engine does not answer ({error})") from None

    def _old(self, api: Any, service: str, container: OwnContainer) -> Old:
        import docker

        condition, build = container.condition, self.builds.of(service)
        try:
            now = api.inspect_image(condition.image_name)["Id"] if condition.image_name else ""
            created = api.inspect_image(condition.image).get("Created", "")
        except docker.errors.ImageNotFound:
            now = created = ""  # its name, or all of it, is gone
        built = _seconds(created)
        named = bool(now) and not condition.image_name.startswith("sha256:")
        rebuilt = named and now != condition.image
        files = tuple(self._changed(api, container, build, built)) if build and created else ()
        return Old(container, rebuilt, files, built)

    def _changed(
        self, api: Any, container: OwnContainer, build: ServiceBuild, built: float
    ) -> Iterator[str]:
        newer = sorted(_newer(build, built), reverse=True)
        for _, path, inside in newer[:_COMPARED]:
            held = _bytes(api, container.identity, inside)
            try:
                differs = held is not None and held != read_bytes(path, _LARGEST)
            except OSError:
                continue
            if differs:
                yield self.platform.relative(path)


def _newer(build: ServiceBuild, built: float) -> Iterator[tuple[float, Path, str]]:
    """The files of code that its image has, and that were changed since; with the path in it."""
    context, dockerfile = build.build.context, build.dockerfile
    if context is None or dockerfile is None or dockerfile.flaws:
        return
    final = {id(i) for s in dockerfile.final(build.build.target) for i in s.instructions}
    for source in dockerfile.sources(build.build.args, build.build.target):
        if source.path is None or not source.into or id(source.instruction) not in final:
            continue
        # The builder knows nothing above the context.
        relative = posixpath.normpath("/" + source.path).lstrip("/")
        at = context / relative
        if at.is_file():
            name = posixpath.join(source.into, at.name)
            files = [(at, name if source.into.endswith("/") else source.into)]
        else:
            files = [
                (f, posixpath.join(source.into, f.relative_to(at).as_posix())) for f in _in(at)
            ]
        for path, inside in files:
            changed = _changed_at(path)
            left_out = build.ignored and build.ignored.by(path.relative_to(context).as_posix())
            if changed > built + _SLACK and not left_out:
                yield changed, path, inside


def _in(folder: Path) -> Iterator[Path]:
    """The files of code below a folder; links are not followed."""
    count = 0
    for at, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _NO_CODE)
        for name in files:
            count += 1
            if count > _MOST:
                return
            path = Path(at, name)
            if path.suffix in _CODE and not path.is_symlink():
                yield path


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _bytes(api: Any, identity: str, path: str) -> bytes | None:
    """A file's bytes as the container has it, mounts included; None where it has none."""
    import docker

    try:
        chunks, status = api.get_archive(identity, path)
    except docker.errors.NotFound:
        return None
    if status.get("size", 0) > _LARGEST:
        return None
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        member = next(iter(tar), None)
        file = tar.extractfile(member) if member and member.isfile() else None
        return file.read() if file else None


def _seconds(text: str) -> float:
    try:
        moment = datetime.fromisoformat(f"{text[:19]}+00:00")
    except ValueError:
        return 0.0
    return moment.astimezone(timezone.utc).timestamp() if moment.year > 1970 else 0.0
