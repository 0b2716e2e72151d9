"""Works out what an expression of the platform's source is worth, names followed across files."""

from __future__ import annotations

import ast
import json
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from saas_doctor.facts import Fact
from saas_doctor.facts.dotenv import EnvFile
from saas_doctor.facts.enclosing import (
    Function,
    as_changed,
    given_once,
    own,
    parameters,
    single,
    stores,
)
from saas_doctor.facts.fields import as_url_text, member
from saas_doctor.facts.instances import Frame, function_of, instance, is_local
from saas_doctor.facts.literals import (
    UNKNOWN,
    Spot,
    Value,
    compared,
    either,
    from_json,
    of_text,
    plain,
    sequence,
)
from saas_doctor.facts.objects import Class
from saas_doctor.facts.source import Module, Source, dotted_name
from saas_doctor.facts.variables import Environment
from saas_doctor.facts.versions import Versions
from saas_doctor.platform import Platform

_DEEP = 24
_GETENV = {"os.getenv", "os.environ.get"}
_TO_LIST = {"list", "tuple", "set", "frozenset", "sorted"}


@dataclass(frozen=True)
class Values(Fact):
    """What expressions of the platform's source are worth, as far as source and settings prove it."""

    source: Source
    environment: Environment
    pydantic_2: bool | None
    alone: threading.RLock = field(default_factory=threading.RLock, repr=False, compare=False)

    limit = 20.0

    @classmethod
    def read(cls, platform: Platform, source: Source, env: EnvFile, versions: Versions) -> Values:
        loaded = any(b"load_dotenv(" in m.data for m in source.mentioning("load_dotenv"))
        config = platform.config
        services = [service.directory for service in config.services.values()]
        folders = {platform.path(f) for f in (".", config.backend, *config.source_roots, *services)}
        others = [f for f in folders if f != env.path.parent and (f / env.path.name).is_file()]
        environment = Environment(
            env.there, env.path.name, platform.environ, loaded, sole=not others
        )
        return cls(source, environment, versions.at_least("pydantic", "2"))

    def of(
        self,
        module: Module,
        node: ast.expr,
        functions: tuple[Function, ...] = (),
        *,
        depth: int = 0,
    ) -> Value:
        """The value of an expression in a module; `functions` are those around it, outermost first."""
        with self.alone:  # what is being looked for is unknown meanwhile
            return self._of(Frame(module, functions), node, depth)

    def is_assigned(self, name: str) -> bool:
        """Whether an attribute of that name is set anywhere after its object is made."""
        pattern = re.compile(rb"\.\s*" + re.escape(name.encode()) + rb"\s*(?:\+)?=(?!=)")
        return any(pattern.search(m.data) for m in self.source.mentioning(f".{name}"))

    def returned(
        self, module: Module, function: Function, owner: Class | None, depth: int
    ) -> Value:
        """What a function without arguments returns."""
        returns = [n for n in own(function) if isinstance(n, ast.Return)]
        frame = Frame(module, (function,), owner=owner)
        found = [self._of(frame, n.value, depth + 1) for n in returns if n.value is not None]
        if (
            not found
            or len(found) != len(returns)
            or any(isinstance(n, ast.Yield) for n in own(function))
        ):
            return UNKNOWN
        value = found[0]
        for other in found[1:]:
            value = either(value, other)
        return value

    def _of(self, frame: Frame, node: ast.expr, depth: int) -> Value:
        if depth > _DEEP:
            return UNKNOWN
        evaluate = getattr(self, f"_{type(node).__name__.lower()}", None)
        return evaluate(frame, node, depth) if evaluate else UNKNOWN

    # One for each kind of expression.

    def _constant(self, frame: Frame, node: ast.Constant, depth: int) -> Value:  # noqa: ARG002
        if node.value is None or isinstance(node.value, str | bool | int | float):
            text = node.value if isinstance(node.value, str) else ""
            return plain(
                node.value, Spot(frame.module.place(node), frame.module, node, written=text)
            )
        return UNKNOWN

    def _joinedstr(self, frame: Frame, node: ast.JoinedStr, depth: int) -> Value:
        texts: list[str] = []
        for part in node.values:
            value = self._of(
                frame, part.value if isinstance(part, ast.FormattedValue) else part, depth + 1
            )
            simple = not isinstance(part, ast.FormattedValue) or (
                part.conversion == -1 and part.format_spec is None
            )
            if not simple or not value.known or value.kind not in ("str", "number"):
                return Value("str")
            texts.append(str(value.plain))
        # Put together: there is no one place where it is written.
        return plain("".join(texts), Spot(frame.module.place(node)))

    def _list(self, frame: Frame, node: ast.List | ast.Tuple | ast.Set, depth: int) -> Value:
        items: list[Value] = []
        known = True
        for element in node.elts:
            if isinstance(element, ast.Starred):
                more = self._of(frame, element.value, depth + 1)
                items += more.items
                known = known and more.kind == "list" and more.known
            else:
                items.append(self._of(frame, element, depth + 1))
        return sequence(items, known=known)

    _tuple = _set = _list

    def _name(self, frame: Frame, node: ast.Name, depth: int) -> Value:
        for name, value in frame.bound:
            if name == node.id:
                return value
        for cut in range(len(frame.functions), 0, -1):
            function = frame.functions[cut - 1]
            if node.id in parameters(function):
                return UNKNOWN
            times = stores(own(function), node.id)
            if times:
                given = single(function, node.id) if times == 1 else None
                if given is None:
                    return UNKNOWN
                value = self._of(replace(frame, functions=frame.functions[:cut]), given, depth + 1)
                return as_changed(value, node.id, [frame.module])
        return self._global(frame.module, node.id, depth)

    @cached_property
    def _globals(self) -> dict[tuple[str, str], Value]:
        """What names of top levels were found to be."""
        return {}

    def _global(self, module: Module, name: str, depth: int) -> Value:
        found = self.source.definition(module, name)
        if found is None:
            return UNKNOWN
        key = found[0].name, found[1]
        if key not in self._globals:
            self._globals[key] = UNKNOWN  # while it is looked for: it may be made from itself
            self._globals[key] = self._defined(*found, depth)
        return self._globals[key]

    def _defined(self, home: Module, last: str, depth: int) -> Value:
        given = home.values.get(last)
        if given is None or not given_once(home, last) or self.is_assigned(last):
            return UNKNOWN
        value = self._of(Frame(home), given, depth + 1)
        return as_changed(value, last, list(self.source.mentioning(last)))

    def _attribute(self, frame: Frame, node: ast.Attribute, depth: int) -> Value:
        owner = instance(self.source, frame, node.value, depth + 1)
        if owner is not None:
            return as_changed(
                member(self, owner, node.attr, depth + 1),
                node.attr,
                list(self.source.mentioning(node.attr)),
            )
        name = dotted_name(node)
        head = name.partition(".")[0]
        if not name or isinstance(node.value, ast.Subscript) or is_local(frame, head):
            return UNKNOWN
        cls = self.source.class_of(frame.module, dotted_name(node.value))
        if cls is not None:
            return member(self, cls, node.attr, depth + 1)
        return self._global(frame.module, name, depth)

    def _call(self, frame: Frame, node: ast.Call, depth: int) -> Value:
        name = dotted_name(node.func) if not isinstance(node.func, ast.Subscript) else ""
        full = self.source.full_name(frame.module, name) if name else ""
        given = [self._of(frame, a, depth + 1) for a in node.args if not isinstance(a, ast.Starred)]
        if len(given) != len(node.args) or any(k.arg is None for k in node.keywords):
            return UNKNOWN
        if full in _GETENV and 1 <= len(given) + len(node.keywords) <= 2:
            default = given[1] if len(given) > 1 else plain(None)
            default = (
                self._of(frame, node.keywords[0].value, depth + 1) if node.keywords else default
            )
            return self._variable(given[0], default)
        if isinstance(node.func, ast.Attribute) and not node.keywords:
            method = node.func.attr
            owner = instance(self.source, frame, node.func.value, depth + 1)
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
        return self._own_function(frame, name, node, depth)

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
        elif value.known and value.kind == "number":
            made = str(value.plain)
        return Value("str") if made is None else plain(made, value.spot)

    def _own_function(self, frame: Frame, name: str, node: ast.Call, depth: int) -> Value:
        """What one of the platform's functions returns, called without arguments."""
        function = (
            function_of(self.source, frame, name) if not node.args and not node.keywords else None
        )
        return self.returned(*function, None, depth) if function else UNKNOWN

    def _method(self, owner: Class, name: str, given: Sequence[Value], depth: int) -> Value:
        for module, cls in self.source.lineage(*owner)[:1]:
            for node in cls.body:
                if isinstance(node, Function) and node.name == name and not given:
                    return self.returned(module, node, owner, depth)
        return UNKNOWN

    def _subscript(self, frame: Frame, node: ast.Subscript, depth: int) -> Value:
        if self.source.full_name(frame.module, dotted_name(node.value)) == "os.environ":
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
        if (
            len(node.generators) > 1
            or among.kind != "list"
            or not isinstance(loop.target, ast.Name)
        ):
            return Value("list")
        items: list[Value] = []
        known = among.known
        for item in among.items:
            inner = replace(frame, bound=((loop.target.id, item), *frame.bound))
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
        if not isinstance(node.op, ast.Add) or left.kind != right.kind:
            return UNKNOWN
        if left.kind == "list":
            known, spot = left.known and right.known, left.spot or right.spot
            return sequence([*left.items, *right.items], known=known, spot=spot)
        if left.text is not None and right.text is not None:
            return plain(left.text + right.text, Spot(frame.module.place(node)))
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
        truth = self._of(frame, node.operand, depth + 1).truth
        if not isinstance(node.op, ast.Not):
            return UNKNOWN
        return Value("bool") if truth is None else plain(not truth)
