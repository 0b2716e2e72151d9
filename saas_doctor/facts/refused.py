"""Imports, calls and decorators of Pydantic 1 that Pydantic 2 refuses."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property

from saas_doctor.edits import Edit
from saas_doctor.facts import Fact
from saas_doctor.facts.constructs import Construct, construct, in_doubt, is_for_both, numbered
from saas_doctor.facts.json_schemas import refused_types
from saas_doctor.facts.model_bodies import bodies_to_look_at, refused_in_body
from saas_doctor.facts.models import PydanticModels
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.objects import Objects
from saas_doctor.facts.patterns import searched
from saas_doctor.facts.removed_names import mentions_removed, removed_names
from saas_doctor.facts.scopes import Function

Found = Iterator[tuple[ast.AST, Construct]]

_PARAMETERS: dict[str, dict[str, str]] = {
    "Field": {"regex": "pattern", "const": "", "unique_items": ""},
    "constr": {"regex": "pattern", "curtail_length": ""},
    "conlist": {"min_items": "min_length", "max_items": "max_length", "unique_items": ""},
    "conset": {"min_items": "min_length", "max_items": "max_length"},
    "confrozenset": {"min_items": "min_length", "max_items": "max_length"},
    "conbytes": {"strip_whitespace": "", "to_lower": "", "to_upper": ""},
}
"""The parameters that Pydantic 2 refuses, by function, with their new names where they have any."""
_WANTED = {
    "const": "a `Literal` type",
    "unique_items": "a `set` type, or a validator",
    "regex": "`pattern=`, which is searched for: begin it with `^` for what `regex=` meant",
}
_URLS = {"AnyUrl", "AnyHttpUrl", "HttpUrl", "PostgresDsn", "RedisDsn", "MongoDsn", "AmqpDsn"} | {
    "CockroachDsn",
    "KafkaDsn",
}
_DUMPED = {"include", "exclude", "by_alias", "exclude_unset", "exclude_defaults", "exclude_none"}
# The arguments that a model's method still takes, and what to write where there are others.
_TAKEN: dict[str, tuple[set[str], str]] = {
    "json": (
        _DUMPED,
        "`model_dump_json(indent=...)`, or `json.dumps(model_dump(mode='json'), ...)`",
    ),
    "dict": (_DUMPED, "`model_dump(...)`"),
    "update_forward_refs": (set(), "`model_rebuild(_types_namespace=...)`"),
}

_CALLED = (
    *("regex", "const", "_items", "curtail_length", "strip_whitespace", "to_lower", "to_upper"),
    *("validator", ".build("),
)
_CALLS = re.compile(
    rb"\b(?:regex|const|unique_items|min_items|max_items|curtail_length|strip_whitespace|to_lower"
    rb"|to_upper)\s*=|\b(?:root_)?validator\b|\.build\("
)
_METHODS = re.compile(rb"\.(?:" + "|".join(_TAKEN).encode() + rb")\(\s*[^)\s]")


class Refused(Fact, frozen=True):
    """The constructs of Pydantic 1 in the platform's source that Pydantic 2 refuses."""

    models: PydanticModels
    objects: Objects

    limit = 20.0

    @classmethod
    def read(cls, models: PydanticModels, objects: Objects) -> Refused:
        return cls(models, objects)

    @cached_property
    def constructs(self) -> tuple[Construct, ...]:
        """All of them, in the order of the files and lines."""
        for_both: dict[int, bool] = {}
        found: list[Construct] = []
        for module, part in self._parts():
            if id(module) not in for_both:
                for_both[id(module)] = is_for_both(module)
            if not for_both[id(module)]:
                found += [c for node, c in part if not in_doubt(module, node)]
        return numbered(sorted(found, key=lambda c: (c.module.name, c.place.line or 0)))

    def _parts(self) -> Iterator[tuple[Module, Found]]:
        source = self.models.source
        for module in source.mentioning("pydantic"):
            if mentions_removed(module.data):
                yield module, removed_names(self.models, module)
        for module in source.matching(_CALLS, *_CALLED):
            if b"pydantic" in module.data:
                yield module, _calls(self.models, module)
        for module in source.matching(_METHODS, *(f".{method}(" for method in _TAKEN)):
            yield module, self._methods(module)
        yield from refused_types(self.models)
        for module, node in bodies_to_look_at(self.models):
            yield module, refused_in_body(self.models, module, node)

    def _methods(self, module: Module) -> Found:
        """Calls of models' methods with arguments that these no longer take."""
        for scope in module.scopes:
            for call in scope.nodes:
                if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
                    continue
                method = call.func.attr
                taken, wanted = _TAKEN.get(method, (None, ""))
                extra = [k.arg for k in call.keywords if k.arg and k.arg not in (taken or ())]
                if taken is None or not extra:
                    continue
                thing = self.objects.thing(scope, call.func.value)
                found = (thing.module, thing.cls) if thing and thing.kind == "one" else None
                if method == "update_forward_refs":
                    found = self.objects.class_of(scope, call.func.value)
                if found and self.models.inherits(*found, method):
                    what = f"`.{method}({extra[0]}=...)`"
                    yield call, construct(module, call, method, what, wanted)


