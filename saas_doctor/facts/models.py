"""Pydantic models and SQLAlchemy tables in the platform's source, proven through their bases."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from saas_doctor.edits import Edit
from saas_doctor.facts import Fact
from saas_doctor.facts.source import Module, Source, dotted_name
from saas_doctor.model import Place

_PYDANTIC = {"pydantic.BaseModel", "pydantic.main.BaseModel", "pydantic_settings.BaseSettings"}
_DECLARATIVE = {
    "sqlalchemy.orm.DeclarativeBase",
    "sqlalchemy.orm.DeclarativeBaseNoMeta",
    "sqlalchemy.orm.declarative_base()",
    "sqlalchemy.orm.decl_api.declarative_base()",
    "sqlalchemy.ext.declarative.declarative_base()",
}
_ATTRIBUTES = {
    "Column",
    "mapped_column",
    "relationship",
    "synonym",
    "deferred",
    "column_property",
    "backref",
}
# Those whose first positional argument may be the column's name.
_NAMED = {"Column", "mapped_column"}

# Pydantic 1.10 has a ConfigDict too.
_V2_NAMES = (
    "RootModel",
    "TypeAdapter",
    "computed_field",
    "field_serializer",
    "field_validator",
    "model_serializer",
    "model_validator",
)

_V2_METHODS = ("model_dump", "model_dump_json", "model_validate", "model_validate_json")

RENAMED = {
    "orm_mode": "from_attributes",
    "allow_population_by_field_name": "populate_by_name",
    "anystr_lower": "str_to_lower",
    "anystr_upper": "str_to_upper",
    "anystr_strip_whitespace": "str_strip_whitespace",
    "min_anystr_length": "str_min_length",
    "max_anystr_length": "str_max_length",
    "keep_untouched": "ignored_types",
    "schema_extra": "json_schema_extra",
    "validate_all": "validate_default",
}
REMOVED = {
    "allow_mutation",
    "copy_on_model_validation",
    "error_msg_templates",
    "fields",
    "getter_dict",
    "post_init_call",
    "smart_union",
    "underscore_attrs_are_private",
}


@dataclass(frozen=True)
class OldKey:
    """A configuration key of Pydantic 1; `new` is its name in Pydantic 2, None for a removed one."""

    module: Module
    model: str
    old: str
    new: str | None
    place: Place
    start: int


@dataclass(frozen=True)
class PydanticModels(Fact):
    """The Pydantic models of the platform: their old configuration keys, and what is made into them."""

    source: Source
    old_keys: tuple[OldKey, ...]
    from_orm_calls: tuple[str, ...]
    of_v2: tuple[tuple[Place, str], ...] = ()
    """Imports of names, and calls of methods, that only Pydantic 2 has."""
    email_fields: tuple[Place, ...] = ()

    limit = 20.0

    @classmethod
    def read(cls, source: Source) -> PydanticModels:
        keys = tuple(_old_keys(source))
        calls = tuple(_from_orm_calls(source)) if keys else ()
        return cls(source, keys, calls, tuple(_v2_names(source)), tuple(_email_fields(source)))

    def from_objects(self, model: str) -> str | None:
        """Where an object is turned into this model: `Model.model_validate(...)` or a response."""
        for module in self.source.mentioning(model):
            for node in ast.walk(module.tree or ast.Module([], [])):
                if _turns_objects(node, model):
                    return str(module.place(node))  # type: ignore[arg-type]
        return None


def _v2_names(source: Source) -> Iterator[tuple[Place, str]]:
    for module in source.mentioning(*_V2_NAMES):
        # The top level only: an import inside `try` or `if` is made for either version.
        for node in module.tree.body if module.tree else []:
            if isinstance(node, ast.ImportFrom) and node.module == "pydantic":
                yield from ((module.place(node), a.name) for a in node.names if a.name in _V2_NAMES)
    own = {n for n in _V2_METHODS if any(source.mentioning(f"def {n}("))}
    for module in source.mentioning(*(f".{name}(" for name in _V2_METHODS)):
        for call in ast.walk(module.tree or ast.Module([], [])):
            method = call.func if isinstance(call, ast.Call) else None
            if isinstance(method, ast.Attribute) and method.attr in set(_V2_METHODS) - own:
                yield module.place(method), method.attr


def _email_fields(source: Source) -> Iterator[Place]:
    for module in source.mentioning("EmailStr", "NameEmail"):
        for node in ast.walk(module.tree or ast.Module([], [])):
            if not isinstance(node, ast.ClassDef) or not source.ancestry(module, node) & _PYDANTIC:
                continue
            for line in node.body:
                if isinstance(line, ast.AnnAssign) and _is_email(source, module, line.annotation):
                    yield module.place(line)


def _is_email(source: Source, module: Module, annotation: ast.expr) -> bool:
    return any(
        source.full_name(module, dotted_name(node)) in ("pydantic.EmailStr", "pydantic.NameEmail")
        for node in ast.walk(annotation)
        if isinstance(node, ast.Name | ast.Attribute)
    )


def _turns_objects(node: ast.AST, model: str) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in ("from_orm", "model_validate"):
            return dotted_name(node.func.value).rpartition(".")[2] == model
        return any(k.arg == "response_model" and _names(k.value, model) for k in node.keywords)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.decorator_list:
        return node.returns is not None and _names(node.returns, model)
    return False


def _names(node: ast.expr, model: str) -> bool:
    return any(
        isinstance(n, ast.Name | ast.Attribute) and dotted_name(n).rpartition(".")[2] == model
        for n in ast.walk(node)
    )


def _from_orm_calls(source: Source) -> Iterator[str]:
    for module in source.mentioning(".from_orm("):
        for node in ast.walk(module.tree or ast.Module([], [])):
            if isinstance(node, ast.Attribute) and node.attr == "from_orm":
                yield str(module.place(node))


def _old_keys(source: Source) -> Iterator[OldKey]:
    for module in source.mentioning(*RENAMED, *REMOVED):
        for node in ast.walk(module.tree or ast.Module([], [])):
            if isinstance(node, ast.ClassDef):
                found = list(_keys_of(module, node))
                if found and source.ancestry(module, node) & _PYDANTIC:
                    yield from found


def _keys_of(module: Module, node: ast.ClassDef) -> Iterator[OldKey]:
    for part in node.body:
        if isinstance(part, ast.ClassDef) and part.name == "Config":
            yield from _keys_of_class(module, node.name, part)
        elif (
            isinstance(part, ast.Assign)
            and isinstance(part.value, ast.Call)
            and any(isinstance(t, ast.Name) and t.id == "model_config" for t in part.targets)
        ):
            for keyword in part.value.keywords:
                if keyword.arg in RENAMED or keyword.arg in REMOVED:
                    yield _key(module, node.name, keyword.arg, keyword.lineno, keyword.col_offset)


def _keys_of_class(module: Module, model: str, config: ast.ClassDef) -> Iterator[OldKey]:
    for line in config.body:
        targets = line.targets if isinstance(line, ast.Assign) else []
        targets += [line.target] if isinstance(line, ast.AnnAssign) else []
        for target in targets:
            if isinstance(target, ast.Name) and (target.id in RENAMED or target.id in REMOVED):
                yield _key(module, model, target.id, target.lineno, target.col_offset)


def _key(module: Module, model: str, old: str, line: int, column: int) -> OldKey:
    place = Place(module.name, line, column + 1)
    return OldKey(module, model, old, RENAMED.get(old), place, module.offset(line, column))


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
        for node in ast.walk(module.tree or ast.Module([], [])):
            if not isinstance(node, ast.ClassDef):
                continue
            for line in node.body:
                name = _metadata_target(line)
                if name is not None and source.ancestry(module, node) & _DECLARATIVE:
                    yield _reserved_in(source, module, node, line, name)


def _metadata_target(line: ast.stmt) -> ast.Name | None:
    """The name `metadata` where a statement binds it to something mapped."""
    if isinstance(line, ast.Assign) and len(line.targets) == 1:
        target, value = line.targets[0], line.value
    elif isinstance(line, ast.AnnAssign):
        target = line.target
        mapped = dotted_name(line.annotation).rpartition(".")[2] == "Mapped"
        if not mapped and not (line.value and _maps(line.value)):
            return None
        return target if isinstance(target, ast.Name) and target.id == "metadata" else None
    else:
        return None
    right = isinstance(target, ast.Name) and target.id == "metadata" and _maps(value)
    return target if right and isinstance(target, ast.Name) else None


def _maps(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and _last(value.func) in _ATTRIBUTES


def _last(function: ast.expr) -> str:
    return dotted_name(function).rpartition(".")[2]


def _reserved_in(
    source: Source, module: Module, node: ast.ClassDef, line: ast.stmt, name: ast.Name
) -> Reserved:
    new = f"{_snake(node.name)}_metadata"
    assert isinstance(line, ast.Assign | ast.AnnAssign)
    text = (
        ast.get_source_segment(module.data.decode("utf-8", "replace"), line) or ""
    ).splitlines()[0]
    return Reserved(
        module,
        node.name,
        new,
        text,
        module.place(name),
        () if _taken(node, new) else tuple(_edits(module, line, name, new)),
        tuple(_uses(source, module, node.name)),
    )


def _edits(
    module: Module, line: ast.Assign | ast.AnnAssign, name: ast.Name, new: str
) -> Iterator[Edit]:
    call = line.value
    if not isinstance(call, ast.Call):
        return  # an annotation alone says nothing of where the column's name could go
    start = module.offset(name.lineno, name.col_offset)
    yield Edit(start, start + len(b"metadata"), new.encode())
    named = (
        call.args and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)
    )
    if _last(call.func) in _NAMED and not named:
        end = module.offset(call.func.end_lineno or 0, call.func.end_col_offset or 0)
        opening = module.data.index(b"(", end) + 1
        more = b", " if call.args or call.keywords else b""
        # A first argument on a line of its own keeps its line.
        yield Edit(
            opening,
            opening,
            b'"metadata"' + more.rstrip() if _breaks(module, opening) else b'"metadata"' + more,
        )


def _breaks(module: Module, opening: int) -> bool:
    return module.data[opening : opening + 2].lstrip(b"\r")[:1] == b"\n"


def _taken(node: ast.ClassDef, new: str) -> bool:
    return any(isinstance(n, ast.Name) and n.id == new for n in ast.walk(node))


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _uses(source: Source, home: Module, model: str) -> Iterator[str]:
    """Keywords `metadata=` to the model, and `.metadata` of it or of what may be a row of it."""
    for module in source.mentioning(model):
        if b"metadata" not in module.data:
            continue
        for node in ast.walk(module.tree or ast.Module([], [])):
            if isinstance(node, ast.Call) and _last(node.func) == model:
                yield from (str(module.place(k)) for k in node.keywords if k.arg == "metadata")
            elif isinstance(node, ast.Attribute) and node.attr == "metadata":
                owner = dotted_name(node.value)
                base = owner.rpartition(".")[2] in ("Base", "self.Base") or owner.endswith("Base")
                if owner and not base and not (module is home and owner == "self"):
                    yield str(module.place(node))
