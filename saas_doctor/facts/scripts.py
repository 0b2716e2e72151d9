"""The scripts that start services by `python run.py`, and what they find on their search path."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from saas_doctor.facts import Fact
from saas_doctor.facts.imports import Imports, from_imports, is_for_tests
from saas_doctor.facts.names import bound_names
from saas_doctor.facts.source import Module, Source
from saas_doctor.model import Place
from saas_doctor.platform import Platform

# Python has these before it looks at the script's folder: a file of that name shadows nothing.
_LOADED_BEFORE = {
    "abc",
    "codecs",
    "encodings",
    "genericpath",
    "io",
    "os",
    "posixpath",
    "ntpath",
    "site",
    "stat",
}
# What FastAPI, Pydantic, uvicorn or httpx import themselves.
NEEDED = {
    "asyncio", "base64", "collections", "concurrent", "contextlib", "contextvars", "copy",
    "dataclasses", "datetime", "decimal", "email", "enum", "functools", "html", "http", "importlib",
    "inspect", "ipaddress", "json", "logging", "mimetypes", "numbers", "operator", "platform",
    "queue", "random", "re", "secrets", "select", "selectors", "signal", "socket", "ssl", "string",
    "subprocess", "tempfile", "threading", "traceback", "types", "typing", "urllib", "uuid",
    "warnings", "weakref", "zipfile",
}  # fmt: skip
_PUTS_ON_THE_PATH = (b"sys.path", b"chdir", b"app_dir", b"PYTHONPATH", b"runpy")
# A way of starting that puts the folder on the path is told of somewhere here.
_TELLING = (
    "Makefile",
    "Procfile",
    "README.md",
    "docker-compose.yml",
    "compose.yaml",
    "compose.yml",
    "docker-compose.yaml",
)


@dataclass(frozen=True)
class Lost:
    """A script in whose folder an import is not found: its place, and the folder that holds it."""

    script: Module
    module: str
    place: Place
    folder: Path
    service: str
    insert_at: int
    levels: int


@dataclass(frozen=True)
class Shadow:
    """A module of the platform that is found in place of one of the standard library.

    `lacks`: an imported name that it does not have, with the place; `needed`: whether the
    packages that every service loads import it.
    """

    module: Module
    needed: bool
    lacks: str = ""
    lacks_at: Place | None = None


@dataclass(frozen=True)
class Scripts(Fact):
    """What `python run.py` of each service finds and does not find."""

    platform: Platform
    source: Source
    imports: Imports

    limit = 20.0

    @classmethod
    def read(cls, platform: Platform, source: Source, imports: Imports) -> Scripts:
        return cls(platform, source, imports)

    @cached_property
    def folders(self) -> dict[Path, str]:
        """The folders of services that hold a `run.py`, with the service's name."""
        services = self.platform.config.services
        folders = {self.platform.path(s.directory): name for name, s in services.items()}
        return {folder: name for folder, name in folders.items() if (folder / "run.py").is_file()}

    @cached_property
    def lost(self) -> tuple[Lost, ...]:
        """The scripts that can't import a package of the platform."""
        if "PYTHONPATH" in self.platform.environ or self._told_otherwise(b"PYTHONPATH"):
            return ()
        return tuple(found for folder in self.folders for found in self._lost_in(folder))

    def _lost_in(self, folder: Path) -> Iterator[Lost]:
        by_path = {m.path: m for m in self.source.modules if m.path.parent == folder}
        script, main = by_path.get(folder / "run.py"), by_path.get(folder / "main.py")
        if script is None or script.tree is None:
            return
        started = [main] if main is not None and b"main:app" in script.data else []
        together = [script, *started]
        if any(word in m.data for m in together for word in _PUTS_ON_THE_PATH):
            return
        if self._told_otherwise(f"-m {folder.name}.run".encode()):
            return
        for module in together:
            for node in module.body:
                for name in _tops(node):
                    home = self._home(folder, name)
                    if home:
                        levels = len(folder.relative_to(home).parts)
                        at = _first_import(script)
                        yield Lost(
                            script, name, module.place(node), home, self.folders[folder], at, levels
                        )
                        return

    def _home(self, folder: Path, top: str) -> Path | None:
        """The source root above the folder that holds the module, where the script has no other."""
        if (
            top in sys.stdlib_module_names
            or (folder / top).is_dir()
            or (folder / f"{top}.py").is_file()
        ):
            return None
        if self.imports.installed(top) or self.imports.site is None:
            return None  # without an environment it may well be installed there
        roots = [r for r in self.source.roots if folder.is_relative_to(r) and folder != r]
        return next((r for r in roots if (r / top).is_dir() or (r / f"{top}.py").is_file()), None)

    def _told_otherwise(self, word: bytes) -> bool:
        """Whether the platform's own files tell of another way to start."""
        files = [self.platform.path(name) for name in _TELLING]
        files += [*self.platform.root.glob("*.sh"), *self.platform.root.glob("scripts/*.sh")]
        files += self.platform.root.glob("docker/Dockerfile*")
        files += [
            *self.platform.root.glob("Dockerfile*"),
            *self.platform.root.glob("*/Dockerfile*"),
        ]
        return any(word in _read(file) for file in files)

    @cached_property
    def shadows(self) -> tuple[Shadow, ...]:
        """The modules at the top of a search path that are called as one of the standard library."""
        return tuple(self._shadows())

    def _shadows(self) -> Iterator[Shadow]:
        tops = {*self.folders, *self.source.roots[:1]}
        for module in self.source.modules:
            stem = module.path.stem if not module.is_package else module.path.parent.name
            parent = module.path.parent if not module.is_package else module.path.parent.parent
            known = stem in sys.stdlib_module_names and stem not in sys.builtin_module_names
            if (
                not known
                or stem in _LOADED_BEFORE
                or parent not in tops
                or stem in ("test", "this")
            ):
                continue
            names = bound_names(module)
            lacks = self._lacking(stem, parent, names) if names is not None else None
            needed = stem in NEEDED
            if lacks:
                yield Shadow(module, needed, *lacks)
            elif needed:
                yield Shadow(module, needed)

    def _lacking(self, stem: str, parent: Path, names: set[str]) -> tuple[str, Place] | None:
        """A name that the platform imports from the standard module, and that this one lacks."""
        for other in self.source.mentioning(stem):
            if not other.path.is_relative_to(parent) or is_for_tests(other):
                continue
            for found in from_imports(other):
                if found.origin == stem and found.name not in names and found.name != "*":
                    for node in other.nodes:
                        if (
                            isinstance(node, ast.ImportFrom)
                            and node.module == stem
                            and not node.level
                            and id(node) not in other.guarded
                        ):
                            return found.name, other.place(node)
        return None


def _tops(node: ast.stmt) -> list[str]:
    """The first parts of what a statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level and node.module:
        return [node.module.partition(".")[0]]
    return []


def _first_import(script: Module) -> int:
    """Where a statement can be put in before the first import that is not of `__future__`."""
    for node in script.body:
        future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if isinstance(node, ast.Import | ast.ImportFrom) and not future:
            return script.offset(node.lineno, node.col_offset)
    return script.offset(script.body[0].lineno, 0) if script.body else 0


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()[:200_000] if file.is_file() else b""
    except OSError:
        return b""
