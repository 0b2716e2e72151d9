"""Repairs addresses in the settings, and installs the drivers that they name."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.actions.packages import install_requirements
from saas_doctor.facts.dotenv import EnvFile
from saas_doctor.facts.interpreter import Interpreter
from saas_doctor.facts.requirements import Requirements
from saas_doctor.model import Finding, Risk
from saas_doctor.platform import Platform
from saas_doctor.rules import fix


@fix("CFG909", risk=Risk.CHANGES)
def install_driver(
    finding: Finding,
    platform: Platform,
    env: EnvFile,
    interpreter: Interpreter,
    requirements: Requirements,
) -> Iterator[Action]:
    """Install the driver, or name the one that is installed."""
    if finding.data["address"]:
        yield env.file.set(finding.data["key"], finding.data["address"])
        return
    wanted = finding.data["requirement"]
    yield requirements.add(wanted)
    yield install_requirements(platform, interpreter, wanted)


@fix("CFG910")
def escape_password(finding: Finding, env: EnvFile) -> Iterator[Action]:
    """Escape the signs in the password."""
    yield env.file.set(finding.data["key"], finding.data["value"])
