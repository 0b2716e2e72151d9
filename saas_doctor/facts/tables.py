"""The SQLAlchemy models in the platform's source that bind the reserved name `metadata`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from saas_doctor.edits import Edit
from saas_doctor.facts import Fact
from saas_doctor.facts.models import is_model
from saas_doctor.facts.source import Module, Source, dotted_name
from saas_doctor.model import Place

# How a declarative base comes about, by every module it is imported from.
_DECLARATIVE = re.compile(
    r"@?sqlalchemy\.(orm|orm\.decl_api|ext\.declarative|ext\.declarative\.api)\."
    r"(DeclarativeBase|DeclarativeBaseNoMeta|declarative_base\(\)|as_declarative"
    r"|registry\(\)\.(generate_base\(\)|mapped|mapped_as_dataclass|as_declarative_base))"
)
_COLUMNS = {"Column", "mapped_column"}
_ATTRIBUTES = _COLUMNS | {
    "relationship",
    "synonym",
    "deferred",
    "column_property",
    "composite",
    "association_proxy",
    "query_expression",
}
_FUNCTIONS = {"declared_attr", "property", "hybrid_property", "cached_property"}
# What a class's own binding looks like; it spares the parsing of most files.
_BOUND = re.compile(rb"(?:^[ \t]+|[;:][ \t]*|\bdef[ \t]+)metadata\b[ \t]*[:=(]", re.M)
Binding = ast.Assign | ast.AnnAssign | ast.FunctionDef


@dataclass(frozen=True)
class Reserved:
    """A `metadata` attribute of a declarative model, the edits that rename it, and its other uses.

    `edits` is empty where the form does not allow to keep the column.
    """

    module: Module
    model: str
    new: str
    text: str
    place: Place
    edits: tuple[Edit, ...]
    uses: tuple[str, ...]


@dataclass(frozen=True)
class Tables(Fact):
    """The declarative models of the platform that bind SQLAlchemy's reserved `metadata`."""

    reserved: tuple[Reserved, ...]

    limit = 20.0

    @classmethod
    def read(cls, source: Source) -> Tables:
        return cls(tuple(_reserved(source)))


def _reserved(source: Source) -> Iterator[Reserved]:
    for module in source.mentioning("metadata"):
        if not _BOUND.search(module.data):
            continue
        for node in module.nodes:
            if isinstance(node, ast.ClassDef):
                binding = next((part for part in node.body if _binds(part)), None)
                if binding is not None and _is_mapped(source, module, node, binding):
                    assert isinstance(binding, Binding)
                    yield _reserved_in(source, module, node, binding)


def _is_mapped(source: Source, module: Module, node: ast.ClassDef, binding: ast.stmt) -> bool:
    """Whether the class, or for a mixin one that derives from it, is a declarative model."""
    if _is_declarative(source, module, node):
        return True
    if isinstance(binding, ast.AnnAssign) and binding.value is None:
        return False  # of a mixin, an annotation alone is passed over
    return any(_is_declarative(source, *heir) for heir in source.heirs(module, node)[1:])


def _is_declarative(source: Source, module: Module, node: ast.ClassDef) -> bool:
    return any(_DECLARATIVE.fullmatch(name) for name in source.ancestry(module, node))


def _binds(part: ast.stmt) -> bool:
    """Whether a statement of a class binds `metadata` to something mapped, or a property."""
    if isinstance(part, ast.FunctionDef):
        kinds = {_last(d) for d in part.decorator_list}
        return part.name == "metadata" and bool(kinds & _FUNCTIONS)
    target = _target(part)
    if target is None or target.id != "metadata":
        return False
    mapped = isinstance(part, ast.AnnAssign) and _last(part.annotation) == "Mapped"
    value = part.value if isinstance(part, ast.Assign | ast.AnnAssign) else None
    return mapped or (isinstance(value, ast.Call) and _last(value.func) in _ATTRIBUTES)


def _target(part: ast.stmt) -> ast.Name | None:
    targets = part.targets if isinstance(part, ast.Assign) else []
    targets = [part.target] if isinstance(part, ast.AnnAssign) else targets
    only = targets[0] if len(targets) == 1 else None
    return only if isinstance(only, ast.Name) else None


def _last(expression: ast.expr) -> str:
    return dotted_name(expression).rpartition(".")[2]


