"""Where on this machine the platform wants to listen: its services, its front end, its containers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from msgspec import Struct

from saas_doctor.discovery import VITE_CONFIGS
from saas_doctor.facts import Fact
from saas_doctor.facts.compose import Compose
from saas_doctor.facts.dotenv import Settings
from saas_doctor.model import Absent
from saas_doctor.platform import Platform

FRONTEND = "the front end"
_MAXIMUM = 1_000_000
_STRICT = re.compile(rb"(?m)^[^/\n]*\bstrictPort\s*:\s*true\b")


class Address(Struct, frozen=True):
    """Where a service is to listen, and the key that says so (`""` for the configuration)."""

    service: str
    host: str
    port: int
    variable: str = ""

    @property
    def reached_at(self) -> str:
        """The host to connect to: a wildcard can be listened on, and not called."""
        return {"0.0.0.0": "127.0.0.1", "*": "127.0.0.1", "::": "::1"}.get(self.host, self.host)

    @property
    def url(self) -> str:
        return f"http://{_pair(self.reached_at, self.port)}"

    def __str__(self) -> str:
        return _pair(self.host, self.port)


def _pair(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Addresses(Fact, frozen=True):
    """The address of every service: its keys in the settings, else the configuration."""

    services: Mapping[str, Address]

    @classmethod
    def read(cls, platform: Platform, settings: Settings) -> Addresses:
        found: dict[str, Address] = {}
        for name, service in platform.config.services.items():
            variable = service.port_variable or ""
            text = settings.values.get(variable, "")
            valid = text.isdigit() and 0 < int(text) <= 65535
            port = int(text) if valid else service.port
            host = settings.values.get(service.host_variable or "", "").strip() or service.host
            found[name] = Address(name, host, port, variable)
        if not found:
            raise Absent("no services are configured")
        return cls(found)


class MoreAddresses(Fact, frozen=True):
    """The ports that the front end's dev server and the compose file's containers take.

    `strict`: whether the dev server fails where its port is taken, in place of taking the next one.
    `published` are those of containers that are none of the platform's services.
    """

    frontend: Address | None = None
    strict: bool = False
    published: tuple[Address, ...] = ()

    @classmethod
    def read(cls, platform: Platform, addresses: Addresses, compose: Compose) -> MoreAddresses:
        taken = {address.port for address in addresses.services.values()}
        frontend = _frontend(platform)
        if frontend and frontend.port in taken:
            frontend = None  # the gateway serves it
        strict = bool(frontend) and _is_strict(platform)
        return cls(frontend, strict, tuple(_published(compose, addresses)))

    @property
    def all(self) -> tuple[Address, ...]:
        return (*([self.frontend] if self.frontend else []), *self.published)


def _frontend(platform: Platform) -> Address | None:
    """The one port of this machine at which the front end is opened."""
    frontend = platform.config.frontend
    ports: set[int] = set()
    for origin in frontend.origins if frontend else ():
        try:
            url = urlsplit(origin)
            if url.hostname in ("localhost", "127.0.0.1", "::1") and url.port:
                ports.add(url.port)
        except ValueError:
            continue
    return Address(FRONTEND, "localhost", ports.pop()) if len(ports) == 1 else None


def _is_strict(platform: Platform) -> bool:
    assert platform.config.frontend
    folder = platform.path(platform.config.frontend.directory)
    for name in VITE_CONFIGS:
        try:
            return bool(_STRICT.search((folder / name).read_bytes()[:_MAXIMUM]))
        except OSError:
            continue
    return False


def _published(compose: Compose, addresses: Addresses) -> Iterator[Address]:
    services = compose.known_services.values()
    for service in services:
        if service.name in addresses.services or not service.active:
            continue
        for port in service.ports:
            for number in port.numbers if port.protocol == "tcp" else ():
                yield Address(service.name, port.host or "0.0.0.0", number)
