"""Folders of modules without `__init__.py`, and what the code imports from them."""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.interpreter import Interpreter
from saas_doctor.facts.module import Module
from saas_doctor.facts.source import Source
from saas_doctor.model import Place
from saas_doctor.platform import Platform

# Folders of files that are run or collected, not imported; most tools want no file there.
NEVER_DUE = {
    "alembic",
    "bin",
    "docker",
    "docs",
    "migrations",
    "notebooks",
    "scripts",
    "static",
    "templates",
    "test",
    "tests",
    "tools",
    "versions",
}
_STANDARD = sys.stdlib_module_names

Import = tuple[Module, ast.Import | ast.ImportFrom]


class Unmarked(Struct, frozen=True):
    """One folder without the file.

    `asked`: the names imported from it that are no modules in it, with the first place.
    `homes`: for each such name, the modules of the folder that define it, in an order in which
    they can be imported; None where there is no such order. `shadow`: the environment's package
    that wins over it. `alone`: imported, and its parent and all its siblings have the file.
    """

    folder: Path
    name: str
    dotted: str
    asked: Mapping[str, Place]
    homes: Mapping[str, tuple[str, ...]] | None
    shadow: str = ""
    shadowed_at: Place | None = None
    alone: bool = False


class Layout(Fact, frozen=True):
    """The platform's folders of modules that have no `__init__.py`."""

    unmarked: tuple[Unmarked, ...]
    untold: tuple[str, ...] = ()
    """Imported folders at the top of which no environment tells whether a package wins over them."""
    failing: str = ""
    """The code of the check that tells why the environment does not; none where there is no such."""

    limit = 20.0

    @classmethod
    def read(cls, platform: Platform, source: Source, interpreter: Interpreter) -> Layout:
        site = interpreter.site_packages if interpreter.version else None
        found = tuple(_unmarked(platform, source, site))
        untold = () if site else tuple(_imported_tops(source))
        return cls(found, untold, "PY103" if interpreter.exists else "")


def _unmarked(platform: Platform, source: Source, site: Path | None) -> Iterator[Unmarked]:
    marked = {m.path.parent for m in source.modules if m.is_package}
    members: dict[Path, list[Module]] = {}
    for module in source.modules:
        members.setdefault(module.path.parent, []).append(module)
    imports = _Imports(source)
    for folder, inside in members.items():
        dotted = inside[0].dotted.rpartition(".")[0]
        if folder in marked or not dotted or NEVER_DUE & set(dotted.split(".")):
            continue
        if not all(part.isidentifier() for part in dotted.split(".")):
            continue  # nothing can import it by that name
        if folder.with_suffix(".py").is_file():
            continue  # a module of that name beside it is what is imported
        root = inside[0].root
        top = dotted.partition(".")[0]
        # The platform's own regular package comes before any other; a mere folder comes last.
        regular = None if root / top in marked else _regular(site, top)
        if (regular and dotted != top) or (root / top not in marked and top in _STANDARD):
            continue
        # Where the environment has a package of that name, the code may well mean that one.
        from_it = [] if regular else list(imports.of(root, dotted))
        asked = _asked(from_it, folder, dotted)
        homes = _homes(inside, from_it, asked)
        if dotted == top and not site and not any(_defining(inside, name) for name in asked):
            asked = {}  # names of a package that is to be installed
        through = partial(imports.through, root, dotted)  # takes time, and is seldom asked for
        at = _misses(through(), dotted, folder, regular) if regular else None
        alone = not asked and not at and _alone(folder, members, marked)
        alone = alone and any(_names(node, dotted, module) for module, node in through())
        if asked or at or alone:
            yield Unmarked(
                folder,
                platform.relative(folder),
                dotted,
                asked,
                homes,
                platform.relative(regular) if regular and at else "",
                at,
                alone,
            )


def _imported_tops(source: Source) -> Iterator[str]:
    """The folders without the file, at the top of a root, that are imported by their name."""
    imports = _Imports(source)
    folders = {(m.root, m.dotted.partition(".")[0]) for m in source.modules if "." in m.dotted}
    for root, top in sorted(folders):
        if (root, top) in source.by_name or top in NEVER_DUE | _STANDARD:
            continue
        if any(_names(node, top, module) for module, node in imports.through(root, top)):
            yield top


def _regular(site: Path | None, top: str) -> Path | None:
    """The environment's package or module of that name, which wins over a folder without the file."""
    if site is None:
        return None
    candidates = (site / top / "__init__.py", site / f"{top}.py")
    found = next((path for path in candidates if path.is_file()), None)
    return found.parent if found and found.name == "__init__.py" else found


# Read from text: to parse every file takes a hundred times as long. Both begin with a word, which
# `re` looks for quickly; what they find beyond imports is sorted out where a file is parsed.
_FROM = re.compile(rb"from[ \t]*(\.*)[ \t]*([^\s\\;#]*)[ \t\\\r\n]+import\b")
_IMPORT = re.compile(rb"import(?<![\w.][ \t]import)[ \t]+([^\n;#]+)")


