"""Who is given the address that a variable holds, and what becomes of it on its way there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.address_readers import (
    ASYNCPG,
    DATABASES,
    HTTP,
    LIBPQ,
    REDIS,
    SQLALCHEMY,
    Reader,
)
from saas_doctor.facts.clients import Clients, urls_of
from saas_doctor.facts.engines import MAKERS
from saas_doctor.facts.literals import UNKNOWN, Spot, Value
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.runs import is_aside
from saas_doctor.facts.scopes import Scope, given
from saas_doctor.facts.source import Source
from saas_doctor.facts.values import Values
from saas_doctor.model import Place

_DEEP = 12
_READERS: dict[str, Reader] = {
    **dict.fromkeys(MAKERS, SQLALCHEMY),
    **dict.fromkeys(("asyncpg.connect", "asyncpg.create_pool"), ASYNCPG),
    "psycopg2.connect": LIBPQ,
    "psycopg.connect": LIBPQ,
    **{f"psycopg.{name}.connect": LIBPQ for name in ("Connection", "AsyncConnection")},
    **{f"psycopg_pool.{name}": LIBPQ for name in ("ConnectionPool", "AsyncConnectionPool")},
    "databases.Database": DATABASES,
    "databases.core.Database": DATABASES,
}
_OF_REDIS = re.compile(r"(?:redis|aioredis)(?:\.\w+)*\.from_url")
_LIKELY = ("create_engine", "create_async_engine", "asyncpg", "psycopg", "databases", "from_url")
_ARGUMENTS = ("url", "dsn", "conninfo")
# What keeps a driver from being asked for by the address.
_INSTEAD = {"creator", "module", None}
# `url.replace("postgres://", ...)`, `url.startswith("postgres:")`: the code sees to the old scheme.
_OLD_SCHEME = re.compile(rb"[\"']\^?postgres:(?://)?[\"']")


class AddressUse(Struct, frozen=True):
    """A call that is given an address which a variable holds.

    `text` is what it is given, as far as that can be told: for an HTTP client the beginning.
    `sure`: whether nothing but the variable itself decides whether the call is made.
    """

    reader: Reader
    place: Place
    text: str
    spot: Spot
    asyncio: bool = False
    sure: bool = True

    @property
    def as_it_is(self) -> bool:
        """Whether the call is given the variable's own text, at most cut at its end."""
        return bool(self.text) and self.spot.written.startswith(self.text)


class AddressUses(Fact, frozen=True):
    """The calls that are proven to be given an address of the settings; looked up when asked for."""

    source: Source
    values: Values
    clients: Clients

    limit = 20.0

    @classmethod
    def read(cls, source: Source, values: Values, clients: Clients) -> AddressUses:
        return cls(source, values, clients)

    def of(self, variable: str) -> list[AddressUse]:
        return [use for use in self._found if use.spot.variable == variable]

    @cached_property
    def sees_to_old_scheme(self) -> bool:
        """Whether the code itself looks for `postgres://`, as the hosters hand it out."""
        modules = self.source.mentioning("postgres:")
        return any(_OLD_SCHEME.search(m.data) for m in modules if not is_aside(m))

    @cached_property
    def _found(self) -> tuple[AddressUse, ...]:
        return (*self._of_readers(), *self._of_clients())

    def _of_readers(self) -> Iterator[AddressUse]:
        for module in self.source.mentioning(*_LIKELY):
            if is_aside(module):
                continue
            for call in module.nodes:
                name = dotted_name(call.func) if isinstance(call, ast.Call) else ""
                if not isinstance(call, ast.Call) or not name:
                    continue
                full = self.source.made_by(module, name)
                reader = REDIS if _OF_REDIS.fullmatch(full) else _READERS.get(full)
                words = {k.arg: k.value for k in call.keywords}
                named = (words[key] for key in _ARGUMENTS if key in words)
                address = call.args[0] if call.args else next(named, None)
                instead = reader is SQLALCHEMY and words.keys() & _INSTEAD
                if reader and address is not None and not instead:
                    asyncio = MAKERS.get(full, False)
                    yield from self._use(reader, module, call, address, asyncio=asyncio)

    def _of_clients(self) -> Iterator[AddressUse]:
        for call in self.clients.calls:
            if not is_aside(call.module):
                for url in urls_of(call, self.values):
                    yield from self._use(HTTP, call.module, call.node, url)

    def _use(
        self,
        reader: Reader,
        module: Module,
        call: ast.Call,
        address: ast.expr,
        *,
        asyncio: bool = False,
    ) -> Iterator[AddressUse]:
        value = self.values.of(module, address)
        if reader is HTTP and not _is_of_variable(value):
            value = self._first(module.scope_of(address), address, 0)
        if value.text is not None and value.spot and value.spot.variable:
            sure = not _is_decided(module, call, value.spot.variable)
            yield AddressUse(reader, module.place(call), value.text, value.spot, asyncio, sure)

    def _first(self, scope: Scope, node: ast.expr, depth: int) -> Value:
        """The value of the first part of an address that is put together."""
        value = self.values.of(scope.module, node)
        if _is_of_variable(value) or depth > _DEEP:
            return value
        if isinstance(node, ast.JoinedStr) and node.values:
            part = node.values[0]
            plain = isinstance(part, ast.FormattedValue) and part.conversion == -1
            if not isinstance(part, ast.FormattedValue) or not plain or part.format_spec:
                return UNKNOWN
            return self._first(scope, part.value, depth + 1)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return self._first(scope, node.left, depth + 1)
        if isinstance(node, ast.Name | ast.Attribute):
            found = given(self.source, scope, node)
            return self._first(found.scope, found.expression, depth + 1) if found else UNKNOWN
        return UNKNOWN


def _is_of_variable(value: Value) -> bool:
    return value.text is not None and bool(value.spot and value.spot.variable)


def _is_decided(module: Module, call: ast.AST, variable: str) -> bool:
    """Whether something beside the variable's own being there decides whether a call is made."""
    word = re.compile(rf"\b{re.escape(variable)}\b", re.I)
    tests = (
        ast.unparse(node.test)
        for node in module.around(call)
        if isinstance(node, ast.If | ast.IfExp | ast.While)
    )
    return any(not word.search(test) or "postgres" in test for test in tests)
