"""A plan in a file: looked at today, and applied later if it would still be the very same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from saas_doctor import __version__
from saas_doctor.actions.files import write_atomically
from saas_doctor.model import DoctorError, Risk
from saas_doctor.plan import Plan, Step
from saas_doctor.platform import Platform
from saas_doctor.reading import read_bytes
from saas_doctor.redact import redact

SCHEMA = 1


class SavedStep(Struct, frozen=True):
    """One action as it was shown, secrets masked."""

    title: str
    risk: Risk
    codes: str
    """Of the findings it is for, parted by commas."""
    target: str
    preview: str


class SavedPlan(Struct, frozen=True, kw_only=True):
    """What was shown, and which choice of checks it came of."""

    schema: int = SCHEMA
    version: str = __version__
    directory: str
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    allow: Risk = Risk.CHANGES
    """The worst that was planned for."""
    steps: tuple[SavedStep, ...] = ()

    @property
    def destructive(self) -> list[str]:
        return [step.title for step in self.steps if step.risk is Risk.DESTRUCTIVE]


def save(
    plan: Plan,
    platform: Platform,
    file: Path,
    *,
    select: Sequence[str],
    ignore: Sequence[str],
    allow: Risk,
) -> None:
    """Write the plan; raises DoctorError where that can't be done."""
    saved = SavedPlan(
        directory=str(platform.root),
        select=tuple(select),
        ignore=tuple(ignore),
        allow=allow,
        steps=tuple(map(_saved, plan.steps)),
    )
    text = (
        json.dumps(msgspec.to_builtins(saved), indent=2) + "\n"
    )  # ASCII: names may hold any bytes
    try:
        write_atomically(file, text.encode())
    except OSError as error:
        raise DoctorError(f"{file}: can't write the plan: {error.strerror}") from None


def read(file: Path, platform: Platform) -> SavedPlan:
    """The plan in the file; raises DoctorError where it is none, or one for another platform."""
    try:
        saved = msgspec.convert(json.loads(read_bytes(file).decode()), SavedPlan)
    except OSError as error:
        raise DoctorError(f"{file}: the plan can't be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise DoctorError(f"{file}: no plan: {error}; make one with fix --plan FILE") from None
    if saved.schema != SCHEMA:
        raise DoctorError(
            f"{file}: its schema is {saved.schema}, and this saas-doctor knows {SCHEMA}"
        )
    if saved.directory != str(platform.root):
        raise DoctorError(f"{file}: is a plan for {saved.directory}, and this is {platform.root}")
    return saved


def the_same(plan: Plan, saved: SavedPlan, file: Path) -> Plan:
    """What of a plan made now was saved; raises DoctorError where something saved is not in it."""
    now = {_saved(step): step for step in plan.steps}
    targets = {known.target for known in now}
    for step in saved.steps:
        if step not in now:
            raise stale(file, step, "would be done otherwise" if step.target in targets else "")
    others = [step for known, step in now.items() if known not in saved.steps]
    return plan.without(others, f"not in {file}")


def stale(file: Path, step: SavedStep, why: str = "") -> DoctorError:
    """The refusal of a plan whose step is not what would be done now."""
    return DoctorError(
        f"{file}: the platform has changed since: `{step.title}` {why or 'is not to be done'} now; "
        "nothing was changed; make a new plan with fix --plan FILE"
    )


def _saved(step: Step) -> SavedStep:
    action = step.action
    return SavedStep(
        title=redact(action.title),
        risk=action.risk,
        codes=step.codes,
        target=redact(f"{type(action).__name__} {action.target}"),
        preview=redact(action.preview()),
    )
