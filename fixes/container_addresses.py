"""Puts addresses between containers right, in the Compose file."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.model import Finding
from saas_doctor.rules import fix


@fix("DOCK609")
def service_in_place_of_localhost(finding: Finding) -> Iterator[Action]:
    """Call the service by its name."""
    yield finding.data["edit"]


@fix("DOCK610")
def inner_port(finding: Finding) -> Iterator[Action]:
    """Call the service at its container's port."""
    yield finding.data["edit"]
