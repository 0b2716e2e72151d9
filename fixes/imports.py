"""Edits imports: in place, every other byte kept."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.edits import Edit
from saas_doctor.facts.launches import Launches, Unstartable
from saas_doctor.facts.missing import Missing
from saas_doctor.facts.module import Module
from saas_doctor.model import Finding
from saas_doctor.rules import fix


@fix("SRC203")
def put_on_path(finding: Finding, launches: Launches) -> Iterator[Action]:
    """Put the folder of the imported package on sys.path in run.py."""
    service: Unstartable = finding.data["service"]
    insertion = launches.insertion(service)
    assert insertion
    script, edit = insertion
    yield script.edited([edit], "its imports are found")


@fix("SRC206")
def import_into_package(finding: Finding) -> Iterator[Action]:
    """Import the name in the package's __init__.py."""
    package: Module = finding.data["package"]
    edits: tuple[Edit, ...] = finding.data["edits"]
    yield package.edited(edits, f"it has {finding.data['name']}")


@fix("SRC209")
def correct_case(finding: Finding) -> Iterator[Action]:
    """Write the module's name as its file is called."""
    missing: Missing = finding.data["missing"]
    right = missing.right.lstrip(".").encode()
    for module, start, end in missing.spans:
        yield module.edited([Edit(start, end, right)], f"it imports {missing.right}")
