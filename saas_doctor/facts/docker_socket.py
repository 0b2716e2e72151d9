"""Small questions to the Docker engine, asked at its socket: the client takes longer to load than all the rest."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

_LARGEST = 4_000_000
"""Bytes of an answer."""


def sockets(environ: Mapping[str, str]) -> list[Path]:
    """Where an engine listens: the system's, a user's own, Docker Desktop's."""
    home = environ.get("HOME", "/nonexistent")
    runtime = environ.get("XDG_RUNTIME_DIR", "/nonexistent")
    return [
        Path("/var/run/docker.sock"),
        Path(runtime) / "docker.sock",
        Path(home) / ".docker/run/docker.sock",
    ]


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