class _Imports:
    """Which modules import from where, as their text tells."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.tops = {(m.root, m.dotted.partition(".")[0]) for m in source.modules}

    @cached_property
    def _by_origin(self) -> Mapping[str, list[Module]]:
        """The modules by each name that they import, or import from."""
        found: dict[str, list[Module]] = {}
        for module in self._source.modules:
            for origin in _origins(module):
                found.setdefault(origin, []).append(module)
        return found

    def of(self, root: Path, dotted: str) -> Iterator[Import]:
        """The imports, sure to run, of the modules that import from this name in this root."""
        return self._of(root, dotted, self._by_origin.get(dotted, []))

    def through(self, root: Path, dotted: str) -> Iterator[Import]:
        """The same, with the modules that import something below it."""
        home, _, last = dotted.rpartition(".")
        text = os.fsencode(last)
        found = {id(m): m for m in self._by_origin.get(home, []) if text in m.data}
        for origin, modules in self._by_origin.items():
            if origin == dotted or origin.startswith(f"{dotted}."):
                found |= {id(m): m for m in modules}
        return self._of(root, dotted, found.values())

    def _of(self, root: Path, dotted: str, modules: Iterable[Module]) -> Iterator[Import]:
        top = dotted.partition(".")[0]
        for module in modules:
            foreign = module.root != root
            if foreign and (root != self._source.roots[0] or (module.root, top) in self.tops):
                continue
            for node in module.nodes:
                if not isinstance(node, ast.Import | ast.ImportFrom) or id(node) in module.guarded:
                    continue
                relative = isinstance(node, ast.ImportFrom) and node.level > 0
                if not (foreign and relative):
                    yield module, node


def _origins(module: Module) -> set[str]:
    """The names that a module imports, or imports from."""
    package = module.dotted.split(".")
    package = package if module.is_package else package[:-1]
    found: set[str] = set()
    for names in _IMPORT.findall(module.data):
        parts = names.decode("utf-8", "replace").split(",")
        found |= {part.split()[0] for part in parts if part.strip()}
    for dots, name in _FROM.findall(module.data):
        above = package[: max(0, len(package) - len(dots) + 1)] if dots else []
        found.add(".".join([*above, *([name.decode("utf-8", "replace")] if name else [])]))
    return found


def _asked(imports: Iterable[Import], folder: Path, dotted: str) -> dict[str, Place]:
    there = {path.name.partition(".")[0] for path in folder.iterdir()}
    found: dict[str, Place] = {}
    for module, node in imports:
        if isinstance(node, ast.ImportFrom) and module.origin(node) == dotted:
            for alias in node.names:
                if alias.name != "*" and alias.name not in there:
                    found.setdefault(alias.name, module.place(node))
    return found


def _names(node: ast.Import | ast.ImportFrom, dotted: str, module: Module) -> bool:
    """Whether the import goes through the folder."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    else:
        origin = module.origin(node)
        names = [origin, *(f"{origin}.{alias.name}" for alias in node.names)]
    return any(name == dotted or name.startswith(f"{dotted}.") for name in names)


def _misses(
    imports: Iterable[Import],
    dotted: str,
    folder: Path,
    regular: Path,
) -> Place | None:
    """Where a module is imported that only the platform's folder has, not the package that wins."""
    for module, node in imports:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            origin = "" if node.level else (node.module or "")
            names = [origin, *(f"{origin}.{alias.name}" for alias in node.names)]
        for name in names:
            first, _, rest = name.partition(".")
            part = rest.partition(".")[0]
            if first == dotted and part and _has(folder, part) and not _has(regular, part):
                # A name of the winning package itself may be what is meant.
                if isinstance(node, ast.ImportFrom) and node.module == dotted:
                    continue
                return module.place(node)
    return None


def _has(folder: Path, name: str) -> bool:
    return (folder / f"{name}.py").is_file() or (folder / name).is_dir()


def _alone(folder: Path, members: Iterable[Path], marked: set[Path]) -> bool:
    """Whether its parent and all of its siblings have the file."""
    siblings = [
        f for f in members if f.parent == folder.parent and f != folder and f.name not in NEVER_DUE
    ]
    return folder.parent in marked and bool(siblings) and marked.issuperset(siblings)


def _defining(inside: Iterable[Module], name: str) -> tuple[str, ...]:
    return tuple(m.path.stem for m in inside if name in m.defined)


def _homes(
    inside: list[Module],
    imports: list[Import],
    asked: Mapping[str, Place],
) -> dict[str, tuple[str, ...]] | None:
    """Which modules of the folder define the names, those that others of them need first.

    None where two modules need each other's names through the folder: no order would do.
    """
    homes = {name: _defining(inside, name) for name in asked}
    of_name = {n: h[0] for n, h in homes.items() if len(h) == 1}
    dotted = inside[0].dotted.rpartition(".")[0]
    needs: dict[str, set[str]] = {}
    for module, node in imports:
        if module in inside and isinstance(node, ast.ImportFrom) and module.origin(node) == dotted:
            wanted = {of_name[a.name] for a in node.names if a.name in of_name}
            needs.setdefault(module.path.stem, set()).update(wanted)
    order: list[str] = []
    left = sorted(set(of_name.values()))
    while left:
        free = next((s for s in left if not (needs.get(s, set()) - {s}) & set(left)), None)
        if free is None:
            return None
        order.append(free)
        left.remove(free)
    rank = {name: order.index(stem) for name, stem in of_name.items()}
    return {name: homes[name] for name in sorted(homes, key=lambda n: (rank.get(n, -1), n))}
