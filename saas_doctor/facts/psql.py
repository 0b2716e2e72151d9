"""How a person gets to a Postgres server by psql, for the steps that are told to them."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

from saas_doctor.facts.database_address import Address


def as_superuser(address: Address, database: str = "") -> str:
    """The usual way in as the server's superuser, where none was found."""
    folder = (
        address.host if address.is_socket else _folder(address.port) if address.is_local else ""
    )
    where = f"-h {shlex.quote(folder)} " if folder else ""
    into = f" -d {database}" if database else ""
    if sys.platform == "linux":
        return f"sudo -u postgres psql {where}-p {address.port}{into}"
    return f"psql {where}-p {address.port}{into or ' -d postgres'}"


def _folder(port: int) -> str:
    """The folder of a server's socket, where that is none in which psql looks by itself."""
    name = f".s.PGSQL.{port}"
    if os.path.exists(f"/var/run/postgresql/{name}"):
        return ""
    try:
        sockets = Path("/proc/net/unix").read_text().split()
    except OSError:
        return ""
    return next(
        (os.path.dirname(s) for s in sockets if s.startswith("/") and s.endswith(f"/{name}")), ""
    )


def spelled(name: str) -> str:
    """A name as SQL wants it."""
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'


def asks(command: str, statement: str) -> str:
    """The command with a statement for it, in one line that a shell takes."""
    return f"{command} -c {shlex.quote(statement)}"
