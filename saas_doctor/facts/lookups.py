"""Where the addresses in the settings lead from this machine: the names as its resolver has them."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.addresses import Address, Addresses
from saas_doctor.facts.compose import Compose
from saas_doctor.facts.dotenv import EnvFile, Settings
from saas_doctor.model import Place

HOSTS = Path("/etc/hosts")
# Variables that nobody calls at: what browsers send, or what others are told.
_NOT_CALLED = re.compile(
    r"CORS|ORIGIN|ALLOW|ADVERTISED|PUBLIC|FRONT|CALLBACK|REDIRECT|TRUSTED", re.I
)


class Lead(Struct, frozen=True):
    """A setting that leads to a service's port: its host, and the addresses of that name in order."""

    key: str
    value: str
    place: Place | None
    host: str
    address: Address
    found: tuple[str, ...]
    hosts_line: str = ""
    """Where the machine's own table says so."""

    @property
    def shown(self) -> str:
        if self.host in self.found:
            return self.value
        name = ", ".join(self.found) or "no address"
        return f"{self.value}; {self.host} is {name}{self.hosts_line and f' ({self.hosts_line})'}"


class Leads(Fact, frozen=True):
    """The settings that lead to the platform's services, with what their names are on this machine."""

    all: tuple[Lead, ...]

    live = True
    limit = 4.0

    @classmethod
    def read(
        cls,
        env: EnvFile,
        settings: Settings,
        addresses: Addresses,
        compose: Compose,
    ) -> Leads:
        path = env.path
        services = compose.known_services.values()
        if any(file.path == path for service in services for file in service.env_files):
            return cls(())  # containers read it: their names are none of this machine
        values = {s.key: (s.value, s.place) for s in (env.there.settings if env.there else ())}
        told = {k: (v, settings.places.get(k)) for k, v in settings.values.items()}
        wanted = [*_calls({**values, **told}, addresses)]
        hosts = list(dict.fromkeys(host for _, host, _ in wanted))
        with ThreadPoolExecutor(max_workers=8) as pool:
            found = dict(zip(hosts, pool.map(resolve, hosts), strict=True))
        told_all = {**values, **told}
        return cls(
            tuple(
                Lead(key, *told_all[key], host, address, found[host], _line_of(host))
                for key, host, address in wanted
            )
        )


def _calls(
    values: Mapping[str, tuple[str, Place | None]], addresses: Addresses
) -> Iterator[tuple[str, str, Address]]:
    by_port = {address.port: address for address in addresses.services.values()}
    for key, (value, _) in values.items():
        try:
            url = urlsplit(value)
            host, port = url.hostname or "", url.port
        except ValueError:
            continue  # an address that is not valid is reported as such
        if url.scheme not in ("http", "https") or _NOT_CALLED.search(key) or "," in value:
            continue
        address = by_port.get(port or 0)
        if address and host and (_is_local(host) or host in addresses.services):
            yield key, host, address


def _is_local(host: str) -> bool:
    """Whether it is to be this machine: another may use the same ports."""
    return host.startswith(("localhost", "127.")) or host in ("::1", "ip6-localhost", "0.0.0.0")


def resolve(host: str) -> tuple[str, ...]:
    """The addresses in the order in which clients try them; none where the name is not known."""
    try:
        rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple(dict.fromkeys(str(row[4][0]) for row in rows))


def _line_of(host: str) -> str:
    try:
        lines = HOSTS.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    for number, line in enumerate(lines, 1):
        if host in line.partition("#")[0].split()[1:]:
            return f"{HOSTS}:{number}"
    return ""
