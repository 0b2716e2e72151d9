"""Starts the platform's containers that have ended."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.actions.containers import StartEnded
from saas_doctor.model import Finding, Risk
from saas_doctor.rules import fix


@fix("DOCK624", risk=Risk.CHANGES)
def start_container(finding: Finding) -> Iterator[Action]:
    """Start the container again."""
    if "identity" in finding.data:
        yield StartEnded(finding.data["identity"], finding.data["name"])
