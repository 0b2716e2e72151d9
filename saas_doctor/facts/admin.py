"""An administrative connection to the platform's own Postgres server, found on this machine."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from saas_doctor.facts import Fact
from saas_doctor.facts.database import Database
from saas_doctor.facts.database_address import Address, parse_url
from saas_doctor.facts.database_login import Trouble
from saas_doctor.facts.doors import AdminError, AsUser, Direct, Door, InContainer, Row, engine
from saas_doctor.facts.postgres_protocol import Endpoint
from saas_doctor.facts.socket_owners import listeners, working_folder
from saas_doctor.model import Absent, Unreadable
from saas_doctor.platform import Platform

if sys.platform != "win32":
    import pwd

if TYPE_CHECKING:
    from docker.models.containers import Container

_CONFIGURED = "admin-url of the configuration"
OWN_ADMIN = "saas_doctor"
"""The first role of the cluster that the local stack makes. The platform's is none that may do everything."""


def own_secret(platform: Platform) -> Path:
    """The file with that role's password; only there where the local stack has made a cluster."""
    return platform.state / "local/postgres-password"


class AdminConnection(Fact, frozen=True):
    """A way into the server that DATABASE_URL names, with more rights, proved to be that server.

    Tried in turn: `admin-url` of the configuration, the platform's own role where it is the
    superuser, the administrator of the local stack's cluster, the server's Unix socket as this system user or (for root) as the server's own, the
    container that publishes the port. `system` is the server's identity, as far as it tells.
    """

    door: Door
    database: str
    superuser: bool = True
    system: str = ""

    live = True
    limit = 15.0

    @classmethod
    def read(cls, platform: Platform, database: Database) -> AdminConnection:
        if database.endpoint is None:
            raise Absent(f"no administrative connection: {database.address} does not answer")
        tried: list[str] = []
        for door in _doors(platform, database, database.endpoint):
            try:
                return _enter(door, database, database.endpoint)
            except AdminError as error:
                tried.append(f"{door}: {error}")
        raise Absent(
            f"no administrative connection to the server at {database.address} was found; tried "
            + ("; ".join(tried) or "no way in on this machine")
            + ". Name one: admin-url under [database] in saas-doctor.toml"
        )

    def run(self, *statements: str, database: str | None = None, limit: float = 90) -> list[Row]:
        """Run statements, each committed by itself; the rows of the last one, as text.

        `database`: where it matters. Raises AdminError with the server's own words.
        """
        return self.door.run(database or self.database, statements, limit)


_IDENTITY = """
SELECT current_setting('is_superuser'), current_setting('port'),
       (SELECT system_identifier FROM pg_control_system())::text
"""


def _identity(door: Door) -> tuple[str, list[Row]]:
    """The database to work from, and what the server says of itself."""
    try:
        return "postgres", door.run("postgres", [_IDENTITY], 5)
    except AdminError as error:
        if error.state:
            raise
        # Refused before the login, with no code told: that database may have been dropped.
        try:
            return "template1", door.run("template1", [_IDENTITY], 5)
        except AdminError:
            raise error from None


def _enter(door: Door, database: Database, endpoint: Endpoint) -> AdminConnection:
    """The connection, if it works and leads to the same server; raises AdminError."""
    home, rows = _identity(door)
    superuser, port, system = rows[0]
    found = AdminConnection(door, home, superuser == "on", system)
    if superuser != "on" and not (isinstance(door, Direct) and door.words == _CONFIGURED):
        raise AdminError("not a superuser")  # but one that the configuration names may be less
    if not _same_server(found, database, endpoint, port):
        raise AdminError("leads to another server, or it can't be proved that it does not")
    return found


def _same_server(found: AdminConnection, database: Database, endpoint: Endpoint, port: str) -> bool:
    """Whether the administrative connection leads to the server that the platform's address names."""
    if database.server and database.server.system and found.system:
        return database.server.system == found.system
    door = found.door
    if isinstance(door, InContainer):
        return True  # chosen by the very address that it publishes
    if isinstance(door, Direct) and not door.address.is_socket:
        here = _resolved(door.address)
        return endpoint.ip is not None and (endpoint.ip, endpoint.address[1]) in here
    folder = door.folder if isinstance(door, AsUser) else _folder_of(door)
    if endpoint.ip is None:
        return os.path.realpath(f"{folder}/.s.PGSQL.{port}") == os.path.realpath(endpoint.name)
    socket_file = f"{folder}/.s.PGSQL.{port}"
    return int(port) == endpoint.address[1] and _listens(found, endpoint, socket_file)


def _folder_of(door: Door) -> str:
    return door.address.host if isinstance(door, Direct) else ""


def _resolved(address: Address) -> set[tuple[str, int]]:
    from saas_doctor.facts.postgres_protocol import endpoints

    try:
        return {(str(e.ip), address.port) for e in endpoints(address.host, address.port)}
    except OSError:
        return set()


