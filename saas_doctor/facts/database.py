"""The platform's Postgres: where it is said to be, and how far a login comes."""

from __future__ import annotations

import getpass
import os
import re
import secrets
import socket
import sys
import time
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from msgspec import Struct, field
from msgspec.structs import replace

from saas_doctor.facts import Fact
from saas_doctor.facts.compose import Compose
from saas_doctor.facts.dotenv import Settings
from saas_doctor.facts.postgres_protocol import Answer, Endpoint, Outcome, ask, endpoints, greeting
from saas_doctor.model import Absent, Place, Unreadable
from saas_doctor.platform import Platform

if TYPE_CHECKING:
    from psycopg import Connection

CONNECT_LIMIT = 2
"""Seconds for one connection; the least that libpq knows."""
_PATIENCE = 1.5
"""Seconds that a server which is starting up is waited for."""

# As SQLAlchemy reads it: a password may hold / and #, which a plain URL parser stumbles over.
_URL = re.compile(
    r"(?P<scheme>[\w+]+)://"
    r"(?:(?P<user>[^:/]*)(?::(?P<password>[^@]*))?@)?"
    r"(?:\[(?P<ipv6>[^/?]+)\]|(?P<host>[^/:?]+))?(?::(?P<port>[^/?]*))?"
    r"(?:/(?P<database>[^?]*))?(?:\?(?P<query>.*))?",
    re.S,
)
# What libpq itself knows; the rest of an address's query is for SQLAlchemy or another driver.
_OPTIONS = {
    "sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl", "options", "gssencmode",
    "channel_binding", "target_session_attrs", "passfile", "keepalives", "tcp_user_timeout",
}  # fmt: skip
_TLS_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


class Address(Fact, frozen=True):
    """The database's address (DATABASE_URL), taken apart; `host` may be a socket's folder.

    `password` is None where none is given; `options` are those that libpq knows (`sslmode`, ...).
    """

    host: str
    port: int
    role: str
    password: str | None
    database: str
    variable: str = "DATABASE_URL"
    place: Place | None = None
    where: str = "backend/.env"
    options: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Address({self.role}@{self.host}:{self.port}/{self.database})"

    @classmethod
    def read(cls, platform: Platform, settings: Settings) -> Address:
        if platform.config.database is None:
            raise Absent("no database is configured")
        key = platform.config.database.variable
        text = settings.values.get(key)
        if not text:
            raise Absent(f"{key} is not set")
        address = parse_url(text, key, platform.environ)
        return replace(
            address, variable=key, place=settings.places.get(key), where=settings.where(key)
        )

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_socket(self) -> bool:
        return self.host.startswith(("/", "@"))


def parse_url(text: str, key: str, environ: Mapping[str, str] | None = None) -> Address:
    """A SQLAlchemy or libpq address taken apart; what it leaves out is libpq's default.

    Raises Absent for another kind of database and Unreadable for what is no address (neither
    repeats the text, which holds a password).
    """
    environ = environ or {}
    url = _URL.fullmatch(text.strip())
    if url is None:
        raise Unreadable(f"{key} is not an address")
    if url["scheme"].partition("+")[0] not in ("postgresql", "postgres"):
        raise Absent(f"{key} is not a Postgres address (its scheme is {url['scheme']})")
    query = {name: values[-1] for name, values in parse_qs(url["query"] or "").items()}
    # SQLAlchemy spells several hosts as host=a:1&host=b:2; the first is the one that is asked.
    host, _, query_port = _first_host(query.get("host", ""))
    host = unquote(url["ipv6"] or url["host"] or "") or host or environ.get("PGHOST", "")
    number = url["port"] or query.get("port") or query_port or environ.get("PGPORT") or "5432"
    number = number.split(",")[0]
    if not (number.isascii() and number.isdigit() and 0 < int(number) < 65536):
        raise Unreadable(f"{key} has no valid port")
    port = int(number)
    password = unquote(url["password"]) if url["password"] is not None else None
    role = unquote(url["user"] or "") or query.get("user") or environ.get("PGUSER") or _me()
    return Address(
        host.split(",")[0] or _default_socket(port),
        port,
        role,
        password or query.get("password") or environ.get("PGPASSWORD") or None,
        unquote(url["database"] or "") or query.get("dbname") or environ.get("PGDATABASE") or role,
        options=_options(query),
    )


