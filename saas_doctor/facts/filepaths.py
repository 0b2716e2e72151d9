"""Which file an expression of the source names, as far as it can be told without running it."""

from __future__ import annotations

import ast
import os
from pathlib import Path

from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.scopes import given
from saas_doctor.facts.source import Source

_DEEP = 24
_PATHS = {"pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath", "str", "os.fspath"}
_SAME = {"resolve", "absolute", "expanduser", "as_posix", "__str__"}
_WHOLE = {"abspath", "realpath", "normpath", "expanduser"}


def file_path(source: Source, module: Module, node: ast.expr, depth: int = 0) -> Path | None:
    """The path that an expression gives: absolute, or relative to the working folder; else None."""
    if depth > _DEEP:
        return None

    def inner(part: ast.expr) -> Path | None:
        return file_path(source, module, part, depth + 1)

    if isinstance(node, ast.Constant):
        return Path(node.value) if isinstance(node.value, str) and node.value else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        left, right = inner(node.left), inner(node.right)
        return left / right if left is not None and right is not None else None
    if isinstance(node, ast.Subscript):
        return _parents(inner, node)
    if isinstance(node, ast.Attribute) and node.attr == "parent":
        start = inner(node.value)
        return start.parent if start is not None else None
    if isinstance(node, ast.Call):
        return _called(source, module, node, depth)
    if isinstance(node, ast.Name | ast.Attribute):
        return _named(source, module, node, depth)
    return None


def _parents(inner: object, node: ast.Subscript) -> Path | None:
    """`Path(__file__).parents[2]`."""
    assert callable(inner)
    if not isinstance(node.value, ast.Attribute) or node.value.attr != "parents":
        return None
    start, at = inner(node.value.value), node.slice
    if start is None or not isinstance(at, ast.Constant) or not isinstance(at.value, int):
        return None
    above = start.parents
    return above[at.value] if 0 <= at.value < len(above) else None


def _called(source: Source, module: Module, call: ast.Call, depth: int) -> Path | None:
    def inner(part: ast.expr) -> Path | None:
        return file_path(source, module, part, depth + 1)

    name = dotted_name(call.func)
    full = source.full_name(module, name) if name else ""
    if full in _PATHS and call.args:
        return _joined([inner(part) for part in call.args])
    home, _, last = full.rpartition(".")
    if home in ("os.path", "posixpath") and call.args:
        if last == "join":
            return _joined([inner(part) for part in call.args])
        start = inner(call.args[0])
        if start is None or len(call.args) != 1:
            return None
        if last == "dirname":
            return start.parent
        return start if last in _WHOLE else None
    if isinstance(call.func, ast.Attribute):
        start = inner(call.func.value)
        if start is None:
            return None
        if call.func.attr in _SAME:
            return Path(os.path.expanduser(start)) if call.func.attr == "expanduser" else start
        if call.func.attr == "joinpath":
            return _joined([start, *(inner(part) for part in call.args)])
    return None


def _joined(parts: list[Path | None]) -> Path | None:
    found = [part for part in parts if part is not None]
    return Path(*found) if found and len(found) == len(parts) else None


def _named(
    source: Source, module: Module, node: ast.Name | ast.Attribute, depth: int
) -> Path | None:
    name = dotted_name(node)
    if name == "__file__":
        return module.path
    found = given(source, module.scope_of(node), node)
    return file_path(source, found.scope.module, found.expression, depth + 1) if found else None
