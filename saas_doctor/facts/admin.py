"""An administrative connection to the platform's own Postgres server, found on this machine."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saas_doctor.facts import Fact
from saas_doctor.facts.database import CONNECT_LIMIT, Address, Database
from saas_doctor.model import Absent
from saas_doctor.platform import Platform
from saas_doctor.redact import redact

Row = list[Any]


@dataclass(frozen=True)
class Door:
    """One way in: connection parameters, and the system user who may use them (None: this one)."""

    where: dict[str, Any]
    user: str | None = None

    def __str__(self) -> str:
        if "conninfo" in self.where:
            return "admin-url of the configuration"
        who = f" as the system user {self.user}" if self.user else ""
        return f"role {self.where.get('user', '?')} by {self.where.get('host', '?')}{who}"


@dataclass(frozen=True)
class AdminConnection(Fact):
    """A superuser's way into the server that DATABASE_URL names, proved to be that server.

    Tried in turn: `admin-url` of the configuration, the server's Unix socket as its own system
    user or as this one, the container that publishes the port.
    """

    door: Door
    address: Address

    live = True
    limit = 10.0

    @classmethod
    def read(cls, platform: Platform, address: Address) -> AdminConnection:
        tried: list[str] = []
        for door in _doors(platform, address):
            try:
                rows = _ask(door, "postgres", _PROOF)
            except AdminError as error:
                tried.append(f"{door} ({error})")
                continue
            superuser, port = rows[0]
            # The socket's name and the setting both hold the port: it is that server.
            if superuser == "on" and int(port) == address.port:
                return cls(door, address)
            tried.append(f"{door} (not a superuser of the server on port {address.port})")
        raise Absent(
            f"no administrative connection to Postgres on {address} was found"
            + (f"; tried {'; '.join(tried)}" if tried else "")
        )

    def run(self, *statements: str, database: str = "postgres") -> list[Row]:
        """Run statements, each committed by itself; the rows of the last one, as text.

        Raises AdminError with the server's own words.
        """
        return _ask(self.door, database, *statements)


class AdminError(Exception):
    """The administrative connection, or a statement on it, failed."""


_PROOF = "SELECT current_setting('is_superuser'), current_setting('port')"


def _ask(door: Door, database: str, *statements: str) -> list[Row]:
    where = {**door.where, "dbname": database, "connect_timeout": CONNECT_LIMIT, "autocommit": True}
    if door.user is None:
        return _ask_here(where, statements)
    return _ask_as(door.user, where, statements)


def _ask_here(where: dict[str, Any], statements: Sequence[str]) -> list[Row]:
    import psycopg

    try:
        with psycopg.connect(**where) as connection:
            rows: list[Row] = []
            for statement in statements:
                cursor = connection.execute(statement.encode())
                rows = [[_text(v) for v in row] for row in cursor] if cursor.description else []
            return rows
    except psycopg.Error as error:
        raise AdminError(_first_line(str(error))) from None


def _ask_as(user: str, where: dict[str, Any], statements: Sequence[str]) -> list[Row]:
    """The same by psql, as the server's own system user, who comes in by peer.

    The statements go in by standard input: nothing of them is seen in the list of processes.
    """
    psql = shutil.which("psql")
    if psql is None:
        raise AdminError("psql is not installed")
    argv = [psql, "-X", "-q", "-t", "-A", "-F", "\t", "-v", "ON_ERROR_STOP=1"]
    argv += ["-h", where["host"], "-p", str(where["port"]), "-U", where["user"]]
    try:
        done = subprocess.run(
            [*argv, "-d", where["dbname"]],
            input=";\n".join(statements) + ";\n",
            user=user,
            group=pwd.getpwnam(user).pw_gid,
            extra_groups=[],
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "PGCONNECT_TIMEOUT": str(CONNECT_LIMIT)},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.SubprocessError, LookupError) as error:
        raise AdminError(str(error)) from None
    if done.returncode:
        raise AdminError(_first_line(done.stderr))
    return [line.split("\t") for line in done.stdout.splitlines()]


def _text(value: Any) -> str:
    """A value as psql prints it, so that both ways give the same rows."""
    if value is None:
        return ""
    return {True: "t", False: "f"}[value] if isinstance(value, bool) else str(value)


def _first_line(text: str) -> str:
    return redact(text.strip().splitlines()[0] if text.strip() else "no reason given")


def _doors(platform: Platform, address: Address) -> Iterator[Door]:
    config = platform.config.database
    if config and config.admin_url:
        yield Door({"conninfo": config.admin_url})
    if not _is_local(address.host):
        return
    for folder in _socket_folders(address.port):
        where = {"host": folder, "port": address.port}
        owner = _owner(f"{folder}/.s.PGSQL.{address.port}")
        if os.geteuid() == 0 and owner not in (None, "root"):
            for role in dict.fromkeys(("postgres", owner)):
                yield Door({**where, "user": role}, owner)
        else:
            for role in dict.fromkeys(("postgres", _me())):
                yield Door({**where, "user": role})


def _is_local(host: str) -> bool:
    return host.startswith("/") or host in ("localhost", "127.0.0.1", "::1")


def _socket_folders(port: int) -> list[str]:
    """Folders with a socket of that port: the usual ones, and the running server's own."""
    folders = ["/var/run/postgresql", "/run/postgresql", "/tmp", *_postmasters(port)]
    there = [f for f in folders if os.path.exists(f"{f}/.s.PGSQL.{port}")]
    return list({os.path.realpath(f): f for f in there}.values())


