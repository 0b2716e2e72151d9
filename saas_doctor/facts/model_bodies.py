"""What stands in the body or the head of a model's class that Pydantic 2 refuses."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from saas_doctor.edits import Edit
from saas_doctor.facts.constructs import Construct, construct
from saas_doctor.facts.model_config import OLD_KEYS, REMOVED, RENAMED
from saas_doctor.facts.models import MODEL_BASES, SQLMODEL_BASES, PydanticModels
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.source import Source

_ROOTS = {b"BaseModel", b"BaseSettings", b"GenericModel", b"RootModel", b"SQLModel"}
# These begin with plain text, which `re` looks for quickly.
_CLASS = re.compile(rb"class(?<!\wclass)[ \t]+\w+[ \t]*\(")
_WORD = re.compile(rb"\w+")
_BODY = re.compile(rb"\n([ \t]+)[^\s#]")
_ALIAS = re.compile(rb"as(?<!\was)[ \t]+(\w+)")
_BARE = re.compile(
    rb"\n([ \t]+)(?!model_config\b|_)[A-Za-z]\w*[ \t]*=[ \t]*(?:[rbfuRBFU]{0,2}[\"']|[\d\[{(.+-]|True\b|False\b"
    rb"|None\b|[\w.]*Field\()"
)
_OLD_KEYS = "|".join([*RENAMED, *REMOVED])
_CONFIG = re.compile(rb"class[ \t]+Config[ \t]*\([^)]*\bConfig\b|^[ \t]+Config[ \t]*=", re.M)
_KEYWORD = re.compile(rf"class(?<!\wclass)[ \t]+\w+[ \t]*\([^)]*\b(?:{_OLD_KEYS})[ \t]*=".encode())
# Text about ignored types: what is not annotated may be meant.
_IGNORED = (b"ignored_types", b"keep_untouched")


def bodies_to_look_at(models: PydanticModels) -> Iterator[tuple[Module, ast.ClassDef]]:
    """The models whose text may hold such a construct."""
    of_models = _names_of_models(models)
    signs = {id(module) for module in _with_signs(models.source)}
    for module in models.source.modules:
        if id(module) in signs or _has_bare(module, of_models):
            for node in module.nodes:
                if isinstance(node, ast.ClassDef) and models.is_model(module, node):
                    yield module, node


def _names_of_models(models: PydanticModels) -> set[bytes]:
    """The names that may be models': Pydantic's own, and those defined in modules that name it."""
    modules = models.source.mentioning("pydantic", "sqlmodel")
    return _ROOTS.union(*(module.class_words for module in modules))


def _with_signs(source: Source) -> Iterator[Module]:
    yield from (m for m in source.mentioning("class Config") if b"model_config" in m.data)
    yield from source.matching(_CONFIG, "class Config", "Config =", "Config=")
    yield from source.mentioning("__root__")
    yield from source.matching(_KEYWORD, *OLD_KEYS)


def _has_bare(module: Module, of_models: set[bytes]) -> bool:
    """Whether, by the text alone, a class that may be a model assigns a value without an annotation."""
    data = module.data
    aliases = set(_ALIAS.findall(data)) if b" as " in data else set[bytes]()
    for head in _CLASS.finditer(data):
        indent = data[data.rfind(b"\n", 0, head.start()) + 1 : head.start()]
        close = data.find(b")", head.end())
        bases = set(_WORD.findall(data, head.end(), close if close >= 0 else len(data)))
        if indent.strip() or (of_models.isdisjoint(bases) and aliases.isdisjoint(bases)):
            continue
        end = re.compile(rb"\n[ \t]{0,%d}[^\s#)\]}]" % len(indent)).search(data, head.end())
        body = _BODY.search(data, head.end())
        found = _BARE.finditer(data, head.end(), end.start() if end else len(data))
        if body and any(bare.group(1) == body.group(1) for bare in found):
            return True
    return False


def refused_in_body(
    models: PydanticModels, module: Module, node: ast.ClassDef
) -> Iterator[tuple[ast.AST, Construct]]:
    """What of a model's class Pydantic 2 refuses."""
    yield from _keywords(models, module, node)
    yield from _configurations(models, module, node)
    annotated = {name.id for part in ast.walk(node) if (name := _annotated(part))}
    for part in node.body:
        if (name := _annotated(part)) and name.id == "__root__":
            yield part, _root(module, part)
        for name in _assigned(part):
            if name.id == "__root__":
                yield part, _root(module, part)
            elif (
                name.id not in annotated
                and _is_value(models, module, part)
                and _must_be_annotated(models, module, node, name.id)
            ):
                yield part, _bare(module, name)


def _annotated(part: ast.AST) -> ast.Name | None:
    target = part.target if isinstance(part, ast.AnnAssign) else None
    return target if isinstance(target, ast.Name) else None


def _assigned(part: ast.stmt) -> list[ast.Name]:
    targets = part.targets if isinstance(part, ast.Assign) else []
    return [target for target in targets if isinstance(target, ast.Name)]


