"""Edits SQLAlchemy models: in place, every other byte kept."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.facts.tables import Reserved
from saas_doctor.model import Finding
from saas_doctor.rules import fix


@fix("SRC204")
def rename_attribute(finding: Finding) -> Iterator[Action]:
    """Rename the attribute and keep its column."""
    found: Reserved = finding.data["attribute"]
    left = f" (then by hand: {', '.join(found.uses)})" if found.uses else ""
    yield found.module.edited(found.edits, f"metadata becomes {found.new}{left}")
