"""Repairs what the code's settings classes can't take."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.actions.files import EditFile
from saas_doctor.edits import Edit
from saas_doctor.facts.dotenv import Dotenv, EnvFile, Setting
from saas_doctor.model import Finding
from saas_doctor.rules import fix


@fix("CFG904")
def take_over_from_example(finding: Finding, env: EnvFile) -> Iterator[Action]:
    """Add the example's line."""
    for key, value in finding.data["lines"].items():
        yield env.file.set(key, value)


@fix("CFG906")
def write_list_as_json(finding: Finding) -> Iterator[Action]:
    """Write the list as JSON."""
    file: Dotenv = finding.data["file"]
    setting: Setting = finding.data["setting"]
    # Without quotes, which not every reader of such files takes off.
    edit = Edit(setting.start, setting.end, finding.data["value"].encode())
    yield EditFile(file.path, file.name, file.data, (edit,), (setting.key,))
