"""YAML as nodes that know where they stand, with scalars read as Compose reads them.

PyYAML's own composer is not used: built on libyaml it ends the whole process on a file that is
nested deep enough, and it resolves scalars by YAML 1.1 (`22:22` is 1342, `no` is false).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from saas_doctor.edits import Edit
from saas_doctor.model import Place

Scalar = str | int | float | bool | None
Kind = Literal["scalar", "list", "map"]

DEEPEST = 100
"""Levels of nesting; Compose files have about ten."""
LARGEST = 100_000
"""Nodes of a document, as many as Compose's own reader visits."""

_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?(0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO]?[0-7_]+|[1-9][0-9_]*|0)")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)"
)
_STRING_TAG = "tag:yaml.org,2002:str"


class File(Struct, frozen=True, dict=True, eq=False):
    """A YAML file; `folder` is where the relative paths that it names begin."""

    name: str
    path: Path
    folder: Path
    data: bytes

    @cached_property
    def text(self) -> str:
        """Its text without a byte order mark; raises UnicodeDecodeError."""
        return self.data.decode(self._encoding)

    @cached_property
    def _encoding(self) -> str:
        return "utf-16" if self.data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"

    @cached_property
    def _lines(self) -> list[int]:
        return [0, *(m.end() for m in re.finditer("\n", self.text))]

    def place(self, index: int) -> Place:
        line = bisect_right(self._lines, index)
        return Place(self.name, line, index - self._lines[line - 1] + 1)

    def edit(self, start: int, end: int, text: str) -> Edit | None:
        """The edit of the file's bytes that replaces these characters; None for UTF-16."""
        if self._encoding != "utf-8-sig":
            return None
        mark = len(self.data) - len(self.text.encode())
        first = mark + len(self.text[:start].encode())
        return Edit(first, first + len(self.text[start:end].encode()), text.encode())


class Node(Struct, frozen=True, eq=False):
    """A value in a YAML file: a scalar, a list or a map, and the characters that it takes up.

    `text` is a scalar's text with its variables put in, `raw` the text before. `unset` are the
    variables without a value that went into it: what it will be is then not known. `parts` are
    the nodes that a merged one was made of.
    """

    file: File
    kind: Kind
    start: int
    end: int
    text: str = ""
    raw: str = ""
    plain: bool = False
    tag: str = ""
    unset: tuple[str, ...] = ()
    items: Sequence[Node] = ()
    entries: Mapping[str, Entry] = field(default_factory=lambda: MappingProxyType({}))
    parts: tuple[Node, ...] = ()
    size: int = 1
    """How many nodes it is with all below it, where those that are shared count each time."""

    @property
    def place(self) -> Place:
        return self.file.place(self.start)

    @property
    def source(self) -> str:
        """The characters in the file, with their quotes."""
        return self.file.text[self.start : self.end]

    @property
    def is_null(self) -> bool:
        return self.kind == "scalar" and self.value is None

    @property
    def value(self) -> Scalar:
        """A scalar by YAML 1.2, nearly as Compose's own reader has it; the text of any other."""
        if self.kind != "scalar" or self.tag == _STRING_TAG or not (self.plain or self.tag):
            return self.text
        return resolved(self.text)

    def get(self, key: str) -> Node | None:
        """The value of a map's key; None where it is not set, or set to nothing."""
        entry = self.entries.get(key)
        if entry is None or entry.value.is_null or entry.value.tag == "!reset":
            return None
        return entry.value

    def string(self, key: str) -> str:
        """The text of a map's key; empty where it is not a scalar."""
        found = self.get(key)
        return found.text if found and found.kind == "scalar" else ""

    @property
    def scalars(self) -> Iterator[Node]:
        """All scalars in it, the keys of maps apart."""
        if self.kind == "scalar":
            yield self
        for below in (*self.items, *(entry.value for entry in self.entries.values())):
            yield from below.scalars


class Entry(Struct, frozen=True, eq=False):
    """A key of a map with its value; `inherited`: by a merge key, another file or `extends`."""

    key: Node
    value: Node
    inherited: bool = False


class Problem(Struct, frozen=True):
    """What is wrong at one place of a file. `key`: the name it is about; `near`: a better one."""

    message: str
    file: File
    start: int
    end: int = 0
    key: str = ""
    near: str = ""

    @property
    def place(self) -> Place:
        return self.file.place(self.start)


def at(node: Node, message: str, key: str = "", near: str = "") -> Problem:
    return Problem(message, node.file, node.start, node.end, key, near)


def resolved(text: str) -> Scalar:
    """What an unquoted scalar means."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text) and len(text) < 100:
        digits = text.replace("_", "").lower()
        octal = re.fullmatch(r"([-+]?)0([0-7]+)", digits)
        try:
            return int(f"{octal[1]}0o{octal[2]}" if octal else digits, 0)
        except ValueError:
            return text
    if _FLOAT.fullmatch(text):
        try:
            return float(text.replace("_", ""))
        except ValueError:
            return text
    return text


class Broken(Exception):
    """A file that is not YAML."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


