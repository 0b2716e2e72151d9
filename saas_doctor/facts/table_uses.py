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


def likely_uses(source: Source, models: set[str], binding: ast.stmt) -> Iterator[str]:
    """`metadata=` given to a model or a query, `.metadata` of it or of what may be a row of it.

    Further the fields `metadata` of schemas that are read from attributes.
    """
    own = {id(n) for n in ast.walk(binding)}
    rows = {snake(model) for model in models}
    for module in source.mentioning("metadata"):
        about = any(model.encode() in module.data for model in models)
        for node in module.nodes:
            if id(node) in own:
                continue
            if isinstance(node, ast.Call) and about:
                yield from _uses_in_call(module, node, models)
            elif isinstance(node, ast.Attribute) and node.attr == "metadata":
                if _may_be_row(node.value, rows, about=about):
                    yield str(module.place(node))
            elif isinstance(node, ast.ClassDef) and b"from_attributes" in module.data:
                yield from _uses_in_schema(source, module, node)


def _uses_in_call(module: Module, call: ast.Call, models: set[str]) -> Iterator[str]:
    called = call.func.attr if isinstance(call.func, ast.Attribute) else last_name(call.func)
    if called in models or called in _QUERIES:
        yield from (str(module.place(k.value)) for k in call.keywords if k.arg == "metadata")
    if called in _STRINGS:
        strings = (a for a in call.args if isinstance(a, ast.Constant) and a.value == "metadata")
        yield from (str(module.place(a)) for a in strings)


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