def _first_host(text: str) -> tuple[str, str, str]:
    return (text, "", "") if text.startswith("/") else text.partition(":")


def _options(query: Mapping[str, str]) -> dict[str, str]:
    known = {name: value for name, value in query.items() if name in _OPTIONS}
    if query.get("ssl") in _TLS_MODES:  # asyncpg's word for it
        known.setdefault("sslmode", query["ssl"])
    return known


def _me() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        return "postgres"


def _default_socket(port: int) -> str:
    """Where libpq looks without a host: Debian's folder or the one compiled in."""
    folders = ("/var/run/postgresql", "/tmp")
    there = (f for f in folders if os.path.exists(f"{f}/.s.PGSQL.{port}"))
    return next(there, folders[0] if sys.platform == "linux" else folders[1])


class Trouble(str, Enum):
    """What stands in the way of a login, told without reading any translated text."""

    REFUSED = "refused"
    UNKNOWN_HOST = "unknown host"
    UNREACHABLE = "unreachable"
    SILENT = "silent"
    FOREIGN = "foreign"
    STARTING = "starting"
    FULL = "full"
    CLIENT = "client"  # the driver itself gives up: TLS demanded and not offered, ...
    ROLE = "role"
    NO_LOGIN = "no login"
    ROLE_OR_LOGIN = "role or login"  # one of the two above
    PASSWORD = "password"  # or a missing role: the server hides which
    NO_PASSWORD = "no password"
    RULES = "rules"  # pg_hba.conf, peer, no CONNECT right
    DATABASE = "database"


UNREACHED = (
    Trouble.REFUSED, Trouble.UNKNOWN_HOST, Trouble.UNREACHABLE, Trouble.SILENT, Trouble.FOREIGN,
    Trouble.STARTING, Trouble.FULL, Trouble.CLIENT,
)  # fmt: skip
"""The troubles that come before the server has looked at who logs in."""


class Failure(Struct, frozen=True):
    """Why a login failed. `found`: what was observed, with the SQLSTATE where there is one."""

    trouble: Trouble
    found: str
    state: str = ""


class Server(Struct, frozen=True):
    """What one connection tells. `schema` is where unqualified tables go ("" where nowhere).

    `can_create`: in that schema, or in another one of the platform's own. `uses_others`: the role
    owns no table in `public` and works on tables there that another role made.
    """

    version: int
    system: str
    address: str
    role: str
    database: str
    owner: str
    superuser: bool
    schema: str
    can_create: bool
    has_public: bool
    uses_others: bool


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
            return replace(found, start=_start(address, platform))
        return found

    @property
    def trouble(self) -> Trouble | None:
        return self.failure.trouble if self.failure else None

    @property
    def failed(self) -> Failure:
        """The failure, where `trouble` says that there is one."""
        assert self.failure
        return self.failure


def connect(address: Address, **other: Any) -> Connection[Any]:
    """A connection as the services make it; raises psycopg.Error."""
    import psycopg

    values: dict[str, Any] = {
        **address.options,
        "host": address.host,
        "port": address.port,
        "user": address.role,
        "password": address.password,
        "dbname": address.database,
        "connect_timeout": CONNECT_LIMIT,
        "application_name": "saas-doctor",
        **other,
    }
    return psycopg.connect(**values, autocommit=True)


