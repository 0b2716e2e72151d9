"""The configuration of Pydantic models: its keys, in every form, and those that only Pydantic 1 knows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property

from msgspec import Struct

from saas_doctor.edits import Edit
from saas_doctor.facts import Fact
from saas_doctor.facts.constructs import in_branch_of_both, in_doubt
from saas_doctor.facts.models import SQLMODEL_BASES, PydanticModels
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.objects import Class, Objects
from saas_doctor.facts.scopes import Function, Scope
from saas_doctor.facts.source import Source
from saas_doctor.model import Place

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
    "allow_mutation": "`frozen=True` where it was False",
    "copy_on_model_validation": "`revalidate_instances`, where copies are wanted",
    "error_msg_templates": "messages raised by the validators themselves",
    "fields": "`Field(alias=...)` at each field; in settings `Field(validation_alias=...)`",
    "getter_dict": "a `model_validator(mode='before')`",
    "json_dumps": "serializers (`field_serializer`, `model_serializer`)",
    "json_loads": "a `model_validator(mode='before')`",
    "post_init_call": "nothing: it is always after the validation",
    "smart_union": "nothing: unions are always smart",
    "underscore_attrs_are_private": "nothing: they always are",
}
"""The keys that Pydantic 2 removed, with what takes their place."""
_WORDS = "|".join([*RENAMED, *REMOVED])
OLD_KEYS = (*RENAMED, *REMOVED)
_OLD = re.compile(rf"\b(?:{_WORDS})\b[\"']?\s*[:=]|\bdef\s+(?:{_WORDS})\b".encode())
_TURNING = ("from_orm", "model_validate")
_CALLS = {"ConfigDict", "SettingsConfigDict", "SQLModelConfig", "dict"}


class Key(Struct, frozen=True):
    """A key of a configuration, where it stands, and what it is set to (None for a function)."""

    module: Module
    name: str
    value: ast.expr | None
    line: int
    column: int


class Config(Struct, frozen=True):
    """The keys of a model's own configuration; `whole` unless some can't be told (`**common`)."""

    keys: tuple[Key, ...]
    whole: bool = True

    @property
    def names(self) -> set[str]:
        return {key.name for key in self.keys}


class OldKey(Struct, frozen=True):
    """A configuration key of Pydantic 1; `new` is its name in Pydantic 2, None for a removed one.

    `edit` renames it; None where that is not certain. `fails_at`: where an object is turned into
    the model or an heir, for `orm_mode`; `from_orm`: the calls of that method on them.
    """

    module: Module
    model: str
    old: str
    new: str | None
    place: Place
    edit: Edit | None
    fails_at: str = ""
    from_orm: tuple[str, ...] = ()


class ModelConfigs(Fact, frozen=True):
    """The configurations of the platform's Pydantic models."""

    models: PydanticModels
    objects: Objects

    limit = 20.0

    @classmethod
    def read(cls, models: PydanticModels, objects: Objects) -> ModelConfigs:
        return cls(models, objects)

    @cached_property
    def old_keys(self) -> tuple[OldKey, ...]:
        """The configuration keys of Pydantic 1, each once, however many models share it."""
        found: dict[tuple[str, int, int], OldKey] = {}
        for module, node, config in self._old:
            for key in config.keys:
                at = (key.module.name, key.line, key.column)
                if (
                    at not in found
                    and _is_old(key, config)
                    and not _of_a_version(module, node, key)
                ):
                    found[at] = self._old_key(module, node, key, config)
        return tuple(found.values())

    @cached_property
    def old_classes(self) -> tuple[tuple[Module, ast.ClassDef], ...]:
        """The models that such a key configures."""
        return tuple((module, node) for module, node, _ in self._old)

    @cached_property
    def _old(self) -> list[tuple[Module, ast.ClassDef, Config]]:
        found = [(m, node, config_of(self.models.source, m, node)) for m, node in self._likely()]
        return [
            (module, node, config)
            for module, node, config in found
            if any(_is_old(k, config) and not _of_a_version(module, node, k) for k in config.keys)
            and self.models.is_model(module, node)
        ]

    def _likely(self) -> Iterator[tuple[Module, ast.ClassDef]]:
        """The classes that may be models configured by an old key, their own or a shared one."""
        source = self.models.source
        likely = (b"Config", b"pydantic", b"model_config")
        hits = [
            module
            for module in source.matching(_OLD, *OLD_KEYS)
            if any(word in module.data for word in likely)
        ]
        shared = {n for module in hits for n in _holders(module)}
        others = source.mentioning(*shared)
        for module in dict.fromkeys([*hits, *others]):
            if b"Config" in module.data or b"model_config" in module.data:
                yield from ((module, n) for n in module.nodes if isinstance(n, ast.ClassDef))

    def _old_key(self, module: Module, node: ast.ClassDef, key: Key, config: Config) -> OldKey:
        new = RENAMED.get(key.name)
        place = Place(key.module.name, key.line, key.column + 1)
        edit = _rename(key, new) if new and config.whole else None
        uses: list[tuple[str, Place]] = []
        if key.name == "orm_mode" and not (
            isinstance(key.value, ast.Constant) and not key.value.value
        ):
            uses = self._turned.get(id(node), [])
        fails_at = next((str(place) for _, place in uses), "")
        calls = tuple(str(place) for kind, place in uses if kind == "from_orm")
        inside = key.module is module and node.lineno <= key.line <= (node.end_lineno or 0)
        owner = node.name if inside else _owner(key)
        return OldKey(key.module, owner, key.name, new, place, edit, fails_at, calls)

    @cached_property
    def _turned(self) -> dict[int, list[tuple[str, Place]]]:
        """Where objects are surely turned into a model, and by what; for its bases as well, by their ids.

        Not by FastAPI for a `response_model`: that reads attributes by itself.
        """
        found: dict[int, list[tuple[str, Place]]] = {}
        for module in self.models.source.mentioning(".from_orm(", ".model_validate("):
            for scope in module.scopes:
                for call in scope.nodes:
                    turned = self._turned_by(scope, call) if isinstance(call, ast.Call) else None
                    if turned is not None:
                        kind, cls, place = turned
                        for _, base in self.models.source.lineage(*cls):
                            found.setdefault(id(base), []).append((kind, place))
        return found

    def _turned_by(self, scope: Scope, call: ast.Call) -> tuple[str, Class, Place] | None:
        function = call.func
        if not isinstance(function, ast.Attribute) or function.attr not in _TURNING:
            return None
        cls = self.objects.class_of(scope, function.value)
        if cls is None or self._reads_attributes(*cls):
            return None
        thing = self.objects.thing(scope, call.args[0]) if call.args else None
        is_object = (
            thing and thing.kind == "one" and not self.models.is_model(thing.module, thing.cls)
        )
        told = any(k.arg in ("from_attributes", None) for k in call.keywords)
        if function.attr == "from_orm" or (is_object and not told):
            return function.attr, cls, scope.module.place(call)
        return None

    def _reads_attributes(self, module: Module, node: ast.ClassDef) -> bool:
        """Whether objects may be turned into it all the same, as far as can be told."""
        if self.models.bases(module, node) & SQLMODEL_BASES:
            return True
        configs = [
            config_of(self.models.source, *cls) for cls in self.models.source.lineage(module, node)
        ]
        return any("from_attributes" in c.names or not c.whole for c in configs)


