"""Repairs the arguments of the CORS middleware."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.edits import Edit
from saas_doctor.facts.module import Module
from saas_doctor.model import Finding
from saas_doctor.rules import fix


@fix("WEB807")
def give_a_list(finding: Finding) -> Iterator[Action]:
    """Give a list in place of the text."""
    module: Module = finding.data["module"]
    node, text = finding.data["edit"]
    start = module.offset(node.lineno, node.col_offset)
    end = module.offset(node.end_lineno, node.end_col_offset)
    yield module.edited([Edit(start, end, text.encode())], "a list of texts")
