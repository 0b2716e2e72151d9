"""Frees ports."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.actions.processes import StopContainer, StopProcess
from saas_doctor.model import Finding, Risk
from saas_doctor.rules import fix


@fix("NET401", risk=Risk.DESTRUCTIVE)
def free_the_port(finding: Finding) -> Iterator[Action]:
    """Stop what holds the port."""
    data = finding.data
    if data.get("container"):
        yield StopContainer(data["container"], data["name"])
        return
    yield StopProcess(
        data["pid"],
        data["created"],
        data["name"],
        data["restart"],
        Risk.CHANGES if data["own"] else Risk.DESTRUCTIVE,
        data.get("silent_at", ""),
    )
