"""States of a Postgres server that faults are made of: rules, TLS, standby, stopping, strangers."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

import psycopg

from tests.testbed.ports import free_port
from tests.testbed.postgres import Cluster, DebianCluster

if TYPE_CHECKING:
    from tests.faults import Copy, Inject

State = Callable[["Copy"], "AbstractContextManager[None]"]
"""An injection that lasts as long as its context."""


def hba(*lines: str) -> State:
    """Rules for the copy's own role and database, before all others, while it lasts.

    `{who}` stands for the database and the role.
    """

    @contextmanager
    def state(copy: Copy) -> Iterator[None]:
        file = copy.cluster.data / "pg_hba.conf"
        former = file.read_text()
        who = f"{copy.database} {copy.role}"
        file.write_text("\n".join(line.format(who=who) for line in lines) + "\n" + former)
        copy.cluster.reload()
        try:
            yield
        finally:
            file.write_text(former)
            copy.cluster.reload()

    return state


@contextmanager
def tls(copy: Copy) -> Iterator[None]:
    """The server has TLS, with a certificate of its own making for another name."""
    key, certificate = copy.cluster.data / "server.key", copy.cluster.data / "server.crt"
    if not key.exists():
        argv = ["openssl", "req", "-new", "-x509", "-days", "2", "-nodes", "-subj", "/CN=db.test"]
        argv += ["-out", str(certificate), "-keyout", str(key)]
        subprocess.run(argv, check=True, capture_output=True, stdin=subprocess.DEVNULL)
        key.chmod(0o600)
        if copy.cluster.account:
            for file in (key, certificate):
                os.chown(file, copy.cluster.account.pw_uid, copy.cluster.account.pw_gid)
    _set(copy.cluster, "ssl", "on")
    try:
        yield
    finally:
        _set(copy.cluster, "ssl", "off")


def _set(cluster: Cluster, name: str, value: str) -> None:
    cluster.sql(f"ALTER SYSTEM SET {name} = {value}")
    cluster.reload()


def together(*states: State) -> State:
    """Several states, one after another."""

    @contextmanager
    def state(copy: Copy) -> Iterator[None]:
        with ExitStack() as stack:
            for one in states:
                stack.enter_context(one(copy))
            yield

    return state


@contextmanager
def moved(copy: Copy, own: Cluster | None = None, **options: str) -> Iterator[Cluster]:
    """The copy's role and database on a server of their own (this one, or one with these settings)."""
    own = own or Cluster(options=options)
    former = copy.cluster
    try:
        own.sql(f"CREATE ROLE {copy.role} LOGIN PASSWORD '{copy.password}'")
        own.sql(f"CREATE DATABASE {copy.database} OWNER {copy.role}")
        for name in (".env", ".env.example"):
            file = copy.path(f"backend/{name}")
            file.write_text(file.read_text().replace(f":{former.port}/", f":{own.port}/"))
        copy.cluster = own
        yield own
    finally:
        copy.cluster = former
        own.close()


@contextmanager
def standby(copy: Copy, *, hot: bool = True) -> Iterator[None]:
    """A server that waits for another one's changes; not hot, it lets nobody in."""
    with moved(copy, hot_standby="on" if hot else "off") as own:
        own.stop("fast")
        (own.data / "standby.signal").touch()
        own.start(wait=hot)
        if not hot:
            own.wait_for_answer("57P03")
        yield


@contextmanager
def stopping(copy: Copy) -> Iterator[None]:
    """A server that shuts down as soon as its last session ends, which it does not."""
    with moved(copy) as own, psycopg.connect(own.url(copy.role, copy.password, copy.database)):
        own.stop("smart", wait=False)
        own.wait_for_answer("57P03")
        yield


@contextmanager
def stopped_by_debian(copy: Copy) -> Iterator[None]:
    """The system's own cluster of the copy's, which is down."""
    with moved(copy, DebianCluster()) as own:
        own.stop("fast")
        yield


