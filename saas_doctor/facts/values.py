"""What an expression in the source comes to: constants, settings, environment variables."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from saas_doctor.facts import Fact
from saas_doctor.facts.bindings import Function, bound, given, given_to_self, is_local
from saas_doctor.facts.dotenv import EnvFile
from saas_doctor.facts.source import Module, Source, dotted_name
from saas_doctor.model import Place
from saas_doctor.platform import Platform

_SETTINGS = {
    "pydantic_settings.BaseSettings",
    "pydantic_settings.main.BaseSettings",
    "pydantic.BaseSettings",
    "pydantic.env_settings.BaseSettings",
    "pydantic.v1.BaseSettings",
}
_TYPES: dict[str, Callable[[Any], object]] = {"int": int, "float": float, "str": str, "bool": bool}
_TRUE, _FALSE = {"1", "true", "t", "yes", "y", "on"}, {"0", "false", "f", "no", "n", "off"}
_OPERATORS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}
_TEXT_METHODS = {"lower", "upper", "strip", "rstrip", "lstrip"}
_DEPTH = 24

Made = tuple[Module, ast.ClassDef, ast.Call | None]
"""A class of the platform, and the call that makes an instance of it, where one is meant."""


@dataclass(frozen=True)
class Known:
    """A value, and where it was decided: a line of the source or `.env`, or None for the shell."""

    value: Any
    place: Place | None


class _Unknown(Exception):
    """What the expression comes to can't be told."""


