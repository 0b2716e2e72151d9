"""The Pydantic models in the platform's source, proven through their bases."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from saas_doctor.facts import Fact
from saas_doctor.facts.source import Module, Source, dotted_name
from saas_doctor.model import Place

MODEL_BASES = {
    "pydantic.BaseModel",
    "pydantic.main.BaseModel",
    "pydantic.generics.GenericModel",
    "pydantic_settings.BaseSettings",
    "pydantic_settings.main.BaseSettings",
}
_EMAIL = {"pydantic.EmailStr", "pydantic.NameEmail"} | {
    "pydantic.networks.EmailStr",
    "pydantic.networks.NameEmail",
}

# Names that Pydantic 1.10 does not have (it does have a ConfigDict).
_V2_NAMES = {
    "AfterValidator",
    "AliasChoices",
    "AliasPath",
    "BeforeValidator",
    "PlainSerializer",
    "PlainValidator",
    "RootModel",
    "StringConstraints",
    "TypeAdapter",
    "ValidationInfo",
    "WrapValidator",
    "computed_field",
    "field_serializer",
    "field_validator",
    "model_serializer",
    "model_validator",
    "validate_call",
}
_V2_METHODS = {"model_validate", "model_validate_json", "model_json_schema", "model_construct"}

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
    "json_dumps",
    "json_loads",
    "post_init_call",
    "smart_union",
    "underscore_attrs_are_private",
}
_OLD = re.compile(rb"\b(?:" + "|".join([*RENAMED, *REMOVED]).encode() + rb")\s*[:=]")
_ROUTES = {"get", "post", "put", "patch", "delete", "api_route", "head", "options"}


@dataclass(frozen=True)
class OldKey:
    """A configuration key of Pydantic 1; `new` is its name in Pydantic 2, None for a removed one.

    `objects_at`: where an object is turned into the model or an heir, for `orm_mode`; `from_orm`:
    the calls of that method on them.
    """

    module: Module
    model: str
    old: str
    new: str | None
    place: Place
    start: int
    objects_at: str = ""
    from_orm: tuple[str, ...] = ()


@dataclass(frozen=True)
class PydanticModels(Fact):
    """The Pydantic models of the platform's source; each question is looked up when it is asked."""

    source: Source

    limit = 20.0

    @classmethod
    def read(cls, source: Source) -> PydanticModels:
        return cls(source)

    @cached_property
    def old_keys(self) -> tuple[OldKey, ...]:
        """The configuration keys of Pydantic 1."""
        return tuple(_old_keys(self.source))

    @cached_property
    def sign_of_v2(self) -> tuple[Place, str] | None:
        """An import of a name, or a call of a model's method, that only Pydantic 2 has."""
        return next(_signs_of_v2(self.source), None)

    @cached_property
    def email_field(self) -> Place | None:
        """A field of a model whose type is an e-mail address."""
        return next(_email_fields(self.source), None)


def is_model(source: Source, module: Module, node: ast.ClassDef) -> bool:
    """Whether a class is proven to be a Pydantic model."""
    return bool(source.ancestry(module, node) & MODEL_BASES)


def _signs_of_v2(source: Source) -> Iterator[tuple[Place, str]]:
    for module in source.mentioning(*_V2_NAMES):
        # The top level only: an import inside `try` or `if` is made for either version.
        for node in module.body:
            if isinstance(node, ast.ImportFrom) and node.module == "pydantic" and not node.level:
                yield from ((module.place(node), a.name) for a in node.names if a.name in _V2_NAMES)
    for module in source.mentioning(*(f".{name}(" for name in _V2_METHODS)):
        for name, call in _calls_of_models(source, module):
            if name in _V2_METHODS:
                yield module.place(call), name


def _calls_of_models(source: Source, module: Module) -> Iterator[tuple[str, ast.Call]]:
    """The calls of methods on models' classes themselves: `UserRead.model_validate(...)`.

    Those in a branch or a `try` are left out: they may be made for either version.
    """
    branches = (n for n in module.nodes if isinstance(n, ast.If | ast.Try | ast.IfExp))
    inside = {id(inner) for branch in branches for inner in ast.walk(branch)}
    for call in module.nodes:
        if not isinstance(call, ast.Call) or id(call) in inside:
            continue
        if isinstance(call.func, ast.Attribute):
            found = source.class_of(module, dotted_name(call.func.value))
            # A class with a method of that name has its own.
            if found and call.func.attr not in _methods(found[1]) and is_model(source, *found):
                yield call.func.attr, call


def _methods(node: ast.ClassDef) -> set[str]:
    return {n.name for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}


def _email_fields(source: Source) -> Iterator[Place]:
    for module in source.mentioning("EmailStr", "NameEmail"):
        for node in module.nodes:
            if not isinstance(node, ast.ClassDef):
                continue
            fields = [n for n in node.body if isinstance(n, ast.AnnAssign)]
            found = [n for n in fields if _is_email(source, module, n.annotation)]
            if found and is_model(source, module, node):
                yield from map(module.place, found)


def _is_email(source: Source, module: Module, annotation: ast.expr) -> bool:
    if dotted_name(annotation).rpartition(".")[2] == "ClassVar":
        return False
    return any(
        source.made_by(module, dotted_name(node)) in _EMAIL
        for node in ast.walk(annotation)
        if isinstance(node, ast.Name | ast.Attribute)
    )


