"""The SQLAlchemy engines that the source makes, the address of each, and the drivers of addresses."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.literals import Spot
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.runs import is_aside, surely_runs
from saas_doctor.facts.source import Source
from saas_doctor.facts.values import Values
from saas_doctor.model import Place

_MAKES = re.compile(rb"\bcreate_(?:async_)?engine\s*\(")
MAKERS = {
    "sqlalchemy.create_engine": False,
    "sqlalchemy.engine.create_engine": False,
    "sqlmodel.create_engine": False,
    "sqlalchemy.ext.asyncio.create_async_engine": True,
    "sqlalchemy.ext.asyncio.engine.create_async_engine": True,
}


class Driver(Struct, frozen=True):
    """A driver of a database: the module that is imported, the distributions that bring it.

    `requirement` is what to ask for, empty where installing it takes more than pip.
    """

    module: str
    distributions: tuple[str, ...]
    requirement: str = ""
    sync: bool = True
    asyncio: bool = False


_PSYCOPG2 = Driver("psycopg2", ("psycopg2-binary", "psycopg2"), "psycopg2-binary>=2.9.10,<3")
_PSYCOPG = Driver("psycopg", ("psycopg",), "psycopg[binary]>=3.2", asyncio=True)
_MYSQLDB = Driver("MySQLdb", ("mysqlclient",))
_BUILT_IN = Driver("sqlite3", ())
DRIVERS = {
    "postgresql+psycopg2": _PSYCOPG2,
    "postgresql+psycopg": _PSYCOPG,
    "postgresql+asyncpg": Driver(
        "asyncpg", ("asyncpg",), "asyncpg>=0.30", sync=False, asyncio=True
    ),
    "postgresql+pg8000": Driver("pg8000", ("pg8000",), "pg8000>=1.31"),
    "mysql": _MYSQLDB,
    "mysql+mysqldb": _MYSQLDB,
    "mariadb": _MYSQLDB,
    "mysql+pymysql": Driver("pymysql", ("pymysql",), "pymysql>=1.1"),
    "mariadb+pymysql": Driver("pymysql", ("pymysql",), "pymysql>=1.1"),
    "mysql+aiomysql": Driver("aiomysql", ("aiomysql",), "aiomysql>=0.2", sync=False, asyncio=True),
    "mysql+asyncmy": Driver("asyncmy", ("asyncmy",), "asyncmy>=0.2", sync=False, asyncio=True),
    "sqlite": _BUILT_IN,
    "sqlite+pysqlite": _BUILT_IN,
    "sqlite+aiosqlite": Driver(
        "aiosqlite", ("aiosqlite",), "aiosqlite>=0.20", sync=False, asyncio=True
    ),
    "mssql+pyodbc": Driver("pyodbc", ("pyodbc",)),
    "mssql": Driver("pyodbc", ("pyodbc",)),
}
"""The drivers by scheme; that of `postgresql` alone depends on the version of SQLAlchemy."""


def driver_of(scheme: str, *, since_2_1: bool) -> Driver | None:
    """The driver that SQLAlchemy loads for a scheme; None for one that is not known here."""
    if scheme == "postgresql":
        return _PSYCOPG if since_2_1 else _PSYCOPG2
    return DRIVERS.get(scheme)


class Engine(Struct, frozen=True):
    """An engine that is surely made, with its whole address and where that is written."""

    place: Place
    asyncio: bool
    address: str
    spot: Spot | None

    @property
    def scheme(self) -> str:
        return self.address.partition("://")[0]

    @property
    def is_setting(self) -> bool:
        """Whether the address is a variable's value as it is, with nothing put into it."""
        return bool(self.spot and self.spot.variable and self.spot.written == self.address)


class Engines(Fact, frozen=True):
    """The engines whose address can be told; looked up when they are asked for."""

    source: Source
    values: Values

    limit = 20.0

    @classmethod
    def read(cls, source: Source, values: Values) -> Engines:
        return cls(source, values)

    @cached_property
    def found(self) -> tuple[Engine, ...]:
        likely = self.source.mentioning("create_engine", "create_async_engine")
        modules = (m for m in likely if _MAKES.search(m.data) and not is_aside(m))
        return tuple(engine for module in modules for engine in self._in(module))

    def _in(self, module: Module) -> Iterator[Engine]:
        for call in module.nodes:
            name = dotted_name(call.func) if isinstance(call, ast.Call) else ""
            if not isinstance(call, ast.Call) or "engine" not in name:
                continue
            asyncio = MAKERS.get(self.source.made_by(module, name))
            words = {k.arg: k.value for k in call.keywords}
            url = call.args[0] if call.args else words.get("url")
            # A `creator` or a `module` of its own takes the place of the driver.
            if asyncio is None or url is None or words.keys() & {"creator", "module", None}:
                continue
            value = self.values.of(module, url)
            if value.text and "://" in value.text and surely_runs(self.source, module, call):
                yield Engine(module.place(call), asyncio, value.text, value.spot)
