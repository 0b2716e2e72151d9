"""What the names and expressions of the platform's functions stand for, as far as it is proven.

An object of which class of the platform, or several of them: by what made it (`User(...)`,
`session.get(User, 1)`, `session.scalars(select(User))`) or by an annotation. A name that is bound
in two ways that disagree stands for nothing. `thing` stays within a module and takes annotations for
proof; `made` follows one object across files to the call that makes it.
"""

from __future__ import annotations

import ast
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from saas_doctor.facts import Fact
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.scopes import (
    Binding,
    Function,
    Scope,
    class_around,
    depends,
    given,
    inside,
)
from saas_doctor.facts.source import Source
from saas_doctor.syntax import parse

Class = tuple[Module, ast.ClassDef]
Kind = Literal["one", "many", "query", "result"]
SETTINGS = {
    "pydantic.BaseSettings",
    "pydantic.env_settings.BaseSettings",
    "pydantic.v1.BaseSettings",
    "pydantic_settings.BaseSettings",
    "pydantic_settings.main.BaseSettings",
}


class Thing(Struct, frozen=True):
    """One object of a class, many of them, a query for them, or the result of one."""

    module: Module
    cls: ast.ClassDef
    kind: Kind = "one"


class Made(Struct, frozen=True):
    """An object of a class, and the call that makes it, where the code has one."""

    module: Module
    cls: ast.ClassDef
    call: ast.Call | None = None


MAKERS = {"parse_obj", "parse_raw", "parse_file", "from_orm", "construct", "validate"} | {
    "model_validate",
    "model_validate_json",
    "model_construct",
}
"""The methods of a Pydantic class that give an object of it."""
_NARROWED = {"filter", "filter_by", "where", "order_by", "options", "limit", "offset"} | {
    "distinct",
    "execution_options",
    "having",
    "join",
    "outerjoin",
    "populate_existing",
    "with_for_update",
}
# What a method gives: of a query, of its result, of many objects, of one.
_STEPS: dict[tuple[Kind, str], Kind] = {
    **{("query", method): "query" for method in _NARROWED},
    **{(k, m): "one" for k in ("query", "many") for m in ("first", "one", "one_or_none")},
    ("query", "get"): "one",
    ("query", "all"): "many",
    ("result", "scalars"): "many",
    ("result", "unique"): "result",
    ("result", "scalar"): "one",
    ("result", "scalar_one"): "one",
    ("result", "scalar_one_or_none"): "one",
    ("many", "all"): "many",
    ("many", "unique"): "many",
    ("many", "fetchall"): "many",
    ("one", "copy"): "one",
    ("one", "model_copy"): "one",
}
# What a session makes of a query.
_EXECUTED: dict[str, Kind] = {
    "scalars": "many",
    "stream_scalars": "many",
    "scalar": "one",
    "execute": "result",
    "exec": "many",  # SQLModel's
}
_CACHES = {"lru_cache", "cache"}
_DEEP = 24
_MANY = {"list", "List", "Sequence", "Iterable", "set", "Set", "Collection", "Iterator"}


