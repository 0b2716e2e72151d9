"""What the platform's modules import from each other, and which of it is not there.

Read from text first: to parse ten thousand files takes seconds. What the text leaves in doubt is
judged by the syntax tree.
"""

from __future__ import annotations

import ast
import difflib
import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from saas_doctor.facts import Fact
from saas_doctor.facts.interpreter import Interpreter
from saas_doctor.facts.layout import NEVER_DUE, Layout
from saas_doctor.facts.names import bound_names
from saas_doctor.facts.requirements import Requirements
from saas_doctor.facts.source import Module, Source
from saas_doctor.model import Place
from saas_doctor.platform import Platform

_FROM = re.compile(
    rb"^([ \t]*)from[ \t]+(\.*)[ \t]*([\w.]*)[ \t]+import\b[ \t]*(\([^)]*\)|(?:[^\n\\;#]|\\\r?\n)*)",
    re.M,
)
# Modules that a build or a tool makes, and that a repository does not hold.
_MADE = re.compile(r"_.*|version|.*_pb2(_grpc)?|.*generated.*")
_MODULE_ENDS = (".py", ".pyi", ".so", ".pyd", ".pyx", ".c", ".rs")


@dataclass(frozen=True)
class FromImport:
    """One name of a `from ... import`, as the text has it."""

    module: Module
    origin: str
    """The full name of the module that it is imported from."""
    name: str


@dataclass(frozen=True)
class Missing:
    """An import that can't hold: of a module that is nowhere, or of a name that it does not define.

    `near`: what may be meant. `node`: the statement. `sure`: it runs whenever its module is imported.
    """

    module: Module
    node: ast.ImportFrom
    origin: str
    name: str
    place: Place
    target: Module | None
    near: str = ""
    sure: bool = True
    homes: tuple[Module, ...] = ()
    """The modules of the package that do define the name."""
    written: str = ""
    """The same module as the disk writes it, where the letters' case alone differs."""


