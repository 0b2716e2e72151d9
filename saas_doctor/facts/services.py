"""The platform's services as they run: whose each port is, what it answers, who is registered."""

from __future__ import annotations

import os
import re
import shlex
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saas_doctor.facts import Fact
from saas_doctor.facts.docker import Container, NoEngine, running
from saas_doctor.facts.dotenv import Settings
from saas_doctor.facts.interpreter import python_in
from saas_doctor.facts.listeners import Address, Addresses, Listener, Listeners, Process
from saas_doctor.model import Absent, Blocked, Unreadable
from saas_doctor.platform import Platform

if TYPE_CHECKING:
    import httpx

JUST_STARTED = 10.0
"""Seconds in which a service may still be getting ready, or registering."""

# Programs that hold a container's port for it.
_FORWARDERS = re.compile(
    r"docker-proxy|com\.docker|rootlessport|rootlesskit|vpnkit|wslrelay|limactl|conmon|pasta", re.I
)
_PYTHON = re.compile(r"^(python|pythonw|pypy)[\d.]*(\.exe)?$", re.I)
_RUNNER = re.compile(r"^(uvicorn|gunicorn|hypercorn|fastapi|granian|uv|debugpy)(\.exe)?$", re.I)
_APP = re.compile(r"^[A-Za-z_][\w.]*:[\w.()]+$")
_ENTRIES = {"run", "main", "app", "server", "serve", "start", "asgi", "wsgi", "__main__"}
"""How the file that starts a service is called, directly in the service's folder."""
_SPAWNED = re.compile(r"multiprocessing\.(spawn|forkserver|resource_tracker)")


def started_service(process: Process, folders: Mapping[str, Path]) -> str | None:
    """The service that this process' own command line starts, or None.

    `folders`: each service's folder, absolute and without links. Only a Python or a known runner
    counts: an editor that has `run.py` open starts nothing.
    """
    for path in _started_files(list(process.command), process):
        for name, folder in folders.items():
            if path == folder or (path.parent == folder and path.stem in _ENTRIES):
                return name
    return None


def _started_files(words: list[str], process: Process) -> Iterator[Path]:
    """The files and packages that a command line may start, in the places it may find them."""
    if not words:
        return
    first, rest = Path(words[0]).name, words[1:]
    if _RUNNER.match(first):
        yield from _targets(rest, process)
    elif _PYTHON.match(first):
        rest = _without_options(rest)
        if rest[:1] == ["-m"] and len(rest) > 1:
            if _RUNNER.match(rest[1].partition(".")[0]):
                yield from _targets(rest[2:], process)
            else:
                yield from _modules(rest[1], _bases(rest, process))
        elif rest and not rest[0].startswith("-"):
            if _RUNNER.match(Path(rest[0]).name):
                yield from _targets(rest[1:], process)
            else:
                yield from (_real(base / rest[0]) for base in _bases([], process)[:1])


def _without_options(words: list[str]) -> list[str]:
    """A Python's command line from its `-m`, `-c` or script on."""
    while words and words[0].startswith("-") and words[0] not in ("-m", "-c", "-"):
        words = words[2 if words[0] in ("-X", "-W") else 1 :]
    return words


def _targets(words: list[str], process: Process) -> Iterator[Path]:
    """What a runner's arguments name: `registry.main:app`, `run.py`, `-m registry.run`."""
    bases = _bases(words, process)
    for before, word in zip(["", *words], words, strict=False):
        if word.endswith(".py"):
            yield _real(bases[0] / word)
        elif _APP.match(word) or before == "-m":
            yield from _modules(word.partition(":")[0], bases)


def _bases(words: list[str], process: Process) -> list[Path]:
    """The folders in which the command finds modules; its working directory is the first."""
    folder = Path(process.folder or "/nonexistent")
    found = [folder, *(folder / entry for entry in process.search)]
    for at, word in enumerate(words):
        if word in ("--app-dir", "--chdir", "--directory") and at + 1 < len(words):
            found.append(folder / words[at + 1])
        elif word.startswith(("--app-dir=", "--chdir=", "--directory=")):
            found.append(folder / word.partition("=")[2])
    return found


