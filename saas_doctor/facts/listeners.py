"""Who listens on the ports of the platform's services, as the operating system tells."""

from __future__ import annotations

import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.dotenv import Settings
from saas_doctor.model import Absent, Unreadable
from saas_doctor.platform import Platform
from saas_doctor.redact import MASK, redact

if TYPE_CHECKING:
    import psutil

T = TypeVar("T")

WILDCARDS = ("0.0.0.0", "::", "*")
_CONNECT = 0.5
"""Seconds for one connection on this machine; it is made, or refused, at once."""


class Address(Struct, frozen=True):
    """Where a service is to listen, and the key that says so (`""` for the configuration)."""

    service: str
    host: str
    port: int
    variable: str = ""

    @property
    def reached_at(self) -> str:
        """The host to connect to: a wildcard can be listened on, and not called."""
        return {"0.0.0.0": "127.0.0.1", "*": "127.0.0.1", "::": "::1"}.get(self.host, self.host)

    @property
    def url(self) -> str:
        host = self.reached_at
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Addresses(Fact, frozen=True):
    """The address of every service: its port's key in the settings, else the configuration."""

    services: Mapping[str, Address]

    @classmethod
    def read(cls, platform: Platform, settings: Settings) -> Addresses:
        found: dict[str, Address] = {}
        for name, service in platform.config.services.items():
            variable = service.port_variable or ""
            text = settings.values.get(variable, "")
            valid = text.isdigit() and 0 < int(text) <= 65535
            port = int(text) if valid else service.port
            found[name] = Address(name, service.host, port, variable)
        if not found:
            raise Absent("no services are configured")
        return cls(found)


class Process(Struct, frozen=True):
    """A running process; `pid` and `created` (seconds since 1970) together are its identity.

    What this user may not see is empty.
    """

    pid: int
    created: float
    name: str
    command: tuple[str, ...] = ()
    user: str = ""
    folder: str = ""
    status: str = ""
    search: tuple[str, ...] = ()
    """Its PYTHONPATH."""
    parent: Process | None = None

    @property
    def lineage(self) -> list[Process]:
        """The process, its parent, and so on upwards."""
        found: list[Process] = []
        one: Process | None = self
        while one:
            found.append(one)
            one = one.parent
        return found

    @property
    def shown(self) -> str:
        """The command line with its secrets masked."""
        return masked(self.command) or self.name

    @property
    def since(self) -> str:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.created))

    def __str__(self) -> str:
        user = f", user {self.user}" if self.user else ""
        return f"{self.name} (pid {self.pid}{user}, since {self.since}): {self.shown}"


_SECRET_OPTION = re.compile(r"^--?[\w-]*(password|passwd|secret|token|key|auth)[\w-]*$", re.I)


def masked(command: Sequence[str]) -> str:
    """The command line as one text, with its secrets masked (`--token X` as well)."""
    words = [
        MASK if _SECRET_OPTION.match(before) and not word.startswith("-") else word
        for before, word in zip(["", *command], command, strict=False)
    ]
    # Servers that write their own title (redis, postgres) pad it with blanks.
    return redact(" ".join(" ".join(words).split()))


class Listener(Struct, frozen=True):
    """One listening socket. `process` is None where this user may not see whose it is."""

    address: str
    port: int
    process: Process | None = None
    user: str = ""

    @property
    def is_wildcard(self) -> bool:
        return self.address in WILDCARDS

    def __str__(self) -> str:
        return (
            f"[{self.address}]:{self.port}"
            if ":" in self.address
            else f"{self.address}:{self.port}"
        )


class Listeners(Fact, frozen=True):
    """The listening sockets on the services' ports, and which of the services' addresses answer.

    `connects` are the addresses (host, port) that take a connection, whoever is behind it.
    `complete` is False where the system shows this user his own sockets only.
    """

    found: tuple[Listener, ...]
    connects: frozenset[tuple[str, int]] = frozenset()
    complete: bool = True

    live = True

    @classmethod
    def read(cls, addresses: Addresses) -> Listeners:
        ports = {a.port for a in addresses.services.values()}
        targets = {(a.reached_at, a.port) for a in addresses.services.values()}
        with ThreadPoolExecutor(max_workers=16) as pool:
            answers = pool.map(lambda target: _connects(*target), targets)
            found, complete = listening(ports)
            connects = frozenset(t for t, ok in zip(targets, answers, strict=True) if ok)
        return cls(tuple(found), connects, complete)

    def on(self, port: int) -> list[Listener]:
        return [listener for listener in self.found if listener.port == port]


