"""Uses of names that Pydantic 2 no longer has, and the edit that takes BaseSettings from its new home."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from saas_doctor.edits import Edit, newline_of
from saas_doctor.facts.constructs import Construct, construct
from saas_doctor.facts.models import PydanticModels
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.pydantic_names import GONE, instead_of

# Both begin with a word, which `re` looks for quickly.
_IMPORT = re.compile(rb"from(?<!\wfrom)[ \t]+(pydantic[\w.]*)[ \t]+import[ \t]*(\([^)]*|[^\n]*)")
_USE = re.compile(rb"pydantic(?<!\wpydantic)((?:\.\w+)*)\.(\w+)")
_GONE = {home.encode(): {name.encode() for name in names} for home, names in GONE.items()}
_HOMES = {home.partition(b".")[2] for home in _GONE}


def mentions_removed(data: bytes) -> bool:
    """Whether, by the text alone, one of the names may be used."""
    for home, names in _IMPORT.findall(data):
        words = set(re.findall(rb"\w+", names))
        if words & _GONE.get(home, set()) or (home == b"pydantic" and words & _HOMES):
            return True
    uses = _USE.findall(data) if b"pydantic." in data else ()
    return any(name in _GONE.get(b"pydantic" + home, ()) for home, name in uses)


def removed_names(models: PydanticModels, module: Module) -> Iterator[tuple[ast.AST, Construct]]:
    """The imports and the uses (`pydantic.BaseSettings`) of names that are gone."""
    for node in module.nodes:
        if isinstance(node, ast.ImportFrom) and not node.level:
            gone = GONE.get(node.module or "", set())
            for alias in node.names if id(node) not in module.guarded else ():
                if alias.name in gone:
                    yield node, _imported(module, node, alias)
        elif isinstance(node, ast.Attribute):
            name = dotted_name(node)
            head = name.partition(".")[0]
            home, _, last = models.source.full_name(module, name).rpartition(".")
            known = head in module.imports and head not in module.ambiguous
            if known and last in GONE.get(home, ()):
                yield node, construct(module, node, last, f"`{home}.{last}`", instead_of(last))


def _imported(module: Module, node: ast.ImportFrom, alias: ast.alias) -> Construct:
    edits = _moved(module, node, alias) if alias.name == "BaseSettings" else []
    return construct(
        module,
        alias,
        alias.name,
        f"`from {node.module} import {alias.name}`",
        instead_of(alias.name),
        edits,
        needs_settings=bool(edits),
    )


def _moved(module: Module, node: ast.ImportFrom, alias: ast.alias) -> list[Edit]:
    """The edits that import a name from pydantic_settings; none where the statement hides its form."""
    data = module.data
    start = module.offset(node.lineno, node.col_offset)
    end = module.offset(node.end_lineno or 0, node.end_col_offset or 0)
    head = re.match(rb"from[ \t]+([\w.]+)[ \t]+import\b", data[start:end])
    line_start = module.offset(node.lineno, 0)
    indent = data[line_start:start]
    if head is None or indent.strip():
        return []
    if len(node.names) == 1:
        return [Edit(start + head.start(1), start + head.end(1), b"pydantic_settings")]
    taken_out = _taken_out(module, node, alias)
    line_end = data.find(b"\n", end)
    at = len(data) if line_end < 0 else line_end - data[:line_end].endswith(b"\r")
    name = data[
        module.offset(alias.lineno, alias.col_offset) : module.offset(
            alias.end_lineno or 0, alias.end_col_offset or 0
        )
    ]
    line = newline_of(data) + indent + b"from pydantic_settings import " + name
    return [taken_out, Edit(at, at, line)] if taken_out else []


def _taken_out(module: Module, node: ast.ImportFrom, alias: ast.alias) -> Edit | None:
    """The edit that takes a name out of an import of several; comments stay."""
    data = module.data
    spans = [
        (
            module.offset(a.lineno, a.col_offset),
            module.offset(a.end_lineno or 0, a.end_col_offset or 0),
        )
        for a in node.names
    ]
    index = node.names.index(alias)
    start, end = spans[index]
    comma = re.match(rb"[ \t]*,", data[end:])
    after = end + (comma.end() if comma else 0)
    line_start = data.rfind(b"\n", 0, start) + 1
    rest = re.match(rb"[ \t]*(?:\r?\n|(#))", data[after:])
    if not data[line_start:start].strip() and rest:
        # Alone on its line: the line goes, or a comment is left on it.
        return (
            Edit(start, after, b"") if rest.group(1) else Edit(line_start, after + rest.end(), b"")
        )
    following = spans[index + 1][0] if index + 1 < len(spans) else None
    if following is not None and b"\n" not in data[start:following]:
        return Edit(start, following, b"")
    previous = spans[index - 1][1] if index else None
    between = data[previous:start] if previous is not None else b"#"
    return Edit(previous, end, b"") if previous is not None and b"#" not in between else None
