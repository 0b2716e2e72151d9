"""What the imports of the platform's own modules mean: which of its files, if any."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from saas_doctor.facts import Fact
from saas_doctor.facts.interpreter import Interpreter
from saas_doctor.facts.module import Module
from saas_doctor.facts.outline import Import, TextOutline, TreeOutline, defines
from saas_doctor.facts.source import Source
from saas_doctor.platform import Platform

STANDARD = sys.stdlib_module_names
# What gives a package modules that are not in its folder.
OPEN_PATH = (b"__path__", b"sys.modules", b"extend_path")
# How the module that a service is started with is called.
_STARTED = {"run", "main", "app", "server", "api", "application", "asgi", "wsgi", "__main__"}


class Resolved(Struct, frozen=True):
    """The local modules that an import may mean, of which the first is the likely one.

    `base`: the folder that it was looked for in first; none where the import means another's module.
    `folder`: whether it may mean a folder of modules without `__init__.py`. `sure`: whether imports
    are sure to begin at the base: the module's own root, the back end's, or a folder above the
    module that is no package.
    """

    base: str = ""
    targets: tuple[Module, ...] = ()
    folder: bool = False
    sure: bool = True

    @property
    def is_there(self) -> bool:
        return bool(self.targets) or self.folder


FOREIGN = Resolved()


class Imports(Fact, frozen=True, eq=False):
    """The imports between the platform's own modules; each question is looked up when it is asked.

    `site`: the folder of the environment's packages, None where no interpreter answers.
    """

    platform: Platform
    source: Source
    site: Path | None = None
    others: set[bytes] = field(default_factory=set)
    """The names at the top that are imported and no module of the platform has."""
    _memo: dict[tuple[str, str], Resolved] = field(default_factory=dict)
    _bases: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    _outlines: dict[str, TreeOutline | None] = field(default_factory=dict)
    _lacking: dict[tuple[str, str], bool] = field(default_factory=dict)
    _texts: dict[int, TextOutline] = field(default_factory=dict)

    limit = 20.0

    @classmethod
    def read(cls, platform: Platform, source: Source, interpreter: Interpreter) -> Imports:
        return cls(platform, source, interpreter.site_packages if interpreter.version else None)

    # Where modules are.

    @cached_property
    def files(self) -> Mapping[str, Module]:
        """The modules by their path without its end; a package by its folder."""
        found: dict[str, Module] = {}
        for module in self.source.modules:
            path = str(module.path)
            key = path[: -len("/__init__.py")] if path.endswith("__init__.py") else path[:-3]
            if key not in found or module.is_package:  # a package wins over a file beside it
                found[key] = module
        return found

    @cached_property
    def folders(self) -> frozenset[str]:
        """The folders that hold modules, at any depth."""
        found: set[str] = set()
        for key in self.files:
            folder = os.path.dirname(key)
            while folder not in found and self._is_inside(folder):
                found.add(folder)
                folder = os.path.dirname(folder)
        return frozenset(found)

    @cached_property
    def children(self) -> Mapping[str, frozenset[str]]:
        """The names of the modules and folders of modules in each folder."""
        found: dict[str, set[str]] = {}
        for path in (*self.files, *self.folders):
            folder, _, name = path.rpartition("/")
            found.setdefault(folder, set()).add(name)
        return {folder: frozenset(names) for folder, names in found.items()}

    @cached_property
    def endings(self) -> Mapping[str, tuple[str, ...]]:
        """The paths of modules and of folders of modules, by the last of their parts."""
        found: dict[str, list[str]] = {}
        for path in {*self.files, *self.folders}:
            found.setdefault(path.rpartition("/")[2], []).append(path)
        return {name: tuple(paths) for name, paths in found.items()}

    @cached_property
    def names(self) -> frozenset[bytes]:
        """The names of all modules and folders of modules: nothing else can be imported locally."""
        return frozenset(os.fsencode(name) for name in self.endings)

    def anywhere(self, dotted: str) -> list[str]:
        """The paths in any folder that a full name could mean."""
        ending = "/" + dotted.replace(".", "/")
        return [p for p in self.endings.get(dotted.rpartition(".")[2], ()) if p.endswith(ending)]

    @cached_property
    def installed(self) -> frozenset[str]:
        """The names of the modules at the top of the environment."""
        try:
            names = os.listdir(self.site) if self.site else []
        except OSError:
            names = []
        return frozenset(name.partition(".")[0] for name in names)

    @cached_property
    def roots(self) -> tuple[str, ...]:
        return tuple(map(str, self.source.roots))

    def foreign(self, top: str) -> bool:
        """Whether a module of that name may be another's than the platform's."""
        return top in STANDARD or top in self.installed

    def has(self, base: str, dotted: str) -> bool:
        """Whether there is a module, or a folder of modules, of that name in the folder."""
        path = f"{base}/{dotted.replace('.', '/')}"
        return path in self.files or path in self.folders

    def resolve(self, module: Module, origin: str) -> Resolved:
        """What a module's import means, from where its own imports begin."""
        path = str(module.path)
        folder = path[: path.rindex(os.sep)]
        key = (folder, origin)
        found = self._memo.get(key)
        if found is None:
            relative = origin.startswith(".")
            found = (
                self._relative(folder, origin)
                if relative
                else self._absolute(str(module.root), folder, origin)
            )
            self._memo[key] = found
        return found

    def _relative(self, folder: str, origin: str) -> Resolved:
        name = origin.lstrip(".")
        for _ in range(len(origin) - len(name) - 1):
            folder = os.path.dirname(folder)
        return self._found((folder,), name) if self._is_inside(folder) else FOREIGN

    def _absolute(self, root: str, folder: str, origin: str) -> Resolved:
        top = origin.partition(".")[0]
        key = (folder, top)
        bases = self._bases.get(key)
        if bases is None:
            bases = self._bases[key] = tuple(self._bases_of(root, folder, top))
        if not bases:
            return FOREIGN
        found = self._found(bases, origin)
        first = bases[0]
        sure = first in (root, self.roots[0]) or (
            first not in self.files and folder.startswith(f"{first}/")
        )
        return found if sure else replace(found, sure=False)

    def _bases_of(self, root: str, folder: str, top: str) -> Iterator[str]:
        """The folders that a top-level name may be found in: roots, then folders above the module."""
        if self.foreign(top):
            return
        for base in dict.fromkeys((root, *self.roots)):
            if self.has(base, top):
                yield base
        while self._is_inside(folder):
            if folder != root and folder not in self.roots and self.has(folder, top):
                yield folder
            folder = os.path.dirname(folder)

    def _found(self, bases: tuple[str, ...], dotted: str) -> Resolved:
        ending = f"/{dotted.replace('.', '/')}" if dotted else ""
        targets = [(b, self.files[b + ending]) for b in bases if b + ending in self.files]
        # A package's own folder is no other thing than it.
        modules = {base for base, _ in targets}
        folder = any(b + ending in self.folders for b in bases if b not in modules)
        first = targets[0][0] if targets else bases[0]
        return Resolved(first, tuple(target for _, target in targets), folder)

    def _is_inside(self, folder: str) -> bool:
        root = str(self.platform.root)
        return folder == root or folder.startswith(root + os.sep)

    # Which names modules have.

    def outline(self, module: Module) -> TreeOutline | None:
        """The module's imports and names by its tree; None where it can't be parsed."""
        key = str(module.path)
        if key not in self._outlines:
            self._outlines[key] = TreeOutline.of(module)
        return self._outlines[key]

    def text(self, module: Module) -> TextOutline:
        """The module's imports and names by its text."""
        found = self._texts.get(id(module))
        if found is None:
            folder = os.path.dirname(str(module.path)) if module.is_package else ""
            found = self._texts[id(module)] = TextOutline(
                module.data, self.names, self.others, folder
            )
        return found

    def shows(self, module: Module, name: str) -> bool:
        """Whether the module's text shows the name, or its package has a module of it: quick."""
        text = self.text(module)
        if text.package and (name in text.imported or self.has(text.package, name)):
            return True
        return defines(module.data, name) or name in text.imported

    def lacks(self, module: Module, name: str) -> bool:
        """Whether the module surely does not have the name."""
        key = (str(module.path), name)
        if key not in self._lacking:
            without = self._is_without(module, name, frozenset())
            self._lacking[key] = without and not _is_set_elsewhere(self.source, name)
        return self._lacking[key]

    def _is_without(self, module: Module, name: str, seen: frozenset[str]) -> bool:
        outline, here = self.outline(module), str(module.path)
        if outline is None or not outline.closed or name in outline.bound or here in seen:
            return False
        folder = os.path.dirname(here)
        # A stub or an extension beside it, or a module of that name that is no Python source.
        if is_beside(folder, module.path.stem, module) or (
            module.is_package and is_beside(folder, name)
        ):
            return False
        for origin in outline.stars:
            found = self.resolve(module, origin)
            if not found.targets or found.folder:
                return False
            if not all(self._is_without(target, name, seen | {here}) for target in found.targets):
                return False
        return True

    # What is executed.

    @cached_property
    def started(self) -> frozenset[str]:
        """The paths of the modules that are imported, at any depth, by what starts a service."""
        services = self.platform.config.services.values()
        folders = {str(self.platform.path(service.directory)) for service in services}
        queue = [
            module
            for module in self.source.modules
            if module.path.stem in _STARTED
            and (os.path.dirname(str(module.path)) in folders or b"FastAPI(" in module.data)
        ]
        found = {str(module.path) for module in queue}
        while queue:
            module = queue.pop()
            for statement in self.text(module).imports:
                for target in self._executed(module, statement):
                    if str(target.path) not in found:
                        found.add(str(target.path))
                        queue.append(target)
        return frozenset(found)

    def _executed(self, module: Module, statement: Import) -> Iterator[Module]:
        """The modules that an import executes: the packages on the way, then its own."""
        name = statement.origin.lstrip(".")
        dots = statement.origin[: len(statement.origin) - len(name)]
        parts = name.split(".")
        for cut in range(1, len(parts) + 1):
            yield from self.resolve(module, dots + ".".join(parts[:cut])).targets
        for inner in statement.names:
            joined = f"{statement.origin}.{inner}" if name else f"{dots}{inner}"
            yield from self.resolve(module, joined).targets


def is_beside(folder: str, name: str, module: Module | None = None) -> bool:
    """Whether the folder has anything else of that name, also what is no Python source."""
    own = os.path.basename(str(module.path)) if module else ""
    try:
        entries: Iterable[str] = os.listdir(folder)
    except OSError:
        return True
    return any(entry.partition(".")[0] == name and entry != own for entry in entries)


def _is_set_elsewhere(source: Source, name: str) -> bool:
    """Whether any module sets an attribute of that name on something: `config.NAME = ...`."""
    word = re.escape(os.fsencode(name))
    pattern = re.compile(
        rb"\." + word + rb"\s*(?::[^=\n]+)?=[^=]|setattr\([^\n]*[\"']" + word + rb"[\"']"
    )
    likely = source.mentioning(f".{name} ", f".{name}=", f".{name}:", f'"{name}"', f"'{name}'")
    return any(pattern.search(module.data) for module in likely)