@dataclass(frozen=True)
class Values(Fact):
    """What the source's expressions come to, with the settings at hand.

    A setting is what the shell has, else `.env`, else its default. One that the compose file names
    too may differ from process to process, and is not told; `elsewhere` is that file's text.
    """

    source: Source
    shell: Mapping[str, str]
    settings: Mapping[str, tuple[str, Place]]
    elsewhere: bytes = b""

    @classmethod
    def read(cls, platform: Platform, source: Source, env: EnvFile) -> Values:
        lines = env.there.settings if env.there else ()
        compose = platform.config.compose_file
        try:
            elsewhere = platform.path(compose).read_bytes() if compose else b""
        except OSError:
            elsewhere = b""  # a check of the compose file says so
        settings = {s.key: (s.value, s.place) for s in lines if not s.bare}
        return cls(source, platform.environ, settings, elsewhere)

    @cached_property
    def here(self) -> Values:
        """The same for what is started from this shell, whatever the compose file sets."""
        return replace(self, elsewhere=b"")

    def of(self, module: Module, node: ast.expr) -> Known | None:
        """The value of an expression, or None where it can't be told."""
        try:
            return self._of(module, node, 0)
        except (_Unknown, TypeError, ValueError, ArithmeticError):
            return None

    def beginning(self, module: Module, node: ast.expr, depth: int = 0) -> tuple[str, bool]:
        """The beginning of a text, as far as it can be told, and whether it is the whole."""
        known = self.of(module, node)
        if known or depth > _DEPTH:
            return (str(known.value), True) if known else ("", False)
        parts: list[ast.expr] = []
        if isinstance(node, ast.JoinedStr):
            parts = [p.value if isinstance(p, ast.FormattedValue) else p for p in node.values]
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            parts = [node.left, node.right]
        elif isinstance(node, ast.Name | ast.Attribute):
            found = bound(self.source, module, node)
            return self.beginning(*found, depth + 1) if found else ("", False)
        text = ""
        for part in parts:
            more, whole = self.beginning(module, part, depth + 1)
            text += more
            if not whole:
                break
        return text, False

    def _of(self, module: Module, node: ast.expr, depth: int) -> Known:
        handler = _HANDLERS.get(type(node))
        if handler is None or depth > _DEPTH:
            raise _Unknown
        return handler(self, module, node, depth + 1)

    def _constant(self, module: Module, node: ast.Constant, _: int) -> Known:
        return Known(node.value, module.place(node))

    def _name(self, module: Module, node: ast.Name | ast.Attribute, depth: int) -> Known:
        found = bound(self.source, module, node)
        if found is None:
            raise _Unknown
        return self._of(*found, depth)

    def _attribute(self, module: Module, node: ast.Attribute, depth: int) -> Known:
        owner = self.class_behind(module, node.value)
        return self._field(owner, node.attr, depth) if owner else self._name(module, node, depth)

    def _call(self, module: Module, node: ast.Call, depth: int) -> Known:
        name = dotted_name(node.func)
        full = self.source.made_by(module, name) if name else ""
        if full in ("os.getenv", "os.environ.get") and node.args:
            default = [*node.args[1:], *(k.value for k in node.keywords if k.arg == "default")]
            return self._variable(module, node.args[0], default, depth)
        if full in _TYPES and len(node.args) == 1 and not node.keywords:
            inner = self._of(module, node.args[0], depth)
            return Known(_TYPES[full](inner.value), inner.place)
        if isinstance(node.func, ast.Attribute) and node.func.attr in _TEXT_METHODS:
            inner = self._of(module, node.func.value, depth)
            texts = [self._of(module, a, depth).value for a in node.args]
            if isinstance(inner.value, str):
                return Known(getattr(inner.value, node.func.attr)(*texts), inner.place)
        raise _Unknown

    def _subscript(self, module: Module, node: ast.Subscript, depth: int) -> Known:
        if self.source.made_by(module, dotted_name(node.value)) != "os.environ":
            raise _Unknown
        return self._variable(module, node.slice, [], depth)

    def _variable(
        self, module: Module, name: ast.expr, default: list[ast.expr], depth: int
    ) -> Known:
        """An environment variable; `.env` counts where the code loads it into the environment."""
        key = self._of(module, name, depth).value
        if not isinstance(key, str) or self._is_set_elsewhere(key):
            raise _Unknown
        if key in self.shell:
            return Known(self.shell[key], None)
        if key in self.settings:
            if not self._loads_settings:
                raise _Unknown
            return Known(*self.settings[key])
        return self._of(module, default[0], depth) if default else Known(None, module.place(name))

    @cached_property
    def _loads_settings(self) -> bool:
        return any(True for _ in self.source.mentioning("load_dotenv"))

    def _is_set_elsewhere(self, key: str) -> bool:
        return bool(re.search(rb"\b" + re.escape(key.encode()) + rb"\b", self.elsewhere, re.I))

    def _operation(self, module: Module, node: ast.BinOp, depth: int) -> Known:
        left, right = self._of(module, node.left, depth), self._of(module, node.right, depth)
        kinds = {type(left.value), type(right.value)}
        # Of texts only sums: a product may be as long as one likes.
        if not (kinds <= {int, float} or (kinds == {str} and isinstance(node.op, ast.Add))):
            raise _Unknown
        function = _OPERATORS.get(type(node.op))
        if function is None:
            raise _Unknown
        return Known(function(left.value, right.value), left.place)

    def _comparison(self, module: Module, node: ast.Compare, depth: int) -> Known:
        left = self._of(module, node.left, depth)
        right, kind = node.comparators[0], node.ops[0]
        function = _OPERATORS.get(type(kind))
        if len(node.ops) == 1 and function:
            return Known(function(left.value, self._of(module, right, depth).value), left.place)
        among = isinstance(kind, ast.In) and isinstance(right, ast.Tuple | ast.List | ast.Set)
        if len(node.ops) != 1 or not among:
            raise _Unknown
        assert isinstance(right, ast.Tuple | ast.List | ast.Set)
        return Known(
            left.value in [self._of(module, e, depth).value for e in right.elts], left.place
        )

    def _logic(self, module: Module, node: ast.BoolOp, depth: int) -> Known:
        for part in node.values:
            known = self._of(module, part, depth)
            if bool(known.value) == isinstance(node.op, ast.Or):
                break
        return known

    def _unary(self, module: Module, node: ast.UnaryOp, depth: int) -> Known:
        inner = self._of(module, node.operand, depth)
        if isinstance(node.op, ast.Not):
            return Known(not inner.value, inner.place)
        if isinstance(node.op, ast.USub):
            return Known(-inner.value, inner.place)
        raise _Unknown

    def _choice(self, module: Module, node: ast.IfExp, depth: int) -> Known:
        test = self._of(module, node.test, depth)
        return self._of(module, node.body if test.value else node.orelse, depth)

    def _text(self, module: Module, node: ast.JoinedStr, depth: int) -> Known:
        parts = [p.value if isinstance(p, ast.FormattedValue) else p for p in node.values]
        texts = [str(self._of(module, part, depth).value) for part in parts]
        return Known("".join(texts), module.place(node))

    # Classes and their fields.

    def class_behind(self, module: Module, node: ast.expr, depth: int = 0) -> Made | None:
        """The platform's class that an expression is, or is an instance of."""
        if depth > _DEPTH:
            return None
        if isinstance(node, ast.Call):
            name = dotted_name(node.func)
            found = self.source.class_of(module, name) if name else None
            return (*found, node) if found else self._class_returned(module, name, depth)
        if not isinstance(node, ast.Name | ast.Attribute):
            return None
        value = bound(self.source, module, node)
        if value:
            return self.class_behind(*value, depth + 1)
        if isinstance(node, ast.Name) and is_local(module, node):
            return None
        found = self.source.class_of(module, dotted_name(node))
        return (*found, None) if found else None

    def _class_returned(self, module: Module, name: str, depth: int) -> Made | None:
        """The class of what a function of the platform returns, where it has one `return`."""
        found = self.source.definition(module, name) if name else None
        if found is None:
            return None
        where, last = found
        function = next((f for f in where.body if isinstance(f, Function) and f.name == last), None)
        nodes = ast.walk(function) if function else ()
        returned = [n.value for n in nodes if isinstance(n, ast.Return) and n.value]
        return self.class_behind(where, returned[0], depth + 1) if len(returned) == 1 else None

    def _field(self, owner: Made, name: str, depth: int) -> Known:
        module, node, made = owner
        settings = bool(self.source.ancestry(module, node) & _SETTINGS)
        if made and (made.args or any(k.arg != "_env_file" for k in made.keywords)):
            raise _Unknown  # what the instance is given may be this field
        lineage = self.source.lineage(module, node)
        for where, cls in lineage:
            found = [*given(cls, name), *given_to_self(cls, name)]
            fields = [n for n in cls.body if _declares(n, name)]
            if not found and not fields:
                continue
            value = found[0] if found else None
            if len(found) > 1 or (found and value is None):
                raise _Unknown
            if settings and made:
                known = self._given([c for _, c in lineage], fields, name, value)
                if known:
                    return known
            if value is None:
                raise _Unknown
            return self._of(where, _default(value), depth)
        raise _Unknown

    def _given(
        self, lineage: list[ast.ClassDef], fields: list[ast.stmt], name: str, value: ast.expr | None
    ) -> Known | None:
        """What the shell or `.env` gives a settings field; None where it has its default."""
        field = fields[0] if len(fields) == 1 else None
        variable = _variable_of(lineage, name, value)
        if not isinstance(field, ast.AnnAssign) or self._is_set_elsewhere(variable):
            raise _Unknown
        wanted = variable.lower()
        for key, text in self.shell.items():
            if key.lower() == wanted:
                return Known(_parsed(text, field.annotation), None)
        for key, (text, place) in self.settings.items():
            if key.lower() == wanted:
                return Known(_parsed(text, field.annotation), place)
        return None


