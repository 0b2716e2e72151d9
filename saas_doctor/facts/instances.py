"""Whether what the registry lists can be reached from where the gateway runs."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.containers import Containers
from saas_doctor.facts.ports import Ports, State
from saas_doctor.facts.registered import Instance, Registered, gateway_of, normal
from saas_doctor.facts.ways import Caller, Way, caller, way
from saas_doctor.model import Unreadable
from saas_doctor.platform import Platform


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
        with ThreadPoolExecutor(max_workers=16) as pool:
            ways = pool.map(
                lambda i: way(i.host, i.port, place, containers), registered.instances[:64]
            )
            try:
                pairs = list(zip(registered.instances, ways, strict=False))
            except Unreadable as reason:
                pairs, why = [], str(reason)
        names = {normal(name): name for name in platform.config.services}
        return cls(registered.url, place, tuple(_seen(i, w, names, ports) for i, w in pairs), why)

    def of(self, name: str) -> list[Seen]:
        return [seen for seen in self.found if normal(seen.instance.name) == normal(name)]


def _seen(instance: Instance, way: Way, names: Mapping[str, str], ports: Ports) -> Seen:
    service = names.get(normal(instance.name), "")
    return Seen(instance, way, service, _other(instance, service, way, ports))


def _other(instance: Instance, service: str, way: Way, ports: Ports) -> str:
    """The platform's service that holds this one's port, where it is another one.

    A name that the configuration does not know may be another one for the same service.
    """
    if way is not Way.OPEN or not service:
        return ""
    for name, port in ports.services.items():
        if port.address.port == instance.port and port.state is State.OWN:
            holder = (port.holder.service if port.holder else "") or name
            return "" if service in (holder, name) else holder
    return ""
