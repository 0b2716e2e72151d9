"""What expressions of the platform's source are worth, names followed across files."""

from __future__ import annotations

import ast
import json
import re
import threading
from collections.abc import Sequence
from functools import cached_property, reduce

from msgspec import Struct, field
from msgspec.structs import replace

from saas_doctor.facts import Fact
from saas_doctor.facts.fields import as_url_text, member
from saas_doctor.facts.literals import (
    LONGEST,
    UNKNOWN,
    Spot,
    Value,
    as_changed,
    calculated,
    compared,
    either,
    from_json,
    number,
    of_text,
    plain,
    sequence,
    together,
)
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.objects import Made, Objects
from saas_doctor.facts.runs import is_aside
from saas_doctor.facts.scopes import Function, Scope, given, inside
from saas_doctor.facts.source import Source
from saas_doctor.facts.variables import Environment
from saas_doctor.facts.versions import Versions

_DEEP = 24
_GETENV = {"os.getenv", "os.environ.get"}
_TO_LIST = {"list", "tuple", "set", "frozenset", "sorted"}


class Frame(Struct, frozen=True):
    """Where an expression stands: its scope, what loops bind names to, and what `self` is."""

    scope: Scope
    bound: tuple[tuple[str, Value], ...] = ()
    owner: Made | None = None

    @property
    def module(self) -> Module:
        return self.scope.module


