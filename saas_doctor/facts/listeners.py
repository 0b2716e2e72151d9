"""Who listens on the platform's ports, as the operating system tells."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.addresses import Addresses, MoreAddresses
from saas_doctor.facts.running import Process, process_of
from saas_doctor.model import Unreadable

WILDCARDS = ("0.0.0.0", "::", "*")
_CONNECT = 0.5
"""Seconds for one connection on this machine; it is made, or refused, at once."""


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
    """The listening sockets on the platform's ports, and which of its addresses answer.

    `connects` are the addresses (host, port) that take a connection, whoever is behind it.
    `outgoing` are connections to elsewhere that have such a port at this end, where nobody listens.
    `complete` is False where the system shows this user his own sockets only.
    """

    found: tuple[Listener, ...]
    connects: frozenset[tuple[str, int]] = frozenset()
    complete: bool = True
    outgoing: tuple[Listener, ...] = ()

    live = True
    limit = 4.5  # a busy machine takes its time to list all sockets of all processes

    @classmethod
    def read(cls, addresses: Addresses, more: MoreAddresses) -> Listeners:
        wanted = (*addresses.services.values(), *more.all)
        # What others' containers would say is not asked: a database notes every caller.
        called = (*addresses.services.values(), *([more.frontend] if more.frontend else []))
        targets = {(a.reached_at, a.port) for a in called}
        with ThreadPoolExecutor(max_workers=16) as pool:
            answers = pool.map(lambda target: _connects(*target), targets)
            sockets, complete = _sockets({a.port for a in wanted})
            connects = frozenset(t for t, ok in zip(targets, answers, strict=True) if ok)
        found = [one for one, listens in sockets if listens]
        heard = {one.port for one in found}
        others = tuple(one for one, listens in sockets if not listens and one.port not in heard)
        return cls(tuple(found), connects, complete, others)

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
    sockets, complete = _sockets(ports)
    return [one for one, listens in sockets if listens], complete


def listening_programs(names: re.Pattern[str]) -> list[Listener]:
    """The sockets that programs of such names listen on, at any port; one for each process."""
    import psutil

    rows = {pid: row.laddr for row, pid in _rows()[0] if pid and row.status == psutil.CONN_LISTEN}
    found: list[Listener] = []
    for pid, at in rows.items():
        try:
            process = process_of(pid) if names.search(psutil.Process(pid).name()) else None
        except psutil.Error:
            continue  # it has ended
        if process:
            found.append(Listener(at.ip, at.port, process, process.user))
    return found


def _rows() -> tuple[list[tuple[Any, int | None]], bool]:
    """All TCP sockets with their processes, and whether other users' are among them."""
    import psutil

    try:
        return [(c, c.pid) for c in psutil.net_connections(kind="tcp")], True
    except psutil.AccessDenied:
        # macOS shows an ordinary user no list of all; his own processes can be asked one by one.
        return _own_connections(), False
    except (psutil.Error, OSError) as error:
        raise Unreadable(f"the listening sockets can't be listed ({error})") from None


def _sockets(ports: set[int]) -> tuple[list[tuple[Listener, bool]], bool]:
    """The sockets at these ports, and of each whether it listens; else it is connected."""
    import psutil

    connected = (psutil.CONN_ESTABLISHED, psutil.CONN_SYN_SENT, psutil.CONN_CLOSE_WAIT)
    rows, complete = _rows()
    users = cache(_users_of_sockets)  # asked for only where a process can't be seen
    processes: dict[int, Process | None] = {}
    found: dict[tuple[str, int, int | None, bool], tuple[Listener, bool]] = {}
    for row, pid in rows:
        listens = row.status == psutil.CONN_LISTEN
        if not row.laddr or row.laddr.port not in ports:
            continue
        if not listens and (row.status not in connected or pid == os.getpid()):
            continue
        if pid and pid not in processes:
            processes[pid] = process_of(pid)
        address, port = row.laddr.ip, row.laddr.port
        process = processes.get(pid) if pid else None
        user = process.user if process else users().get((address, port), "")
        found[address, port, pid, listens] = Listener(address, port, process, user), listens
    return list(found.values()), complete


def _own_connections() -> list[tuple[Any, int | None]]:
    import psutil

    found: list[tuple[Any, int | None]] = []
    for process in psutil.process_iter():
        try:
            # Its name before psutil 6 was `connections`.
            ask = getattr(process, "net_connections", None) or process.connections
            found += [(row, process.pid) for row in ask(kind="tcp")]
        except (psutil.Error, OSError):
            continue  # another user's
    return found


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