def _connects(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=_CONNECT):
            return True
    except OSError:
        return False


def listening(ports: set[int]) -> tuple[list[Listener], bool]:
    """The sockets that listen on these ports, and whether other users' are among them.

    Raises Unreadable where the system tells nothing.
    """
    import psutil

    try:
        connections = [
            (c.laddr.ip, c.laddr.port, c.pid)
            for c in psutil.net_connections(kind="tcp")
            if c.status == psutil.CONN_LISTEN and c.laddr
        ]
        complete = True
    except psutil.AccessDenied:
        # macOS shows an ordinary user no list of all; his own processes can be asked one by one.
        connections, complete = _own_connections(), False
    except (psutil.Error, OSError) as error:
        raise Unreadable(f"the listening sockets can't be listed ({error})") from None
    users = _users_of_sockets()
    processes: dict[int, Process | None] = {}
    found: dict[tuple[str, int, int | None], Listener] = {}
    for address, port, pid in connections:
        if port not in ports:
            continue
        if pid and pid not in processes:
            processes[pid] = process_of(pid)
        process = processes.get(pid) if pid else None
        user = process.user if process else users.get((address, port), "")
        found[address, port, pid] = Listener(address, port, process, user)
    return list(found.values()), complete


def _own_connections() -> list[tuple[str, int, int | None]]:
    import psutil

    found: list[tuple[str, int, int | None]] = []
    for process in psutil.process_iter():
        try:
            # Its name before psutil 6 was `connections`.
            ask = getattr(process, "net_connections", None) or process.connections
            own = ask(kind="tcp")
        except (psutil.Error, OSError):
            continue  # another user's
        found += [
            (c.laddr.ip, c.laddr.port, process.pid)
            for c in own
            if c.status == psutil.CONN_LISTEN and c.laddr
        ]
    return found


def process_of(pid: int) -> Process | None:
    """The process with its ancestors; None when it has ended."""
    import psutil

    try:
        process = psutil.Process(pid)
        chain = [process, *process.parents()[:12]]
    except psutil.Error:
        return None
    parent: Process | None = None
    for one in reversed(chain):
        parent = _describe(one, parent) or parent
    return parent if parent and parent.pid == pid else None


def _describe(process: psutil.Process, parent: Process | None) -> Process | None:
    import psutil

    try:
        with process.oneshot():
            return Process(
                process.pid,
                process.create_time(),
                process.name(),
                tuple(_allowed(process.cmdline, [])),
                _allowed(process.username, ""),
                _allowed(process.cwd, "") or "",
                str(process.status()),
                tuple(_search_path(process)),
                parent,
            )
    except psutil.Error:
        return None


def _allowed(ask: Callable[[], T], otherwise: T) -> T:
    """What the process says, or this where the user may not know."""
    import psutil

    try:
        return ask()
    except (psutil.AccessDenied, psutil.ZombieProcess, KeyError, OSError):
        return otherwise


def _search_path(process: psutil.Process) -> list[str]:
    none: dict[str, str] = {}
    text = _allowed(process.environ, none).get("PYTHONPATH", "")
    return [part for part in text.split(os.pathsep) if part]


def _users_of_sockets() -> dict[tuple[str, int], str]:
    """On Linux: whose each listening socket is, told also where the process can't be seen."""
    found: dict[tuple[str, int], str] = {}
    for name in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/net/{name}").read_text().splitlines()[1:]
        except OSError:
            continue
        found.update(_parse_sockets(lines))
    return found


def _parse_sockets(lines: list[str]) -> Iterator[tuple[tuple[str, int], str]]:
    """Lines of /proc/net/tcp: address and port in hexadecimal, `0A` for a listener, a user id."""
    for line in lines:
        words = line.split()
        if len(words) < 8 or words[3] != "0A":
            continue
        host, _, port = words[1].partition(":")
        yield (_address(host), int(port, 16)), _user_name(int(words[7]))


def _address(text: str) -> str:
    """`0100007F` is 127.0.0.1: words of four bytes, each in the machine's order."""
    data = bytes.fromhex(text)
    if sys.byteorder == "little":
        data = b"".join(data[at : at + 4][::-1] for at in range(0, len(data), 4))
    return socket.inet_ntop(socket.AF_INET if len(data) == 4 else socket.AF_INET6, data)


def _user_name(number: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
