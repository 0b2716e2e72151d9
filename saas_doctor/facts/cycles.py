"""Circles of imports between the platform's modules, and whether starting a service trips over one.

The order of execution is followed statement by statement; only modules inside a circle are parsed.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from saas_doctor.discovery import APP
from saas_doctor.facts import Fact
from saas_doctor.facts.imports import is_for_tests
from saas_doctor.facts.names import bound_names
from saas_doctor.facts.source import Module, Source
from saas_doctor.model import Place

_TOP = re.compile(rb"^(?:from|import)\b[^\n(\\]*(?:\([^)]*\)|(?:\\\r?\n[^\n\\]*)*)", re.M)
_DEEPEST = 400
_ENTRIES = 40


@dataclass(frozen=True)
class Tripped:
    """An import that fails since its module is still being imported, and how it came to that."""

    module: Module
    place: Place
    name: str
    origin: str
    entry: Module
    way: tuple[str, ...]


class _Fails(Exception):
    def __init__(self, tripped: Tripped) -> None:
        super().__init__()
        self.tripped = tripped


@dataclass(frozen=True)
class Cycles(Fact):
    """The circular imports that fail when a service's app is imported."""

    source: Source

    limit = 20.0

    @classmethod
    def read(cls, source: Source) -> Cycles:
        return cls(source)

    @cached_property
    def tripped(self) -> tuple[Tripped, ...]:
        """The failing imports, one a circle."""
        circles = [circle for circle in _circles(self._edges) if len(circle) > 1]
        if not circles:
            return ()
        inside = {id(m) for circle in circles for m in circle}
        found: dict[tuple[str, str], Tripped] = {}
        for entry in list(self._entries())[:_ENTRIES]:
            # One order of imports may work where another fails: all ways to start must fail.
            starters = [(start, entry) for start in self._starters(entry)]
            ways = [_trips(self, order, inside) for order in ((entry,), *starters)]
            first = ways[0]
            if first is not None and all(ways):
                found.setdefault((first.module.name, first.name), first)
        return tuple(found.values())

    def _entries(self) -> Iterator[Module]:
        """The modules with an app in them."""
        for module in self.source.mentioning("FastAPI("):
            if not is_for_tests(module) and APP.search(module.data):
                yield module

    def _starters(self, entry: Module) -> Iterator[Module]:
        """The modules that import an app's module, or name it to a server (`shop.main:app`)."""
        for module in self.source.mentioning(f"{entry.dotted}:"):
            yield module
        for module, targets in self._edges.items():
            if entry in targets and not is_for_tests(module):
                yield module

    @cached_property
    def _edges(self) -> Mapping[Module, list[Module]]:
        """What each module imports at its top level, in order, as its text tells."""
        return {module: list(_edges_of(self.source, module)) for module in self.source.modules}

    def targets(self, module: Module, node: ast.Import | ast.ImportFrom) -> list[Module]:
        """The platform's modules that a statement imports, packages before what is in them."""
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            origin = module.origin(node)
            names = [origin, *(f"{origin}.{alias.name}" for alias in node.names)]
        found: list[Module] = []
        for name in names:
            parts = name.split(".")
            for cut in range(1, len(parts) + 1):
                target = _of(self.source, module, ".".join(parts[:cut]))
                if target is not None and target not in found:
                    found.append(target)
        return found


def _edges_of(source: Source, module: Module) -> dict[Module, None]:
    if b"import" not in module.data:
        return {}
    texts = (text.decode("utf-8", "replace") for text in _TOP.findall(module.data))
    named = (target for text in texts for target in _named(source, module, text))
    return dict.fromkeys(target for target in named if target is not module)


def _named(source: Source, module: Module, statement: str) -> Iterator[Module]:
    """The platform's modules that an import's text names."""
    words = re.sub(r"#[^\n]*|\\\r?\n|[()\r\n]", " ", statement)
    if words.startswith("import"):
        names = [part.split()[0] for part in words[6:].split(",") if part.split()]
    else:
        match = re.match(r"from\s+(\.*)\s*([\w.]*)\s+import\b(.*)", words)
        if match is None:
            return
        dots, name, rest = match.groups()
        package = module.dotted.split(".") if module.dotted else []
        package = package if module.is_package else package[:-1]
        above = package[: len(package) - len(dots) + 1] if dots else []
        origin = ".".join([*above, *([name] if name else [])])
        names = [origin, *(f"{origin}.{p.split()[0]}" for p in rest.split(",") if p.split())]
    for full in names:
        parts = full.split(".")
        for cut in range(1, len(parts) + 1):
            target = _of(source, module, ".".join(parts[:cut]))
            if target is not None:
                yield target


