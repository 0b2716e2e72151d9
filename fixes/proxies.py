"""Keeps calls between services from proxies, and installs what SOCKS needs."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.actions.packages import InstallPackages
from saas_doctor.facts.dotenv import EnvFile
from saas_doctor.facts.interpreter import Interpreter
from saas_doctor.model import Finding, Risk
from saas_doctor.rules import fix


@fix("NET402")
def cover_the_services(finding: Finding, env: EnvFile) -> Iterator[Action]:
    """Name the services' hosts in NO_PROXY."""
    if finding.data["edit"]:
        yield finding.data["edit"]
        return
    yield env.file.set(finding.data["key"], finding.data["value"])


@fix("NET403", risk=Risk.CHANGES)
def install_socks(finding: Finding, interpreter: Interpreter) -> Iterator[Action]:
    """Install what SOCKS needs."""
    wanted = (finding.data["requirement"],)
    yield InstallPackages(interpreter.folder, interpreter.name, (), wanted)
