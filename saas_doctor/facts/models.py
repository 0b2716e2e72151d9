"""The Pydantic models in the platform's source, proven through their bases."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cached_property

from saas_doctor.facts import Fact
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.objects import Objects, methods
from saas_doctor.facts.source import Source
from saas_doctor.model import Place

SETTINGS_BASES = {"pydantic_settings.BaseSettings", "pydantic_settings.main.BaseSettings"}
SQLMODEL_BASES = {"sqlmodel.SQLModel", "sqlmodel.main.SQLModel"}
MODEL_BASES = SETTINGS_BASES | {
    "pydantic.BaseModel",
    "pydantic.main.BaseModel",
    "pydantic.BaseSettings",
    "pydantic.env_settings.BaseSettings",
    "pydantic.generics.GenericModel",
    "pydantic.RootModel",
}
# Bases that add nothing to a model: neither attributes nor a way to make the class.
_HARMLESS = {"object", "abc.ABC", "typing.Generic", "typing.Protocol", "typing_extensions.Generic"}
_EMAIL = {"pydantic.EmailStr", "pydantic.NameEmail"} | {
    "pydantic.networks.EmailStr",
    "pydantic.networks.NameEmail",
}

# Names that Pydantic 1.10 does not have (it does have a ConfigDict).
_V2_NAMES = {
    "AfterValidator",
    "AliasChoices",
    "AliasGenerator",
    "AliasPath",
    "AwareDatetime",
    "Base64Bytes",
    "Base64Str",
    "BeforeValidator",
    "FieldSerializationInfo",
    "FutureDatetime",
    "GetCoreSchemaHandler",
    "GetJsonSchemaHandler",
    "ImportString",
    "InstanceOf",
    "JsonValue",
    "ModelWrapValidatorHandler",
    "NaiveDatetime",
    "PastDatetime",
    "PlainSerializer",
    "PlainValidator",
    "PydanticUserError",
    "RootModel",
    "SerializationInfo",
    "SerializeAsAny",
    "SerializerFunctionWrapHandler",
    "SkipValidation",
    "StringConstraints",
    "TypeAdapter",
    "UrlConstraints",
    "ValidationInfo",
    "ValidatorFunctionWrapHandler",
    "WithJsonSchema",
    "WrapSerializer",
    "WrapValidator",
    "computed_field",
    "field_serializer",
    "field_validator",
    "model_serializer",
    "model_validator",
    "validate_call",
}
_V2_MODULES = {
    f"pydantic.{name}" for name in ("functional_validators", "functional_serializers")
} | {
    "pydantic.alias_generators",
    "pydantic.aliases",
    "pydantic.json_schema",
    "pydantic.root_model",
    "pydantic.type_adapter",
}
_V2_METHODS = {"model_validate", "model_validate_json", "model_json_schema", "model_construct"}
_V2_OBJECT_METHODS = {"model_dump", "model_dump_json", "model_copy"}


class PydanticModels(Fact, frozen=True):
    """The Pydantic models of the platform's source; each question is looked up when it is asked."""

    source: Source

    limit = 20.0

    @classmethod
    def read(cls, source: Source) -> PydanticModels:
        return cls(source)

    @cached_property
    def sign_of_v2(self) -> tuple[Place, str] | None:
        """An import of a name, or a call of a model's method, that only Pydantic 2 has."""
        return next(_signs_of_v2(self), None)

    @cached_property
    def email_field(self) -> Place | None:
        """A field of a model whose type is an e-mail address."""
        return next(_email_fields(self), None)

    @cached_property
    def _known(self) -> dict[int, set[str]]:
        return {}

    def bases(self, module: Module, node: ast.ClassDef) -> set[str]:
        """The bases of Pydantic and SQLModel that a class is proven to derive from."""
        if id(node) not in self._known:
            self._known[id(node)] = _bases(self.source, module, node)
        return self._known[id(node)]

    def is_model(self, module: Module, node: ast.ClassDef) -> bool:
        """Whether a class is proven to be a model, those of SQLModel included."""
        return bool(self.bases(module, node))

    def is_plain(self, module: Module, node: ast.ClassDef) -> bool:
        """Whether all that a class derives from is known: the platform's own classes, and Pydantic's."""
        known = MODEL_BASES | SQLMODEL_BASES | _HARMLESS
        for where, cls in self.source.lineage(module, node):
            for base in cls.bases:
                local = self.source.class_of(where, dotted_name(base))
                if not local and self.source.made_by(where, dotted_name(base)) not in known:
                    return False
        return True

    def has(self, module: Module, node: ast.ClassDef, method: str) -> bool:
        """Whether a class, or one of the platform that it derives from, defines a method itself."""
        return any(method in methods(cls) for _, cls in self.source.lineage(module, node))

    def inherits(self, module: Module, node: ast.ClassDef, method: str) -> bool:
        """Whether a class is a model whose method is surely the one of Pydantic's own."""
        known = self.is_model(module, node) and self.is_plain(module, node)
        return known and not self.has(module, node, method)

    def name(self, module: Module, expression: ast.expr) -> str:
        """Which of Pydantic's names an expression is: `Field`; nothing where it is another's."""
        name = dotted_name(expression)
        head = name.partition(".")[0]
        own = head in module.defined and head not in module.values  # a function, a class
        if not name or own or not is_certain(self.source, module, name):
            return ""
        full = self.source.made_by(module, name)
        is_it = full.startswith("pydantic.") and not full.startswith("pydantic.v1.")
        return full.rpartition(".")[2] if is_it else ""


