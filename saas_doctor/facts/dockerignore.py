"""The patterns of a `.dockerignore`, matched as Docker matches them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from msgspec import Struct


class _Wildcard(Enum):
    ANY = "any signs"
    STAR = "any signs but /"
    ENTER = "no folder at all, or"
    FOLDERS = "any folders, with the / behind them"


Token = str | re.Pattern[str] | _Wildcard
_ANY, _STAR, _ENTER, _FOLDERS = _Wildcard


class Pattern(Struct, frozen=True):
    """One line; `again` where it takes paths back in that an earlier line left out (`!`)."""

    text: str
    line: int
    again: bool
    tokens: tuple[Token, ...]

    def matches(self, path: str) -> bool:
        """Whether the path, or a folder that it lies in, is meant."""
        parts = path.split("/")
        return any(
            _matches(self.tokens, "/".join(parts[: n + 1])) for n in reversed(range(len(parts)))
        )


class Ignored(Struct, frozen=True):
    """The patterns of one file; `valid` is False where Docker refuses one of them."""

    name: str
    patterns: tuple[Pattern, ...]
    valid: bool = True

    def by(self, path: str) -> Pattern | None:
        """The line that leaves a path out of the context; None where it is in."""
        decisive: Pattern | None = None
        for pattern in self.patterns:
            # A line that would change nothing is not looked at.
            if pattern.again == (decisive is not None) and pattern.matches(path):
                decisive = None if pattern.again else pattern
        return decisive

    def leaves_out(self, context: Path, path: str) -> Pattern | None:
        """The line that leaves out a file, or a folder with all that is in it."""
        found = self.by(path)
        if found and any(pattern.again for pattern in self.patterns):
            for inner in _below(context, path):
                if self.by(inner) is None:
                    return None
        return found


_MOST = 20_000
"""Files of a folder that are looked at; one with more is taken for not left out."""


def _below(context: Path, path: str) -> Iterator[str]:
    queue, count = [path], 0
    while queue:
        folder = queue.pop()
        try:
            entries = sorted((context / folder).iterdir())
        except OSError:
            continue
        for entry in entries:
            count += 1
            if count > _MOST:
                yield ""
            inner = f"{folder}/{entry.name}"
            yield inner
            if entry.is_dir() and not entry.is_symlink():
                queue.append(inner)


def parse(name: str, data: bytes) -> Ignored:
    patterns: list[Pattern] = []
    valid = True
    for number, line in enumerate(data.decode("utf-8-sig", "replace").split("\n"), start=1):
        text = line.strip()
        if line.startswith("#") or not text:
            continue
        again = text.startswith("!")
        cleaned = posixpath.normpath(text[1:].strip() if again else text)
        cleaned = cleaned.lstrip("/") if len(cleaned) > 1 else cleaned
        if again and not text[1:].strip():
            valid = False
            continue
        try:
            tokens = tuple(_tokens(cleaned))
        except ValueError:
            valid = False
            continue
        patterns.append(Pattern(text, number, again, tokens))
    return Ignored(name, tuple(patterns), valid)


def _tokens(pattern: str) -> Iterator[Token]:
    """The pattern's parts; raises ValueError where Docker refuses it."""
    rest = pattern[2:]
    if pattern.startswith("**") and not re.search(r"[*?\[\]\\]", rest):
        # `**/name` is at any depth, and `**name` any path that ends so.
        yield from (_ENTER, _FOLDERS) if rest.startswith("/") else (_ANY,)
        yield from rest.removeprefix("/")
        return
    at = 0
    while at < len(pattern):
        sign = pattern[at]
        at += 1
        if sign == "*" and pattern[at : at + 1] == "*":
            at += 1
            at += pattern[at : at + 1] == "/"
            yield from (_ANY,) if at >= len(pattern) else (_ENTER, _FOLDERS)
        elif sign == "*":
            yield _STAR
        elif sign == "?":
            yield re.compile("[^/]", re.S)
        elif sign == "[":
            end = pattern.find("]", at + 1)
            if end < 0:
                raise ValueError("a bracket is not closed")
            inner = re.sub(r"([\[&|~])", r"\\\1", pattern[at:end])
            try:
                yield re.compile(f"[{inner}]")
            except re.error as error:
                raise ValueError(str(error)) from None
            at = end + 1
        else:
            if sign == "\\":
                sign = pattern[at : at + 1]
                at += 1
            if not sign:
                raise ValueError("nothing behind the escape sign")
            yield sign


# Not a regular expression: one with many stars takes for ever on a path that does not match.


def _matches(tokens: tuple[Token, ...], path: str) -> bool:
    """Whether the tokens make up the whole path: all places that may have been reached, at once."""
    reached = _passed(tokens, {0})
    for sign in path:
        after: set[int] = set()
        for place in reached:
            token = tokens[place] if place < len(tokens) else None
            if token is _ANY or token is _FOLDERS or (token is _STAR and sign != "/"):
                after.add(place)
            if (
                (token is _FOLDERS and sign == "/")
                or (isinstance(token, str) and token == sign)
                or (isinstance(token, re.Pattern) and token.fullmatch(sign))
            ):
                after.add(place + 1)
        if not after:
            return False
        reached = _passed(tokens, after)
    return len(tokens) in reached


def _passed(tokens: tuple[Token, ...], places: set[int]) -> set[int]:
    """These places, and those behind what may stand for nothing."""
    queue, found = list(places), set()
    while queue:
        place = queue.pop()
        if place in found:
            continue
        found.add(place)
        token = tokens[place] if place < len(tokens) else None
        if token is _ANY or token is _STAR:
            queue.append(place + 1)
        elif token is _ENTER:
            queue += [place + 1, place + 2]
    return found
