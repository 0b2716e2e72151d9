"""Adds health checks to the Compose file, and quotes its ports."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.model import Finding
from saas_doctor.rules import fix


@fix("DOCK608")
def health_check(finding: Finding) -> Iterator[Action]:
    """Add a health check."""
    yield finding.data["edit"]


@fix("DOCK612")
def quoted_port(finding: Finding) -> Iterator[Action]:
    """Quote the port."""
    yield finding.data["edit"]
