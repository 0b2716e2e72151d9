"""Edits the compose file: in place, every other byte kept."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.actions.files import EditFile
from saas_doctor.compose.nodes import Node
from saas_doctor.model import Absent, Finding
from saas_doctor.rules import fix


@fix("DOCK612")
def quote_port(finding: Finding) -> Iterator[Action]:
    """Quote the port mapping."""
    node: Node = finding.data["node"]
    edit = node.file.edit(node.start, node.end, f'"{node.source}"')
    if edit is None:
        raise Absent(f"{node.file.name} is UTF-16; quote it by hand")
    yield EditFile(node.file.path, node.file.name, node.file.data, (edit,), ("quotes",))
