"""Whose each of the services' ports is."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from enum import Enum
from pathlib import Path

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.commands import real, started_service
from saas_doctor.facts.docker import Container, NoEngine, running
from saas_doctor.facts.listeners import Address, Addresses, Listener, Listeners, Process
from saas_doctor.model import Unreadable
from saas_doctor.platform import Platform

JUST_STARTED = 10.0
"""Seconds in which a service may still be getting ready, or registering."""

# Programs that hold a container's port for it.
_FORWARDERS = re.compile(
    r"docker-proxy|com\.docker|rootlessport|rootlesskit|vpnkit|wslrelay|limactl|conmon|pasta", re.I
)

_SPAWNED = re.compile(r"multiprocessing\.(spawn|forkserver|resource_tracker)")


class Holder(Struct, frozen=True):
    """What listens on a port: a process with the listeners it has there, or a container.

    The process of a service is the uppermost that belongs to it: a supervisor starts workers.
    `service` is the platform's service that it is, `""` for a process that the platform started
    and nobody can tell for which service; None for a stranger.
    """

    listeners: tuple[Listener, ...] = ()
    process: Process | None = None
    container: Container | None = None
    service: str | None = None

    def __str__(self) -> str:
        where = ", ".join(str(listener) for listener in self.listeners)
        what = str(self.container or self.process or "a process that this user can't see")
        return f"{what}, at {where}" if where else what


class State(str, Enum):
    """Whose a service's port is."""

    FREE = "free"
    OWN = "own"
    STRANGER = "stranger"
    UNTOLD = "untold"


class Port(Struct, frozen=True):
    """One service's port: who holds it, and who listens beside it without being in the way."""

    address: Address
    state: State
    holder: Holder | None = None
    beside: tuple[Holder, ...] = ()
    reason: str = ""
    """Why it could not be told."""


class Ports(Fact, frozen=True):
    """Whose the port of each service is: a process of the platform, a container, or a stranger."""

    services: Mapping[str, Port]

    live = True
    limit = 4.5

    @classmethod
    def read(cls, platform: Platform, addresses: Addresses, listeners: Listeners) -> Ports:
        judge = _Judge(platform, listeners)
        return cls({name: judge.port(a) for name, a in addresses.services.items()})

    def of(self, service: str) -> Port | None:
        return self.services.get(service)


class _Judge:
    """Tells whose the ports are; Docker is asked at most once, and only when it matters."""

    def __init__(self, platform: Platform, listeners: Listeners) -> None:
        self.platform = platform
        self.root = real(platform.root)
        self.listeners = listeners
        self.folders = {
            name: real(platform.path(service.directory))
            for name, service in platform.config.services.items()
        }
        self._containers: list[Container] | Unreadable | None = None

    def port(self, address: Address) -> Port:
        there = self.listeners.on(address.port)
        connects = (address.reached_at, address.port) in self.listeners.connects
        in_the_way = [one for one in there if self._conflicts(one, address, connects)]
        beside = tuple(self._holder([one]) for one in there if one not in in_the_way)
        if not in_the_way and not connects:
            return Port(address, State.FREE, beside=beside)
        holders = [self._holder(group) for group in _by_process(in_the_way)] or [Holder()]
        own = next((h for h in holders if h.service is not None), None)
        if own:
            return Port(address, State.OWN, own, beside)
        known = next((h for h in holders if h.process and not _forwards(h.process)), None)
        if known:
            return Port(address, State.STRANGER, known, beside)
        return self._behind(address, holders[0], beside)

    def _conflicts(self, listener: Listener, address: Address, connects: bool) -> bool:
        """Whether the service can't listen at its address because of this listener."""
        six = ":" in listener.address
        if six != (":" in address.host):
            # A socket on `::` takes IPv4 too, unless it was made for IPv6 alone: then, with no
            # other one there, nothing answers by IPv4.
            others = [o for o in self.listeners.on(listener.port) if ":" not in o.address]
            return listener.address == "::" and connects and not others
        return listener.is_wildcard or address.host in ("0.0.0.0", "::", listener.address)

    def _holder(self, listeners: list[Listener]) -> Holder:
        process = listeners[0].process
        if process is None:
            return Holder(tuple(listeners))
        service, top = self._belongs(process)
        return Holder(tuple(listeners), top if service is not None else process, None, service)

    def _belongs(self, process: Process) -> tuple[str | None, Process]:
        """The service a process runs for (`""`: one that can't be told), and its tree's top."""
        service: str | None = None
        top = process
        for one in process.lineage:
            found = started_service(one, self.folders)
            if found is not None and service in (None, "", found):
                service, top = found, one
        if service is None and self._is_orphan(process):
            # Its supervisor was killed: only the folder it works in is left to tell.
            folder = real(Path(process.folder))
            named = [n for n, f in self.folders.items() if folder == f or f in folder.parents]
            service = named[0] if named else ""
        return service, top

    def _is_orphan(self, process: Process) -> bool:
        folder = real(Path(process.folder)) if process.folder else None
        inside = folder is not None and (folder == self.root or self.root in folder.parents)
        return inside and any(_SPAWNED.search(word) for word in process.command)

    def _behind(self, address: Address, holder: Holder, beside: tuple[Holder, ...]) -> Port:
        """Whose a port is that no visible process holds, or one that forwards it to a container."""
        containers = self._running()
        if isinstance(containers, Unreadable):
            return self._untold(address, holder, beside, containers)
        for container in containers:
            if any(port == address.port for _, port in container.ports):
                own = self._is_own(container)
                named = Holder(holder.listeners, None, container, address.service if own else None)
                return Port(address, State.OWN if own else State.STRANGER, named, beside)
        if holder.process or not holder.listeners:
            reason = f"{address} answers, but no process and no container that holds it can be seen"
            return Port(address, State.UNTOLD, holder, beside, reason)
        return Port(address, State.STRANGER, holder, beside)

    def _untold(
        self, address: Address, holder: Holder, beside: tuple[Holder, ...], why: Unreadable
    ) -> Port:
        user = holder.listeners[0].user if holder.listeners else ""
        if user not in ("", "root") and not holder.process:
            # Docker's forwarders run as root (or as this user, whose processes can be seen).
            return Port(address, State.STRANGER, holder, beside)
        reason = f"{address} is held by something that this user can't see, and {why}"
        return Port(address, State.UNTOLD, holder, beside, reason)

    def _running(self) -> list[Container] | Unreadable:
        if self._containers is None:
            try:
                self._containers = running(self.platform.environ)
            except NoEngine:
                self._containers = []
            except Unreadable as reason:
                self._containers = reason
        return self._containers

    def _is_own(self, container: Container) -> bool:
        return bool(container.folder) and real(Path(container.folder)) == self.root


def _by_process(listeners: list[Listener]) -> list[list[Listener]]:
    groups: dict[int | None, list[Listener]] = {}
    for listener in listeners:
        pid = listener.process.pid if listener.process else None
        groups.setdefault(pid, []).append(listener)
    return list(groups.values())


def _forwards(process: Process) -> bool:
    return bool(_FORWARDERS.search(process.name))


def wrong_service(port: Port) -> str:
    """The platform's other service that holds this port, if so."""
    service = port.holder.service if port.holder and port.state is State.OWN else ""
    return service if service and service != port.address.service else ""


def just_started(*processes: Process | None) -> bool:
    """Whether one of them is too young to judge."""
    return any(p is not None and time.time() - p.created < JUST_STARTED for p in processes)
