"""Applies plans: journals and applies each action, examines again, rolls back what did not help."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

from msgspec import Struct, field

from saas_doctor import journal as journals
from saas_doctor import plan as plans
from saas_doctor import platform as platforms
from saas_doctor import runner
from saas_doctor.actions import Action, Bench, Failed, NotApplied, Record, Refused, kinds
from saas_doctor.facts import Facts
from saas_doctor.journal import Journal
from saas_doctor.model import DoctorError, Finding, Report, Risk, Severity, Status
from saas_doctor.plan import Plan, Step
from saas_doctor.platform import Platform
from saas_doctor.runner import Selection

ROUNDS = 8
"""How often a fix may uncover the next finding (a role, then its database, then its rights)."""


class Outcome(str, Enum):
    """How an action ended; only `verified` may be called fixed."""

    VERIFIED = "verified"
    UNVERIFIED = "unverified"
    FAILED = "failed"
    NOT_APPLIED = "not applied"
    ROLLED_BACK = "rolled back"


class Done(Struct):
    """An action with its outcome, and why where it is not verified."""

    step: Step
    outcome: Outcome
    reason: str = ""
    number: int = 0
    before: Record = field(default_factory=dict)
    after: Record | None = None


class Repair(Struct):
    """All that one `fix` did: its actions' outcomes and the last report."""

    report: Report
    done: list[Done] = field(default_factory=list)
    waiting: list[tuple[Finding, str]] = field(default_factory=list)
    run: str | None = None
    declined: bool = False


Agree = Callable[[Plan], Plan]
"""Shows a plan and returns the part of it that was agreed to."""
Only = Callable[[Finding], bool]
Watch = Callable[[str], None]


