"""Step two: each service answers; one that is not up is started, at a free port where it may."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from saas_doctor.facts import Facts
from saas_doctor.facts.addresses import Address
from saas_doctor.facts.answers import Answers, ask, client
from saas_doctor.facts.commands import start_words
from saas_doctor.facts.dotenv import Settings
from saas_doctor.facts.interpreter import python_in
from saas_doctor.facts.logs import Logs
from saas_doctor.facts.ports import Port, Ports, State, wrong_service
from saas_doctor.facts.registered import registry_of
from saas_doctor.model import Absent, Unreadable
from saas_doctor.platform import Platform
from saas_doctor.processes import Running, undisturbed
from saas_doctor.smoke.steps import Part, Step, StepFailed, step
from saas_doctor.smoke.watcher import Watcher

_PAUSE = 0.05


class Services:
    """The platform's services as the smoke test finds or starts them."""

    def __init__(
        self, platform: Platform, facts: Facts, scratch: Path, limit: float, watcher: Watcher
    ) -> None:
        self.platform, self.facts, self.scratch, self.limit = platform, facts, scratch, limit
        self.watcher = watcher
        self.registry = registry_of(platform, _settings(facts))
        self.started: dict[str, Running] = {}
        self.urls: dict[str, str] = {}
        """Where each service that answers is."""

    def bring_up(self) -> Iterator[Step]:
        """A step for each service, the registry first."""
        names = list(self.platform.config.services)
        for name in sorted(names, key=lambda n: n != self.registry):
            with step(Part.SERVICES, name) as clock:
                clock.said = self._bring_up(name)
            assert clock.step
            yield clock.step

    def _bring_up(self, name: str) -> str:
        port = self.facts.get(Ports).of(name)
        assert port
        if port.state is State.OWN and not wrong_service(port):
            return self._found(name, port)
        own = self.platform.config.services[name]
        if port.state is State.UNTOLD and not own.port_variable:
            raise Unreadable(port.reason)
        if port.state is not State.FREE and not own.port_variable:
            raise StepFailed(
                f"port {port.address.port} is held by {port.holder or 'another program'}"
            )
        number = _free_port() if own.port_variable else port.address.port
        return self._start(name, port.address, number)

    def _found(self, name: str, port: Port) -> str:
        answer = self.facts.get(Answers).of(name)
        if answer is None or answer.problem or (answer.status or 0) >= 500:
            shown = answer.shown if answer else "no answer"
            raise StepFailed.of(f"it is up and answers with {shown}", self.facts.get(Logs).of(name))
        self.urls[name] = port.address.url
        return f"is up at {port.address}: {answer.shown}"

    def _start(self, name: str, address: Address, port: int) -> str:
        """Start it and wait for its first answer."""
        address = replace(address, host=address.reached_at, port=port)
        words, folder = start_words(self.platform, name, address.host, port)
        argv = [str(python_in(self.platform.path(self.platform.config.environment))), *words]
        with undisturbed():
            argv = self.watcher.watched(argv)
            process = Running(argv, folder, self._environ(name, port), self.scratch / f"{name}.log")
            self.started[name] = process
        began = time.monotonic()
        url = address.url
        health = "/" + self.platform.config.services[name].health.lstrip("/")
        with client() as http:
            while time.monotonic() - began < self.limit:
                if process.ended is not None:
                    raise StepFailed.of(f"it ended with {process.ended}", process.tail)
                answer = ask(http, url + health, (1.0,))
                if answer.status:
                    break
                others = process.listens_on() - {port}
                if others and answer.problem == "closed":  # it has a port of its own mind
                    url = replace(address, port=min(others)).url
                time.sleep(_PAUSE)
            else:
                raise StepFailed.of(f"no answer within {self.limit:g} s", process.tail)
        if answer.status >= 500:
            raise StepFailed.of(f"it answers with {answer.shown}", process.tail)
        self.urls[name] = url
        return f"started at {url.partition('//')[2]}: {answer.shown} after {time.monotonic() - began:.1f} s"

    def _environ(self, name: str, port: int) -> dict[str, str]:
        environ = dict(self.platform.environ)
        variable = self.platform.config.services[name].port_variable
        if variable:
            environ[variable] = str(port)
        if name != self.registry and self.registry in self.urls:
            environ["REGISTRY_URL"] = self.urls[self.registry]
        return {**environ, "PYTHONUNBUFFERED": "1"}

    def stop(self) -> None:
        """End what was started, the last one first."""
        while self.started:
            _, process = self.started.popitem()
            process.stop()
            self.watcher.forget(process.process.pid)


def _settings(facts: Facts) -> Settings:
    """The settings; none where they can't be read, which each service then says."""
    try:
        return facts.get(Settings)
    except (Absent, Unreadable):
        return Settings({}, {})


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