def is_certain(source: Source, module: Module, name: str) -> bool:
    """Whether a name is imported from one place only, wherever it was passed on."""
    for _ in range(8):
        head = name.partition(".")[0]
        if head in module.ambiguous:
            return False
        home, _, last = source.full_name(module, name).rpartition(".")
        passed_on = source.local(module, home) if home else None
        if passed_on is None or passed_on is module:
            return True
        module, name = passed_on, last
    return False


def is_model(source: Source, module: Module, node: ast.ClassDef) -> bool:
    """Whether a class is proven to be a Pydantic model."""
    return bool(_bases(source, module, node) & MODEL_BASES)


def _bases(source: Source, module: Module, node: ast.ClassDef) -> set[str]:
    found = source.ancestry(module, node) & (MODEL_BASES | SQLMODEL_BASES)
    if not found:
        return set()
    names = (
        (w, dotted_name(base)) for w, cls in source.lineage(module, node) for base in cls.bases
    )
    # Taken from `pydantic.v1` on one path and from `pydantic` on another: it may be either.
    return found if all(is_certain(source, where, name) for where, name in names if name) else set()


def _signs_of_v2(models: PydanticModels) -> Iterator[tuple[Place, str]]:
    source = models.source
    for module in source.mentioning(*_V2_NAMES, *_V2_MODULES):
        # The top level only: an import inside `try` or `if` is made for either version.
        for node in module.body:
            if isinstance(node, ast.ImportFrom) and not node.level:
                if node.module == "pydantic":
                    yield from (
                        (module.place(node), a.name) for a in node.names if a.name in _V2_NAMES
                    )
                elif node.module in _V2_MODULES:
                    yield module.place(node), node.module
    objects = Objects.read(source)
    for module in source.mentioning(*(f".{n}(" for n in _V2_METHODS | _V2_OBJECT_METHODS)):
        for name, call in _calls_of_models(models, objects, module):
            yield module.place(call), name


def _calls_of_models(
    models: PydanticModels, objects: Objects, module: Module
) -> Iterator[tuple[str, ast.Call]]:
    """The calls of Pydantic 2's methods on models and on objects of them.

    Those in a branch or a `try` are left out: they may be made for either version.
    """
    branches = (n for n in module.nodes if isinstance(n, ast.If | ast.Try | ast.IfExp))
    inside = {id(inner) for branch in branches for inner in ast.walk(branch)}
    for scope in module.scopes:
        for call in scope.nodes:
            if not isinstance(call, ast.Call) or id(call) in inside:
                continue
            if not isinstance(call.func, ast.Attribute):
                continue
            name, found = call.func.attr, None
            if name in _V2_METHODS:
                found = objects.class_of(scope, call.func.value)
            elif name in _V2_OBJECT_METHODS:
                thing = objects.thing(scope, call.func.value)
                found = (thing.module, thing.cls) if thing and thing.kind == "one" else None
            # A class with a method of that name has its own, and SQLModel has them all.
            if found and models.bases(*found) & MODEL_BASES and not models.has(*found, name):
                yield name, call


def _email_fields(models: PydanticModels) -> Iterator[Place]:
    source = models.source
    for module in source.mentioning("EmailStr", "NameEmail"):
        for node in module.nodes:
            if not isinstance(node, ast.ClassDef):
                continue
            fields = [n for n in node.body if isinstance(n, ast.AnnAssign)]
            found = [n for n in fields if _is_email(source, module, n.annotation)]
            if found and models.is_model(module, node):
                yield from map(module.place, found)


def _is_email(source: Source, module: Module, annotation: ast.expr) -> bool:
    if dotted_name(annotation).rpartition(".")[2] == "ClassVar":
        return False
    return any(
        source.made_by(module, dotted_name(node)) in _EMAIL
        for node in ast.walk(annotation)
        if isinstance(node, ast.Name | ast.Attribute)
    )
