"""The images that the compose file builds: their Dockerfiles, read, and their contexts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from saas_doctor.facts import Fact
from saas_doctor.facts.compose import Compose, Service
from saas_doctor.facts.dockerfile import (
    INSTRUCTIONS,
    Copied,
    Instruction,
    copies,
    instructions,
    is_ignored,
    is_in_context,
)
from saas_doctor.platform import Platform

# Images that bring no health check of their own.
_WITHOUT = re.compile(
    r"(?:docker\.io/)?(?:library/)?"
    r"(postgres|redis|mysql|mariadb|mongo|rabbitmq|nginx|valkey/valkey|memcached)(?::|@|$)"
)
_LARGEST = 1_000_000


@dataclass(frozen=True)
class Image:
    """One Dockerfile with the context it is built in."""

    name: str
    path: Path
    context: Path
    context_name: str
    root: Path

    @cached_property
    def instructions(self) -> list[Instruction] | None:
        """Its instructions; None where it can't be read."""
        try:
            return instructions(self.path.read_bytes()[:_LARGEST])
        except OSError:
            return None

    @property
    def wrong(self) -> tuple[int, str] | None:
        """The line that no builder takes, and why."""
        found = self.instructions
        if found is None:
            return None
        if not found:
            return 1, "it holds no instruction"
        for instruction in found:
            if instruction.name not in INSTRUCTIONS:
                return instruction.line, f"unknown instruction {instruction.name}"
        first = next((i for i in found if i.name != "ARG"), None)
        if first is None or first.name != "FROM":
            return (first or found[0]).line, "it does not begin with FROM"
        return None

    @property
    def not_there(self) -> Iterator[tuple[Copied, str]]:
        """What it copies and the context does not hold, with the reason."""
        for copied in copies(self.instructions or []):
            if re.match(r"\.\./|/\.\./", copied.source):
                yield copied, "lies outside of the build context"
            elif is_in_context(self.context, copied.source) is False:
                if not self._is_made(copied.source):
                    yield copied, "is not there"
            elif is_ignored(self.context, self.path, copied.source):
                yield copied, "is left out by .dockerignore"

    def _is_made(self, source: str) -> bool:
        """Whether the files that build, or git's list of what it leaves out, speak of it."""
        word = source.rstrip("/").rpartition("/")[2].encode()
        folders = {self.root, self.context}
        files = [folder / name for folder in folders for name in (".gitignore", "Makefile")]
        files += [*self.root.glob("*.sh"), *self.root.glob(".github/workflows/*.y*ml")]
        return any(word in _read(file) for file in files)

    @property
    def has_health_check(self) -> bool | None:
        """Whether it ends with a health check; None where the base image may bring one."""
        found = self.instructions
        if found is None:
            return None
        own = [i for i in found if i.name == "HEALTHCHECK"]
        if own:
            return own[-1].text.strip().upper() != "NONE"
        bases = [i.text for i in found if i.name == "FROM"]
        return False if all(re.match(r"(--\S+\s+)*python[:\s]", base) for base in bases) else None


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()[:_LARGEST]
    except OSError:
        return b""


@dataclass(frozen=True)
class Images(Fact):
    """What the compose file builds, and what is known of the images that it takes."""

    platform: Platform

    @classmethod
    def read(cls, platform: Platform) -> Images:
        return cls(platform)

    @property
    def settings_file(self) -> Path:
        return self.platform.path(self.platform.config.env_file)

    def relative(self, path: Path) -> str:
        return self.platform.relative(path)

    def of(self, compose: Compose) -> list[Image]:
        """The Dockerfiles that are there, each once for each context."""
        found: dict[tuple[Path, Path], Image] = {}
        for service in compose.services.values():
            image = self._built(service)
            if image is not None:
                found.setdefault((image.path, image.context), image)
        return list(found.values())

    def _built(self, service: Service) -> Image | None:
        build = service.build
        if build is None or not build.dockerfile.is_file() or not build.context.is_dir():
            return None
        name, context = self.relative(build.dockerfile), self.relative(build.context)
        return Image(name, build.dockerfile, build.context, context, self.platform.root)

    def may_be_healthy(self, service: Service) -> bool:
        """Whether the service has a health check, or may have one that is not seen here."""
        check = service.node.get("healthcheck")
        if check is not None:
            off = check.string("disable").lower() == "true"
            test = check.get("test")
            none = test is not None and [i.text for i in test.items] == ["NONE"]
            return not (off or none)
        if service.node.get("build"):
            image = self._built(service)
            return image is None or image.has_health_check is not False
        return not _WITHOUT.match(service.image)
