"""The lines of a Dockerfile as instructions: continuations, directives, flags, heredocs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cached_property

from msgspec import Struct

_DIRECTIVE = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*")
_FLAG = re.compile(r"--([a-z][\w-]*)(?:=((?:\"(?:\\.|[^\"\\])*\"|'[^']*'|\S)*))?(?:\s+|$)")
_TOKEN = re.compile(
    r"\"(?:\\.|[^\"\\])*\"|'[^']*'|\\.|<<-?[ \t]*(?=[\w\"'])|[^\s\"'\\]|\s+|(?P<open>.)"
)
HEREDOC = re.compile(r"\d*<<(-?)[ \t]*([^<]+)")


class Heredoc(Struct, frozen=True):
    name: str
    line: int
    body: str


class Instruction(Struct, frozen=True, dict=True):
    """One instruction. `text` is what follows its name and flags, its lines joined to one."""

    name: str
    text: str
    line: int
    flags: tuple[tuple[str, str], ...] = ()
    heredocs: tuple[Heredoc, ...] = ()

    def flag(self, name: str) -> str | None:
        return next((value for key, value in self.flags if key == name), None)

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Its arguments: the JSON form, or split at blanks."""
        if self.text.startswith("["):
            try:
                found = json.loads(self.text)
            except (ValueError, RecursionError):
                found = None
            if isinstance(found, list) and all(isinstance(word, str) for word in found):
                return tuple(found)
        return tuple(self.text.split())


def split(text: str) -> list[str]:
    """Words at blanks outside of quotes; the quotes stay."""
    words: list[str] = []
    word = ""
    for token in _TOKEN.finditer(text):
        if token[0].isspace():
            words, word = [*words, word] if word else words, ""
        else:
            word += token[0]
    return [*words, word] if word else words


def directives(lines: list[str]) -> tuple[str, str, int]:
    """The front end and the escape sign that the first lines name, and the line after these."""
    syntax, escape = "", "\\"
    for number, line in enumerate(lines):
        found = _DIRECTIVE.fullmatch(line.strip())
        name = found[1].lower() if found else ""
        if not found or name not in ("syntax", "escape", "check"):
            return syntax, escape, number
        if name == "syntax":
            syntax = found[2].split()[0]
        elif name == "escape" and found[2] == "`":
            escape = "`"
    return syntax, escape, len(lines)


class Reader:
    def __init__(self, lines: list[str], escape: str, start: int) -> None:
        self.lines = [line.rstrip("\r") for line in lines]
        self.ending = re.compile(rf"(?<!{re.escape(escape)}){re.escape(escape)}[ \t]*$")
        self.at = start
        self.instructions: list[Instruction] = []
        self.endless: list[tuple[int, str]] = []
        """Heredocs without an end: their line and what would end them."""

    def read(self) -> None:
        while self.at < len(self.lines):
            line = self.at
            text = self._logical().strip()
            if text:
                self._take(text, line + 1)

    def _logical(self) -> str:
        """The next line with those that it goes on in; comments and empty lines between are left out."""
        parts: list[str] = []
        goes_on = True
        while goes_on and self.at < len(self.lines):
            line = self.lines[self.at]
            self.at += 1
            if line.lstrip().startswith("#") or (parts and not line.strip()):
                if not parts:
                    return ""
                continue
            short = self.ending.sub("", line)
            goes_on = short != line
            parts.append(short)
        return "".join(parts)

    def _take(self, text: str, line: int) -> None:
        name, _, rest = re.sub(r"[\t\v\f\r ]+", " ", text, count=1).partition(" ")
        name, rest = name.upper(), rest.strip()
        flags: list[tuple[str, str]] = []
        while found := _FLAG.match(rest):
            flags.append((found[1], (found[2] or "").strip("\"'")))
            rest = rest[found.end() :]
        heredocs = tuple(self._heredocs(name, rest))
        self.instructions.append(Instruction(name, rest, line, tuple(flags), heredocs))

    def _heredocs(self, name: str, text: str) -> Iterator[Heredoc]:
        inner = text.upper().split(" ", 1)[0] if name == "ONBUILD" else name
        if "<<" not in text or inner not in ("RUN", "COPY", "ADD") or text.startswith("["):
            return
        if any(token["open"] in ("'", '"') for token in _TOKEN.finditer(text)):
            return  # a quote that is not closed: its words can't be told
        opened = self.at  # the line before this one, counted from 1
        for word in split(text):
            found = HEREDOC.fullmatch(word)
            if found:
                ending = re.sub(r"[\"'\\]", "", found[2])
                yield self._body(ending, opened, tabs=bool(found[1]))

    def _body(self, ending: str, opened: int, *, tabs: bool) -> Heredoc:
        first = self.at
        while self.at < len(self.lines):
            line = self.lines[self.at]
            self.at += 1
            if (line.lstrip("\t") if tabs else line) == ending:
                return Heredoc(ending, first, "\n".join(self.lines[first : self.at - 1]))
        self.endless.append((opened, ending))
        return Heredoc(ending, first, "\n".join(self.lines[first:]))
