"""The edits that rename a model's attribute and keep its column."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from saas_doctor.edits import Edit
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.scopes import Function


def renaming(
    module: Module, node: ast.ClassDef, name: ast.Name, call: ast.Call, new: str
) -> list[Edit]:
    """The edits for `name = Column(...)` in a class; none where it is not certain that they fit."""
    named = is_named(module, call)
    if named is None:
        return []
    edits = [_rename(module, use, new) for use in (name, *_bare_uses(node, name))]
    if not named:
        end = module.offset(call.func.end_lineno or 0, call.func.end_col_offset or 0)
        at = module.data.find(b"(", end) + 1
        if not at:
            return []  # the columns are not of these bytes: another encoding
        comma = b"" if not (call.args or call.keywords) else b","
        # A first argument on a line of its own keeps its line.
        space = b"" if not comma or module.data[at : at + 1] in (b"\n", b"\r", b" ") else b" "
        edits.append(Edit(at, at, b'"' + name.id.encode() + b'"' + comma + space))
    return edits


def _rename(module: Module, name: ast.Name, new: str) -> Edit:
    start = module.offset(name.lineno, name.col_offset)
    return Edit(start, start + len(name.id), new.encode())


def is_named(module: Module, call: ast.Call) -> bool | None:
    """Whether a column has an explicit name; None where the arguments do not tell."""
    if any(isinstance(a, ast.Starred) for a in call.args) or any(not k.arg for k in call.keywords):
        return None
    if any(k.arg in ("name", "__name_pos") for k in call.keywords):
        return True
    first = call.args[0] if call.args else None
    if isinstance(first, ast.Name) and isinstance(module.values.get(first.id), ast.Constant):
        return True
    if isinstance(first, ast.Constant):
        return isinstance(first.value, str) or None
    if first is None or isinstance(first, ast.Call):
        return False
    # A name of our own may hold the column's name: only SQLAlchemy's own are surely types.
    head = (
        dotted_name(first).partition(".")[0] if isinstance(first, ast.Name | ast.Attribute) else ""
    )
    return False if module.imports.get(head, "").startswith("sqlalchemy") else None


def _bare_uses(node: ast.ClassDef, target: ast.Name) -> Iterator[ast.Name]:
    """The uses of the name in the class body itself, after it was bound there."""
    queue: list[ast.AST] = [part for part in node.body if part.lineno > target.lineno]
    while queue:
        part = queue.pop()
        if isinstance(part, Function):
            queue += part.decorator_list
        elif not isinstance(part, ast.ClassDef | ast.Lambda):
            queue += ast.iter_child_nodes(part)
            if isinstance(part, ast.Name) and part.id == target.id:
                yield part


def snake(name: str) -> str:
    """`http_service` of `HTTPService`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