@dataclass(frozen=True)
class Imports(Fact):
    """The imports between the platform's modules that can't hold."""

    platform: Platform
    source: Source
    site: Path | None
    unmarked: frozenset[str]
    required: frozenset[str] = frozenset()

    limit = 20.0

    @classmethod
    def read(
        cls,
        platform: Platform,
        source: Source,
        interpreter: Interpreter,
        layout: Layout,
        requirements: Requirements,
    ) -> Imports:
        site = interpreter.site_packages if interpreter.version else None
        # Folders that lack the file and are asked for names: another check tells of those.
        unmarked = frozenset(folder.dotted for folder in layout.unmarked)
        required = frozenset(line.name for line in requirements.lines)
        return cls(platform, source, site, unmarked, required)

    @cached_property
    def missing(self) -> tuple[Missing, ...]:
        """The imports of local modules, or of names in them, that can't hold."""
        return tuple(self._missing())

    def _missing(self) -> Iterator[Missing]:
        for module in self.source.modules:
            suspects = {(f.origin, f.name) for f in from_imports(module) if not self._holds(f)}
            if not suspects or module.tree is None:
                continue
            inside = _in_functions(module)
            for node in module.nodes:
                if not isinstance(node, ast.ImportFrom) or id(node) in module.guarded:
                    continue
                origin = module.origin(node)
                for alias in node.names:
                    if (origin, alias.name) in suspects:
                        sure = id(node) not in inside
                        found = self._judged(module, node, origin, alias, sure)
                        if found:
                            yield found

    def _holds(self, wanted: FromImport) -> bool:
        """Whether the import holds, or is none of the platform's; its module is not parsed for it."""
        target = self._target(wanted.module, wanted.origin)
        if target is None:
            return not self._is_ours(wanted.module, wanted.origin)
        if wanted.name == "*" or _seems_to_define(target, wanted.name):
            return True
        names = self._defined(target)
        return names is None or wanted.name in names or self._submodule(target, wanted.name)

    def _target(self, module: Module, origin: str) -> Module | None:
        """The platform's module that the name surely means: in its own root, or the back end's.

        Not one beside it, which only a script in that folder finds, nor one that is called as an
        installed package or a folder of scripts.
        """
        top = origin.partition(".")[0]
        if top in NEVER_DUE or top in sys.stdlib_module_names or self._foreign(top):
            return None
        return self.source.own(module, origin) if origin else None

    def _submodule(self, target: Module, name: str) -> bool:
        return target.is_package and self._lies_in(target.path.parent, name)

    def _lies_in(self, folder: Path, name: str) -> bool:
        """Whether a folder holds a module or a folder of that name, in exactly these letters."""
        if folder not in self.listings:
            self.listings[folder] = _listing(folder)
        there = self.listings[folder]
        return name in there or any(
            entry.startswith(f"{name}.") and entry.endswith(_MODULE_ENDS) for entry in there
        )

    @cached_property
    def listings(self) -> dict[Path, frozenset[str]]:
        """What lies in the folders that were asked for."""
        return {}

    def _is_ours(self, module: Module, origin: str) -> bool:
        """Whether a name that no module has begins in a package that surely is the platform's."""
        top, _, rest = origin.partition(".")
        if not rest or top in NEVER_DUE | sys.stdlib_module_names or self._foreign(top):
            return False
        root = next(
            (
                r
                for r in dict.fromkeys((module.root, *self.source.roots[:1]))
                if self._regular(r, top)
            ),
            None,
        )
        if root is None or self._may_be_elsewhere(module, root, origin):
            return False
        folder = root
        for part in origin.split("."):
            if not self._lies_in(folder, part):
                return _MADE.fullmatch(part) is None
            folder = folder / part
        return False  # a folder of modules without the file: names can't come from it, modules can

    def _may_be_elsewhere(self, module: Module, root: Path, origin: str) -> bool:
        """Whether a package widens its own path, or a folder above the module holds it as well.

        A program in a folder of its own finds what lies there, before what lies in the root.
        """
        top = origin.partition(".")[0]
        if b"__path__" in self.source.by_name[root, top].data:
            return True
        for folder in module.path.parents:
            if folder == root or not folder.is_relative_to(root):
                return False
            if self._lies_in(folder, top):
                return True
        return False

    def _regular(self, root: Path, top: str) -> bool:
        return (root, top) in self.source.by_name and self.source.by_name[root, top].is_package

    def _foreign(self, top: str) -> bool:
        """Whether a package of that name is installed or, for all that is known, to be installed."""
        return self.installed(top) or top.replace("_", "-").lower() in self.required

    def installed(self, top: str) -> bool:
        """Whether the environment has a package or module of that name."""
        if self.site is None:
            return False
        return (self.site / top).is_dir() or (self.site / f"{top}.py").is_file()

    def _judged(
        self, module: Module, node: ast.ImportFrom, origin: str, alias: ast.alias, sure: bool
    ) -> Missing | None:
        """The import as the syntax trees tell it; None where it holds or can't be told."""
        place = module.place(node)
        target = self._target(module, origin)
        if target is None:
            if self._ignored(origin):
                return None
            written = self._written(module, origin)
            near = written or self._near(module, origin)
            return Missing(module, node, origin, alias.name, place, None, near, sure, (), written)
        if origin in self.unmarked or target.tree is None or alias.name.startswith("__"):
            return None
        names = self._defined(target)
        if names is None or alias.name in names or self._submodule(target, alias.name):
            return None
        if self._ignored(f"{origin}.{alias.name}") or _MADE.fullmatch(alias.name):
            return None
        homes = tuple(self._homes(target, alias.name))
        near = _nearest(alias.name, names)
        return Missing(module, node, origin, alias.name, place, target, near, sure, homes)

    def _defined(self, module: Module) -> set[str] | None:
        """All the names that a module may have; None where that can't be told from the text."""
        if module.name not in self.defined:
            self.defined[module.name] = self._names_of(module)
        return self.defined[module.name]

    @cached_property
    def defined(self) -> dict[str, set[str] | None]:
        """The names of the modules that were asked for."""
        return {}

    def _names_of(self, module: Module, depth: int = 0) -> set[str] | None:
        found = bound_names(module)
        if found is None or depth > 8:
            return None
        for star in module.stars:
            other = self._target(module, star)
            more = self._names_of(other, depth + 1) if other and other is not module else None
            if more is None:
                return None
            found = found | more
        return found

    def _homes(self, package: Module, name: str) -> Iterator[Module]:
        """The modules directly in a package that define the name."""
        if package.is_package:
            folder = package.path.parent
            for module in self.source.mentioning(name):
                if (
                    module.path.parent == folder
                    and module is not package
                    and name in module.defined
                ):
                    yield module

    def needs(self, module: Module, package: str) -> bool:
        """Whether a module, or what it imports in its turn, imports from this package itself."""
        queue, seen = [module], {module.name}
        for current in queue:  # grows meanwhile
            for found in from_imports(current):
                target = self._target(current, found.origin)
                if found.origin == package and not (target and self._submodule(target, found.name)):
                    return True
                if target is not None and target.name not in seen:
                    seen.add(target.name)
                    queue.append(target)
        return False

    def _written(self, module: Module, origin: str) -> str:
        """The dotted name as the disk writes it, where the letters' case alone differs."""
        wanted = origin.lower()
        roots = (module.root, *self.source.roots[:1])
        found = {d for r, d in self.source.by_name if r in roots and d.lower() == wanted}
        return found.pop() if len(found) == 1 else ""

    def _near(self, module: Module, origin: str) -> str:
        known = [d for r, d in self.source.by_name if r == module.root and d]
        return _nearest(origin, known, 0.8)

    @cached_property
    def _not_kept(self) -> str:
        """What git is told to pass over: modules that a build makes may be among it."""
        folders = {self.platform.root, *self.source.roots}
        texts = []
        for folder in folders:
            try:
                texts.append((folder / ".gitignore").read_text("utf-8", "replace"))
            except OSError:
                continue
        return "\n".join(texts)

    def _ignored(self, dotted: str) -> bool:
        return re.search(rf"\b{re.escape(dotted.rpartition('.')[2])}\b", self._not_kept) is not None


