"""Which variables the platform's other files name: compose, Dockerfiles, scripts, further env files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from saas_doctor.facts import Fact
from saas_doctor.facts.environment_writes import EnvironmentWrites
from saas_doctor.platform import Platform
from saas_doctor.reading import read_bytes

_FOLDERS = (
    *(".", "docker", "deploy", "deployment", "compose", "envs", "env", ".envs", "scripts"),
    *("config", "conf", "secrets", ".vscode", ".devcontainer", "nginx", "caddy", "traefik"),
)
_KINDS = re.compile(
    r"\.(ya?ml|sh|ps1|bat|cmd|toml|ini|cfg|conf|service|mk|nix)$|^(docker|container|caddy)file|^makefile|"
    r"^justfile|^procfile|^\.env|\.env$|^tiltfile|^taskfile",
    re.I,
)
_CONTAINERS = re.compile(r"compose.*\.ya?ml$|^(docker|container)file", re.I)
_EXAMPLE = re.compile(r"example|sample|template|dist|default", re.I)
_WORD = re.compile(rb"\w+")
_MAXIMUM = 300_000


class Elsewhere(Fact, frozen=True):
    """What the platform's small files beside its source name; examples of env files are left out."""

    folders: tuple[Path, ...]
    writes: EnvironmentWrites

    @classmethod
    def read(cls, platform: Platform, writes: EnvironmentWrites) -> Elsewhere:
        config = platform.config
        services = [service.directory for service in config.services.values()]
        roots = dict.fromkeys([".", config.backend, *config.source_roots, *services])
        folders = dict.fromkeys(platform.path(r) / name for r in roots for name in _FOLDERS)
        compose = platform.path(config.compose_file).parent if config.compose_file else None
        return cls((*folders, *([compose] if compose else [])), writes)

    def names(self, key: str, besides: Iterable[Path] = ()) -> bool:
        """Whether any of them, beside these, may set a variable of that name, in whatever case.

        `os.environ["KEY"] = ...` in the code itself, its tests included, sets it too.
        """
        return bool(self._naming(key, besides)) or self.writes.names(key)

    def is_containers_alone(self, key: str, besides: Iterable[Path] = ()) -> bool:
        """Whether those of them that name a variable are for containers: compose files, Dockerfiles."""
        naming = self._naming(key, besides)
        return not self.writes.names(key) and all(_CONTAINERS.search(p.name) for p in naming)

    def _naming(self, key: str, besides: Iterable[Path]) -> list[Path]:
        word, left_out = key.lower().encode(), set(besides)
        return [p for p, words in self._words.items() if word in words and p not in left_out]

    def says(self, text: bytes) -> bool:
        """Whether any of them has this text."""
        return any(text in other for other in self._texts.values())

    def matching(self, pattern: re.Pattern[bytes]) -> Path | None:
        """The first of them in which a pattern is found."""
        return next((path for path, text in self._texts.items() if pattern.search(text)), None)

    @cached_property
    def _words(self) -> Mapping[Path, frozenset[bytes]]:
        texts = self._texts.items()
        return {path: frozenset(_WORD.findall(text.lower())) for path, text in texts}

    @cached_property
    def _texts(self) -> Mapping[Path, bytes]:
        return {path: text for path in self._files() if (text := _read(path))}

    def _files(self) -> Iterator[Path]:
        for folder in self.folders:
            try:
                inside = sorted(folder.iterdir())
            except OSError:
                continue
            for path in inside:
                example = ".env" in path.name and _EXAMPLE.search(path.name)
                if _KINDS.search(path.name) and not example and "lock" not in path.name:
                    yield path


def _read(path: Path) -> bytes:
    try:
        return read_bytes(path, _MAXIMUM)
    except OSError:
        return b""
