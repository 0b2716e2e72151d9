"""Asks a Postgres server by its own protocol why it refuses a login: the SQLSTATE, in any language.

The drivers hide the code of a refused login, and the server translates its text.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import socket
import ssl
import struct
from dataclasses import dataclass

_PROTOCOL = 196608  # version 3.0
_SSL_REQUEST = 80877103


@dataclass(frozen=True)
class Answer:
    """How a login ended: `state` is the SQLSTATE of the refusal, empty when it was accepted.

    `routine` is the server's function that refused, whose name is never translated.
    `is_postgres` is False when something answered that does not speak the protocol.
    """

    state: str = ""
    text: str = ""
    routine: str = ""
    is_postgres: bool = True


class _Refused(Exception):
    def __init__(self, state: str, text: str, routine: str = "") -> None:
        super().__init__(text)
        self.answer = Answer(state, text, routine)


class _Foreign(Exception):
    """What answered is not Postgres."""


def login(
    host: str, port: int, user: str, password: str, database: str, *, limit: float = 2.0
) -> Answer:
    """Log in and leave again. `host`: an address, or the folder of a Unix socket.

    Raises OSError where nothing answers (TimeoutError: nothing within `limit` seconds).
    """
    with _connect(host, port, limit) as plain:
        stream = _encrypted(plain, host)
        try:
            pairs = [b"user", user.encode(), b"database", database.encode()]
            body = struct.pack(">i", _PROTOCOL) + b"\0".join(pairs) + b"\0\0"
            stream.sendall(struct.pack(">i", len(body) + 4) + body)
            _authenticate(stream, user, password)
            stream.sendall(b"X\0\0\0\x04")
        except _Refused as refused:
            return refused.answer
        except _Foreign as foreign:
            return Answer(text=str(foreign), is_postgres=False)
    return Answer()


def _connect(host: str, port: int, limit: float) -> socket.socket:
    if host.startswith("/"):
        stream = socket.socket(socket.AF_UNIX)
        stream.settimeout(limit)
        stream.connect(f"{host}/.s.PGSQL.{port}")
        return stream
    return socket.create_connection((host, port), timeout=limit)


def _encrypted(stream: socket.socket, host: str) -> socket.socket:
    """The stream under TLS where the server offers it, as the drivers have it by default."""
    if host.startswith("/"):
        return stream
    stream.sendall(struct.pack(">ii", 8, _SSL_REQUEST))
    answer = stream.recv(1)
    if answer == b"S":
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context.wrap_socket(stream)
    return stream


def _message(stream: socket.socket) -> tuple[bytes, bytes]:
    kind = _exactly(stream, 1)
    (size,) = struct.unpack(">i", _exactly(stream, 4))
    if kind not in b"RESKZNv" or not 4 <= size <= 100_000:
        raise _Foreign(f"answered {kind!r}, which is not Postgres' protocol")
    return kind, _exactly(stream, size - 4)


def _exactly(stream: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = stream.recv(size - len(data))
        if not part:
            raise _Foreign("closed the connection without an answer")
        data += part
    return data


def _send(stream: socket.socket, body: bytes) -> None:
    stream.sendall(b"p" + struct.pack(">i", len(body) + 4) + body)


def _authenticate(stream: socket.socket, user: str, password: str) -> None:
    """Answer the server's questions until it is ready; raises _Refused with its SQLSTATE."""
    scram: _Scram | None = None
    while True:
        kind, body = _message(stream)
        if kind == b"E":
            raise _Refused(*_error(body))
        if kind == b"Z":
            return
        if kind != b"R":
            continue  # parameters, notices, keys: also after the login was accepted
        (method,) = struct.unpack(">i", body[:4])
        if method == 3:
            _send(stream, password.encode() + b"\0")
        elif method == 5:
            inner = hashlib.md5(password.encode() + user.encode()).hexdigest().encode()
            _send(stream, b"md5" + hashlib.md5(inner + body[4:8]).hexdigest().encode() + b"\0")
        elif method == 10:
            scram = _Scram(password)
            first = scram.first()
            _send(stream, b"SCRAM-SHA-256\0" + struct.pack(">i", len(first)) + first)
        elif method == 11 and scram:
            _send(stream, scram.final(body[4:]))
        elif method not in (0, 12):
            raise _Refused("", f"asks for an authentication (method {method}) not known here")


def _error(body: bytes) -> tuple[str, str, str]:
    fields = {part[:1]: part[1:].decode("utf-8", "replace") for part in body.split(b"\0") if part}
    return fields.get(b"C", ""), fields.get(b"M", ""), fields.get(b"R", "")


class _Scram:
    """SCRAM-SHA-256 (RFC 7677) without channel binding."""

    def __init__(self, password: str) -> None:
        self.password = password.encode()
        self.nonce = base64.b64encode(os.urandom(18))

    def first(self) -> bytes:
        return b"n,,n=,r=" + self.nonce

    def final(self, server_first: bytes) -> bytes:
        values = dict(part.split(b"=", 1) for part in server_first.split(b","))
        salted = hashlib.pbkdf2_hmac(
            "sha256", self.password, base64.b64decode(values[b"s"]), int(values[b"i"])
        )
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        without_proof = b"c=biws,r=" + values[b"r"]
        message = b"n=,r=" + self.nonce + b"," + server_first + b"," + without_proof
        signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        return without_proof + b",p=" + base64.b64encode(proof)
