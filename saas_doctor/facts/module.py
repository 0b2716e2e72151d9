"""One Python file of the platform, and what its text and its syntax tree tell."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from saas_doctor.actions.files import EditFile
from saas_doctor.edits import Edit, apply_edits
from saas_doctor.model import Absent, Place
from saas_doctor.syntax import parse, parts

if TYPE_CHECKING:
    from saas_doctor.facts.scopes import Scope

# Begin with a word, which `re` looks for quickly.
_FROM = re.compile(
    rb"from(?<!\wfrom)[ \t]+(\.*)([\w.]*)[ \t]+import[ \t]*(\([^)]*|[^\n;\\]*(?:\\\r?\n[^\n;\\]*)*)"
)
_CLASS = re.compile(rb"class(?<!\wclass)[ \t]+(\w+)")
_BLOCKS = ("body", "orelse", "handlers", "finalbody", "cases")
_OPTIONAL = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


class Module(Struct, frozen=True, dict=True):
    """One Python file; `name` is its path relative to the platform, `dotted` how it is imported.

    `root` is the folder that its imports begin at: the back end's, or a service's own outside it.
    """

    path: Path
    name: str
    dotted: str
    data: bytes
    root: Path = Path()

    @cached_property
    def parsed(self) -> ast.Module | Exception:
        try:
            return parse(self.data, self.name)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return error

    @property
    def tree(self) -> ast.Module | None:
        """The syntax tree; None for a file that can't be parsed, which a check of its own says."""
        return self.parsed if isinstance(self.parsed, ast.Module) else None

    @property
    def body(self) -> list[ast.stmt]:
        """The statements of the top level."""
        return self.tree.body if self.tree else []

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node of the syntax tree, but for the contexts (`ast.Load`, ...)."""
        found: list[ast.AST] = [self.tree] if self.tree else []
        for node in found:  # grows meanwhile
            found += parts(node)
        return found

    @cached_property
    def import_statements(self) -> list[ast.Import | ast.ImportFrom]:
        """The import statements, anywhere in it, without a look at any expression."""
        found: list[ast.AST] = [self.tree] if self.tree else []
        for node in found:  # grows meanwhile
            for field in _BLOCKS:
                found += getattr(node, field, ())
        return [node for node in found if isinstance(node, ast.Import | ast.ImportFrom)]

    @cached_property
    def _parents(self) -> dict[int, ast.AST]:
        return {id(child): node for node in self.nodes for child in parts(node)}

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """What encloses a node, from the inside out; the last one is the module."""
        while parent := self._parents.get(id(node)):
            yield parent
            node = parent

    @cached_property
    def scopes(self) -> list[Scope]:
        """The module's own scope, and those of its classes, functions and comprehensions."""
        from saas_doctor.facts.scopes import scopes_of

        return scopes_of(self)

    @cached_property
    def _scope_by_node(self) -> dict[int, Scope]:
        return {id(node): scope for scope in self.scopes for node in scope.nodes}

    def scope_of(self, node: ast.AST) -> Scope:
        """The scope that a node stands in."""
        return self._scope_by_node.get(id(node), self.scopes[0])

    @property
    def is_package(self) -> bool:
        return self.name.rpartition("/")[2] == "__init__.py"

    def place(self, node: ast.expr | ast.stmt | ast.keyword) -> Place:
        return Place(self.name, node.lineno, node.col_offset + 1)

    @cached_property
    def _starts(self) -> list[int]:
        starts, at = [0], 0
        for line in self.data.splitlines(keepends=True):
            at += len(line)
            starts.append(at)
        return starts

    def offset(self, line: int, column: int) -> int:
        """The byte offset of a position in the syntax tree, whose columns count bytes."""
        mark = 3 if line == 1 and self.data.startswith(b"\xef\xbb\xbf") else 0
        return self._starts[line - 1] + column + mark

    def edited(self, edits: Iterable[Edit], why: str) -> EditFile:
        """The edit of the file; Absent where it would not parse after it, or can't be counted in.

        The syntax tree's columns count UTF-8, which a file in another encoding is not.
        """
        edits = tuple(edits)
        try:
            encoding = tokenize.detect_encoding(io.BytesIO(self.data).readline)[0]
            parse(apply_edits(self.data, edits))
        except (SyntaxError, ValueError) as error:
            raise Absent(f"{self.name} can't be edited safely ({error}); edit it by hand") from None
        if not encoding.startswith("utf-8") and not self.data.isascii():
            raise Absent(f"{self.name} can't be edited safely (it is {encoding}); edit it by hand")
        return EditFile(self.path, self.name, self.data, edits, (why,))

    @cached_property
    def imports(self) -> dict[str, str]:
        """The names this module imports, anywhere in it, with what they stand for."""
        found: dict[str, str] = {}
        for node in self.import_statements:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    first = alias.name.partition(".")[0]
                    found[alias.asname or first] = alias.name if alias.asname else first
            else:
                origin = self.origin(node)
                for alias in node.names:
                    found[alias.asname or alias.name] = f"{origin}.{alias.name}"
        return found

    # What stands in the text, before it is parsed.

    @cached_property
    def froms(self) -> list[tuple[int, str, set[str]]]:
        """The `from ... import`s, also in comments: the dots, the module's name, and the words after it."""
        return [
            (
                len(dots),
                origin.decode(),
                set(re.findall(r"\w+|\*", names.decode("utf-8", "replace"))),
            )
            for dots, origin, names in _FROM.findall(self.data)
        ]

    @cached_property
    def class_words(self) -> set[bytes]:
        """The names that follow the word `class`."""
        return set(_CLASS.findall(self.data))

    @cached_property
    def words_after_dots(self) -> set[bytes]:
        """The words that follow a dot: attributes, and modules of dotted names."""
        return set(re.findall(rb"\.(\w+)", self.data))

    @cached_property
    def ambiguous(self) -> set[str]:
        """The names that are imported from more than one place (`pydantic.v1`, else `pydantic`)."""
        found: dict[str, set[str]] = {}
        for node in self.import_statements:
            origin = f"{self.origin(node)}." if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                name = alias.asname or (alias.name if origin else alias.name.partition(".")[0])
                whole = alias.name if origin or alias.asname else name
                found.setdefault(name, set()).add(origin + whole)
        return {name for name, origins in found.items() if len(origins) > 1}

    @cached_property
    def stars(self) -> list[str]:
        """The modules that everything is imported from (`from .base import *`)."""
        found = [n for n in self.body if isinstance(n, ast.ImportFrom)]
        return [self.origin(n) for n in found if any(a.name == "*" for a in n.names)]

    @cached_property
    def guarded(self) -> set[int]:
        """The ids of the nodes that may fail or not run: in a `try` for imports, or for checkers only."""
        found: set[int] = set()
        for node in self.nodes:
            if isinstance(node, ast.Try) and any(takes_import_errors(h) for h in node.handlers):
                parts: list[ast.stmt] = [*node.body, *(s for h in node.handlers for s in h.body)]
            elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
                parts = node.body
            else:
                continue
            found |= {id(inner) for part in parts for inner in ast.walk(part)}
        return found

    def origin(self, node: ast.ImportFrom) -> str:
        """The full name of the module that a `from ... import` names."""
        return self.absolute(node.module or "", node.level)

    def absolute(self, name: str, level: int) -> str:
        """The full name of a module that is named with so many dots before it."""
        if not level:
            return name
        parts = self.dotted.split(".")
        kept = parts[: len(parts) - level + (1 if self.is_package else 0)]
        return ".".join([*kept, *([name] if name else [])])

    @cached_property
    def classes(self) -> dict[str, ast.ClassDef]:
        """The classes at the top level."""
        return {node.name: node for node in self.body if isinstance(node, ast.ClassDef)}

    @cached_property
    def values(self) -> dict[str, ast.expr]:
        """The names that the top level assigns, each with the last expression it is given."""
        found: dict[str, ast.expr] = {}
        for node in self.body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
            value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
            if value is not None:
                found |= {t.id: value for t in targets if isinstance(t, ast.Name)}
        return found

    @cached_property
    def defined(self) -> set[str]:
        """The names that the top level itself defines, imports left out."""
        functions = (n for n in self.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
        return {*self.classes, *self.values, *(node.name for node in functions)}


def takes_import_errors(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    return any(isinstance(n, ast.Name) and n.id in _OPTIONAL for n in ast.walk(handler.type))


def dotted_name(node: ast.expr) -> str:
    """`a.b.c` of an expression, of its value where it is subscripted; else nothing."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = dotted_name(node.value)
        return f"{head}.{node.attr}" if head else ""
    if isinstance(node, ast.Subscript):
        return dotted_name(node.value)
    return ""
