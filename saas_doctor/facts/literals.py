"""What an expression is worth as far as it is proven, and what methods make of it."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from saas_doctor.facts.module import Module
from saas_doctor.model import Place

Plain = str | bool | int | float | None


class Spot(Struct, frozen=True):
    """Where a text is written: a literal of the source, or a variable of the settings file.

    `written` is the whole text there, which the value may be a part of, or made from.
    """

    place: Place | None
    module: Module | None = None
    node: ast.Constant | None = None
    variable: str = ""
    written: str = ""

    def __str__(self) -> str:
        where = str(self.place) if self.place else "this shell"
        return f"{self.variable} ({where})" if self.variable else where


class Value(Struct, frozen=True):
    """A value; `kind` is "" where not even its type is proven.

    Of a scalar, `plain` counts where it is `known`. Of a list (a tuple, a set), `items` are those
    that are proven, in their order; `known` says that there are no others.
    """

    kind: str = ""
    known: bool = False
    plain: Plain = None
    items: tuple[Value, ...] = ()
    spot: Spot | None = None

    @property
    def text(self) -> str | None:
        """The text of a string that is known."""
        if self.kind == "str" and self.known and isinstance(self.plain, str):
            return self.plain
        return None

    @property
    def truth(self) -> bool | None:
        """Whether it counts as true; None where that is not proven."""
        if self.kind == "list":
            return True if self.items else (False if self.known else None)
        return bool(self.plain) if self.known else None

    @property
    def texts(self) -> list[str] | None:
        """The texts of a list of strings that is known as a whole."""
        found = [item.text for item in self.items]
        if self.kind != "list" or not self.known or None in found:
            return None
        return [text for text in found if text is not None]


UNKNOWN = Value()


LONGEST = 100_000
"""Characters of a text, items of a list: what outgrows it is not followed."""
_MOST_BITS = 10_000
"""Of a number; of a larger one Python makes no text."""


def plain(value: Plain, spot: Spot | None = None) -> Value:
    kinds: dict[type, str] = {str: "str", bool: "bool", int: "number", float: "number"}
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        return Value("number")
    return Value(kinds.get(type(value), "none"), True, value, spot=spot)


def sequence(items: Sequence[Value], *, known: bool = True, spot: Spot | None = None) -> Value:
    if len(items) > LONGEST:
        return Value("list")
    return Value("list", known, items=tuple(items), spot=spot)


def together(texts: Sequence[str], spot: Spot | None = None) -> Value:
    """The texts as one."""
    return Value("str") if sum(map(len, texts)) > LONGEST else plain("".join(texts), spot)


def from_json(value: object, spot: Spot | None = None) -> Value:
    if isinstance(value, list):
        return Value("list", True, items=tuple(from_json(v, spot) for v in value), spot=spot)
    if value is None or isinstance(value, str | bool | int | float):
        return plain(value, spot)
    return UNKNOWN


def either(one: Value, other: Value) -> Value:
    """What is sure of a value that is one or the other."""
    if one.known and other.known and (one.plain, one.items) == (other.plain, other.items):
        return one
    if one.kind != other.kind:
        return UNKNOWN
    return Value(one.kind)


_TO_TEXT = {"strip", "lstrip", "rstrip", "lower", "upper", "replace", "removeprefix"} | {
    "removesuffix",
    "casefold",
    "format",
    "join",
    "title",
}
_TO_LIST = {"split", "rsplit", "splitlines"}


def of_text(text: Value, method: str, given: Sequence[Value]) -> Value:
    """What a method of `str` gives; of the same place, since it holds a part of it."""
    if method not in _TO_TEXT | _TO_LIST:
        return UNKNOWN
    kind = Value("list" if method in _TO_LIST else "str")
    if method in ("format", "join") or text.text is None or not all(g.known for g in given):
        return kind
    if (
        method == "replace"
        and len(text.text) * max((len(str(g.plain)) for g in given), default=0) > 100 * LONGEST
    ):
        return kind
    try:
        made = getattr(text.text, method)(*(g.plain for g in given))
    except (TypeError, ValueError):
        return kind
    return from_json(made, text.spot)


_OPERATORS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
}


def number(function: str, given: Value) -> Value:
    """What `int` or `float` makes of a text or a number."""
    if not given.known or given.plain is None:
        return Value("number")
    try:
        return plain((int if function == "int" else float)(given.plain), given.spot)
    except (ValueError, OverflowError):
        return UNKNOWN


def calculated(one: Value, operator: ast.operator, other: Value) -> Value:
    """What an operation gives, where both sides are numbers."""
    function = _OPERATORS.get(type(operator))
    if not one.known or not other.known or function is None:
        return Value("number")
    try:
        return plain(function(one.plain, other.plain), one.spot)
    except (ArithmeticError, ValueError):
        return UNKNOWN


def compared(one: Value, operator: ast.cmpop, other: Value) -> Value:
    """What a comparison gives, where both sides are known."""
    answer: bool | None = None
    function = _OPERATORS.get(type(operator))
    if function and one.kind == other.kind == "number" and one.known and other.known:
        answer = bool(function(one.plain, other.plain))
    elif isinstance(operator, ast.Is | ast.IsNot) and "none" in (one.kind, other.kind):
        if one.known and other.known:
            answer = (one.kind == other.kind) is isinstance(operator, ast.Is)
    elif isinstance(operator, ast.Eq | ast.NotEq) and one.known and other.known:
        if one.kind == other.kind == "list":
            equal = one.texts == other.texts if one.texts and other.texts else None
        else:
            equal = one.kind == other.kind and one.plain == other.plain
        answer = equal if equal is None or isinstance(operator, ast.Eq) else not equal
    elif isinstance(operator, ast.In | ast.NotIn) and one.known and one.kind != "list":
        found = _among(one, other)
        answer = found if found is None else found is isinstance(operator, ast.In)
    return Value("bool") if answer is None else plain(answer)


def _among(one: Value, other: Value) -> bool | None:
    if other.kind == "list":
        whole = other.known and all(item.known and item.kind != "list" for item in other.items)
        return (one.kind, one.plain) in [(i.kind, i.plain) for i in other.items] if whole else None
    return one.text in other.text if one.text is not None and other.text is not None else None


_ADDS = rb"append|extend|insert|add|update"
_OTHER = rb"remove|pop|clear|discard|sort|reverse|difference_update"


def as_changed(value: Value, name: str, modules: Iterable[Module]) -> Value:
    """A list that is added to later holds more than it was given; one that is changed, anything."""
    if value.kind != "list":
        return value
    texts = [module.data for module in modules]
    word = rb"\b" + re.escape(name.encode())
    adds = re.compile(word + rb"\s*(?:\.\s*(?:" + _ADDS + rb")\s*\(|\+=|\|=)")
    other = re.compile(word + rb"\s*(?:\.\s*(?:" + _OTHER + rb")\s*\(|\[[^\]\n]*\]\s*=(?!=))")
    if any(map(other.search, texts)):
        return Value("list")
    return replace(value, known=False) if any(map(adds.search, texts)) else value
