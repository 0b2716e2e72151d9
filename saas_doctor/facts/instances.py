"""Whether what the registry lists can be reached from where the gateway runs."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.answers import ask, client, takes_tls
from saas_doctor.facts.containers import Containers
from saas_doctor.facts.ports import Ports, State
from saas_doctor.facts.registered import Instance, Registered, gateway_of, normal
from saas_doctor.facts.ways import Caller, Way, caller, way
from saas_doctor.model import Unreadable
from saas_doctor.platform import Platform

if TYPE_CHECKING:
    import httpx

_MOST = 64
"""Entries that are tried: a list may be of thousands."""


class Seen(Struct, frozen=True):
    """A listed instance with what comes of calling it."""

    instance: Instance
    way: Way
    service: str = ""
    """The platform's service of that name, where there is one."""
    held_by: str = ""
    """The platform's other service that answers at its address."""


class Instances(Fact, frozen=True):
    """The instances that the registry lists, as the gateway sees them (while it is stopped, as this
    machine does)."""

    url: str
    caller: Caller
    found: tuple[Seen, ...]
    unreadable: str = ""
    """Why those in containers could not be told."""
    left: int = 0
    """How many more the list has, which were not tried."""

    live = True
    limit = 8.0

    @classmethod
    def read(
        cls, platform: Platform, registered: Registered, ports: Ports, containers: Containers
    ) -> Instances:
        gateway = ports.of(gateway_of(platform))
        place, why = Caller(gateway_of(platform)), ""
        try:
            if gateway is not None and gateway.state is State.OWN:
                place = caller(gateway, containers)
        except Unreadable as reason:
            return cls(registered.url, place, (), str(reason))
        names = {normal(name): name for name in platform.config.services}
        # The platform's own first: of a long list not all are tried.
        listed = sorted(registered.instances, key=lambda i: normal(i.name) not in names)
        tried = listed[:_MOST]
        with client() as http, ThreadPoolExecutor(max_workers=16) as pool:
            ways = pool.map(lambda i: _tried(i, place, containers, http), tried)
            try:
                pairs = list(zip(tried, ways, strict=True))
            except Unreadable as reason:
                pairs, why = [], str(reason)
        found = tuple(_seen(i, w, names, ports) for i, w in pairs)
        return cls(registered.url, place, found, why, len(listed) - len(tried))

    @property
    def untold(self) -> str:
        """What of the list could not be told, in words; nothing where all could."""
        more = f"the registry lists {self.left} more, which were not tried" if self.left else ""
        return self.unreadable or more

    def of(self, name: str) -> list[Seen]:
        return [seen for seen in self.found if normal(seen.instance.name) == normal(name)]


def _tried(instance: Instance, place: Caller, containers: Containers, http: httpx.Client) -> Way:
    """What comes of calling an instance as it is listed; raises Unreadable."""
    if not instance.host:
        return Way.NO_URL
    found = way(instance.host, instance.port, place, containers)
    if found is not Way.OPEN or not place.on_the_host:
        return found
    scheme, _, rest = instance.url.rpartition("://")
    path, base = rest.partition("/")[2].strip("/"), f"http://{instance.at}"
    if scheme.lower() == "https":
        answer = ask(http, base, (1.0,))
        # 400 is what a server says that wants https, and gets http.
        speaks_http = answer.status not in (None, 400) and not takes_tls(base)
        return Way.NO_TLS if speaks_http else found
    return Way.NO_PATH if path and _lacks(http, base, path) else found


def _lacks(http: httpx.Client, base: str, path: str) -> bool:
    """Whether a service's own OpenAPI document says that it has nothing below a path."""
    import httpx

    try:
        document = http.get(f"{base}/openapi.json", timeout=1.0).json()
        paths, servers = document["paths"], str(document.get("servers", ""))
    except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError):
        return False
    known = isinstance(paths, dict) and bool(paths)
    return known and path not in servers and not any(f"{p}/".startswith(f"/{path}/") for p in paths)


def _seen(instance: Instance, way: Way, names: Mapping[str, str], ports: Ports) -> Seen:
    service = names.get(normal(instance.name), "")
    return Seen(instance, way, service, _other(instance, service, way, ports))


def _other(instance: Instance, service: str, way: Way, ports: Ports) -> str:
    """The platform's service that holds this one's port, where it is another one.

    A name that the configuration does not know may be another one for the same service.
    """
    if way not in (Way.OPEN, Way.NO_TLS, Way.NO_PATH) or not service:
        return ""
    for name, port in ports.services.items():
        if port.address.port == instance.port and port.state is State.OWN:
            holder = (port.holder.service if port.holder else "") or name
            return "" if service in (holder, name) else holder
    return ""
