"""Starts the planned members of the local stack in order, and waits until each is well."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from saas_doctor.facts.logs import Tail, tail_from
from saas_doctor.processes import SUPERVISOR, listens_on
from saas_doctor.reading import require_file
from saas_doctor.reasons import confirmed
from saas_doctor.redact import redact, redact_lines
from saas_doctor.stack import Failed, Failure, Say, Verb
from saas_doctor.stack.local.ending import end
from saas_doctor.stack.local.jobs import Job, Record, State, left_over
from saas_doctor.stack.local.parts import Home, Part, Refused
from saas_doctor.stack.local.plan import Step, code_of

_PAUSE = 0.1
_BEGINS = 60.0
"""Seconds in which a supervisor starts its job: it is a Python that has to begin."""
_SHOWN = 15
"""Lines of a log that a failure shows."""


class Starting:
    """Brings steps up; `limit`: the seconds that all of it may take."""

    def __init__(self, home: Home, state: State, limit: float, say: Say) -> None:
        self.home, self.state, self.limit, self.say = home, state, limit, say
        self._deadline = time.monotonic() + limit
        self._halted = threading.Event()

    def run(self, steps: Sequence[Step]) -> None:
        """Those first that others wait for, side by side what waits for nothing; raises Failed."""
        for step in reversed(steps):
            if step.change.verb is Verb.RECREATE and step.record:
                end(self.state, step.record, self.say)
        left = {step.part.name: step for step in steps}
        while left:
            now = [step for step in left.values() if not set(step.part.needs) & set(left)]
            for step in now:
                del left[step.part.name]
            with ThreadPoolExecutor(max_workers=len(now)) as pool:
                try:
                    failures = [f for f in pool.map(self._bring_up, now) if f]
                except BaseException:
                    self._halted.set()  # the others need not wait any longer
                    raise
            if failures:
                raise Failed(failures)

    def _bring_up(self, step: Step) -> Failure | None:
        """Start one where it does not run, and wait until it is well; why it does not get so."""
        if step.job is None:
            self.say(step.part.name, step.change.reason)
            return None
        try:
            if step.is_new:
                self._start(step.part, step.job)
            elif step.job.adopt:
                self._supervise(step.job)
            return self._wait(step)
        except Refused as refused:
            return refused.failure(step.part.name)
        except OSError as error:
            account = self.home.account
            what = f"{step.part.name} can't be started: {error.filename}: {error.strerror}"
            whom = f" by {account.name}, whose the platform is" if account else ""
            return Failure(
                step.part.name, what, f"see that it can be used{whom}, then run this again"
            )

    def _start(self, part: Part, job: Job) -> None:
        self.say(part.name, "starting")
        for process in left_over(self.home.folder, part.name):
            process.end()
        part.prepare()
        self._supervise(job)

    def _supervise(self, job: Job) -> None:
        """Start the supervisor, which has started the job when this returns.

        Raises Refused and OSError.
        """
        account = self.home.account
        log_folder = Path(job.log).parent
        if not log_folder.exists():
            log_folder.mkdir(parents=True)
            if account:
                account.give(log_folder)
        require_file(job.log)
        said = self._told(job)
        if said:
            step = f"see that {job.argv[0]} can be run"
            raise Refused(f"{job.name} can't be started: {said}", step, (said,))

    def _told(self, job: Job) -> str:
        """Why a supervisor could not start its job; nothing where it did."""
        account, errors = self.home.account, self.home.folder / "supervisors.log"
        with errors.open("ab") as file:
            process: subprocess.Popen[bytes] = subprocess.Popen(
                [sys.executable, "-m", SUPERVISOR, job.record],
                cwd="/",
                env={**os.environ, **(account.environ if account else {}), **_own_path()},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                start_new_session=True,
                **(account.options if account else {}),
            )
            try:
                said, _ = process.communicate(msgspec.json.encode(job), timeout=_BEGINS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                return f"its supervisor does not begin within {_BEGINS:g} s"
        if process.returncode:
            return f"its supervisor ended; see {self.home.platform.relative(errors)}"
        return said.decode(errors="replace").strip()

    def _wait(self, step: Step) -> Failure | None:
        part, began = step.part, time.monotonic()
        is_new = step.is_new
        first = self.state.read(part.name)
        while problem := part.accepts():
            record = self.state.read(part.name)
            if is_new and not _lives(record):
                return self._ended(part, first, record)
            if time.monotonic() > self._deadline:
                return self._not_well(part, first, problem)
            if self._halted.wait(_PAUSE):
                return None
        record = self.state.read(part.name)
        if is_new and not _lives(record):  # another program answers in its place
            return self._ended(part, first, record)
        part.complete()
        if is_new:
            self.say(part.name, f"healthy after {time.monotonic() - began:.1f} s")
        return None

    def _ended(self, part: Part, first: Record | None, record: Record | None) -> Failure:
        """It ended right after its start: its supervisor need not try again."""
        code = None
        if record:
            end(self.state, record, lambda *_: None)
            # Where it was started again meanwhile, the code of that run is not meant.
            after = record if record.restarts else self.state.read(part.name)
            code = after.exit_code if after else None
        return self._failure(part, first, f"{part.name} ended right after its start{code_of(code)}")

    def _not_well(self, part: Part, record: Record | None, problem: str) -> Failure:
        process = record.process if record else None
        other = listens_on(process.pid) if process and part.kind == "service" else set()
        if other and "nothing listens" in problem:
            problem += f"; it listens on port {', '.join(map(str, sorted(other)))}"
        what = f"{part.name} is not well within {self.limit:g} s: {problem}"
        return self._failure(part, record, what)

    def _failure(self, part: Part, record: Record | None, what: str) -> Failure:
        tail = self._tail(record) if record else None
        lines = tail.lines[-_SHOWN:] if tail else ()
        error = tail.error if tail else ""
        code, next_step = confirmed(self.home.platform, error, lines)
        if error:
            what = f"{what}: {error}"
        if not next_step:
            next_step = f"saas-doctor logs {part.name}"
        shown = tuple(redact_lines(lines))
        return Failure(part.name, redact(what), redact(next_step), shown, code)

    def _tail(self, record: Record) -> Tail | None:
        try:
            path = Path(record.log)
            return tail_from(path, self.home.platform.relative(path), record.offset)
        except OSError:
            return None


def _own_path() -> dict[str, str]:
    """What lets the supervisor find this package, also where it is not installed."""
    own = str(Path(__file__).resolve().parents[3])
    path = os.environ.get("PYTHONPATH", "")
    return {"PYTHONPATH": f"{own}{os.pathsep}{path}" if path else own}


def _lives(record: Record | None) -> bool:
    """Whether it runs, and has not ended since it was started by this."""
    return record is not None and record.runs and not record.restarts
