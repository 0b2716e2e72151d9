"""An administrative connection to the platform's own Postgres server, found on this machine."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saas_doctor.facts import Fact
from saas_doctor.facts.database import CONNECT_LIMIT, Address, Database, Trouble, connect, parse_url
from saas_doctor.facts.postgres_protocol import Endpoint
from saas_doctor.model import Absent, Unreadable
from saas_doctor.platform import Platform
from saas_doctor.redact import redact

if sys.platform != "win32":
    import pwd

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

Row = list[str]
_CONFIGURED = "admin-url of the configuration"
_FIELD, _RECORD = "\x1f", "\x1e"
# As a superuser in somebody's database: nothing of theirs may stand in for the server's own
# functions; and a lock that somebody holds must not be waited for without end.
_SETTINGS = {"search_path": "pg_catalog", "lock_timeout": "5s", "statement_timeout": "60s"}


class AdminError(Exception):
    """The administrative connection, or a statement on it, failed; `state` is the SQLSTATE."""

    def __init__(self, message: str, state: str = "") -> None:
        super().__init__(message)
        self.state = state


class Door(ABC):
    """One way into a server, with rights that the platform's own role may not have."""

    command: str
    """How a person goes the same way."""

    @abstractmethod
    def run(self, database: str, statements: Sequence[str], limit: float) -> list[Row]:
        """Run statements, each committed by itself; the rows of the last one, as text.

        Raises AdminError with the server's own words.
        """


@dataclass(frozen=True)
class Direct(Door):
    """By the driver, as this system user."""

    address: Address
    words: str

    def __str__(self) -> str:
        return f"{self.words} (role {self.address.role})"

    @property
    def command(self) -> str:  # type: ignore[override]
        return f"psql -h {self.address.host} -p {self.address.port} -U {self.address.role}"

    def run(self, database: str, statements: Sequence[str], limit: float) -> list[Row]:  # noqa: ARG002
        import psycopg

        try:
            with connect(self.address, dbname=database, options=_options()) as connection:
                rows: list[Row] = []
                for statement in statements:
                    cursor = connection.execute(statement.encode())
                    rows = (
                        [[_text(value) for value in row] for row in cursor]
                        if cursor.description
                        else []
                    )
                return rows
        except psycopg.Error as error:
            detail = error.diag.message_detail if error.sqlstate else ""
            text = (error.diag.message_primary if error.sqlstate else "") or str(error)
            raise AdminError(_one_line(f"{text}\n{detail or ''}"), error.sqlstate or "") from None


