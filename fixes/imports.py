"""Corrects imports between the platform's modules: in place, every other byte kept."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.edits import Edit, newline_of
from saas_doctor.facts.imports import Missing
from saas_doctor.facts.scripts import Lost
from saas_doctor.facts.source import Module
from saas_doctor.model import Absent, Finding
from saas_doctor.rules import fix


@fix("SRC203")
def put_folder_on_the_path(finding: Finding) -> Iterator[Action]:
    """Put the back end's folder on the search path."""
    lost: Lost = finding.data["lost"]
    end = newline_of(lost.script.data)
    lines = [
        b"import sys",
        b"from pathlib import Path",
        b"",
        b"sys.path.insert(0, str(Path(__file__).resolve().parents[%d]))" % lost.levels,
        b"",
        b"",
    ]
    edit = Edit(lost.insert_at, lost.insert_at, end.join(lines))
    yield lost.script.edited([edit], f"{lost.folder.name}/ on the search path")


@fix("SRC206")
def export_name(finding: Finding) -> Iterator[Action]:
    """Import the name in the package's __init__.py."""
    missing: Missing = finding.data["missing"]
    home: Module = finding.data["home"]
    package = missing.target
    assert package
    end = newline_of(package.data)
    relative = b"from ." in package.data
    module = f".{home.path.stem}" if relative else f"{missing.origin}.{home.path.stem}"
    line = f"from {module} import {missing.name}".encode()
    edits = [_after_imports(package, line, end)]
    listed = package.values.get("__all__")
    if isinstance(listed, ast.List | ast.Tuple) and listed.end_lineno:
        edits.append(_listed(package, listed, missing.name))
    yield package.edited(edits, f"{missing.name} of {home.path.name}")


def _after_imports(package: Module, line: bytes, end: bytes) -> Edit:
    """The line after the last import of the top level, else after the docstring, else at the start."""
    last = None
    for node in package.body:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node, ast.Import | ast.ImportFrom) or (docstring and last is None):
            last = node
    if last is None or last.end_lineno is None:
        at = len(package.data) if not package.body else package.offset(package.body[0].lineno, 0)
        gap = b"" if not package.data[:at] or package.data[:at].endswith(b"\n") else end
        return Edit(at, at, gap + line + end)
    at = package.offset(last.end_lineno, 0)
    stop = package.data.find(b"\n", at)
    if stop < 0:
        return Edit(len(package.data), len(package.data), end + line)
    return Edit(stop + 1, stop + 1, line + end)


def _listed(package: Module, listed: ast.List | ast.Tuple, name: str) -> Edit:
    """The name at the end of `__all__`, as the last one there is written."""
    if not listed.elts:
        raise Absent(f"{package.name}: an empty __all__; add {name} by hand")
    last = listed.elts[-1]
    assert last.end_lineno is not None
    assert last.end_col_offset is not None
    start = package.offset(last.lineno, last.col_offset)
    at = package.offset(last.end_lineno, last.end_col_offset)
    quote = package.data[start : start + 1]
    before = package.data.rfind(b"\n", 0, start) + 1
    lead = package.data[before:start]
    # One a line stays one a line.
    gap = newline_of(package.data) + lead if not lead.strip() and lead else b" "
    return Edit(at, at, b"," + gap + quote + name.encode() + quote)


@fix("SRC209")
def write_as_on_disk(finding: Finding) -> Iterator[Action]:
    """Write the module as its file is called."""
    missing: Missing = finding.data["missing"]
    module, node = missing.module, missing.node
    wanted = missing.written
    if node.level or not node.module:
        raise Absent(f"{missing.place}: a relative import; write {wanted} by hand")
    start = module.offset(node.lineno, node.col_offset)
    at = module.data.find(node.module.encode(), start)
    if at < 0 or module.data[start:at].strip() != b"from":
        raise Absent(f"{missing.place} can't be edited safely; write {wanted} by hand")
    edit = Edit(at, at + len(node.module), wanted.encode())
    yield module.edited([edit], f"{node.module} becomes {wanted}")
