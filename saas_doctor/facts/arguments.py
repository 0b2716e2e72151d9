"""The named arguments of a call, those of a dictionary included."""

from __future__ import annotations

import ast

from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.scopes import given
from saas_doctor.facts.source import Source

_CHANGES = {"update", "pop", "setdefault", "clear", "popitem"}


def arguments(source: Source, module: Module, call: ast.Call) -> tuple[dict[str, ast.expr], bool]:
    """A call's named arguments, those of `**options` included, and whether these are all."""
    found: dict[str, ast.expr] = {}
    whole = True
    for keyword in call.keywords:
        if keyword.arg:
            found[keyword.arg] = keyword.value
        else:
            items = _items(source, module, keyword.value)
            whole = whole and items is not None
            found |= items or {}
    return found, whole


def _items(source: Source, module: Module, node: ast.expr) -> dict[str, ast.expr] | None:
    """The items of a dictionary that is written out and nowhere changed."""
    if isinstance(node, ast.Name):
        found = given(source, module.scope_of(node), node)
        if found is None:
            return None
        home = found.scope.module
        if _is_changed(module, node.id) or _is_changed(home, found.name):
            return None
        node = found.expression
    keys: list[object]
    if isinstance(node, ast.Call) and dotted_name(node.func) == "dict" and not node.args:
        keys, values = [k.arg for k in node.keywords], [k.value for k in node.keywords]
    elif isinstance(node, ast.Dict):
        keys = [k.value if isinstance(k, ast.Constant) else None for k in node.keys]
        values = node.values
    else:
        return None
    if not all(isinstance(key, str) for key in keys):
        return None
    return {str(key): value for key, value in zip(keys, values, strict=True)}


def _is_changed(module: Module, name: str) -> bool:
    """Whether a dictionary of this name is changed anywhere in the module."""
    for node in module.nodes:
        if isinstance(node, ast.Subscript | ast.Attribute):
            of_it = isinstance(node.value, ast.Name) and node.value.id == name
            stored = isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load)
            if of_it and (stored or (isinstance(node, ast.Attribute) and node.attr in _CHANGES)):
                return True
        elif isinstance(node, ast.AugAssign) and dotted_name(node.target) == name:
            return True
    return False
