"""Edits SQLAlchemy models: in place, every other byte kept."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.actions.packages import install_requirements
from saas_doctor.facts.interpreter import Interpreter
from saas_doctor.facts.requirements import Requirements
from saas_doctor.facts.tables import Reserved
from saas_doctor.facts.versions import Versions
from saas_doctor.model import Finding, Risk
from saas_doctor.platform import Platform
from saas_doctor.rules import fix

GREENLET = ">=3.1,<4"


@fix("SRC204")
def rename_attribute(finding: Finding) -> Iterator[Action]:
    """Rename the attribute and keep its column."""
    found: Reserved = finding.data["attribute"]
    left = f" (then by hand: {', '.join(found.uses)})" if found.uses else ""
    yield found.module.edited(found.edits, f"metadata becomes {found.new}{left}")


@fix("SRC221", risk=Risk.CHANGES)
def require_greenlet(
    _: Finding,
    platform: Platform,
    interpreter: Interpreter,
    requirements: Requirements,
    versions: Versions,
) -> Iterator[Action]:
    """Require and install greenlet."""
    yield requirements.pin("greenlet", GREENLET)
    if interpreter.exists and versions.installed("greenlet") is None:
        yield install_requirements(platform, interpreter, f"greenlet{GREENLET}")
