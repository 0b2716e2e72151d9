"""Writes a configuration file, with comments, from a configuration that was found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import tomlkit

from saas_doctor.config import Config, DatabaseConfig, FrontendConfig, RedisConfig, SmokeConfig

COMMENTS = {
    "python": "Which Python the services need.",
    "backend": "Where the back end's code is.",
    "source-roots": "The folders that imports begin at, the back end's first.",
    "environment": "The virtual environment that runs the services.",
    "requirements": "What is installed into it.",
    "env-file": "The settings that the services read, and the example they are made from.",
    "compose-file": "The Compose file of the platform.",
    "logs": "Where the services' logs are.",
    "timeout": "Seconds for one examination.",
    "baseline": "The old findings that `check` accepts, where `check --write-baseline` wrote them.",
    "services": "The services that run on this machine: name, folder, port, health path.",
    "database": "The key in the settings file that holds the database's address.",
    "redis": "The same for Redis; `optional = true`: a warning where it is down (else the code tells).",
    "frontend": "The front end, the addresses it is opened at, and the gateway it talks to.",
    "smoke": "What `saas-doctor smoke` tries, beside what it finds itself.",
    "ignore": 'Findings to leave out, with the reason: "NET401:8000" = "the proxy of our team".',
    "severity": 'What findings of a code count as: "SRC221" = "error".',
}


_PATHS = (
    "backend", "source-roots", "environment", "requirements", "env-file", "env-example",
    "compose-file",
)  # fmt: skip
_PYTHON = ">=3.11"


def configuration_text(config: Config, exists: Callable[[str], bool]) -> str:
    """The file's text: what was found and is not the default; all else stands there as a comment.

    A default, or a folder that is not there (`exists` tells of a path), would only keep what is
    found later from counting.
    """
    document = tomlkit.document()
    document.add(
        tomlkit.comment("What saas-doctor knows of this platform. Paths are relative to this file.")
    )
    document.add(
        tomlkit.comment(
            "`# key = value` is a default or a suggestion: it counts when the # is taken away."
        )
    )
    document.add(tomlkit.nl())
    values, defaults = _said(msgspec.to_builtins(config)), msgspec.to_builtins(Config())
    if config.smoke == SmokeConfig():
        del values["smoke"]
    plain = {k: v for k, v in values.items() if not isinstance(v, dict)}
    _say(document, "python")
    _add(document, "python", plain.pop("python", _PYTHON), counts=config.python is not None)
    for key, value in plain.items():
        _say(document, key)
        paths = [value] if isinstance(value, str) else value
        there = key not in _PATHS or all(map(exists, paths))
        _add(document, key, value, counts=there and value != defaults[key])
    for key, value in values.items():
        if isinstance(value, dict) and value:
            document.add(tomlkit.nl())
            _say(document, key)
            document.add(key, _table(value, _KINDS.get(key, {}), nested=key == "services"))
    return tomlkit.dumps(document)


# What a key is where a table does not say it; a service has keys that it must say.
_SERVICE = {"host": "127.0.0.1", "health": "/"}
_KINDS: dict[str, dict[str, Any]] = {
    "services": _SERVICE,
    "database": msgspec.to_builtins(DatabaseConfig()),
    "redis": msgspec.to_builtins(RedisConfig()),
    "frontend": msgspec.to_builtins(FrontendConfig()),
}


def _said(table: dict[str, Any]) -> dict[str, Any]:
    """The table without what is None, which TOML has no word for."""
    pairs = ((k, _said(v) if isinstance(v, dict) else v) for k, v in table.items())
    return {k: v for k, v in pairs if v is not None}


def _say(document: Any, key: str) -> None:
    if key in COMMENTS:
        document.add(tomlkit.comment(COMMENTS[key]))


def _add(container: Any, key: str, value: Any, *, counts: bool) -> None:
    if counts:
        container.add(key, value)
    else:
        container.add(tomlkit.comment(tomlkit.dumps({key: value}).strip()))


def _table(values: dict[str, Any], defaults: dict[str, Any], *, nested: bool) -> Any:
    table = tomlkit.table(is_super_table=nested)
    for key, value in values.items():
        if isinstance(value, dict):
            table.add(key, _table(value, defaults, nested=False))
        else:
            _add(table, key, value, counts=defaults.get(key) != value)
    return table
