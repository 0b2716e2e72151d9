"""The address of the platform's Postgres, as its settings give it."""

from __future__ import annotations

import getpass
import os
import re
import sys
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs, unquote

from msgspec import field
from msgspec.structs import replace

from saas_doctor.facts import Fact
from saas_doctor.facts.dotenv import Settings
from saas_doctor.model import Absent, Place, Unreadable
from saas_doctor.platform import Platform

# As SQLAlchemy reads it: a password may hold / and #, which a plain URL parser stumbles over.
_URL = re.compile(
    r"(?P<scheme>[\w+]+)://"
    r"(?:(?P<user>[^:/]*)(?::(?P<password>[^@]*))?@)?"
    r"(?:\[(?P<ipv6>[^/?]+)\]|(?P<host>[^/:?]+))?(?::(?P<port>[^/?]*))?"
    r"(?:/(?P<database>[^?]*))?(?:\?(?P<query>.*))?",
    re.S,
)
# What libpq itself knows; the rest of an address's query is for SQLAlchemy or another driver.
_OPTIONS = {
    "sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl", "options", "gssencmode",
    "channel_binding", "target_session_attrs", "passfile", "keepalives", "tcp_user_timeout",
}  # fmt: skip
_ELSE = {
    "application_name", "fallback_application_name", "connect_timeout", "client_encoding",
    "keepalives_idle", "keepalives_interval", "keepalives_count", "sslsni", "sslcompression",
    "ssl_min_protocol_version", "ssl_max_protocol_version", "requirepeer", "krbsrvname", "gsslib",
    "load_balance_hosts", "prepared_statement_cache_size", "prepared_statement_name_func",
    "statement_cache_size", "async_fallback", "timeout", "command_timeout", "hide_parameters",
}  # fmt: skip
"""Other options of the drivers, which do not matter to where an address leads."""
_VARIABLES = {
    "sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "options": "PGOPTIONS",
    "target_session_attrs": "PGTARGETSESSIONATTRS", "channel_binding": "PGCHANNELBINDING",
}  # fmt: skip
"""By which variables libpq takes an option that the address does not say."""
_HERE = ("localhost", "::1", "0.0.0.0", "::")
_TLS_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


class Address(Fact, frozen=True):
    """The database's address (DATABASE_URL), taken apart; `host` may be a socket's folder.

    `password` is None where none is given; `options` are those that libpq knows (`sslmode`, ...).
    """

    host: str
    port: int
    role: str
    password: str | None
    database: str
    variable: str = "DATABASE_URL"
    place: Place | None = None
    where: str = "backend/.env"
    options: Mapping[str, str] = field(default_factory=dict)
    shell: tuple[str, ...] = ()
    """The variables of the shell that `options` come from, where the address does not say them."""

    def __repr__(self) -> str:
        return f"Address({self.role}@{self.host}:{self.port}/{self.database})"

    @classmethod
    def read(cls, platform: Platform, settings: Settings) -> Address:
        if platform.config.database is None:
            raise Absent("no database is configured")
        key = platform.config.database.variable
        text = settings.values.get(key)
        if not text:
            raise Absent(f"{key} is not set")
        address = parse_url(text, key, platform.environ)
        return replace(
            address, variable=key, place=settings.places.get(key), where=settings.where(key)
        )

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_socket(self) -> bool:
        return self.host.startswith(("/", "@"))

    @property
    def is_local(self) -> bool:
        """Whether it surely leads to this machine."""
        return self.is_socket or self.host in _HERE or self.host.startswith("127.")

    def said_at(self, option: str) -> str:
        """Where one of `options` is said."""
        variable = _VARIABLES[option]
        here = variable in self.shell
        return f"{variable} of this shell" if here else f"{self.variable} in {self.where}"

    def place_of(self, option: str) -> Place | None:
        """The line that says one of `options`; None where that is the shell."""
        return None if _VARIABLES[option] in self.shell else self.place

    @property
    def tls_mode(self) -> str:
        return self.options.get("sslmode", "prefer")


