"""Which variables the platform's other files name: compose, Dockerfiles, scripts, further env files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from saas_doctor.facts import Fact
from saas_doctor.facts.source import Source
from saas_doctor.platform import Platform

_FOLDERS = (".", "docker", "deploy", "deployment", "compose", "envs", "env", ".envs", "scripts")
_KINDS = re.compile(
    r"\.(ya?ml|sh|ps1|bat|cmd|toml|ini|cfg|conf|service|mk|nix)$|^(docker|container)file|^makefile|"
    r"^justfile|^procfile|^\.env|\.env$|^tiltfile|^taskfile",
    re.I,
)
_EXAMPLE = re.compile(r"example|sample|template|dist|default", re.I)
_SETS = re.compile(rb"environ(?:\.setdefault\([^\n]*|\.update\([^\n]*|\[[^\]\n]*\]\s*=(?!=))")
_WORD = re.compile(rb"\w+")
_MAXIMUM = 300_000


class Elsewhere(Fact, frozen=True):
    """What the platform's small files beside its source name; examples of env files are left out."""

    folders: tuple[Path, ...]
    source: Source

    @classmethod
    def read(cls, platform: Platform, source: Source) -> Elsewhere:
        config = platform.config
        services = [service.directory for service in config.services.values()]
        roots = dict.fromkeys([".", config.backend, *config.source_roots, *services])
        folders = dict.fromkeys(platform.path(r) / name for r in roots for name in _FOLDERS)
        compose = platform.path(config.compose_file).parent if config.compose_file else None
        return cls((*folders, *([compose] if compose else [])), source)

    def names(self, key: str, besides: Iterable[Path] = ()) -> bool:
        """Whether any of them, beside these, may set a variable of that name, in whatever case."""
        word, left_out = key.lower().encode(), set(besides)
        return any(word in words for path, words in self._words.items() if path not in left_out)

    def says(self, text: bytes) -> bool:
        """Whether any of them has this text."""
        return any(text in other for other in self._texts.values())

    @cached_property
    def _words(self) -> Mapping[Path, frozenset[bytes]]:
        # `os.environ["KEY"] = ...` in the code itself sets it too.
        by_code = {
            module.path: b"\n".join(_SETS.findall(module.data))
            for module in self.source.mentioning("environ")
        }
        texts = {**self._texts, **by_code}
        return {path: frozenset(_WORD.findall(text.lower())) for path, text in texts.items()}

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
        if path.is_file() and path.stat().st_size <= _MAXIMUM:
            return path.read_bytes()
    except OSError:
        pass
    return b""
