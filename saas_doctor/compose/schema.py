"""Whether a Compose file has the keys and types that the Compose Specification's schema allows."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from saas_doctor.compose.nodes import Node, Problem, at

Schema = dict[str, Any]

_ANYTHING: Schema = {}
_WORDS = {
    "object": "a map",
    "array": "a list",
    "string": "text",
    "integer": "a number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}


_SETS = {
    "aliases", "annotations", "args", "cap_add", "cap_drop", "devices", "dns", "dns_opt",
    "dns_search", "environment", "env_file", "expose", "labels", "link_local_ips", "links", "ports",
    "profiles", "sysctls", "tags", "tmpfs", "volumes",
}  # fmt: skip
"""Lists in which Compose itself leaves out what is there twice."""


@cache
def specification() -> Schema:
    found: Schema = json.loads(Path(__file__).with_name("schema.json").read_text(encoding="utf-8"))
    return found


def validate(
    root: Node, part: str = "", *, sure: bool = False, over: bool = False
) -> list[Problem]:
    """What the schema does not allow in a file, or in one of its `$defs` (`service`).

    `sure`: the variables have the values that they will have when it is brought up. `over`: it lies
    over another, of which a value that is nothing leaves what is there.
    """
    schema = specification()["$defs"][part] if part else specification()
    return list(_Validator(sure, over).check(root, schema, ()))


class _Validator:
    def __init__(self, sure: bool, over: bool) -> None:
        self.sure = sure
        self.over = over
        self.done: set[tuple[int, int]] = set()

    def check(self, node: Node, schema: Schema, path: tuple[str, ...]) -> Iterator[Problem]:
        schema = _flat(schema)
        key = (id(node), id(schema))
        if not schema or key in self.done or node.tag == "!reset":
            return  # a part that several places share is told once
        if self.over and node.is_null:
            return
        self.done.add(key)
        branches = schema.get("oneOf") or schema.get("anyOf")
        if branches and "required" not in branches[0]:
            fitting = [b for b in branches if _fits(node, _types(_flat(b)))]
            if not fitting:
                yield _wrong_type(node, [t for b in branches for t in _types(_flat(b))], path)
                return
            # Two kinds of text, say; the first is told where no one fits.
            found = [
                list(_Validator(self.sure, self.over).check(node, branch, path))
                for branch in fitting
            ]
            yield from min(found, key=len)
            return
        types = _types(schema)
        if not _fits(node, types):
            yield _wrong_type(node, types, path)
        elif node.kind == "map":
            yield from self._map(node, schema, path)
        elif node.kind == "list":
            if schema.get("uniqueItems") and path[-1] not in _SETS:
                yield from _twice(node, path)
            below = schema.get("items", _ANYTHING)
            for number, item in enumerate(node.items):
                yield from self.check(item, below, (*path, str(number)))
        else:
            if self.sure or "$" not in node.raw:  # what it is elsewhere is not known
                yield from _scalar(node, schema, path)

    def _map(self, node: Node, schema: Schema, path: tuple[str, ...]) -> Iterator[Problem]:
        properties: dict[str, Schema] = schema.get("properties", {})
        patterns: dict[str, Schema] = schema.get("patternProperties", {})
        for name in schema.get("required", ()):
            if name not in node.entries:
                yield at(node, f"{_shown(path)} has no `{name}`", name)
        for name, entry in node.entries.items():
            if path == () and name == "include" and entry.value.is_null:
                continue  # an include of nothing is taken away before Compose looks
            patterned = (p for k, p in patterns.items() if re.search(k, name))
            below = properties[name] if name in properties else next(patterned, None)
            if below is not None:
                yield from self.check(entry.value, below, (*path, name))
            elif schema.get("additionalProperties") is False:
                yield _unknown(entry.key, name, list(properties), node, path)


def _twice(node: Node, path: tuple[str, ...]) -> Iterator[Problem]:
    there: set[tuple[type, object]] = set()
    for item in node.items:
        said = (type(item.value), item.value)
        if item.kind == "scalar" and "$" not in item.raw and said in there:
            yield at(item, f"{_shown(path)} has {item.text} twice", item.text)
        there.add(said)


def _unknown(
    key: Node, name: str, known: Sequence[str], parent: Node, path: tuple[str, ...]
) -> Problem:
    where = (
        f"`{name}` is not allowed in {_shown(path)}"
        if path
        else f"`{name}` is no part of a Compose file"
    )
    if not known:
        return at(key, f"{where}: a name has letters, digits and . _ - alone", name)
    free = [k for k in known if k not in parent.entries]
    near = (difflib.get_close_matches(name, free, n=1, cutoff=0.75) or [""])[0]
    return at(key, where + (f"; did you mean `{near}`?" if near else ""), name, near)


def _wrong_type(node: Node, types: Sequence[str], path: tuple[str, ...]) -> Problem:
    wanted = " or ".join(dict.fromkeys(_WORDS[t] for t in types if t != "null"))
    found = {"map": "a map", "list": "a list"}.get(node.kind) or (
        "nothing" if node.is_null else node.source
    )
    is_number = isinstance(node.value, int | float) and not isinstance(node.value, bool)
    # Of other texts (a duration, say) a number in quotes is none either.
    in_quotes = is_number and "string" in types and (path == ("version",) or path[-1].isdigit())
    near = f'"{node.source}"' if in_quotes else ""
    key = path[-1] if path else ""
    return at(node, f"{_shown(path)} must be {wanted}, and is {found}", key, near)


def _scalar(node: Node, schema: Schema, path: tuple[str, ...]) -> Iterator[Problem]:
    allowed = schema.get("enum")
    if allowed and node.value not in allowed:
        near = (difflib.get_close_matches(node.text, allowed, n=1) or [""])[0]
        yield at(
            node, f"{_shown(path)} must be {', '.join(allowed)}, and is {node.text}", near=near
        )
    pattern = schema.get("pattern")
    if pattern and isinstance(node.value, str) and not re.search(pattern, node.text):
        yield at(node, f"{_shown(path)} can't be {node.text!r}")
    value = node.value
    if isinstance(value, int | float) and not isinstance(value, bool):
        least, most = schema.get("minimum", value), schema.get("maximum", value)
        if not least <= value <= most:
            yield at(node, f"{_shown(path)} can't be {value}")


def _shown(path: tuple[str, ...]) -> str:
    return ".".join(path) or "the file"


def _types(schema: Schema) -> list[str]:
    types = schema.get("type", [])
    if not types and (branches := schema.get("oneOf")):
        return [t for branch in branches for t in _types(_flat(branch))]
    return [types] if isinstance(types, str) else list(types)


def _fits(node: Node, types: Sequence[str]) -> bool:
    if not types:
        return True
    if node.kind != "scalar":
        return ("object" if node.kind == "map" else "array") in types
    if "$" in node.raw:
        return any(t not in ("object", "array") for t in types)
    value = node.value
    if value is None:
        return "null" in types
    if isinstance(value, bool):
        return "boolean" in types
    if isinstance(value, str):
        return "string" in types
    whole = isinstance(value, int) or value.is_integer()
    return "number" in types or ("integer" in types and whole)


_flattened: dict[int, Schema] = {}


def _flat(schema: Schema) -> Schema:
    """The schema with what it refers to, and all of its parts, in one."""
    if "$ref" not in schema and "allOf" not in schema:
        return schema
    known = _flattened.get(id(schema))
    if known is None:
        merged: Schema = {k: v for k, v in schema.items() if k not in ("$ref", "allOf")}
        if merged.pop("unevaluatedProperties", None) is False:
            merged["additionalProperties"] = False
        parts = [*schema.get("allOf", ())]
        if "$ref" in schema:
            parts.append(specification()["$defs"][schema["$ref"].rpartition("/")[2]])
        for part in parts:
            for key, value in _flat(part).items():
                if key in ("properties", "patternProperties"):
                    merged[key] = {**value, **merged.get(key, {})}
                else:
                    merged.setdefault(key, value)
        known = _flattened[id(schema)] = merged
    return known
