"""Which containers publish which ports, asked of the Docker engine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from saas_doctor.facts.docker_socket import ask, is_there, socket_of, sockets, with_label
from saas_doctor.model import Unreadable

if TYPE_CHECKING:
    import docker

WORKING_DIR = "com.docker.compose.project.working_dir"
PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
ONE_OFF = "com.docker.compose.oneoff"

_LIMIT = 2
"""Seconds for one answer of the engine."""


class NoEngine(Unreadable):
    """There is no Docker on this machine, so no container holds anything."""


class Container(Struct, frozen=True):
    """A running container; `ports` are the addresses that it publishes on this machine."""

    identity: str
    name: str
    image: str
    project: str = ""
    service: str = ""
    folder: str = ""
    """Where its compose project lies, as Compose noted it."""
    ports: tuple[tuple[str, int], ...] = ()

    def __str__(self) -> str:
        project = f" of compose project {self.project}" if self.project else ""
        return f"container {self.name}{project} (image {self.image})"


def connect(environ: Mapping[str, str]) -> docker.DockerClient:
    """A client of the engine that this environment names, else of one at a usual socket.

    Raises Unreadable with the engine's answer (NoEngine where there is not even its socket). The
    caller closes it.
    """
    if "DOCKER_HOST" not in environ and not is_there(environ):
        raise NoEngine("there is no Docker engine on this machine")
    import docker

    problem = "no socket"
    for variables in places(environ):
        try:
            client = docker.from_env(environment=variables, timeout=_LIMIT, version="auto")
        except (docker.errors.DockerException, OSError, ValueError) as error:
            problem = str(error)
            continue
        return client
    raise Unreadable(f"the Docker engine does not answer ({problem})")


def places(environ: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The variables to reach an engine by: what this environment names, else the usual sockets."""
    named = {key: environ[key] for key in environ if key.startswith("DOCKER_")}
    yield named
    if "DOCKER_HOST" in named or os.name == "nt":
        return
    for socket in sockets(environ)[1:]:
        if socket.exists():
            yield {"DOCKER_HOST": f"unix://{socket}"}


def running(environ: Mapping[str, str]) -> list[Container]:
    """The running containers with what they publish; raises Unreadable."""
    import docker
    import requests

    client = connect(environ)
    try:
        rows = client.api.containers()
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise Unreadable(f"the Docker engine does not answer ({error})") from None
    finally:
        client.close()
    return [container_of(row) for row in rows]


def container_of(row: Mapping[str, Any]) -> Container:
    """A container from one row of the engine's list."""
    labels = row.get("Labels") or {}
    names = row.get("Names") or [row["Id"][:12]]
    return Container(
        row["Id"],
        names[0].lstrip("/"),
        row.get("Image", ""),
        labels.get(PROJECT, ""),
        labels.get(SERVICE, ""),
        labels.get(WORKING_DIR, ""),
        tuple(
            (port.get("IP") or "0.0.0.0", port["PublicPort"])
            for port in row.get("Ports") or []
            if port.get("PublicPort") and port.get("Type", "tcp") == "tcp"
        ),
    )


def certainly_none(environ: Mapping[str, str], label: str) -> bool:
    """Whether the engine at the usual socket says that no container, running or not, has this label.

    One small request, without loading the client, which takes longer than all the rest.
    """
    path = socket_of(environ)
    try:
        return path is not None and ask(path, with_label(label)) == (200, [])
    except OSError:
        return False  # the client tells why
