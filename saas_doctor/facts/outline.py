"""What one module imports and which names it binds: by its text, and surely by its syntax tree."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Container, Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

from msgspec import Struct, field

from saas_doctor.facts.module import Module, dotted_name, takes_import_errors

# Statements at the beginning of a line alone: what is indented is in a function or under a condition.
_IMPORT = re.compile(
    rb"\n(?:from[ \t]+([^\s#]+)[ \t]+import\b[ \t]*"
    rb"(\([^)#]*(?:#[^\n]*[^)#]*)*|[^\n\\]*(?:\\\r?.[^\n\\]*)*)"
    rb"|import[ \t]+([^\n\\]*(?:\\\r?.[^\n\\]*)*))",
    re.S,
)
_FURTHER = re.compile(rb";[ \t]*(?=(?:from|import)[ \t])")
"""Before an import that follows another statement in its line."""
_COMMENT = re.compile(rb"#[^\n]*")
_VARIABLE = b"=: \t"
_HEADS = (
    (b"\nclass ", b"(:[ \t"),
    (b"\ndef ", b"([ \t"),
    (b"\nasync def ", b"([ \t"),
    (b"\n", _VARIABLE),
)
# What can give a module names that its text does not show.
_OPEN_NAMES = {"globals", "exec", "vars", "locals"}


class Import(NamedTuple):
    """One module that is imported; `listing` is what a `from` names, `at` a place to compare.

    `certain`: whether it is sure to be executed, and its failure to end the import of the module.
    """

    at: int
    origin: str
    listing: bytes = b""
    alias: str = ""
    certain: bool = True
    node: ast.Import | ast.ImportFrom | None = None

    @property
    def names(self) -> list[str]:
        """The names that are imported from it; none for `import x`."""
        return [name for name, _ in names_of(self.listing)] if self.listing else []

    @property
    def bound(self) -> list[str]:
        """The names that the statement gives the module that it stands in."""
        if self.listing:
            return [given for _, given in names_of(self.listing)]
        return [self.alias or self.origin.partition(".")[0]]


def names_of(text: bytes) -> list[tuple[str, str]]:
    """The names of a `from ... import`, each with the name it is given."""
    if b"#" in text:
        text = _COMMENT.sub(b"", text)
    if b"\\" in text:
        text = text.replace(b"\\\n", b" ").replace(b"\\\r\n", b" ")
    words = [w.split() for w in text.decode("utf-8", "replace").strip("() \t\r\n;").split(",")]
    return [(w[0], w[2] if len(w) == 3 and w[1] == "as" else w[0]) for w in words if w]


def imports_in(
    data: bytes, only: Container[bytes] | None = None, others: set[bytes] | None = None
) -> list[Import]:
    """The imports of lines that are not indented, in their order; `at` is the offset.

    `only`: the names at the top that count; relative ones always do. `others` takes the rest.
    """
    found: list[Import] = []
    for match in _IMPORT.finditer(parted(b"\n" + data)):
        origin, listing, plain = match.groups()
        if origin:
            if listing[:1] != b"(":
                listing = listing.partition(b";")[0]
            top = origin.partition(b".")[0]
            if only is None or not top or top in only:
                found.append(Import(match.start(), origin.decode("utf-8", "replace"), listing))
            elif others is not None:
                others.add(top)
            continue
        for part in plain.partition(b";")[0].split(b","):
            words = part.split()
            top = words[0].partition(b".")[0] if words else b""
            if top and (only is None or top in only):
                alias = (
                    words[2].decode("utf-8", "replace")
                    if words[1:2] == [b"as"] and words[2:]
                    else ""
                )
                found.append(
                    Import(match.start(), words[0].decode("utf-8", "replace"), alias=alias)
                )
            elif others is not None:
                others.add(top)
    return found


def parted(data: bytes) -> bytes:
    """The text, as long as it was; an import behind another statement has a line of its own.

    Not where the line is indented.
    """

    def cut(match: re.Match[bytes]) -> bytes:
        start = data.rfind(b"\n", 0, match.start()) + 1
        is_inner = data[start : start + 1] in b" \t#"
        return match[0] if is_inner else b" " * (len(match[0]) - 1) + b"\n"

    return _FURTHER.sub(cut, data)


def defines(data: bytes, name: str) -> bool:
    """Whether a line's beginning defines a class, a function or a variable of that name."""
    word = os.fsencode(name)
    return any(_place(data, head + word, after) >= 0 for head, after in _HEADS)


def _place(data: bytes, start: bytes, after: bytes) -> int:
    """The offset of the line that begins so, and goes on as a definition does; else -1."""
    first = data.startswith(start[1:])  # the file's very first line has no end before it
    at = -1 if first else data.find(start)
    while at >= 0 or first:
        end = at + len(start)
        if data[end : end + 1] in after and (
            after != _VARIABLE or data[end : end + 80].lstrip(b" \t")[:1] in (b"=", b":")
        ):
            return max(at, 0)
        at, first = data.find(start, end), False
    return -1