def parse_url(text: str, key: str, environ: Mapping[str, str] | None = None) -> Address:
    """A SQLAlchemy or libpq address taken apart; what it leaves out is libpq's default.

    Raises Absent for another kind of database and Unreadable for what is no address (neither
    repeats the text, which holds a password).
    """
    environ = environ or {}
    url = _URL.fullmatch(text)
    if text != text.strip() and _URL.fullmatch(text.strip()):
        raise Unreadable(f"{key} begins or ends with a blank, which drivers do not take alike")
    if url is None:
        raise Unreadable(f"{key} is not an address")
    if url["scheme"].partition("+")[0] not in ("postgresql", "postgres"):
        raise Absent(f"{key} is not a Postgres address (its scheme is {url['scheme']})")
    many = parse_qs(url["query"] or "", keep_blank_values=True)
    query = {name: values[-1] for name, values in many.items()}
    _refuse_to_guess(url, many, key)
    # SQLAlchemy spells several hosts as host=a:1&host=b:2; the first is the one that is asked.
    host, _, query_port = _first_host(query.get("host", ""))
    host = unquote(url["ipv6"] or url["host"] or "") or host or environ.get("PGHOST", "")
    number = url["port"] or query.get("port") or query_port or environ.get("PGPORT") or "5432"
    number = number.split(",")[0]
    if not (number.isascii() and number.isdigit() and 0 < int(number) < 65536):
        raise Unreadable(f"{key} has no valid port")
    port = int(number)
    password = unquote(url["password"]) if url["password"] is not None else None
    said = _options(query)
    shell = {o: v for o, v in _VARIABLES.items() if environ.get(v) and o not in said}
    role = unquote(url["user"] or "") or query.get("user") or environ.get("PGUSER") or _me()
    return Address(
        host.split(",")[0] or _default_socket(port),
        port,
        role,
        password or query.get("password") or environ.get("PGPASSWORD") or None,
        unquote(url["database"] or "") or query.get("dbname") or environ.get("PGDATABASE") or role,
        options={option: environ[variable] for option, variable in shell.items()} | said,
        shell=tuple(shell.values()),
    )


def _refuse_to_guess(url: re.Match[str], query: Mapping[str, Sequence[str]], key: str) -> None:
    """Raise Unreadable where drivers differ in what they take, or take what is not looked at."""
    if "\0" in unquote(url[0]):
        raise Unreadable(f"{key} holds a NUL, which no driver takes")
    if unquote(url["database"] or "") != (url["database"] or ""):
        # SQLAlchemy takes the name as it stands, libpq decodes it.
        raise Unreadable(f"{key} names its database in a way that drivers do not read alike (%)")
    parts = {"user": "user", "password": "password", "dbname": "database", "port": "port"}
    for name, values in query.items():
        host = name == "host" and (bool(url["host"] or url["ipv6"]) or len(values) > 1)
        twice = name in parts and bool(url[parts[name]])
        listed = name in ("host", "port") and any("," in value for value in values)
        if host or twice or listed:
            raise Unreadable(f"{key} says in more than one way where it leads (`{name}=`)")
        if name not in (*parts, "host", "ssl", *_OPTIONS, *_ELSE):
            raise Unreadable(f"{key} has an option of its driver's that is not known (`{name}=`)")


def with_tls(text: str, mode: str) -> str:
    """The address with this `sslmode` (asyncpg's word is `ssl`), and all else as it was."""
    url = _URL.fullmatch(text.strip())
    query = (url["query"] or "") if url else ""
    head = text.strip().removesuffix(query).removesuffix("?")
    name = "ssl" if head.startswith("postgresql+asyncpg:") else "sslmode"
    parts = [part for part in query.split("&") if part and not re.match(r"(?:sslmode|ssl)=", part)]
    return f"{head}?{'&'.join([*parts, f'{name}={mode}'])}"


def with_server(text: str, host: str, port: int) -> str | None:
    """The address with another host and port, and all else as it was; None for an unusual form."""
    url = _URL.fullmatch(text.strip())
    if url is None or not (url["host"] or url["ipv6"]) or "," in (url["host"] or ""):
        return None
    start = url.start("host") if url["host"] else url.start("ipv6") - 1
    end = url.end("host") if url["host"] else url.end("ipv6") + 1
    end = url.end("port") if url["port"] is not None else end
    written = f"[{host}]" if ":" in host else host
    return f"{text.strip()[:start]}{written}:{port}{text.strip()[end:]}"


def _first_host(text: str) -> tuple[str, str, str]:
    return (text, "", "") if text.startswith("/") else text.partition(":")


def _options(query: Mapping[str, str]) -> dict[str, str]:
    known = {name: value for name, value in query.items() if name in _OPTIONS}
    if query.get("ssl") in _TLS_MODES:  # asyncpg's word for it
        known.setdefault("sslmode", query["ssl"])
    return known


def _me() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        return "postgres"


def _default_socket(port: int) -> str:
    """Where libpq looks without a host: Debian's folder or the one compiled in."""
    folders = ("/var/run/postgresql", "/tmp")
    there = (f for f in folders if os.path.exists(f"{f}/.s.PGSQL.{port}"))
    return next(there, folders[0] if sys.platform == "linux" else folders[1])