def full(connections: int, *, keep: int = 3) -> State:
    """A server with so few connections, all of which are taken but those that are reserved."""

    @contextmanager
    def state(copy: Copy) -> Iterator[None]:
        options = {
            "max_connections": str(connections),
            "superuser_reserved_connections": str(keep),
            "max_wal_senders": "0",
        }
        with moved(copy, None, **options) as own, ExitStack() as held:
            role, password = "other", "other"
            own.sql(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'")
            with suppress(psycopg.OperationalError):
                for _ in range(connections + 1):
                    url = own.url(role, password, "postgres")
                    held.enter_context(psycopg.connect(url))
            yield

    return state


@contextmanager
def small(copy: Copy) -> Iterator[None]:
    """A server that takes few connections."""
    with moved(copy, max_connections="8", max_wal_senders="0"):
        yield


def sessions(count: int) -> State:
    """So many sessions of the copy's own role in its database."""

    @contextmanager
    def state(copy: Copy) -> Iterator[None]:
        with ExitStack() as held:
            for _ in range(count):
                url = copy.cluster.url(copy.role, copy.password, copy.database)
                held.enter_context(psycopg.connect(url))
            yield

    return state


def also(state: State, *injections: Inject) -> State:
    """A state, and in it what these injections do."""

    @contextmanager
    def both(copy: Copy) -> Iterator[None]:
        with state(copy):
            for inject in injections:
                assert inject(copy) is None
            yield

    return both


def error(**fields: str) -> bytes:
    """A server's refusal, by the letters of its fields."""
    body = b"".join(f"{key}{value}\0".encode() for key, value in fields.items()) + b"\0"
    return b"E" + struct.pack("!i", len(body) + 4) + body


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


AUTHENTICATED = message(b"R", struct.pack("!i", 0))
MARIADB = b"\x59\0\0\0\x0a5.5.5-10.11.6-MariaDB-0+deb12u1\0" + bytes(50)
MYSQL = b"\x4a\0\0\0\x0a8.0.35\0" + bytes(50)
COCKROACH = (
    AUTHENTICATED
    + message(b"S", b"server_version\x0013.0.0\0")
    + message(b"S", b"crdb_version\0CockroachDB CCL v23.1.11 (x86_64-pc-linux-gnu)\0")
    + message(b"S", b"client_encoding\0UTF8\0")
    + message(b"Z", b"I")
)


@contextmanager
def speaking(
    port: int, answers: Callable[[int], bytes], *, host: str = "127.0.0.1", at_once: bool = False
) -> Iterator[None]:
    """A server without TLS that answers every login with these bytes (by the login's number).

    `at_once`: it speaks first, and does not wait for a login.
    """
    server = socket.create_server((host, port))
    over = threading.Event()
    server.settimeout(0.1)

    def serve() -> None:
        number = 0
        while not over.is_set():
            try:
                connection = server.accept()[0]
            except TimeoutError:
                continue
            with connection, suppress(OSError):
                connection.settimeout(2)
                if at_once:
                    connection.sendall(answers(number))
                    connection.recv(1000)
                    continue
                data = connection.recv(1000)
                while data[4:6] == b"\x04\xd2":  # asks for TLS or Kerberos
                    connection.sendall(b"N")
                    data = connection.recv(1000)
                if data:
                    connection.sendall(answers(number))
                    number += 1
                    connection.settimeout(0.3)
                    connection.recv(1000)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        server.close()


def stranger(answer: bytes, *, at_once: bool = False) -> State:
    """Something else on the port that the copy's address names."""

    @contextmanager
    def state(copy: Copy) -> Iterator[None]:
        port = free_port()
        at_port(copy, port)
        with speaking(port, lambda _: answer, at_once=at_once):
            yield

    return state


PUBLISHED = '"127.0.0.1:5432:5432"'


def published_at(copy: Copy, port: int) -> None:
    """Have the compose file publish its server there, with the copy's role and database."""
    file = copy.path("docker-compose.yml")
    text = file.read_text()
    assert text.count(PUBLISHED) == 1
    text = text.replace(PUBLISHED, f'"127.0.0.1:{port}:5432"')
    for old, new in (
        ("saas_user", copy.role),
        ("saas_password", copy.password),
        ("saas_platform", copy.database),
    ):
        text = text.replace(old, new)
    file.write_text(text)


def other_named(*statements: str) -> State:
    """The address names another server, on which these are run; the copy's own is compose's."""

    @contextmanager
    def state(copy: Copy) -> Iterator[None]:
        other = Cluster()
        try:
            for statement in statements:
                other.sql(statement.format(role=copy.role, database=copy.database))
            published_at(copy, copy.cluster.port)
            at_port(copy, other.port)
            yield
        finally:
            other.close()

    return state


@contextmanager
def other_published(copy: Copy) -> Iterator[None]:
    """Compose publishes another server, which has the copy's role and database too."""
    other = Cluster()
    try:
        other.sql(f"CREATE ROLE {copy.role} LOGIN PASSWORD '{copy.password}'")
        other.sql(f"CREATE DATABASE {copy.database} OWNER {copy.role}")
        published_at(copy, other.port)
        yield
    finally:
        other.close()


def at_port(copy: Copy, port: int) -> None:
    file = copy.path("backend/.env")
    text = file.read_text()
    assert text.count(f":{copy.cluster.port}/") == 1
    file.write_text(text.replace(f":{copy.cluster.port}/", f":{port}/"))
