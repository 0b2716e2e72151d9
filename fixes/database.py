"""Creates what is missing on the platform's Postgres server."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.actions.database import CreateDatabase, CreateRole, GrantCreate
from saas_doctor.facts.admin import AdminConnection
from saas_doctor.facts.database import Address, Database
from saas_doctor.model import Finding, Risk
from saas_doctor.rules import fix

# Each names the administrative connection: where there is none, the plan says so.


@fix("DB502", risk=Risk.CHANGES)
def create_role(_: Finding, address: Address, admin: AdminConnection) -> Iterator[Action]:  # noqa: ARG001
    """Create the role with the password of the platform's address."""
    yield CreateRole.for_login(address)


@fix("DB504", risk=Risk.CHANGES)
def create_database(_: Finding, address: Address, admin: AdminConnection) -> Iterator[Action]:  # noqa: ARG001
    """Create the database, owned by the platform's role."""
    yield CreateDatabase(address)


@fix("DB505", risk=Risk.CHANGES)
def grant_create(
    _: Finding,
    address: Address,
    database: Database,
    admin: AdminConnection,  # noqa: ARG001
) -> Iterator[Action]:
    """Grant CREATE on schema public to the platform's role."""
    # The role that works may be another than the one that logs in (ALTER ROLE ... SET role).
    yield GrantCreate(address, database.server.role if database.server else "")
