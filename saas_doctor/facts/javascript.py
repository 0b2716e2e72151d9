"""JavaScript and TypeScript as syntax trees, and what a piece of them says in words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from saas_doctor.model import Place

if TYPE_CHECKING:
    from tree_sitter import Node

FUNCTIONS = {
    "arrow_function",
    "function_expression",
    "function_declaration",
    "generator_function",
    "generator_function_declaration",
    "method_definition",
}
WRAPPERS = {
    "parenthesized_expression",
    "satisfies_expression",
    "as_expression",
    "await_expression",
    "non_null_expression",
}
_SCRIPT = re.compile(rb"<script\b[^>]*>(.*?)(?:</script\s*>|\Z)", re.S | re.I)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}


def parse(name: str, data: bytes) -> Node:
    """The tree of a file; what can't be parsed is an ERROR node in it. Of a component, the script."""
    from tree_sitter import Language, Parser

    if name.endswith((".vue", ".svelte")):
        data = _script_of(data)
    if name.endswith((".js", ".mjs", ".cjs", ".jsx")):
        import tree_sitter_javascript

        language = Language(tree_sitter_javascript.language())
    else:
        import tree_sitter_typescript

        tsx = name.endswith(".tsx")
        language = Language(
            tree_sitter_typescript.language_tsx()
            if tsx
            else tree_sitter_typescript.language_typescript()
        )
    return Parser(language).parse(data).root_node


def _script_of(data: bytes) -> bytes:
    """The scripts of a component, every byte in its place, all else blank."""
    kept = bytearray(re.sub(rb"[^\r\n]", b" ", data))
    for found in _SCRIPT.finditer(data):
        kept[found.start(1) : found.end(1)] = found.group(1)
    return bytes(kept)


def walk(node: Node, *, functions: bool = True) -> Iterator[Node]:
    """All named nodes inside, in the order of the text; inner functions left out where asked."""
    waiting = list(reversed(node.named_children))
    while waiting:
        found = waiting.pop()
        yield found
        if functions or found.type not in FUNCTIONS:
            waiting += reversed(found.named_children)


def place_of(name: str, node: Node) -> Place:
    return Place(name, node.start_point.row + 1, node.start_point.column + 1)


def text_of(node: Node | None) -> str:
    return (node.text or b"").decode("utf-8", "replace") if node is not None else ""


def bare(node: Node) -> Node:
    """The expression without brackets and what TypeScript says of it."""
    while node.type in WRAPPERS and node.named_children:
        node = node.named_children[0]
    return node


def arguments_of(call: Node) -> list[Node]:
    given = call.child_by_field_name("arguments")
    return [n for n in given.named_children if n.type != "comment"] if given is not None else []


def string_of(node: Node) -> tuple[str, bool] | None:
    """The text of a literal up to its first variable part, and whether that is all of it."""
    if node.type not in ("string", "template_string"):
        return None
    parts: list[str] = []
    for child in node.named_children:
        if child.type == "template_substitution":
            return "".join(parts), False
        parts.append(_unescaped(text_of(child)))
    return "".join(parts), True


def _unescaped(text: str) -> str:
    if not text.startswith("\\"):
        return text
    code = re.fullmatch(r"\\(?:x(\w{2})|u(\w{4})|u\{(\w{1,6})\})", text)
    if code:
        try:
            return chr(int(next(g for g in code.groups() if g), 16))
        except (ValueError, OverflowError):
            return text
    return _ESCAPES.get(text[1:], text[1:].lstrip("\r\n"))


def key_of(pair: Node) -> str | None:
    """The key of a property; None for a computed one."""
    key = pair.child_by_field_name("key")
    if key is None or key.type == "computed_property_name":
        return None
    told = string_of(key)
    return told[0] if told else text_of(key)


def property_of(node: Node, name: str) -> Node | None:
    """The value that an object literal gives a property, written out; the last one counts."""
    values = (
        child.child_by_field_name("value")
        for child in reversed(node.named_children)
        if child.type == "pair" and key_of(child) == name
    )
    found = next(values, None)
    return bare(found) if found is not None else None