@contextmanager
def locked(platform: Platform) -> Iterator[None]:
    """Only one fix or undo at a time on a platform; a second one is refused with a sentence."""
    from filelock import FileLock, Timeout

    journals.prepare_state(platform)
    lock = FileLock(platform.state / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise DoctorError(
            "another `saas-doctor fix` or `undo` is at work on this platform; wait for its end"
        ) from None
    except OSError as error:
        raise DoctorError(f"{platform.state / 'lock'}: can't be locked ({error})") from None
    try:
        yield
    finally:
        lock.release()


def repair(
    platform: Platform,
    selection: Selection,
    agree: Agree,
    *,
    allow: Risk = Risk.CHANGES,
    slightest: Severity = Severity.INFO,
    only: Only = lambda _: True,
    timeout: float | None = None,
    watch: Watch = lambda _: None,
) -> Repair:
    """Examine, plan, apply what is agreed to, examine again; until nothing more can be fixed.

    `only`: which findings are to be mended, of those that are grave enough.
    """
    with locked(platform):
        _refuse_after_interruption(platform)
        return _Repair(platform, selection, agree, allow, slightest, only, timeout, watch).go()


def _refuse_after_interruption(platform: Platform) -> None:
    run = journals.interrupted(platform)
    if run:
        raise DoctorError(interruption(run))


def interruption(run: journals.Run) -> str:
    """What to tell of a run that was cut off."""
    return (
        f"fix run {run.name} was interrupted with {len(run.standing)} action(s) begun; "
        f"take it back with `saas-doctor undo {run.name}`, then fix again"
    )


class _Repair:
    def __init__(
        self,
        platform: Platform,
        selection: Selection,
        agree: Agree,
        allow: Risk,
        slightest: Severity,
        only: Only,
        timeout: float | None,
        watch: Watch,
    ) -> None:
        self.platform = platform
        self.selection = selection
        self.agree = agree
        self.allow = allow
        self.slightest = slightest
        self.only = only
        self.timeout = timeout
        self.watch = watch
        self.journal: Journal | None = None
        self.done: list[Done] = []
        self.tried: set[tuple[str, str]] = set()

    def go(self) -> Repair:
        report, facts = self._examine()
        waiting: list[tuple[Finding, str]] = []
        declined = False
        try:
            for _ in range(ROUNDS):
                fresh = [f for f in report.findings if f.key not in self.tried and self.only(f)]
                plan = plans.make(fresh, facts, allow=self.allow, slightest=self.slightest)
                plan = plans.rehearse(plan, facts)
                waiting = plan.waiting
                if not plan.steps:
                    break
                agreed = self.agree(plan)
                declined = declined or len(agreed.steps) < len(plan.steps)
                # What was declined stays declined, what was tried is not tried twice.
                self.tried |= {f.key for f in plan.findings}
                if not agreed.steps:
                    break
                report, facts = self._apply(agreed, facts)
        except BaseException:
            # Interrupted: the journal stays open, so that the next run tells of it.
            if self.journal:
                self.journal.close()
            raise
        self._close()
        run = self.journal.folder.name if self.journal and self.done else None
        return Repair(report, self.done, waiting, run, declined)

    def _examine(self) -> tuple[Report, Facts]:
        if self.done:
            # A fix may have changed what the configuration is found from.
            self.platform = platforms.load(
                self.platform.root,
                self.platform.config_file,
                exact=True,
                environ=self.platform.environ,
            )
        facts = Facts(self.platform)
        report = runner.run(self.platform, self.selection, facts=facts, timeout=self.timeout)
        return report, facts

    def _apply(self, plan: Plan, facts: Facts) -> tuple[Report, Facts]:
        if self.journal is None:
            self.journal = Journal.begin(self.platform)
        bench = Bench(self.platform, facts, self.journal.folder, self.watch)
        round_done: list[Done] = []
        for step in plan.steps:
            done = self._apply_step(step, bench, round_done)
            round_done.append(done)
            self.done.append(done)
        self.watch("examining again")
        report, fresh = self._examine()
        if self._judge(round_done, report, bench, fresh):
            report, fresh = self._examine()
        return report, fresh

    def _apply_step(self, step: Step, bench: Bench, earlier: list[Done]) -> Done:
        broken = next(
            (
                d
                for d in earlier
                if d.step in step.needs and d.outcome in (Outcome.FAILED, Outcome.NOT_APPLIED)
            ),
            None,
        )
        if broken:
            return Done(step, Outcome.NOT_APPLIED, f"needs `{broken.step.action.title}`")
        self.watch(step.action.title)
        try:
            before = step.action.before(bench)
        except Exception as error:
            return Done(step, Outcome.NOT_APPLIED, _said(error))
        done = Done(step, Outcome.UNVERIFIED, number=len(self.done) + 1, before=before)
        assert self.journal
        self.journal.write(
            "begin",
            number=done.number,
            kind=type(step.action).__name__,
            title=step.action.title,
            before=before,
        )
        try:
            done.after = step.action.apply(bench, before)
        except Exception as error:
            done.outcome, done.reason = Outcome.FAILED, _said(error)
            self._state(done, "failed")
            self._take_back(done, bench)
            return done
        self._state(done, "applied")
        return done

    def _state(self, done: Done, state: str) -> None:
        assert self.journal
        self.journal.write("state", number=done.number, state=state, after=done.after)

    def _take_back(self, done: Done, bench: Bench) -> None:
        """Undo one action of this run; where even that is refused, the reason says so."""
        try:
            left = type(done.step.action).undo(bench, done.before, done.after)
        except (Refused, Failed, OSError) as error:
            done.reason += f"; could not be taken back: {error}"
            return
        if left:
            done.reason += f"; {left}"
        self._state(done, "rolled back")

    def _judge(self, round_done: list[Done], report: Report, bench: Bench, facts: Facts) -> bool:
        """Give each applied action its outcome; whether any was rolled back."""
        applied = [d for d in round_done if d.outcome is Outcome.UNVERIFIED]
        left = {finding.key for finding in report.findings}
        helped = {f.key for d in applied for f in d.step.findings if _gone(f, report, left)}
        failed_keys = {
            f.key
            for d in round_done
            if d.outcome in (Outcome.FAILED, Outcome.NOT_APPLIED)
            for f in d.step.findings
        }
        rolled = False
        after = Bench(self.platform, facts, bench.folder)
        for done in reversed(applied):
            keys = {f.key for f in done.step.findings}
            if keys <= (left | failed_keys) and not (keys - failed_keys) & helped:
                failed = bool(keys & failed_keys)
                done.outcome = Outcome.ROLLED_BACK
                done.reason = (
                    "another step of this fix failed" if failed else "the finding was still there"
                )
                self._take_back(done, after)
                rolled = True
            elif not keys & helped:
                done.reason = _why_unverified(done.step.findings[0], report)
            elif _verified(done.step.action, after):
                done.outcome = Outcome.VERIFIED
                self._state(done, "verified")
            else:
                done.reason = "the finding is gone, but the change is not as it was made"
        return rolled

    def _close(self) -> None:
        if self.journal is None:
            return
        self.journal.write("end")
        self.journal.close()
        journals.forget_if_empty(journals.read(self.journal.folder))


def _said(error: Exception) -> str:
    """Why an action was not done; what nobody foresaw is named, and ends no other action."""
    if isinstance(error, NotApplied | Failed | OSError):
        return str(error)
    return f"{type(error).__name__}: {error}; please report this"


def _verified(action: Action, bench: Bench) -> bool:
    try:
        return action.verify(bench)
    except (Failed, OSError):
        return False


def _gone(finding: Finding, report: Report, left: set[tuple[str, str]]) -> bool:
    """Whether the check looked again and no longer finds it."""
    status = next((r.status for r in report.results if r.code == finding.code), None)
    return finding.key not in left and status in (Status.OK, Status.FAILED)


def _why_unverified(finding: Finding, report: Report) -> str:
    result = next((r for r in report.results if r.code == finding.code), None)
    if result is None:
        return f"{finding.code} was not examined again"
    return f"{finding.code} is {result.status.value} now" + (
        f": {result.reason}" if result.reason else ""
    )


class Undone(Struct):
    """What `undo` did with one run."""

    run: str
    taken_back: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def older(platform: Platform) -> journals.Run | None:
    """The run that `undo` would take back now, where a newer one was taken back already."""
    runs = journals.runs(platform)
    standing = [at for at, run in enumerate(runs) if not run.undone and run.standing]
    if not standing or not any(run.undone for run in runs[standing[-1] + 1 :]):
        return None
    return runs[standing[-1]]


def undo(platform: Platform, name: str | None = None) -> Undone:
    """Take back a run (the newest that still stands), last action first.

    Raises DoctorError when there is nothing to undo or no such run. What can't be taken back
    without losing a later change is refused, named, and leaves the rest undone all the same.
    """
    with locked(platform):
        run = chosen(platform, name)
        bench = Bench(platform, Facts(platform), run.folder)
        result = Undone(run.name)
        journal = Journal(run.folder)
        known = kinds()
        for step in reversed(run.standing):
            try:
                note = known[step.kind].undo(bench, step.before, step.after)
            except (Refused, Failed, OSError) as error:
                result.refused.append((step.title, str(error)))
                continue
            except (KeyError, TypeError, AttributeError):
                result.refused.append((step.title, "its record in the journal can't be read"))
                continue
            journal.write("state", number=step.number, state="undone", after=step.after)
            result.taken_back.append(step.title)
            if note:
                result.notes.append(note)
        if not result.refused:
            journal.write("undone")
        elif run.interrupted:
            # What is refused was told; the next fix is not kept from its work by it.
            journal.write("end")
        journal.close()
        return result


def goes(run: journals.Run) -> list[Path]:
    """What a run made that is gone when it is taken back."""
    known = kinds()
    steps = [step for step in run.standing if step.kind in known]
    return [path for step in steps if (path := known[step.kind].goes(step.before))]


def chosen(platform: Platform, name: str | None) -> journals.Run:
    """The run of this name, else the newest that stands; raises DoctorError."""
    runs = journals.runs(platform)
    if name is None:
        standing = [run for run in runs if not run.undone and run.standing]
        if not standing:
            raise DoctorError(
                "nothing to undo: no fix run stands; `saas-doctor history` lists them"
            )
        return standing[-1]
    for run in runs:
        if run.name == name:
            if run.undone or not run.standing:
                raise DoctorError(f"run {name} has nothing left to undo")
            return run
    raise DoctorError(f"no run is called {name}; `saas-doctor history` lists them")