def _modules(dotted: str, bases: list[Path]) -> Iterator[Path]:
    relative = dotted.replace(".", "/")
    for base in bases:
        yield _real(base / relative)
        yield _real(base / f"{relative}.py")


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


@dataclass(frozen=True)
class Holder:
    """What listens on a port: a process with the listeners it has there, or a container.

    The process of a service is the uppermost that belongs to it: a supervisor starts workers.
    `service` is the platform's service that it is, `""` for a process that the platform started
    and nobody can tell for which service; None for a stranger.
    """

    listeners: tuple[Listener, ...] = ()
    process: Process | None = None
    container: Container | None = None
    service: str | None = None

    def __str__(self) -> str:
        where = ", ".join(str(listener) for listener in self.listeners)
        what = str(self.container or self.process or "a process that this user can't see")
        return f"{what}, at {where}" if where else what


@dataclass(frozen=True)
class Starts(Fact):
    """The commands that start the services, with the platform's own interpreter."""

    commands: Mapping[str, str]

    @classmethod
    def read(cls, platform: Platform, addresses: Addresses) -> Starts:
        python = python_in(platform.path(platform.config.environment))
        return cls({n: start_command(platform, a, python) for n, a in addresses.services.items()})


def start_command(platform: Platform, address: Address, python: Path) -> str:
    """How a developer starts a service, from any folder."""
    folder = platform.path(platform.config.services[address.service].directory)
    backend = platform.path(platform.config.backend)
    if (folder / "run.py").is_file():
        words = ["run.py"]
    elif folder.parent == backend:
        folder, words = backend, ["-m", "uvicorn", f"{folder.name}.main:app"]
    else:
        words = ["-m", "uvicorn", "main:app"]
    if words[0] == "-m":
        words += ["--host", address.host, "--port", str(address.port)]
    interpreter = os.path.relpath(python, folder)
    return f"cd {shlex.quote(str(folder))} && {shlex.join([interpreter, *words])}"


class State(str, Enum):
    """Whose a service's port is."""

    FREE = "free"
    OWN = "own"
    STRANGER = "stranger"
    UNTOLD = "untold"


@dataclass(frozen=True)
class Port:
    """One service's port: who holds it, and who listens beside it without being in the way."""

    address: Address
    state: State
    holder: Holder | None = None
    beside: tuple[Holder, ...] = ()
    reason: str = ""
    """Why it could not be told."""


@dataclass(frozen=True)
class Ports(Fact):
    """Whose the port of each service is: a process of the platform, a container, or a stranger."""

    services: Mapping[str, Port]

    live = True
    limit = 4.5

    @classmethod
    def read(cls, platform: Platform, addresses: Addresses, listeners: Listeners) -> Ports:
        judge = _Judge(platform, listeners)
        return cls({name: judge.port(a) for name, a in addresses.services.items()})

    def of(self, service: str) -> Port | None:
        return self.services.get(service)


