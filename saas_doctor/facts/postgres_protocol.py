"""The start of a Postgres connection, spoken by hand, for what drivers do not tell: the SQLSTATE.

Before login a server translates its messages and the drivers keep no SQLSTATE; the error's fields
are the same in every language. One question can follow the login: to load a driver takes longer
than most whole examinations. Standard library only.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import socket
import ssl
import struct
import time
import unicodedata
from collections.abc import Mapping
from enum import Enum
from typing import Any

from msgspec import Struct, field

_PROTOCOL_3 = 196608
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_LARGEST = 1 << 20
"""Bytes of a message; a longer one is not Postgres speaking, or more than is asked for."""
_KINDS = tuple(bytes([letter]) for letter in b"RENSKZvTDCI")
"""The messages of a login, and of a question's answer."""
_OTHERS = {7: "Kerberos (gss)", 9: "SSPI"}
"""Methods of login that are not spoken here."""


class Outcome(str, Enum):
    """How far the connection came."""

    READY = "ready"
    ERROR = "error"  # the server said so: see the fields
    PASSWORD_WANTED = "password wanted"
    UNKNOWN_METHOD = "unknown method"  # Kerberos, SSPI, ...
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    SILENT = "silent"
    FOREIGN = "foreign"  # something else than Postgres answered


class Endpoint(Struct, frozen=True):
    """One address to connect to: an IP address with its port, or a socket's path."""

    family: int
    address: Any
    name: str

    @property
    def ip(self) -> str | None:
        return str(self.address[0]) if isinstance(self.address, tuple) else None


class Answer(Struct, frozen=True):
    """What a server said to a login.

    `fields` are those of its ErrorResponse by their letters: C SQLSTATE, M message (in the server's
    language), R routine, L line of its source. `authenticated`: it had accepted the login before
    that. `method`: how it asked for the password, or "" where it did not. `text`: what was observed
    where there are no fields. `tls`: whether the server offered TLS (None: not asked). `value`: the
    first field of the last row that the question brought. `settings`: what the server told of itself.
    """

    outcome: Outcome
    endpoint: Endpoint
    fields: Mapping[str, str] = field(default_factory=dict)
    authenticated: bool = False
    method: str = ""
    text: str = ""
    tls: bool | None = None
    value: bytes = b""
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def sqlstate(self) -> str:
        return self.fields.get("C", "")


def endpoints(host: str, port: int) -> list[Endpoint]:
    """The addresses of a host in the order of use; raises socket.gaierror for an unknown name."""
    if host.startswith(("/", "@")):
        path = f"{host}/.s.PGSQL.{port}"
        # The leading zero byte is how Linux spells its abstract sockets.
        return [Endpoint(getattr(socket, "AF_UNIX", -1), path.replace("@", "\0", 1), path)]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [
        Endpoint(
            family,
            address,
            f"[{address[0]}]:{port}" if ":" in str(address[0]) else f"{address[0]}:{port}",
        )
        for family, _, _, _, address in found
    ]


def ask(
    endpoint: Endpoint,
    user: str,
    password: str | None,
    database: str,
    *,
    tls: bool = True,
    timeout: float = 2.0,
    question: str = "",
) -> Answer:
    """Try to log in and say what the server answered; never raises for what a server does.

    `question`: one statement, run after the login; an error of it is told as one of the login is.
    """
    try:
        with socket.socket(endpoint.family, socket.SOCK_STREAM) as connection:
            line = _Line(connection, time.monotonic() + timeout)
            return _Login(endpoint, line, user, password, database, question).go(tls)
    except OSError as error:
        return Answer(Outcome.UNREACHABLE, endpoint, text=_reason(error))


def scram_verifier(password: str, salt: bytes | None = None, rounds: int = 4096) -> str:
    """The password as the server keeps it, so that its plain text does not reach any log."""
    salt = salt or os.urandom(16)
    salted = _salted(password, salt, rounds)
    stored = hashlib.sha256(_hmac(salted, b"Client Key")).digest()
    server = _hmac(salted, b"Server Key")
    return f"SCRAM-SHA-256${rounds}:{_b64(salt)}${_b64(stored)}:{_b64(server)}"


