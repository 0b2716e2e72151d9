"""Edits Pydantic models: in place, every other byte kept."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action, Conflict
from saas_doctor.actions.packages import install_requirements
from saas_doctor.facts.constructs import Construct
from saas_doctor.facts.interpreter import Interpreter
from saas_doctor.facts.model_config import OldKey
from saas_doctor.facts.requirements import Requirements
from saas_doctor.facts.versions import Versions
from saas_doctor.model import Finding, Risk
from saas_doctor.platform import Platform
from saas_doctor.rules import fix

SETTINGS = ">=2.7,<3"


@fix("SRC202")
def rename_key(finding: Finding) -> Iterator[Action]:
    """Rename the configuration key."""
    keys: list[OldKey] = finding.data["keys"]
    edits = [key.edit for key in keys if key.edit]
    yield keys[0].module.edited(edits, f"{keys[0].old} becomes {keys[0].new}")


@fix("SRC210", risk=Risk.CHANGES)
def write_for_pydantic_2(
    finding: Finding,
    platform: Platform,
    interpreter: Interpreter,
    requirements: Requirements,
    versions: Versions,
) -> Iterator[Action]:
    """Write it as Pydantic 2 takes it."""
    construct: Construct = finding.data["construct"]
    yield construct.module.edited(construct.edits, f"{construct.kind} for Pydantic 2")
    if not construct.needs_settings:
        return
    if requirements.find("pydantic-settings") is None:
        if not versions.is_of_the_whole("pydantic"):
            raise Conflict(
                f"ask for pydantic-settings{SETTINGS} beside {versions.where('pydantic')}"
            )
        yield requirements.pin("pydantic-settings", SETTINGS)
    if interpreter.exists and versions.installed("pydantic-settings") is None:
        yield install_requirements(platform, interpreter, f"pydantic-settings{SETTINGS}")
