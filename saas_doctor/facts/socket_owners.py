"""Whose processes listen on an address, as far as this user may see."""

from __future__ import annotations

import ipaddress
import os
import sys
from pathlib import Path
from typing import Any

from saas_doctor.facts.postgres_protocol import Endpoint


def listeners(endpoint: Endpoint) -> list[tuple[int | None, int | None]]:
    """The processes (where they may be seen) and the owners of what listens on the address."""
    import psutil

    wildcard = "::" if endpoint.ip and ":" in endpoint.ip else "0.0.0.0"
    port = endpoint.address[1]
    try:
        every = [(c.pid, c) for c in psutil.net_connections(kind="tcp")]
    except psutil.AccessDenied:  # macOS, for an ordinary user: ask the processes that may be asked
        every = [(pid, c) for pid in _postgres_processes() for c in _connections(pid)]
    listening = [
        (pid, c.laddr.ip)
        for pid, c in every
        if c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port
    ]
    owners = _socket_owners()
    for ip in (endpoint.ip, wildcard):
        found = [(pid, owners.get((ip or "", port))) for pid, at in listening if at == ip]
        if found:
            return found
    return []


def _postgres_processes() -> list[int]:
    import psutil

    names = ("postgres", "postmaster")
    return [p.pid for p in psutil.process_iter(["name"]) if (p.info["name"] or "") in names]


def _connections(pid: int) -> list[Any]:
    import psutil

    try:
        process = psutil.Process(pid)
        # The name before psutil 6.
        ask = getattr(process, "net_connections", None) or process.connections
        return list(ask(kind="tcp"))
    except psutil.Error:
        return []


def _socket_owners() -> dict[tuple[str, int], int]:
    """Linux: the user ids that own the listening sockets, by address; readable by everybody."""
    owners: dict[tuple[str, int], int] = {}
    for file in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(file).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            words = line.split()
            if words[3] == "0A":  # listening
                address, _, port = words[1].partition(":")
                owners[_address(address), int(port, 16)] = int(words[7])
    return owners


def _address(text: str) -> str:
    """An address as the kernel prints it: 32-bit words in the machine's byte order."""
    words = [text[i : i + 8] for i in range(0, len(text), 8)]
    data = b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in words)
    return str(ipaddress.ip_address(data))


def working_folder(pid: int) -> str:
    import psutil

    try:
        # A server works in its data directory.
        return os.path.realpath(psutil.Process(pid).cwd())
    except psutil.Error:
        return ""
