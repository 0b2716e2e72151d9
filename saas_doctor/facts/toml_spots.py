"""Where the strings of a TOML file stand: a parser tells what it says, this tells at which bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    rb"""
    (?P<skip>[ \t\r]+|\#[^\n]*)
    | (?P<newline>\n)
    | (?P<string>\"{3}(?:\\.|[^\\])*?\"{3,5}|'{3}.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*')
    | (?P<bare>[A-Za-z0-9_.+:-]+)
    | (?P<sign>.)
    """,
    re.X | re.S,
)


@dataclass(frozen=True)
class Spot:
    """One string value: its keys from the top, and the bytes between its quotes."""

    keys: tuple[str, ...]
    start: int
    end: int


def spots(data: bytes) -> Iterator[Spot]:
    """The string values of a TOML document that a parser takes, in their order."""
    table: tuple[str, ...] = ()
    names: list[str] = []  # of the header or key that is being read
    value: list[tuple[str, ...]] = []  # the keys of the open value, one entry a bracket
    state = "line"
    for token in _TOKEN.finditer(data):
        kind, text = token.lastgroup, token.group()
        if kind == "skip":
            continue
        if kind == "newline":
            if not value or state == "header":
                state, names, value = "line", [], []
        elif state in ("line", "header", "key"):
            if text == b"[" and state == "line":
                state = "header"
            elif kind in ("bare", "string"):
                state = "key" if state == "line" else state
                names += _names(text)
            elif text == b"]" and state == "header":
                table = tuple(names)
            elif text == b"=" and state == "key":
                state, value = "value", [(*table, *names)]
                names = []
        elif state == "value":
            yield from _in_value(token, value, names)
            if not value:
                state = "done"
            elif len(value) == 1 and kind != "sign":
                value = []  # a plain value is over; a comment may follow
                state = "done"


def _in_value(
    token: re.Match[bytes], value: list[tuple[str, ...]], names: list[str]
) -> Iterator[Spot]:
    """One token of a value; the stack and the inline table's key are kept up to date."""
    kind, text = token.lastgroup, token.group()
    if kind in ("string", "bare"):
        names[:] = [*names, *_names(text)]
        if kind == "string":
            quotes = 3 if text[:3] in (b'"""', b"'''") else 1
            yield Spot(value[-1], token.start() + quotes, token.end() - quotes)
    elif text in (b"[", b"{"):
        value.append(value[-1])
        names.clear()
    elif text in (b"]", b"}"):
        value.pop()
        if len(value) == 1:
            value.clear()
    elif text == b"=" and len(value) > 1:
        value[-1] = (*value[-2], *names)
        names.clear()
    elif text == b",":
        names.clear()


def _names(text: bytes) -> list[str]:
    """The parts of a dotted key."""
    if text[:1] in b"\"'":
        return [text.strip(b"\"'").decode("utf-8", "replace")]
    return [part for part in text.decode().split(".") if part]