def _is_old(key: Key, config: Config) -> bool:
    """Whether it means nothing to Pydantic 2; beside the new one it was written for both versions."""
    if key.name in RENAMED:
        return RENAMED[key.name] not in config.names
    return key.name in REMOVED


def _of_a_version(module: Module, node: ast.ClassDef, key: Key) -> bool:
    """Whether the model, or its key, is made for one version of Pydantic beside the other."""
    places: list[tuple[Module, ast.AST]] = [(module, node)]
    places += [(key.module, key.value)] if key.value else []
    return any(in_doubt(*place) or in_branch_of_both(*place) for place in places)


def _holders(module: Module) -> Iterator[str]:
    """The classes and values of the top level that hold old keys for several models."""
    for name, node in module.classes.items():
        own = (part.targets for part in node.body if isinstance(part, ast.Assign))
        targets = {t.id for found in own for t in found if isinstance(t, ast.Name)}
        if targets & (RENAMED.keys() | REMOVED.keys()):
            yield name
    for name, value in module.values.items():
        if isinstance(value, ast.Call | ast.Dict | ast.BinOp):
            start = module.offset(value.lineno, value.col_offset)
            end = module.offset(value.end_lineno or 0, value.end_col_offset or 0)
            if _OLD.search(module.data, start, end):
                yield name