Substitute = Callable[[Node], Node]
"""Puts the variables into a scalar."""


def read(
    file: File, substitute: Substitute = lambda node: node
) -> tuple[list[Node], list[Problem]]:
    """The file's documents, and what is wrong with their keys and aliases; raises Broken."""
    import yaml

    composer = _Composer(file, substitute)
    try:
        for event in yaml.parse(file.text, Loader=getattr(yaml, "CLoader", yaml.Loader)):
            composer.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        # Where the end of the file, or a blank line, is not what it should be: what is before it.
        start = max(0, len(file.text[: mark.index + 1].rstrip()) - 1) if mark else 0
        raise Broken(Problem(error.problem or "not YAML", file, start)) from None
    except yaml.reader.ReaderError as error:
        raise Broken(Problem(error.reason, file, max(0, error.position))) from None
    except UnicodeDecodeError as error:
        good = replace(file, data=file.data[: error.start])
        raise Broken(Problem(f"not text: {error.reason}", good, len(good.text))) from None
    return composer.documents, composer.problems


class _Frame(Struct):
    kind: Kind
    start: int
    tag: str
    anchor: str | None
    items: list[Node] = field(default_factory=list)


class _Composer:
    def __init__(self, file: File, substitute: Substitute) -> None:
        self.file = file
        self.substitute = substitute
        self.documents: list[Node] = []
        self.problems: list[Problem] = []
        self.stack: list[_Frame] = []
        self.anchors: dict[str, Node] = {}

    def take(self, event: Any) -> None:
        kind = type(event).__name__
        start, end = event.start_mark.index, event.end_mark.index
        if kind in ("MappingStartEvent", "SequenceStartEvent"):
            if len(self.stack) >= DEEPEST:
                raise Broken(Problem(f"nested deeper than {DEEPEST} levels", self.file, start))
            shape: Kind = "map" if kind.startswith("M") else "list"
            self.stack.append(_Frame(shape, start, event.tag or "", event.anchor))
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            self._close(end)
        elif kind == "ScalarEvent":
            node = self._scalar(event, start, end)
            self._add(node, event.anchor)
        elif kind == "AliasEvent":
            self._add(self._alias(event.anchor, start, end))
        elif kind == "DocumentStartEvent":
            self.anchors = {}

    def _scalar(self, event: Any, start: int, end: int) -> Node:
        plain = not event.style and not event.tag  # libyaml says "" where PyYAML says None
        node = Node(
            self.file, "scalar", start, end, event.value, event.value, plain, event.tag or ""
        )
        return node if self._is_key() else self.substitute(node)

    def _is_key(self) -> bool:
        return (
            bool(self.stack) and self.stack[-1].kind == "map" and not len(self.stack[-1].items) % 2
        )

    def _alias(self, name: str, start: int, end: int) -> Node:
        found = self.anchors.get(name)
        if found is None:
            here = Node(self.file, "scalar", start, end, plain=True)
            self.problems.append(at(here, f"nothing before it is called &{name}", name))
            return here
        return found

    def _close(self, end: int) -> None:
        frame = self.stack.pop()
        # The end of a block is where the next thing begins; its own last character is wanted.
        last = len(self.file.text[frame.start : end].rstrip()) + frame.start
        size = 1 + sum(node.size for node in frame.items)
        if size > LARGEST:
            raise Broken(Problem("its aliases make too much of it", self.file, frame.start))
        end = max(last, frame.start)
        node = Node(self.file, frame.kind, frame.start, end, tag=frame.tag, size=size)
        if frame.kind == "list":
            node = replace(node, items=tuple(frame.items))
        else:
            node = replace(node, entries=MappingProxyType(self._entries(frame.items)))
        self._add(node, frame.anchor)

    def _add(self, node: Node, anchor: str | None = None) -> None:
        if anchor:
            self.anchors[anchor] = node
        (self.stack[-1].items if self.stack else self.documents).append(node)

    def _entries(self, nodes: list[Node]) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        merged: list[Node] = []
        for key, value in zip(nodes[::2], nodes[1::2], strict=False):
            if key.kind != "scalar" or not isinstance(key.value, str):
                what = key.text if key.kind == "scalar" else f"a {key.kind}"
                self.problems.append(at(key, f"a key must be text, and {what or 'nothing'} is not"))
                continue
            is_merge = key.text == "<<" and key.plain
            if key.text in entries or (is_merge and merged):
                self.problems.append(at(key, f"{key.text} stands there a second time", key.text))
            elif is_merge:
                merged += value.items if value.kind == "list" else [value]
                if any(node.kind != "map" for node in merged):
                    self.problems.append(at(value, "<< takes a map, or a list of maps"))
            else:
                entries[key.text] = Entry(key, value)
        for node in merged:
            for name, entry in node.entries.items():
                entries.setdefault(name, replace(entry, inherited=True))
        return entries