def _declares(node: ast.stmt, name: str) -> bool:
    return isinstance(node, ast.AnnAssign) and dotted_name(node.target) == name


def _parsed(text: str, annotation: ast.expr) -> object:
    """A setting's text as Pydantic takes it for a field of this type."""
    names = {n.id for n in ast.walk(annotation) if isinstance(n, ast.Name)} - {"Optional", "Union"}
    if names == {"bool"} and text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    if names in ({"int"}, {"float"}):
        return _TYPES[names.pop()](text)
    if names & {"int", "float", "bool", "list", "List", "dict", "Dict", "set"}:
        raise _Unknown
    return text


def _variable_of(lineage: list[ast.ClassDef], name: str, value: ast.expr | None) -> str:
    """The variable that a settings field is read from."""
    texts: list[ast.expr] = []
    if isinstance(value, ast.Call):
        aliases = ("alias", "validation_alias", "env")
        texts = [k.value for k in value.keywords if k.arg in aliases]
    prefix = "" if texts else name
    for node in (n for cls in lineage for n in ast.walk(cls)) if not texts else ():
        if isinstance(node, Function) and node.name.endswith("customise_sources"):
            raise _Unknown
        is_prefix = isinstance(node, ast.keyword) and node.arg == "env_prefix"
        if isinstance(node, ast.Assign):
            is_prefix = dotted_name(node.targets[0]) == "env_prefix"
        if is_prefix:
            assert isinstance(node, ast.keyword | ast.Assign)
            texts.append(node.value)
    if not texts:
        return prefix
    text = texts[0].value if isinstance(texts[0], ast.Constant) else None
    if not isinstance(text, str):
        raise _Unknown
    return text + prefix


def _default(value: ast.expr) -> ast.expr:
    """The expression that a field has as its default, `Field(...)` looked into."""
    if not isinstance(value, ast.Call) or dotted_name(value.func).rpartition(".")[2] != "Field":
        return value
    named = [k.value for k in value.keywords if k.arg == "default"]
    default = next(iter([*value.args[:1], *named]), None)
    if default is None or (isinstance(default, ast.Constant) and default.value is ...):
        raise _Unknown
    return default


_HANDLERS: dict[type[ast.AST], Callable[..., Known]] = {
    ast.Constant: Values._constant,
    ast.Name: Values._name,
    ast.Attribute: Values._attribute,
    ast.Call: Values._call,
    ast.Subscript: Values._subscript,
    ast.BinOp: Values._operation,
    ast.Compare: Values._comparison,
    ast.BoolOp: Values._logic,
    ast.UnaryOp: Values._unary,
    ast.IfExp: Values._choice,
    ast.JoinedStr: Values._text,
}