class _Judge:
    """Tells whose the ports are; Docker is asked at most once, and only when it matters."""

    def __init__(self, platform: Platform, listeners: Listeners) -> None:
        self.platform = platform
        self.root = _real(platform.root)
        self.listeners = listeners
        self.folders = {
            name: _real(platform.path(service.directory))
            for name, service in platform.config.services.items()
        }
        self._containers: list[Container] | Unreadable | None = None

    def port(self, address: Address) -> Port:
        there = self.listeners.on(address.port)
        connects = (address.reached_at, address.port) in self.listeners.connects
        in_the_way = [one for one in there if self._conflicts(one, address, connects)]
        beside = tuple(self._holder([one]) for one in there if one not in in_the_way)
        if not in_the_way and not connects:
            return Port(address, State.FREE, beside=beside)
        holders = [self._holder(group) for group in _by_process(in_the_way)] or [Holder()]
        own = next((h for h in holders if h.service is not None), None)
        if own:
            return Port(address, State.OWN, own, beside)
        known = next((h for h in holders if h.process and not _forwards(h.process)), None)
        if known:
            return Port(address, State.STRANGER, known, beside)
        return self._behind(address, holders[0], beside)

    def _conflicts(self, listener: Listener, address: Address, connects: bool) -> bool:
        """Whether the service can't listen at its address because of this listener."""
        six = ":" in listener.address
        if six != (":" in address.host):
            # A socket on `::` takes IPv4 too, unless it was made for IPv6 alone: then, with no
            # other one there, nothing answers by IPv4.
            others = [o for o in self.listeners.on(listener.port) if ":" not in o.address]
            return listener.address == "::" and connects and not others
        return listener.is_wildcard or address.host in ("0.0.0.0", "::", listener.address)

    def _holder(self, listeners: list[Listener]) -> Holder:
        process = listeners[0].process
        if process is None:
            return Holder(tuple(listeners))
        service, top = self._belongs(process)
        return Holder(tuple(listeners), top if service is not None else process, None, service)

    def _belongs(self, process: Process) -> tuple[str | None, Process]:
        """The service a process runs for (`""`: one that can't be told), and its tree's top."""
        service: str | None = None
        top = process
        for one in process.lineage:
            found = started_service(one, self.folders)
            if found is not None and service in (None, "", found):
                service, top = found, one
        if service is None and self._is_orphan(process):
            # Its supervisor was killed: only the folder it works in is left to tell.
            folder = _real(Path(process.folder))
            named = [n for n, f in self.folders.items() if folder == f or f in folder.parents]
            service = named[0] if named else ""
        return service, top

    def _is_orphan(self, process: Process) -> bool:
        folder = _real(Path(process.folder)) if process.folder else None
        inside = folder is not None and (folder == self.root or self.root in folder.parents)
        return inside and any(_SPAWNED.search(word) for word in process.command)

    def _behind(self, address: Address, holder: Holder, beside: tuple[Holder, ...]) -> Port:
        """Whose a port is that no visible process holds, or one that forwards it to a container."""
        containers = self._running()
        if isinstance(containers, Unreadable):
            return self._untold(address, holder, beside, containers)
        for container in containers:
            if any(port == address.port for _, port in container.ports):
                own = self._is_own(container)
                named = Holder(holder.listeners, None, container, address.service if own else None)
                return Port(address, State.OWN if own else State.STRANGER, named, beside)
        if holder.process or not holder.listeners:
            reason = f"{address} answers, but no process and no container that holds it can be seen"
            return Port(address, State.UNTOLD, holder, beside, reason)
        return Port(address, State.STRANGER, holder, beside)

    def _untold(
        self, address: Address, holder: Holder, beside: tuple[Holder, ...], why: Unreadable
    ) -> Port:
        user = holder.listeners[0].user if holder.listeners else ""
        if user not in ("", "root") and not holder.process:
            # Docker's forwarders run as root (or as this user, whose processes can be seen).
            return Port(address, State.STRANGER, holder, beside)
        reason = f"{address} is held by something that this user can't see, and {why}"
        return Port(address, State.UNTOLD, holder, beside, reason)

    def _running(self) -> list[Container] | Unreadable:
        if self._containers is None:
            try:
                self._containers = running(self.platform.environ)
            except NoEngine:
                self._containers = []
            except Unreadable as reason:
                self._containers = reason
        return self._containers

    def _is_own(self, container: Container) -> bool:
        return bool(container.folder) and _real(Path(container.folder)) == self.root


def _by_process(listeners: list[Listener]) -> list[list[Listener]]:
    groups: dict[int | None, list[Listener]] = {}
    for listener in listeners:
        pid = listener.process.pid if listener.process else None
        groups.setdefault(pid, []).append(listener)
    return list(groups.values())


def _forwards(process: Process) -> bool:
    return bool(_FORWARDERS.search(process.name))


