"""Creates the files that packages lack."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.actions.files import CreateFile
from saas_doctor.model import Finding
from saas_doctor.platform import Platform
from saas_doctor.rules import fix


@fix("SRC201")
def create_marker(finding: Finding, platform: Platform) -> Iterator[Action]:
    """Create the package's __init__.py."""
    path = finding.data["folder"] / "__init__.py"
    yield CreateFile(path, platform.relative(path), finding.data["content"])