class Values(Fact, frozen=True, eq=False):
    """What expressions of the platform's source are worth, as far as source and settings prove it.

    In what is started from this shell, unless asked of `everywhere`.
    """

    objects: Objects
    environment: Environment
    pydantic_2: bool | None
    alone: threading.RLock = field(default_factory=threading.RLock)

    limit = 20.0

    @classmethod
    def read(cls, objects: Objects, environment: Environment, versions: Versions) -> Values:
        return cls(objects, environment, versions.at_least("pydantic", "2"))

    @property
    def source(self) -> Source:
        return self.objects.source

    @cached_property
    def everywhere(self) -> Values:
        """What they are worth in every process, whatever the compose file sets in some."""
        return replace(self, environment=self.environment.everywhere)

    def of(self, module: Module, node: ast.expr, *, depth: int = 0) -> Value:
        """The value of an expression, where it stands in a module."""
        with self.alone:  # what is being looked for is unknown meanwhile
            return self._of(Frame(module.scope_of(node)), node, depth)

    def beginning(self, module: Module, node: ast.expr) -> tuple[str, bool]:
        """The beginning of a text, as far as it can be told, and whether it is the whole."""
        with self.alone:
            return self._beginning(module.scope_of(node), node, 0)

    def _beginning(self, scope: Scope, node: ast.expr, depth: int) -> tuple[str, bool]:
        value = self._of(Frame(scope), node, 0)
        if value.known and value.kind != "list":
            return str(value.plain), True
        parts: list[ast.expr] = []
        if depth > _DEEP:
            return "", False
        if isinstance(node, ast.JoinedStr):
            parts = [p.value if isinstance(p, ast.FormattedValue) else p for p in node.values]
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            parts = [node.left, node.right]
        elif isinstance(node, ast.Call) and dotted_name(node.func) == "str":
            parts = node.args[:1]
        elif isinstance(node, ast.Name | ast.Attribute):
            found = given(self.source, scope, node)
            if found is not None:
                return self._beginning(found.scope, found.expression, depth + 1)
        text = ""
        for part in parts:
            more, whole = self._beginning(scope, part, depth + 1)
            text += more
            if not whole:
                break
        return text, False

    def is_assigned(self, name: str) -> bool:
        """Whether an attribute of that name is set anywhere after its object is made."""
        if name not in self._assigned:
            pattern = re.compile(rb"(?<!\bself)\.\s*" + re.escape(name.encode()) + rb"\s*\+?=(?!=)")
            modules = self.source.mentioning(f".{name}")
            self._assigned[name] = any(pattern.search(m.data) for m in modules if not is_aside(m))
        return self._assigned[name]

    @cached_property
    def _assigned(self) -> dict[str, bool]:
        return {}

    def returned(self, module: Module, function: Function, owner: Made | None, depth: int) -> Value:
        """What a function without arguments returns."""
        frame = Frame(inside(module, function), owner=owner)
        returns = [n for n in frame.scope.nodes if isinstance(n, ast.Return)]
        found = [self._of(frame, n.value, depth + 1) for n in returns if n.value is not None]
        yields = any(isinstance(n, ast.Yield | ast.YieldFrom) for n in frame.scope.nodes)
        if not found or len(found) != len(returns) or yields:
            return UNKNOWN
        return reduce(either, found)

    def _of(self, frame: Frame, node: ast.expr, depth: int) -> Value:
        if depth > _DEEP:
            return UNKNOWN
        evaluate = getattr(self, f"_{type(node).__name__.lower()}", None)
        return evaluate(frame, node, depth) if evaluate else UNKNOWN

    # One for each kind of expression.

    def _constant(self, frame: Frame, node: ast.Constant, depth: int) -> Value:  # noqa: ARG002
        if node.value is None or isinstance(node.value, str | bool | int | float):
            text = node.value if isinstance(node.value, str) else ""
            spot = Spot(frame.module.place(node), frame.module, node, written=text)
            return plain(node.value, spot)
        return UNKNOWN

    def _joinedstr(self, frame: Frame, node: ast.JoinedStr, depth: int) -> Value:
        texts: list[str] = []
        for part in node.values:
            simple, inner = True, part
            if isinstance(part, ast.FormattedValue):
                simple, inner = part.conversion == -1 and part.format_spec is None, part.value
            value = self._of(frame, inner, depth + 1)
            text = self._text(value).text if simple else None
            if text is None:
                return Value("str")
            texts.append(text)
        # Put together: there is no one place where it is written.
        return together(texts, Spot(frame.module.place(node)))

    def _list(self, frame: Frame, node: ast.List | ast.Tuple | ast.Set, depth: int) -> Value:
        items: list[Value] = []
        known = True
        for element in node.elts:
            if isinstance(element, ast.Starred):
                more = self._of(frame, element.value, depth + 1)
                items += more.items
                if len(items) > LONGEST:
                    return Value("list")
                known = known and more.kind == "list" and more.known
            else:
                items.append(self._of(frame, element, depth + 1))
        return sequence(items, known=known)

    _tuple = _set = _list

    def _name(self, frame: Frame, node: ast.Name, depth: int) -> Value:
        looped = (value for name, value in frame.bound if name == node.id)
        found = next(looped, None)
        return self._given(frame, node, depth) if found is None else found

    def _given(self, frame: Frame, node: ast.Name | ast.Attribute, depth: int) -> Value:
        found = given(self.source, frame.scope, node)
        if found is None:
            return UNKNOWN
        key = id(found.expression), id(frame.owner and frame.owner.cls)
        if key not in self._known:
            self._known[key] = UNKNOWN  # while it is looked for: it may be made from itself
            inner = Frame(found.scope, owner=frame.owner)
            value = self._of(inner, found.expression, depth + 1)
            # What is done later, by that name: in the module alone where it is a function's own.
            if isinstance(node, ast.Name) and found.scope.parent is not None:
                value = as_changed(value, found.name, [found.scope.module])
            elif value.kind:
                hidden = self.is_assigned(found.name)
                modules = self.source.mentioning(found.name)
                value = UNKNOWN if hidden else as_changed(value, found.name, modules)
            self._known[key] = value
        return self._known[key]

    @cached_property
    def _known(self) -> dict[tuple[int, int], Value]:
        """What names were found to be given."""
        return {}

    def _attribute(self, frame: Frame, node: ast.Attribute, depth: int) -> Value:
        owner = self.objects.made(frame.scope, node.value, frame.owner, depth + 1)
        if owner is not None:
            value = member(self, owner, node.attr, depth + 1)
            return as_changed(value, node.attr, self.source.mentioning(node.attr))
        is_name = not isinstance(node.value, ast.Subscript)
        cls = self.objects.class_of(frame.scope, node.value) if is_name else None
        if cls is not None:
            return member(self, Made(*cls), node.attr, depth + 1)
        return self._given(frame, node, depth)

    def _call(self, frame: Frame, node: ast.Call, depth: int) -> Value:
        name = dotted_name(node.func) if not isinstance(node.func, ast.Subscript) else ""
        full = self.source.made_by(frame.module, name) if name else ""
        given = [self._of(frame, a, depth + 1) for a in node.args if not isinstance(a, ast.Starred)]
        if len(given) != len(node.args) or any(k.arg is None for k in node.keywords):
            return UNKNOWN
        if full in _GETENV and 1 <= len(given) + len(node.keywords) <= 2:
            given += [self._of(frame, k.value, depth + 1) for k in node.keywords]
            return self._variable(given[0], given[1] if len(given) > 1 else plain(None))
        if isinstance(node.func, ast.Attribute) and not node.keywords:
            method = node.func.attr
            owner = self.objects.made(frame.scope, node.func.value, frame.owner, depth + 1)
            if owner is not None:
                return self._method(owner, method, given, depth)
            on = self._of(frame, node.func.value, depth + 1)
            if on.kind == "str":
                return of_text(on, method, given)
            if on.kind == "list" and method == "copy":
                return on
        if full == "json.loads" and len(given) == 1 and given[0].text is not None:
            try:
                return from_json(json.loads(given[0].text), given[0].spot)
            except (ValueError, RecursionError):
                return UNKNOWN
        if len(given) == 1 and not node.keywords:
            return self._converted(frame, full, node.args[0], given[0], depth)
        function = None if node.args or node.keywords else node.func
        own = self.objects.function_of(frame.scope, function) if function else None
        return self.returned(*own, None, depth) if own else UNKNOWN

    def _converted(
        self, frame: Frame, function: str, node: ast.expr, given: Value, depth: int
    ) -> Value:
        """What a built-in function makes of its one argument."""
        if function in _TO_LIST and isinstance(node, ast.Call):
            given = self._mapped(frame, node, depth) or given
        if function in _TO_LIST:
            return given if given.kind == "list" else Value("list")
        if function == "str":
            return self._text(given)
        if function in ("int", "float"):
            return number(function, given)
        if function == "bool":
            return Value("bool") if given.truth is None else plain(given.truth)
        return UNKNOWN

    def _mapped(self, frame: Frame, node: ast.Call, depth: int) -> Value | None:
        """`map(str.strip, values)`, as far as that is a method of `str`, or `str` itself."""
        if dotted_name(node.func) != "map" or len(node.args) != 2:
            return None
        method, among = dotted_name(node.args[0]), self._of(frame, node.args[1], depth + 1)
        if among.kind != "list" or not (method == "str" or method.startswith("str.")):
            return None
        made = [
            self._text(i) if method == "str" else of_text(i, method.removeprefix("str."), ())
            for i in among.items
        ]
        return sequence(made, known=among.known, spot=among.spot)

    def _text(self, value: Value) -> Value:
        """`str(...)`."""
        if value.kind == "str":
            return value
        made: str | None = None
        if value.kind == "url" and value.known:
            if not any(self.source.mentioning("preserve_empty_path")):
                made = as_url_text(str(value.plain))
        elif value.known and value.kind in ("number", "bool", "none"):
            made = str(value.plain)
        return Value("str") if made is None else plain(made, value.spot)

    def _method(self, owner: Made, name: str, given: Sequence[Value], depth: int) -> Value:
        for module, cls in self.source.lineage(owner.module, owner.cls)[:1]:
            for node in cls.body:
                if isinstance(node, Function) and node.name == name and not given:
                    return self.returned(module, node, owner, depth)
        return UNKNOWN

    def _subscript(self, frame: Frame, node: ast.Subscript, depth: int) -> Value:
        if self.source.made_by(frame.module, dotted_name(node.value)) == "os.environ":
            return self._variable(self._of(frame, node.slice, depth + 1), Value("str"))
        return UNKNOWN

    def _variable(self, key: Value, default: Value) -> Value:
        """`os.getenv(key, default)`."""
        if key.text is None:
            return UNKNOWN
        in_file = True if self.environment.loaded and self.environment.sole else None
        found = self.environment.text([(key.text, True)], in_file=in_file)
        if found.kind == "none":
            return default
        return found if found.known else either(found, default)

    def _listcomp(
        self, frame: Frame, node: ast.ListComp | ast.SetComp | ast.GeneratorExp, depth: int
    ) -> Value:
        loop = node.generators[0]
        among = self._of(frame, loop.iter, depth + 1)
        one = len(node.generators) == 1 and isinstance(loop.target, ast.Name)
        if not one or among.kind != "list":
            return Value("list")
        assert isinstance(loop.target, ast.Name)
        items: list[Value] = []
        known = among.known
        scope = frame.scope.inner.get(id(node), frame.scope)
        for item in among.items:
            inner = Frame(scope, ((loop.target.id, item), *frame.bound), frame.owner)
            wanted = [self._of(inner, test, depth + 1).truth for test in loop.ifs]
            if False in wanted:
                continue
            known = known and None not in wanted
            if None not in wanted:
                items.append(self._of(inner, node.elt, depth + 1))
        return sequence(items, known=known, spot=among.spot)

    _setcomp = _generatorexp = _listcomp

    def _binop(self, frame: Frame, node: ast.BinOp, depth: int) -> Value:
        left, right = (self._of(frame, n, depth + 1) for n in (node.left, node.right))
        if left.kind == right.kind == "number":
            return calculated(left, node.op, right)
        if not isinstance(node.op, ast.Add) or left.kind != right.kind:
            return UNKNOWN
        if left.kind == "list":
            known, spot = left.known and right.known, left.spot or right.spot
            return sequence([*left.items, *right.items], known=known, spot=spot)
        if left.text is not None and right.text is not None:
            return together((left.text, right.text), Spot(frame.module.place(node)))
        return Value("str") if left.kind == "str" else UNKNOWN

    def _boolop(self, frame: Frame, node: ast.BoolOp, depth: int) -> Value:
        value = self._of(frame, node.values[0], depth + 1)
        for other in node.values[1:]:
            if value.truth is None:
                value = either(value, self._of(frame, other, depth + 1))
            elif value.truth is isinstance(node.op, ast.And):
                value = self._of(frame, other, depth + 1)
        return value

    def _ifexp(self, frame: Frame, node: ast.IfExp, depth: int) -> Value:
        test = self._of(frame, node.test, depth + 1).truth
        body, other = (self._of(frame, n, depth + 1) for n in (node.body, node.orelse))
        return either(body, other) if test is None else body if test else other

    def _compare(self, frame: Frame, node: ast.Compare, depth: int) -> Value:
        if len(node.ops) != 1:
            return Value("bool")
        left, right = (self._of(frame, n, depth + 1) for n in (node.left, node.comparators[0]))
        return compared(left, node.ops[0], right)

    def _unaryop(self, frame: Frame, node: ast.UnaryOp, depth: int) -> Value:
        value = self._of(frame, node.operand, depth + 1)
        if isinstance(node.op, ast.USub) and value.kind == "number":
            return calculated(plain(0, value.spot), ast.Sub(), value)
        if not isinstance(node.op, ast.Not):
            return UNKNOWN
        return Value("bool") if value.truth is None else plain(not value.truth)
