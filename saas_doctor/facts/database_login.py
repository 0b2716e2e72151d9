"""A login on a Postgres server: how it is made, and what stands in its way, told in no language."""

from __future__ import annotations

import os
import secrets
import socket
from enum import Enum
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from saas_doctor.facts.database_address import Address
from saas_doctor.facts.postgres_protocol import (
    Answer,
    Endpoint,
    Outcome,
    ask,
    endpoints,
    printable,
)
from saas_doctor.facts.strangers import greeting, named

if TYPE_CHECKING:
    from psycopg import Connection

CONNECT_LIMIT = 2
"""Seconds for one connection; the least that libpq knows."""


class Trouble(str, Enum):
    """What stands in the way of a login, told without reading any translated text."""

    REFUSED = "refused"
    UNKNOWN_HOST = "unknown host"
    UNREACHABLE = "unreachable"
    SILENT = "silent"
    FOREIGN = "foreign"
    STARTING = "starting"
    FULL = "full"
    CLIENT = "client"  # the driver itself gives up, for a reason of its own
    TLS_MISSING = "no TLS"  # demanded by the address, not offered by the server
    TLS_WANTED = "TLS wanted"  # demanded by the server, forbidden by the address
    TLS_UNWANTED = "TLS unwanted"  # demanded by the address, refused by the server's rules
    TLS_NO_ROOT = "TLS no root"  # the file with the authority is not there
    TLS_UNTRUSTED = "TLS untrusted"  # the server's certificate is not what the address asks for
    ROLE = "role"
    NO_LOGIN = "no login"
    ROLE_OR_LOGIN = "role or login"  # one of the two above
    ROLE_FULL = "role full"
    PASSWORD = "password"  # or a missing role: the server hides which
    NO_PASSWORD = "no password"
    METHOD = "method"  # Kerberos, SSPI and the like
    POOLER = "pooler"  # refused by something in front of the server
    RULES = "rules"  # pg_hba.conf, peer
    DATABASE = "database"
    DATABASE_FULL = "database full"
    NO_CONNECT = "no connect"  # no CONNECT right on the database
    CLOSED = "closed"  # the database takes no connections


UNREACHED = (
    Trouble.REFUSED, Trouble.UNKNOWN_HOST, Trouble.UNREACHABLE, Trouble.SILENT, Trouble.FOREIGN,
    Trouble.STARTING, Trouble.FULL, Trouble.CLIENT,
)  # fmt: skip
"""The troubles that come before the server has looked at who logs in."""
NO_TLS = (
    Trouble.TLS_MISSING, Trouble.TLS_WANTED, Trouble.TLS_UNWANTED, Trouble.TLS_NO_ROOT,
    Trouble.TLS_UNTRUSTED,
)  # fmt: skip
"""Those in which the address and the server do not agree about TLS."""


class Failure(Struct, frozen=True):
    """Why a login failed. `found`: what was observed, with the SQLSTATE where there is one.

    `product`: what answers in the server's place, as far as it is known.
    """

    trouble: Trouble
    found: str
    state: str = ""
    product: str = ""
    method: str = ""
    """How the server asked for the password."""


def connect(address: Address, **other: Any) -> Connection[Any]:
    """A connection as the services make it; raises psycopg.Error."""
    import psycopg

    values: dict[str, Any] = {
        **address.options,
        "host": address.host,
        "port": address.port,
        "user": address.role,
        "password": address.password,
        "dbname": address.database,
        "connect_timeout": CONNECT_LIMIT,
        "application_name": "saas-doctor",
        "client_encoding": "UTF8",  # of a database without one, texts would come as bytes
        **other,
    }
    return psycopg.connect(**values, autocommit=True)


