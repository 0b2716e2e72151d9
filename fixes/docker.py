"""Repairs the Compose file, and makes the env files that it names."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.actions.files import CreateFile
from saas_doctor.model import Finding
from saas_doctor.reading import read_bytes
from saas_doctor.rules import fix


@fix("DOCK602")
def allowed_word(finding: Finding) -> Iterator[Action]:
    """Correct the key, or quote the number."""
    yield finding.data["edit"]


@fix("DOCK604")
def env_file_from_example(finding: Finding) -> Iterator[Action]:
    """Make the env file from its example."""
    unused = finding.data["unused"]
    yield CreateFile(unused.file.path, unused.name, read_bytes(unused.example), mode=0o600)
