"""Leads the settings to where the services listen."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.facts.dotenv import EnvFile
from saas_doctor.model import Absent, Finding
from saas_doctor.rules import fix


@fix("NET408")
def name_the_address(finding: Finding, env: EnvFile) -> Iterator[Action]:
    """Write the address at which the service listens."""
    setting = env.file.find(finding.data["key"])
    if setting is None or not env.file.says_plainly(setting):
        raise Absent(f"{finding.data['key']} is put together; change it by hand")
    yield env.file.set(finding.data["key"], finding.data["value"])