class Objects(Fact, frozen=True):
    """What the names of the platform's functions stand for, each looked up when it is asked for."""

    source: Source

    limit = 20.0

    @classmethod
    def read(cls, source: Source) -> Objects:
        return cls(source)

    def class_of(self, scope: Scope, expression: ast.expr) -> Class | None:
        """The class that an expression names, where no name of a function hides it."""
        name = dotted_name(expression)
        head = name.partition(".")[0]
        if not name or head in scope.module.ambiguous or scope.is_local(head):
            return None
        return self.source.class_of(scope.module, name)

    def made(
        self, scope: Scope, expression: ast.expr, owner: Made | None = None, depth: int = 0
    ) -> Made | None:
        """The one object that an expression is, names followed across files; `owner` is what `self` is."""
        if depth > _DEEP:
            return None
        if isinstance(expression, ast.Call):
            found = self.class_of(scope, expression.func)
            return Made(*found, expression) if found else self._returned(scope, expression, depth)
        if not isinstance(expression, ast.Name | ast.Attribute):
            return None
        if isinstance(expression, ast.Name) and expression.id == "self":
            return owner or self._settings_around(scope)
        if isinstance(expression, ast.Attribute):
            holder = self.made(scope, expression.value, owner, depth + 1)
            if holder is not None:
                return self._group(holder, expression.attr)
        value = given(self.source, scope, expression)
        return self.made(value.scope, value.expression, owner, depth + 1) if value else None

    def _settings_around(self, scope: Scope) -> Made | None:
        """What `self` is in the methods of settings, whose values do not depend on the call."""
        body = class_around(scope)
        cls = (body.module, body.owner) if body and body.owner else None
        return Made(*cls) if cls and self.source.ancestry(*cls) & SETTINGS else None

    def _returned(self, scope: Scope, call: ast.Call, depth: int) -> Made | None:
        """What a function of the platform returns, where it has one `return`."""
        found = self.function_of(scope, call.func)
        within = inside(*found) if found else None
        returned = [n.value for n in within.nodes if isinstance(n, ast.Return)] if within else []
        only = returned[0] if len(returned) == 1 else None
        return self.made(within, only, None, depth + 1) if within and only else None

    def function_of(self, scope: Scope, expression: ast.expr) -> tuple[Module, Function] | None:
        """The function of the platform's that a name means, with no more than caching around it."""
        name = dotted_name(expression)
        hidden = not name or scope.is_local(name.partition(".")[0])
        found = None if hidden else self.source.definition(scope.module, name)
        if found is None:
            return None
        made = [n for n in found[0].body if isinstance(n, Function) and n.name == found[1]]
        decorators = {
            dotted_name(d.func if isinstance(d, ast.Call) else d).rpartition(".")[2]
            for function in made
            for d in function.decorator_list
        }
        return (found[0], made[0]) if len(made) == 1 and decorators <= _CACHES else None

    def _group(self, owner: Made, name: str) -> Made | None:
        """The settings that settings hold as an attribute annotated with their class."""
        for module, cls in self.source.lineage(owner.module, owner.cls):
            for node in cls.body:
                if isinstance(node, ast.AnnAssign) and dotted_name(node.target) == name:
                    found = self.source.class_of(module, dotted_name(node.annotation))
                    made = node.value
                    default = isinstance(made, ast.Call) and (
                        dotted_name(made.func).endswith("Field") or not (made.args or made.keywords)
                    )
                    known = found and (made is None or default)
                    is_group = found and known and self.source.ancestry(*found) & SETTINGS
                    return Made(*found) if found and is_group else None
        return None

    def thing(self, scope: Scope, expression: ast.expr) -> Thing | None:
        """What an expression stands for."""
        try:
            return _Reading(self, {}).thing(scope, expression)
        except RecursionError:
            return None