def from_imports(module: Module) -> Iterator[FromImport]:
    """The names that the text imports from modules; strings that look like it are among them."""
    if b"import" not in module.data:
        return
    package = module.dotted.split(".") if module.dotted else []
    package = package if module.is_package else package[:-1]
    for found in _FROM.finditer(module.data):
        dots, name = len(found.group(2)), found.group(3).decode()
        if dots > len(package) + 1:
            continue
        above = package[: len(package) - dots + 1] if dots else []
        origin = ".".join([*above, *([name] if name else [])])
        listed = re.sub(r"#[^\n]*|\\\r?\n|[()\r\n]", " ", found.group(4).decode("utf-8", "replace"))
        for part in listed.split(","):
            word = part.split()
            if word:
                yield FromImport(module, origin, word[0])


def _nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    near = difflib.get_close_matches(word, sorted(known), n=1, cutoff=cutoff)
    return near[0] if near else ""


def _seems_to_define(module: Module, name: str) -> bool:
    """Whether the text has a definition of that name: cheap, and true a little too often."""
    word = name.encode()
    data = module.data
    if word not in data:
        return False
    marks = (
        b"def %s(",
        b"class %s(",
        b"class %s:",
        b"\n%s =",
        b"\n%s:",
        b"import %s\n",
        b"def %s[",
    )
    return any(mark % word in data for mark in marks)


def _listing(folder: Path) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))
    except OSError:
        return frozenset()


def _in_functions(module: Module) -> set[int]:
    """The ids of the nodes inside functions: they run when those are called, if ever."""
    functions = (
        n
        for n in module.nodes
        if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    )
    return {id(inner) for function in functions for inner in ast.walk(function)}


def is_for_tests(module: Module) -> bool:
    """Whether a module is run by pytest, or by hand: what it can import depends on how."""
    parts = set(module.name.split("/")[:-1])
    stem = module.path.stem
    shown = any(part.startswith(("docs", "example", "sample", "test")) for part in parts)
    aside = stem.startswith("test_") or stem in ("conftest", "setup")
    return shown or aside or bool(parts & NEVER_DUE)
