"""The platform's Python source: its files, their syntax trees, and where an imported name comes from."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from saas_doctor.facts import Fact
from saas_doctor.model import Absent, Place
from saas_doctor.platform import Platform
from saas_doctor.syntax import parse_python

_LEFT_OUT = {
    "node_modules",
    "__pycache__",
    "site-packages",
    "build",
    "dist",
    "venv",
    "env",
    "logs",
}
MAXIMUM = 2_000_000
"""Bytes: a larger file is no source that somebody wrote."""


@dataclass(frozen=True)
class Module:
    """One Python file; `name` is its path relative to the platform, `dotted` how it is imported."""

    path: Path
    name: str
    dotted: str
    data: bytes

    @cached_property
    def parsed(self) -> ast.Module | Exception:
        try:
            return parse_python(self.data, self.name)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return error

    @property
    def tree(self) -> ast.Module | None:
        """The syntax tree; None for a file that can't be parsed, which a check of its own says."""
        return self.parsed if isinstance(self.parsed, ast.Module) else None

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    def place(self, node: ast.expr | ast.stmt | ast.keyword) -> Place:
        return Place(self.name, node.lineno, node.col_offset + 1)

    @cached_property
    def _starts(self) -> list[int]:
        starts, at = [0], 0
        for line in self.data.splitlines(keepends=True):
            at += len(line)
            starts.append(at)
        return starts

    def offset(self, line: int, column: int) -> int:
        """The byte offset of a position in the syntax tree, whose columns count bytes."""
        mark = 3 if line == 1 and self.data.startswith(b"\xef\xbb\xbf") else 0
        return self._starts[line - 1] + column + mark

    @cached_property
    def imports(self) -> dict[str, str]:
        """The names this module imports, anywhere in it, with what they stand for."""
        found: dict[str, str] = {}
        for node in ast.walk(self.tree or ast.Module([], [])):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    first = alias.name.partition(".")[0]
                    found[alias.asname or first] = alias.name if alias.asname else first
            elif isinstance(node, ast.ImportFrom):
                origin = self.origin(node)
                for alias in node.names:
                    found[alias.asname or alias.name] = f"{origin}.{alias.name}"
        return found

    def origin(self, node: ast.ImportFrom) -> str:
        """The full name of the module that a `from ... import` names."""
        if not node.level:
            return node.module or ""
        parts = self.dotted.split(".")
        kept = parts[: len(parts) - node.level + (1 if self.is_package else 0)]
        return ".".join([*kept, *([node.module] if node.module else [])])

    @cached_property
    def classes(self) -> dict[str, ast.ClassDef]:
        """The classes at the top level."""
        body = self.tree.body if self.tree else []
        return {node.name: node for node in body if isinstance(node, ast.ClassDef)}

    @cached_property
    def defined(self) -> set[str]:
        """The names that the top level itself defines, imports left out."""
        names: set[str] = set()
        for node in self.tree.body if self.tree else []:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Assign):
                names |= {t.id for t in node.targets if isinstance(t, ast.Name)}
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                names.add(node.target.id)
        return names


