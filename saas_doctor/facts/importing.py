"""What happens when a module is imported: which local modules run, in which order, where it fails."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import NoReturn, Protocol

from msgspec import Struct, field

from saas_doctor.facts.imports import OPEN_PATH, Imports, is_beside
from saas_doctor.facts.module import Module
from saas_doctor.facts.outline import Import
from saas_doctor.facts.search_path import Untold, additions, changes

# In every interpreter before the first import looks at the path.
AT_START = {
    *("abc", "atexit", "builtins", "codecs", "encodings", "errno", "faulthandler", "gc"),
    *("genericpath", "io", "itertools", "marshal", "ntpath", "os", "posix", "posixpath", "pwd"),
    *("runpy", "site", "stat", "sys", "time", "zipimport", "linecache", "__future__"),
}


class Outline(Protocol):
    """A module's imports in their order, and where it first binds a name."""

    @property
    def imports(self) -> Sequence[Import]: ...

    def first(self, name: str) -> int | None: ...


class Failure(Struct, frozen=True):
    """An import that ends the start: `kind` is "missing", "relative" or "circular".

    `full`: the full name that is imported. `partial`: the module that has not got so far.
    `chain`: the names of the modules that are being imported, from that one to the importer.
    """

    kind: str
    module: Module
    statement: Import
    full: str
    name: str = ""
    partial: Module | None = None
    chain: tuple[str, ...] = ()


class Shadow(Struct, frozen=True):
    """An import of a local module at the top that the standard library or a package has as well."""

    module: Module
    statement: Import
    local: Module


def _line(module: Module, statement: Import) -> int:
    return statement.at if statement.node else module.data.count(b"\n", 0, statement.at) + 1


class _Loaded(Struct):
    module: Module | None
    folders: tuple[str, ...]
    """Where its submodules are looked for."""
    certain: bool = True
    """Whether its failure ends what imports it."""
    at: int = -1
    done: bool = False


class _Stop(Exception):
    """The first failure, or what can't be told, ends the run."""


