"""The containers that Docker Compose made for the platform: what they run with, and what they wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.commands import real
from saas_doctor.facts.docker import (
    ONE_OFF,
    SERVICE,
    WORKING_DIR,
    NoEngine,
    certainly_none,
    connect,
)
from saas_doctor.model import Unreadable
from saas_doctor.platform import Platform

_LOG_BYTES = 65_536


class Condition(Struct, frozen=True):
    """How a container fares, as the engine tells of it.

    `error`: why the engine could not start it. `restarts`: how often its policy has started it
    again since somebody did. `probe`: the health check's command, with what it said last.
    """

    health: str = ""
    """healthy, unhealthy, starting, or empty without a health check."""
    failing: int = 0
    """How many answers of the health check in a row were bad."""
    probe: tuple[str, str] = ("", "")
    out_of_memory: bool = False
    memory_limit: int = 0
    error: str = ""
    policy: str = ""
    restarts: int = 0
    image: str = ""
    """The id of the image that it was made from."""
    image_name: str = ""
    one_off: bool = False


class OwnContainer(Struct, frozen=True):
    """A container of the platform's compose project, running or not."""

    identity: str
    name: str
    service: str
    state: str
    exit_code: int
    changed: float
    """When it was started or ended last, in seconds since 1970."""
    environment: Mapping[str, str]
    networks: Mapping[str, frozenset[str]]
    """The networks it is in, each with the names that others there reach it by."""
    network_mode: str
    hosts: frozenset[str]
    """The names that its `extra_hosts` give it."""
    listens: frozenset[int]
    """The ports inside of it that its image or its compose service names."""
    published: Mapping[int, int]
    """Ports inside of it by those of this machine that lead there."""
    condition: Condition = Condition()

    @property
    def runs(self) -> bool:
        return self.state in ("running", "paused", "restarting")

    @property
    def on_the_host(self) -> bool:
        """Whether it shares this machine's network."""
        return self.network_mode == "host"


class Containers(Fact, frozen=True):
    """The platform's containers; Docker is asked at the first question, and not before."""

    platform: Platform

    live = True

    @classmethod
    def read(cls, platform: Platform) -> Containers:
        return cls(platform)

    def of(self, service: str) -> OwnContainer | None:
        """A service's container, one that runs first; raises Unreadable."""
        own = [c for c in self.all if c.service == service]
        return max(own, key=lambda c: (c.runs, c.changed), default=None)

    @property
    def running(self) -> list[OwnContainer]:
        return [container for container in self.all if container.runs]

    @property
    def all(self) -> list[OwnContainer]:
        """Every container of the compose project that lies in the platform; raises Unreadable."""
        found = self._asked
        if isinstance(found, Unreadable):
            raise found
        return found

    @cached_property
    def _asked(self) -> list[OwnContainer] | Unreadable:
        if not self.platform.config.compose_file:
            return []
        if certainly_none(self.platform.environ, WORKING_DIR):
            return []
        try:
            return _own(self.platform)
        except NoEngine:
            return []
        except Unreadable as reason:
            return reason

    def log(self, container: OwnContainer, lines: int) -> Sequence[str]:
        """The last lines that it wrote, of at most 64 KB; raises Unreadable."""
        import docker
        import requests

        try:
            with closing(connect(self.platform.environ)) as client:
                data = client.api.logs(container.identity, tail=lines, stdout=True, stderr=True)
        except (docker.errors.DockerException, requests.RequestException, OSError) as error:
            raise Unreadable(f"the Docker engine gives no log ({error})") from None
        text: str = bytes(data)[-_LOG_BYTES:].decode("utf-8", "replace")
        return text.splitlines()


def _own(platform: Platform) -> list[OwnContainer]:
    client = connect(platform.environ)  # first: without an engine nothing more is loaded
    import docker
    import requests

    roots = {real(platform.root)}
    if platform.config.compose_file:
        roots.add(real(platform.path(platform.config.compose_file)).parent)
    try:
        with closing(client):
            rows = client.api.containers(all=True, filters={"label": WORKING_DIR})
            own = [r for r in rows if real(Path(r["Labels"][WORKING_DIR])) in roots]
            return [described(client.api.inspect_container(row["Id"])) for row in own]
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise Unreadable(f"the Docker engine does not answer ({error})") from None


def described(found: Mapping[str, Any]) -> OwnContainer:
    """A container from what the engine says of it."""
    config, state, host = found["Config"], found["State"], found["HostConfig"]
    labels = config.get("Labels") or {}
    name = found["Name"].lstrip("/")
    service = labels.get(SERVICE, "")
    settings = found.get("NetworkSettings") or {}
    names = {name, service, found["Id"][:12]}
    networks = {
        network: frozenset({*names, *(given.get("Aliases") or ())} - {""})
        for network, given in (settings.get("Networks") or {}).items()
    }
    bound = settings.get("Ports") or {}
    ports = (set(config.get("ExposedPorts") or {}) | set(bound)) - {""}
    return OwnContainer(
        found["Id"],
        name,
        service,
        state.get("Status", ""),
        int(state.get("ExitCode") or 0),
        max(_seconds(state.get("StartedAt", "")), _seconds(state.get("FinishedAt", ""))),
        dict(entry.partition("=")[::2] for entry in config.get("Env") or ()),
        networks,
        host.get("NetworkMode", ""),
        frozenset(entry.partition(":")[0] for entry in host.get("ExtraHosts") or ()),
        frozenset(int(p.partition("/")[0]) for p in ports if p.endswith("/tcp")),
        {
            int(place["HostPort"]): int(port.partition("/")[0])
            for port, places in bound.items()
            for place in places or ()
            if place.get("HostPort")
        },
        _condition(found, labels),
    )


def _condition(found: Mapping[str, Any], labels: Mapping[str, str]) -> Condition:
    config, state, host = found["Config"], found["State"], found["HostConfig"]
    health = state.get("Health") or {}
    last = (health.get("Log") or [{}])[-1]
    return Condition(
        status if (status := health.get("Status", "")) != "none" else "",
        int(health.get("FailingStreak") or 0),
        (
            " ".join((config.get("Healthcheck") or {}).get("Test") or ()),
            f"code {last.get('ExitCode')}: {str(last.get('Output', '')).strip()}" if last else "",
        ),
        bool(state.get("OOMKilled")),
        int(host.get("Memory") or 0),
        state.get("Error", ""),
        policy if (policy := (host.get("RestartPolicy") or {}).get("Name", "")) != "no" else "",
        int(found.get("RestartCount") or 0),
        found.get("Image", ""),
        config.get("Image", ""),
        labels.get(ONE_OFF) == "True",
    )


def _seconds(text: str) -> float:
    """The engine's time: `2026-11-30T10:11:12.123456789Z`, and the year 1 for never."""
    try:
        return max(0.0, datetime.fromisoformat(f"{text[:19]}+00:00").timestamp())
    except (ValueError, OverflowError):
        return 0.0
