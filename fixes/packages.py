"""Pins requirements and installs them into the platform's environment."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from saas_doctor.actions import Action
from saas_doctor.actions.files import EditFile
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


BCRYPT = ">=4.0.1,<5"
PYDANTIC = ">=2.9,<3"
EMAIL_VALIDATOR = ">=2.1,<3"


def _require(requirements: Requirements, name: str, versions: str) -> Iterator[EditFile]:
    """Ask for these versions in the requirements, where they exclude them or do not name it."""
    line = requirements.find(name)
    if line is None or not _allows(line.requirement.specifier, SpecifierSet(versions)):
        yield requirements.pin(name, versions)


def _allows(asked: SpecifierSet, wanted: SpecifierSet) -> bool:
    """Whether some version of the wanted range is allowed: one of the bounds that are named."""
    bounds = [Version(s.version.removesuffix(".*")) for s in (*asked, *wanted)]
    return any(
        asked.contains(bound, prereleases=True) and wanted.contains(bound, prereleases=True)
        for bound in bounds
    )


def _pydantic_2(
    platform: Platform, interpreter: Interpreter, requirements: Requirements
) -> Iterator[Action]:
    if requirements.files:  # they may stand in a pyproject.toml, which is not edited
        line = requirements.find("pydantic")
        # Not named means: it comes with FastAPI, whichever version that chooses.
        yield from _require(requirements, "pydantic", PYDANTIC) if line else ()
    yield _install(platform, interpreter, f"pydantic{PYDANTIC}")


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
    yield _install(platform, interpreter, f"email-validator{EMAIL_VALIDATOR}")


@fix("PKG304", risk=Risk.CHANGES)
def pin_bcrypt(
    _: Finding, platform: Platform, interpreter: Interpreter, requirements: Requirements
) -> Iterator[Action]:
    """Pin bcrypt below 5 and install it."""
    line = requirements.find("bcrypt")
    if line is None or line.requirement.specifier.contains("5.0.0"):
        yield requirements.pin("bcrypt", BCRYPT)
    yield _install(platform, interpreter, f"bcrypt{BCRYPT}")
