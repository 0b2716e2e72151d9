"""Asks for versions that can be had for the platform's Python."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.actions.packages import install_requirements
from saas_doctor.facts.interpreter import Interpreter
from saas_doctor.facts.requirements import Requirements
from saas_doctor.model import Finding, Risk
from saas_doctor.platform import Platform
from saas_doctor.rules import fix


@fix("PKG310", risk=Risk.CHANGES)
def versions_with_wheels(
    finding: Finding, platform: Platform, interpreter: Interpreter, requirements: Requirements
) -> Iterator[Action]:
    """Ask for versions that have wheels, and install them."""
    name, versions = finding.data["name"], finding.data["versions"]
    yield requirements.pin(name, versions)
    yield install_requirements(platform, interpreter, f"{name}{versions}")
