"""The edit that gives a package the name of one of its modules, where that makes no circle."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from msgspec.structs import replace

from saas_doctor.edits import Edit, apply_edits, newline_of
from saas_doctor.facts.importing import Outline, Run
from saas_doctor.facts.imports import STANDARD, Imports
from saas_doctor.facts.missing import Missing
from saas_doctor.facts.module import Module
from saas_doctor.facts.outline import TreeOutline


def reexport(imports: Imports, missing: Missing) -> tuple[Edit, ...]:
    """The edits of the package's `__init__.py`; none where there is no sure or no harmless one."""
    package = missing.target
    if package is None or not package.is_package or len(missing.homes) != 1 or missing.right:
        return ()
    home, body = missing.homes[0], package.body
    if not _is_importable(imports, home):
        return ()
    inner = home.dotted.removeprefix(package.dotted + ".")
    own = [n for n in body if isinstance(n, ast.ImportFrom)]
    relative = any(n.level for n in own) or (not own and missing.origin.startswith("."))
    absolute = missing.origin if not missing.origin.startswith(".") else package.dotted
    origin = f".{inner}" if relative else f"{absolute}.{inner}"
    edits = (
        _import(package, f"from {origin} import {missing.name}"),
        *_listed(package, missing.name),
    )
    changed = replace(package, data=apply_edits(package.data, edits))
    outline = TreeOutline.of(changed)
    starts = (package, home, missing.module)
    if outline is None or any(_fails_by(imports, start, package, outline) for start in starts):
        return ()
    return edits


def _is_importable(imports: Imports, home: Module) -> bool:
    """Whether nothing is known to be missing of what the module imports of others."""
    outline = imports.outline(home)
    if outline is None:
        return False
    tops = {
        statement.origin.partition(".")[0]
        for statement in outline.imports
        if not statement.origin.startswith(".")
    }
    local = {name.decode("utf-8", "replace") for name in imports.names}
    return imports.site is None or tops <= (STANDARD | imports.installed | local)


def _fails_by(imports: Imports, start: Module, package: Module, outline: Outline) -> bool:
    """Whether importing the module would fail with the package as it would be."""
    path = [str(start.root), *imports.roots]
    run = Run(imports, path, exact=True, replaced={str(package.path): outline})
    run.load(start.dotted)
    return run.failure is not None and run.failure.kind == "circular"


def _import(package: Module, text: str) -> Edit:
    """The statement after the last import, or after the docstring."""
    newline = newline_of(package.data)
    before = [n for n in package.body if isinstance(n, ast.Import | ast.ImportFrom)]
    gap = b"" if before else newline
    if not before and package.body and _is_docstring(package.body[0]):
        before = package.body[:1]  # type: ignore[assignment]
    if not before:
        at = 3 if package.data.startswith(b"\xef\xbb\xbf") else 0
        return Edit(at, at, text.encode() + newline + (newline if package.body else b""))
    line = before[-1].end_lineno or before[-1].lineno
    ends = package.data.splitlines(keepends=True)
    at = sum(map(len, ends[:line]))
    if not package.data[:at].endswith((b"\n", b"\r")):
        gap = newline + gap
    return Edit(at, at, gap + text.encode() + newline)


def _is_docstring(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _listed(package: Module, name: str) -> Iterator[Edit]:
    """The name in `__all__`, where that is a plain list of texts without it."""
    for node in package.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if not any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets):
            continue
        listing = node.value
        if not isinstance(listing, ast.List | ast.Tuple) or not listing.elts:
            continue
        texts = [e for e in listing.elts if isinstance(e, ast.Constant)]
        if len(texts) == len(listing.elts) and name not in [text.value for text in texts]:
            yield _after(package, texts[-1], name, alone=texts[-1].lineno > listing.lineno)


def _after(package: Module, last: ast.Constant, name: str, *, alone: bool) -> Edit:
    """The name after the last one, on a line of its own where that has one."""
    data = package.data
    start = package.offset(last.lineno, last.col_offset)
    end = package.offset(last.end_lineno or last.lineno, last.end_col_offset or 0)
    word = data[end - 1 : end] + name.encode() + data[end - 1 : end]
    indent = data[data.rfind(b"\n", 0, start) + 1 : start]
    if not alone or indent.strip():
        return Edit(end, end, b", " + word)
    rest = re.compile(rb",[ \t]*(?:#[^\n]*)?\n").match(data, end)
    if rest:  # a comment there stays with its name
        return Edit(rest.end(), rest.end(), indent + word + b"," + newline_of(data))
    return Edit(end, end, b"," + newline_of(data) + indent + word)
