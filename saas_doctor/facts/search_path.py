"""What a module adds to `sys.path` while it is imported, as far as its text tells."""

from __future__ import annotations

import ast
import os
from collections.abc import Container, Iterator
from pathlib import Path

from saas_doctor.edits import Edit, newline_of
from saas_doctor.facts.module import Module, dotted_name

_WORDS = (b"sys.path", b"sys_path", b"sys import path", b"addsitedir")
_SAME = {"resolve", "absolute", "as_posix", "strip"}
_PATHS = {"Path", "PurePath", "str", "fspath", "abspath", "realpath", "normpath", "expanduser"}


class Untold(Exception):
    """The text does not tell what is added."""


def changes(module: Module) -> bool:
    """Whether the module may change where imports begin."""
    data = module.data  # both words of it first: most have neither
    return (b"sys" in data or b"site" in data) and any(word in data for word in _WORDS)


def additions(module: Module) -> list[tuple[int, str, bool]]:
    """The folders that it adds, each with its line and whether it comes first; raises Untold."""
    if not changes(module):
        return []
    names = {"__file__": module.path}
    found: list[tuple[int, str, bool]] = []
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if any(map(_is_search_path, ast.walk(node))):
                raise Untold
            continue
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target = node.targets[0]
            if isinstance(target, ast.Name):
                try:
                    names[target.id] = _path(node.value, names)
                except Untold:
                    names.pop(target.id, None)
        mentioned = sum(map(_is_search_path, ast.walk(node)))
        added = list(_added(node, names))
        read_only = sum(1 for inner in ast.walk(node) if isinstance(inner, ast.Compare))
        if mentioned > len(added) + (read_only if added else 0):
            raise Untold
        found += [(node.lineno, str(path), first) for path, first in added]
    return found


def _is_search_path(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom) and node.module == "sys":
        return any(alias.name == "path" for alias in node.names)
    if isinstance(node, ast.Attribute):
        return dotted_name(node) == "sys.path" or node.attr == "addsitedir"
    return isinstance(node, ast.Name) and node.id in ("sys_path", "addsitedir")


def _added(node: ast.stmt, names: dict[str, Path]) -> Iterator[tuple[Path, bool]]:
    for call in ast.walk(node):
        if isinstance(call, ast.Call):
            function = dotted_name(call.func)
            if function == "sys.path.insert" and len(call.args) == 2:
                index = call.args[0]
                yield _path(call.args[1], names), isinstance(index, ast.Constant)
            elif function == "sys.path.append" and len(call.args) == 1:
                yield _path(call.args[0], names), False


def _path(node: ast.expr, names: dict[str, Path]) -> Path:
    """The path that an expression of `__file__` gives."""
    if isinstance(node, ast.Name) and node.id in names:
        return names[node.id]
    if isinstance(node, ast.Attribute) and node.attr == "parent":
        return _path(node.value, names).parent
    if isinstance(node, ast.Subscript):
        of = node.value
        if isinstance(of, ast.Attribute) and of.attr == "parents":
            steps = node.slice.value if isinstance(node.slice, ast.Constant) else None
            parents = _path(of.value, names).parents
            if isinstance(steps, int) and 0 <= steps < len(parents):
                return parents[steps]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return _normal(_path(node.left, names) / _text(node.right))
    if isinstance(node, ast.Call):
        return _called(node, names)
    raise Untold


def _called(node: ast.Call, names: dict[str, Path]) -> Path:
    name = dotted_name(node.func).rpartition(".")[2]
    if isinstance(node.func, ast.Attribute):
        if node.func.attr in _SAME and not node.args:
            return _path(node.func.value, names)
        if node.func.attr == "joinpath":
            return _normal(_path(node.func.value, names).joinpath(*map(_text, node.args)))
    if name in _PATHS and len(node.args) == 1:
        return _path(node.args[0], names)
    if name == "dirname" and len(node.args) == 1:
        return _path(node.args[0], names).parent
    if name == "join" and node.args:
        return _normal(_path(node.args[0], names).joinpath(*map(_text, node.args[1:])))
    raise Untold


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if dotted_name(node) in ("os.pardir", "os.path.pardir"):
        return os.pardir
    raise Untold


def _normal(path: Path) -> Path:
    return Path(os.path.normpath(path))


def line_for(script: Module, base: Path, local: Container[str]) -> Edit:
    """The edit that puts the folder on the path before the script's first import from `local`."""
    newline = newline_of(script.data)
    statements = [n for n in script.body if isinstance(n, ast.Import | ast.ImportFrom)]
    ours = next((n for n in statements if _top(n) in local), None)
    if ours:
        at = script.offset(ours.lineno, 0) if ours.lineno > 1 else script.offset(1, ours.col_offset)
    else:
        last = statements[-1].end_lineno or 0 if statements else 0
        at = sum(map(len, script.data.splitlines(keepends=True)[:last]))
    lines = []
    before = [
        n for n in statements if n is not ours and n.lineno < (ours.lineno if ours else 10**9)
    ]
    known = {a.asname or a.name for n in before for a in n.names}
    if "sys" not in known:
        lines.append("import sys")
    if "Path" not in known:
        lines.append("from pathlib import Path")
    here = script.path.parent
    common = Path(os.path.commonpath([here, base]))
    steps = len(here.relative_to(common).parts)
    path = f"Path(__file__).resolve().parents[{steps}]"
    if base != common:
        path += f' / "{base.relative_to(common).as_posix()}"'
    if lines:
        lines.append("")
    lines += [
        "# python looks for modules in this file's folder alone.",
        f"sys.path.insert(0, str({path}))",
        "",
    ]
    text = newline.join(line.encode() for line in lines) + newline
    if not ours:
        text = newline + text
        if at and not script.data[:at].endswith((b"\n", b"\r")):
            text = newline + text
    return Edit(at, at, text)


def _top(node: ast.Import | ast.ImportFrom) -> str:
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").partition(".")[0] if not node.level else ""
    return node.names[0].name.partition(".")[0]