def _reserved_in(source: Source, module: Module, node: ast.ClassDef, binding: Binding) -> Reserved:
    new = f"{_snake(node.name)}_metadata"
    lines = module.data.splitlines()
    text = lines[binding.lineno - 1].decode("utf-8", "replace").strip()
    heirs = {cls.name for _, cls in source.heirs(module, node)}
    place = Place(module.name, binding.lineno, binding.col_offset + 1)
    edits = [] if _taken(source, module, node, new) else _edits(module, node, binding, new)
    return Reserved(
        module, node.name, new, text, place, tuple(edits), tuple(_uses(source, heirs, binding))
    )


def _edits(module: Module, node: ast.ClassDef, binding: Binding, new: str) -> list[Edit]:
    """The edits that rename the attribute and keep the column; none where that is not certain."""
    call = None if isinstance(binding, ast.FunctionDef) else binding.value
    target = _target(binding)
    if target is None or not isinstance(call, ast.Call) or _last(call.func) not in _COLUMNS:
        return []
    named = _is_named(module, call)
    if named is None:
        return []
    edits = [_rename(module, name, new) for name in (target, *_bare_uses(node, target))]
    if not named:
        end = module.offset(call.func.end_lineno or 0, call.func.end_col_offset or 0)
        at = module.data.find(b"(", end) + 1
        if not at:
            return []  # the columns are not of these bytes: another encoding
        comma = b"" if not (call.args or call.keywords) else b","
        # A first argument on a line of its own keeps its line.
        space = b"" if not comma or module.data[at : at + 1] in (b"\n", b"\r", b" ") else b" "
        edits.append(Edit(at, at, b'"metadata"' + comma + space))
    return edits


def _rename(module: Module, name: ast.Name, new: str) -> Edit:
    start = module.offset(name.lineno, name.col_offset)
    return Edit(start, start + len(b"metadata"), new.encode())


def _is_named(module: Module, call: ast.Call) -> bool | None:
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
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
            queue += part.decorator_list
        elif not isinstance(part, ast.ClassDef | ast.Lambda):
            queue += ast.iter_child_nodes(part)
            if isinstance(part, ast.Name) and part.id == "metadata":
                yield part


def _taken(source: Source, module: Module, node: ast.ClassDef, new: str) -> bool:
    """Whether the new name stands in the class, one it derives from, or one that derives from it."""
    family = [*source.lineage(module, node), *source.heirs(module, node)]
    return any(isinstance(n, ast.Name) and n.id == new for _, cls in family for n in ast.walk(cls))


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


# Uses of the attribute, which fail silently once it has another name.

_QUERIES = {"filter_by", "values", "update", "get_or_create", "having_by"}
_STRINGS = {"getattr", "setattr", "hasattr", "validates", "synonym", "attrgetter"}


def _uses(source: Source, models: set[str], binding: Binding) -> Iterator[str]:
    """`metadata=` given to a model or a query, `.metadata` of it or of what may be a row of it.

    Further the fields `metadata` of schemas that are read from attributes.
    """
    own = {id(n) for n in ast.walk(binding)}
    rows = {_snake(model) for model in models}
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
    called = call.func.attr if isinstance(call.func, ast.Attribute) else _last(call.func)
    if called in models or called in _QUERIES:
        yield from (str(module.place(k.value)) for k in call.keywords if k.arg == "metadata")
    if called in _STRINGS:
        strings = (a for a in call.args if isinstance(a, ast.Constant) and a.value == "metadata")
        yield from (str(module.place(a)) for a in strings)


def _may_be_row(owner: ast.expr, rows: set[str], *, about: bool) -> bool:
    name = _last(owner)
    if name.endswith("Base") or name in ("registry", "engine", "target", "op", "db"):
        return False  # the tables' own MetaData
    return about or any(row in _snake(name) for row in rows)


def _uses_in_schema(source: Source, module: Module, node: ast.ClassDef) -> Iterator[str]:
    fields = (n for n in node.body if isinstance(n, ast.AnnAssign) and n.value is None)
    for field in fields:
        if isinstance(field.target, ast.Name) and field.target.id == "metadata":
            configured = any(b"from_attributes" in m.data for m, _ in source.lineage(module, node))
            if configured and is_model(source, module, node):
                yield str(module.place(field))