@dataclass(frozen=True)
class AsUser(Door):
    """By psql, run as the system user that the server runs as, whom it lets in by peer."""

    user: str
    role: str
    folder: str
    port: int
    psql: str

    def __str__(self) -> str:
        return f"socket {self.folder} (role {self.role}, as the system user {self.user})"

    @property
    def command(self) -> str:  # type: ignore[override]
        return f"sudo -u {self.user} psql -h {self.folder} -p {self.port}"

    def run(self, database: str, statements: Sequence[str], limit: float) -> list[Row]:
        where = ["-h", self.folder, "-p", str(self.port), "-U", self.role, "-d", database]
        environ = {
            "PATH": os.defpath,
            "LC_ALL": "C.UTF-8",
            "PGCLIENTENCODING": "UTF8",
            "PGCONNECT_TIMEOUT": str(CONNECT_LIMIT),
            "PGOPTIONS": _options(),
        }
        try:
            done = subprocess.run(
                [self.psql, *_PSQL, *where],
                # By standard input: nothing of it is seen in the list of processes.
                input=_script(statements).encode(),
                user=self.user,
                group=pwd.getpwnam(self.user).pw_gid,
                extra_groups=[],
                cwd="/",
                env=environ,
                capture_output=True,
                timeout=limit,
                check=False,
            )
        except (OSError, subprocess.SubprocessError, LookupError) as error:
            raise AdminError(_one_line(str(error))) from None
        return _answer(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class InContainer(Door):
    """By psql inside the container that publishes the port."""

    docker_host: str | None
    container: str
    name: str
    role: str
    port: int

    def __str__(self) -> str:
        return f"container {self.name} (role {self.role})"

    @property
    def command(self) -> str:  # type: ignore[override]
        return f"docker exec -it {self.name} psql -U {self.role}"

    def run(self, database: str, statements: Sequence[str], limit: float) -> list[Row]:
        import docker

        argv = ["psql", *_PSQL, "-p", str(self.port), "-U", self.role, "-d", database]
        environ = {"PGOPTIONS": _options(), "PGCONNECT_TIMEOUT": str(CONNECT_LIMIT)}
        try:
            with contextlib.closing(_docker(self.docker_host, limit)) as client:
                code, out, errors = _execute(client, self.container, argv, environ, statements)
        except (docker.errors.DockerException, OSError) as error:
            raise AdminError(_one_line(str(error))) from None
        return _answer(code, out, errors)


_PSQL = (
    "-X", "-q", "-t", "-A", "-F", _FIELD, "-R", _RECORD, "-v", "ON_ERROR_STOP=1",
    "-v", "VERBOSITY=verbose",
)  # fmt: skip


def _options() -> str:
    return " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())


def _script(statements: Sequence[str]) -> str:
    return ";\n".join(statements) + ";\n"


def _answer(code: int, out: bytes, errors: bytes) -> list[Row]:
    if code:
        text = errors.decode("utf-8", "replace")
        # "ERROR:  42501: ...", whatever the first word is in the server's language.
        state = re.search(r":\s+([0-9A-Z]{5}): ", text)
        raise AdminError(_one_line(text), state.group(1) if state else "")
    records = out.decode("utf-8", "replace").removesuffix("\n").split(_RECORD)
    return [record.split(_FIELD) for record in records] if records != [""] else []


def _text(value: Any) -> str:
    """A value as psql prints it, so that every way gives the same rows."""
    if value is None:
        return ""
    return {True: "t", False: "f"}[value] if isinstance(value, bool) else str(value)


def _one_line(text: str) -> str:
    """An error's first lines as one, without secrets and the place in the server's source."""
    lines = [line.strip() for line in text.strip().splitlines()]
    kept = [line for line in lines if line and not line.startswith(("LOCATION:", "LINE "))]
    return redact(" ".join(kept[:4])) or "no reason given"


class AdminConnection(Fact, frozen=True):
    """A way into the server that DATABASE_URL names, with more rights, proved to be that server.

    Tried in turn: `admin-url` of the configuration, the platform's own role where it is the
    superuser, the server's Unix socket as this system user or (for root) as the server's own, the
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
    owners = _listeners(endpoint)
    pids = [pid for pid, _ in owners if pid]
    if pids:
        return any(_working_folder(pid) == os.path.realpath(row[0]) for pid in pids)
    # Somebody else's process, whose number an ordinary user is not told: its owner is told.
    uid = os.stat(socket_file).st_uid
    return bool(owners) and all(owner == uid for _, owner in owners)


def _listeners(endpoint: Endpoint) -> list[tuple[int | None, int | None]]:
    """The processes (where they may be seen) and the owners of what listens on the address."""
    import psutil

    wildcard = "::" if endpoint.ip and ":" in endpoint.ip else "0.0.0.0"
    port = endpoint.address[1]
    try:
        every = [(c.pid, c) for c in psutil.net_connections(kind="tcp")]
    except psutil.AccessDenied:  # macOS, for an ordinary user: ask the processes that may be asked
        every = [(pid, c) for pid in _postgres_processes() for c in _connections(pid)]
    listening = [
        (pid, c.laddr.ip)
        for pid, c in every
        if c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port
    ]
    owners = _socket_owners()
    for ip in (endpoint.ip, wildcard):
        found = [(pid, owners.get((ip or "", port))) for pid, at in listening if at == ip]
        if found:
            return found
    return []


def _postgres_processes() -> list[int]:
    import psutil

    names = ("postgres", "postmaster")
    return [p.pid for p in psutil.process_iter(["name"]) if (p.info["name"] or "") in names]


def _connections(pid: int) -> list[Any]:
    import psutil

    try:
        process = psutil.Process(pid)
        # The name before psutil 6.
        ask = getattr(process, "net_connections", None) or process.connections
        return list(ask(kind="tcp"))
    except psutil.Error:
        return []


def _socket_owners() -> dict[tuple[str, int], int]:
    """Linux: the user ids that own the listening sockets, by address; readable by everybody."""
    owners: dict[tuple[str, int], int] = {}
    for file in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(file).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            words = line.split()
            if words[3] == "0A":  # listening
                address, _, port = words[1].partition(":")
                owners[_address(address), int(port, 16)] = int(words[7])
    return owners


def _address(text: str) -> str:
    """An address as the kernel prints it: 32-bit words in the machine's byte order."""
    words = [text[i : i + 8] for i in range(0, len(text), 8)]
    data = b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in words)
    return str(ipaddress.ip_address(data))


