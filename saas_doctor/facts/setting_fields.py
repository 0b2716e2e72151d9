"""Reads one settings class with its bases: its fields, the variables that set them, its configuration."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import TypeGuard

from msgspec import Struct, field
from msgspec.structs import replace

from saas_doctor.facts.model_config import Key, config_of
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.objects import SETTINGS, Class, expression_of
from saas_doctor.facts.scopes import Function
from saas_doctor.facts.setting_types import ANYTHING, SettingType, setting_type
from saas_doctor.facts.source import Source
from saas_doctor.model import Place

# Bases that bring no fields and no behaviour that is not known.
_PLAIN_BASES = {
    "object",
    "abc.ABC",
    "typing.Generic",
    "pydantic.BaseModel",
    "pydantic.main.BaseModel",
}
# What a configuration may say without changing where values come from, beside what is read here.
_HARMLESS = {
    "allow_mutation",
    "arbitrary_types_allowed",
    "case_sensitive",
    "enable_decoding",
    "env_file",
    "env_file_encoding",
    "env_ignore_empty",
    "env_nested_delimiter",
    "env_prefix",
    "extra",
    "frozen",
    "json_encoders",
    "json_schema_extra",
    "orm_mode",
    "from_attributes",
    "populate_by_name",
    "protected_namespaces",
    "schema_extra",
    "title",
    "use_attribute_docstrings",
    "use_enum_values",
    "validate_all",
    "validate_assignment",
    "validate_default",
}
_FIELD = {"pydantic.Field", "pydantic.fields.Field", "pydantic.v1.Field"}
_BEFORE = {"before", "wrap", "plain"}
_LIMITS = {"ge", "gt", "le", "lt", "min_length", "max_length"}


class SettingField(Struct, frozen=True):
    """A field: the variables that set it (the first that is there counts), and what it takes.

    `keys` is None where they can't be told. `limits`: its bounds that are numbers written out.
    """

    name: str
    place: Place
    keys: tuple[str, ...] | None
    required: bool
    type: SettingType = ANYTHING
    limits: Mapping[str, float] = field(default_factory=dict)


class SettingsClass(Struct, frozen=True):
    """A class proven to be settings, with all that its bases bring.

    `doubt` says why what it reads can't be told. `env_file` is the expression that names its files,
    with its module. `open`: whether values may also come from elsewhere (secrets, arguments).
    """

    module: Module
    node: ast.ClassDef
    version: int
    fields: tuple[SettingField, ...] = ()
    env_file: tuple[Module, ast.expr] | None = None
    extra: str = ""
    sensitive: bool = False
    ignores_empty: bool = False
    delimiter: str = ""
    prefix: str = ""
    rewrites: bool = False
    """Whether a validator sees, and may change, all values before they are checked."""
    open: bool = False
    doubt: str = ""

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def place(self) -> Place:
        return self.module.place(self.node)


def settings_class(
    source: Source, version: int, module: Module, node: ast.ClassDef
) -> SettingsClass:
    """What is known of a class that is proven to be settings of this version of Pydantic."""
    return _Reader(source, version).read(module, node)


class _Reader:
    """Reads one class with its bases."""

    def __init__(self, source: Source, version: int) -> None:
        self.source = source
        self.version = version
        self.doubt = ""
        self.touched: set[str] = set()
        self.rewrites = False

    def read(self, module: Module, node: ast.ClassDef) -> SettingsClass:
        order = self._order(module, node)
        config: dict[str, Key] = {}
        for home, cls in reversed(order):
            config |= self._config(home, cls)
        for _, cls in order:
            self._look_through(cls)
        unknown = sorted(config.keys() - _HARMLESS)
        opening = {"secrets_dir", "cli_parse_args"}
        rest = [key for key in unknown if key not in opening]
        if rest:
            self.doubt = self.doubt or f"its configuration has `{rest[0]}`"
        prefix = self._text(config, "env_prefix")
        sensitive = self._flag(config, "case_sensitive")
        by_name = self._flag(config, "populate_by_name")
        fields: dict[str, SettingField] = {}
        for home, cls in reversed(order):
            for part in cls.body:
                if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                    field = self._field(home, part, part.target.id, prefix, by_name=by_name)
                    if field:
                        fields[field.name] = field
                        continue
                    fields.pop(part.target.id, None)
                elif isinstance(part, ast.Assign):
                    self._given_anew(part, fields)
                elif not _is_plain(part):
                    self.doubt = self.doubt or "what its body does can't be told"
        if "enable_decoding" in config:
            fields = {n: replace(f, type=ANYTHING) for n, f in fields.items()}
        file = config.get("env_file")
        return SettingsClass(
            module,
            node,
            self.version,
            tuple(fields.values()),
            (file.module, file.value) if file and file.value else None,
            self._extra(config),
            sensitive,
            self._flag(config, "env_ignore_empty"),
            self._text(config, "env_nested_delimiter"),
            prefix,
            self.rewrites,
            bool(opening & config.keys()),
            self.doubt,
        )

    def _order(self, module: Module, node: ast.ClassDef) -> list[Class]:
        """The classes in the order in which their attributes are looked for."""
        found: list[Class] = []

        def visit(home: Module, cls: ast.ClassDef, depth: int) -> None:
            if depth > 20:
                return
            found.append((home, cls))
            for base in cls.bases:
                name = dotted_name(base)
                parent = self.source.class_of(home, name) if name else None
                if parent and parent[1] is not cls:
                    visit(*parent, depth + 1)
                elif self.source.made_by(home, name) not in _PLAIN_BASES | SETTINGS:
                    self.doubt = self.doubt or f"what `{ast.unparse(base)}` brings is not known"
            if cls.decorator_list:
                self.doubt = self.doubt or "a decorator may change it"

        visit(module, node, 0)
        # One that is reached by several ways comes after all that derive from it.
        last = {id(cls): at for at, (_, cls) in enumerate(found)}
        return [item for at, item in enumerate(found) if last[id(item[1])] == at]

    def _config(self, home: Module, cls: ast.ClassDef) -> dict[str, Key]:
        config = config_of(self.source, home, cls)
        if not config.whole:
            self.doubt = self.doubt or "its configuration is put together elsewhere"
        found: dict[str, Key] = {}
        for key in config.keys:
            found.setdefault(key.name, key)
        for word in cls.keywords:
            if word.arg and word.arg != "metaclass":
                found[word.arg] = Key(home, word.arg, word.value, word.lineno, word.col_offset)
            else:
                self.doubt = self.doubt or "its configuration is put together elsewhere"
        return found

    def _constant(self, config: Mapping[str, Key], name: str) -> object:
        key = config.get(name)
        if key is None:
            return None
        if not isinstance(key.value, ast.Constant):
            self.doubt = self.doubt or f"`{name}` of its configuration is not written out"
            return None
        return key.value.value

    def _text(self, config: Mapping[str, Key], name: str) -> str:
        value = self._constant(config, name)
        return value if isinstance(value, str) else ""

    def _flag(self, config: Mapping[str, Key], name: str) -> bool:
        return bool(self._constant(config, name))

    def _extra(self, config: Mapping[str, Key]) -> str:
        key = config.get("extra")
        if key is not None and isinstance(key.value, ast.Attribute):
            return key.value.attr  # `Extra.ignore`
        value = self._constant(config, "extra")
        return value if isinstance(value, str) else "" if key else "forbid"

    def _look_through(self, cls: ast.ClassDef) -> None:
        """Notes the functions of a class that change what it is given."""
        for node in cls.body:
            if isinstance(node, Function):
                if node.name in ("__init__", "__new__", "settings_customise_sources") or (
                    node.name in ("customise_sources", "parse_env_var", "prepare_field")
                ):
                    self.doubt = self.doubt or f"its `{node.name}` may change what it reads"
                calls = node.decorator_list
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
                calls = [node.value.func]  # `_strip = validator("x", pre=True)(strip)`
            elif isinstance(node, ast.ClassDef) and node.name == "Config":
                self._look_through(node)
                continue
            else:
                continue
            for decorator in calls:
                self._note_validator(decorator)

    def _note_validator(self, decorator: ast.expr) -> None:
        last = dotted_name(called(decorator)).rpartition(".")[2]
        given = decorator if isinstance(decorator, ast.Call) else None
        words = {k.arg: k.value for k in given.keywords} if given else {}
        mode, pre = words.get("mode"), words.get("pre")
        before = isinstance(mode, ast.Constant) and mode.value in _BEFORE
        before = before or (mode is not None and not isinstance(mode, ast.Constant))
        before = before or (pre is not None and not _is_false(pre))
        if last in ("model_validator", "root_validator"):
            self.rewrites = self.rewrites or before
        elif last in ("field_validator", "validator") and given and before:
            named = [a.value if isinstance(a, ast.Constant) else None for a in given.args]
            names = {name for name in named if isinstance(name, str)}
            self.touched |= names if len(names) == len(named) else {"*"}

    def _given_anew(self, node: ast.Assign, fields: dict[str, SettingField]) -> None:
        """A field of a base that is given another default."""
        for target in node.targets:
            if not isinstance(target, ast.Name):  # `model_config["extra"] = "ignore"`
                self.doubt = self.doubt or "what its body does can't be told"
            elif target.id in fields:
                fields[target.id] = replace(fields[target.id], required=False)

    def _field(
        self, home: Module, node: ast.AnnAssign, name: str, prefix: str, *, by_name: bool
    ) -> SettingField | None:
        annotation = node.annotation
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            annotation = expression_of(annotation.value) or annotation
        outer = dotted_name(annotation).rpartition(".")[2]
        if name.startswith("_") or outer == "ClassVar" or name == "model_config":
            return None
        told = setting_type(self.source, home, annotation)
        if self.rewrites or self.touched & {name, "*"}:
            told = replace(told, checked=False)
        inside = ast.walk(annotation) if outer == "Annotated" else ()
        described = [n for n in (*inside, node.value) if self._is_field(home, n)]
        words = {k.arg: k.value for call in described for k in call.keywords}
        if None in words:  # `**options`
            return SettingField(name, home.place(node), None, required=False)
        named = {word: value for word, value in words.items() if word}
        required = _is_required(node, described)
        if self.version == 1 and required and (told.optional or outer == "Any"):
            required = any(map(_is_ellipsis, (a for call in described for a in call.args)))
        return SettingField(
            name,
            home.place(node),
            self._keys(home, name, named, prefix, by_name=by_name),
            required,
            told,
            _limits(named),
        )

    def _is_field(self, home: Module, node: ast.AST | None) -> TypeGuard[ast.Call]:
        if not isinstance(node, ast.Call):
            return False
        name = dotted_name(node.func)
        return bool(name) and self.source.made_by(home, name) in _FIELD

    def _keys(
        self, home: Module, name: str, words: Mapping[str, ast.expr], prefix: str, *, by_name: bool
    ) -> tuple[str, ...] | None:
        if self.version == 1:
            env = words.get("env")
            if env is None:
                return (prefix + name,)
            items = env.elts if isinstance(env, ast.List | ast.Tuple) else [env]
            return _texts(items)
        alias = words.get("validation_alias", words.get("alias"))
        if alias is None:
            return (prefix + name,)
        keys = _texts([alias])
        if isinstance(alias, ast.Call):
            full = self.source.made_by(home, dotted_name(alias.func))
            keys = _texts(alias.args) if full.rpartition(".")[2] == "AliasChoices" else None
        return (*keys, prefix + name) if keys and by_name else keys


def _is_required(node: ast.AnnAssign, described: list[ast.Call]) -> bool:
    """Whether a field has no default; `described` are the calls of `Field` that are about it."""
    if node.value is not None and node.value not in described and not _is_ellipsis(node.value):
        return False
    for call in described:
        words = {k.arg: k.value for k in call.keywords}
        given = [*call.args[:1], *(words[w] for w in ("default", "default_factory") if w in words)]
        if any(not _is_ellipsis(value) for value in given):
            return False
    return True


def _texts(nodes: list[ast.expr]) -> tuple[str, ...] | None:
    found = [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return tuple(found) if found and len(found) == len(nodes) else None


def _is_plain(node: ast.stmt) -> bool:
    """Whether a statement of a class's body brings no field and changes nothing."""
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return text or isinstance(node, Function | ast.ClassDef | ast.Pass)


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is Ellipsis


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and not node.value


def _limits(words: Mapping[str, ast.expr]) -> Mapping[str, float]:
    return {
        word: node.value
        for word, node in words.items()
        if word in _LIMITS
        and isinstance(node, ast.Constant)
        and isinstance(node.value, int | float)
    }


def called(node: ast.expr) -> ast.expr:
    """A decorator without its arguments."""
    return node.func if isinstance(node, ast.Call) else node
