"""Whether an address leads anywhere from where a process runs: from this machine, or in a container."""

from __future__ import annotations

import ipaddress
import socket
from enum import Enum

from msgspec import Struct

from saas_doctor.facts.containers import Containers, OwnContainer
from saas_doctor.facts.listeners import WILDCARDS
from saas_doctor.facts.ports import Port
from saas_doctor.model import Unreadable

_CONNECT = 1.0


class Way(str, Enum):
    """What comes of a call to an address."""

    OPEN = "something answers there"
    REFUSED = "nothing listens there"
    SILENT = "nothing answers there"
    NO_NAME = "no such name"
    WILDCARD = "all addresses, which is none to call"
    ITSELF = "the caller's own container"
    APART = "a container in another network"
    WRONG_PORT = "a container that has no such port"
    NO_URL = "no address that can be called"
    NO_TLS = "asked for https, and it speaks http"
    NO_PATH = "a path that it does not have"
    UNTOLD = "can't be told from here"


class Caller(Struct, frozen=True):
    """Where a service runs that calls others: in this container, or (None) on this machine."""

    service: str
    container: OwnContainer | None = None

    @property
    def on_the_host(self) -> bool:
        return self.container is None or self.container.on_the_host

    def __str__(self) -> str:
        return f"container {self.container.name}" if self.container else "this machine"


def caller(port: Port, containers: Containers) -> Caller:
    """Where the service runs that holds this port; raises Unreadable."""
    name = port.address.service
    found = port.holder.container if port.holder else None
    if found is None:
        return Caller(name)
    own = next((c for c in containers.all if c.identity == found.identity), None)
    if own is None:
        raise Unreadable(f"{found} is not there any more")
    return Caller(name, own)


def is_loopback(host: str) -> bool:
    if host.lower() == "localhost" or host.lower().endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def way(host: str, port: int, caller: Caller, containers: Containers) -> Way:
    """Where a call of this caller ends; raises Unreadable where Docker does not tell."""
    if host in WILDCARDS:
        return Way.WILDCARD
    if caller.container is None or caller.container.on_the_host:
        return _from_here(host, port)
    if is_loopback(host):
        return Way.UNTOLD if port in caller.container.listens else Way.ITSELF
    return _between(host, port, caller.container, containers)


def _from_here(host: str, port: int) -> Way:
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        return Way.NO_NAME
    verdict = Way.SILENT
    for family, kind, protocol, _, place in places[:4]:
        with socket.socket(family, kind, protocol) as probe:
            probe.settimeout(_CONNECT)
            try:
                probe.connect(place)
            except ConnectionRefusedError:
                verdict = Way.REFUSED
            except OSError:
                continue
            else:
                return Way.OPEN
    return verdict


def _between(host: str, port: int, own: OwnContainer, containers: Containers) -> Way:
    """From one container to another, as Docker's own name server resolves it."""
    if host in own.hosts:
        return Way.UNTOLD
    for other in containers.running:
        if not any(host in names for names in other.networks.values()):
            continue
        if not any(host in other.networks.get(network, ()) for network in own.networks):
            return Way.APART
        if other.listens and port not in other.listens:
            return Way.WRONG_PORT if port in other.published else Way.UNTOLD
        return Way.OPEN
    if any(host in names for c in containers.all for names in c.networks.values()):
        return Way.REFUSED  # it has ended
    # A name with a dot may be known to the network's own servers (or be Docker Desktop's).
    bare = "." not in host and ":" not in host
    return Way.NO_NAME if bare else Way.UNTOLD
