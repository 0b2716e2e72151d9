"""The smoke test as a whole: its steps one after another, and the diagnosis of those that fail."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from pathlib import Path

from msgspec.structs import replace

from saas_doctor.facts import Facts
from saas_doctor.facts.interpreter import python_in
from saas_doctor.model import DoctorError
from saas_doctor.platform import Platform
from saas_doctor.reasons import confirmed
from saas_doctor.smoke.imports import imports
from saas_doctor.smoke.services import Services
from saas_doctor.smoke.steps import State, Step
from saas_doctor.smoke.whole_way import whole_way

LIMIT = 30.0
"""Seconds that one step may take, where nobody says otherwise."""


def smoke(
    platform: Platform, *, limit: float = LIMIT, read_only: bool = False
) -> Generator[Step, None, None]:
    """The steps, each as soon as it is done. What was started is ended when this is closed."""
    python = python_in(platform.path(platform.config.environment))
    if not os.path.exists(python):
        raise DoctorError(
            f"{platform.relative(python)} is not there; `saas-doctor check --select PY` tells why"
        )
    with tempfile.TemporaryDirectory(prefix="saas-doctor-smoke-") as name:
        scratch = Path(name)
        for one in imports(platform, scratch, limit):
            yield explained(one, platform)
        if not platform.config.services:
            return
        services = Services(platform, Facts(platform), scratch, limit)
        try:
            for one in services.bring_up():
                yield explained(one, platform)
            for one in whole_way(services, read_only=read_only):
                yield explained(one, platform)
        finally:
            services.stop()


def explained(step: Step, platform: Platform) -> Step:
    """A failed step with the code that its error points to, confirmed by that check where it can."""
    if step.state is not State.FAILED:
        return step
    code, next_step = confirmed(platform, step.error, step.output)
    return replace(step, code=code, next_step=next_step) if code else step
