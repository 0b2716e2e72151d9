"""The servers that Homebrew has installed as services, and whether they run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_RUNS = ("started", "scheduled")
_LIMIT = 6.0
"""Seconds: brew is a Ruby that has to begin."""
_PORT = re.compile(r"^[ \t]*port[ \t]*=?[ \t]*'?(\d+)", re.M)


def stopped_services(pattern: str, environ: Mapping[str, str]) -> Iterator[str]:
    """The formulae of such names that are installed, and whose services do not run."""
    for service in _listed(environ):
        name, status = str(service.get("name", "")), str(service.get("status", ""))
        if re.fullmatch(pattern, name) and status not in _RUNS:
            yield name


def postgres_port(formula: str, environ: Mapping[str, str]) -> int | None:
    """The port of a formula's cluster; None where it has none."""
    program = _brew(environ)
    if program is None:
        return None
    cluster = Path(program).parent.parent / "var" / formula
    if not (cluster / "PG_VERSION").is_file():
        return None
    try:
        found = _PORT.findall((cluster / "postgresql.conf").read_text(errors="replace"))
    except OSError:
        return None
    return int(found[-1]) if found else 5432


def _listed(environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """Nothing where there is no brew, or it does not tell. It refuses to work for root."""
    program = _brew(environ)
    if program is None:
        return []
    try:
        done = subprocess.run(
            [program, "services", "list", "--json"],
            env={**environ, "HOMEBREW_NO_AUTO_UPDATE": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LIMIT,
            text=True,
            errors="replace",
            check=True,
        )
        found = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return []
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _brew(environ: Mapping[str, str]) -> str | None:
    return shutil.which("brew", path=environ.get("PATH", os.defpath))
