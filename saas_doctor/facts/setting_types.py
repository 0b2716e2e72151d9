"""The types of settings' fields, read from their annotations, and which texts they refuse.

Only what every release of Pydantic and pydantic-settings does the same is told: where they differ,
a text is taken for a good one.
"""

from __future__ import annotations

import ast
import json
import re
import uuid
from collections.abc import Callable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.objects import expression_of
from saas_doctor.facts.source import Source

_LISTS = {"list": "list", "set": "list", "frozenset": "list", "tuple": "list"} | {
    f"{home}.{name}": "list"
    for home in ("typing", "typing_extensions", "collections.abc")
    for name in ("List", "Set", "FrozenSet", "Tuple", "Sequence", "MutableSequence", "Deque")
}
_MAPS = {
    "dict",
    "typing.Dict",
    "typing.Mapping",
    "collections.abc.Mapping",
    "typing.MutableMapping",
}
_PLAIN = {
    "str": "str",
    "int": "int",
    "float": "float",
    "bool": "bool",
    "datetime.timedelta": "time",
}
_PLAIN |= {"uuid.UUID": "uuid", "pathlib.Path": "str", "bytes": "str", "typing.Text": "str"}
_HTTP = ("http", "https")
_POSTGRES = ("postgres", "postgresql")
_SCHEMES: dict[str, tuple[str, ...]] = {
    "AnyUrl": (),
    "AnyHttpUrl": _HTTP,
    "HttpUrl": _HTTP,
    "PostgresDsn": _POSTGRES,
    "AsyncPgDsn": ("postgresql",),
    "RedisDsn": ("redis", "rediss"),
    "AmqpDsn": ("amqp", "amqps"),
    "MongoDsn": ("mongodb", "mongodb+srv"),
    "MySQLDsn": ("mysql",),
    "MariaDBDsn": ("mariadb",),
}
_SECRETS = {"SecretStr": "str", "SecretBytes": "str", "StrictStr": "str", "EmailStr": "email"}
LIMITED = {"PositiveInt": "int", "NonNegativeInt": "int", "NegativeInt": "int"} | {
    "PositiveFloat": "float",
    "NonNegativeFloat": "float",
}
_PYDANTIC = {"pydantic", "pydantic.networks", "pydantic.types"}
_MODELS = {"pydantic.BaseModel", "pydantic.main.BaseModel", "pydantic_settings.BaseSettings"} | {
    "pydantic.BaseSettings",
    "pydantic_settings.main.BaseSettings",
}
_ENUMS = {"enum.Enum", "enum.StrEnum"}
_BOOL = {"0", "off", "f", "false", "n", "no", "1", "on", "t", "true", "y", "yes"}
_INT = re.compile(r"\s*[+-]?\d+(?:_\d+)*(?:\.0*)?\s*")
_AUTHORITY = re.compile(r"//([^/?#\\]*)(?:/|$)")
_SCHEME = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.\-]*):")


class SettingType(Struct, frozen=True):
    """What a field takes; `kind` is "" where that can't be told.

    `decoded`: its text is read as JSON before anything else, and refused where it is none.
    `checked`: no function of the code changes a value before it is checked.
    """

    kind: str = ""
    choices: tuple[str, ...] = ()
    optional: bool = False
    decoded: bool = False
    checked: bool = True
    name: str = ""


ANYTHING = SettingType()


def setting_type(source: Source, module: Module, node: ast.expr, depth: int = 0) -> SettingType:
    """The type that an annotation means."""
    if depth > 12:
        return ANYTHING
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        quoted = expression_of(node.value)
        return setting_type(source, module, quoted, depth + 1) if quoted else ANYTHING
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _union(source, module, [node.left, node.right], depth)
    name = dotted_name(node)
    if not name:
        return ANYTHING
    found = source.definition(module, name)
    if found is not None:
        return _own(source, *found, depth)
    full = source.made_by(module, name)
    told = _known(source, module, full, parts_of(node), depth)
    return replace(told, name=told.name or ast.unparse(node))


def parts_of(node: ast.expr) -> list[ast.expr]:
    """What stands in the brackets of `list[str]`."""
    if not isinstance(node, ast.Subscript):
        return []
    return node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]


