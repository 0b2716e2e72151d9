"""Repairs where the services look for Redis."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.facts.dotenv import EnvFile
from saas_doctor.model import Finding
from saas_doctor.rules import fix


@fix("RED501")
def lead_to_redis(finding: Finding, env: EnvFile) -> Iterator[Action]:
    """Write the address at which Redis works."""
    yield env.file.set(finding.data["key"], finding.data["value"])
