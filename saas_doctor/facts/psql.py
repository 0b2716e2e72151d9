"""How a person gets to a Postgres server by psql, for the steps that are told to them."""

from __future__ import annotations

import re
import shlex
import sys

from saas_doctor.facts.database_address import Address


def as_superuser(address: Address, database: str = "") -> str:
    """The usual way in as the server's superuser, where none was found."""
    where = f"-h {address.host} " if address.is_socket else ""
    into = f" -d {database}" if database else ""
    if sys.platform == "linux":
        return f"sudo -u postgres psql {where}-p {address.port}{into}"
    return f"psql {where}-p {address.port}{into or ' -d postgres'}"


def spelled(name: str) -> str:
    """A name as SQL wants it."""
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'


def asks(command: str, statement: str) -> str:
    """The command with a statement for it, in one line that a shell takes."""
    return f"{command} -c {shlex.quote(statement)}"
