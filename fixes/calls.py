"""Edits calls of httpx and uvicorn: in place, every other byte kept."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.facts.clients import ProxiesArgument
from saas_doctor.model import Finding
from saas_doctor.rules import fix


@fix("SRC230")
def without_proxies(finding: Finding) -> Iterator[Action]:
    """Take out `proxies=None`."""
    argument: ProxiesArgument = finding.data["argument"]
    yield argument.module.edited(argument.edits, f"{argument.name} without proxies=None")
