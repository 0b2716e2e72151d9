"""Edits calls of httpx and uvicorn: in place, every other byte kept."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.edits import Edit
from saas_doctor.facts.clients import ProxiesArgument
from saas_doctor.facts.servers import Start
from saas_doctor.model import Finding
from saas_doctor.rules import fix


@fix("SRC230")
def without_proxies(finding: Finding) -> Iterator[Action]:
    """Take out `proxies=None`."""
    argument: ProxiesArgument = finding.data["argument"]
    yield argument.module.edited(argument.edits, f"{argument.name} without proxies=None")


@fix("SRC240")
def import_string(finding: Finding) -> Iterator[Action]:
    """Give uvicorn the import string."""
    start: Start = finding.data["start"]
    module, node = start.module, start.given
    assert module is not None
    assert node is not None
    begin = module.offset(node.lineno, node.col_offset)
    end = module.offset(node.end_lineno or 0, node.end_col_offset or 0)
    text = f'"{finding.data["text"]}"'
    yield module.edited([Edit(begin, end, text.encode())], f"uvicorn imports {text}")
