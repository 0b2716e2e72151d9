"""The local backend: Postgres, Redis and the services, each kept running by a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import msgspec
from msgspec import Struct

from saas_doctor.facts.database_address import Address
from saas_doctor.facts.dotenv import Settings
from saas_doctor.facts.interpreter import python_in
from saas_doctor.facts.logs import Tail, tail_from
from saas_doctor.journal import prepare_state
from saas_doctor.model import Absent, DoctorError, Unreadable
from saas_doctor.platform import Platform
from saas_doctor.processes import Identity
from saas_doctor.reasons import confirmed
from saas_doctor.redact import redact
from saas_doctor.report.sizes import in_words
from saas_doctor.stack import Change, Failed, Failure, LogLine, Member, Options, Say, Verb
from saas_doctor.stack.local import log_files
from saas_doctor.stack.local.jobs import Job, Record, left_over, records_of
from saas_doctor.stack.local.log_files import Log
from saas_doctor.stack.local.parts import Home, Part, Refused
from saas_doctor.stack.local.postgres import Database
from saas_doctor.stack.local.redis import Cache
from saas_doctor.stack.local.services import services
from saas_doctor.stack.saving import Saved, size_of

_PAUSE = 0.1
_BEGINS = 60.0
"""Seconds in which a supervisor starts its job: it is a Python that has to begin."""
_YOUNG = 20.0
"""Seconds in which one that was started may still be getting ready."""
_SHOWN = 15
"""Lines of a log that a failure shows."""
_OVER = 20.0
"""Seconds beyond its job's patience that a supervisor may take to end it."""


class Step(Struct, frozen=True):
    """What is to be done with one part; `job` is None for one that is used as it was found."""

    part: Part
    change: Change
    job: Job | None = None
    record: Record | None = None


