"""Absolute addresses in the front end's source: what an expression begins with, names followed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from saas_doctor.facts.built_in import BuiltIn
from saas_doctor.facts.frontend import DEEPEST, FrontendSource, SourceFile
from saas_doctor.facts.javascript import bare, string_of, text_of
from saas_doctor.model import Place

if TYPE_CHECKING:
    from tree_sitter import Node

ABSOLUTE = re.compile(r"(?:https?|wss?)://(?=[\w.\[:-]+)", re.A)
_CHOICES = {"ternary_expression", "assignment_pattern", "augmented_assignment_expression"}
_MODE = re.compile(
    r"import\.meta|process\.env|hostname|location\b|\bDEV|\bPROD|NODE_ENV|mock|typeof window", re.I
)
_DEEP = 12


class Address(Struct, frozen=True):
    """An absolute address that is called; `url` ends where a variable part begins.

    `place` is where it is written; `variable` the variable of the build that holds it. `sure`: it
    is not one of several, chosen by the mode or by what is set.
    """

    url: str
    place: Place
    variable: str = ""
    sure: bool = True

    @property
    def origin(self) -> str:
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{re.split('[/?#]', rest)[0]}"

    @property
    def path(self) -> str:
        return self.url[len(self.origin) :]


class _Names:
    """What a file's top level names: its constants, what it imports, and what it exports."""

    def __init__(self, file: SourceFile) -> None:
        self.constants: dict[str, Node] = {}
        self.imports: dict[str, tuple[str, str]] = {}
        self.exports: dict[str, str] = {}
        self.default: Node | None = None
        for node in file.root.named_children:
            if node.type == "import_statement":
                self._import(node)
            elif node.type == "export_statement":
                self._export(node)
            else:
                self._declare(node)

    def _declare(self, node: Node) -> None:
        if node.type == "lexical_declaration" and text_of(node).startswith("const"):
            for part in node.named_children:
                name, value = (part.child_by_field_name(f) for f in ("name", "value"))
                if name is not None and name.type == "identifier" and value is not None:
                    self.constants[text_of(name)] = value

    def _export(self, node: Node) -> None:
        declared = node.child_by_field_name("declaration")
        if declared is not None:
            before = set(self.constants)
            self._declare(declared)
            self.exports |= {name: name for name in set(self.constants) - before}
        self.default = node.child_by_field_name("value") or self.default
        for clause in node.named_children:
            for part in clause.named_children if clause.type == "export_clause" else ():
                name = text_of(part.child_by_field_name("name"))
                alias = text_of(part.child_by_field_name("alias")) or name
                if node.child_by_field_name("source") is None:
                    self.exports[alias] = name

    def _import(self, node: Node) -> None:
        told = string_of(node.child_by_field_name("source") or node)
        for clause in node.named_children if told else ():
            for part in clause.named_children if clause.type == "import_clause" else ():
                if part.type == "identifier":
                    self.imports[text_of(part)] = (told[0], "default") if told else ("", "")
                for named in part.named_children if part.type == "named_imports" else ():
                    name = text_of(named.child_by_field_name("name"))
                    alias = text_of(named.child_by_field_name("alias")) or name
                    self.imports[alias] = (told[0], name) if told else ("", "")