def why(address: Address, text: str) -> tuple[Failure, Endpoint | None]:
    """Why the login failed, and who answered: the server's own SQLSTATE, or what the network said.

    `text` is the driver's complaint.
    """
    try:
        where = endpoints(address.host, address.port)
    except (socket.gaierror, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no valid name"
        found = f"the host name {address.host} can't be resolved ({why})"
        return Failure(Trouble.UNKNOWN_HOST, found), None
    seen: list[Answer] = []
    # One second each: the driver has waited its two already.
    for endpoint in where:
        answer = _ask(address, endpoint, tls=address.tls_mode != "disable")
        seen.append(answer)
        if answer.outcome not in (Outcome.REFUSED, Outcome.UNREACHABLE):
            return _of_tls(address, answer, text) or _judge(address, answer, text), endpoint
    trouble = Trouble.REFUSED
    if any(a.outcome is Outcome.UNREACHABLE for a in seen):
        trouble = Trouble.UNREACHABLE
    return Failure(trouble, "; ".join(f"{a.endpoint.name}: {a.text}" for a in seen)), None


def _ask(address: Address, endpoint: Endpoint, *, tls: bool) -> Answer:
    role, password, database = address.role, address.password, address.database
    return ask(endpoint, role, password, database, tls=tls, timeout=1.0)


def _of_tls(address: Address, answer: Answer, text: str) -> Failure | None:
    """The failure where TLS is its reason, or where it hides the reason."""
    demanded = address.tls_mode in ("require", "verify-ca", "verify-full")
    if demanded and answer.tls is False:
        return Failure(Trouble.TLS_MISSING, f"{answer.endpoint.name} answers that it has no TLS")
    if answer.outcome is Outcome.READY and address.tls_mode.startswith("verify"):
        root = address.options.get("sslrootcert", "~/.postgresql/root.crt")
        there = root == "system" or os.path.exists(os.path.expanduser(root))
        trouble = Trouble.TLS_UNTRUSTED if there else Trouble.TLS_NO_ROOT
        return Failure(trouble, _complaint(address, text))
    refused = answer.sqlstate == "28000" and not answer.authenticated
    if not refused or answer.tls is False or not answer.endpoint.ip:
        return None
    # The server's rules may tell the two kinds of connection apart: the other one is tried.
    other = _ask(address, answer.endpoint, tls=answer.tls is None)
    if other.outcome is Outcome.ERROR and other.sqlstate == "28000" and not other.authenticated:
        return None
    found = f"SQLSTATE 28000: {answer.fields.get('M', '')}"
    if answer.tls is None:
        return Failure(Trouble.TLS_WANTED, found, "28000") if other.tls else None
    if demanded:
        return Failure(Trouble.TLS_UNWANTED, found, "28000")
    # The driver has tried both as well, and got no further than this.
    return _judge(address, other, text)


def _complaint(address: Address, text: str) -> str:
    reason = text.strip().splitlines()[-1] if text.strip() else "no reason given"
    return reason.replace(address.password or "\0", "***")


def _judge(address: Address, answer: Answer, text: str) -> Failure:
    if answer.outcome is Outcome.SILENT or answer.outcome is Outcome.FOREIGN:
        return _judge_foreign(answer)
    if answer.outcome is Outcome.PASSWORD_WANTED:
        found = f"the server asks for a password ({answer.method}), none is given"
        return Failure(Trouble.NO_PASSWORD, found, "28P01")
    if answer.outcome is Outcome.UNKNOWN_METHOD:
        return Failure(Trouble.METHOD, f"the server asks for a login by {answer.method}")
    if answer.outcome is Outcome.ERROR:
        return _judge_error(address, answer)
    # By hand the login works: the driver's complaint is the truth.
    return Failure(Trouble.CLIENT, _complaint(address, text))


def _judge_foreign(answer: Answer) -> Failure:
    words = greeting(answer.endpoint)
    product = named(words)
    if product:
        found = f"{answer.endpoint.name}: {product}"
    elif words:
        found = f"{answer.endpoint.name}: to an HTTP request it answers {printable(words)!r}"
    else:
        found = f"{answer.endpoint.name}: {answer.text}"
    foreign = bool(words) or answer.outcome is Outcome.FOREIGN
    return Failure(Trouble.FOREIGN if foreign else Trouble.SILENT, found, product=product)


_BY_STATE = {
    "57P03": Trouble.STARTING,
    "53300": Trouble.FULL,
    "28P01": Trouble.PASSWORD,
    "3D000": Trouble.DATABASE,
    "42501": Trouble.NO_CONNECT,
    "55000": Trouble.CLOSED,
}
# Functions of the server, named alike in every language: where it looks the role up, where the database.
_LOOKS_UP_ROLE, _LOOKS_UP_DATABASE = "InitializeSessionUserId", "CheckMyDatabase"


def _judge_error(address: Address, answer: Answer) -> Failure:
    state, routine = answer.sqlstate, answer.fields.get("R", "")
    found = f"SQLSTATE {state}: {answer.fields.get('M', '')}"
    trouble = _BY_STATE.get(state, Trouble.RULES)
    if state == "53300" and routine == _LOOKS_UP_ROLE:
        trouble = Trouble.ROLE_FULL
    elif state == "53300" and routine == _LOOKS_UP_DATABASE:
        trouble = Trouble.DATABASE_FULL
    elif state == "28000" and answer.authenticated and routine == _LOOKS_UP_ROLE:
        # After a right password the role is there, so it has no LOGIN.
        trouble = Trouble.NO_LOGIN if answer.method else _role_or_login(address, answer)
    elif state == "08P01" and not routine:
        # A server names its routine with every error; PgBouncer, which speaks for one, does not.
        trouble = Trouble.POOLER
    return Failure(trouble, found, state, method=answer.method)


def _role_or_login(address: Address, answer: Answer) -> Trouble:
    """Under trust: whether the role is missing or may not log in; one SQLSTATE stands for both.

    The server names the line of its source, and a role that is certainly missing is answered from
    the same line as this one if this one is missing too.
    """
    nobody = f"saas_doctor_{secrets.token_hex(8)}"
    tls = bool(answer.tls)
    other = ask(answer.endpoint, nobody, None, address.database, tls=tls, timeout=1.0)
    if other.fields.get("R") != _LOOKS_UP_ROLE or not other.fields.get("L"):
        return Trouble.ROLE_OR_LOGIN
    same = other.fields["L"] == answer.fields.get("L")
    return Trouble.ROLE if same else Trouble.NO_LOGIN
