"""The configuration's JSON schema, by which editors complete keys and mark wrong ones."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from saas_doctor.config import Config
from saas_doctor.initial import COMMENTS

FILE = "saas-doctor.schema.json"


def schema() -> dict[str, Any]:
    """The schema of `saas-doctor.toml` as plain JSON values."""
    made = msgspec.json.schema(Config)
    kinds = {name: _without_null(kind) for name, kind in made["$defs"].items()}
    root = kinds.pop("Config") | {"title": "saas-doctor.toml"}
    for key, text in COMMENTS.items():
        root["properties"][key]["description"] = text
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **root,
        "$defs": kinds,
    }


def text() -> str:
    return json.dumps(schema(), indent=2) + "\n"


def _without_null(value: Any) -> Any:
    """The same without null, which TOML has no word for."""
    if isinstance(value, list):
        return [_without_null(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {k: _without_null(v) for k, v in value.items() if not (k == "default" and v is None)}
    choices = [kind for kind in kept.pop("anyOf", ()) if kind != {"type": "null"}]
    return kept | (choices[0] if len(choices) == 1 else {"anyOf": choices} if choices else {})
