"""The platform's Postgres: where it is said to be, and how far a login comes."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from saas_doctor.facts import Fact, postgres_protocol
from saas_doctor.facts.dotenv import Settings
from saas_doctor.model import Absent, Place, Unreadable
from saas_doctor.platform import Platform

if TYPE_CHECKING:
    from psycopg import Connection

CONNECT_LIMIT = 2
"""Seconds for one connection."""

# Read-only, and allowed to an ordinary role. By oid: the name would raise where `public` is gone.
_STATE = """
SELECT current_setting('server_version_num')::int,
       (SELECT system_identifier FROM pg_control_system())::text,
       coalesce(host(inet_server_addr()), ''),
       pg_get_userbyid(datdba),
       coalesce((SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace
                 WHERE nspname = 'public'), false),
       EXISTS (SELECT FROM pg_namespace WHERE nspname = 'public')
FROM pg_database WHERE datname = current_database()
"""


@dataclass(frozen=True)
class Address(Fact):
    """The database's address (DATABASE_URL), taken apart; `host` may be a socket's folder."""

    host: str
    port: int
    role: str
    password: str = field(repr=False)
    database: str
    variable: str
    place: Place | None
    where: str

    @classmethod
    def read(cls, platform: Platform, settings: Settings) -> Address:
        if platform.config.database is None:
            raise Absent("no database is configured")
        key = platform.config.database.variable
        text = settings.values.get(key)
        if not text:
            raise Absent(f"{key} is not set")
        host, port, role, password, database = parse_url(text, key)
        place = settings.places.get(key)
        return cls(host, port, role, password, database, key, place, settings.where(key))

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def parse_url(text: str, key: str) -> tuple[str, int, str, str, str]:
    """Host, port, role, password and database of a SQLAlchemy or libpq address."""
    url = urlsplit(text)
    if url.scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise Absent(f"{key} is no Postgres address ({url.scheme or 'no scheme'})")
    try:
        port = url.port
    except ValueError as error:
        raise Absent(f"{key}: {error}") from None
    query = parse_qs(url.query)
    host = url.hostname or query.get("host", [""])[0] or _default_socket()
    role = unquote(url.username or "") or os.environ.get("USER", "postgres")
    database = unquote(url.path.lstrip("/")) or role
    return (
        host,
        port or int(query.get("port", ["5432"])[0]),
        role,
        unquote(url.password or ""),
        database,
    )


def _default_socket() -> str:
    return "/var/run/postgresql" if os.path.isdir("/var/run/postgresql") else "/tmp"


@dataclass(frozen=True)
class Database(Fact):
    """How far a login with the platform's own address comes, by one connection.

    `reached` is False when nothing that speaks Postgres answers, `refusal` then says what was
    seen. `state` is the SQLSTATE of a refused login. The rest is known after a login only.
    """

    address: Address
    reached: bool
    state: str = ""
    refusal: str = ""
    routine: str = ""
    version: int = 0
    system: str = ""
    server_address: str = ""
    owner: str = ""
    can_create: bool = False
    has_public: bool = True

    live = True
    limit = 6.0

    @classmethod
    def read(cls, address: Address) -> Database:
        import psycopg

        deadline = time.monotonic() + 3
        while True:
            try:
                with connect(address) as connection:
                    return cls(address, True, "", "", "", *_state(connection))
            except psycopg.OperationalError as error:
                answer = _why(cls, address, str(error))
            except psycopg.Error as error:
                raise Unreadable(f"{address}: {error}") from None
            # A server that has just been started says so for a moment.
            if answer.state != "57P03" or time.monotonic() > deadline:
                return answer
            time.sleep(0.2)


def connect(address: Address) -> Connection[Any]:
    """A connection as the services make it."""
    import psycopg

    return psycopg.connect(
        host=address.host,
        port=address.port,
        user=address.role,
        password=address.password or None,
        dbname=address.database,
        connect_timeout=CONNECT_LIMIT,
        autocommit=True,
        application_name="saas-doctor",
    )


def _state(connection: Connection[Any]) -> Any:
    row = connection.execute(_STATE).fetchone()
    assert row
    return row


def _why(kind: type[Database], address: Address, text: str) -> Database:
    """Why the login failed: the SQLSTATE from the server itself, or what the network said."""
    try:
        answer = postgres_protocol.login(
            address.host,
            address.port,
            address.role,
            address.password,
            address.database,
            limit=CONNECT_LIMIT,
        )
    except socket.gaierror:
        return kind(address, False, refusal=f"the host name {address.host} can't be resolved")
    except TimeoutError:
        refusal = f"no answer within {CONNECT_LIMIT} s"
        return kind(address, False, refusal=refusal)
    except OSError as error:
        return kind(address, False, refusal=error.strerror or str(error))
    if not answer.is_postgres:
        return kind(address, False, refusal=f"something that is not Postgres {answer.text}")
    if not answer.state:
        # The probe came in: the driver's own complaint (TLS, parameters) is the truth.
        raise Unreadable(f"{address}: {text.strip().splitlines()[-1]}")
    return kind(address, True, answer.state, answer.text, answer.routine)