def _known(
    source: Source, module: Module, full: str, parts: list[ast.expr], depth: int
) -> SettingType:
    home, _, last = full.rpartition(".")
    if home in ("typing", "typing_extensions"):
        if last == "Optional" and parts:
            return _union(source, module, [parts[0], ast.Constant(None)], depth)
        if last == "Union":
            return _union(source, module, parts, depth)
        if last == "Annotated" and parts:
            return _annotated(source, module, parts, depth)
        if last == "Literal":
            return _literal(parts)
    if full in _LISTS:
        return SettingType("list", decoded=True)
    if full in _MAPS:
        return SettingType("map", decoded=True)
    if full in _PLAIN:
        return SettingType(_PLAIN[full])
    if home in _PYDANTIC:
        if last in _SCHEMES:
            return SettingType("url", _SCHEMES[last])
        return SettingType({**_SECRETS, **LIMITED}.get(last, ""))
    return ANYTHING


def _union(source: Source, module: Module, parts: list[ast.expr], depth: int) -> SettingType:
    """`X | None` is X; of other unions nothing is told, and a JSON text is not demanded."""
    flat = [inner for part in parts for inner in _flat(part)]
    some = [p for p in flat if not (isinstance(p, ast.Constant) and p.value is None)]
    if len(some) != 1:
        return ANYTHING
    told = setting_type(source, module, some[0], depth + 1)
    if told.kind in ("list", "map") and not told.decoded:
        return ANYTHING  # how deep inside a `NoDecode` counts differs between releases
    return replace(told, optional=told.optional or len(some) < len(flat))


