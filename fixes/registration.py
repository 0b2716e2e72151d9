"""Repairs where the services look for the registry."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.facts.dotenv import EnvFile
from saas_doctor.facts.registry_calls import KEY
from saas_doctor.model import Finding
from saas_doctor.rules import fix


@fix("SVC706")
def lead_to_the_registry(finding: Finding, env: EnvFile) -> Iterator[Action]:
    """Write the address at which the registry answers."""
    yield env.file.set(KEY, finding.data["value"])
