"""Edits source: small, in place, every other byte kept."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.actions.files import CreateFile, EditFile
from saas_doctor.edits import Edit
from saas_doctor.facts.models import OldKey, Reserved
from saas_doctor.facts.source import Module
from saas_doctor.model import Absent, Finding
from saas_doctor.platform import Platform
from saas_doctor.rules import fix


@fix("SRC201")
def create_marker(finding: Finding, platform: Platform) -> Iterator[Action]:
    """Create the package's __init__.py."""
    path = finding.data["folder"] / "__init__.py"
    yield CreateFile(path, platform.relative(path), finding.data["content"])


@fix("SRC202")
def rename_key(finding: Finding) -> Iterator[Action]:
    """Rename the configuration key."""
    key: OldKey = finding.data["key"]
    assert key.new
    edit = Edit(key.start, key.start + len(key.old), key.new.encode())
    yield _edit(key.module, (edit,), f"{key.old} becomes {key.new}")


@fix("SRC204")
def rename_attribute(finding: Finding) -> Iterator[Action]:
    """Rename the attribute and keep its column."""
    found: Reserved = finding.data["attribute"]
    yield _edit(found.module, found.edits, f"metadata becomes {found.new}")


def _edit(module: Module, edits: tuple[Edit, ...], why: str) -> EditFile:
    try:
        module.data.decode("utf-8")
    except UnicodeDecodeError:
        # The syntax tree counts in UTF-8; in another encoding its columns are other bytes.
        raise Absent(f"{module.name} is not UTF-8; edit it by hand") from None
    return EditFile(module.path, module.name, module.data, edits, (why,))
