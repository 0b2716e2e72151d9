"""A service of the platform as a process of its own environment."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from saas_doctor.compose import model as composition
from saas_doctor.facts.addresses import Address, Addresses
from saas_doctor.facts.answers import ask, client
from saas_doctor.facts.cache import is_redis
from saas_doctor.facts.commands import start_words
from saas_doctor.facts.compose import Compose
from saas_doctor.facts.database_start import is_postgres
from saas_doctor.facts.dotenv import EnvExample, EnvFile, Settings
from saas_doctor.facts.interpreter import python_in
from saas_doctor.facts.logs import log_name, output_name
from saas_doctor.facts.no_proxy import readable
from saas_doctor.facts.ports import Port, Ports, State, wrong_service
from saas_doctor.facts.registered import (
    gateway_of,
    is_listed,
    registering_line,
    registry_of,
)
from saas_doctor.facts.source import Source
from saas_doctor.model import Absent, Blocked, Unreadable
from saas_doctor.reading import require_file
from saas_doctor.stack.local.jobs import Job
from saas_doctor.stack.local.parts import Home, Part, Refused

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_COUNTED = ("PYTHONPATH", "http_proxy", "https_proxy", "all_proxy", "no_proxy")
"""Variables of the shell that a service notices, beside those that the platform names."""


class Service(Part):
    """`registry` is the one that the others register with, "" where there is none."""

    kind = "service"

    def __init__(self, home: Home, name: str, address: Address, registry: str) -> None:
        super().__init__(home, name)
        self.address, self.registry = address, registry

    @property
    def place(self) -> str:
        return str(self.address)

    def job(self) -> Job:
        platform, address = self.home.platform, self.address
        environment = platform.path(platform.config.environment)
        python = python_in(environment)
        words, folder = start_words(platform, self.name, address.host, address.port)
        environ, counted = self._environ(environment)
        pattern = output_name if self._logs_itself() else log_name
        return Job(
            self.name,
            self.kind,
            (str(python), *words),
            str(folder),
            environ,
            str(platform.path(pattern(platform, self.name))),
            ports=(str(address),),
            counted=counted,
        )

    def prepare(self) -> None:
        require_file(self.home.log(self.name))  # which its code may write to itself

    def _environ(self, environment: Path) -> tuple[dict[str, str], tuple[str, ...]]:
        """What a developer's shell would have, and which of it makes a difference."""
        home = self.home
        environ = home.environ
        named = dict(_named(home))
        for key, value in named.items():
            if value is not None:
                environ.setdefault(key, value)
        path = str(python_in(environment).parent)
        before = environ.get("PATH", os.defpath)
        environ |= {
            "PATH": f"{path}{os.pathsep}{before}",
            "VIRTUAL_ENV": str(environment),
            "PYTHONUNBUFFERED": "1",
        }
        # Calls between the services never go through a proxy.
        for key in ("NO_PROXY", "no_proxy"):
            entries = [readable(e.strip()) for e in environ.get(key, "").split(",")]
            environ[key] = ",".join(filter(None, dict.fromkeys([*entries, *_LOOPBACK])))
        proxies = [key for key in environ if key.lower() in _COUNTED]
        return environ, tuple(sorted({*named, *proxies}))

    def _logs_itself(self) -> bool:
        """Whether the platform's code writes log files: then what it prints goes beside those."""
        try:
            return any(self.home.facts.get(Source).mentioning("FileHandler"))
        except (Absent, Unreadable):
            return False

    def found(self) -> str:
        port = self._port()
        number = self.address.port
        if port.state is State.FREE:
            return ""
        if port.state is State.UNTOLD:
            raise Refused(f"port {number} of {self.name}: {port.reason}", _ELSEWHERE, code="NET401")
        if port.state is State.OWN and not wrong_service(port):
            problem = self.answer()
            if not problem:
                return f"it runs already, and was not started by this: {port.holder}"
            what = f"{self.name} runs already, not started by this, and {problem}"
            raise Refused(what, f"end it: {port.holder}", (str(port.holder),), "NET401")
        what = f"port {number} of {self.name} is taken by {port.holder}"
        raise Refused(what, f"end that program, or {self._move()}", (str(port.holder),), "NET401")

    def _port(self) -> Port:
        port = self.home.facts.get(Ports).of(self.name)
        assert port
        return port

    def _move(self) -> str:
        key = self.address.variable
        if key:
            return f"give {self.name} another {key} in {self.home.platform.config.env_file}"
        return f"give {self.name} another port in saas-doctor.toml"

    def answer(self) -> str:
        health = "/" + self.home.platform.config.services[self.name].health.lstrip("/")
        url = self.address.url + health
        with client() as http:
            answer = ask(http, url, (2.0,))
        if answer.status and answer.status < 500:
            return self._registration()
        if "refused" in answer.detail:
            return f"nothing listens at {self.address}"
        return f"{url} answers with {answer.shown}" if answer.status else f"{url}: {answer.shown}"

    def _registration(self) -> str:
        """Whether it is missing in the registry, where its code says that it registers."""
        home = self.home
        folder = home.platform.path(home.platform.config.services[self.name].directory)
        if self.name in ("", self.registry, gateway_of(home.platform)) or not self.registry:
            return ""
        if not registering_line(folder, home.platform):
            return ""
        url = f"{home.facts.get(Addresses).services[self.registry].url}/api/registry/services"
        try:
            listed = is_listed(url, self.name, self.address.port)
        except (Absent, Unreadable):
            return ""  # the registry's own trouble, or it has no such list
        return "" if listed else f"{url} does not list it"


_ELSEWHERE = "run this as root to see it, or end what listens there"


def _named(home: Home) -> Iterator[tuple[str, str | None]]:
    """The variables that the platform's settings files name, with the value to be given, if any."""
    config = home.platform.config
    keys = ["REGISTRY_URL", *(key for s in config.services.values() for key in s.variables)]
    keys += [part.variable for part in (config.database, config.redis) if part]
    yield from ((key, None) for key in keys)
    with suppress(Absent, Unreadable):
        yield from ((s.key, None) for s in home.facts.get(EnvExample).file.settings)
    there = home.facts.get(EnvFile).there
    for setting in there.settings if there else ():
        # That one would lead the service's Python astray, which by itself reads the file too late.
        if not setting.bare and setting.key != "PYTHONHOME":
            yield setting.key, setting.value


def services(home: Home, servers: Sequence[str]) -> list[Service]:
    """All services, each with what it waits for: as compose says, else the registry and the servers.

    `servers`: the parts that are the database and the cache, where there are such.
    """
    platform = home.platform
    addresses = home.facts.get(Addresses).services
    registry = registry_of(platform, home.facts.get(Settings))
    registry = registry if registry in addresses else ""
    try:
        composed = home.facts.get(Compose).known_services
    except (Absent, Blocked, Unreadable):
        composed = {}
    found = []
    for name, address in addresses.items():
        service = Service(home, name, address, registry)
        if name in composed:
            needs = [_part(composed.get(n), n) for n in composed[name].depends_on]
        else:
            needs = [registry, *servers] if name != registry else []
        known = {*addresses, *servers} - {name}
        service.needs = tuple(n for n in needs if n in known)
        found.append(service)
    return found


def _part(service: composition.Service | None, name: str) -> str:
    """The part that compose's service of this name is."""
    if service and is_postgres(service):
        return "postgres"
    return "redis" if service and is_redis(service) else name
