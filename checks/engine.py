"""The Docker engine that the platform's containers run on: there, allowed, new enough, with space left."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Iterator

from msgspec import Struct

from saas_doctor.compose.model import Service
from saas_doctor.compose.nodes import Node
from saas_doctor.compose.values import items
from saas_doctor.facts.compose import Compose
from saas_doctor.facts.docker_engine import DockerEngine, DockerNeed, Trouble
from saas_doctor.model import Finding, Severity, Undecided
from saas_doctor.report.sizes import in_words
from saas_doctor.rules import check

_LOCAL = "or run the platform without Docker: saas-doctor up --local"


@check(
    "DOCK620",
    symptoms=(
        r"Cannot connect to the Docker daemon at \S+",
        r"Is the docker daemon running\?",
        r"Error while fetching server API version: .*(FileNotFoundError|Connection refused|ConnectionRefused)",
        r"error during connect: .*(docker_engine|dockerDesktopLinuxEngine)",
        r"docker: command not found|command not found: docker(-compose)?",
        r"failed to connect to the docker API at \S+",
    ),
)
def engine_does_not_answer(engine: DockerEngine, need: DockerNeed) -> Iterator[Finding]:
    """The Docker engine that the platform waits for is not there, or does not run.

    No container can be started, and those of the Compose file (the database, say) do not answer.

    **Detected** by asking the engine at the address that `DOCKER_HOST` names, else at the usual
    sockets, where `DOCKER_HOST` is set, or where the database's address is that of a container of the
    Compose file and nothing answers there.
    **To mend** it, start the engine (`sudo systemctl start docker`, Docker Desktop), correct or unset
    `DOCKER_HOST`, or run the platform without Docker: `saas-doctor up --local`.
    **Silent** (skipped, with the reason) where the platform runs without Docker, or nothing of it
    waits for the engine. Only told by the way (info) where Docker is not installed at all.
    """
    if engine.trouble in (None, Trouble.DENIED):
        return
    reason = need.require(engine)
    absent = engine.trouble is Trouble.ABSENT
    words = "Docker is not installed" if absent else "the Docker engine does not run"
    if engine.named:
        words = f"no Docker engine answers at {engine.where}"
    elif engine.trouble is Trouble.SILENT:
        words = f"the Docker engine at {engine.where} does not answer"
    yield Finding(
        f"{words}: {engine.cause}",
        looked_at=engine.where,
        found=engine.cause,
        wanted=f"an engine that answers ({reason})",
        target=engine.where,
        severity=Severity.INFO if absent else None,
        next_step=f"{_start(engine)}, {_LOCAL}",
    )


def _start(engine: DockerEngine) -> str:
    if engine.trouble is Trouble.ABSENT:
        return "install Docker (https://docs.docker.com/get-docker)"
    if engine.named:
        return "start it, or correct or unset DOCKER_HOST"
    if sys.platform == "darwin" or os.name == "nt":
        return "start Docker Desktop"
    if engine.trouble is Trouble.SILENT:
        return "look at its log (journalctl -u docker), sudo systemctl restart docker"
    return "sudo systemctl start docker (its log: journalctl -u docker)"


@check(
    "DOCK621",
    symptoms=(
        r"permission denied while trying to connect to the [Dd]ocker (daemon socket|API)",
        r"Error while fetching server API version: .*(PermissionError|Permission denied)",
        r"dial unix \S+docker\S*\.sock: connect: permission denied",
    ),
)
def engine_not_permitted(engine: DockerEngine, need: DockerNeed) -> Iterator[Finding]:
    """The Docker engine is there, and this user may not talk to it.

    `docker` and Compose end with `permission denied while trying to connect to the Docker daemon
    socket`.

    **Detected** by asking the engine, where something of the platform waits for it, as for DOCK620.
    **To mend** it, become a member of the group `docker` (`sudo usermod -aG docker USER`) and log in
    again: who is in it is as good as root on this machine. A rootless engine needs none of that.
    **Silent** (skipped) where the platform runs without Docker.
    """
    if engine.trouble is not Trouble.DENIED:
        return
    reason = need.require(engine)
    yield Finding(
        f"this user may not talk to the Docker engine ({engine.where})",
        looked_at=engine.where,
        found=engine.cause,
        wanted=f"an answer ({reason})",
        target=engine.where,
        next_step=f"sudo usermod -aG docker {_user()}, then log in again; {_LOCAL}",
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "$USER"


class _Feature(Struct, frozen=True):
    """What a Compose file may ask of an engine, since which API and release it knows it."""

    words: str
    api: tuple[int, int]
    release: str
    uses: Callable[[Service], Node | None]


def _start_interval(service: Service) -> Node | None:
    check = service.healthcheck
    return check.get("start_interval") if check else None


def _host_gateway(service: Service) -> Node | None:
    node = service.node.get("extra_hosts")
    return node if node and "host-gateway" in node.source else None


def _subpath(service: Service) -> Node | None:
    for mount in items(service.node.get("volumes")):
        volume = mount.get("volume") if mount.kind == "map" else None
        if volume and (found := volume.get("subpath")):
            return found
    return None


def _of_networks(key: str) -> Callable[[Service], Node | None]:
    def uses(service: Service) -> Node | None:
        networks = service.node.get("networks")
        entries = networks.entries.values() if networks else ()
        found = (e.value.get(key) for e in entries if e.value.kind == "map")
        return next((node for node in found if node), None)

    return uses


_FEATURES = (
    _Feature("the address `host-gateway`", (1, 41), "20.10", _host_gateway),
    _Feature("`healthcheck.start_interval`", (1, 44), "25.0", _start_interval),
    _Feature("`volume.subpath`", (1, 45), "26.0", _subpath),
    _Feature("`gw_priority` of a network", (1, 48), "28.0", _of_networks("gw_priority")),
    _Feature("`interface_name` of a network", (1, 49), "28.1", _of_networks("interface_name")),
)


@check(
    "DOCK622",
    severity=Severity.WARNING,
    needs=("DOCK601", "DOCK602", "DOCK620", "DOCK621"),
    symptoms=(
        r"require[sd]? Docker Engine v?\d+",
        r"invalid IP address in add-host: \"?host-gateway",
        r"client version (?P<client>[\d.]+) is too new\. Maximum supported API version is",
    ),
)
def engine_too_old(compose: Compose, engine: DockerEngine) -> Iterator[Finding]:
    """The Docker engine is too old for what the Compose file asks of it.

    Compose refuses to start the service, or the engine leaves out what it does not know: a health
    check with `start_interval` is then only asked every `interval`, and the start takes as long.

    **Detected** by the API version that the engine says it speaks, compared with that which knows
    the key: `host-gateway` (20.10), `healthcheck.start_interval` (25), `volume.subpath` (26),
    `gw_priority` (28.0), `interface_name` (28.1).
    **To mend** it, update the engine, or do without the key.
    **Silent** about services that only a profile starts, and where no engine answers.
    """
    services = compose.services
    engine.require()
    for service in services.values():
        for feature in _FEATURES if service.active else ():
            node = feature.uses(service)
            if node is None or engine.api >= feature.api:
                continue
            yield Finding(
                f"{service.name} uses {feature.words}, which Docker {engine.version} does not know",
                looked_at=f"{node.place}, and {engine.where}",
                found=f"Docker {engine.version} (API {'.'.join(map(str, engine.api))})",
                wanted=f"Docker {feature.release} or newer, or a file without it",
                target=f"{service.name} {feature.words}",
                place=node.place,
                next_step=f"update Docker to {feature.release} or newer, or take it out at {node.place}",
            )


@check(
    "DOCK623",
    severity=Severity.WARNING,
    needs=("DOCK620", "DOCK621"),
    symptoms=(
        r"no space left on device",
        r"write \S*/docker/\S+: no space",
        r"could not (?:write|extend) .*No space left on device",
    ),
)
def engine_disk_nearly_full(engine: DockerEngine) -> Iterator[Finding | Undecided]:
    """The disk that the Docker engine keeps its images and volumes on is nearly full.

    The next build ends with `no space left on device`; a database in a volume stops, or worse.

    **Detected** by the free space of the engine's folder: below 1.5 GB, or below 5 % of the disk and
    5 GB. What the builder's cache holds is asked of the engine then.
    **To mend** it, give back what can be made again, the least of it first: `docker builder prune`
    (the builder's cache), `docker image prune` (images without a name), then what `docker system df
    -v` shows. Never `docker system prune -a`: it takes every stopped container and every image of
    every project on the machine, and images that were never pushed can't be brought back.
    **Silent** where the engine's disk is that of another machine, Docker Desktop's as well.
    """
    engine.require()
    disk = engine.disk
    if disk is None or not disk.is_nearly_full:
        return
    cache = engine.cache
    held = f"the builder's cache holds {in_words(cache)} that nothing uses" if cache > 0 else ""
    step = "docker builder prune gives that back" if cache > 0 else "docker image prune (no -a)"
    yield Finding(
        f"the Docker engine's disk is nearly full: {in_words(disk.free)} of {in_words(disk.total)} are free",
        looked_at=disk.folder,
        found=f"{in_words(disk.free)} free" + (f"; {held}" if held else ""),
        wanted="1.5 GB, and 5 GB or 5 % of it",
        target=disk.folder,
        next_step=f"{step}; docker system df -v shows the rest (not docker system prune -a, which "
        "takes what other projects need)",
    )
