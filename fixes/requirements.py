"""Installs what extras bring, and a newer pip."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.actions.packages import InstallPackages, install_requirements
from saas_doctor.facts.interpreter import Interpreter
from saas_doctor.model import Finding, Risk
from saas_doctor.platform import Platform
from saas_doctor.rules import fix


@fix("PKG309", risk=Risk.CHANGES)
def what_extras_bring(_: Finding, platform: Platform, interpreter: Interpreter) -> Iterator[Action]:
    """Install the requirements with their extras."""
    yield install_requirements(platform, interpreter)


@fix("PKG312", risk=Risk.CHANGES)
def newer_pip(_: Finding, interpreter: Interpreter) -> Iterator[Action]:
    """Install a newer pip into the environment."""
    yield InstallPackages(interpreter.folder, interpreter.name, (), ("pip>=23",))
