"""Small questions to the Docker engine, asked at its socket: the client takes longer to load than all the rest."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from saas_doctor.reading import read_bytes

_PIPE = r"\\.\pipe\docker_engine"
_LARGEST = 4_000_000
"""Bytes of an answer."""


def sockets(environ: Mapping[str, str]) -> list[Path]:
    """Where an engine listens: the system's, a user's own, Docker Desktop's, the chosen context's."""
    home = environ.get("HOME", "/nonexistent")
    runtime = environ.get("XDG_RUNTIME_DIR", "/nonexistent")
    chosen = _of_context(environ)
    return [
        Path("/var/run/docker.sock"),
        Path(runtime) / "docker.sock",
        Path(home) / ".docker/run/docker.sock",
        *([chosen] if chosen else []),
    ]


def _of_context(environ: Mapping[str, str]) -> Path | None:
    """The socket of the context that `docker context use` chose (colima, OrbStack, rootless)."""
    home = Path(environ.get("HOME", "/nonexistent"))
    folder = Path(environ.get("DOCKER_CONFIG", "") or home / ".docker")
    try:
        name = environ.get("DOCKER_CONTEXT") or _json(folder / "config.json")["currentContext"]
        store = folder / "contexts/meta" / sha256(name.encode()).hexdigest() / "meta.json"
        host = str(_json(store)["Endpoints"]["docker"]["Host"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Path(host.removeprefix("unix://")) if host.startswith("unix://") else None


def _json(path: Path) -> Any:
    return json.loads(read_bytes(path))


def is_there(environ: Mapping[str, str]) -> bool:
    """Whether there is a socket (or, on Windows, a pipe) at which an engine may listen."""
    if os.name == "nt":
        return os.path.exists(_PIPE)
    return any(map(Path.exists, sockets(environ)))


def socket_of(environ: Mapping[str, str]) -> Path | None:
    """The socket that DOCKER_HOST names, else the first usual one that is there.

    None where there is none, or where the engine is not reached by a socket of the file system.
    """
    host = environ.get("DOCKER_HOST", "")
    if host.startswith("unix://"):
        return Path(host.removeprefix("unix://"))
    if host or os.name == "nt":
        return None
    return next((path for path in sockets(environ) if path.exists()), None)


def ask(path: Path, question: str, limit: float = 2.0) -> tuple[int, Any]:
    """The engine's status and answer to `GET question`; raises OSError, also after `limit` seconds."""
    request = f"GET {question} HTTP/1.0\r\nHost: docker\r\n\r\n"
    found = bytearray()
    with socket.socket(socket.AF_UNIX) as engine:
        engine.settimeout(limit)
        engine.connect(str(path))
        engine.sendall(request.encode())
        while len(found) < _LARGEST and (part := engine.recv(65_536)):
            found += part
    head, _, body = bytes(found).partition(b"\r\n\r\n")
    words = head.split(maxsplit=2)
    try:
        return int(words[1]), json.loads(body)
    except (IndexError, ValueError):
        raise OSError("no answer of an engine") from None


def with_label(label: str) -> str:
    """The question for one container, running or not, that has this label."""
    return f"/containers/json?all=1&limit=1&filters={quote(json.dumps({'label': [label]}))}"
