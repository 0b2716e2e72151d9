"""What the engine has of a project, told by labels: containers, networks, volumes."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from saas_doctor.facts.docker import ONE_OFF, PROJECT, SERVICE, WORKING_DIR
from saas_doctor.stack.docker.engine import Engine
from saas_doctor.stack.docker.marks import HASH, IMAGE, NUMBER, Scope

_HEALTH = re.compile(r"\((healthy|unhealthy|health: starting)\)$")
_EXITED = re.compile(r"^(?:Exited|Restarting) \((\d+)\)")


class Row(Struct, frozen=True):
    """A container of the project, from one line of the engine's list."""

    identity: str
    name: str
    service: str
    number: int
    state: str
    """created, running, paused, restarting, removing, exited or dead."""
    health: str
    """healthy, unhealthy, starting, or empty without a health check."""
    exit_code: int | None
    image: str
    """The id of the image it was made from."""
    labels: Mapping[str, str]
    ports: tuple[str, ...]
    networks: Mapping[str, str]
    """The names of the networks it is in, with their ids (empty while it has not been started)."""

    @property
    def one_off(self) -> bool:
        return self.labels.get(ONE_OFF) == "True"

    @property
    def hashed(self) -> str:
        return self.labels.get(HASH, "")

    @property
    def made_from(self) -> str:
        """The image's id as it was noted when the container was made; v1 of Compose notes none."""
        return self.labels.get(IMAGE, "")

    @property
    def runs(self) -> bool:
        return self.state in ("running", "paused", "restarting")


def rows(engine: Engine, project: str) -> list[Row]:
    """All containers of the project, running or not, one-off ones too; the oldest first."""
    found = engine.api.containers(all=True, filters={"label": f"{PROJECT}={project}"})
    return [row_of(row) for row in sorted(found, key=lambda row: row.get("Created", 0))]


def row_of(row: Mapping[str, Any]) -> Row:
    labels = row.get("Labels") or {}
    status = row.get("Status", "")
    health = _HEALTH.search(status)
    exited = _EXITED.match(status)
    number = labels.get(NUMBER, "1")
    return Row(
        row["Id"],
        (row.get("Names") or [f"/{row['Id'][:12]}"])[0].lstrip("/"),
        labels.get(SERVICE, ""),
        int(number) if number.isdecimal() else 1,
        row.get("State", ""),
        health[1].removeprefix("health: ") if health else "",
        int(exited[1]) if exited else None,
        row.get("ImageID", ""),
        labels,
        ports_of(row.get("Ports") or ()),
        {
            name: given.get("NetworkID", "")
            for name, given in ((row.get("NetworkSettings") or {}).get("Networks") or {}).items()
        },
    )


def ports_of(ports: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """`127.0.0.1:8000->8000/tcp`; what is published by IPv6 as well as by IPv4 is told once."""
    found: dict[str, None] = {}
    for port in ports:
        inside = f"{port['PrivatePort']}/{port.get('Type', 'tcp')}"
        if not port.get("PublicPort"):
            found.setdefault(inside, None)
            continue
        address = port.get("IP") or "0.0.0.0"
        address = "0.0.0.0" if address == "::" else address
        found[f"{address}:{port['PublicPort']}->{inside}"] = None
    return tuple(sorted(found))


class Existing(Struct, frozen=True):
    """All that the engine has of a project."""

    containers: tuple[Row, ...]
    networks: Mapping[str, Mapping[str, Any]]
    """By the engine's name; of the project, and those that its file names."""
    volumes: Mapping[str, Mapping[str, Any]]

    def of(self, service: str) -> list[Row]:
        """The service's containers by number, one-off ones not among them; the newest of equals last."""
        own = [c for c in self.containers if c.service == service and not c.one_off]
        return sorted(own, key=lambda c: c.number)

    def orphans(self, scope: Scope) -> list[Row]:
        """Containers of services that the project's file no longer has."""
        return [
            c
            for c in self.containers
            if c.service not in scope.known and not c.one_off and c.hashed
        ]

    def strangers(self, scope: Scope) -> list[Row]:
        """Containers of another folder's project of the same name; a folder that is gone is none."""
        here = os.path.realpath(scope.folder)
        return [
            c
            for c in self.containers
            if (folder := c.labels.get(WORKING_DIR))
            and os.path.realpath(folder) != here
            and Path(folder).is_dir()
        ]


def existing(engine: Engine, scope: Scope) -> Existing:
    api = engine.api
    wanted = {n.name for n in scope.project.networks.values()}
    networks = {
        n["Name"]: n
        for n in api.networks()
        if n["Name"] in wanted or (n.get("Labels") or {}).get(PROJECT) == scope.name
    }
    wanted = {v.name for v in scope.project.volumes.values()}
    volumes = {
        v["Name"]: v
        for v in api.volumes().get("Volumes") or ()
        if v["Name"] in wanted or (v.get("Labels") or {}).get(PROJECT) == scope.name
    }
    return Existing(tuple(rows(engine, scope.name)), networks, volumes)


def moment(text: str) -> datetime | None:
    """The engine's time, `2026-11-30T10:11:12.123456789Z`; None for the year 1, which is never."""
    try:
        found = datetime.fromisoformat(f"{text[:19]}+00:00")
    except ValueError:
        return None
    return found if found.year > 1 else None
