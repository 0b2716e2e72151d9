"""Likely uses of a model's `metadata` attribute: named beside its rename, which does not touch them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from saas_doctor.facts.models import is_model
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.source import Source
from saas_doctor.facts.table_edits import snake

_QUERIES = {"filter_by", "values", "update", "get_or_create", "having_by"}
_STRINGS = {"getattr", "setattr", "hasattr", "validates", "synonym", "attrgetter"}


Candidates = list[tuple[Module, list[ast.AST]]]


def candidates(source: Source) -> Candidates:
    """What names `metadata` as a use of a model may, by module: looked for once for all models."""
    return [(m, [n for n in m.nodes if _names_it(n, m)]) for m in source.mentioning("metadata")]


def _names_it(node: ast.AST, module: Module) -> bool:
    if isinstance(node, ast.Call):
        return any(_is_it(part) for part in (*node.keywords, *node.args))
    if isinstance(node, ast.Attribute):
        return node.attr == "metadata"
    return isinstance(node, ast.ClassDef) and b"from_attributes" in module.data


def _is_it(part: ast.AST) -> bool:
    """Whether it is the keyword `metadata=`, or that word as a string."""
    if isinstance(part, ast.keyword):
        return part.arg == "metadata"
    return isinstance(part, ast.Constant) and part.value == "metadata"


def likely_uses(
    source: Source, named: Candidates, models: set[str], binding: ast.stmt
) -> Iterator[str]:
    """`metadata=` given to a model or a query, `.metadata` of it or of what may be a row of it.

    Further the fields `metadata` of schemas that are read from attributes.
    """
    own = {id(n) for n in ast.walk(binding)}
    rows = {snake(model) for model in models}
    for module, nodes in named:
        about = any(model.encode() in module.data for model in models) if nodes else False
        for node in nodes:
            if id(node) in own:
                continue
            if isinstance(node, ast.Call) and about:
                yield from _uses_in_call(module, node, models)
            elif isinstance(node, ast.Attribute) and _may_be_row(node.value, rows, about=about):
                yield str(module.place(node))
            elif isinstance(node, ast.ClassDef):
                yield from _uses_in_schema(source, module, node)


def _uses_in_call(module: Module, call: ast.Call, models: set[str]) -> Iterator[str]:
    called = call.func.attr if isinstance(call.func, ast.Attribute) else last_name(call.func)
    if called in models or called in _QUERIES:
        yield from (str(module.place(k.value)) for k in call.keywords if _is_it(k))
    if called in _STRINGS:
        yield from (str(module.place(a)) for a in call.args if _is_it(a))


def _may_be_row(owner: ast.expr, rows: set[str], *, about: bool) -> bool:
    name = last_name(owner)
    if name.endswith("Base") or name in ("registry", "engine", "target", "op", "db"):
        return False  # the tables' own MetaData
    return about or any(row in snake(name) for row in rows)


def _uses_in_schema(source: Source, module: Module, node: ast.ClassDef) -> Iterator[str]:
    fields = (n for n in node.body if isinstance(n, ast.AnnAssign) and n.value is None)
    for field in fields:
        if isinstance(field.target, ast.Name) and field.target.id == "metadata":
            configured = any(b"from_attributes" in m.data for m, _ in source.lineage(module, node))
            if configured and is_model(source, module, node):
                yield str(module.place(field))


def last_name(expression: ast.expr) -> str:
    return dotted_name(expression).rpartition(".")[2]
