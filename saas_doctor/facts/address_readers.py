"""What the readers of addresses take: SQLAlchemy, the drivers, Redis' client, HTTP clients."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from urllib.parse import urlsplit

from msgspec import Struct


class Reader(Struct, frozen=True):
    """What is given an address. `schemes` are those that it takes, the usual one first.

    `others`: whether there may be further schemes that it takes (dialects, backends): only what is
    one of the known ones misspelt, or is for another kind of thing, is then refused.
    `pairs`: whether `host=... dbname=...` is right, too; `hosts`: whether several may stand there.
    """

    name: str
    schemes: tuple[str, ...]
    others: bool = False
    pairs: bool = False
    hosts: bool = False

    @property
    def usual(self) -> str:
        return f"{self.schemes[0]}://"


_WEB = ("http", "https")
_REDIS = ("redis", "rediss", "unix")
SQLALCHEMY = Reader("SQLAlchemy", ("postgresql",), others=True)
LIBPQ = Reader("libpq", ("postgresql", "postgres"), pairs=True, hosts=True)
ASYNCPG = Reader("asyncpg", ("postgresql", "postgres"), hosts=True)
DATABASES = Reader("databases", ("postgresql", "postgres"), others=True)
REDIS = Reader("Redis' client", _REDIS)
HTTP = Reader("an HTTP client", _WEB)
_WITHOUT_SCHEME = re.compile(r"(?:[\w.\-]+(?::[\w.\-]*)?@)?[\w.\-]+(?::\d+)?(?:/(?!/)\S*)?")
_SECOND = re.compile(r"([a-z][a-z0-9+]*)(?::/|//)(?=\S*[a-z])", re.I)


def refused(reader: Reader, text: str) -> str:
    """Why a reader refuses an address, in words; nothing where it takes it, or may take it."""
    spelled = _misspelled(reader, text)
    if spelled:
        return spelled
    head, found, _ = text.partition("://")
    if not found:
        if (reader.pairs and "=" in text) or (reader is HTTP and text.startswith("/")):
            return ""
        return f"it does not begin with {reader.usual}"
    scheme = head.lower()
    if reader.others or reader is HTTP:
        scheme = scheme.partition("+")[0]  # the driver, or an adapter that a session was given
    if scheme not in reader.schemes:
        if reader.others and not _is_meant(scheme, reader):
            return ""
        return f"its scheme is {head}, not {' or '.join(reader.schemes)}"
    return malformed(text, hosts=reader.hosts, web=reader is HTTP)


def _misspelled(reader: Reader, text: str) -> str:
    """What of an address's spelling a reader does not take, though others may."""
    if text[:1].isspace() and reader in (SQLALCHEMY, LIBPQ, REDIS):
        return "it begins with a blank"
    if reader in (SQLALCHEMY, LIBPQ, ASYNCPG, DATABASES) and "%00" in text.rpartition("@")[0]:
        return "it holds a NUL (%00), which no driver takes"
    if reader is not SQLALCHEMY or not text.startswith("postgres"):
        return ""
    if text[-1:].isspace():
        return "it ends with a blank, which SQLAlchemy takes for a part of it"
    name = text.rpartition("@")[2].partition("://")[2] or text.rpartition("@")[2]
    encoded = re.search(r"%[0-9A-Fa-f]{2}", name.partition("?")[0].partition("/")[2])
    if encoded:
        return f"its database's name holds {encoded.group()}, which SQLAlchemy takes as it stands"
    return ""


def malformed(text: str, *, hosts: bool = False, web: bool = False) -> str:
    """Why no reader takes an address with a scheme: its port, or that it has no host."""
    head, _, rest = text.partition("://")
    second = _SECOND.match(rest)
    if second and _alike(second[1].lower(), head.lower().partition("+")[0]):
        return f"a second scheme, {second[0]}, follows its own"
    try:
        # After the last @: SQLAlchemy takes `/`, `#` and `?` in a password as they are.
        url = urlsplit(f"{head}://{rest.rpartition('@')[2]}")
        if hosts and "," in url.netloc:
            return ""
        port = url.port
    except ValueError as error:
        return str(error)
    if web and not url.hostname:
        return "it names no host"
    return "port 0 can't be connected to" if port == 0 else ""


def _is_meant(scheme: str, reader: Reader) -> bool:
    """Whether a scheme is a misspelt one of the reader's, or for another kind of thing."""
    if scheme in (*_WEB, *_REDIS):
        return True
    return _alike(scheme, reader.schemes[0]) and bool(re.match("p?o?s", scheme))


def _alike(one: str, other: str) -> bool:
    return SequenceMatcher(None, one, other).ratio() > 0.8


def put_right(text: str, scheme: str) -> str:
    """The address with another scheme, where that may be all that is wrong with it; else nothing."""
    head, found, rest = text.partition("://")
    if not found:
        # `localhost:8001`, not a sentence, not `host=localhost`, and no scheme misspelt: `http:/x`.
        return f"{scheme}://{text}" if _WITHOUT_SCHEME.fullmatch(text) else ""
    if head == "postgres" and scheme.partition("+")[0] == "postgresql":
        return f"{scheme}://{rest}"
    if head.startswith("postgres+") and scheme.partition("+")[0] == "postgresql":
        return f"postgresql+{head.partition('+')[2]}://{rest}"
    return ""