class _Foreign(Exception):
    """The bytes are not the Postgres protocol."""


class _Line:
    """A connection with one deadline for all that is said on it."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self.connection = connection
        self.deadline = deadline

    def _hurry(self) -> None:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.connection.settimeout(left)

    def connect(self, address: Any) -> None:
        self._hurry()
        self.connection.connect(address)

    def send(self, data: bytes) -> None:
        self._hurry()
        self.connection.sendall(data)

    def send_message(self, kind: bytes, body: bytes) -> None:
        self.send(kind + struct.pack("!i", len(body) + 4) + body)

    def read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            self._hurry()
            part = self.connection.recv(count - len(data))
            if not part:
                raise _Foreign(printable(data) or "it closed the connection without a word")
            data += part
        return data

    def message(self, kind: bytes = b"") -> tuple[bytes, bytes]:
        """The next message: its letter and its body."""
        kind = kind or self.read(1)
        if kind not in _KINDS:
            raise _Foreign(self.rest(kind))
        head = self.read(4)
        length = struct.unpack("!i", head)[0]
        if not 4 <= length <= _LARGEST:
            raise _Foreign(self.rest(kind + head))
        return kind, self.read(length - 4)

    def rest(self, seen: bytes) -> str:
        self._hurry()
        return printable(seen + self.connection.recv(200))

    def secure(self, name: str | None) -> None:
        # Nothing is trusted here: only the server's answer is wanted, as with sslmode=prefer.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._hurry()
        self.connection = context.wrap_socket(self.connection, server_hostname=name)


class _Login:
    def __init__(
        self,
        endpoint: Endpoint,
        line: _Line,
        user: str,
        password: str | None,
        database: str,
        question: str,
    ) -> None:
        self.endpoint = endpoint
        self.line = line
        self.user = user
        self.password = password
        self.database = database
        self.question = question
        self.settings: dict[str, str] = {}
        self.value = b""
        self.authenticated = False
        self.method = ""
        self.tls: bool | None = None
        self.scram: _Scram | None = None

    def go(self, tls: bool) -> Answer:
        try:
            self.line.connect(self.endpoint.address)
        except TimeoutError:
            return self._answer(Outcome.UNREACHABLE, text="no answer to the connection")
        except (ConnectionRefusedError, FileNotFoundError) as error:
            return self._answer(Outcome.REFUSED, text=_reason(error))
        try:
            first = self._ask_for_tls() if tls and self.endpoint.ip else b""
            return self._converse(first)
        except TimeoutError:
            return self._answer(Outcome.SILENT, text="the connection was accepted, then silence")
        except _Foreign as seen:
            return self._answer(Outcome.FOREIGN, text=str(seen))
        except (OSError, ValueError, IndexError, struct.error) as error:
            return self._answer(Outcome.FOREIGN, text=_reason(error))

    def _answer(self, outcome: Outcome, **values: Any) -> Answer:
        return Answer(
            outcome,
            self.endpoint,
            authenticated=self.authenticated,
            method=self.method,
            tls=self.tls,
            value=self.value,
            settings=self.settings,
            **values,
        )

    def _ask_for_tls(self) -> bytes:
        """Begin TLS where the server has it; a server with no room answers with an error at once."""
        self.line.send(_SSL_REQUEST)
        answer = self.line.read(1)
        if answer == b"E":
            return answer
        if answer not in (b"S", b"N"):
            raise _Foreign(self.line.rest(answer))
        self.tls = answer == b"S"
        if self.tls:
            self.line.secure(self.endpoint.ip)
        return b""

    def _converse(self, first: bytes) -> Answer:
        if not first:
            pairs = {
                "user": self.user,
                "database": self.database,
                "application_name": "saas-doctor",
                "client_encoding": "UTF8",
            }
            body = b"".join(f"{k}\0{v}\0".encode() for k, v in pairs.items()) + b"\0"
            self.line.send(struct.pack("!ii", len(body) + 8, _PROTOCOL_3) + body)
        while True:
            # Read on after "authenticated": the role and the database are looked up after it.
            kind, body = self.line.message(first)
            first = b""
            if kind == b"E":
                return self._answer(Outcome.ERROR, fields=_fields(body))
            if kind == b"S":
                name, _, value = body.decode("utf-8", "replace").partition("\0")
                self.settings[name] = value.rstrip("\0")
            if kind == b"D":
                length = struct.unpack("!i", body[2:6])[0]
                self.value = body[6 : 6 + max(length, 0)]
            if kind == b"Z" and self.question:
                self.line.send_message(b"Q", self.question.encode() + b"\0")
                self.question = ""
            elif kind == b"Z":
                self.line.send_message(b"X", b"")
                return self._answer(Outcome.READY)
            if kind == b"R":
                ended = self._authenticate(struct.unpack("!i", body[:4])[0], body[4:])
                if ended:
                    return ended

    def _authenticate(self, request: int, data: bytes) -> Answer | None:
        if request == 0:
            self.authenticated = True
            return None
        if request == 12:
            return None
        names = {3: "password", 5: "md5", 10: "scram-sha-256", 11: "scram-sha-256"} | _OTHERS
        self.method = names.get(request, f"method {request}")
        if (
            request in _OTHERS
            or request not in names
            or (request == 10 and b"SCRAM-SHA-256\0" not in data)
        ):
            return self._answer(Outcome.UNKNOWN_METHOD)
        if self.password is None:
            return self._answer(Outcome.PASSWORD_WANTED)
        if request == 3:
            self.line.send_message(b"p", self.password.encode() + b"\0")
        elif request == 5:
            inner = hashlib.md5((self.password + self.user).encode()).hexdigest()
            outer = hashlib.md5(inner.encode() + data[:4]).hexdigest()
            self.line.send_message(b"p", f"md5{outer}\0".encode())
        elif request == 10:
            self.scram = _Scram(self.password)
            first = self.scram.first()
            head = b"SCRAM-SHA-256\0" + struct.pack("!i", len(first))
            self.line.send_message(b"p", head + first)
        elif self.scram:
            self.line.send_message(b"p", self.scram.final(data))
        return None


class _Scram:
    """The client's side of SCRAM-SHA-256, without channel binding."""

    def __init__(self, password: str) -> None:
        self.password = password
        self.bare = f"n=,r={secrets.token_urlsafe(18)}"

    def first(self) -> bytes:
        return f"n,,{self.bare}".encode()

    def final(self, challenge: bytes) -> bytes:
        text = challenge.decode()
        parts = dict(part.split("=", 1) for part in text.split(","))
        salted = _salted(self.password, base64.b64decode(parts["s"]), int(parts["i"]))
        key = _hmac(salted, b"Client Key")
        without_proof = f"c=biws,r={parts['r']}"
        signed = f"{self.bare},{text},{without_proof}".encode()
        signature = _hmac(hashlib.sha256(key).digest(), signed)
        proof = bytes(one ^ other for one, other in zip(key, signature, strict=True))
        return f"{without_proof},p={_b64(proof)}".encode()


def _salted(password: str, salt: bytes, rounds: int) -> bytes:
    text = password if password.isascii() else unicodedata.normalize("NFKC", password)
    return hashlib.pbkdf2_hmac("sha256", text.encode(), salt, rounds)


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, "sha256").digest()


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _fields(body: bytes) -> dict[str, str]:
    parts = [part for part in body.split(b"\0") if part]
    return {part[:1].decode("latin-1"): part[1:].decode("utf-8", "replace") for part in parts}


def printable(data: bytes) -> str:
    """The first line of some bytes, fit to be shown."""
    line = data.decode("utf-8", "replace").strip().splitlines()
    return "".join(c if c.isprintable() else "?" for c in line[0])[:80] if line else ""


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
