"""Where each running service looks for the registry, and what is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.addresses import Address
from saas_doctor.facts.answers import Answers, ask, client, require_running
from saas_doctor.facts.containers import Containers
from saas_doctor.facts.dotenv import Settings
from saas_doctor.facts.ports import Port, Ports, State, wrong_service
from saas_doctor.facts.registered import gateway_of, registering_line, registry_of
from saas_doctor.facts.running import Process
from saas_doctor.facts.ways import Caller, Way, caller, is_loopback, way
from saas_doctor.model import Place, Unreadable
from saas_doctor.platform import Platform

KEY = "REGISTRY_URL"


class RegistryCall(Struct, frozen=True):
    """The registry's address that a running service has, where that stands, and where it leads."""

    service: str
    url: str
    where: str
    place: Place | None
    caller: Caller
    way: Way
    other: str = ""
    """What is there instead of the registry: another service of the platform, or no list."""
    https: bool = False
    """Whether it asks for https, which the registry does not speak."""

    @property
    def leads_there(self) -> bool:
        return self.way in (Way.OPEN, Way.UNTOLD) and not self.other and not self.https


class RegistryCalls(Fact, frozen=True):
    """The registry's address as each running service has it, tried from where that one runs."""

    registry: Address
    calls: tuple[RegistryCall, ...]
    unreadable: str = ""

    live = True
    limit = 8.0

    @classmethod
    def read(
        cls,
        platform: Platform,
        settings: Settings,
        ports: Ports,
        answers: Answers,
        containers: Containers,
    ) -> RegistryCalls:
        name = registry_of(platform, settings)
        registry = require_running(name, ports, answers)
        found: list[RegistryCall] = []
        unreadable = ""
        for service in _callers(platform, ports, name):
            try:
                call = _call(service, settings, ports, containers, registry)
            except Unreadable as reason:
                unreadable = str(reason)
            else:
                found += [call] if call else []
        return cls(registry, tuple(found), unreadable)

    def of(self, service: str) -> RegistryCall | None:
        return next((call for call in self.calls if call.service == service), None)


def _callers(platform: Platform, ports: Ports, registry: str) -> Iterator[Port]:
    """The running services that call the registry, as their own code says."""
    for name, config in platform.config.services.items():
        port = ports.of(name)
        if name == registry or port is None or port.state is not State.OWN or wrong_service(port):
            continue
        folder = platform.path(config.directory)
        if registering_line(folder, platform) or (
            name == gateway_of(platform) and any(map(_asks, folder.glob("*.py")))
        ):
            yield port


def _asks(file: object) -> bool:
    try:
        return KEY.encode() in file.read_bytes()[:500_000]  # type: ignore[attr-defined]
    except OSError:
        return False


def _call(
    port: Port, settings: Settings, ports: Ports, containers: Containers, registry: Address
) -> RegistryCall | None:
    """What one service has; None where its address is set nowhere, or is none."""
    name, place = port.address.service, caller(port, containers)
    url, where, spot = "", "", None
    if place.container is not None:
        url = place.container.environment.get(KEY, "")
        where = f"{KEY} of container {place.container.name}"
    elif port.holder and port.holder.container:
        return None  # one that no compose project of the platform made
    else:
        url = _environment(port.holder.process if port.holder else None).get(KEY, "")
        where = f"${KEY} of the running {name}"
        if not url and settings.places.get(KEY):
            url, where = settings.values.get(KEY, ""), settings.where(KEY)
            spot = settings.places[KEY]
    try:
        parts = urlsplit(url)
        number = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError:
        return None
    if not parts.hostname or not number:
        return None  # a check of the settings says so
    found = way(parts.hostname, number, place, containers)
    https = parts.scheme == "https" and found is Way.OPEN and _is(registry, parts.hostname, number)
    other = ""
    if found is Way.OPEN and place.on_the_host and not https:
        other = _other(url, parts.hostname, number, ports, registry)
    return RegistryCall(name, url, where, spot, place, found, other, https)


def _is(registry: Address, host: str, port: int) -> bool:
    return port == registry.port and (is_loopback(host) or host == registry.host)


def _other(url: str, host: str, number: int, ports: Ports, registry: Address) -> str:
    """What answers on this machine in place of the registry; nothing where it may be the one."""
    if not is_loopback(host) or number == registry.port:
        return ""
    for name, port in ports.services.items():
        if port.address.port == number and port.state is State.OWN:
            return name
    base = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}"
    path = "/api/registry/services"
    with client() as http:
        here, there = ask(http, registry.url + path), ask(http, base + path)
    if here.status == 200 and there.status != 200:
        return f"a program without {path} ({there.shown})"
    return ""


def _environment(process: Process | None) -> dict[str, str]:
    """The variables that a process was started with, as far as this user may see them."""
    import psutil

    if process is None:
        return {}
    try:
        return psutil.Process(process.pid).environ()
    except (psutil.Error, OSError):
        return {}


def path_of(url: str) -> str:
    """The path of an address, as it is to stay when host and port are corrected."""
    return re.sub(r"^[a-z]+://[^/?#]*", "", url, flags=re.I)