@dataclass(frozen=True)
class Answer:
    """What a service's health path answered; `problem` where it was no HTTP answer.

    `problem` is `silent` (nothing within the bound), `closed` (the connection, without a word), or
    `not HTTP`.
    """

    url: str
    status: int | None = None
    problem: str = ""
    detail: str = ""
    seconds: float = 0.0

    @property
    def shown(self) -> str:
        if self.status:
            return f"HTTP {self.status}" + (f": {self.detail}" if self.detail else "")
        return {
            "silent": f"the connection is accepted, and nothing comes within {self.seconds:.1f} s",
            "closed": "the connection is closed without an answer",
            "not HTTP": f"an answer that is not HTTP ({self.detail})",
        }.get(self.problem, self.detail)


_BOUNDS = (1.0, 2.0)
"""Seconds for an answer, at the first try and at the second: a busy machine is not a dead one."""


@dataclass(frozen=True)
class Answers(Fact):
    """What each service of the platform that takes connections answers at its health path."""

    services: Mapping[str, Answer]

    live = True
    limit = 4.5

    @classmethod
    def read(cls, platform: Platform, addresses: Addresses, listeners: Listeners) -> Answers:
        wanted = {
            name: address.url + "/" + platform.config.services[name].health.lstrip("/")
            for name, address in addresses.services.items()
            if (address.reached_at, address.port) in listeners.connects
        }
        if not wanted:
            return cls({})
        with client() as http, ThreadPoolExecutor(max_workers=16) as pool:
            answers = pool.map(lambda url: ask(http, url), wanted.values())
            return cls(dict(zip(wanted, answers, strict=True)))

    def of(self, service: str) -> Answer | None:
        return self.services.get(service)


def client() -> httpx.Client:
    """For calls on this machine: by no proxy, whatever the shell's variables say."""
    import httpx

    # Loopback and plain HTTP: loading the certificates would cost more than all the calls.
    return httpx.Client(trust_env=False, verify=False)


def ask(http: httpx.Client, url: str) -> Answer:
    """One GET, tried twice where nothing comes in time."""
    import httpx

    began = time.monotonic()
    answer = Answer(url)
    for bound in _BOUNDS:
        try:
            with http.stream("GET", url, timeout=bound) as response:
                detail = _beginning(response) if response.status_code >= 500 else ""
                return Answer(url, response.status_code, detail=detail)
        except httpx.TimeoutException:
            answer = Answer(url, problem="silent", seconds=time.monotonic() - began)
        except httpx.RemoteProtocolError as error:
            closed = "without sending" in str(error)
            return Answer(url, problem="closed" if closed else "not HTTP", detail=str(error))
        except (httpx.ReadError, httpx.WriteError, httpx.ConnectError) as error:
            return Answer(url, problem="closed", detail=str(error))
        except httpx.HTTPError as error:
            return Answer(url, problem="not HTTP", detail=str(error))
    return answer


def _beginning(response: httpx.Response) -> str:
    """The first words of an error's page."""
    text = b""
    for part in response.iter_bytes():
        text += part
        if len(text) > 200:
            break
    return " ".join(text.decode("utf-8", "replace").split())[:200]


def require_running(service: str, ports: Ports, answers: Answers) -> Address:
    """The address of a service that runs; raises Blocked under the check that says why not."""
    port = ports.of(service)
    if port is None:
        raise Absent(f"no service is called {service}")
    if port.state is State.STRANGER or wrong_service(port):
        raise Blocked("NET401", f"{service}'s port {port.address.port} is held by another program")
    if port.state is State.FREE:
        raise Blocked("SVC701", f"{service} is not running")
    answer = answers.of(service)
    if answer is None or answer.problem:
        why = answer.shown if answer else "no connection"
        silent = answer is not None and answer.problem == "silent" and port.state is State.OWN
        raise Blocked("NET401" if silent else "SVC702", f"{service} does not answer ({why})")
    return port.address