def _postmasters(port: int) -> Iterator[str]:
    """The socket folder that the server listening on this port names in its postmaster.pid."""
    import psutil

    for process in psutil.process_iter(["name", "cwd"]):
        name, cwd = process.info["name"] or "", process.info["cwd"]
        if not cwd or not name.startswith(("postgres", "postmaster")):
            continue
        try:
            lines = (Path(cwd) / "postmaster.pid").read_text().splitlines()
        except OSError:
            continue
        if len(lines) > 4 and lines[3] == str(port) and lines[4]:
            yield lines[4]


def _owner(path: str) -> str | None:
    try:
        return pwd.getpwuid(os.stat(path).st_uid).pw_name
    except (OSError, KeyError):
        return None


def _me() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


@dataclass(frozen=True)
class RoleState(Fact):
    """What the server's own catalogue says of the role and the database, by an administrator.

    Asked only after a refused login. `known` is False, with `reason`, where no administrative
    connection was found.
    """

    known: bool
    reason: str = ""
    role_exists: bool = False
    can_login: bool = False
    expired: bool = False
    database_exists: bool = False

    live = True
    limit = 12.0

    @classmethod
    def read(cls, platform: Platform, database: Database) -> RoleState:
        if not database.state:
            return cls(False, "the login was not refused")
        address = database.address
        values = {"role": literal(address.role), "database": literal(address.database)}
        try:
            admin = AdminConnection.read(platform, address)
            rows = admin.run(_CATALOGUE.format(**values))
        except (Absent, AdminError) as reason:
            return cls(False, str(reason))
        exists, login, expired, there = (value == "t" for value in rows[0])
        return cls(True, str(admin.door), exists, login, expired, there)


_CATALOGUE = """
SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = {role}),
       EXISTS (SELECT FROM pg_roles WHERE rolname = {role} AND rolcanlogin),
       EXISTS (SELECT FROM pg_roles WHERE rolname = {role} AND rolvaliduntil < now()),
       EXISTS (SELECT FROM pg_database WHERE datname = {database})
"""


def literal(text: str) -> str:
    """The text as an SQL literal, safe whatever standard_conforming_strings is."""
    quoted = text.replace("'", "''").replace("\\", "\\\\")
    return f" E'{quoted}'" if "\\" in text else f"'{quoted}'"


def identifier(name: str) -> str:
    """The name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
