"""Constructs of Pydantic 1 that Pydantic 2 still takes, with a warning, by file and kind."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.constructs import in_doubt, is_for_both
from saas_doctor.facts.model_config import REMOVED, RENAMED, config_of
from saas_doctor.facts.models import PydanticModels
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.objects import Objects
from saas_doctor.facts.refused import Refused
from saas_doctor.facts.scopes import Scope
from saas_doctor.model import Place

_METHODS = {
    "dict": "model_dump",
    "json": "model_dump_json",
    "copy": "model_copy",
    "parse_obj": "model_validate",
    "parse_raw": "model_validate_json",
    "parse_file": "model_validate_json",
    "from_orm": "model_validate",
    "construct": "model_construct",
    "schema": "model_json_schema",
    "schema_json": "model_json_schema",
    "update_forward_refs": "model_rebuild",
    "__fields__": "model_fields",
    "__fields_set__": "model_fields_set",
}
_OF_OBJECTS = {"dict", "json", "copy", "__fields_set__"}
_NAMES = {
    "BaseConfig": "`ConfigDict`",
    "Extra": "`'allow'`, `'forbid'` or `'ignore'`",
    "GenericModel": "`BaseModel` together with `Generic[...]`",
    "PyObject": "`ImportString`",
    "parse_obj_as": "`TypeAdapter(...).validate_python(...)`",
    "root_validator": "`@model_validator`",
    "schema_json_of": "`TypeAdapter(...).json_schema()`",
    "schema_of": "`TypeAdapter(...).json_schema()`",
    "validate_arguments": "`@validate_call`",
    "validator": "`@field_validator`",
}
_FIELD = {
    "min_items": "`min_length=`",
    "max_items": "`max_length=`",
    "allow_mutation": "`frozen=`",
    "include": "nothing: it does nothing",
    "example": "`examples=[...]`",
}
_OTHER = "`json_schema_extra={...}`"
_FIELD_TAKES = frozenset(
    {
        *("default", "default_factory", "alias", "alias_priority", "validation_alias", "title"),
        *("serialization_alias", "field_title_generator", "description", "examples", "exclude"),
        *("exclude_if", "discriminator", "deprecated", "json_schema_extra", "frozen", "repr"),
        *("validate_default", "init", "init_var", "kw_only", "pattern", "strict", "gt", "ge"),
        *("coerce_numbers_to_str", "lt", "le", "multiple_of", "allow_inf_nan", "max_digits"),
        *("decimal_places", "min_length", "max_length", "union_mode", "fail_fast"),
        *("regex", "const", "unique_items"),  # these it refuses
    }
)
_WORDS = [*(_NAMES.keys() - {"Extra"}), *(m for m in _METHODS if "_" in m)]
_PLAIN = [
    *_WORDS,
    "class Config",
    "Extra.",
    ".dict(",
    ".schema(",
    ".construct(",
    ".copy(",
    ".json(",
]
_EXTRA = ("example", "env", "include", "_items", "allow_mutation")
_SIGNS = re.compile(
    rb"\bclass Config\b|\bExtra\.|\.(?:dict|schema|construct)\(|\.copy\(\s*(?:update|deep)\s*="
    rb"|\.json\(\s*(?:include|exclude|by_alias)" + rf"|\b(?:{'|'.join(_WORDS)})\b".encode()
)
_FIELD_WITH = re.compile(
    rb"\bField\([^)]*\b(?:example|env|include|min_items|max_items|allow_mutation)\s*="
)


class Deprecated(Struct, frozen=True):
    """The places of one kind of construct in one file, and what is written instead of it."""

    module: Module
    kind: str
    wanted: str
    places: tuple[Place, ...]


class StillTaken(Fact, frozen=True):
    """The constructs of Pydantic 1 that Pydantic 2 deprecates."""

    models: PydanticModels
    objects: Objects
    refused: Refused

    limit = 20.0

    @classmethod
    def read(cls, models: PydanticModels, objects: Objects, refused: Refused) -> StillTaken:
        return cls(models, objects, refused)

    @cached_property
    def kinds(self) -> tuple[Deprecated, ...]:
        """One entry for each kind of each file."""
        refused = {(c.module.name, c.place.line) for c in self.refused.constructs}
        found: list[Deprecated] = []
        source = self.models.source
        likely = [*source.matching(_SIGNS, *_PLAIN), *source.matching(_FIELD_WITH, *_EXTRA)]
        numbers = {id(module) for module in likely}
        for module in source.modules:
            if id(module) not in numbers or is_for_both(module):
                continue
            places: dict[tuple[str, str], set[Place]] = {}
            for node, kind, wanted in self._in(module):
                place = module.place(node)
                if (module.name, place.line) not in refused and not in_doubt(module, node):
                    places.setdefault((kind, wanted), set()).add(place)
            for (kind, wanted), where in sorted(places.items()):
                ordered = tuple(sorted(where, key=lambda p: (p.line or 0, p.column or 0)))
                found.append(Deprecated(module, kind, wanted, ordered))
        return tuple(found)

    def _in(self, module: Module) -> Iterator[tuple[ast.expr | ast.stmt, str, str]]:
        named = {n for n, full in module.imports.items() if full.rpartition(".")[2] in _NAMES}
        named |= {
            n for n, v in module.values.items() if dotted_name(v).rpartition(".")[2] in _NAMES
        }
        named |= _NAMES.keys()
        for scope in module.scopes:
            for node in scope.nodes:
                if isinstance(node, ast.ClassDef):
                    yield from self._configuration(module, node)
                elif isinstance(node, ast.Call):
                    yield from self._field(module, node)
                word = node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")
                if (
                    word in named
                    and isinstance(node, ast.Name | ast.Attribute)
                    and isinstance(node.ctx, ast.Load)
                ):
                    name = self.models.name(module, node)
                    if name in _NAMES:
                        kind = f"@{name}" if name.endswith("validator") else name
                        yield node, kind, _NAMES[name]
                if isinstance(node, ast.Attribute) and self._is_models(scope, node):
                    called = f".{node.attr}()" if not node.attr.startswith("_") else node.attr
                    yield node, called, f"`{_METHODS[node.attr]}`"

    def _is_models(self, scope: Scope, node: ast.Attribute) -> bool:
        """Whether a model's method of Pydantic's own is meant."""
        if node.attr not in _METHODS:
            return False
        if node.attr in _OF_OBJECTS:
            thing = self.objects.thing(scope, node.value)
            found = (thing.module, thing.cls) if thing and thing.kind == "one" else None
        else:
            found = self.objects.class_of(scope, node.value)
        return found is not None and self.models.inherits(*found, node.attr)

    def _configuration(
        self, module: Module, node: ast.ClassDef
    ) -> Iterator[tuple[ast.expr | ast.stmt, str, str]]:
        config = [p for p in node.body if isinstance(p, ast.ClassDef) and p.name == "Config"]
        if config and self.models.is_model(module, node):
            names = config_of(self.models.source, module, node).names
            if not names & (RENAMED.keys() | REMOVED.keys()):
                yield config[0], "class Config", "`model_config = ConfigDict(...)`"

    def _field(
        self, module: Module, call: ast.Call
    ) -> Iterator[tuple[ast.expr | ast.stmt, str, str]]:
        extra = [k.arg for k in call.keywords if k.arg and k.arg not in _FIELD_TAKES]
        if extra and self.models.name(module, call.func) == "Field":
            for name in extra:
                yield call, f"Field({name}=)", _FIELD.get(name, _OTHER)
