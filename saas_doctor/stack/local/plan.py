"""What is to be done with each part of the local stack, and why."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from saas_doctor.facts.interpreter import python_in
from saas_doctor.model import Absent, DoctorError, Unreadable
from saas_doctor.stack import Change, Failed, Failure, Options, Say, Verb
from saas_doctor.stack.local.jobs import Job, Record, State, left_over
from saas_doctor.stack.local.parts import Home, Part, Refused

YOUNG = 20.0
"""Seconds in which one that was started may still be getting ready."""


class Step(Struct, frozen=True):
    """What is to be done with one part; `job` is None for one that is used as it was found."""

    part: Part
    change: Change
    job: Job | None = None
    record: Record | None = None
    before: tuple[Change, ...] = ()
    """What has to be made first."""

    @property
    def changes(self) -> list[Change]:
        """The lines of the plan that it makes."""
        return [*self.before, self.change]

    @property
    def is_new(self) -> bool:
        """Whether its process is started, and not kept."""
        return self.job is not None and self.change.verb is not Verb.KEEP


def plan(
    home: Home, state: State, parts: Sequence[Part], options: Options, say: Say | None = None
) -> list[Step]:
    """A step for each part; raises Failed with all that is in the way, before anything is done.

    A part that the platform does without is left out where it can't be had, which `say` is told.
    """
    python = python_in(home.platform.path(home.platform.config.environment))
    if not os.path.exists(python):
        raise DoctorError(
            f"{home.platform.relative(python)} is not there; `saas-doctor check --select PY` tells why"
        )
    steps: list[Step] = []
    failures: list[Failure] = []
    for part in parts:
        try:
            steps.append(_step(home, state, part, options))
        except Refused as refused:
            if part.optional:
                if say:
                    say(part.name, f"the platform goes without it: {refused.what}")
            else:
                failures.append(refused.failure(part.name))
        except (Absent, Unreadable) as reason:
            raise DoctorError(f"{part.name}: {reason}") from None
    if failures:
        raise Failed(failures)
    return steps


def _step(home: Home, state: State, part: Part, options: Options) -> Step:
    record = state.read(part.name)
    verb, reason = _verdict(home, part, record, options)
    change = Change(verb, part.kind, part.name, reason)
    if verb is Verb.KEEP and (record is None or not record.runs):
        return Step(part, change)
    job = replace(part.job(), record=str(state.place(part.name)))
    if record and verb is Verb.KEEP and not record.is_supervised:
        job = replace(job, adopt=record.process)
    return Step(part, change, job, record, () if verb is Verb.KEEP else tuple(part.before()))


def _verdict(home: Home, part: Part, record: Record | None, options: Options) -> tuple[Verb, str]:
    if record is None or not (record.runs or record.is_supervised):
        if found := _found(home, part):
            return Verb.KEEP, found
        return Verb.START, _how_it_ended(record)
    if options.recreate and part.kind == "service":
        return Verb.RECREATE, "as asked"
    if not record.runs:
        return Verb.RECREATE, f"it ends each time{code_of(record.exit_code)}"
    if reason := record.difference(part.job()):
        return Verb.RECREATE, reason
    if time.time() - record.since > YOUNG and (problem := part.accepts()):
        return Verb.RECREATE, problem
    return Verb.KEEP, "" if record.is_supervised else "what kept it running has ended"


def _found(home: Home, part: Part) -> str:
    """What runs at the part's address: not ours, nor a left-over of ours."""
    if left_over(home.folder, part.name):
        return ""
    return part.found()


def _how_it_ended(record: Record | None) -> str:
    if record is None:
        return ""
    return f"it had ended{code_of(record.exit_code)}" if record.exit_code else "it had ended"


def code_of(code: int | None) -> str:
    """An exit code in brackets, where there is one."""
    return "" if code is None else f" (exit code {code})"