class Run(Struct):
    """One start: `path` is where imports begin, in order; `untold` that its end was not reached.

    `exact`: by the trees in place of the text. `maybe`: with the imports that may not be executed.
    """

    imports: Imports
    path: list[str]
    exact: bool = False
    maybe: bool = True
    late: set[str] = field(default_factory=set)
    """Folders of the path that come after the standard library and the environment's packages."""
    replaced: dict[str, Outline] = field(default_factory=dict)
    """Outlines for modules as they would be, by their paths."""
    failure: Failure | None = None
    untold: bool = False
    shadows: list[Shadow] = field(default_factory=list)
    reached: list[Module] = field(default_factory=list)
    _loaded: dict[str, _Loaded] = field(default_factory=dict)
    _importing: list[str] = field(default_factory=list)
    _shadowing: set[str] = field(default_factory=set)
    _memo: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)

    def script(self, module: Module) -> None:
        """Run a module as `python module.py` does."""
        self._run("__main__", _Loaded(module, ()))

    def load(self, dotted: str) -> bool:
        """Import a module by its full name; whether it was found."""
        parts = dotted.split(".")
        for cut in range(1, len(parts) + 1):
            name = ".".join(parts[:cut])
            if name not in self._loaded:
                found = self._find(name)
                if found is None:
                    return False
                self._run(name, found)
        return True

    def _run(self, name: str, loaded: _Loaded) -> None:
        if self.failure or self.untold:
            return
        stack = [self._execute(name, loaded)]
        try:
            while stack:
                step = next(stack[-1], None)
                if step is None:
                    stack.pop()
                else:
                    stack.append(self._execute(*step))
        except _Stop:
            pass

    def _execute(self, name: str, loaded: _Loaded) -> Iterator[tuple[str, _Loaded]]:
        """The modules that a module's imports load, each before the next is asked for."""
        self._loaded[name] = loaded
        module = loaded.module
        if module is None:
            loaded.done = True
            return
        self.reached.append(module)
        self._importing.append(name)
        package = name if module.is_package else name.rpartition(".")[0]
        added = self._additions(module)
        for statement in self._outline(module).imports:
            loaded.at = statement.at
            while added and added[0][0] <= _line(module, statement):
                self._extend(*added.pop(0)[1:])
            if not (statement.certain or self.maybe):
                continue
            parts = self._parts(module, package, statement)
            target = self._loaded.get(parts[-1])
            # Nothing more to do for what is loaded and has nothing in it to load.
            whole = target and target.done and not target.folders and not self.exact
            if not whole or parts[0] in self._shadowing:
                yield from self._import(module, parts, statement)
        for addition in added:
            self._extend(*addition[1:])
        self._importing.pop()
        loaded.done = True

    def _additions(self, module: Module) -> list[tuple[int, str, bool]]:
        try:
            return additions(module) if changes(module) else []
        except Untold:
            self._give_up()

    def _extend(self, folder: str, first: bool) -> None:
        self.path.insert(0 if first else len(self.path), folder)
        if not first:
            self.late.add(folder)

    def _outline(self, module: Module) -> Outline:
        replaced = self.replaced.get(str(module.path))
        if replaced:
            return replaced
        outline = self.imports.outline(module) if self.exact else self.imports.text(module)
        if outline is None:
            self._give_up()
        return outline

    def _import(
        self, module: Module, parts: tuple[str, ...], statement: Import
    ) -> Iterator[tuple[str, _Loaded]]:
        full = parts[-1]
        for name in parts:
            if name not in self._loaded:
                found = self._find(name)
                if found is None:
                    if not self._is_elsewhere(statement, full, name):
                        return  # another's, of which nothing is known here
                    self._fail(Failure("missing", module, statement, full))
                found.certain = statement.certain
                if name == parts[0] and found.module and self.imports.foreign(name):
                    self._shadowing.add(name)
                yield name, found
            if name == parts[0] and name in self._shadowing:
                local = self._loaded[name].module
                assert local
                self.shadows.append(Shadow(module, statement, local))
        target = self._loaded[full]
        inside = [self.imports.children.get(folder, frozenset()) for folder in target.folders]
        for name in statement.names if inside or not target.done or self.exact else []:
            inner = f"{full}.{name}"
            # A name of the module itself comes before a module in its folder.
            if inner in self._loaded or (target.module and self._binds(target, name)):
                continue
            found = self._find(inner) if any(name in names for names in inside) else None
            if found is not None:
                yield inner, found
            elif target.module and not target.done and name != "*":
                self._is_partial(module, statement, full, target, name)
            elif self.exact and statement.certain and name != "*" and self._never(target, name):
                self._give_up()  # it ends here, by another fault

    def _binds(self, target: _Loaded, name: str) -> bool:
        """Whether the module has the name by now."""
        assert target.module
        if target.done and not target.folders and not self.exact:
            return True
        first = self._outline(target.module).first(name)
        return first is not None and (target.done or first < target.at)

    def _never(self, target: _Loaded, name: str) -> bool:
        """Whether a loaded module, or a folder of modules, surely has no such name."""
        return target.module is None or self.imports.lacks(target.module, name)

    def _is_partial(
        self, module: Module, statement: Import, full: str, target: _Loaded, name: str
    ) -> None:
        """The name is not there yet, or, where it never will be, that is another fault."""
        assert target.module
        if self.exact:
            outline = self.imports.outline(target.module)
            # Where it is bound by everything of another module, the tree does not tell when.
            told = outline and outline.closed and not outline.stars and name in outline.bound
            if not told:
                self._give_up()
        names = self._importing
        chain = tuple(names[names.index(full) :]) if full in names else (full,)
        self._fail(Failure("circular", module, statement, full, name, target.module, chain))

    def _parts(self, module: Module, package: str, statement: Import) -> tuple[str, ...]:
        """The full names that an import loads: of the packages on the way, then its own."""
        origin = statement.origin
        key = (package if origin[0] == "." else "", origin)
        found = self._memo.get(key)
        if found is None:
            name = origin.lstrip(".")
            level = len(origin) - len(name)
            above = package.split(".") if package and level else []
            if level > len(above):
                self._fail(Failure("relative", module, statement, origin))
            # The packages that a relative import begins at are being imported by now.
            start = ".".join(above[: len(above) - level + 1])
            words = name.split(".") if name else []
            full = [".".join([start, *words[: n + 1]]).lstrip(".") for n in range(len(words))]
            found = self._memo[key] = tuple(full) or (start,)
        return found

    def _find(self, name: str) -> _Loaded | None:
        """A local module, or a folder of them, as the import system finds it."""
        parent, _, last = name.rpartition(".")
        folders = self._loaded[parent].folders if parent else tuple(self.path)
        if not parent and last in AT_START:
            return None
        spaces: list[str] = []
        foreign = not parent and self.imports.foreign(last)
        for folder in folders:
            if foreign and folder in self.late:
                continue
            path = f"{folder}/{last}"
            module = self.imports.files.get(path)
            if module is not None:
                return _Loaded(module, (path,) if module.is_package else ())
            if path in self.imports.folders:
                spaces.append(path)
        if spaces and not foreign:
            return _Loaded(None, tuple(spaces))
        return None

    def _is_elsewhere(self, statement: Import, full: str, name: str) -> bool:
        """Whether the platform has the module in a folder that is not asked.

        `name`: the part of its full name that is not found.
        """
        parent, _, last = name.rpartition(".")
        imports = self.imports
        if not parent and (imports.foreign(last) or last in AT_START):
            return False
        package = self._loaded[parent].module if parent else None
        if package and any(word in package.data for word in OPEN_PATH):
            self._give_up()
        folders = self._loaded[parent].folders if parent else self.path
        if any(is_beside(folder, last) for folder in folders if os.path.isdir(folder)):
            self._give_up()
        ending = "/" + full.replace(".", "/")
        for path in imports.anywhere(full):
            inside = imports.children.get(path, frozenset())
            # In a package it has another full name; a folder alone is one by what is in it.
            there = path in imports.files or any(name in inside for name in statement.names)
            if there and path[: -len(ending)] not in imports.files:
                if imports.site is None and "." not in full and path not in imports.folders:
                    self._give_up()  # it may as well be a package that is to be installed
                return True
        if parent:
            self._give_up()  # it is nowhere, which is another fault
        return False

    def _fail(self, failure: Failure) -> NoReturn:
        sure = failure.statement.certain and all(self._loaded[n].certain for n in self._importing)
        if not sure:
            self._give_up()
        self.failure = failure
        raise _Stop

    def _give_up(self) -> NoReturn:
        self.untold = True
        raise _Stop