def _flat(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return [*_flat(node.left), *_flat(node.right)]
    return [node]


def _annotated(source: Source, module: Module, parts: list[ast.expr], depth: int) -> SettingType:
    told = setting_type(source, module, parts[0], depth + 1)
    for extra in parts[1:]:
        called = extra.func if isinstance(extra, ast.Call) else extra
        last = source.made_by(module, dotted_name(called)).rpartition(".")[2]
        if last == "NoDecode":
            told = replace(told, decoded=False)
        elif last not in ("Field", "AfterValidator", "ForceDecode", "Doc"):
            # `Json` and what nobody knows may even take any text.
            before = last in ("BeforeValidator", "PlainValidator", "WrapValidator")
            told = replace(told, checked=False, decoded=told.decoded and before)
    return told


def _literal(parts: list[ast.expr]) -> SettingType:
    values = [p.value if isinstance(p, ast.Constant) else ... for p in parts]
    texts = tuple(v for v in values if isinstance(v, str))
    none = sum(v is None for v in values)
    if not texts or len(texts) + none != len(values):
        return ANYTHING
    return SettingType("choice", texts)


def _own(source: Source, home: Module, last: str, depth: int) -> SettingType:
    """A type of the platform: another name for one, an enumeration, a model."""
    if last not in home.classes:
        value = home.values.get(last)
        return setting_type(source, home, value, depth + 1) if value is not None else ANYTHING
    cls = home.classes[last]
    ancestry = source.ancestry(home, cls)
    if ancestry & _MODELS and not any("RootModel" in base for base in ancestry):
        return SettingType("map", decoded=True, name=last)
    if ancestry & _ENUMS:
        return replace(_enumeration(cls, ancestry), name=last)
    return ANYTHING


def _enumeration(cls: ast.ClassDef, ancestry: set[str]) -> SettingType:
    if ancestry - _ENUMS - {"str", "enum.Enum"}:
        return ANYTHING
    texts: list[str] = []
    for node in cls.body:
        if isinstance(node, ast.Expr | ast.Pass):
            continue
        if isinstance(node, ast.FunctionDef):
            if node.name in ("_missing_", "__new__", "__init__", "_generate_next_value_"):
                return ANYTHING
            continue
        value = node.value if isinstance(node, ast.Assign) else None
        if isinstance(value, ast.Call) and dotted_name(value.func).rpartition(".")[2] == "auto":
            if "enum.StrEnum" not in ancestry or not isinstance(node, ast.Assign):
                return ANYTHING
            texts += [t.id.lower() for t in node.targets if isinstance(t, ast.Name)]
        elif isinstance(value, ast.Constant) and isinstance(value.value, str):
            texts.append(value.value)
        else:
            return ANYTHING
    return SettingType("choice", tuple(texts)) if texts else ANYTHING


# Texts.


def refusal(text: str, told: SettingType) -> str:
    """Why a field of this type surely refuses a text, in words; nothing where it may take it."""
    if told.decoded or told.kind in ("list", "map"):
        return _refused_json(text, told)
    judge = _JUDGES.get(told.kind)
    return judge(text, told) if judge and told.checked else ""


def beyond(text: str, told: SettingType, limits: Mapping[str, float]) -> str:
    """Which bound of its field a text surely breaks, in words; nothing where none."""
    if not told.checked:
        return ""
    if told.kind == "str":
        least, most = limits.get("min_length", 0), limits.get("max_length")
        if len(text) < least:
            return f"it is shorter than {least:g} characters"
        return f"it is longer than {most:g} characters" if most and len(text) > most else ""
    if told.kind not in ("int", "float"):
        return ""
    number = float(text)
    for word, broken, words in (
        ("ge", float.__lt__, "less than"),
        ("gt", float.__le__, "not more than"),
        ("le", float.__gt__, "more than"),
        ("lt", float.__ge__, "not less than"),
    ):
        if word in limits and broken(number, float(limits[word])):
            return f"it is {words} {limits[word]:g}"
    return ""


def _refused_json(text: str, told: SettingType) -> str:
    word = "list" if told.kind == "list" else "object"
    if not told.decoded:
        # Without decoding a list is never made of a text, unless a function does it.
        return f"it is a text, and nothing makes a {word} of it" if told.checked else ""
    try:
        value = json.loads(text)
    except RecursionError:
        return ""
    except ValueError:
        # An optional one keeps the text, which its check then refuses.
        return f"it is not JSON, as a {word} has to be" if told.checked or not told.optional else ""
    if not told.checked or (value is None and told.optional):
        return ""
    # Pydantic 1 makes a dictionary of an empty list.
    kinds = (list,) if told.kind == "list" else (dict, list)
    return "" if isinstance(value, kinds) else f"it is JSON, but no {word}"


def _refused_int(text: str, _: SettingType) -> str:
    return "" if _INT.fullmatch(text) else "it is not a whole number"


def _refused_float(text: str, _: SettingType) -> str:
    try:
        float(text)
    except ValueError:
        return "it is not a number"
    return ""


def _refused_bool(text: str, _: SettingType) -> str:
    return "" if text.lower() in _BOOL else "it is neither true nor false"


def _refused_choice(text: str, told: SettingType) -> str:
    return "" if text in told.choices else f"it is none of {', '.join(map(repr, told.choices))}"


def _refused_url(text: str, told: SettingType) -> str:
    scheme = _SCHEME.match(text)
    schemes = told.choices
    wanted = f"it does not begin with {' or '.join(f'{s}://' for s in schemes)}"
    if scheme is None:
        return wanted if schemes else "it is no address"
    found = scheme[1].lower()
    base = found if told.choices[:1] == ("mongodb",) else found.partition("+")[0]
    if schemes and found not in schemes and (base not in schemes or schemes == _HTTP):
        return wanted
    if schemes == _HTTP and not text[scheme.end() :].strip(" /\\"):
        return "it names no host"
    authority = _AUTHORITY.match(text, scheme.end())
    hosts = authority[1].rpartition("@")[2].split(",") if schemes and authority else []
    ports = [host.rpartition(":")[2] for host in hosts if ":" in host and not host.endswith("]")]
    wrong = any(re.search(r"[^\d\s]", port) for port in ports)
    return "its port is no number (an unescaped sign in the password?)" if wrong else ""


def _refused_email(text: str, _: SettingType) -> str:
    name, sign, domain = text.strip().removesuffix(">").rpartition("@")
    if not sign or not name or not domain:
        return "it is no e-mail address"
    return "" if "." in domain or "[" in domain else "its domain has no period"


def _refused_time(text: str, _: SettingType) -> str:
    number = re.fullmatch(r"[+-]?\d+(\.\d+)?", text)
    return "it is a number; a duration is written PT30S or 00:00:30" if number else ""


def _refused_uuid(text: str, _: SettingType) -> str:
    try:
        uuid.UUID(text)
    except ValueError:
        return "it is no UUID"
    return ""


_JUDGES: dict[str, Callable[[str, SettingType], str]] = {
    "int": _refused_int,
    "float": _refused_float,
    "bool": _refused_bool,
    "choice": _refused_choice,
    "url": _refused_url,
    "email": _refused_email,
    "time": _refused_time,
    "uuid": _refused_uuid,
}
