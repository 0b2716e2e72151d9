"""Redis spoken by hand: the few questions whose answers tell that a server is well.

To load its client takes longer than most whole examinations. Standard library only.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from msgspec import Struct

_LARGEST = 1 << 20
"""Bytes of an answer; a longer one is more than is asked for."""


class Answers(Struct, frozen=True):
    """What a server says of itself, and its settings."""

    info: Mapping[str, str]
    settings: Mapping[str, str]


def ask(url: str, key: str, timeout: float) -> Answers | None:
    """What the server tells, if it also takes the login and a look at a key.

    None for whatever else it answers, and for an address with options or TLS: its client knows why.
    """
    parts = urlsplit(url)
    if parts.scheme != "redis" or parts.query or (parts.username and not parts.password):
        return None
    who = [unquote(word) for word in (parts.username, parts.password) if word]
    words = [
        *([["AUTH", *who]] if who else []),
        ["SELECT", parts.path.strip("/") or "0"],
        *(["PING"], ["INFO"], ["CONFIG", "GET", "*"], ["GET", key]),
    ]
    try:
        place = (parts.hostname or "localhost", parts.port or 6379)
        with socket.create_connection(place, timeout) as connection:
            connection.sendall(b"".join(map(_request, words)))
            replies = _Replies(connection, time.monotonic() + timeout)
            *_, info, settings, _ = [replies.next() for _ in words]
    except (OSError, ValueError):
        return None
    pairs = (line.partition(":") for line in "".join(info).splitlines() if ":" in line)
    return Answers(
        {name: value for name, _, value in pairs},
        dict(zip(settings[::2], settings[1::2], strict=False)),
    )


def _request(words: list[str]) -> bytes:
    data = [word.encode() for word in words]
    return b"*%d\r\n" % len(data) + b"".join(b"$%d\r\n%s\r\n" % (len(d), d) for d in data)


class _Replies:
    """What a server sends, with one end in time for all of it."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self.connection = connection
        self.deadline = deadline
        self.data = b""

    def next(self) -> list[str]:
        """The texts of the next reply; raises ValueError for an error, and for what is no Redis."""
        while b"\r\n" not in self.data:
            self._receive()
        line, _, self.data = self.data.partition(b"\r\n")
        kind, rest = line[:1], line[1:].decode("utf-8", "replace")
        if kind == b"*":
            return [text for _ in range(int(rest)) for text in self.next()]
        if kind == b"$":
            size = int(rest)
            if size < 0:  # there is no such thing
                return []
            while len(self.data) < size + 2:
                self._receive()
            text, self.data = self.data[:size], self.data[size + 2 :]
            return [text.decode("utf-8", "replace")]
        if kind in (b"+", b":"):
            return [rest]
        raise ValueError(rest)

    def _receive(self) -> None:
        left = self.deadline - time.monotonic()
        if left <= 0 or len(self.data) > _LARGEST:
            raise TimeoutError
        self.connection.settimeout(left)
        part = self.connection.recv(65536)
        if not part:
            raise ConnectionError
        self.data += part
