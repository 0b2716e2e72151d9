"""What answers on a port in the place of a Postgres server."""

from __future__ import annotations

import re
import socket

from saas_doctor.facts.postgres_protocol import Endpoint, printable


def greeting(endpoint: Endpoint, timeout: float = 0.5) -> bytes:
    """What it says by itself, or to an HTTP request; nothing where it stays silent."""
    try:
        with socket.socket(endpoint.family, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(endpoint.address)
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return connection.recv(500)
    except OSError:
        return b""


_SERVER = re.compile(rb"^server:[ \t]*([^\r\n]+)", re.I | re.M)


def named(words: bytes) -> str:
    """The product that greets so, or nothing."""
    if b"MongoDB over HTTP" in words:
        return "MongoDB"
    if words.startswith(b"HTTP/"):
        server = _SERVER.search(words)
        return f"a web server ({printable(server.group(1))})" if server else "a web server"
    if words.startswith((b"-ERR ", b"-NOAUTH ", b"-DENIED ", b"-MISCONF ")):
        return "Redis"
    if words.startswith(b"SSH-"):
        return f"an SSH server ({printable(words)})"
    if words[3:5] == b"\0\x0a":  # MySQL's first packet, and the version of its protocol
        version = printable(words[5:].partition(b"\0")[0])
        # MariaDB says a version of MySQL before its own, for old clients.
        version = version.removeprefix("5.5.5-")
        return f"{'MariaDB' if 'maria' in version.lower() else 'MySQL'} {version.partition('-')[0]}"
    return "MySQL" if words[3:5] == b"\0\xff" else ""