def wrong_service(port: Port) -> str:
    """The platform's other service that holds this port, if so."""
    service = port.holder.service if port.holder and port.state is State.OWN else ""
    return service if service and service != port.address.service else ""


@dataclass(frozen=True)
class Registered(Fact):
    """The services that the registry lists, and which services' own code registers them."""

    url: str
    names: frozenset[str]
    ports: frozenset[int]
    expected: Mapping[str, str]
    """The services whose code says that they register, with the line that does."""

    live = True
    limit = 4.5

    @classmethod
    def read(
        cls, platform: Platform, settings: Settings, ports: Ports, answers: Answers
    ) -> Registered:
        name = registry_of(platform, settings)
        address = require_running(name, ports, answers)
        url = f"{address.url}/api/registry/services"
        entries = _entries(url)
        keys = ("name", "service_name", "id")
        names = {normal(str(e[k])) for e in entries for k in keys if e.get(k)}
        text = " ".join(str(v) for e in entries for k, v in e.items() if k != "name")
        listed = {int(p) for p in re.findall(r":(\d{2,5})\b", text)}
        listed |= {int(e["port"]) for e in entries if str(e.get("port", "")).isdigit()}
        skip = {name, platform.config.frontend.gateway if platform.config.frontend else "gateway"}
        expected = {
            service: line
            for service, config in platform.config.services.items()
            if service not in skip
            and (line := registering_line(platform.path(config.directory), platform))
        }
        return cls(url, frozenset(names), frozenset(listed), expected)

    def knows(self, service: str, address: Address) -> bool:
        return normal(service) in self.names or address.port in self.ports


def just_started(*processes: Process | None) -> bool:
    """Whether one of them is too young to judge."""
    return any(p is not None and time.time() - p.created < JUST_STARTED for p in processes)


def normal(name: str) -> str:
    return name.strip().lower().replace("_", "-")


def registry_of(platform: Platform, settings: Settings) -> str:
    """The service that REGISTRY_URL leads to, else the one of that name."""
    found = re.search(r":(\d+)", settings.values.get("REGISTRY_URL", "").partition("//")[2])
    for name, service in platform.config.services.items():
        key = service.port_variable or ""
        port = settings.values.get(key) or str(service.port)
        if found and found.group(1) == port and "regist" in name:
            return name
    return "registry"


def _entries(url: str) -> list[dict[str, Any]]:
    """The registry's list; raises Absent where it has none there, Unreadable for any other."""
    import httpx

    try:
        with client() as http:
            response = http.get(url, timeout=2.0, follow_redirects=True)
    except httpx.HTTPError as error:
        raise Unreadable(f"GET {url}: {error or type(error).__name__}") from None
    if response.status_code == 404:
        raise Absent(f"the registry has no list at {url}")
    try:
        body = response.json() if response.status_code == 200 else None
    except ValueError:
        body = None
    if isinstance(body, dict):
        body = body.get("services")
    if isinstance(body, dict):
        body = [{"name": key, **(v if isinstance(v, dict) else {})} for key, v in body.items()]
    if not isinstance(body, list) or not all(isinstance(e, dict | str) for e in body):
        raise Unreadable(f"GET {url} answers {response.status_code}, not a list of services")
    return [e if isinstance(e, dict) else {"name": e} for e in body]


# A call of `register...(` by its own name, or of the object's own method.
_REGISTERS = re.compile(rb"^[^#\n]*?(?:(?<![\w.])|(?<=self\.))register(?:ed|_\w+)?\(", re.M)


def registering_line(folder: Path, platform: Platform) -> str:
    """Where the service's own code registers it (`main.py:13`), or nothing."""
    for file in ("main.py", "app.py", "run.py"):
        try:
            data = (folder / file).read_bytes()[:500_000]
        except OSError:
            continue
        for found in _REGISTERS.finditer(data):
            line = found.group()
            if b"def " in line or b"blueprint" in line:
                continue
            number = data[: found.start()].count(b"\n") + 1
            return f"{platform.relative(folder / file)}:{number}"
    return ""