def _calls(models: PydanticModels, module: Module) -> Found:
    for node in module.nodes:
        if isinstance(node, Function):
            for decorator in node.decorator_list:
                name = models.name(module, decorator)
                if name == "root_validator":  # without a call
                    yield decorator, _root_validator(module, decorator, None)
                if (
                    isinstance(decorator, ast.Call)
                    and models.name(module, decorator.func) == "validator"
                ):
                    yield from _validator(module, decorator, node)
        elif isinstance(node, ast.Call):
            yield from _call(models, module, node)


def _call(models: PydanticModels, module: Module, call: ast.Call) -> Found:
    name = models.name(module, call.func)
    if name in _PARAMETERS:
        for keyword in call.keywords:
            if keyword.arg in _PARAMETERS[name] and not (name == "Field" and _is_none(keyword)):
                yield call, _parameter(module, keyword, name)
    elif name == "root_validator" and not _skips(call):
        yield call, _root_validator(module, call.func, call)
    elif isinstance(call.func, ast.Attribute) and call.func.attr == "build":
        url = models.name(module, call.func.value)
        user = next((k for k in call.keywords if k.arg == "user"), None)
        if url in _URLS and user is not None:
            wanted = "`username=`; further `port` as a number, and `path` without its first `/`"
            yield call, construct(module, call, "build", f"`{url}.build(user=...)`", wanted)
    elif isinstance(call.func, ast.Call) and models.name(module, call.func.func) == "validator":
        # An own function for several models: `_check = validator("name")(check)`.
        function = _function(models, module, call.args[0]) if len(call.args) == 1 else None
        if function is not None:
            yield from _validator(module, call.func, function)


def _parameter(module: Module, keyword: ast.keyword, function: str) -> Construct:
    old = keyword.arg or ""
    new = _PARAMETERS[function][old]
    edits: list[Edit] = []
    if new:
        at = module.offset(keyword.lineno, keyword.col_offset)
        edits = [Edit(at, at + len(old), new.encode())]
        if old == "regex":
            kept = _as_pattern(module, keyword.value)
            edits = [*edits, *kept] if kept is not None else []
    renamed = f"`{new}=`" if new else "a validator"
    what = f"`{function}({old}=...)`"
    return construct(module, keyword, old, what, _WANTED.get(old, renamed), edits)


def _as_pattern(module: Module, value: ast.expr) -> list[Edit] | None:
    """The edits that let a regex find as a pattern what it matched; None where that can't be told."""
    written = module.values.get(value.id) if isinstance(value, ast.Name) else value
    if not isinstance(written, ast.Constant):
        return None
    if written.value is None:
        return []
    around = searched(written.value) if isinstance(written.value, str) else None
    if around is None or (written is not value and around != ("", "")):
        return None
    if around == ("", ""):
        return []
    start = module.offset(value.lineno, value.col_offset)
    end = module.offset(value.end_lineno or 0, value.end_col_offset or 0)
    quote = re.match(rb"[rRuU]?(\"\"\"|'''|\"|')", module.data[start:end])
    if quote is None:
        return None
    last = end - len(quote.group(1))
    edits = [Edit(start + quote.end(), start + quote.end(), around[0].encode())]
    return [*edits, Edit(last, last, around[1].encode())] if around[1] else edits


def _skips(call: ast.Call) -> bool:
    """Whether a `root_validator(...)` has an argument that Pydantic 2 wants, or may have it."""
    for keyword in call.keywords:
        if keyword.arg is None or keyword.arg in ("pre", "skip_on_failure"):
            value = keyword.value
            if not isinstance(value, ast.Constant) or value.value:
                return True
    return False


def _root_validator(module: Module, function: ast.expr, call: ast.Call | None) -> Construct:
    end = module.offset(function.end_lineno or 0, function.end_col_offset or 0)
    wanted = "`@root_validator(skip_on_failure=True)`, or better `@model_validator(mode='after')`"
    edits: list[Edit] = []
    if call is None:
        edits = [Edit(end, end, b"(skip_on_failure=True)")]
    elif not call.args:
        told = next((k for k in call.keywords if k.arg == "skip_on_failure"), None)
        if told is not None:
            at = module.offset(told.value.lineno, told.value.col_offset)
            edits = [Edit(at, at + len(b"False"), b"True")]
        else:
            at = module.data.find(b"(", end) + 1
            more = b", " if call.keywords else b""
            edits = [Edit(at, at, b"skip_on_failure=True" + more)]
    return construct(module, call or function, "root_validator", "`@root_validator`", wanted, edits)


def _validator(
    module: Module, decorator: ast.Call, function: ast.FunctionDef | ast.AsyncFunctionDef
) -> Found:
    arguments = function.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    for name in names:
        if name in ("field", "config"):
            what = f"`@validator` of a function that takes `{name}`"
            wanted = "`@field_validator`, whose third argument is a `ValidationInfo`"
            yield decorator, construct(module, decorator, "validator", what, wanted)
            return


def _function(
    models: PydanticModels, module: Module, expression: ast.expr
) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    name = dotted_name(expression)
    found = models.source.definition(module, name) if name else None
    for node in found[0].body if found else ():
        if isinstance(node, Function) and found and node.name == found[1]:
            return node
    return None


def _is_none(keyword: ast.keyword) -> bool:
    return isinstance(keyword.value, ast.Constant) and keyword.value.value is None
