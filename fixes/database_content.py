"""Creates what is missing of the platform's database, and grants the rights to work in it."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.actions.database import CreateDatabase
from saas_doctor.actions.database_rights import CreateSchema, GrantCreate
from saas_doctor.facts.admin import AdminConnection
from saas_doctor.facts.database import Database
from saas_doctor.facts.database_address import Address
from saas_doctor.model import Finding, Risk
from saas_doctor.rules import fix

# Each names the administrative connection: where there is none, the plan says so.


@fix("DB504", risk=Risk.CHANGES)
def create_database(_: Finding, address: Address, admin: AdminConnection) -> Iterator[Action]:  # noqa: ARG001
    """Create the database, owned by the platform's role."""
    yield CreateDatabase(address)


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