def _listens(found: AdminConnection, endpoint: Endpoint, socket_file: str) -> bool:
    """Whether the server behind the socket is the process that listens on the address."""
    try:
        (row,) = found.run("SELECT current_setting('data_directory')", limit=5)
    except AdminError:
        return False
    owners = listeners(endpoint)
    pids = [pid for pid, _ in owners if pid]
    if pids:
        return any(working_folder(pid) == os.path.realpath(row[0]) for pid in pids)
    # Somebody else's process, whose number an ordinary user is not told: its owner is told.
    uid = os.stat(socket_file).st_uid
    return bool(owners) and all(owner == uid for _, owner in owners)


def _doors(platform: Platform, database: Database, endpoint: Endpoint) -> Iterator[Door]:
    config = platform.config.database
    if config and config.admin_url:
        try:
            yield Direct(parse_url(config.admin_url, "admin-url", platform.environ), _CONFIGURED)
        except (Absent, Unreadable) as reason:
            raise Absent(f"no administrative connection: {reason}") from None
    own = database.server.superuser if database.server else database.trouble is Trouble.DATABASE
    if own:
        yield Direct(database.address, "the platform's own login")
    if endpoint.ip is None or _is_local(endpoint.ip):
        if endpoint.ip:
            yield from _own_cluster(platform, endpoint)
        if sys.platform != "win32":
            yield from _sockets_of(endpoint)
        if endpoint.ip:
            yield from _containers(platform, endpoint)


def _own_cluster(platform: Platform, endpoint: Endpoint) -> Iterator[Door]:
    with contextlib.suppress(OSError):
        secret = own_secret(platform)
        password = secret.read_text()
        address = Address(endpoint.address[0], endpoint.address[1], OWN_ADMIN, password, "postgres")
        words = f"the local stack's own cluster, its secret in {platform.relative(secret)}"
        yield Direct(address, words)


def _is_local(ip: str) -> bool:
    import psutil

    plain = ipaddress.ip_address(ip.partition("%")[0])
    if plain.is_loopback:
        return True
    return any(a.address == ip for group in psutil.net_if_addrs().values() for a in group)


def _sockets_of(endpoint: Endpoint) -> Iterator[Door]:
    port = int(endpoint.address[1]) if endpoint.ip else int(endpoint.name.rpartition(".")[2])
    psql = _psql()
    for folder in _socket_folders(endpoint, port):
        owner = _owner(f"{folder}/.s.PGSQL.{port}")
        for role in dict.fromkeys(("postgres", _me(), owner or "postgres")):
            if role != "root":
                yield Direct(Address(folder, port, role, None, "postgres"), f"socket {folder}")
        if os.geteuid() == 0 and psql and owner not in (None, "root"):
            for role in dict.fromkeys((owner, "postgres")):
                yield AsUser(owner, role, folder, port, psql)


def _socket_folders(endpoint: Endpoint, port: int) -> list[str]:
    """Folders with a socket of that port: the usual ones, and the running server's own."""
    folders = ["/var/run/postgresql", "/tmp"]
    folders[:0] = _named_folders(endpoint) if endpoint.ip else [os.path.dirname(endpoint.name)]
    there = [f for f in folders if os.path.exists(f"{f}/.s.PGSQL.{port}")]
    return list({os.path.realpath(f): f for f in reversed(there)}.values())[::-1]


def _named_folders(endpoint: Endpoint) -> list[str]:
    """The socket's folder that the listening server names in its postmaster.pid (its fifth line)."""
    found: list[str] = []
    for pid, _ in listeners(endpoint):
        file = Path(working_folder(pid) if pid else "", "postmaster.pid")
        try:
            lines = file.read_text().splitlines() if pid else []
        except OSError:
            continue
        if len(lines) > 4 and lines[0] == str(pid) and lines[4]:
            found.append(lines[4])
    return found


def _psql() -> str | None:
    """Any psql: on the path, or Debian's, whose programs are not on it."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/psql"))
    return shutil.which("psql") or (str(debian[-1]) if debian else None)


def _owner(path: str) -> str | None:
    try:
        return pwd.getpwuid(os.stat(path).st_uid).pw_name
    except (OSError, KeyError):
        return None


def _me() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return "postgres"


def _containers(platform: Platform, endpoint: Endpoint) -> Iterator[Door]:
    host = platform.environ.get("DOCKER_HOST")
    if not host and not os.path.exists("/var/run/docker.sock"):
        return  # half a second of importing less
    import docker

    try:
        with contextlib.closing(engine(host, 3)) as client:
            yield from [
                d
                for c in client.containers.list(filters={"publish": str(endpoint.address[1])})
                for d in _door(c, host, endpoint)
            ]
    except (docker.errors.DockerException, OSError):
        return


def _door(container: Container, host: str | None, endpoint: Endpoint) -> Iterator[Door]:
    """The way into a container, if it publishes that very address."""
    environ = dict(item.partition("=")[::2] for item in container.attrs["Config"]["Env"] or [])
    for inner, bindings in (container.ports or {}).items():
        for binding in bindings or []:
            ip = binding["HostIp"] or "0.0.0.0"
            family = ":" in str(endpoint.ip)
            fits = ip == endpoint.ip or ip == ("::" if family else "0.0.0.0")
            if fits and binding["HostPort"] == str(endpoint.address[1]) and inner.endswith("/tcp"):
                role = environ.get("POSTGRES_USER") or "postgres"
                port = int(inner.partition("/")[0])
                yield InContainer(host, str(container.id), str(container.name), role, port)
