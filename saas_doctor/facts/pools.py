"""The connection pools of SQLAlchemy engines, and how many connections the server takes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from saas_doctor.compose.model import Service
from saas_doctor.compose.values import command
from saas_doctor.facts import Fact
from saas_doctor.facts.arguments import arguments
from saas_doctor.facts.compose import Compose
from saas_doctor.facts.layout import NEVER_DUE
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.source import Source
from saas_doctor.facts.values import Values
from saas_doctor.model import Place
from saas_doctor.platform import Platform
from saas_doctor.reading import read_head

SIZE, OVERFLOW = 5, 10
"""What an engine's pool has unless it is told otherwise."""
MAXIMUM, RESERVED = 100, 3
"""A Postgres server's max_connections and superuser_reserved_connections, unless set."""

_ENGINE = re.compile(rb"\bcreate_(?:async_)?engine\b")
_MAKERS = {
    "sqlalchemy.create_engine",
    "sqlalchemy.engine.create_engine",
    "sqlalchemy.ext.asyncio.create_async_engine",
    "sqlalchemy.ext.asyncio.engine.create_async_engine",
    "sqlmodel.create_engine",
}
_QUEUES = {"QueuePool", "AsyncAdaptedQueuePool", "FallbackAsyncAdaptedQueuePool"}
_POSTGRES_IMAGE = re.compile(r"(?:.*/)?(?:postgres|postgresql|postgis|pgvector)(?::.*|@.*)?")
_POOLER = re.compile(r"pgbouncer|pgcat|pgpool|odyssey|supavisor|pooler", re.I)
_SETTING = r"\b{}\s*=?\s*['\"]?(\d+)"


class Pool(Struct, frozen=True):
    """An engine's pool: its two sizes, where each was decided, and the server's host as far as told.

    `overflow` is -1 for no limit; `set` says whether either was chosen, and not left as it is.
    """

    module: Module
    place: Place
    size: int
    overflow: int
    sizes_at: tuple[Place, ...]
    host: str
    set: bool

    @property
    def connections(self) -> int | None:
        """The most that it opens; None for no limit."""
        return None if self.size == 0 or self.overflow < 0 else self.size + self.overflow


class Server(Struct, frozen=True):
    """The limit of a Postgres server, by its compose service or host, and where it is set.

    `place` is None for the default.
    """

    name: str
    maximum: int
    reserved: int
    place: Place | None


class Pools(Fact, frozen=True):
    """The pools of the platform's engines for Postgres, as far as their sizes can be told."""

    platform: Platform
    source: Source
    values: Values
    compose: Compose

    limit = 20.0

    @classmethod
    def read(
        cls,
        platform: Platform,
        source: Source,
        values: Values,
        compose: Compose,
    ) -> Pools:
        return cls(platform, source, values, compose)

    @cached_property
    def found(self) -> tuple[Pool, ...]:
        """The pools outside tests, scripts and migrations."""
        return tuple(
            pool
            for module in self.source.mentioning("create_engine", "create_async_engine")
            if _ENGINE.search(module.data) and not NEVER_DUE & set(Path(module.name).parts)
            for node in module.nodes
            if isinstance(node, ast.Call)
            for pool in self._pool(module, node)
        )

    def _pool(self, module: Module, call: ast.Call) -> Iterator[Pool]:
        name = dotted_name(call.func)
        if "engine" not in name or self.source.made_by(module, name) not in _MAKERS:
            return
        named, whole = arguments(self.source, module, call)
        url = call.args[0] if call.args else named.get("url")
        kind = dotted_name(named["poolclass"]).rpartition(".")[2] if "poolclass" in named else ""
        if not whole or url is None or (kind and kind not in _QUEUES):
            return
        size = self._size(module, named.get("pool_size"), SIZE)
        overflow = self._size(module, named.get("max_overflow"), OVERFLOW)
        host = self._host(module, url, explicit="pool_size" in named)
        if host is None or size is None or overflow is None:
            return
        chosen = bool(named.keys() & {"pool_size", "max_overflow"})
        places = tuple(at for _, at in (size, overflow) if at)
        place = module.place(call)
        yield Pool(module, place, size[0], overflow[0], places, host, chosen)

    def _size(
        self, module: Module, node: ast.expr | None, default: int
    ) -> tuple[int, Place | None] | None:
        """A size, and where it was decided; None where it can't be told."""
        if node is None:
            return default, None
        value = self.values.everywhere.of(module, node)
        place = value.spot.place if value.spot else None
        return (value.plain, place) if type(value.plain) is int else None

    def _host(self, module: Module, url: ast.expr, *, explicit: bool) -> str | None:
        """The host of a Postgres address, empty where it is not told; None for another database."""
        text, whole = self.values.beginning(module, url)
        if not text:
            # Sizes are refused for SQLite, and the platform's only database is Postgres.
            return "" if explicit and self._postgres else None
        scheme = text.partition(":")[0].partition("+")[0]
        if scheme not in ("postgresql", "postgres"):
            return None
        if not whole:
            return ""
        try:
            address = urlsplit(text)
            host, port = address.hostname or "", address.port
        except ValueError:
            return ""  # an address that is not valid is reported as such
        return None if port == 6432 or _POOLER.search(host) else host

    @cached_property
    def _postgres(self) -> list[Service]:
        """The compose services that are Postgres servers."""
        services = self.compose.known_services.values()
        return [service for service in services if _POSTGRES_IMAGE.fullmatch(service.image)]

    @property
    def _names_postgres(self) -> bool:
        return b"postg" in self.compose.data or b"pgvector" in self.compose.data

    def server(self, host: str) -> Server | None:
        """The limit of the server that is reached by a host; None where it can't be told.

        One behind a pooler takes other numbers, and a server elsewhere may be set to anything.
        """
        if _POOLER.search(self.compose.data.decode("utf-8", "replace")):
            return None
        local = host in ("", "localhost", "::1") or host.startswith("127.")
        if len(self._postgres) == 1 and (local or host == self._postgres[0].name):
            return self._limit(self._postgres[0])
        if not local or not host or self._names_postgres:
            return None
        return Server("localhost", MAXIMUM, RESERVED, None)

    def _limit(self, service: Service) -> Server | None:
        node = service.node.get("command")
        told = command(node)
        text = told if isinstance(told, str) else " ".join(told)
        place = node.place if node else None
        maximum = _number("max_connections", text)
        if maximum is None and "config_file" in text:
            found = self._configured(service)
            if found is None:
                return None
            text, place = found
            maximum = _number("max_connections", text)
        reserved = _number("superuser_reserved_connections", text)
        return Server(
            service.name,
            MAXIMUM if maximum is None else maximum,
            RESERVED if reserved is None else reserved,
            place if maximum is not None else None,
        )

    def _configured(self, service: Service) -> tuple[str, Place] | None:
        """The configuration file that a service is given, without its comments."""
        for volume in service.volumes:
            path = volume.path
            if path and path.name.endswith(".conf") and path.is_file():
                try:
                    raw = read_head(path, 1_000_000).splitlines()
                except OSError:
                    return None
                lines = [line.decode("utf-8", "replace").partition("#")[0] for line in raw]
                at = next((n for n, s in enumerate(lines, 1) if "max_connections" in s), None)
                return "\n".join(lines), Place(self.platform.relative(path), at)
        return None


def _number(name: str, text: str) -> int | None:
    found = re.findall(_SETTING.format(name), text)
    return int(found[-1]) if found else None
