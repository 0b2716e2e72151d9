"""Whose each of the platform's ports is."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from enum import Enum

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.addresses import Address, Addresses, MoreAddresses
from saas_doctor.facts.docker import Container, NoEngine, running
from saas_doctor.facts.holders import Holder, Owners
from saas_doctor.facts.listeners import Listener, Listeners
from saas_doctor.facts.running import Process
from saas_doctor.model import Unreadable
from saas_doctor.platform import Platform

JUST_STARTED = 10.0
"""Seconds in which a service may still be getting ready, or registering."""

# Programs that hold a container's port for it.
_FORWARDERS = re.compile(
    r"docker-proxy|com\.docker|rootlessport|rootlesskit|vpnkit|wslrelay|limactl|conmon|pasta", re.I
)


class State(str, Enum):
    """Whose a service's port is."""

    FREE = "free"
    OWN = "own"
    STRANGER = "stranger"
    UNTOLD = "untold"


class Port(Struct, frozen=True):
    """One port of the platform: who holds it, and who listens beside it without being in the way."""

    address: Address
    state: State
    holder: Holder | None = None
    beside: tuple[Holder, ...] = ()
    reason: str = ""
    """Why it could not be told."""


class Ports(Fact, frozen=True):
    """Whose the platform's ports are: a process of the platform, a container, or a stranger.

    `published` are those of the compose file's containers that are none of its services.
    """

    services: Mapping[str, Port]
    frontend: Port | None = None
    published: tuple[Port, ...] = ()
    outgoing: tuple[Listener, ...] = ()

    live = True
    limit = 4.5

    @classmethod
    def read(
        cls, platform: Platform, addresses: Addresses, more: MoreAddresses, listeners: Listeners
    ) -> Ports:
        judge = _Judge(platform, listeners)
        return cls(
            {name: judge.port(a) for name, a in addresses.services.items()},
            judge.port(more.frontend) if more.frontend else None,
            tuple(judge.port(address) for address in more.published),
            listeners.outgoing,
        )

    def of(self, service: str) -> Port | None:
        return self.services.get(service)


class _Judge:
    """Tells whose the ports are; Docker is asked at most once, and only when it matters."""

    def __init__(self, platform: Platform, listeners: Listeners) -> None:
        self.platform = platform
        self.listeners = listeners
        self.owners = Owners(platform)
        self._containers: list[Container] | Unreadable | None = None

    def port(self, address: Address) -> Port:
        there = self.listeners.on(address.port)
        connects = (address.reached_at, address.port) in self.listeners.connects
        in_the_way = [one for one in there if self._conflicts(one, address, connects)]
        others = _by_process([one for one in there if one not in in_the_way])
        beside = tuple(self.owners.holder(group) for group in others)
        if not in_the_way and not connects:
            return Port(address, State.FREE, beside=beside)
        holders = [self.owners.holder(group) for group in _by_process(in_the_way)] or [Holder()]
        own = next((h for h in holders if h.service is not None), None)
        if own:
            return Port(address, State.OWN, own, beside)
        known = next((h for h in holders if h.process and not _forwards(h.process)), None)
        if known and known.process and known.near:
            reason = (
                f"{address} is held by {known.process}, which {known.near}: whether it is "
                f"{address.service} can't be told; if it is not, stop it: kill {known.process.pid}"
            )
            return Port(address, State.UNTOLD, known, beside, reason)
        if known:
            return Port(address, State.STRANGER, known, beside)
        return self._behind(address, holders[0], beside)

    def _conflicts(self, listener: Listener, address: Address, connects: bool) -> bool:
        """Whether nobody else can listen at the address because of this listener."""
        if address.host == "localhost":
            return listener.is_wildcard or listener.address in ("127.0.0.1", "::1")
        six = ":" in listener.address
        if six != (":" in address.host):
            # A socket on `::` takes IPv4 too, unless it was made for IPv6 alone: then, with no
            # other one there, nothing answers by IPv4.
            others = [o for o in self.listeners.on(listener.port) if ":" not in o.address]
            return listener.address == "::" and connects and not others
        return listener.is_wildcard or address.host in ("0.0.0.0", "::", listener.address)

    def _behind(self, address: Address, holder: Holder, beside: tuple[Holder, ...]) -> Port:
        """Whose a port is that no visible process holds, or one that forwards it to a container."""
        containers = self._running()
        if isinstance(containers, Unreadable):
            return self._untold(address, holder, beside, containers)
        for container in containers:
            if any(port == address.port for _, port in container.ports):
                own = self.owners.is_own(container)
                service = address.service if own else None
                elsewhere = "" if own else self.owners.other_checkout(container)
                named = Holder(holder.listeners, None, container, service, checkout=elsewhere)
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