def _look(address: Address) -> Database:
    import psycopg

    try:
        with connect(address) as connection:
            server, endpoint = _server(connection), _endpoint(connection)
            return Database(address, server, endpoint=endpoint)
    except psycopg.OperationalError as error:
        if error.sqlstate:  # after the login: cancelled, disk full, ...
            raise Unreadable(f"{address}: the server ended a query ({error.sqlstate})") from None
        return _why(address, str(error))
    except psycopg.Error as error:
        raise Unreadable(f"{address}: a query failed ({error.sqlstate or error})") from None


def _endpoint(connection: Connection[Any]) -> Endpoint:
    info = connection.info
    if info.host.startswith(("/", "@")):
        return endpoints(info.host, info.port)[0]
    return endpoints(info.hostaddr, info.port)[0]


# Read-only, and allowed to an ordinary role. By oid: a name would raise where the schema is gone.
_SERVER = """
SELECT current_setting('server_version_num')::int, {system}, coalesce(host(inet_server_addr()), ''),
  current_user, current_database(), pg_get_userbyid(d.datdba),
  (SELECT rolsuper FROM pg_roles WHERE rolname = current_user), coalesce(current_schema(), ''),
  EXISTS (SELECT FROM pg_namespace n WHERE has_schema_privilege(n.oid, 'CREATE') AND
    (n.nspname = current_schema()
     OR n.nspname NOT IN ('public', 'information_schema') AND n.nspname !~ '^pg_')),
  EXISTS (SELECT FROM pg_namespace WHERE nspname = 'public'),
  EXISTS (SELECT FROM pg_class c WHERE c.relkind IN ('r', 'p') AND has_table_privilege(c.oid, 'SELECT')
    AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'public'))
  AND NOT EXISTS (SELECT FROM pg_class c WHERE c.relkind IN ('r', 'p')
    AND c.relowner = (SELECT oid FROM pg_roles WHERE rolname = current_user)
    AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'public'))
FROM pg_database d WHERE d.datname = current_database()
"""
_SYSTEM = "(SELECT system_identifier FROM pg_control_system())::text"


def _server(connection: Connection[Any]) -> Server:
    import psycopg

    try:
        row = connection.execute(_SERVER.format(system=_SYSTEM).encode()).fetchone()
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedFunction):
        # A hosted server may keep its identity to itself.
        row = connection.execute(_SERVER.format(system="''").encode()).fetchone()
    assert row
    return Server(*row)


def _why(address: Address, text: str) -> Database:
    """Why the login failed: the server's own SQLSTATE, or what the network said."""
    try:
        where = endpoints(address.host, address.port)
    except socket.gaierror as error:
        found = f"the host name {address.host} can't be resolved ({error.strerror})"
        return Database(address, failure=Failure(Trouble.UNKNOWN_HOST, found))
    mode = address.options.get("sslmode", "prefer")
    seen: list[Answer] = []
    # One second each: the driver has waited its two already.
    for endpoint in where:
        answer = ask(
            endpoint,
            address.role,
            address.password,
            address.database,
            tls=mode != "disable",
            timeout=1.0,
        )
        seen.append(answer)
        if answer.outcome not in (Outcome.REFUSED, Outcome.UNREACHABLE):
            return Database(address, failure=_judge(address, answer, text), endpoint=endpoint)
    trouble = Trouble.REFUSED
    if any(a.outcome is Outcome.UNREACHABLE for a in seen):
        trouble = Trouble.UNREACHABLE
    found = "; ".join(f"{a.endpoint.name}: {a.text}" for a in seen)
    return Database(address, failure=Failure(trouble, found))


def _judge(address: Address, answer: Answer, text: str) -> Failure:
    if answer.outcome is Outcome.SILENT or answer.outcome is Outcome.FOREIGN:
        words = greeting(answer.endpoint) or answer.text
        known = bool(words) and words != answer.text
        foreign = known or answer.outcome is Outcome.FOREIGN
        said = f"to an HTTP request it answers {words!r}" if known else words
        return Failure(
            Trouble.FOREIGN if foreign else Trouble.SILENT, f"{answer.endpoint.name}: {said}"
        )
    if answer.outcome is Outcome.PASSWORD_WANTED:
        found = f"the server asks for a password ({answer.method}), none is given"
        return Failure(Trouble.NO_PASSWORD, found, "28P01")
    if answer.outcome is Outcome.ERROR:
        return _judge_error(address, answer)
    # By hand the login works, or its method is not spoken here: the driver's complaint is the truth.
    reason = text.strip().splitlines()[-1] if text.strip() else "no reason given"
    return Failure(Trouble.CLIENT, reason.replace(address.password or "\0", "***"))


