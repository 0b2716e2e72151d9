"""Compose's variables: `$V`, `${V}` and its six operators, and the dialect of its `.env` files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from msgspec import Struct

Lookup = Callable[[str], str | None]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-+?]")
_DEEPEST = 50
MOST = 2_000_000
"""Characters of a text, or of all values of a file, once variables are put into each other."""
_TOO_MUCH = f"with its variables put into each other it outgrows {MOST // 1_000_000} MB"


class NotValid(Exception):
    """A text that Compose refuses, at a character of it; `required`: a variable that has to be set."""

    def __init__(self, message: str, index: int = 0, *, required: str = "") -> None:
        super().__init__(message)
        self.index = index
        self.required = required


class Substituted(Struct, frozen=True):
    """A text with its variables put in; `unset` are those that have no value and no default."""

    text: str
    unset: tuple[str, ...] = ()


def substitute(template: str, lookup: Lookup) -> Substituted:
    """The template with its variables; raises NotValid."""
    if "$" not in template:
        return Substituted(template)
    unset: list[str] = []
    return Substituted(_joined(_parts(template, lookup, unset)), tuple(unset))


def _joined(parts: Iterable[str]) -> str:
    """The parts as one text, as long as it is one that a process can be given."""
    found: list[str] = []
    left = MOST
    for part in parts:
        found.append(part)
        left -= len(part)
        if left < 0:
            raise NotValid(_TOO_MUCH)
    return "".join(found)


def _parts(template: str, lookup: Lookup, unset: list[str], depth: int = 0) -> Iterator[str]:
    if depth > _DEEPEST:
        raise NotValid("its variables stand too deep in each other")
    at = 0
    while True:
        sign = template.find("$", at)
        if sign < 0:
            yield template[at:]
            return
        yield template[at:sign]
        after = template[sign + 1 : sign + 2]
        name = _NAME.match(template, sign + 1)
        if after == "$":
            yield "$"
            at = sign + 2
        elif after == "{":
            at = _closing(template, sign + 1)
            yield from _braced(template[sign + 2 : at - 1], lookup, unset, depth)
        elif name:
            value = lookup(name[0])
            if value is None:
                unset.append(name[0])
            yield value or ""
            at = name.end()
        else:
            yield "$"
            at = sign + 1


def _closing(template: str, opening: int) -> int:
    """The place behind the brace that closes the one at `opening`, as Compose counts them."""
    depth, at = 0, opening
    while at < len(template):
        if template[at] == "{":
            depth += 1
            at += 1  # what follows an opening brace is not looked at
        elif template[at] == "}":
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    last = template.rfind("}", opening)
    if last < 0:
        raise NotValid(f"{template[opening - 1 :]} has no closing brace")
    return last + 1


def _braced(text: str, lookup: Lookup, unset: list[str], depth: int) -> Iterator[str]:
    name = _NAME.match(text)
    rest = text[name.end() :] if name else ""
    operator = _OPERATOR.match(rest)
    if not name or (rest and not operator) or "\n" in rest:
        raise NotValid(f"${{{text}}} is no variable; a $ that is meant is written $$")
    value = lookup(name[0])
    if not operator:
        if value is None:
            unset.append(name[0])
        yield value or ""
        return
    sign, other = operator[0], rest[operator.end() :]
    there = value is not None and (value != "" or ":" not in sign)
    if sign[-1] == "?" and not there:
        message = _joined(_parts(other, lookup, unset, depth + 1))
        raise NotValid(
            f"{name[0]} has no value" + (f": {message}" if message else ""), required=name[0]
        )
    if there == (sign[-1] == "+"):
        if sign[-1] in "+-":
            yield from _parts(other, lookup, unset, depth + 1)
    elif value is not None:
        yield value


class Variable(Struct, frozen=True):
    """One line of an env file: its key, its value, and the characters that the value takes up."""

    key: str
    value: str
    start: int
    end: int


_LINE = re.compile(r"(?:export\s+)?([^=:\n]*)(?:([=:])[^\S\n]*)?")
_KEY = re.compile(r"[\w.\-\[\]\t\r\f\v]*")
_ESCAPE = re.compile(r'\\([abcfnrtv$"\\]|0\d{0,3})')
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def read_env(
    text: str, lookup: Lookup, *, raw: bool = False, before: Mapping[str, str] | None = None
) -> list[Variable]:
    """The variables of an env file as Compose reads it; raises NotValid.

    `lookup` is the shell, whose values go before the file's own in `${V}`, and these before those
    of the files read `before` it. `raw`: the format in which everything behind the sign is the value.
    """
    found: list[Variable] = []
    known = dict(before or {})

    def seen(name: str) -> str | None:
        value = lookup(name)
        return known.get(name) if value is None else value

    at = total = 0
    while True:
        at = _next_statement(text, at)
        if at >= len(text):
            return found
        match = _LINE.match(text, at)
        key = match[1].rstrip() if match else "?"
        if not match or not _KEY.fullmatch(key):
            raise NotValid("a key has letters, digits and _ . - [ ] alone, and then a =", at)
        start = match.end()
        if match[2]:
            try:
                value, end = _value(text, start, seen, raw)
            except NotValid as error:
                raise NotValid(str(error), at, required=error.required) from None
            total += len(value) if "$" in text[start:end] else 0
            if total > MOST:
                raise NotValid(_TOO_MUCH, at)
            if key:
                found.append(Variable(key, value, start, end))
                known[key] = value
            at = end
        else:
            inherited = lookup(key)
            if inherited is not None:
                found.append(Variable(key, inherited, start, start))
                known[key] = inherited
            at = start
        # What stands behind a closing quote on its line is read as the next statement.


def _next_statement(text: str, at: int) -> int:
    while True:
        while at < len(text) and text[at].isspace():
            at += 1
        if text[at : at + 1] != "#":
            return at
        line_end = text.find("\n", at)
        at = len(text) if line_end < 0 else line_end


def _value(text: str, start: int, lookup: Lookup, raw: bool) -> tuple[str, int]:
    """A value and where it ends."""
    quote = text[start : start + 1]
    if quote in ("'", '"') and not raw:
        closing = re.compile(rf"{quote}((?:\\.|[^{quote}\\])*){quote}", re.S).match(text, start)
        if not closing:
            raise NotValid("the quote is not closed")
        inner = re.sub(rf"\\({quote})", r"\1", closing[1])
        if quote == '"':
            inner = substitute(_ESCAPE.sub(_unescaped, inner), lookup).text
        return inner, closing.end()
    line_end = text.find("\n", start)
    line = text[start : len(text) if line_end < 0 else line_end]
    if raw:
        return line.removesuffix("\r"), start + len(line.rstrip("\r"))
    value = line.partition(" #")[0].rstrip()
    return substitute(value, lookup).text, start + len(value)


def _unescaped(match: re.Match[str]) -> str:
    sign = match[1]
    if sign == "$":
        return "$$"  # so that it stays a $
    if sign[0] == "0":
        return chr(int(sign[1:] or "0", 8) % 256) if not re.search("[89]", sign) else match[0]
    return _ESCAPED.get(sign, sign if sign in '"\\' else match[0])


def lookup_in(*sources: Mapping[str, str]) -> Lookup:
    """Looks a name up in the first that has it."""

    def look(name: str) -> str | None:
        return next((source[name] for source in sources if name in source), None)

    return look