def _of(source: Source, module: Module, dotted: str) -> Module | None:
    """The platform's module of that name; none where the standard library has one."""
    top = dotted.partition(".")[0]
    return None if top in sys.stdlib_module_names else source.own(module, dotted)


def _circles(edges: Mapping[Module, list[Module]]) -> Iterator[list[Module]]:
    """The strongly connected parts (Tarjan's), without recursion."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    on: set[int] = set()
    stack: list[Module] = []
    for start in edges:
        if id(start) in index:
            continue
        work: list[tuple[Module, Iterator[Module]]] = [(start, iter(edges[start]))]
        index[id(start)] = low[id(start)] = len(index)
        stack.append(start)
        on.add(id(start))
        while work:
            node, rest = work[-1]
            step = next((n for n in rest), None)
            if step is None:
                work.pop()
                if work:
                    above = id(work[-1][0])
                    low[above] = min(low[above], low[id(node)])
                if low[id(node)] == index[id(node)]:
                    part: list[Module] = []
                    while True:
                        last = stack.pop()
                        on.discard(id(last))
                        part.append(last)
                        if last is node:
                            break
                    yield part
            elif id(step) not in index:
                index[id(step)] = low[id(step)] = len(index)
                stack.append(step)
                on.add(id(step))
                work.append((step, iter(edges[step])))
            elif id(step) in on:
                low[id(node)] = min(low[id(node)], index[id(step)])


def _trips(cycles: Cycles, order: Sequence[Module], inside: set[int]) -> Tripped | None:
    """What fails where these modules are imported, one after another."""
    run = _Import(cycles, order[-1], inside)
    try:
        for module in order:
            run.load_with_packages(module)
    except _Fails as fails:
        return fails.tripped
    return None


class _Import:
    """One import of an app: what is loaded, and what of it is bound so far."""

    def __init__(self, cycles: Cycles, entry: Module, inside: set[int]) -> None:
        self.cycles = cycles
        self.entry = entry
        self.inside = inside
        self.bound: dict[int, set[str] | None] = {}
        """The names that a module in a circle has so far; None once it is whole."""
        self.way: list[str] = []

    def load_with_packages(self, module: Module) -> None:
        parts = module.dotted.split(".")
        for cut in range(1, len(parts)):  # its packages come first
            package = self.cycles.source.by_name.get((module.root, ".".join(parts[:cut])))
            if package is not None:
                self._load(package)
        self._load(module)

    def _load(self, module: Module) -> None:
        if id(module) in self.bound or len(self.way) > _DEEPEST:
            return
        self.way.append(module.name)
        if id(module) in self.inside and module.tree is not None:
            self.bound[id(module)] = set()
            self._execute(module, module.body)
        else:
            self.bound[id(module)] = None
            for target in self.cycles._edges[module]:
                self._load(target)
        self.bound[id(module)] = None
        self.way.pop()

    def _execute(self, module: Module, body: list[ast.stmt]) -> None:
        names = self.bound[id(module)]
        for node in body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                self._import(module, node)
            elif isinstance(node, ast.If):
                if "TYPE_CHECKING" not in ast.dump(node.test):
                    self._execute(module, node.body)
                self._execute(module, node.orelse)
            elif isinstance(node, ast.Try):
                if not any(id(n) in module.guarded for n in node.body):
                    self._execute(module, node.body)
                self._execute(module, [*node.orelse, *node.finalbody])
            elif isinstance(node, ast.With):
                self._execute(module, node.body)
            if names is not None:
                names |= _binds(node)

    def _import(self, module: Module, node: ast.Import | ast.ImportFrom) -> None:
        for target in self.cycles.targets(module, node):
            self._load(target)
        if isinstance(node, ast.Import):
            return
        origin = module.origin(node)
        source = _of(self.cycles.source, module, origin)
        names = self.bound.get(id(source)) if source is not None else None
        if source is None or names is None or source is module or source.stars:
            return
        whole = bound_names(source)
        for alias in node.names:
            later = whole is not None and alias.name in whole
            submodule = _of(self.cycles.source, module, f"{origin}.{alias.name}")
            if later and alias.name not in names and submodule is None:
                place = module.place(node)
                way = tuple(self.way)
                raise _Fails(Tripped(module, place, alias.name, origin, self.entry, way))


def _binds(node: ast.stmt) -> set[str]:
    """The names that one statement of the top level binds, whatever is inside it."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    found: set[str] = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            found.add(inner.id)
        elif isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(inner.name)
        elif isinstance(inner, ast.Import | ast.ImportFrom):
            found |= {a.asname or a.name.partition(".")[0] for a in inner.names}
    return found
