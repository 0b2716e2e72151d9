"""Where the strings of a TOML file stand: a parser tells what it says, this tells at which bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

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


class Spot(Struct, frozen=True):
    """One string value: its keys from the top, and the bytes between its quotes."""

    keys: tuple[str, ...]
    start: int
    end: int


def spots(data: bytes) -> Iterator[Spot]:
    """The string values of a TOML document that a parser takes, in their order."""
    scanner = _Scanner()
    for token in _TOKEN.finditer(data):
        kind, text = token.lastgroup, token.group()
        if kind == "newline" and not scanner.value:
            scanner.begin_line()
        elif kind in ("string", "bare", "sign"):
            if scanner.value:
                yield from scanner.in_value(token)
            elif not scanner.over:
                scanner.in_key(kind, text)


class _Scanner:
    """How far a document was read: the table, the key, and the brackets of an open value."""

    def __init__(self) -> None:
        self.table: tuple[str, ...] = ()
        self.names: list[str] = []  # of the header or key that is being read
        self.value: list[tuple[str, ...]] = []  # the keys of the open value, one entry a bracket
        self.header = self.over = False

    def begin_line(self) -> None:
        self.names, self.header, self.over = [], False, False

    def in_key(self, kind: str, text: bytes) -> None:
        """One token before the value: a part of a header or of a key."""
        if kind != "sign":
            self.names += _names(text)
        elif text == b"[" and not self.names:
            self.header = True
        elif text == b"]" and self.header:
            self.table, self.over = tuple(self.names), True
        elif text == b"=":
            self.value, self.names = [(*self.table, *self.names)], []

    def in_value(self, token: re.Match[bytes]) -> Iterator[Spot]:
        """One token of a value; the last of it closes it."""
        kind, text = token.lastgroup, token.group()
        if kind != "sign":
            self.names += _names(text)
            if kind == "string":
                quotes = 3 if text[:3] in (b'"""', b"'''") else 1
                yield Spot(self.value[-1], token.start() + quotes, token.end() - quotes)
        elif text in (b"[", b"{"):
            self.value.append(self.value[-1])
            self.names = []
        elif text in (b"]", b"}"):
            self.value.pop()
        elif text == b"=":  # of an inline table's key
            self.value[-1] = (*self.value[-2], *self.names)
            self.names = []
        elif text == b",":
            self.names = []
        if len(self.value) == 1 and (kind != "sign" or text in (b"]", b"}")):
            self.value, self.over = [], True


def _names(text: bytes) -> list[str]:
    """The parts of a dotted key."""
    if text[:1] in b"\"'":
        return [text.strip(b"\"'").decode("utf-8", "replace")]
    return [part for part in text.decode().split(".") if part]