class LocalBackend:
    """The platform as processes of this machine."""

    name = "local"

    def __init__(self, platform: Platform) -> None:
        if os.name == "nt":
            raise DoctorError("`up --local` needs Linux or macOS; on Windows, run it in WSL")
        self.platform = platform
        self._look()
        self.state = records_of(platform)

    def _look(self) -> None:
        """Look at the platform anew: time passes between a plan and its end."""
        self.home = Home(self.platform)
        self._halted = threading.Event()
        for name in ("parts", "_servers"):
            self.__dict__.pop(name, None)

    # What it consists of.

    @cached_property
    def parts(self) -> dict[str, Part]:
        """The parts by name, each after those that it needs; raises DoctorError."""
        servers = self._servers
        try:
            own = services(self.home, [server.name for server in servers])
        except (Absent, Unreadable) as reason:
            raise DoctorError(str(reason)) from None
        found: dict[str, Part] = {part.name: part for part in (*servers, *own)}
        order = TopologicalSorter({name: part.needs for name, part in found.items()})
        try:
            return {name: found[name] for name in order.static_order()}
        except CycleError as error:
            circle = " → ".join(error.args[1])
            raise DoctorError(f"services wait for each other: {circle}; see depends_on") from None

    @cached_property
    def _servers(self) -> list[Part]:
        try:
            return [*self._database(), *self._cache()]
        except Unreadable as reason:
            raise DoctorError(str(reason)) from None

    def _database(self) -> Iterator[Part]:
        try:
            yield Database(self.home, self.home.facts.get(Address))
        except Absent:
            return

    def _cache(self) -> Iterator[Part]:
        config = self.platform.config.redis
        settings = self.home.facts.get(Settings)
        if config and (url := settings.values.get(config.variable)):
            yield Cache(self.home, url, settings.where(config.variable))

    @property
    def services(self) -> tuple[str, ...]:
        """The names of all parts; of those on record where the platform can't be read any more."""
        try:
            return tuple(self.parts)
        except DoctorError:
            return tuple(record.name for record in self.state.all())

    def _in_order(self, records: Iterable[Record]) -> list[Record]:
        """The records in the order of their parts, those of none last."""
        place = {name: at for at, name in enumerate(self.services)}
        return sorted(records, key=lambda r: (place.get(r.name, len(place)), r.since))

    def _chosen(self, options: Options) -> list[Part]:
        """The parts that are asked for, with what they need."""
        unknown = [name for name in options.services if name not in self.parts]
        if unknown:
            raise DoctorError(f"no service {unknown[0]}; there are {', '.join(self.parts)}")
        wanted = set(options.services or self.parts)
        for part in reversed(self.parts.values()) if options.deps else ():
            if part.name in wanted:
                wanted |= set(part.needs)
        return [part for part in self.parts.values() if part.name in wanted]

    # What is to be done.

    def changes(self, options: Options) -> list[Change]:
        """What `up` would do; raises Failed where something is in its way."""
        self._look()
        steps = self._steps(options)
        return [change for step in steps for change in (*self._made(step), step.change)] + [
            change for change, _ in self._orphans(options)
        ]

    def _made(self, step: Step) -> list[Change]:
        return step.part.before() if step.job else []

    def _steps(self, options: Options, say: Say | None = None) -> list[Step]:
        python = python_in(self.platform.path(self.platform.config.environment))
        if not os.path.exists(python):
            raise DoctorError(
                f"{self.platform.relative(python)} is not there; `saas-doctor check --select PY` tells why"
            )
        steps: list[Step] = []
        failures: list[Failure] = []
        for part in self._chosen(options):
            try:
                step = self._step(part, options)
                self._made(step)
                steps.append(step)
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

    def _step(self, part: Part, options: Options) -> Step:
        record = self.state.read(part.name)
        verb, reason = self._verdict(part, record, options)
        change = Change(verb, part.kind, part.name, reason)
        if verb is Verb.KEEP and (record is None or not record.runs):
            return Step(part, change)
        job = msgspec.structs.replace(part.job(), record=str(self.state.place(part.name)))
        if record and verb is Verb.KEEP and not record.is_supervised:
            job = msgspec.structs.replace(job, adopt=record.process)
        return Step(part, change, job, record)

    def _verdict(self, part: Part, record: Record | None, options: Options) -> tuple[Verb, str]:
        if record is None or not (record.runs or record.is_supervised):
            if found := self._found(part):
                return Verb.KEEP, found
            return Verb.START, _how_it_ended(record)
        if options.recreate and part.kind == "service":
            return Verb.RECREATE, "as asked"
        if not record.runs:
            return Verb.RECREATE, f"it ends each time{_with(record.exit_code)}"
        if reason := record.difference(part.job()):
            return Verb.RECREATE, reason
        if time.time() - record.since > _YOUNG and (problem := part.answer()):
            return Verb.RECREATE, problem
        return Verb.KEEP, "" if record.is_supervised else "what kept it running has ended"

    def _found(self, part: Part) -> str:
        """What runs at the part's address: not ours, nor a left-over of ours."""
        if left_over(self.home.folder, part.name):
            return ""
        return part.found()

    def _orphans(self, options: Options) -> list[tuple[Change, Record]]:
        """Those on record that the platform has no more."""
        if not options.remove_orphans:
            return []
        return [
            (Change(Verb.REMOVE, record.kind, record.name, "it is not in the platform"), record)
            for record in self.state.all()
            if record.name not in self.parts
        ]

    # Bringing it up.

    def up(self, options: Options, say: Say) -> list[Member]:
        """Start what does not run, and wait until all is well; raises Failed."""
        self._make_folder()
        with self.state.locked():
            self._look()
            steps = self._steps(options, say)
            for _, orphan in self._orphans(options):
                self._end(orphan, say)
                self.state.remove(orphan.name)
            try:
                self._bring_up(steps, options, say)
            except BaseException:
                if options.rollback:
                    self._take_back(steps, say)
                raise
        used = [_as_found(step.part) for step in steps if step.job is None]
        return [*used, *self.members()]

    def _take_back(self, steps: Sequence[Step], say: Say) -> None:
        """End what this has started."""
        for step in reversed(steps):
            record = self.state.read(step.part.name)
            if record and step.change.verb is not Verb.KEEP:
                self._end(record, say)
                self.state.remove(record.name)

    def _bring_up(self, steps: Sequence[Step], options: Options, say: Say) -> None:
        """Start the steps, those first that others wait for; side by side what waits for nothing."""
        for step in reversed(steps):
            if step.change.verb is Verb.RECREATE and step.record:
                self._end(step.record, say)
        deadline = time.monotonic() + options.wait
        left = {step.part.name: step for step in steps}
        while left:
            now = [step for step in left.values() if not set(step.part.needs) & set(left)]
            for step in now:
                del left[step.part.name]
            with ThreadPoolExecutor(max_workers=len(now)) as pool:
                try:
                    found = pool.map(
                        lambda s: self._bring_up_one(s, deadline, options.wait, say), now
                    )
                    failures = [failure for failure in found if failure]
                except BaseException:
                    self._halted.set()  # the others need not wait any longer
                    raise
            if failures:
                raise Failed(failures)

    def _bring_up_one(self, step: Step, deadline: float, limit: float, say: Say) -> Failure | None:
        """Start one where it does not run, and wait until it is well; why it does not get so."""
        if step.job is None:
            say(step.part.name, step.change.reason)
            return None
        try:
            if step.change.verb is not Verb.KEEP:
                self._start(step.part, step.job, say)
            elif step.job.adopt:
                self._supervise(step.job)
            return self._wait(step, deadline, limit, say)
        except Refused as refused:
            return refused.failure(step.part.name)

    def _start(self, part: Part, job: Job, say: Say) -> None:
        say(part.name, "starting")
        for process in left_over(self.home.folder, part.name):
            process.end()
        part.prepare()
        self._supervise(job)

    def _supervise(self, job: Job) -> None:
        """Start the supervisor, which has started the job when this returns; raises Refused."""
        account = self.home.account
        log_folder = Path(job.log).parent
        try:
            if not log_folder.exists():
                log_folder.mkdir(parents=True)
                if account:
                    account.give(log_folder)
            said = self._told(msgspec.json.encode(job))
        except OSError as error:
            what = f"{job.name} can't be started: {error.filename}: {error.strerror}"
            whom = f" by {account.name}, whose the platform is" if account else ""
            raise Refused(what, f"see that it can be used{whom}, then run this again") from None
        if said:
            step = f"see that {job.argv[0]} can be run"
            raise Refused(f"{job.name} can't be started: {said}", step, (said,))

    def _told(self, job: bytes) -> str:
        """Why a supervisor could not start its job; nothing where it did."""
        account, errors = self.home.account, self.home.folder / "supervisors.log"
        with errors.open("ab") as file:
            process: subprocess.Popen[bytes] = subprocess.Popen(
                [sys.executable, "-m", "saas_doctor.stack.local.supervisor"],
                cwd="/",
                env={**os.environ, **(account.environ if account else {}), **_own_path()},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                start_new_session=True,
                **(account.options if account else {}),
            )
            try:
                said, _ = process.communicate(job, timeout=_BEGINS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                return f"its supervisor does not begin within {_BEGINS:g} s"
        if process.returncode:
            return f"its supervisor ended; see {self.platform.relative(errors)}"
        return said.decode(errors="replace").strip()

    def _wait(self, step: Step, deadline: float, limit: float, say: Say) -> Failure | None:
        part, began = step.part, time.monotonic()
        is_new = step.change.verb is not Verb.KEEP
        first = self.state.read(part.name)
        while problem := part.accepts() if is_new else part.answer():
            record = self.state.read(part.name)
            if is_new and not _lives(record):
                return self._ended(part, first, record)
            if time.monotonic() > deadline:
                return self._not_well(part, first, problem, limit)
            if self._halted.wait(_PAUSE):
                return None
        record = self.state.read(part.name)
        if is_new and not _lives(record):  # another program answers in its place
            return self._ended(part, first, record)
        part.complete()
        if is_new:
            say(part.name, f"healthy after {time.monotonic() - began:.1f} s")
        return None

    def _ended(self, part: Part, first: Record | None, record: Record | None) -> Failure:
        """It ended right after its start: its supervisor need not try again."""
        code = None
        if record:
            self._end(record, lambda *_: None)
            # Where it was started again meanwhile, the code of that run is not meant.
            after = record if record.restarts else self.state.read(part.name)
            code = after.exit_code if after else None
        return self._failure(part, first, f"{part.name} ended right after its start{_with(code)}")

    def _not_well(self, part: Part, record: Record | None, problem: str, limit: float) -> Failure:
        what = f"{part.name} is not well within {limit:g} s: {problem}"
        return self._failure(part, record, what)

    def _failure(self, part: Part, record: Record | None, what: str) -> Failure:
        tail = self._tail(record) if record else None
        lines = tail.lines[-_SHOWN:] if tail else ()
        error = tail.error if tail else ""
        code, next_step = confirmed(self.platform, error, lines)
        if error:
            what = f"{what}: {error}"
        if not next_step:
            next_step = f"saas-doctor logs {part.name}"
        return Failure(part.name, redact(what), redact(next_step), tuple(map(redact, lines)), code)

    def _tail(self, record: Record) -> Tail | None:
        try:
            path = Path(record.log)
            return tail_from(path, self.platform.relative(path), record.offset)
        except OSError:
            return None

    def _make_folder(self) -> None:
        """The folder of the state, its owner's where root brings the stack up."""
        prepare_state(self.platform)
        folder, account = self.home.folder, self.home.account
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            if account:
                own = [folder / name for name in ("lock", "supervisors.log")]
                for path in own:
                    path.touch(mode=0o600)
                account.give(self.platform.state, self.platform.state / ".gitignore", folder, *own)
        except OSError as error:
            raise DoctorError(f"{folder}: can't be written to ({error.strerror})") from None

    # Taking it down.

    def removals(self, *, volumes: bool) -> list[Change]:
        """What `down` would end and remove: what was started by this, the last first; and its data."""
        records = reversed(self._in_order(self.state.all()))
        gone = [Change(Verb.REMOVE, record.kind, record.name) for record in records]
        kept = [path for path, _ in self._kept() if path.is_dir()] if volumes else []
        return [*gone, *(_lost(path) for path in kept)]

    def save(self, saved: Saved, say: Say) -> None:
        """End its processes, and put the servers' data aside."""
        self.down(volumes=False, say=say)
        for path, part in self._kept():
            if os.path.lexists(path):
                say(part, f"putting {path} aside")
                saved.move(path, path.name if path.name.startswith(part) else part)

    def down(self, *, volumes: bool, say: Say) -> list[Change]:
        """Do so; what was removed."""
        if not self.home.folder.is_dir():
            return []
        with self.state.locked():
            done = self.removals(volumes=volumes)
            for record in reversed(self._in_order(self.state.all())):
                self._end(record, say)
                self.state.remove(record.name)
            for process in left_over(self.home.folder):
                process.end()
            for path, part in self._kept() if volumes else ():
                if path.is_dir():
                    say(part, f"removing {path}")
                    shutil.rmtree(path)
                path.unlink(missing_ok=True)
        return done

    def _kept(self) -> Iterator[tuple[Path, str]]:
        """The folders and files of what the parts keep, each with its part."""
        for part in self._servers:
            yield from ((path, part.name) for path in part.keeps)

    def _end(self, record: Record, say: Say) -> None:
        """End a supervisor and its job, gently first; raises DoctorError where it stays."""
        if not (record.runs or record.is_supervised):
            return
        say(record.name, "stopping")
        if record.supervisor and record.is_supervised:
            _ask_to_end(record.supervisor)
            if not record.supervisor.ends_within(record.patience + _OVER):
                record.supervisor.end()
            record = self.state.read(record.name) or record
        if record.process and not record.process.end(record.stop, record.patience):
            raise DoctorError(
                f"{record.name} (pid {record.process.pid}) can't be ended: it is another user's; "
                "run this as the user who ran `up`"
            )

    # Looking at it.

    def members(self) -> list[Member]:
        records = self._in_order(self.state.all())
        if not records:
            return []
        with ThreadPoolExecutor(max_workers=len(records)) as pool:
            return list(pool.map(self._member, records))

    def _member(self, record: Record) -> Member:
        state = "running" if record.runs else "restarting" if record.is_supervised else "exited"
        health = ""
        if record.runs:
            young = time.time() - record.since < _YOUNG
            bad = "starting" if young else "unhealthy"
            health = bad if self._problem(record.name) else "healthy"
        return Member(
            record.name,
            f"pid {record.process.pid}" if record.process and record.runs else "",
            state,
            health,
            record.ports,
            datetime.fromtimestamp(record.since, timezone.utc),
            _memory(record.process) if record.process else None,
            record.restarts,
            None if record.runs else record.exit_code,
        )

    def _problem(self, name: str) -> str:
        try:
            part = self.parts.get(name)
            return part.answer() if part else ""
        except (DoctorError, Refused) as reason:
            return str(reason)

    def logs(
        self, services: Sequence[str], *, tail: int | None, since: datetime | None, follow: bool
    ) -> Iterator[LogLine]:
        records = {r.name: r for r in self._in_order(self.state.all())}
        unknown = [name for name in services if name not in records]
        if unknown:
            raise DoctorError(f"{unknown[0]} was not started by `up --local`")
        chosen = {n: r for n, r in records.items() if not services or n in services}
        logs = {
            name: Log(Path(record.log), self.state.place(name).with_suffix(".times"))
            for name, record in chosen.items()
        }
        return log_files.read(logs, tail=tail, since=since, follow=follow)

    def restart(self, services: Sequence[str], say: Say) -> list[Member]:
        """End these (all where none is named) and start them again, each after what it needs."""
        records = {record.name: record for record in self.state.all()}
        unknown = [name for name in services if name not in records]
        if unknown or not records:
            what = f"{unknown[0]} was not" if unknown else "nothing was"
            raise DoctorError(f"{what} started by `up --local`")
        self._make_folder()
        with self.state.locked():
            names = tuple(services or records)
            for record in reversed(self._in_order(records.values())):
                if record.name in names:
                    self._end(record, say)
            self._look()
            options = Options(services=names, deps=False)
            self._bring_up(self._steps(options, say), options, say)
        return self.members()


def _lost(path: Path) -> Change:
    size = size_of(path)
    return Change(Verb.REMOVE, "volume", str(path), f"{in_words(size)} of data", size)


def _as_found(part: Part) -> Member:
    """One that is used as it was found."""
    return Member(part.name, "", "running", "healthy", (part.place,))


def _ask_to_end(identity: Identity) -> None:
    import signal

    try:
        os.kill(identity.pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    except PermissionError:
        raise DoctorError(
            f"pid {identity.pid} can't be ended: it is another user's; run this as the user who ran `up`"
        ) from None


def _own_path() -> dict[str, str]:
    """What lets the supervisor find this package, also where it is not installed."""
    own = str(Path(__file__).resolve().parents[3])
    path = os.environ.get("PYTHONPATH", "")
    return {"PYTHONPATH": f"{own}{os.pathsep}{path}" if path else own}


def _how_it_ended(record: Record | None) -> str:
    if record is None:
        return ""
    return f"it had ended{_with(record.exit_code)}" if record.exit_code else "it had ended"


def _with(code: int | None) -> str:
    return "" if code is None else f" (exit code {code})"


def _lives(record: Record | None) -> bool:
    """Whether it runs, and has not ended since it was started by this."""
    return record is not None and record.runs and not record.restarts


def _memory(identity: Identity) -> int | None:
    """Bytes of a process and all that it started."""
    import psutil

    try:
        top = psutil.Process(identity.pid)
        return sum(int(p.memory_info().rss) for p in [top, *top.children(recursive=True)])
    except psutil.Error:
        return None
