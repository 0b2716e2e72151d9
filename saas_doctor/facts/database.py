"""The platform's Postgres: how far a login with its own address comes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from saas_doctor.facts import Fact
from saas_doctor.facts.database_address import Address
from saas_doctor.facts.database_login import UNREACHED, Failure, Trouble, connect, why
from saas_doctor.facts.database_server import Server, ask_by_hand, ask_server, server_in
from saas_doctor.facts.database_start import start
from saas_doctor.facts.postgres_protocol import Endpoint, endpoints
from saas_doctor.model import Unreadable
from saas_doctor.platform import Platform

if TYPE_CHECKING:
    from psycopg import Connection

_PATIENCE = 1.5
"""Seconds that a server which is starting up is waited for."""


class Database(Fact, frozen=True):
    """How far a login with the platform's own address comes.

    `endpoint` is the IP address and port (or the socket's path) that answered, if any. `start`: how
    the server that the platform means is started, where none could be logged in to.
    """

    address: Address
    server: Server | None = None
    failure: Failure | None = None
    endpoint: Endpoint | None = None
    start: str = ""

    live = True
    limit = 9.0

    @classmethod
    def read(cls, address: Address, platform: Platform) -> Database:
        deadline = time.monotonic() + _PATIENCE
        while True:
            found = _look(address)
            starting = found.failure and found.failure.trouble is Trouble.STARTING
            if not starting or time.monotonic() > deadline:
                break
            time.sleep(0.2)  # a server that has just been started says so for a moment
        if found.trouble in UNREACHED:
            return replace(found, start=start(address, platform))
        return found

    @property
    def trouble(self) -> Trouble | None:
        return self.failure.trouble if self.failure else None

    @property
    def failed(self) -> Failure:
        """The failure, where `trouble` says that there is one."""
        assert self.failure
        return self.failure


def _look(address: Address) -> Database:
    answer = ask_by_hand(address)
    server = server_in(answer)
    if answer and server:
        return Database(address, server, endpoint=answer.endpoint)
    # What stands in the way of the services is what stands in the way of their driver.
    import psycopg

    try:
        with connect(address) as connection:
            cockroach = connection.info.parameter_status("crdb_version")
            if cockroach:
                failure = Failure(Trouble.FOREIGN, cockroach, product=cockroach.partition(" v")[0])
                return Database(address, failure=failure, endpoint=_endpoint(connection))
            server, endpoint = ask_server(connection), _endpoint(connection)
            return Database(address, server, endpoint=endpoint)
    except psycopg.OperationalError as error:
        if error.sqlstate:  # after the login: cancelled, disk full, ...
            raise Unreadable(f"{address}: the server ended a query ({error.sqlstate})") from None
        failure, answered = why(address, str(error))
        return Database(address, failure=failure, endpoint=answered)
    except psycopg.Error as error:
        raise Unreadable(f"{address}: a query failed ({error.sqlstate or error})") from None


def _endpoint(connection: Connection[Any]) -> Endpoint:
    info = connection.info
    if info.host.startswith(("/", "@")):
        return endpoints(info.host, info.port)[0]
    return endpoints(info.hostaddr, info.port)[0]
