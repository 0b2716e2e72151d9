"""Frees ports, and moves services to free ones."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.actions.processes import StopContainer, StopProcess
from saas_doctor.facts import Facts
from saas_doctor.facts.addresses import FRONTEND, Addresses
from saas_doctor.facts.bindable import FreePorts
from saas_doctor.facts.frontend_port import FrontendPort
from saas_doctor.facts.port_places import PortPlaces
from saas_doctor.facts.ports import Ports
from saas_doctor.model import Absent, Finding, Risk
from saas_doctor.rules import fix


@fix("NET401", risk=Risk.DESTRUCTIVE)
def free_the_port(finding: Finding) -> Iterator[Action]:
    """Stop what holds the port."""
    data = finding.data
    if data.get("container"):
        yield StopContainer(data["container"], data["name"])
        return
    if not data.get("pid"):
        raise Absent("what holds it can't be seen by this user")
    if data.get("down"):
        raise Absent(f"its local stack would start it again; end that: {data['down']}")
    yield StopProcess(
        data["pid"],
        data["created"],
        data["name"],
        data["restart"],
        Risk(data.get("risk", Risk.DESTRUCTIVE)),
        data.get("silent_at", ""),
        data.get("port", 0),
    )


@fix("NET401", otherwise=True)
def leave_the_port(
    finding: Finding, addresses: Addresses, facts: Facts, free: FreePorts
) -> Iterator[Action]:
    """Move the service to a free port."""
    if finding.data["service"] == FRONTEND:
        port = int(finding.target)
        yield from facts.get(FrontendPort).moved(port, free.like(port))
        return
    if finding.data["own"] or finding.data["service"] not in addresses.services:
        raise Absent("only a service of the platform can be moved")
    yield from _move(finding.data["service"], addresses, facts.get(PortPlaces), free)


@fix("NET404")
def part_the_services(
    finding: Finding, addresses: Addresses, places: PortPlaces, free: FreePorts, ports: Ports
) -> Iterator[Action]:
    """Move one of them to a free port."""
    data = finding.data
    held = ports.of(data["service"])
    runs = held is not None and held.holder is not None and held.holder.service == data["service"]
    yield from _move(data["other"] if runs else data["service"], addresses, places, free)


@fix("NET405")
def take_another_port(
    finding: Finding, addresses: Addresses, places: PortPlaces, free: FreePorts
) -> Iterator[Action]:
    """Move the service to a free port."""
    yield from _move(finding.data["service"], addresses, places, free)


def _move(
    service: str, addresses: Addresses, places: PortPlaces, free: FreePorts
) -> Iterator[Action]:
    address = addresses.services[service]
    ports = [other.port for other in addresses.services.values()]
    new = free.like(address.port)
    # What leads to a port that two services have may be meant for either.
    yield from places.moved(address, new, alone=ports.count(address.port) == 1)