class TextOutline(Struct, dict=True):
    """A module as its text shows it: quick, and right for most.

    `local`: the names at the top that its `imports` are those of; `others` takes the rest.
    `package`: a package's folder.
    """

    data: bytes
    local: Container[bytes]
    others: set[bytes] = field(default_factory=set)
    package: str = ""

    @cached_property
    def imports(self) -> list[Import]:
        return imports_in(self.data, self.local, self.others)

    @cached_property
    def imported(self) -> dict[str, int]:
        """The names that the imports bind, each with its first place."""
        found: dict[str, int] = {}
        for statement in imports_in(self.data):
            for name in statement.bound:
                found.setdefault(name, statement.at)
        return found

    def first(self, name: str) -> int | None:
        """Where the name is first bound; None where the text does not show it."""
        word = os.fsencode(name)
        places = [_place(self.data, head + word, after) for head, after in _HEADS]
        places.append(self.imported.get(name, -1))
        return min((place for place in places if place >= 0), default=None)


class TreeOutline(Struct):
    """A module as its syntax tree shows it; places are lines.

    `closed`: whether the names are all that it can have. `stars`: what it imports everything from.
    """

    imports: list[Import] = field(default_factory=list)
    bound: dict[str, int] = field(default_factory=dict)
    closed: bool = True

    @classmethod
    def of(cls, module: Module) -> TreeOutline | None:
        """None for a file that can't be parsed."""
        if module.tree is None:
            return None
        outline = cls()
        outline._read(module.body, certain=True)
        open_ended = any(map(_opens, module.nodes)) or "__getattr__" in outline.bound
        outline.closed = outline.closed and not open_ended
        return outline

    @property
    def stars(self) -> list[str]:
        return [i.origin for i in self.imports if "*" in i.names]

    def first(self, name: str) -> int | None:
        return self.bound.get(name)

    def _read(self, body: Iterable[ast.stmt], *, certain: bool) -> None:
        for node in body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                self._import(node, certain)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                self._bind(node.name, node.end_lineno or node.lineno)
                for inner in ast.walk(node):
                    # What it makes global, and `:=` in its decorators and defaults.
                    names = inner.names if isinstance(inner, ast.Global) else []
                    if isinstance(inner, ast.NamedExpr):
                        names = [inner.target.id]
                    for name in names:
                        self._bind(name, node.lineno)
            else:
                self._compound(node, certain)

    def _compound(self, node: ast.stmt, certain: bool) -> None:
        if isinstance(node, ast.If) and _is_for_checkers(node.test):
            self._read(node.orelse, certain=certain)
            return
        parts = list(_parts(node))
        inside = {id(inner) for _, body in parts for part in body for inner in ast.walk(part)}
        for inner in ast.walk(node):
            if id(inner) not in inside:
                for name in _stored(inner):
                    self._bind(name, node.lineno)
                if isinstance(inner, ast.Call) and dotted_name(inner.func) == "setattr":
                    self.closed = False
        for sure, body in parts:
            self._read(body, certain=certain and sure)

    def _import(self, node: ast.Import | ast.ImportFrom, certain: bool) -> None:
        if isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            listing = b",".join(
                (f"{a.name} as {a.asname}" if a.asname else a.name).encode() for a in node.names
            )
            found = [Import(node.lineno, origin, listing, "", certain, node)]
        else:
            found = [
                Import(node.lineno, alias.name, b"", alias.asname or "", certain, node)
                for alias in node.names
            ]
        self.imports += found
        for statement in found:
            for name in statement.bound:
                self._bind(name, node.lineno)

    def _bind(self, name: str, line: int) -> None:
        self.bound[name] = min(line, self.bound.get(name, line))


def _parts(node: ast.stmt) -> Iterator[tuple[bool, list[ast.stmt]]]:
    """The blocks of a statement, each with whether it is sure to run to its end."""
    if isinstance(node, ast.With | ast.AsyncWith):
        # A context manager may swallow the error: `with suppress(ImportError)`.
        yield False, node.body
    elif isinstance(node, ast.If | ast.For | ast.AsyncFor | ast.While):
        yield False, node.body
        yield False, node.orelse
    elif isinstance(node, ast.Match):
        yield from ((False, case.body) for case in node.cases)
    elif isinstance(node, ast.Try) or type(node).__name__ == "TryStar":
        handlers: list[ast.ExceptHandler] = getattr(node, "handlers", [])
        yield not any(map(takes_import_errors, handlers)), getattr(node, "body", [])
        for handler in handlers:
            yield False, handler.body
        yield False, getattr(node, "orelse", [])
        yield True, getattr(node, "finalbody", [])


def _stored(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
        yield node.id
    elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        yield node.name
    elif isinstance(node, ast.MatchMapping) and node.rest:
        yield node.rest


def _is_for_checkers(test: ast.expr) -> bool:
    return dotted_name(test).rpartition(".")[2] == "TYPE_CHECKING"


def _opens(node: ast.AST) -> bool:
    """Whether this can give the module names that are not written in it."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in _OPEN_NAMES
    if isinstance(node, ast.Attribute):
        return dotted_name(node) == "sys.modules"
    if isinstance(node, ast.ImportFrom) and node.module == "sys":
        return any(alias.name == "modules" for alias in node.names)
    return isinstance(node, ast.Name) and node.id == "__path__"
