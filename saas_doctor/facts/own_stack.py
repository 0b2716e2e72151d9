"""The platform's Compose project as it stands on the engine, where one answers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path

from msgspec import Struct

from saas_doctor.compose.files import chosen
from saas_doctor.compose.model import Service
from saas_doctor.compose.naming import project_name
from saas_doctor.compose.nodes import Broken
from saas_doctor.facts import Fact
from saas_doctor.facts.commands import real
from saas_doctor.facts.compose import Compose
from saas_doctor.facts.containers import Containers, OwnContainer
from saas_doctor.facts.docker import PROJECT, WORKING_DIR, certainly_none, connect
from saas_doctor.facts.docker_engine import DockerEngine
from saas_doctor.facts.listeners import listening
from saas_doctor.facts.logs import Tail, plain
from saas_doctor.model import DoctorError, Unreadable
from saas_doctor.platform import Platform

_LINES = 50
_ENDS = (0, 130, 137, 143)
"""The codes of a container that was done, or was told to end: `docker stop` leaves these."""
_ENGINE_ENDED = 255
"""The code of one that ended with its engine."""
_LOOP = 3
_FRESH = 90.0
"""Seconds after its last start in which one that was restarted often is taken to be about to end again."""


class Stranger(Struct, frozen=True):
    """A container of another folder's project of the same name."""

    name: str
    folder: str


class OwnStack(Fact, frozen=True):
    """The containers of the platform's Compose project, and those that others gave the same name."""

    platform: Platform
    compose: Compose
    containers: Containers

    live = True
    limit = 6.0

    @classmethod
    def read(
        cls,
        platform: Platform,
        compose: Compose,
        engine: DockerEngine,
        containers: Containers,
    ) -> OwnStack:
        engine.require()
        return cls(platform, compose, containers)

    @cached_property
    def members(self) -> Sequence[tuple[Service, OwnContainer]]:
        """The containers of services that the file has and `up` starts, one-off ones left out."""
        services = self.compose.services
        return [
            (services[c.service], c)
            for c in self.containers.all
            if c.service in services and services[c.service].active and not c.condition.one_off
        ]

    def served_otherwise(self, service: Service) -> bool:
        """Whether somebody listens at a port that its container would publish: it runs without."""
        ports = {number for port in service.ports for number in port.numbers}
        try:
            return bool(ports and listening(ports)[0])
        except Unreadable:
            return False

    def error(self, container: OwnContainer) -> str:
        """The last error that it wrote; empty where there is none, or no log."""
        try:
            return Tail("", plain(self.containers.log(container, _LINES))).error
        except Unreadable:
            return ""

    @cached_property
    def name(self) -> str:
        """The project's name; empty where it has none."""
        project = self.compose.project
        environ = self.platform.environ
        try:
            paths = chosen(self.platform.path(self.compose.name), environ)
            return project_name("", paths, project.folder, project.loaded.variables)
        except (DoctorError, Broken, OSError):
            return ""

    @cached_property
    def strangers(self) -> Sequence[Stranger]:
        """The containers of another folder's project of this name; a folder that is gone is none's.

        Raises Unreadable.
        """
        label = f"{PROJECT}={self.name}"
        if not self.name or certainly_none(self.platform.environ, label):
            return ()
        with closing(connect(self.platform.environ)) as client:
            import docker
            import requests

            try:
                rows = client.api.containers(all=True, filters={"label": label})
            except (docker.errors.DockerException, requests.RequestException) as error:
                raise Unreadable(f"the Docker engine does not answer ({error})") from None
        own = {real(self.platform.root), real(self.compose.project.folder)}
        found = (((row["Labels"] or {}).get(WORKING_DIR, ""), row) for row in rows)
        return [
            Stranger((row.get("Names") or [row["Id"][:12]])[0].lstrip("/"), folder)
            for folder, row in found
            if folder and Path(folder).is_dir() and real(Path(folder)) not in own
        ]


def has_failed(container: OwnContainer) -> bool:
    """Whether it ended, or could not be started, and nobody told it to."""
    if container.state == "created":
        return bool(container.condition.error)
    if container.state not in ("exited", "dead"):
        return False
    ended = container.exit_code not in (*_ENDS, _ENGINE_ENDED)
    return ended or container.condition.out_of_memory


def is_looping(container: OwnContainer) -> bool:
    """Whether it ends again and again, and its policy starts it each time."""
    if container.condition.restarts < _LOOP or container.condition.health == "healthy":
        return False
    recent = time.time() - container.changed < _FRESH
    return container.state == "restarting" or (container.state == "running" and recent)
