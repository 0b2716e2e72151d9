"""Repairs the platform's settings file from its example."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.actions.files import CreateFile, EditFile
from saas_doctor.edits import Edit
from saas_doctor.facts.dotenv import EnvExample, EnvFile, is_placeholder
from saas_doctor.model import Finding
from saas_doctor.rules import fix


@fix("CFG901")
def make_settings_file(_: Finding, env: EnvFile, example: EnvExample) -> Iterator[Action]:
    """Make the settings file from the example."""
    unset = tuple(s.key for s in example.file.settings if is_placeholder(s.value))
    yield CreateFile(env.path, env.name, example.file.data, 0o600, unset)


@fix("CFG902")
def restore_line(finding: Finding, env: EnvFile, example: EnvExample) -> Iterator[Action]:
    """Replace the line by the example's."""
    file, key = env.file, finding.data["key"]
    text = finding.data["text"].encode()
    start = file.data.find(text)
    value = example.file.get(key) or ""
    line = file.set(key, value).edits[0].text.strip()
    yield EditFile(file.path, file.name, file.data, (Edit(start, start + len(text), line),), (key,))


@fix("CFG903")
def restore_address(finding: Finding, env: EnvFile) -> Iterator[Action]:
    """Put the address's scheme right."""
    yield env.file.set(finding.data["key"], finding.data["value"])
