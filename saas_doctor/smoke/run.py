"""The smoke test as a whole: its steps one after another, and the diagnosis of those that fail."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from pathlib import Path

from msgspec.structs import replace

from saas_doctor import runner
from saas_doctor.facts import Facts
from saas_doctor.facts.interpreter import python_in
from saas_doctor.facts.logs import own_modules
from saas_doctor.model import DoctorError
from saas_doctor.platform import Platform
from saas_doctor.runner import Selection
from saas_doctor.smoke.imports import imports
from saas_doctor.smoke.services import Services
from saas_doctor.smoke.steps import State, Step
from saas_doctor.smoke.whole_way import whole_way
from saas_doctor.symptoms import pointed_to

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
    code = pointed_to(step.error, own_modules(platform)) or pointed_to(
        " ".join(step.output), own_modules(platform)
    )
    if not code:
        return step
    report = runner.run(platform, Selection((code,)))
    found = [f for f in report.findings if f.code == code]
    if found:
        return replace(step, code=code, next_step=f"{found[0].message}: {found[0].next_step}")
    return replace(step, code=code, next_step=f"saas-doctor explain {code}")
