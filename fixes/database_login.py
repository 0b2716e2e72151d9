"""Lets the platform's role in on its Postgres server: creates it, gives it its password or its right."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.actions.database_rights import GrantConnect
from saas_doctor.actions.database_role import AdmitRole, CreateRole, SetPassword
from saas_doctor.facts.admin import AdminConnection
from saas_doctor.facts.database_address import Address
from saas_doctor.model import Finding, Risk
from saas_doctor.rules import fix

# Each names the administrative connection: where there is none, the plan says so.


@fix("DB502", risk=Risk.CHANGES)
def create_role(finding: Finding, address: Address, admin: AdminConnection) -> Iterator[Action]:  # noqa: ARG001
    """Create the role with the password of the platform's address, or let it in again."""
    if finding.data["missing"]:
        yield CreateRole.for_login(address)
    else:
        yield AdmitRole(address, finding.data["login"], finding.data["expired"])


@fix("DB503", risk=Risk.CHANGES)
def admit_login(finding: Finding, address: Address, admin: AdminConnection) -> Iterator[Action]:  # noqa: ARG001
    """Give the role the password of the platform's address, or the right to connect."""
    yield GrantConnect(address) if finding.data["grant"] else SetPassword.for_login(address)