class Absolute:
    """Finds the absolute addresses that expressions of the source begin with, names followed."""

    def __init__(self, source: FrontendSource, variables: BuiltIn) -> None:
        self.source, self.variables = source, variables
        self.names: dict[Path, _Names] = {}

    @cached_property
    def by_path(self) -> Mapping[str, SourceFile]:
        return {os.path.normpath(file.path): file for file in self.source.files}

    def names_of(self, file: SourceFile) -> _Names:
        if file.path not in self.names:
            self.names[file.path] = _Names(file)
        return self.names[file.path]

    def _imported(self, file: SourceFile, source: str) -> SourceFile | None:
        if source.startswith("."):
            base = file.path.parent / source
        elif source.startswith(("@/", "~/")):
            base = self.source.folder / source[2:]
        else:
            return None
        for end in (
            "",
            ".ts",
            ".tsx",
            ".js",
            ".jsx",
            ".mjs",
            "/index.ts",
            "/index.js",
            "/index.tsx",
        ):
            found = self.by_path.get(os.path.normpath(f"{base}{end}"))
            if found:
                return found
        return None

    def defined(
        self, file: SourceFile, name: str, depth: int = 0
    ) -> tuple[SourceFile, Node] | None:
        """What a name of a file's top level is given, imports followed."""
        names = self.names_of(file)
        if name in names.constants:
            return file, names.constants[name]
        if name not in names.imports or depth > _DEEP:
            return None
        source, wanted = names.imports[name]
        other = self._imported(file, source)
        if other is None:
            return None
        theirs = self.names_of(other)
        if wanted == "default":
            if theirs.default is None:
                return None
            value = bare(theirs.default)
            if value.type == "identifier":
                return self.defined(other, text_of(value), depth + 1)
            return other, value
        return self.defined(other, theirs.exports.get(wanted, ""), depth + 1)

    # Addresses.

    def address(self, file: SourceFile, node: Node, depth: int = 0) -> Address | None:
        """The absolute address that an expression begins with."""
        node = bare(node)
        told = string_of(node)
        if depth > _DEEP:
            return None
        if told is not None:
            if ABSOLUTE.match(told[0]):
                return Address(told[0], file.place(node), sure=not _is_a_choice(node))
            return self._by_template(file, node, depth) if not told[0] else None
        if node.type == "binary_expression":
            return self._by_operator(file, node, depth)
        variable = _variable_of(node)
        if variable:
            held = self.variables.development.get(variable)
            if held is None or not ABSOLUTE.match(held.value):
                return None
            return Address(held.value, held.place, variable, sure=not _is_a_choice(node))
        if node.type == "identifier":
            found = self.defined(file, text_of(node))
            # A local variable or a parameter may hide the file's own.
            if found and not _is_local(node):
                return self.address(found[0], found[1], depth + 1)
        return None

    def _by_template(self, file: SourceFile, node: Node, depth: int) -> Address | None:
        """`${BASE}/path`."""
        first, *rest = node.named_children or [node]
        if first.type != "template_substitution" or not first.named_children:
            return None
        base = self.address(file, first.named_children[0], depth + 1)
        if base is None or not rest or rest[0].type != "string_fragment":
            return base
        return replace(base, url=base.url.rstrip("/") + "/" + text_of(rest[0]).lstrip("/"))

    def _by_operator(self, file: SourceFile, node: Node, depth: int) -> Address | None:
        left, right = (node.child_by_field_name(f) for f in ("left", "right"))
        sign = text_of(node.child_by_field_name("operator"))
        if left is None or right is None:
            return None
        if sign == "+":
            base = self.address(file, left, depth + 1)
            more = string_of(bare(right))
            if base is None or more is None:
                return base
            return replace(base, url=base.url.rstrip("/") + "/" + more[0].lstrip("/"))
        if sign in ("||", "??"):
            variable = _variable_of(bare(left))
            held = self.variables.development.get(variable)
            if variable and held is not None and held.value:
                found = self.address(file, left, depth + 1)
                return replace(found, sure=True) if found else None
            found = self.address(file, right, depth + 1) if variable else None
            return replace(found, sure=False) if found else None
        return None


def _variable_of(node: Node) -> str:
    """`VITE_X` of `import.meta.env.VITE_X`."""
    found = re.fullmatch(r"import\.meta\.env\??(?:\.|\[['\"])(VITE_\w+)(?:['\"]\])?", text_of(node))
    return found.group(1) if found else ""


def _ancestors(node: Node) -> Iterator[tuple[Node, Node]]:
    """Each node around this one, with the part of it that holds this one."""
    for _ in range(DEEPEST):
        parent = node.parent
        if parent is None:
            return
        yield parent, node
        node = parent


def _is_a_choice(node: Node) -> bool:
    """Whether the expression is one of several that something chooses from."""
    for around, part in _ancestors(node):
        sign = text_of(around.child_by_field_name("operator"))
        if around.type in _CHOICES or sign in ("||", "??", "&&") or _chooses(around, part):
            return True
    return False


def is_in_mode(node: Node) -> bool:
    """Whether the code runs in some mode only (`if (import.meta.env.DEV)`)."""
    return any(_chooses(around, part) for around, part in _ancestors(node))


def _chooses(around: Node, part: Node) -> bool:
    if around.type not in ("if_statement", "ternary_expression", "switch_statement", "else_clause"):
        return False
    condition = around.child_by_field_name("condition") or around.child_by_field_name("value")
    return condition is not None and condition != part and bool(_MODE.search(text_of(condition)))


def _is_local(node: Node) -> bool:
    """Whether a function around the name has a parameter or a variable of that name."""
    name = re.compile(rf"\b{re.escape(text_of(node))}\b")
    for around, _ in _ancestors(node):
        for field in ("parameters", "parameter"):
            if name.search(text_of(around.child_by_field_name(field))):
                return True
        if around.type == "statement_block":
            declared = (n for c in around.named_children for n in c.named_children)
            names = (text_of(n.child_by_field_name("name")) for n in declared)
            if any(map(name.search, names)):
                return True
    return False