def _owner(key: Key) -> str:
    """The name of the top-level statement that a key stands in."""
    for node in key.module.body:
        if node.lineno <= key.line <= (node.end_lineno or node.lineno):
            if isinstance(node, ast.ClassDef):
                return node.name
            if isinstance(node, ast.Assign | ast.AnnAssign):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                return dotted_name(target)
    return key.name


def _rename(key: Key, new: str) -> Edit | None:
    start = key.module.offset(key.line, key.column)
    end = start + len(key.name)
    # Columns count UTF-8, which a file in another encoding is not.
    return (
        Edit(start, end, new.encode()) if key.module.data[start:end] == key.name.encode() else None
    )


# The forms of a configuration.


def config_of(source: Source, module: Module, node: ast.ClassDef) -> Config:
    """The keys that a class's own body configures, in `class Config` or `model_config`."""
    parts: list[Config] = []
    for part in node.body:
        if isinstance(part, ast.ClassDef) and part.name == "Config":
            parts.append(_of_class(source, module, part))
        elif isinstance(part, ast.Assign | ast.AnnAssign):
            targets = part.targets if isinstance(part, ast.Assign) else [part.target]
            names = {t.id for t in targets if isinstance(t, ast.Name)}
            if "model_config" in names and part.value is not None:
                parts.append(_of_value(source, module, part.value))
            elif "Config" in names and part.value is not None:
                parts.append(_of_shared_class(source, module, part.value))
    keys = tuple(key for part in parts for key in part.keys)
    return Config(keys, all(part.whole for part in parts))


def _of_class(source: Source, module: Module, config: ast.ClassDef, depth: int = 0) -> Config:
    keys: list[Key] = []
    for line in config.body:
        if isinstance(line, Function):
            column = module.data.find(
                line.name.encode(), module.offset(line.lineno, line.col_offset)
            )
            column -= module.offset(line.lineno, 0)
            keys.append(Key(module, line.name, None, line.lineno, column))
            continue
        if not isinstance(line, ast.Assign | ast.AnnAssign) or line.value is None:
            continue
        targets = line.targets if isinstance(line, ast.Assign) else [line.target]
        names = [t for t in targets if isinstance(t, ast.Name)]
        keys += [Key(module, n.id, line.value, n.lineno, n.col_offset) for n in names]
    for base in config.bases:
        keys += _of_shared_class(source, module, base, depth).keys
    return Config(tuple(keys))


def _of_shared_class(source: Source, module: Module, base: ast.expr, depth: int = 0) -> Config:
    """The keys of a class of the top level that configurations derive from."""
    found = source.class_of(module, dotted_name(base)) if depth < 8 else None
    return _of_class(source, *found, depth + 1) if found else Config(())


def _of_value(source: Source, module: Module, value: ast.expr, depth: int = 0) -> Config:
    if isinstance(value, ast.Call) and dotted_name(value.func).rpartition(".")[2] in _CALLS:
        keys = [
            Key(module, k.arg, k.value, k.lineno, k.col_offset) for k in value.keywords if k.arg
        ]
        spread = [*value.args, *(k.value for k in value.keywords if not k.arg)]
    elif isinstance(value, ast.Dict):
        keys = [
            Key(module, k.value, v, k.lineno, k.col_offset + 1)
            for k, v in zip(value.keys, value.values, strict=True)
            if isinstance(k, ast.Constant) and isinstance(k.value, str)
        ]
        spread = [v for k, v in zip(value.keys, value.values, strict=True) if k is None]
    elif isinstance(value, ast.BinOp):
        keys, spread = [], [value.left, value.right]
    else:
        found = source.definition(module, dotted_name(value)) if dotted_name(value) else None
        shared = found[0].values.get(found[1]) if found else None
        if found is None or shared is None or depth > 8:
            return Config((), whole=False)
        return _of_value(source, found[0], shared, depth + 1)
    configs = [_of_value(source, module, part, depth + 1) for part in spread]
    inherited = tuple(key for config in configs for key in config.keys)
    return Config((*keys, *inherited), all(config.whole for config in configs))