def dotted_name(node: ast.expr) -> str:
    """`a.b.c` of an expression, of its function where it is a call, of its value where subscripted."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = dotted_name(node.value)
        return f"{head}.{node.attr}" if head else ""
    if isinstance(node, ast.Subscript):
        return dotted_name(node.value)
    return ""


@dataclass(frozen=True)
class Source(Fact):
    """The platform's Python files: back end, plugins and services, without environments and caches."""

    modules: tuple[Module, ...]
    roots: tuple[Path, ...]

    limit = 20.0

    @classmethod
    def read(cls, platform: Platform) -> Source:
        backend = platform.path(platform.config.backend)
        services = [platform.path(s.directory) for s in platform.config.services.values()]
        outside = [folder for folder in services if not folder.is_relative_to(backend)]
        roots = [folder for folder in (backend, *outside) if folder.is_dir()]
        found = {
            path: Module(path, platform.relative(path), _dotted(path, root), data)
            for root in roots
            for path, data in _files(root)
        }
        if not found:
            raise Absent(f"no Python source in {platform.config.backend}")
        return cls(tuple(found.values()), tuple(roots))

    def mentioning(self, *words: str) -> Iterator[Module]:
        """The modules in whose text any of the words stands: cheap, before anything is parsed."""
        wanted = [word.encode() for word in words]
        return (m for m in self.modules if any(word in m.data for word in wanted))

    @cached_property
    def by_name(self) -> Mapping[str, Module]:
        return {module.dotted: module for module in self.modules}

    def class_of(self, module: Module, name: str) -> tuple[Module, ast.ClassDef] | None:
        """The class that a name in a module stands for, followed through imports and re-exports."""
        seen: set[tuple[str, str]] = set()
        while (module.dotted, name) not in seen:
            seen.add((module.dotted, name))
            head, _, rest = name.partition(".")
            if not rest and head in module.classes:
                return module, module.classes[head]
            target = self._locate(module, name)
            if target is None:
                return None
            module, name = target
        return None

    def _locate(self, module: Module, name: str) -> tuple[Module, str] | None:
        """The local module that a dotted name leads to, and the name in it."""
        full = self.full_name(module, name)
        parts = full.split(".")
        for cut in range(len(parts) - 1, 0, -1):
            local = self.by_name.get(".".join(parts[:cut]))
            if local:
                return local, ".".join(parts[cut:])
        return None

    def imports_from(self, dotted: str) -> list[tuple[Module, ast.ImportFrom]]:
        """Every `from <dotted> import ...` in the platform."""
        last = dotted.rpartition(".")[2]
        return [
            (module, node)
            for module in self.mentioning(last)
            for node in ast.walk(module.tree or ast.Module([], []))
            if isinstance(node, ast.ImportFrom) and module.origin(node) == dotted
        ]

    @cached_property
    def unmarked(self) -> dict[Path, str]:
        """The folders below a root that hold modules but no `__init__.py`, with their dotted names."""
        marked = {m.path.parent for m in self.modules if m.is_package}
        folders = {m.path.parent: m.dotted.rpartition(".")[0] for m in self.modules}
        return {f: dotted for f, dotted in folders.items() if f not in marked and dotted}

    @staticmethod
    def full_name(module: Module, name: str) -> str:
        """The name with its first part replaced by what the module imports it as."""
        head, _, rest = name.partition(".")
        origin = module.imports.get(head, head)
        return f"{origin}.{rest}" if rest else origin

    def ancestry(self, module: Module, node: ast.ClassDef) -> set[str]:
        """The full names of everything a class derives from, across files.

        A base made by a call at a module's top level is named by the call: `...declarative_base()`.
        """
        found: set[str] = set()
        queue = [(module, node)]
        seen: set[tuple[str, str]] = set()
        while queue:
            where, cls = queue.pop()
            if (where.dotted, cls.name) in seen:
                continue
            seen.add((where.dotted, cls.name))
            for base in cls.bases:
                if isinstance(base, ast.Call):
                    found.add(self.full_name(where, dotted_name(base.func)) + "()")
                name = dotted_name(base)
                if not name:
                    continue
                found |= {self.full_name(where, name), *self._made_by_call(where, name)}
                parent = self.class_of(where, name)
                if parent:
                    queue.append(parent)
        return found

    def _made_by_call(self, module: Module, name: str) -> set[str]:
        """How `Base = declarative_base()` was made, where the name stands for such a value."""
        for _ in range(8):  # re-exports of re-exports
            for node in module.tree.body if module.tree else []:
                if (
                    isinstance(node, ast.Assign)
                    and isinstance(node.value, ast.Call)
                    and any(isinstance(t, ast.Name) and t.id == name for t in node.targets)
                ):
                    return {self.full_name(module, dotted_name(node.value.func)) + "()"}
            target = self._locate(module, name)
            if target is None:
                break
            module, name = target
        return set()


def _dotted(path: Path, root: Path) -> str:
    parts = PurePosixPath(path.relative_to(root).as_posix()).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _files(root: Path) -> Iterator[tuple[Path, bytes]]:
    for folder, names, files in os.walk(root):
        names[:] = sorted(n for n in names if not _is_left_out(Path(folder) / n))
        for name in sorted(files):
            path = Path(folder) / name
            if name.endswith(".py"):
                data = _bytes(path)
                if data is not None:
                    yield path, data


def _is_left_out(folder: Path) -> bool:
    return (
        folder.name in _LEFT_OUT
        or folder.name.startswith(".")
        or (folder / "pyvenv.cfg").exists()
        or folder.is_symlink()
    )


def _bytes(path: Path) -> bytes | None:
    try:
        if not path.is_file() or path.stat().st_size > MAXIMUM:
            return None
        return path.read_bytes()
    except OSError:
        return None
