"""Which ports the platform's files name: what is in none of them is nobody's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from saas_doctor.discovery import VITE_CONFIGS
from saas_doctor.facts import Fact
from saas_doctor.facts.built_in import ComposeServices
from saas_doctor.facts.source import Source
from saas_doctor.platform import Platform
from saas_doctor.reading import read_bytes

_FOLDERS = (".", "docker", "deploy", "deployment", "config", "infra", "nginx", "ops", "scripts")
_MAXIMUM = 500_000
_REPORT = re.compile(rb"\b(?:NET4|WEB8)\d\d\b")
"""What names a port together with a code is a report of the doctor's, of whatever format."""
_NUMBER = re.compile(rb"(?<![\d.])[1-9]\d{1,4}(?![\d.])")


class NamedPorts(Fact, frozen=True):
    """The ports that the platform's own files name: configuration, compose, scripts, Python source.

    The front end's own settings are left out: what they say is what is looked at.
    """

    services: frozenset[int]
    compose: ComposeServices
    source: Source
    folders: tuple[Path, ...]
    frontend: Path | None

    @classmethod
    def read(cls, platform: Platform, source: Source, compose: ComposeServices) -> NamedPorts:
        config = platform.config
        frontend = platform.path(config.frontend.directory) if config.frontend else None
        ports = frozenset(service.port for service in config.services.values())
        roots = dict.fromkeys(
            [platform.root, platform.path(config.backend), *([frontend] if frontend else [])]
        )
        folders = tuple(root / name for root in roots for name in _FOLDERS)
        return cls(ports, compose, source, folders, frontend)

    def has(self, port: int) -> bool:
        """Whether anything of the platform may be at that port."""
        word = re.compile(rb"(?<!\d)%d(?!\d)" % port)
        return (
            port in self.services
            or port in self._in_files
            or port in self.compose.ports
            or any(word.search(m.data) for m in self.source.mentioning(str(port)))
        )

    @cached_property
    def _in_files(self) -> frozenset[int]:
        texts = (_read(path) for folder in self.folders for path in self._files(folder))
        own = (text for text in texts if not _REPORT.search(text))
        return frozenset(int(n) for text in own for n in _NUMBER.findall(text))

    def _files(self, folder: Path) -> Iterator[Path]:
        try:
            inside = sorted(folder.iterdir())
        except OSError:
            return
        for path in inside:
            own = path.parent == self.frontend and (
                path.name in VITE_CONFIGS or path.name.startswith(".env")
            )
            if not own and "lock" not in path.name and not path.name.endswith(".py"):
                yield path


def _read(path: Path) -> bytes:
    try:
        return read_bytes(path, _MAXIMUM)
    except OSError:
        return b""
