"""The ways into a Postgres server as its administrator: the driver, psql as another user, a container."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from saas_doctor.facts.database_address import Address
from saas_doctor.facts.database_login import CONNECT_LIMIT, connect
from saas_doctor.redact import redact

if sys.platform != "win32":
    import pwd

if TYPE_CHECKING:
    from docker import DockerClient

Row = list[str]
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
            with contextlib.closing(engine(self.docker_host, limit)) as client:
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


def engine(host: str | None, limit: float) -> DockerClient:
    import docker

    environ = {"DOCKER_HOST": host} if host else {}
    return docker.from_env(timeout=max(1, int(limit)), environment=environ)


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
