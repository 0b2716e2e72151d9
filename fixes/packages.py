"""Pins requirements and installs them into the platform's environment."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.specifiers import SpecifierSet

from saas_doctor.actions import Action
from saas_doctor.actions.files import EditFile
from saas_doctor.actions.packages import install_requirements
from saas_doctor.facts.interpreter import Interpreter
from saas_doctor.facts.requirements import Requirements
from saas_doctor.facts.versions import disjoint
from saas_doctor.model import Finding, Risk
from saas_doctor.platform import Platform
from saas_doctor.policy import POLICY
from saas_doctor.rules import fix


@fix("PKG301", risk=Risk.CHANGES)
def install_missing(_: Finding, platform: Platform, interpreter: Interpreter) -> Iterator[Action]:
    """Install the requirements."""
    yield install_requirements(platform, interpreter)


@fix("PKG302", risk=Risk.CHANGES)
def install_wanted_version(
    finding: Finding, platform: Platform, interpreter: Interpreter
) -> Iterator[Action]:
    """Install the requirements at the versions asked for."""
    yield install_requirements(platform, interpreter, *finding.data.get("install", ()))


BCRYPT = POLICY["bcrypt"]
PYDANTIC = POLICY["pydantic"]
EMAIL_VALIDATOR = POLICY["email-validator"]


def _require(requirements: Requirements, name: str, versions: str) -> Iterator[EditFile]:
    """Ask for these versions in the requirements, where they exclude them or do not name it."""
    line = requirements.find(name)
    if line is None or disjoint(line.requirement.specifier, SpecifierSet(versions)):
        yield requirements.pin(name, versions)


def _pydantic_2(
    platform: Platform, interpreter: Interpreter, requirements: Requirements
) -> Iterator[Action]:
    if requirements.files:
        line = requirements.find("pydantic")
        # Not named means: it comes with FastAPI, whichever version that chooses.
        yield from _require(requirements, "pydantic", PYDANTIC) if line else ()
    yield install_requirements(platform, interpreter, f"pydantic{PYDANTIC}")


@fix("PKG303", risk=Risk.CHANGES)
def fitting_pydantic(
    _: Finding, platform: Platform, interpreter: Interpreter, requirements: Requirements
) -> Iterator[Action]:
    """Install a Pydantic that fits."""
    yield from _pydantic_2(platform, interpreter, requirements)


@fix("PKG305", risk=Risk.CHANGES)
def pydantic_2(
    _: Finding, platform: Platform, interpreter: Interpreter, requirements: Requirements
) -> Iterator[Action]:
    """Require and install Pydantic 2."""
    yield from _pydantic_2(platform, interpreter, requirements)


@fix("PKG306", risk=Risk.CHANGES)
def email_validator(
    _: Finding, platform: Platform, interpreter: Interpreter, requirements: Requirements
) -> Iterator[Action]:
    """Require and install email-validator."""
    yield from _require(requirements, "email-validator", EMAIL_VALIDATOR)
    yield install_requirements(platform, interpreter, f"email-validator{EMAIL_VALIDATOR}")


@fix("PKG304", risk=Risk.CHANGES)
def pin_bcrypt(
    _: Finding, platform: Platform, interpreter: Interpreter, requirements: Requirements
) -> Iterator[Action]:
    """Pin bcrypt below 5 and install it."""
    line = requirements.find("bcrypt")
    if line is None or line.requirement.specifier.contains("5.0.0"):
        yield requirements.pin("bcrypt", BCRYPT)
    yield install_requirements(platform, interpreter, f"bcrypt{BCRYPT}")


@fix("PKG307", risk=Risk.CHANGES)
def fitting_packages(
    finding: Finding, platform: Platform, interpreter: Interpreter
) -> Iterator[Action]:
    """Install versions that fit together."""
    yield install_requirements(platform, interpreter, *finding.data["install"])
