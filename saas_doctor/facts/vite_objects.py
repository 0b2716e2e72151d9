"""Follows the objects that a Vite configuration is made of: written out, merged, returned, or named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saas_doctor.facts.javascript import (
    FUNCTIONS,
    WRAPPERS,
    arguments_of,
    bare,
    key_of,
    text_of,
    walk,
)

if TYPE_CHECKING:
    from tree_sitter import Node


class Reader:
    """Follows one configuration's text; what it can't follow goes into `doubts`."""

    def __init__(self, root: Node) -> None:
        self.root = root
        self.doubts: list[str] = []

    def configuration(self) -> list[Node]:
        """The objects that the module exports: one, or those that `mergeConfig` puts together."""
        for statement in self.root.named_children:
            exported = _exported(statement)
            if exported is not None:
                return self.objects(exported, "the configuration")
        return self._doubt("no default export")

    def _doubt(self, reason: str) -> list[Node]:
        self.doubts.append(reason)
        return []

    def objects(self, node: Node, what: str, depth: int = 0) -> list[Node]:
        """The objects that an expression is made of: written out, in a call, returned, or named."""
        node = bare(node)
        if depth <= 6:
            if node.type == "object":
                return [node]
            if node.type == "call_expression":
                called = text_of(node.child_by_field_name("function"))
                given = arguments_of(node)
                if (called == "defineConfig" and len(given) == 1) or called == "mergeConfig":
                    return [o for part in given[:2] for o in self.objects(part, what, depth + 1)]
            if node.type in FUNCTIONS:
                body = node.child_by_field_name("body")
                if body is not None:
                    return self._returned(body, what, depth)
            if node.type in ("identifier", "shorthand_property_identifier"):
                value = self._variable(node)
                return [] if value is None else self.objects(value, what, depth + 1)
        return self._doubt(f"{what} is computed")

    def _returned(self, body: Node, what: str, depth: int) -> list[Node]:
        if body.type != "statement_block":
            return self.objects(body, what, depth + 1)
        returns = [n for n in walk(body, functions=False) if n.type == "return_statement"]
        if len(returns) != 1 or not returns[0].named_children:
            return self._doubt("the function returns different configurations")
        return self.objects(returns[0].named_children[0], what, depth + 1)

    def _variable(self, name: Node) -> Node | None:
        """What a variable at the top of the file is given, where it is not changed later."""
        text = text_of(name)
        for node in self.root.named_children:
            for declared in node.named_children:
                left = declared.child_by_field_name("name")
                value = declared.child_by_field_name("value")
                if declared.type != "variable_declarator" or left is None or value is None:
                    continue
                if left.text != name.text:
                    continue
                if any(_may_change(n) for n in walk(self.root) if n.text == name.text):
                    self.doubts.append(f"`{text}` is changed after it is made")
                    return None
                return value
        self.doubts.append(f"`{text}` comes from elsewhere")
        return None

    def inside(self, objects: list[Node], name: str) -> list[Node]:
        """The objects that a property of these has as its value."""
        values = [value for o in objects if (value := self._property(o, name)) is not None]
        return [part for value in values for part in self.objects(value, f"`{name}`")]

    def _property(self, node: Node, name: str) -> Node | None:
        """The value of a property; the last one counts, and doubts only after it."""
        value: Node | None = None
        doubt = ""
        for child in node.named_children:
            key = key_of(child) if child.type == "pair" else None
            if child.type == "pair" and key is None:
                doubt = "a key is computed"
            elif key == name:
                value, doubt = child.child_by_field_name("value"), ""
            elif child.type == "shorthand_property_identifier" and text_of(child) == name:
                value, doubt = child, ""
            elif child.type == "method_definition" and name in _signature(child):
                value, doubt = None, f"`{name}` is computed"
            elif child.type == "spread_element":
                doubt = "a part of it is spread in from elsewhere"
        if doubt:
            self.doubts.append(doubt)
        return value


_PUT_IN = {"pair", "spread_element", "return_statement", "export_statement", "export_specifier"}
_PASSED_ON = {"defineConfig", "mergeConfig"}


def _may_change(node: Node) -> bool:
    """Whether a variable may be changed where it is named: it is neither declared nor put into another."""
    parent = node.parent
    if node.type != "identifier" or parent is None:
        return False  # a property of that name, or a shorthand for one
    while parent.type in WRAPPERS and parent.parent is not None:
        node, parent = parent, parent.parent
    if parent.type == "variable_declarator":
        return parent.child_by_field_name("name") != node
    if parent.type == "arguments" and parent.parent is not None:
        return text_of(parent.parent.child_by_field_name("function")) not in _PASSED_ON
    if parent.type in FUNCTIONS:
        return parent.child_by_field_name("body") != node
    if parent.type == "assignment_expression":  # `module.exports = config`
        left = text_of(parent.child_by_field_name("left"))
        return left not in ("module.exports", "exports.default")
    return parent.type not in _PUT_IN


def _signature(method: Node) -> list[str]:
    return text_of(method).partition("(")[0].split()


def _exported(statement: Node) -> Node | None:
    if statement.type == "export_statement":
        value = statement.child_by_field_name("value")
        if value is not None:
            return value
        inner = statement.named_children[0] if statement.named_children else None
        if inner is not None and inner.type == "export_clause":
            return _exported_as_default(inner)
        words = text_of(statement).split(None, 2)
        if words[1:2] in (["default"], ["="]):
            return statement.child_by_field_name("declaration") or inner
    if statement.type == "expression_statement" and statement.named_children:
        assignment = statement.named_children[0]
        if text_of(assignment.child_by_field_name("left")) in ("module.exports", "exports.default"):
            return assignment.child_by_field_name("right")
    return None


def _exported_as_default(clause: Node) -> Node | None:
    for part in clause.named_children:
        if text_of(part.child_by_field_name("alias")) == "default":
            return part.child_by_field_name("name")
    return None
