"""Fields that Pydantic 2 takes in silence, in another sense than the Pydantic 1 they were written for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.constructs import in_doubt, is_for_both
from saas_doctor.facts.model_config import (
    OLD_KEYS,
    REMOVED,
    RENAMED,
    Config,
    ModelConfigs,
    config_of,
)
from saas_doctor.facts.models import MODEL_BASES, SETTINGS_BASES, PydanticModels
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.objects import expression_of
from saas_doctor.facts.scopes import Function
from saas_doctor.model import Place

_OLD_STYLE = re.compile(
    rb"\b(?:root_)?validator\b|\b(?:%s)\b" % b"|".join(k.encode() for k in [*RENAMED, *REMOVED])
)
# Written for Pydantic 2, or already moved to it: what is optional and required is meant so.
_NEW_STYLE = re.compile(
    rb"\b(?:model_config|ConfigDict|(?:field|model)_validator|model_(?:validate|dump)\w*|TypeAdapter"
    rb"|RootModel|computed_field|pydantic_settings|%s)\b|\bpattern\s*="
    % b"|".join(key.encode() for key in RENAMED.values())
)
_TEXT = {"str", "Optional[str]", "str | None", "typing.Optional[str]"}
# What may make a text of a number before it is validated.
_CONVERTS = re.compile(
    r"\bpre=|validator\('\*'|coerce_numbers_to_str|def __(?:init|new)__|mode='(?:before|wrap)"
)
_ENV = re.compile(rb"\benv\s*=")
# With these, settings are read from wherever the platform says.
_OWN_WAY = ("settings_customise_sources", "__init__")


class Changed(Struct, frozen=True):
    """A field, or the optional fields of a model, whose meaning is another under Pydantic 2."""

    module: Module
    model: str
    fields: tuple[str, ...]
    place: Place
    variables: tuple[str, ...] = ()
    """The environment variables that are no longer read; none for optional fields."""


class ChangedFields(Fact, frozen=True):
    """The fields of models that mean something else under Pydantic 2."""

    models: PydanticModels
    configs: ModelConfigs

    limit = 20.0

    @classmethod
    def read(cls, models: PydanticModels, configs: ModelConfigs) -> ChangedFields:
        return cls(models, configs)

    @cached_property
    def optional(self) -> tuple[Changed, ...]:
        """Fields that Pydantic 1 defaults to None and Pydantic 2 requires, in code of Pydantic 1."""
        return tuple(self._optional())

    def _optional(self) -> Iterator[Changed]:
        for module, node in self._of_v1:
            fields = [f for f in _fields(node) if self._may_be_none(module, f)]
            # What is made from an object has all of the object's attributes.
            from_objects = "orm_mode" in config_of(self.models.source, module, node).names
            if fields and not from_objects and not in_doubt(module, node):
                names = tuple(ast.unparse(f.target) for f in fields)
                yield Changed(module, node.name, names, module.place(fields[0]))

    @cached_property
    def _of_v1(self) -> list[tuple[Module, ast.ClassDef]]:
        """The models written for Pydantic 1: those of such a module, and all below an old configuration."""
        source = self.models.source
        found: dict[int, tuple[Module, ast.ClassDef]] = {}
        for module in source.matching(_OLD_STYLE, "validator", *OLD_KEYS):
            if b"pydantic" in module.data and not _NEW_STYLE.search(module.data):
                old = self._is_of_v1(module)
                found |= {id(node): (module, node) for node in _classes(module) if old}
        found |= {id(heir[1]): heir for heir in self._below(self.configs.old_classes)}
        return [
            (module, node)
            for module, node in found.values()
            if not _NEW_STYLE.search(module.data)
            and not is_for_both(module)
            and self._is_schema(module, node)
        ]

    def _below(
        self, roots: tuple[tuple[Module, ast.ClassDef], ...]
    ) -> list[tuple[Module, ast.ClassDef]]:
        """These classes and all that derive from one of them, looked for in one go."""
        found = list(roots)
        known = {id(node) for _, node in roots}
        names = {node.name for _, node in roots}
        while names:
            bases = "|".join(map(re.escape, names))
            text = re.compile(rf"\bclass\s+\w+\s*\([^:]*?\b(?:{bases})\b".encode())
            names = set()
            for module in self.models.source.modules:
                for node in _classes(module) if text.search(module.data) else ():
                    parents = (
                        self.models.source.class_of(module, dotted_name(b)) for b in node.bases
                    )
                    if id(node) not in known and any(p and id(p[1]) in known for p in parents):
                        known.add(id(node))
                        names.add(node.name)
                        found.append((module, node))
        return found

    def _is_schema(self, module: Module, node: ast.ClassDef) -> bool:
        return bool(self.models.bases(module, node) & MODEL_BASES)

    def _is_of_v1(self, module: Module) -> bool:
        """Whether a model of the module is written for Pydantic 1: by its configuration or validators."""
        for node in _classes(module):
            decorators = [
                d.func if isinstance(d, ast.Call) else d
                for part in node.body
                if isinstance(part, Function)
                for d in part.decorator_list
            ]
            old = any(
                self.models.name(module, d) in ("validator", "root_validator") for d in decorators
            )
            config = config_of(self.models.source, module, node)
            if (old or config.names & (RENAMED.keys() | REMOVED.keys())) and self._is_schema(
                module, node
            ):
                return True
        return False

    def _may_be_none(self, module: Module, field: ast.AnnAssign) -> bool:
        """Whether a field has no default and a type that None is of."""
        if field.value is not None:
            call = field.value if isinstance(field.value, ast.Call) else None
            if call is None or self.models.name(module, call.func) != "Field" or call.args:
                return False
            if any(k.arg in ("default", "default_factory", None) for k in call.keywords):
                return False
        return _is_optional(field.annotation)

    @cached_property
    def numbers(self) -> tuple[Changed, ...]:
        """Where a model of Pydantic 1 is given a number for a text, which Pydantic 2 refuses.

        The first place in each module, for each field.
        """
        found = ((f"{n.module.name}:{n.model}.{n.fields[0]}", n) for n in self._numbers())
        return tuple(dict(reversed(list(found))).values())

    def _numbers(self) -> Iterator[Changed]:
        source = self.models.source
        texts = {id(node): (module, self._texts(module, node)) for module, node in self._of_v1}
        owners = {node.name: module for module, node in self._of_v1 if texts[id(node)][1]}
        for module in source.mentioning(*owners) if owners else ():
            named = ((n, o) for n, o in owners.items() if n.encode() in module.data)
            likely = any(source.may_use(module, owner, name) for name, owner in named)
            for scope in module.scopes if likely else ():
                for call in scope.nodes:
                    if not isinstance(call, ast.Call) or not call.keywords:
                        continue
                    made = self.configs.objects.class_of(scope, call.func)
                    for keyword in call.keywords if made and id(made[1]) in texts else ():
                        assert made
                        is_text = keyword.arg in texts[id(made[1])][1]
                        if is_text and _is_number(keyword.value) and not in_doubt(module, call):
                            field = str(keyword.arg)
                            yield Changed(module, made[1].name, (field,), module.place(keyword))

    def _texts(self, module: Module, node: ast.ClassDef) -> set[str]:
        """The fields of a model that take nothing but a text; none where something may convert it."""
        found: dict[str, bool] = {}
        for where, cls in self.models.source.lineage(module, node):
            text = ast.unparse(cls)
            if _CONVERTS.search(text) or not self.models.is_plain(where, cls):
                return set()
            for field in _fields(cls):
                annotation = ast.unparse(field.annotation).strip("'\"")
                found.setdefault(ast.unparse(field.target), annotation in _TEXT)
        return {name for name, is_text in found.items() if is_text}

    @cached_property
    def variables(self) -> tuple[Changed, ...]:
        """Settings that name an environment variable in a way that Pydantic 2 passes over."""
        return tuple(self._variables())

    def _variables(self) -> Iterator[Changed]:
        for module in self.models.source.mentioning("pydantic_settings", "BaseSettings"):
            if not _ENV.search(module.data) or is_for_both(module):
                continue
            for node in _classes(module):
                for field in _fields(node):
                    names = self._named(module, field)
                    if not names or not self.models.bases(module, node) & SETTINGS_BASES:
                        continue
                    own = self._own_variable(module, node, field)
                    lost = tuple(n for n in names if own is not None and n.lower() != own.lower())
                    if lost and not in_doubt(module, field):
                        target = ast.unparse(field.target)
                        yield Changed(module, node.name, (target,), module.place(field), lost)

    def _named(self, module: Module, field: ast.AnnAssign) -> tuple[str, ...]:
        """The variables of `Field(env=...)`, where they are written out and no alias names others."""
        call = field.value
        if not isinstance(call, ast.Call) or self.models.name(module, call.func) != "Field":
            return ()
        given = {k.arg: k.value for k in call.keywords}
        if given.keys() & {"alias", "validation_alias", None} or "env" not in given:
            return ()
        env = given["env"]
        parts = env.elts if isinstance(env, ast.List | ast.Tuple | ast.Set) else [env]
        names = [p.value for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, str)]
        return tuple(names) if len(names) == len(parts) else ()

    def _own_variable(self, module: Module, node: ast.ClassDef, field: ast.AnnAssign) -> str | None:
        """The variable that the field is read from; None where that can't be told."""
        configs: list[Config] = [
            config_of(self.models.source, *cls) for cls in self.models.source.lineage(module, node)
        ]
        keys = [key for config in configs for key in config.keys]
        own_way = {"alias_generator", "customise_sources"} & {key.name for key in keys}
        own_way |= {n for n in _OWN_WAY if self.models.has(module, node, n)}
        prefixes = [key.value for key in keys if key.name == "env_prefix"] or [ast.Constant("")]
        prefix = prefixes[0] if len(prefixes) == 1 else None
        if own_way or not all(config.whole for config in configs):
            return None
        if not isinstance(prefix, ast.Constant) or not isinstance(prefix.value, str):
            return None
        return prefix.value + ast.unparse(field.target)


