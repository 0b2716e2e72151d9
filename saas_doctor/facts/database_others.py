"""Further servers that the platform's login leads to: by another address of the host, or compose's port."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from saas_doctor.facts import Fact
from saas_doctor.facts.database import Database
from saas_doctor.facts.database_address import Address
from saas_doctor.facts.database_login import Trouble, connect
from saas_doctor.facts.database_server import Server, ask_server
from saas_doctor.facts.database_start import published
from saas_doctor.facts.postgres_protocol import endpoints
from saas_doctor.platform import Platform


class Other(Struct, frozen=True):
    """A server that lets the platform in: by which address, and what that is."""

    address: Address
    words: str
    server: Server


class OtherServers(Fact, frozen=True):
    """The other servers that take the platform's role, password and database as they are.

    Asked are only those that the services may reach by the same address, and, where that one does
    not let them in, the compose file's own: nobody else is told the password.
    """

    found: tuple[Other, ...]

    live = True
    limit = 9.0

    @classmethod
    def read(cls, database: Database, platform: Platform) -> OtherServers:
        likely = list(_likely(database, platform))[:4]
        found = [other for address, words in likely for other in _ask(address, words)]
        own = database.server.system if database.server else ""
        return cls(tuple(o for o in found if not (own and o.server.system in ("", own))))

    @property
    def right(self) -> Other | None:
        return self.found[0] if self.found else None


def _likely(database: Database, platform: Platform) -> Iterator[tuple[Address, str]]:
    address, answering = database.address, database.endpoint
    if address.is_socket or database.trouble is Trouble.UNKNOWN_HOST:
        return
    try:
        ips = [end.ip for end in endpoints(address.host, address.port)]
    except (socket.gaierror, UnicodeError):
        return
    for ip in dict.fromkeys(ips):
        if answering and ip and ip != answering.ip:
            yield replace(address, host=ip), f"{address.host} by the address {ip}"
    if database.trouble is Trouble.REFUSED and address.is_local:
        # A server may listen by the one family alone, or `localhost` lead to the other one alone.
        for ip in ("127.0.0.1", "::1"):
            if ip not in ips:
                yield replace(address, host=ip), f"the server at {ip}"
    if database.server is None and address.is_local:
        for service, port in published(platform):
            if port and port != address.port:
                yield replace(address, port=port), f"compose service {service}"


def _ask(address: Address, words: str) -> Iterator[Other]:
    import psycopg

    try:
        with connect(address) as connection:
            yield Other(address, words, ask_server(connection))
    except psycopg.Error:
        return