class _Reading(Struct):
    """One question; `begun` holds the names that are being looked up, with what is known by then."""

    objects: Objects
    begun: dict[tuple[int, str], Thing | None]

    def thing(self, scope: Scope, expression: ast.expr) -> Thing | None:
        if isinstance(expression, ast.Name):
            return self._named(scope, expression.id)
        if isinstance(expression, ast.Await | ast.NamedExpr):
            return self.thing(scope, expression.value)
        if isinstance(expression, ast.IfExp):
            return self._agreed(scope, [expression.body, expression.orelse])
        if isinstance(expression, ast.BoolOp):
            return self._agreed(scope, expression.values)
        if isinstance(expression, ast.List | ast.Tuple) and expression.elts:
            return _of_kind(self._agreed(scope, expression.elts), "one", "many")
        if isinstance(expression, ast.ListComp | ast.SetComp | ast.GeneratorExp):
            inner = scope.inner.get(id(expression))
            return _of_kind(self.thing(inner, expression.elt) if inner else None, "one", "many")
        if isinstance(expression, ast.Subscript) and not isinstance(expression.slice, ast.Slice):
            return _of_kind(self.thing(scope, expression.value), "many", "one")
        return self._called(scope, expression) if isinstance(expression, ast.Call) else None

    def _agreed(self, scope: Scope, expressions: list[ast.expr]) -> Thing | None:
        things = {self.thing(scope, e) for e in expressions if not _is_none(e)}
        return things.pop() if len(things) == 1 else None

    def _named(self, scope: Scope, name: str) -> Thing | None:
        home = scope.binding(name)
        if home is None:
            return None
        key = (id(home), name)
        if key in self.begun:  # `query = query.where(...)`: what it was until then
            return self.begun[key]
        found: Thing | None = None
        self.begun[key] = None
        for binding in home.bindings[name]:
            if binding.expression is not None and _is_none(binding.expression):
                continue
            thing = self._bound(home, binding)
            if thing is None or found not in (None, thing):
                found = None
                break
            self.begun[key] = found = thing
        del self.begun[key]
        return found

    def _bound(self, scope: Scope, binding: Binding) -> Thing | None:
        how, expression, _ = binding
        if how == "self" and scope.owner is not None:
            return Thing(scope.module, scope.owner)
        if expression is None:
            return None
        if how == "annotated":
            return self._annotated(scope, expression)
        thing = self.thing(scope, expression)
        return thing if how == "is" else _of_kind(thing, "many", "one")

    def _annotated(self, scope: Scope, annotation: ast.expr) -> Thing | None:
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            quoted = expression_of(annotation.value)
            return self._annotated(scope, quoted) if quoted is not None else None
        if isinstance(annotation, ast.Subscript):
            kind = dotted_name(annotation.value).rpartition(".")[2]
            inner = annotation.slice
            parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            if kind in _MANY and len(parts) == 1:
                return _of_kind(self._annotated(scope, parts[0]), "one", "many")
            if kind == "Annotated":
                return None if any(map(depends, parts)) else self._annotated(scope, parts[0])
            return self._either(scope, parts) if kind in ("Optional", "Union") else None
        if isinstance(annotation, ast.BinOp):
            return self._either(scope, [annotation.left, annotation.right])
        found = self.objects.class_of(scope, annotation)
        return Thing(*found) if found else None

    def _either(self, scope: Scope, annotations: list[ast.expr]) -> Thing | None:
        some = [a for a in annotations if not _is_none(a)]
        return self._annotated(scope, some[0]) if len(some) == 1 else None

    def _called(self, scope: Scope, call: ast.Call) -> Thing | None:
        made = self.objects.class_of(scope, call.func)
        if made is not None:
            return Thing(*made)
        first = call.args[0] if call.args else None
        if first is not None and isinstance(call.func, ast.Name):
            if call.func.id in ("list", "sorted", "tuple"):
                return _of_kind(self.thing(scope, first), "many", "many")
            return self._query(scope, first) if self._selects(scope, call) else None
        if not isinstance(call.func, ast.Attribute):
            return None
        method, owner = call.func.attr, self.objects.class_of(scope, call.func.value)
        if owner is not None:
            return Thing(*owner) if method in MAKERS and not self._has(owner, method) else None
        thing = self.thing(scope, call.func.value)
        if thing is not None:
            own = thing.kind == "one" and self._has((thing.module, thing.cls), method)
            kind = _STEPS.get((thing.kind, method))
            return replace(thing, kind=kind) if kind and not own else None
        return self._by_session(scope, method, call)

    def _by_session(self, scope: Scope, method: str, call: ast.Call) -> Thing | None:
        """What a method gives that only a session of SQLAlchemy takes in this way."""
        first = call.args[0] if call.args else None
        if first is None:
            return None
        if self._selects(scope, call) or (method == "query" and len(call.args) == 1):
            return self._query(scope, first)
        if method in ("get", "get_one") and len(call.args) > 1:
            return _of_kind(self._query(scope, first), "query", "one")
        executed = _EXECUTED.get(method)
        return _of_kind(self.thing(scope, first), "query", executed) if executed else None

    def _query(self, scope: Scope, entity: ast.expr) -> Thing | None:
        plain = isinstance(entity, ast.Name | ast.Attribute)
        found = self.objects.class_of(scope, entity) if plain else None
        return Thing(*found, "query") if found else None

    def _selects(self, scope: Scope, call: ast.Call) -> bool:
        """Whether it is SQLAlchemy's `select` of one class."""
        name = dotted_name(call.func)
        if not name.endswith("select") or len(call.args) != 1:
            return False
        full = self.objects.source.made_by(scope.module, name)
        return full.startswith(("sqlalchemy.", "sqlmodel.")) and full.endswith(".select")

    def _has(self, owner: tuple[Module, ast.ClassDef], method: str) -> bool:
        return any(method in methods(cls) for _, cls in self.objects.source.lineage(*owner))


def methods(node: ast.ClassDef) -> set[str]:
    """The names of the functions that a class's body defines."""
    return {n.name for n in node.body if isinstance(n, Function)}


def expression_of(text: str) -> ast.expr | None:
    """The expression in a quoted annotation."""
    try:
        body = parse(text.strip().encode()).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return body[0].value if len(body) == 1 and isinstance(body[0], ast.Expr) else None


def _of_kind(thing: Thing | None, wanted: Kind, becomes: Kind) -> Thing | None:
    return replace(thing, kind=becomes) if thing and thing.kind == wanted else None


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
