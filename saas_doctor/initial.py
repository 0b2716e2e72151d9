"""Writes a configuration file, with comments, from a configuration that was found."""

from __future__ import annotations

from typing import Any

import msgspec
import tomlkit

from saas_doctor.config import Config, SmokeConfig

_COMMENTS = {
    "python": "Which Python the services need.",
    "backend": "Where the back end's code is.",
    "source-roots": "The folders that imports begin at, the back end's first.",
    "environment": "The virtual environment that runs the services.",
    "requirements": "What is installed into it.",
    "env-file": "The settings that the services read, and the example they are made from.",
    "compose-file": "The Compose file of the platform.",
    "logs": "Where the services' logs are.",
    "timeout": "Seconds for one examination.",
    "services": "The services that run on this machine: name, folder, port, health path.",
    "database": "The key in the settings file that holds the database's address.",
    "redis": "The same for Redis; `optional = true`: a warning where it is down (else the code tells).",
    "frontend": "The front end, the addresses it is opened at, and the gateway it talks to.",
    "smoke": "What `saas-doctor smoke` tries, beside what it finds itself.",
    "ignore": 'Findings to leave out, with the reason: "NET401:8000" = "the proxy of our team".',
}


def configuration_text(config: Config, python: str = ">=3.11") -> str:
    """The file's text; every value is what was found on this platform."""
    document = tomlkit.document()
    document.add(
        tomlkit.comment("What saas-doctor knows of this platform. Paths are relative to this file.")
    )
    document.add(tomlkit.nl())
    values = _said(msgspec.to_builtins(config))
    if config.smoke == SmokeConfig():
        del values["smoke"]
    values.setdefault("python", python)
    plain = {k: v for k, v in values.items() if not isinstance(v, dict)}
    for key in ("python", *(k for k in plain if k != "python")):
        _say(document, key)
        document.add(key, plain[key])
    for key, value in values.items():
        if isinstance(value, dict):
            document.add(tomlkit.nl())
            _say(document, key)
            document.add(key, _table(value, nested=key == "services"))
    return tomlkit.dumps(document)


def _said(table: dict[str, Any]) -> dict[str, Any]:
    """The table without what is None, which TOML has no word for."""
    pairs = ((k, _said(v) if isinstance(v, dict) else v) for k, v in table.items())
    return {k: v for k, v in pairs if v is not None}


def _say(document: Any, key: str) -> None:
    if key in _COMMENTS:
        document.add(tomlkit.comment(_COMMENTS[key]))


def _table(values: dict[str, Any], *, nested: bool) -> Any:
    table = tomlkit.table(is_super_table=nested)
    for key, value in values.items():
        table.add(key, _table(value, nested=False) if isinstance(value, dict) else value)
    return table
