"""Creates what is missing of the platform's database, and grants the rights to work in it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.actions.database import CreateDatabase
from saas_doctor.actions.database_rights import CreateSchema, GrantCreate
from saas_doctor.facts.admin import AdminConnection
from saas_doctor.facts.database import Database
from saas_doctor.facts.database_address import Address
from saas_doctor.facts.quoting import literal
from saas_doctor.model import Absent, Finding, Risk
from saas_doctor.rules import fix

# Each names the administrative connection: where there is none, the plan says so.


@fix("DB504", risk=Risk.CHANGES)
def create_database(_: Finding, address: Address, admin: AdminConnection) -> Iterator[Action]:
    """Create the database, owned by the platform's role."""
    owned = admin.run(
        "SELECT datname FROM pg_database JOIN pg_roles r ON r.oid = datdba "
        f"WHERE rolname = {literal(address.role)}"
    )
    meant = _misspelled(address.database, [row[0] for row in owned])
    if meant:
        raise Absent(
            f'the database "{meant}" of "{address.role}" is there: correct the name in '
            f"{address.variable}, or create the other yourself"
        )
    yield CreateDatabase(address)


def _misspelled(name: str, names: list[str]) -> str:
    """The one of these names that was meant, where it differs in a letter or two, not in numbers."""
    digits = re.findall(r"\d+", name)
    like = [n for n in names if re.findall(r"\d+", n) == digits]
    return next(iter(difflib.get_close_matches(name, like, n=1, cutoff=0.9)), "")


@fix("DB505", risk=Risk.CHANGES)
def grant_create(
    finding: Finding,
    address: Address,
    database: Database,
    admin: AdminConnection,  # noqa: ARG001
) -> Iterator[Action]:
    """Let the platform's role create tables in the schema."""
    schema, role = finding.data["schema"], _worker(address, database)
    if finding.data["create"]:
        yield CreateSchema(address, role, schema)
    else:
        yield GrantCreate(address, role, schema)


@fix("DB510", risk=Risk.CHANGES)
def create_schema(
    finding: Finding,
    address: Address,
    database: Database,
    admin: AdminConnection,  # noqa: ARG001
) -> Iterator[Action]:
    """Create the schema that the search_path names, owned by the platform's role."""
    yield CreateSchema(address, _worker(address, database), finding.data["schema"])


def _worker(address: Address, database: Database) -> str:
    """The role that works, which may be another than the one that logs in (ALTER ROLE ... SET role)."""
    return database.server.role if database.server else address.role
