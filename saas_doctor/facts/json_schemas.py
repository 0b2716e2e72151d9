"""Types that describe themselves to JSON schema in Pydantic 1's way, which Pydantic 2 refuses."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from msgspec.structs import replace

from saas_doctor.facts.constructs import Construct, construct, scope_name
from saas_doctor.facts.models import PydanticModels
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.objects import methods
from saas_doctor.facts.scopes import Function

_OLD = "__modify_schema__"
_NEW = ("__get_pydantic_json_schema__", "__get_pydantic_core_schema__")


def refused_types(
    models: PydanticModels,
) -> Iterator[tuple[Module, Iterator[tuple[ast.AST, Construct]]]]:
    """The classes with `__modify_schema__` that are models, or types of a model's fields."""
    for module in models.source.mentioning(_OLD):
        yield module, _in(models, module)


def _in(models: PydanticModels, module: Module) -> Iterator[tuple[ast.AST, Construct]]:
    for node in module.nodes:
        if not isinstance(node, ast.ClassDef) or _OLD not in methods(node):
            continue
        if any(models.has(module, node, name) for name in _NEW):
            continue
        if models.is_model(module, node) or _is_of_a_field(models, node):
            method = next(n for n in node.body if isinstance(n, Function) and n.name == _OLD)
            found = construct(module, method, _OLD, f"`{_OLD}`", f"`{_NEW[0]}`")
            yield method, replace(found, where=scope_name(module, node))


def _is_of_a_field(models: PydanticModels, wanted: ast.ClassDef) -> bool:
    """Whether a proven model has a field of this type, or of one that derives from it."""
    source = models.source
    for module in source.mentioning(wanted.name):
        for cls in module.nodes:
            if not isinstance(cls, ast.ClassDef) or not models.is_model(module, cls):
                continue
            for field in cls.body:
                for part in ast.walk(field.annotation) if isinstance(field, ast.AnnAssign) else ():
                    name = dotted_name(part) if isinstance(part, ast.Name | ast.Attribute) else ""
                    found = source.class_of(module, name) if name else None
                    if found and any(c is wanted for _, c in source.lineage(*found)):
                        return "ClassVar" not in ast.unparse(field)
    return False