# Configuration keys of Pydantic 1.


def _old_keys(source: Source) -> Iterator[OldKey]:
    for module in source.mentioning("Config", "model_config"):
        if not _OLD.search(module.data):
            continue
        for node in module.nodes:
            if isinstance(node, ast.ClassDef):
                found = list(_keys_of(node))
                names = {name for name, *_ in found}
                if found and is_model(source, module, node):
                    yield from (
                        _key(source, module, node, *key)
                        for key in found
                        # Written for both versions: Pydantic 2 takes its own and passes over this.
                        if key[0] in REMOVED or RENAMED.get(key[0], key[0]) not in names
                    )


Key = tuple[str, ast.expr, int, int]
"""A key's name, its value, and the line and column of the name."""


def _keys_of(node: ast.ClassDef) -> list[Key]:
    """All the keys of a model's configuration, in each of its forms; new ones too."""
    found: list[Key] = []
    for part in node.body:
        if isinstance(part, ast.ClassDef) and part.name == "Config":
            found += _keys_of_class(part)
        elif isinstance(part, ast.Assign | ast.AnnAssign):
            targets = part.targets if isinstance(part, ast.Assign) else [part.target]
            if any(isinstance(t, ast.Name) and t.id == "model_config" for t in targets):
                found += _keys_of_call(part.value)
    old = RENAMED.keys() | REMOVED
    return found if any(name in old for name, *_ in found) else []


def _keys_of_class(config: ast.ClassDef) -> Iterator[Key]:
    for line in config.body:
        if isinstance(line, ast.Assign):
            targets, value = line.targets, line.value
        elif isinstance(line, ast.AnnAssign) and line.value is not None:
            targets, value = [line.target], line.value
        else:
            continue
        for target in targets:
            if isinstance(target, ast.Name):
                yield target.id, value, target.lineno, target.col_offset


def _keys_of_call(value: ast.expr | None) -> Iterator[Key]:
    if not isinstance(value, ast.Call):
        return
    if dotted_name(value.func).rpartition(".")[2] in ("ConfigDict", "SettingsConfigDict", "dict"):
        for keyword in value.keywords:
            if keyword.arg:
                yield keyword.arg, keyword.value, keyword.lineno, keyword.col_offset


def _key(
    source: Source,
    module: Module,
    node: ast.ClassDef,
    old: str,
    value: ast.expr,
    line: int,
    column: int,
) -> OldKey:
    objects_at, calls = "", []
    if old == "orm_mode" and not (isinstance(value, ast.Constant) and not value.value):
        uses = list(_uses_of_objects(source, module, node))
        objects_at = next((str(place) for _, place in uses), "")
        calls = [str(place) for kind, place in uses if kind == "from_orm"]
    place = Place(module.name, line, column + 1)
    start = module.offset(line, column)
    return OldKey(module, node.name, old, RENAMED.get(old), place, start, objects_at, tuple(calls))


def _uses_of_objects(
    source: Source, home: Module, node: ast.ClassDef
) -> Iterator[tuple[str, Place]]:
    """Where objects are turned into a model or one of its heirs, and by what."""
    heirs = [cls for _, cls in source.heirs(home, node)]

    def means(module: Module, expression: ast.expr) -> bool:
        found = source.class_of(module, dotted_name(expression))
        return found is not None and any(found[1] is cls for cls in heirs)

    for module in source.mentioning(*{cls.name for cls in heirs}):
        for part in module.nodes:
            if isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute):
                kind = part.func.attr
                if kind in ("from_orm", "model_validate") and not _gives_data(part):
                    if means(module, part.func.value):
                        yield kind, module.place(part)
                elif kind in _ROUTES:
                    for keyword in part.keywords:
                        if keyword.arg == "response_model" and _any(module, keyword.value, means):
                            yield "response_model", module.place(keyword.value)
            elif isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                answer = _answer_of(part)
                if answer is not None and _any(module, answer, means):
                    yield "response", module.place(answer)


def _any(module: Module, expression: ast.expr, means: Callable[[Module, ast.expr], bool]) -> bool:
    parts = (n for n in ast.walk(expression) if isinstance(n, ast.Name | ast.Attribute))
    return any(means(module, part) for part in parts)


def _answer_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.expr | None:
    """What a route is annotated to return, where that is its response's model."""
    calls = [d for d in function.decorator_list if isinstance(d, ast.Call)]
    routes = [c for c in calls if isinstance(c.func, ast.Attribute) and c.func.attr in _ROUTES]
    # A response_model of its own counts in place of the annotation.
    own = any(k.arg == "response_model" for route in routes for k in route.keywords)
    return function.returns if routes and not own else None


def _gives_data(call: ast.Call) -> bool:
    """Whether plainly a dictionary is given, which needs no `orm_mode`."""
    given = call.args[0] if call.args else None
    if isinstance(given, ast.Call) and isinstance(given.func, ast.Attribute):
        return given.func.attr in ("dict", "model_dump", "json", "loads")
    return isinstance(given, ast.Dict | ast.DictComp)
