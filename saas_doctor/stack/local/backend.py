"""The local backend: Postgres, Redis and the services, each kept running by a process of its own."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timezone
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from saas_doctor.facts.database_address import Address
from saas_doctor.facts.dotenv import Settings
from saas_doctor.journal import prepare_state
from saas_doctor.model import Absent, DoctorError, Unreadable
from saas_doctor.platform import Platform
from saas_doctor.processes import Identity
from saas_doctor.report.sizes import in_words
from saas_doctor.stack import Change, LogLine, Member, Options, Say, Verb
from saas_doctor.stack.local import log_files
from saas_doctor.stack.local.ending import end
from saas_doctor.stack.local.jobs import Record, left_over, records_of
from saas_doctor.stack.local.log_files import Log
from saas_doctor.stack.local.parts import Home, Part, Refused
from saas_doctor.stack.local.plan import YOUNG, Step, plan
from saas_doctor.stack.local.postgres import Database
from saas_doctor.stack.local.redis import Cache
from saas_doctor.stack.local.services import services
from saas_doctor.stack.local.starting import Starting
from saas_doctor.stack.saving import Saved, size_of


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
        steps = plan(self.home, self.state, self._chosen(options), options)
        changes = [change for step in steps for change in step.changes]
        return [*changes, *(change for change, _ in self._orphans(options))]

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
            steps = plan(self.home, self.state, self._chosen(options), options, say)
            for _, orphan in self._orphans(options):
                end(self.state, orphan, say)
                self.state.remove(orphan.name)
            try:
                Starting(self.home, self.state, options.wait, say).run(steps)
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
                end(self.state, record, say)
                self.state.remove(record.name)

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
            if not self.removals(volumes=volumes):
                return []
            self._make_folder()
        with self.state.locked():
            done = self.removals(volumes=volumes)
            for record in reversed(self._in_order(self.state.all())):
                end(self.state, record, say)
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
            with suppress(Refused):  # one that can't be started here has kept nothing
                yield from ((path, part.name) for path in part.keeps)

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
            young = time.time() - record.since < YOUNG
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
            options = Options(services=names, deps=False)
            # What could not be started again is not ended either.
            plan(self.home, self.state, self._chosen(options), options, lambda *_: None)
            for record in reversed(self._in_order(records.values())):
                if record.name in names:
                    end(self.state, record, say)
            self._look()
            steps = plan(self.home, self.state, self._chosen(options), options, say)
            Starting(self.home, self.state, options.wait, say).run(steps)
        return self.members()


def _lost(path: Path) -> Change:
    size = size_of(path)
    return Change(Verb.REMOVE, "volume", str(path), f"{in_words(size)} of data", size)


def _as_found(part: Part) -> Member:
    """One that is used as it was found."""
    return Member(part.name, "", "running", "healthy", (part.place,))


def _memory(identity: Identity) -> int | None:
    """Bytes of a process and all that it started."""
    import psutil

    try:
        top = psutil.Process(identity.pid)
        return sum(int(p.memory_info().rss) for p in [top, *top.children(recursive=True)])
    except psutil.Error:
        return None
