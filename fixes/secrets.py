"""Keeps the secrets in the settings file from others."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.actions.files import ChangeMode
from saas_doctor.facts.dotenv import EnvFile
from saas_doctor.model import Finding
from saas_doctor.rules import fix


@fix("CFG913")
def keep_others_out(finding: Finding, env: EnvFile) -> Iterator[Action]:
    """Let nobody else read the settings file."""
    mode = finding.data["mode"]
    yield ChangeMode(env.path, env.name, mode, mode & ~0o007)