def _root(module: Module, part: ast.stmt) -> Construct:
    wanted = "a class that derives from `RootModel[...]`"
    return construct(module, part, "__root__", "a field `__root__`", wanted)


def _bare(module: Module, name: ast.Name) -> Construct:
    what = f"`{name.id} = ...` without an annotation"
    wanted = f"`{name.id}: <its type> = ...`, or `ClassVar[...]` where it is no field"
    return construct(module, name, "annotation", what, wanted)


def _is_value(models: PydanticModels, module: Module, part: ast.stmt) -> bool:
    """Whether what is assigned is surely no function, property or the like, which may stand bare."""
    value = part.value if isinstance(part, ast.Assign) else None
    if isinstance(value, ast.Call):
        return models.name(module, value.func) == "Field"
    if isinstance(value, ast.UnaryOp):
        value = value.operand
    literals = ast.Constant | ast.List | ast.Dict | ast.Set | ast.Tuple | ast.JoinedStr
    return isinstance(value, literals | ast.ListComp | ast.DictComp | ast.SetComp)


def _must_be_annotated(
    models: PydanticModels, module: Module, node: ast.ClassDef, name: str
) -> bool:
    """Whether nothing lets an attribute of this name stand without an annotation."""
    if name.startswith("_") or name in ("model_config", "Config"):
        return False
    deleted = (d for part in node.body if isinstance(part, ast.Delete) for d in part.targets)
    if any(isinstance(d, ast.Name) and d.id == name for d in deleted):
        return False
    if not models.is_plain(module, node):
        return False
    for where, cls in models.source.lineage(module, node):
        if any(word in where.data for word in _IGNORED):
            return False
        if any(k.arg == "metaclass" for k in cls.keywords):
            return False
        # Declared `ClassVar` further up, which a class below need not repeat.
        if cls is not node and any(
            (found := _annotated(part)) and found.id == name and "ClassVar" in ast.unparse(part)
            for part in cls.body
        ):
            return False
    return True


# Configurations.


def _keywords(
    models: PydanticModels, module: Module, node: ast.ClassDef
) -> Iterator[tuple[ast.AST, Construct]]:
    """Old keys in the head: `class User(BaseModel, orm_mode=True)`."""
    own = models.bases(module, node) & MODEL_BASES and not models.has(
        module, node, "__init_subclass__"
    )
    for keyword in node.keywords if own else ():
        old = keyword.arg or ""
        if old in RENAMED or old in REMOVED:
            new = RENAMED.get(old)
            at = module.offset(keyword.lineno, keyword.col_offset)
            edits = [Edit(at, at + len(old), new.encode())] if new else []
            wanted = f"`{new}=`" if new else REMOVED[old]
            yield keyword, construct(module, keyword, old, f"`class ...({old}=...)`", wanted, edits)


def _configurations(
    models: PydanticModels, module: Module, node: ast.ClassDef
) -> Iterator[tuple[ast.AST, Construct]]:
    config = next(
        (p for p in node.body if isinstance(p, ast.ClassDef) and p.name == "Config"), None
    )
    if config is not None and any(_configures(part) for part in node.body):
        what = "`class Config` and `model_config` in one class"
        yield config, construct(module, config, "Config", what, "`model_config` alone")
    for base in config.bases if config else ():
        owner = base.value if isinstance(base, ast.Attribute) and base.attr == "Config" else None
        if owner is not None and _has_no_config(models, module, owner):
            what = f"`class Config({dotted_name(base)})`"
            wanted = "`model_config`, which what is inherited is merged with"
            yield base, construct(module, base, "Config", what, wanted)
    for part in node.body:
        if any(name.id == "Config" for name in _assigned(part)) and models.is_plain(module, node):
            wanted = "`class Config(...)`, or `model_config`"
            yield part, construct(module, part, "Config", "`Config = ...`", wanted)


def _configures(part: ast.stmt) -> bool:
    """Whether a statement sets a `model_config` that surely holds something."""
    names = _assigned(part) or [name for name in [_annotated(part)] if name]
    value = part.value if isinstance(part, ast.Assign | ast.AnnAssign) else None
    if not any(name.id == "model_config" for name in names):
        return False
    if isinstance(value, ast.Call):
        return any(k.arg for k in value.keywords)
    return isinstance(value, ast.Dict) and any(value.keys)


def _has_no_config(models: PydanticModels, module: Module, owner: ast.expr) -> bool:
    """Whether a model has no attribute `Config` to derive from."""
    known = MODEL_BASES | SQLMODEL_BASES
    found = models.source.class_of(module, dotted_name(owner))
    if found is None:
        name = dotted_name(owner)
        return (
            models.name(module, owner) == "BaseModel"
            or models.source.made_by(module, name) in known
        )
    if not models.is_model(*found) or not models.is_plain(*found):
        return False
    return not any(
        (isinstance(part, ast.ClassDef) and part.name == "Config")
        or any(name.id == "Config" for name in _assigned(part))
        or ((found_name := _annotated(part)) and found_name.id == "Config")
        for _, cls in models.source.lineage(*found)
        for part in ast.walk(cls)
        if isinstance(part, ast.stmt)
    )