_BY_STATE = {
    "57P03": Trouble.STARTING,
    "53300": Trouble.FULL,
    "28P01": Trouble.PASSWORD,
    "3D000": Trouble.DATABASE,
}
# The server's function that looks the role up: named alike in every language.
_LOOKS_UP_ROLE = "InitializeSessionUserId"


def _judge_error(address: Address, answer: Answer) -> Failure:
    state = answer.sqlstate
    found = f"SQLSTATE {state}: {answer.fields.get('M', '')}"
    trouble = _BY_STATE.get(state, Trouble.RULES)
    if state == "28000" and answer.authenticated and answer.fields.get("R") == _LOOKS_UP_ROLE:
        # After a right password the role is there, so it has no LOGIN.
        trouble = Trouble.NO_LOGIN if answer.method else _role_or_login(address, answer)
    return Failure(trouble, found, state)


def _role_or_login(address: Address, answer: Answer) -> Trouble:
    """Under trust: whether the role is missing or may not log in; one SQLSTATE stands for both.

    The server names the line of its source, and a role that is certainly missing is answered from
    the same line as this one if this one is missing too.
    """
    nobody = f"saas_doctor_{secrets.token_hex(8)}"
    tls = bool(answer.tls)
    other = ask(answer.endpoint, nobody, None, address.database, tls=tls, timeout=1.0)
    if other.fields.get("R") != _LOOKS_UP_ROLE or not other.fields.get("L"):
        return Trouble.ROLE_OR_LOGIN
    same = other.fields["L"] == answer.fields.get("L")
    return Trouble.ROLE if same else Trouble.NO_LOGIN


_IMAGES = re.compile(r"(?:^|/)(?:postgres|postgis|pgvector|timescaledb)[^/]*$")


def _start(address: Address, platform: Platform) -> str:
    """How the server is started: by the platform's compose file, else by the system."""
    service, port = _compose_service(platform, address.host)
    if service and address.host == service:
        return (
            f"{service} is a name inside compose only; from this machine it is "
            f"localhost:{port or address.port}: correct {address.variable} in {address.where}"
        )
    if not address.is_socket and address.host not in ("localhost", "127.0.0.1", "::1", "0.0.0.0"):
        return f"start Postgres on {address.host}, or correct the host in {address.where}"
    if service and port in (None, address.port):
        file = platform.config.compose_file or ""
        option = (
            ""
            if "/" not in file and file.startswith(("compose.", "docker-compose."))
            else f" -f {file}"
        )
        return f"docker compose{option} up -d {service}"
    system = _system_start()
    if service:
        return f"{system}, or correct the port in {address.where}: compose has {service} on {port}"
    return system


def _system_start() -> str:
    if sys.platform == "darwin":
        return "brew services start postgresql"
    if sys.platform == "win32":
        return "powershell Start-Service postgresql*"
    if os.path.isdir("/run/systemd/system"):
        return "sudo systemctl start postgresql"
    return "sudo service postgresql start"


def _compose_service(platform: Platform, host: str) -> tuple[str, int | None]:
    """The Postgres service of the compose file and its port on this machine; "" without one."""
    services = Compose.read(platform).known_services.values()
    found = [
        (service.name, next((n for port in service.ports for n in port.numbers), None))
        for service in services
        if _IMAGES.search((service.image or service.name).partition(":")[0])
    ]
    # Of several, the one that the address names.
    return next((f for f in found if f[0] == host), found[0] if found else ("", None))
