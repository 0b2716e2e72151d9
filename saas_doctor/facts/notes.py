"""The files that say how the platform is set up and started: notes, scripts, compose files, editors'."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from saas_doctor.facts import Fact
from saas_doctor.model import Place
from saas_doctor.platform import Platform
from saas_doctor.reading import read_head

_NOTES = re.compile(
    r"(?i)^(.*dockerfile.*|(docker-)?compose.*\.ya?ml|makefile|justfile|taskfile.*|procfile.*|"
    r".*\.(sh|bash|service|bat|ps1|toml|ini|cfg)|readme.*|.*\.md|.*\.ya?ml|package\.json|"
    r"launch\.json|settings\.json|\.env.*|\.envrc|supervisord?\.conf)$"
)
_FOLDERS = (".", "docker", "deploy", "scripts", "bin", "docs", ".vscode", ".devcontainer")
_IN_CONTAINERS = re.compile(r"(?i)docker|compose|^\.github/")


NO_DEPENDENCIES = r"(?m)^[^#\n]*\binstall\b[^\n]*\s--no-deps\b"
"""A command that installs packages without what they ask for."""


class Notes(Fact, frozen=True):
    """What is written down of how things are started; read when it is asked for."""

    platform: Platform

    @classmethod
    def read(cls, platform: Platform) -> Notes:
        return cls(platform)

    @cached_property
    def texts(self) -> Mapping[str, str]:
        """The files by name; quotes and commas made blanks."""
        services = [s.directory for s in self.platform.config.services.values()]
        folders = {self.platform.config.backend, ".github/workflows", *_FOLDERS, *services}
        found: dict[str, str] = {}
        for folder in sorted(folders):
            try:
                files = sorted(os.scandir(self.platform.path(folder)), key=lambda f: f.name)
            except OSError:
                continue
            for file in files:
                if _NOTES.match(file.name) and file.is_file():
                    name = self.platform.relative(Path(file.path))
                    found[name] = re.sub(r"[\"',\[\]]", " ", _text(Path(file.path)))
        return found

    def written(self, pattern: str) -> Place | None:
        """Where such a command is written down."""
        return next((place for name in self.texts if (place := self._in(name, pattern))), None)

    def _in(self, name: str, pattern: str) -> Place | None:
        text = self.texts[name]
        found = re.search(pattern, text)
        return Place(name, text.count("\n", 0, found.start()) + 1) if found else None

    def use_of_environment(self) -> Place | None:
        """Where the platform's environment is configured, made or called on this machine."""
        path = Path(self.platform.config.environment)
        for name in self.texts:
            if _IN_CONTAINERS.search(name):
                continue
            # By its path from the root or, in a script beside it, by its own name; a text below
            # the root may speak of commands that are given at the root.
            inside = Path(name).parent == path.parent
            beside = inside and (path.parent == Path() or not name.lower().endswith(".md"))
            folder = rf"(?:\./)?(?:{re.escape(path.as_posix())}{f'|{re.escape(path.name)}' if beside else ''})"
            folder = folder.replace("/", r"[/\\]")
            used = rf"(?<![\w./\\-]){folder}[/\\](?:bin|Scripts)\b"
            made = rf"(?:-m\s+venv|\bvirtualenv|\buv\s+venv)\s+(?:-\S+\s+)*{folder}(?![\w./\\-])"
            place = self._in(name, rf"(?m)^environment\s*=\s*{folder}\s*$|{used}|{made}")
            if place:
                return place
        return None


def _text(file: Path) -> str:
    try:
        return read_head(file, 200_000).decode("utf-8", "replace")
    except OSError:
        return ""
