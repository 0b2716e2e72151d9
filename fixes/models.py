"""Edits Pydantic models: in place, every other byte kept."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.edits import Edit
from saas_doctor.facts.models import OldKey
from saas_doctor.model import Finding
from saas_doctor.rules import fix


@fix("SRC202")
def rename_key(finding: Finding) -> Iterator[Action]:
    """Rename the configuration key."""
    key: OldKey = finding.data["key"]
    assert key.new
    edit = Edit(key.start, key.start + len(key.old), key.new.encode())
    yield key.module.edited([edit], f"{key.old} becomes {key.new}")