def _is_number(value: ast.expr) -> bool:
    if isinstance(value, ast.UnaryOp):
        value = value.operand
    return isinstance(value, ast.Constant) and isinstance(value.value, int | float)


def _classes(module: Module) -> Iterator[ast.ClassDef]:
    return (node for node in module.nodes if isinstance(node, ast.ClassDef))


def _fields(node: ast.ClassDef) -> Iterator[ast.AnnAssign]:
    for part in node.body:
        name = part.target if isinstance(part, ast.AnnAssign) else None
        if isinstance(part, ast.AnnAssign) and isinstance(name, ast.Name):
            is_field = not name.id.startswith("_") and name.id != "model_config"
            if is_field and "ClassVar" not in ast.unparse(part.annotation):
                yield part


def _is_optional(annotation: ast.expr) -> bool:
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        quoted = expression_of(annotation.value)
        return quoted is not None and _is_optional(quoted)
    if isinstance(annotation, ast.BinOp):
        return any(map(_is_none_or_optional, (annotation.left, annotation.right)))
    kind = dotted_name(annotation).rpartition(".")[2]
    if isinstance(annotation, ast.Subscript) and kind == "Union":
        parts = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else []
        return any(map(_is_none_or_optional, parts))
    return kind == "Any" if not isinstance(annotation, ast.Subscript) else kind == "Optional"


def _is_none_or_optional(annotation: ast.expr) -> bool:
    is_none = isinstance(annotation, ast.Constant) and annotation.value is None
    return is_none or _is_optional(annotation)