def _working_folder(pid: int) -> str:
    import psutil

    try:
        # A server works in its data directory.
        return os.path.realpath(psutil.Process(pid).cwd())
    except psutil.Error:
        return ""


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
        if sys.platform != "win32":
            yield from _sockets_of(endpoint)
        if endpoint.ip:
            yield from _containers(platform, endpoint)


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
    for pid, _ in _listeners(endpoint):
        file = Path(_working_folder(pid) if pid else "", "postmaster.pid")
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


def _docker(host: str | None, limit: float) -> DockerClient:
    import docker

    environ = {"DOCKER_HOST": host} if host else {}
    return docker.from_env(timeout=max(1, int(limit)), environment=environ)


def _containers(platform: Platform, endpoint: Endpoint) -> Iterator[Door]:
    host = platform.environ.get("DOCKER_HOST")
    if not host and not os.path.exists("/var/run/docker.sock"):
        return  # half a second of importing less
    import docker

    try:
        with contextlib.closing(_docker(host, 3)) as client:
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


def _execute(
    client: DockerClient,
    container: str,
    argv: list[str],
    environ: dict[str, str],
    statements: Sequence[str],
) -> tuple[int, bytes, bytes]:
    """Run psql in a container; the statements go in by its standard input, as with any psql."""
    import socket

    from docker.utils.socket import consume_socket_output, demux_adaptor, frames_iter

    api = client.api
    made = api.exec_create(container, argv, stdin=True, environment=environ)
    stream: Any = api.exec_start(made["Id"], socket=True)
    # A Unix socket comes wrapped; its end of input is told by closing one direction only.
    inner = getattr(stream, "_sock", stream)
    inner.sendall(_script(statements).encode())
    inner.shutdown(socket.SHUT_WR)
    frames = (demux_adaptor(*frame) for frame in frames_iter(stream, False))  # type: ignore[no-untyped-call]
    out, errors = consume_socket_output(frames, demux=True)
    stream.close()
    code = api.exec_inspect(made["Id"])["ExitCode"]
    return int(code or 0), out or b"", errors or b""


class RoleState(Fact, frozen=True):
    """What is known of the platform's role, where its login was refused.

    `known` is False where only an administrator could tell and none was found, for the `reason`.
    `asked`: who told. `command`: how a person gets in as an administrator ("" where unknown).
    """

    known: bool
    reason: str = ""
    role_exists: bool = True
    can_login: bool = True
    expired: bool = False
    has_password: bool = True
    asked: str = ""
    command: str = ""

    live = True
    limit = 18.0

    @classmethod
    def read(cls, platform: Platform, database: Database) -> RoleState:
        trouble = database.trouble
        if trouble in (Trouble.ROLE, Trouble.NO_LOGIN):
            exists = trouble is Trouble.NO_LOGIN
            return cls(True, role_exists=exists, can_login=False, asked="the server itself")
        if trouble not in _HIDDEN:
            return cls(True, asked="the server itself")
        try:
            admin = AdminConnection.read(platform, database)
            rows = admin.run(_ROLE.format(role=literal(database.address.role)), limit=5)
            has_password = True
            if rows and admin.superuser:
                query = f"SELECT rolpassword IS NOT NULL FROM pg_authid WHERE rolname = {literal(database.address.role)}"
                has_password = admin.run(query, limit=5)[0][0] == "t"
        except (Absent, AdminError) as reason:
            return cls(False, str(reason))
        asked, command = str(admin.door), admin.door.command
        if not rows:
            return cls(True, role_exists=False, can_login=False, asked=asked, command=command)
        login, expired = (value == "t" for value in rows[0])
        return cls(True, "", True, login, expired, has_password, asked, command)


_HIDDEN = (Trouble.PASSWORD, Trouble.NO_PASSWORD, Trouble.RULES, Trouble.ROLE_OR_LOGIN)
_ROLE = "SELECT rolcanlogin, coalesce(rolvaliduntil < now(), false) FROM pg_roles WHERE rolname = {role}"


def literal(text: str) -> str:
    """The text as an SQL literal."""
    from psycopg import sql

    return sql.Literal(text).as_string(None)


def identifier(name: str) -> str:
    """The name as an SQL identifier."""
    from psycopg import sql

    return sql.Identifier(name).as_string(None)
