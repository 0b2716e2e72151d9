"""Starts services as soon as what they need is there, side by side, and waits until all are up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from saas_doctor.compose.spec import Service
from saas_doctor.model import DoctorError
from saas_doctor.stack import Failed, Failure, Say
from saas_doctor.stack.docker import failures
from saas_doctor.stack.docker.create import restart_policy
from saas_doctor.stack.docker.engine import Engine, answering
from saas_doctor.stack.docker.events import heard
from saas_doctor.stack.docker.found import Row, rows
from saas_doctor.stack.docker.marks import Scope
from saas_doctor.stack.docker.plan import needed
from saas_doctor.stack.docker.units import seconds
from saas_doctor.stack.docker.work import Work

STARTED, HEALTHY, COMPLETED = (
    "service_started",
    "service_healthy",
    "service_completed_successfully",
)
_TICK = 0.5
"""Seconds between two looks while no event of the engine calls for one."""
_SOON = 0.1
"""The same while a container without a health check is being watched."""
_LAG = 0.01
"""Seconds by which what the engine lists may come later than its event."""
_EVENTS = ["start", "die", "oom", "health_status", "destroy"]
_SETTLES = 1.0
"""Seconds that a container without a health check has to run before it counts as up."""
_TELL = 10.0
"""Seconds between two words about what is waited for."""
_RESTARTS = 5
"""A container that ended as often, while nothing else changes any more, is not waited for."""
_ENDED = 2.0
"""Seconds after which a container that has ended is not started again by its restart policy."""
_SLOW = 5.0
"""Seconds between two health checks from which on they set the time that `up` takes."""


class Starting:
    """The services of one run: those that wait, are being started, are started, are up."""

    def __init__(
        self,
        engine: Engine,
        scope: Scope,
        services: Iterable[str],
        running: Iterable[str],
        start: Callable[[str], None],
        say: Say,
    ) -> None:
        """`running` are those that run already; `start` makes and starts one, in a thread."""
        self.engine, self.scope, self.say, self.start = engine, scope, say, start
        self.services = tuple(services)
        self.began = time.monotonic()
        self.started: dict[str, float] = dict.fromkeys(running, 0.0)
        self.up: set[str] = set()
        self.completed: set[str] = set()
        self._kept = frozenset(self.started)
        self._seen: dict[str, tuple[int, float]] = {}
        self._looping: set[str] = set()
        self._settled_ones: set[str] = set()
        self._work: Work[str, None] = Work()
        self._results: list[tuple[str, BaseException | None]] = []
        self._told = self.began

    def run(self, limit: float) -> None:
        """Until all are up; raises Failed when one can't be, or `limit` seconds are over."""
        try:
            with (
                answering(self._doing),
                heard(self.engine, self.scope.name, _EVENTS, lambda _: self._work.wake()),
            ):
                while not self._round(limit):
                    settling = self._seen.keys() - self._settled_ones
                    self._results += self._work.done(_SOON if settling else _TICK)
                    time.sleep(_LAG)
        except KeyboardInterrupt:
            # No container is left half replaced; a second Ctrl-C does not wait.
            self._finish(5)
            raise
        finally:
            self._work.end()

    def _doing(self) -> str:
        names = [s for s in self.services if s in {*self.started, *self._work.open} - self.up]
        return (
            f"{' and '.join(names)} {'was' if len(names) == 1 else 'were'} coming up"
            if names
            else ""
        )

    def _round(self, limit: float) -> bool:
        failed = self._failed_starts()
        found = self._containers()
        for name in self.services:
            if name in self.started and name not in self.up:
                failed += self._look(name, found.get(name, []))
        if failed:
            self._finish()
            raise Failed(failed)
        for name in self.services:
            if name not in self.started and name not in self._work.open and self._may_start(name):
                self._work.give(name, partial(self.start, name))
        if len(self.up) == len(self.services):
            return True
        waited = time.monotonic() - self.began
        if waited > limit:
            self._finish()
            raise Failed(self._late(found, limit))
        self._tell(waited, limit)
        return False

    def _failed_starts(self) -> list[Failure]:
        import docker

        failed: list[Failure] = []
        results, self._results = self._results, []
        for name, result in results:
            if isinstance(result, docker.errors.APIError):
                failed.append(failures.refused(self.engine, self.scope, name, result))
            elif isinstance(result, DoctorError):
                failed.append(Failure(name, f"{name} can't be started: {result}", "mend that"))
            elif isinstance(result, BaseException):
                raise result
            else:
                self.started[name] = time.monotonic()
                self._tell_of_slow_check(name)
        return failed

    def _finish(self, limit: float = 15) -> None:
        """Let those end that are in the midst of being started; nothing else is begun."""
        self._work.drop()
        deadline = time.monotonic() + limit
        while self._work.open and time.monotonic() < deadline:
            self._work.done(0.2)

    def _containers(self) -> Mapping[str, list[Row]]:
        found: dict[str, list[Row]] = {}
        for row in rows(self.engine, self.scope.name):
            if not row.one_off:
                found.setdefault(row.service, []).append(row)
        return found

    def _spec(self, name: str) -> Service:
        return self.scope.project.services[name]

    def _may_start(self, name: str) -> bool:
        for need in needed(self.scope.project, name):
            if need not in self.services:
                continue
            given = self._spec(name).depends_on.get(need)
            condition = (given.condition if given else "") or STARTED
            met = {HEALTHY: self.up, COMPLETED: self.completed}.get(condition, self.started)
            if need not in met:
                return False
        return True

    def _waiting_for(self, name: str, condition: str = "") -> list[str]:
        return [
            other
            for other in self.services
            if (need := self._spec(other).depends_on.get(name))
            and (not condition or need.condition == condition)
        ]

    def _look(self, name: str, containers: list[Row]) -> list[Failure]:
        """Whether a service is up by now; else why it can't be."""
        replicas = self._spec(name).replicas
        if len(containers) < replicas:
            return [
                Failure(name, f"{name}: its container was removed by somebody else", "run it again")
            ]
        good = 0
        for row in containers:
            verdict = self._verdict(name, row)
            if isinstance(verdict, Failure):
                return [verdict]
            good += verdict
        if good == len(containers):
            self._is_up(name, containers)
        return []

    def _is_up(self, name: str, containers: list[Row]) -> None:
        self.up.add(name)
        if not containers:
            return
        if all(row.state == "exited" for row in containers):
            self.completed.add(name)
            self.say(name, "finished, code 0")
        elif name not in self._kept:
            words = "healthy" if any(row.health for row in containers) else "running"
            self.say(name, f"{words} after {time.monotonic() - self.started[name]:.1f} s")

    def _verdict(self, name: str, row: Row) -> bool | Failure:
        awaited = self._waiting_for(name, HEALTHY)
        policy = restart_policy(self._spec(name)).get("Name", "")
        if row.state in ("exited", "dead", "restarting"):
            if row.exit_code == 0 and policy in ("", "on-failure") and not awaited:
                return True
            return self._restarts(name, row) if policy else self._failed(name, row)
        if row.health == "unhealthy":
            return self._failed(name, row)
        if row.state != "running" or self._waiting_for(name, COMPLETED):
            return False
        if row.health:
            return row.health == "healthy"
        if awaited:
            return Failure(
                name,
                f"{' and '.join(awaited)} {'waits' if len(awaited) == 1 else 'wait'} until {name} is healthy, "
                f"and {name} has no health check",
                f"give {name} a `healthcheck`, or wait with `condition: service_started`",
                code="DOCK608",
            )
        return name in self._kept or self._settled(name, row)

    def _failed(self, name: str, row: Row) -> Failure:
        return failures.ended(self.engine, name, row.identity, self._waiting_words(name))

    def _waiting_words(self, name: str) -> str:
        waiting = self._waiting_for(name)
        verb = "waits" if len(waiting) == 1 else "wait"
        return f"; {', '.join(waiting)} {verb} for it" if waiting else ""

    def _settled(self, name: str, row: Row) -> bool:
        """Whether it has run for a while without being started again."""
        settled = self._same_for(name, row) >= _SETTLES
        if settled:
            self._settled_ones.add(row.identity)
        return settled

    def _same_for(self, name: str, row: Row) -> float:
        """Seconds for which its number of restarts has been the same; each further one is told."""
        now = time.monotonic()
        count = int(self.engine.api.inspect_container(row.identity).get("RestartCount") or 0)
        before, since = self._seen.get(row.identity, (-1, now))
        if before != count:
            since = now
        if count > max(before, 0):
            code = f" with code {row.exit_code}" if row.exit_code is not None else ""
            self.say(name, f"ended{code}, and is started again ({count})")
        self._seen[row.identity] = count, since
        return now - since

    def _restarts(self, name: str, row: Row) -> bool | Failure:
        """A container that ended and is started again: it may need something that comes later."""
        same_for = self._same_for(name, row)
        count = self._seen[row.identity][0]
        if row.state != "restarting":
            # It is so for a moment; for longer when its restarts are used up, or it was stopped.
            return self._failed(name, row) if same_for > _ENDED else False
        if count >= _RESTARTS:
            self._looping.add(name)
        coming = self.started.keys() - self.up - self._looping
        return self._failed(name, row) if name in self._looping and not coming else False

    def _late(self, found: Mapping[str, list[Row]], limit: float) -> list[Failure]:
        late: list[Failure] = []
        for name in self.services:
            if name in self.up or name not in self.started:
                continue
            for row in found.get(name, []):
                failure = failures.ended(self.engine, name, row.identity, "")
                why = f"--wait-timeout {limit:g} s is over: "
                late.append(
                    Failure(
                        name, why + failure.what, failure.next_step, failure.evidence, failure.code
                    )
                )
                break
        return late or [
            Failure("", f"--wait-timeout {limit:g} s is over, and not all is up", "raise it")
        ]

    def _tell(self, waited: float, limit: float) -> None:
        if time.monotonic() - self._told < _TELL:
            return
        self._told = time.monotonic()
        for name in self.services:
            if name in self.started and name not in self.up:
                words = self._waiting_words(name)
                self.say(name, f"not up yet ({waited:.0f} of {limit:g} s){words}")

    def _tell_of_slow_check(self, name: str) -> None:
        check = self._spec(name).healthcheck
        every = seconds(check.interval) if check and check.interval else 30.0 if check else 0.0
        if check and every > _SLOW and not check.start_interval and not check.disable:
            self.say(
                name, f"its health check is asked every {every:g} s, so it takes as long to be up"
            )
