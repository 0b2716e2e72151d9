"""Edits source: small, in place, every other byte kept."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.actions.files import CreateFile, EditFile
from saas_doctor.edits import Edit, apply_edits
from saas_doctor.facts.models import OldKey
from saas_doctor.facts.source import Module
from saas_doctor.facts.tables import Reserved
from saas_doctor.model import Absent, Finding
from saas_doctor.platform import Platform
from saas_doctor.rules import fix
from saas_doctor.syntax import parse


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
    yield _edit(key.module, (edit,), key.old, f"{key.old} becomes {key.new}")


@fix("SRC204")
def rename_attribute(finding: Finding) -> Iterator[Action]:
    """Rename the attribute and keep its column."""
    found: Reserved = finding.data["attribute"]
    left = f" (then by hand: {', '.join(found.uses)})" if found.uses else ""
    yield _edit(found.module, found.edits, "metadata", f"metadata becomes {found.new}{left}")


def _edit(module: Module, edits: tuple[Edit, ...], old: str, why: str) -> EditFile:
    """The edit of a module; Absent where its bytes are not what the syntax tree's columns count.

    Those count UTF-8, which a file in another encoding is not.
    """
    replaced = {module.data[e.start : e.end] for e in edits if e.end > e.start}
    try:
        module.data.decode("utf-8")
        parse(apply_edits(module.data, edits))
    except (UnicodeDecodeError, SyntaxError):
        replaced.clear()
    if replaced != {old.encode()}:
        raise Absent(f"{module.name} can't be edited safely (its encoding); edit it by hand")
    return EditFile(module.path, module.name, module.data, edits, (why,))
