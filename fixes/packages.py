"""Pins requirements and installs them into the platform's environment."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.actions.packages import InstallPackages
from saas_doctor.facts.interpreter import Interpreter
from saas_doctor.facts.packages import Requirements
from saas_doctor.model import Finding, Risk
from saas_doctor.platform import Platform
from saas_doctor.rules import fix


def _install(platform: Platform, interpreter: Interpreter, *requirements: str) -> InstallPackages:
    """Install the requirement files and these, together; the files as they are by then."""
    files = tuple(
        path for path in map(platform.path, platform.config.requirements) if path.is_file()
    )
    return InstallPackages(interpreter.folder, interpreter.name, files, requirements)


@fix("PKG301", risk=Risk.CHANGES)
def install_missing(_: Finding, platform: Platform, interpreter: Interpreter) -> Iterator[Action]:
    """Install the requirements."""
    yield _install(platform, interpreter)


@fix("PKG302", risk=Risk.CHANGES)
def install_wanted_version(
    _: Finding, platform: Platform, interpreter: Interpreter
) -> Iterator[Action]:
    """Install the requirements at the versions asked for."""
    yield _install(platform, interpreter)


@fix("PKG304", risk=Risk.CHANGES)
def pin_bcrypt(
    _: Finding, platform: Platform, interpreter: Interpreter, requirements: Requirements
) -> Iterator[Action]:
    """Pin bcrypt below 5 and install it."""
    yield requirements.pin("bcrypt", ">=4.0.1,<5")
    yield _install(platform, interpreter, "bcrypt>=4.0.1,<5")
