"""What an application's routes keep in the memory of their process."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.objects import Objects
from saas_doctor.facts.reach import Reach
from saas_doctor.facts.scopes import Function, Given, attribute, given, inside
from saas_doctor.facts.source import Source
from saas_doctor.model import Place

_ROUTE = re.compile(rb"@[\w.]+\.(?:post|put|patch)\(")
_WRITING, _READING = {"post", "put", "patch"}, {"get"}
_CONTAINERS = {
    "dict",
    "list",
    "set",
    "collections.defaultdict",
    "collections.OrderedDict",
    "collections.deque",
}
_ADDING = {"append", "appendleft", "add", "update", "setdefault", "insert", "extend"}
# What every process may well have its own of.
_OWN = re.compile(r"cache|memo|metric|counter|stat(s|istics)?$|limit|lock", re.I)
Key = tuple[str, str]
"""A container: its module's path, and its name there (`services`, `Table.services`)."""
Use = tuple[bool, Key, Place]
"""Whether something is added to a container (else it is read), which one, and where."""


class Kept(Struct, frozen=True):
    """A container that one route adds to and another one reads, with the places of all three."""

    name: str
    place: Place
    written: Place
    read: Place


class Memory(Fact, frozen=True):
    """What the platform's applications keep in the memory of their processes."""

    source: Source
    objects: Objects
    reach: Reach

    @classmethod
    def read(cls, source: Source, objects: Objects, reach: Reach) -> Memory:
        return cls(source, objects, reach)

    def of(self, application: Module) -> list[Kept]:
        """What the routes of the application keep, in the modules that come with it."""
        search = _Search(self.source, self.objects)
        for module in self.reach.of(application):
            if _ROUTE.search(module.data):
                search.look_at(module)
        return search.found()


class _Search:
    def __init__(self, source: Source, objects: Objects) -> None:
        self.source, self.objects = source, objects
        self.known: dict[int, list[Use]] = {}
        self.given: dict[Key, Given | None] = {}
        self.places: dict[Key, Place] = {}
        self.written: dict[Key, Place] = {}
        self.read: dict[Key, Place] = {}

    def found(self) -> list[Kept]:
        both = [key for key in self.written if key in self.read]
        return [Kept(k[1], self.places[k], self.written[k], self.read[k]) for k in both]

    def look_at(self, module: Module) -> None:
        for function in module.body:
            if isinstance(function, Function):
                methods = {
                    d.func.attr
                    for d in function.decorator_list
                    if isinstance(d, ast.Call) and isinstance(d.func, ast.Attribute)
                }
                for adds, key, place in self._uses(module, function, None):
                    if adds and methods & _WRITING:
                        self.written.setdefault(key, place)
                    if not adds and methods & _READING:
                        self.read.setdefault(key, place)

    def _uses(self, module: Module, function: ast.AST, cls: ast.ClassDef | None) -> list[Use]:
        """What a function, and what it calls of the platform, adds to containers and reads of them."""
        if id(function) not in self.known:
            self.known[id(function)] = []  # for one that calls itself
            self.known[id(function)] = list(dict.fromkeys(self._looked_up(module, function, cls)))
        return self.known[id(function)]

    def _looked_up(
        self, module: Module, function: ast.AST, cls: ast.ClassDef | None
    ) -> Iterator[Use]:
        added: set[int] = set()
        for node in ast.walk(function):
            if isinstance(node, ast.Call):
                yield from self._called(module, node, cls)
            target = _added_to(node)
            if target is not None:
                added.add(id(target))
            for owner in (target, node):
                is_name = isinstance(owner, ast.Name | ast.Attribute)
                if owner is None or not is_name or (owner is node and id(node) in added):
                    continue
                assert isinstance(owner, ast.Name | ast.Attribute)
                key = self._container(module, owner, cls)
                if key:
                    yield owner is target, key, module.place(owner)

    def _called(self, module: Module, call: ast.Call, cls: ast.ClassDef | None) -> Iterator[Use]:
        """The same of a function of the module, or of a method of an instance, that is called."""
        if isinstance(call.func, ast.Name):
            for part in module.body:
                if isinstance(part, Function) and part.name == call.func.id:
                    yield from self._uses(module, part, None)
        elif isinstance(call.func, ast.Attribute):
            owner = call.func.value
            if dotted_name(owner) == "self" and cls is not None:
                where, of = module, cls
            elif isinstance(owner, ast.Name) and not module.scope_of(owner).is_local(owner.id):
                made = self.objects.made(module.scope_of(owner), owner)
                if made is None:
                    return
                where, of = made.module, made.cls
            else:
                return
            for part in of.body:
                if isinstance(part, Function) and part.name == call.func.attr:
                    yield from self._uses(where, part, of)

    def _container(
        self, module: Module, node: ast.Name | ast.Attribute, cls: ast.ClassDef | None
    ) -> Key | None:
        """The container at the top of a module, or of an instance, that an expression means."""
        if _OWN.search(dotted_name(node).rpartition(".")[2]):
            return None
        if isinstance(node, ast.Attribute):
            if cls is None or dotted_name(node.value) != "self":
                return None
            values = attribute(inside(module, cls), node.attr)
            first = values[0] if values else None
            name = f"{cls.name}.{node.attr}"
        elif module.scope_of(node).is_local(node.id):
            return None
        else:
            known = (module.name, node.id)
            if known not in self.given:
                self.given[known] = given(self.source, module.scope_of(node), node)
            found = self.given[known]
            if found is None:
                return None
            module, first = found.scope.module, found.expression
            name = node.id
        if first is None or not _is_container(self.source, module, first):
            return None
        key = (module.name, name)
        self.places.setdefault(key, module.place(first))
        return key


def _is_container(source: Source, module: Module, value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        return source.made_by(module, dotted_name(value.func)) in _CONTAINERS
    return isinstance(value, ast.Dict | ast.List | ast.Set)


def _added_to(node: ast.AST) -> ast.expr | None:
    """What a node adds something to: `services` of `services[name] = ...` and `services.append(...)`."""
    owner: ast.expr | None = None
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
        owner = node.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        owner = node.func.value if node.func.attr in _ADDING else None
    while isinstance(owner, ast.Subscript):
        owner = owner.value
    return owner
