"""What an attribute of an object holds: what its class gives it, or what sets a field of settings."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from saas_doctor.facts.literals import UNKNOWN, Spot, Value, from_json, number, plain
from saas_doctor.facts.model_config import config_of
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.objects import SETTINGS, Class, Made, expression_of
from saas_doctor.facts.scopes import Function, attribute, inside
from saas_doctor.facts.setting_types import LIMITED, parts_of

if TYPE_CHECKING:
    from saas_doctor.facts.values import Values

_MODELS = SETTINGS | {"pydantic.BaseModel", "pydantic.main.BaseModel", "pydantic.v1.BaseModel"}
_LISTS = {
    "list",
    "tuple",
    "set",
    "frozenset",
    *(f"typing.{n}" for n in ("List", "Tuple", "Set", "FrozenSet", "Sequence", "Iterable")),
    *(f"collections.abc.{n}" for n in ("Sequence", "Iterable", "Collection", "Set")),
}
_NETWORK = {"AnyUrl", "AnyHttpUrl", "HttpUrl", "AnyWebsocketUrl", "PostgresDsn", "RedisDsn"} | {
    "AmqpDsn",
    "AsyncPgDsn",
    "MariaDBDsn",
    "MongoDsn",
    "MySQLDsn",
}
_URLS = {f"{home}.{name}" for home in ("pydantic", "pydantic.networks") for name in _NETWORK}
_PLAIN = {"str": "str", "bool": "bool", "int": "number", "float": "number"}
_PLAIN |= {f"{home}.{n}": "number" for home in ("pydantic", "pydantic.types") for n in LIMITED}
_TRUE, _FALSE = {"1", "true", "on", "yes", "t", "y"}, {"0", "false", "off", "no", "f", "n"}
_CHANGES = {"__init__", "__new__", "model_post_init", "__post_init__"}
_VALIDATORS = {"field_validator", "validator"}
_WHOLE_VALIDATORS = {"model_validator", "root_validator"}


class Type(Struct, frozen=True):
    """A field's type: `kind` as of a Value, "" where it may be another; `inner` of a list's items."""

    kind: str = ""
    inner: str = ""
    optional: bool = False


def member(values: Values, owner: Made, name: str, depth: int) -> Value:
    """What an object has as its attribute, where the call that makes it gives it no other values."""
    call, lineage = owner.call, values.source.lineage(owner.module, owner.cls)
    if call and (call.args or any(k.arg != "_env_file" for k in call.keywords)):
        return UNKNOWN
    to_self = [(m, v) for m, c in lineage for v in inside(m, c).attributes.get(name, [])]
    homes = [(m, c) for m, c in lineage if _declares(c, name)]
    ancestry = values.source.ancestry(owner.module, owner.cls)
    if to_self:
        return _given_once(values, lineage, name, depth) if not ancestry & _MODELS else UNKNOWN
    # The class's own counts first; which of several bases' counts is not followed.
    if not homes or (len(homes) > 1 and homes[0][1] is not owner.cls):
        return UNKNOWN
    module, cls = homes[0]
    node = next(n for n in cls.body if _declared_name(n) == name)
    if len(inside(module, cls).bindings.get(name, ())) != 1 or values.is_assigned(name):
        return UNKNOWN
    if isinstance(node, Function):
        if not _is_property(node):
            return UNKNOWN
        return values.returned(module, node, owner, depth)
    if ancestry & _MODELS:
        return _field(values, owner, module, node, name, depth, env=bool(ancestry & SETTINGS))
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        return values.of(module, node.value, depth=depth + 1)
    return UNKNOWN


def _given_once(values: Values, lineage: list[Class], name: str, depth: int) -> Value:
    """What the methods of a class give an attribute, where nothing else gives it anything."""
    found = [(m, v) for m, c in lineage for v in attribute(inside(m, c), name)]
    module, value = found[0]
    if len(found) != 1 or value is None or values.is_assigned(name):
        return UNKNOWN
    return values.of(module, value, depth=depth + 1)


def _declares(cls: ast.ClassDef, name: str) -> bool:
    return any(_declared_name(node) == name for node in cls.body)


def _declared_name(node: ast.stmt) -> str:
    if isinstance(node, Function):
        return node.name
    targets = node.targets if isinstance(node, ast.Assign) else []
    targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
    names = [t.id for t in targets if isinstance(t, ast.Name)]
    return names[0] if len(names) == 1 else ""


def _is_property(node: Function) -> bool:
    names = [_last(d) for d in node.decorator_list]
    return bool({"property", "cached_property"} & set(names))


def _last(node: ast.expr) -> str:
    called = node.func if isinstance(node, ast.Call) else node
    return dotted_name(called).rpartition(".")[2]


def _field(
    values: Values,
    owner: Made,
    module: Module,
    node: ast.stmt,
    name: str,
    depth: int,
    *,
    env: bool,
) -> Value:
    """A field of a Pydantic model: the environment's value, the settings file's, or the default."""
    lineage = values.source.lineage(owner.module, owner.cls)
    if any(_may_change(cls, name) for _, cls in lineage):
        return UNKNOWN
    given = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
    field = given if isinstance(given, ast.Call) and _last(given.func) == "Field" else None
    default = _default(field) if field else given
    if isinstance(node, ast.AnnAssign):
        told = _type(values, module, node.annotation)
    else:  # without an annotation: as the default is
        told = Type(values.of(module, given, depth=depth + 1).kind if given else "")
    if not told.kind:
        return UNKNOWN
    unset = UNKNOWN if told.optional else Value(told.kind)
    if env:
        config = _configuration(values, lineage)
        if config is None:
            return unset
        keys = _keys(config, field, name)
        in_file = None if owner.call and owner.call.keywords else _reads_file(values, config)
        found = values.environment.text(keys, in_file=in_file)
        if not keys or not found.known:
            return unset
        if found.text is not None:
            return _parsed(found.text, told, found.spot) or unset
    if default is None:
        return unset
    value = values.of(module, default, depth=depth + 1)
    # Settings validate their defaults, other models do not.
    value = _converted(value, told) if env else value
    return unset if value.kind == "" else value


def _may_change(cls: ast.ClassDef, name: str) -> bool:
    """Whether a validator or the like of the class may turn the field into something else."""
    for node in cls.body:
        if not isinstance(node, Function):
            continue
        for decorator in node.decorator_list:
            if _last(decorator) in _VALIDATORS and isinstance(decorator, ast.Call):
                named = [a.value for a in decorator.args if isinstance(a, ast.Constant)]
                if name in named or "*" in named or len(named) < len(decorator.args):
                    return True
        whole = node.name in _CHANGES or _WHOLE_VALIDATORS & set(map(_last, node.decorator_list))
        if whole and _mentions(node, name):
            return True
        if node.name in ("settings_customise_sources", "customise_sources"):
            return True
    return False


def _mentions(node: ast.AST, name: str) -> bool:
    return any(
        (isinstance(n, ast.Attribute) and n.attr == name)
        or (isinstance(n, ast.Constant) and n.value == name)
        or (isinstance(n, ast.Call) and dotted_name(n.func) in ("setattr", "object.__setattr__"))
        for n in ast.walk(node)
    )


def _default(field: ast.Call) -> ast.expr | None:
    named = {k.arg: k.value for k in field.keywords}
    given = field.args[0] if field.args else named.get("default")
    factory = named.get("default_factory")
    if isinstance(factory, ast.Lambda):
        return factory.body
    return None if isinstance(given, ast.Constant) and given.value is Ellipsis else given


def _configuration(values: Values, lineage: list[Class]) -> Mapping[str, ast.expr | None] | None:
    """The configuration of a class with its bases; None where it is put together elsewhere."""
    found: dict[str, ast.expr | None] = {}
    for module, cls in reversed(lineage):
        config = config_of(values.source, module, cls)
        if not config.whole:
            return None
        found |= {key.name: key.value for key in reversed(config.keys)}
        found |= {word.arg: word.value for word in cls.keywords if word.arg}
    return found


def _keys(
    config: Mapping[str, ast.expr | None], field: ast.Call | None, name: str
) -> list[tuple[str, bool]]:
    """The variables that set a field, and whether their case counts; nothing where that is unclear."""
    given, sensitive = config.get("env_prefix", ast.Constant("")), config.get("case_sensitive")
    prefix = given.value if isinstance(given, ast.Constant) else None
    if not isinstance(prefix, str) or config.keys() & {"fields", "alias_generator"}:
        return []
    words = {k.arg: k.value for k in field.keywords} if field else {}
    aliases = [words[word] for word in ("alias", "validation_alias", "env") if word in words]
    named = aliases or [ast.Constant(prefix + name)]
    texts = [a.value for a in named if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    counts = isinstance(sensitive, ast.Constant) and bool(sensitive.value)
    return [(text, counts) for text in texts] if len(texts) == len(named) else []


def _reads_file(values: Values, config: Mapping[str, ast.expr | None]) -> bool | None:
    """Whether the settings read the platform's settings file; None where that can't be told."""
    if not values.environment.sole:
        return None
    if values.environment.loaded:
        return True
    named = config.get("env_file")
    if named is None or (isinstance(named, ast.Constant) and named.value is None):
        return False
    texts = [n.value for n in ast.walk(named) if isinstance(n, ast.Constant)]
    ends = [t.replace("\\", "/").rpartition("/")[2] for t in texts if isinstance(t, str)]
    return True if ends and ends[-1] == values.environment.file_name else None


def _type(values: Values, module: Module, annotation: ast.expr) -> Type:
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        quoted = expression_of(annotation.value)
        return _type(values, module, quoted) if quoted else Type()
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        return _optional(values, module, [annotation.left, annotation.right])
    name = values.source.made_by(module, dotted_name(annotation))
    if name in ("typing.Annotated", "typing_extensions.Annotated"):
        parts = parts_of(annotation)
        # Anything else may turn it into another type.
        known = {"NoDecode", "Field", "ForceDecode"}
        return _type(values, module, parts[0]) if {_last(p) for p in parts[1:]} <= known else Type()
    if name in ("typing.Optional", "typing.Union"):
        extra = [ast.Constant(None)] if name == "typing.Optional" else []
        return _optional(values, module, [*parts_of(annotation), *extra])
    if name in _LISTS:
        parts = parts_of(annotation)
        inner = _type(values, module, parts[0]).kind if parts else ""
        return Type("list", inner)
    if name in _URLS:
        # Pydantic 1's are texts of a class of their own.
        return Type({True: "url", False: "str", None: ""}[values.pydantic_2])
    if name in ("typing.Literal", "typing_extensions.Literal"):
        choices = [p.value if isinstance(p, ast.Constant) else None for p in parts_of(annotation)]
        return Type("str" if all(isinstance(choice, str) for choice in choices) else "")
    own = values.source.class_of(module, dotted_name(annotation))
    ancestry = values.source.ancestry(*own) if own else set[str]()
    if ancestry >= {"str", "enum.Enum"} or "enum.StrEnum" in ancestry:
        return Type("str")  # its members equal their texts
    return Type(_PLAIN.get(name, ""))


def _optional(values: Values, module: Module, parts: list[ast.expr]) -> Type:
    """`str | None` is a text where it is known at all; of other unions nothing is told."""
    types = [p for p in parts if not (isinstance(p, ast.Constant) and p.value is None)]
    if len(types) != 1 or len(parts) != 2:
        return Type()
    return replace(_type(values, module, types[0]), optional=True)


def _parsed(text: str, told: Type, spot: Spot | None) -> Value | None:
    """What pydantic-settings makes of a variable's text; None where it makes nothing of it."""
    if told.kind in ("str", "url"):
        return Value(told.kind, True, text, spot=spot)
    if told.kind == "bool":
        word = text.strip().lower()
        return plain(word in _TRUE, spot) if word in _TRUE | _FALSE else None
    if told.kind == "number":
        whole = number("int", plain(text, spot))
        value = whole if whole.known else number("float", plain(text, spot))
        return value if value.known else None
    if told.kind == "list":
        try:
            value = from_json(json.loads(text), spot)
        except (ValueError, RecursionError):
            return None
        return _converted(value, told) if value.kind == "list" else None
    return None


def _converted(value: Value, told: Type) -> Value:
    """A value as the field takes it."""
    if told.kind == "url" and value.kind == "str":
        return Value("url", value.known, value.plain, spot=value.spot)
    if told.kind == "list" and told.inner == "url":
        urls = tuple(
            Value("url", True, item.plain, spot=item.spot) if item.kind == "str" else item
            for item in value.items
        )
        return Value("list", value.known, items=urls, spot=value.spot)
    return value


def as_url_text(text: str) -> str | None:
    """`str()` of Pydantic 2's URL: lower case, no default port, a path of its own."""
    found = re.fullmatch(r"(https?|wss?)://([^/?#@\s]+?)(?::(\d*))?([/?#].*)?", text, re.I)
    if not found:
        return None
    scheme, host, port, rest = found.groups()
    scheme = scheme.lower()
    shown = (
        f":{int(port)}"
        if port and int(port) not in ({"http": 80, "ws": 80}.get(scheme, 443),)
        else ""
    )
    rest = rest or "/"
    return f"{scheme}://{host.lower()}{shown}{rest if rest.startswith('/') else '/' + rest}"
