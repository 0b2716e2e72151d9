"""The addresses in the settings: their drivers, their passwords, and what else knows them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

from saas_doctor.facts.database_address import Address, parse_url
from saas_doctor.facts.dotenv import Dotenv, EnvFile, Setting
from saas_doctor.facts.elsewhere import Elsewhere
from saas_doctor.facts.engines import Driver, Engine, Engines, driver_of
from saas_doctor.facts.interpreter import Interpreter
from saas_doctor.facts.postgres_service import (
    PostgresService,
    PostgresServices,
    Said,
    addresses,
)
from saas_doctor.facts.source import Source
from saas_doctor.facts.versions import Versions
from saas_doctor.model import Absent, Finding, Place, Severity, Unreadable
from saas_doctor.platform import Platform
from saas_doctor.rules import check


@check(
    "CFG909",
    needs=("CFG902",),
    symptoms=(
        r"No module named '(?P<driver>psycopg2|psycopg|asyncpg|pymysql|MySQLdb|aiomysql|asyncmy|"
        r"aiosqlite|pg8000|pyodbc)'",
        r"The asyncio extension requires an async driver to be used\. The loaded '(?P<driver>\w+)'",
        r"greenlet_spawn has not been called; can't call await_(?:only)?\(\) here",
    ),
)
def driver_missing(
    engines: Engines, versions: Versions, interpreter: Interpreter, env: EnvFile
) -> Iterator[Finding]:
    """The database's address names a driver that is not installed, or not one of the engine's kind.

    `postgresql://` alone means psycopg2 up to SQLAlchemy 2.0 and psycopg 3 from 2.1 on. An
    asynchronous engine needs a driver such as asyncpg, and a plain one can't use that.

    **Detected** for engines that are surely made, where the whole address that they are given can
    be told: settings, their defaults, and what the code puts into them.
    **Fixed** by the driver in the requirements and in the environment; where SQLAlchemy 2.1 is
    beside psycopg2, by `postgresql+psycopg2://` in the settings file. `undo` brings back both.
    **Silent** without an environment, where the driver is required (PKG301 then tells that it is not
    installed), where the address is put together from what can't be told, for engines with a
    `creator`, and for dialects that are not in SQLAlchemy itself.
    """
    sqlalchemy = versions.installed("sqlalchemy")
    if sqlalchemy is None:
        return
    since_2_1 = sqlalchemy.release[:2] >= (2, 1)
    told: set[str] = set()
    for engine in engines.found:
        driver = driver_of(engine.scheme, since_2_1=since_2_1)
        where = str(engine.spot or engine.place)
        if driver is None or where in told:
            continue
        if engine.asyncio != driver.asyncio and not (driver.sync and driver.asyncio):
            told.add(where)
            yield _of_other_kind(engine, driver)
        elif not interpreter.sees_system and not _is_there(driver, versions):
            told.add(where)
            yield _not_there(engine, driver, versions, env)


def _is_there(driver: Driver, versions: Versions) -> bool:
    """Whether the driver is installed, or required: that it is not installed is then told already."""
    if not driver.distributions or any(map(versions.installed, driver.distributions)):
        return True
    site = versions.site
    found = site and any((site / name).exists() for name in (driver.module, f"{driver.module}.py"))
    return bool(found) or any(map(versions.requirements.find, driver.distributions))


def _of_other_kind(engine: Engine, driver: Driver) -> Finding:
    dialect = engine.scheme.partition("+")[0]
    usual = {"postgresql": "asyncpg", "sqlite": "aiosqlite"}.get(dialect, "an asynchronous driver")
    plain = {"postgresql": "psycopg2", "mysql": "pymysql"}.get(dialect, "")
    kind = "asynchronous" if engine.asyncio else "plain"
    wanted = f"{dialect}+{usual}://" if engine.asyncio else f"{dialect}{plain and '+' + plain}://"
    return Finding(
        f"An {kind} engine can't use {driver.module}"
        if engine.asyncio
        else f"A {kind} engine can't use {driver.module}, which is asynchronous",
        looked_at=f"{engine.place}; {engine.spot}",
        found=f"{engine.scheme}:// for {'create_async_engine' if engine.asyncio else 'create_engine'}",
        wanted=wanted,
        target=str(engine.place),
        place=_place(engine),
        next_step=f"write {wanted} in {engine.spot}, or make the other kind of engine at "
        f"{engine.place}",
        data={"no_fix": True},
    )


def _not_there(engine: Engine, driver: Driver, versions: Versions, env: EnvFile) -> Finding:
    has_2 = versions.installed("psycopg2-binary") or versions.installed("psycopg2")
    setting = _setting_of(engine, env)
    renamed = bool(
        setting and has_2 and engine.scheme == "postgresql" and driver.module == "psycopg"
    )
    address = f"postgresql+psycopg2{engine.address.removeprefix('postgresql')}" if renamed else ""
    installs = bool(driver.requirement and versions.requirements.files)
    step = f"install {driver.requirement or driver.distributions[0]} into {versions.name}"
    fixed = "saas-doctor fix --select CFG909"
    return Finding(
        f"{engine.scheme}:// needs {driver.module}, which is not installed",
        looked_at=f"{engine.spot or engine.place}; {engine.place}; {versions.name}",
        found=f"no {driver.module} beside SQLAlchemy {versions.installed('sqlalchemy')}",
        wanted="postgresql+psycopg2://" if renamed else driver.requirement or driver.module,
        target=driver.module,
        place=_place(engine),
        next_step=fixed if renamed or installs else step,
        data={
            "key": engine.spot.variable if engine.spot else "",
            "address": address,
            "requirement": driver.requirement,
            "no_fix": not (renamed or installs),
            "risk": "safe" if renamed else "changes",
        },
    )


def _setting_of(engine: Engine, env: EnvFile) -> Setting | None:
    """The line that gives the engine its address, where it says it word for word."""
    if not engine.is_setting or not engine.spot or not engine.spot.place or not env.there:
        return None
    setting = env.there.find(engine.spot.variable)
    return setting if setting and env.there.says_plainly(setting) else None


def _place(engine: Engine) -> Place | None:
    return (engine.spot.place if engine.spot else None) or engine.place


@check(
    "CFG908",
    severity=Severity.WARNING,
    needs=("CFG902", "DOCK601"),
    symptoms=(r"password authentication failed for user \"(?P<role>[^\"]+)\"",),
)
def settings_contradict_compose(
    services: PostgresServices, env: EnvFile, source: Source, elsewhere: Elsewhere
) -> Iterator[Finding]:
    """The settings have another password, role or name than the compose file's Postgres.

    The container makes the one role and the one database of its variables when its volume is empty;
    whoever comes with others is refused: `password authentication failed`.

    **Detected** in the settings file, for addresses that lead to the port that the container
    publishes on this machine or to its name, in the variables of the compose file itself, and for
    `POSTGRES_PASSWORD`, `POSTGRES_USER` and `POSTGRES_DB` that the code reads: Compose puts in the
    values of the `.env` beside its own file, the services read theirs.
    **To mend**, write the same in both places. A volume that was made before keeps its password.
    **Silent** about another host (`localhost` outside and the service's name inside are the same
    server), about another port, where scripts (`docker-entrypoint-initdb.d`) may make more roles,
    where an override file adds to the compose file, and about what variables leave open.
    """
    told: list[tuple[str, str, Place]] = [*addresses(services.compose)]
    if env.there:
        told += [(s.key, s.value, s.place) for s in env.there.settings if _is_postgres(s.value)]
    for key, text, place in told:
        try:
            address = parse_url(text, key)
        except (Absent, Unreadable):
            continue
        inside = place.path == services.compose.name
        for service in services.found:
            local = address.host in _LOCAL and address.port in service.ports and not inside
            if local or address.host == service.name:
                yield from _contradictions(key, text, place, address, service)
    if env.there and len(services.found) == 1 and not elsewhere.says(b"--env-file"):
        yield from _pieces(env.there, services.found[0], source)


_HOST = re.compile(r"(?:POSTGRES|PG|DB|DATABASE)_?(?:HOST|SERVER|HOSTNAME)", re.I)
_PORT = re.compile(r"(?:POSTGRES|PG|DB|DATABASE)_?PORT", re.I)


def _pieces(file: Dotenv, service: PostgresService, source: Source) -> Iterator[Finding]:
    """The variables of the container's own names that the services read with other values."""
    values = {s.key: s.value for s in file.settings}
    hosts = [v for k, v in values.items() if _HOST.fullmatch(k)]
    ports = {v for k, v in values.items() if _PORT.fullmatch(k)} - {"5432"}
    elsewhere = any(host not in (*_LOCAL, service.name) for host in hosts)
    if not hosts or elsewhere or ports - {str(port) for port in service.ports}:
        return
    said = {"POSTGRES_PASSWORD": service.password}
    if not service.scripts:
        said |= {"POSTGRES_USER": service.role, "POSTGRES_DB": service.database}
    for key, other in said.items():
        setting = file.find(key)
        same = setting is None or other is None or setting.value in ("", other.value)
        if same or not any(source.mentioning(key, key.lower())):
            continue
        assert setting
        assert other
        yield Finding(
            f"{key} is another for the services than for {service.name}, their Postgres",
            looked_at=f"{setting.place}; {other.place or f'{key} is not set for {service.name}'}",
            found="two values" if "PASSWORD" in key else f"{setting.value} and {other.value}",
            wanted="the same in both places",
            target=f"{setting.place.path}:{key}",
            place=setting.place,
            next_step=f"write the same at {setting.place} and at {other.place or service.name}",
        )


_LOCAL = {"localhost", "127.0.0.1", "::1"}


def _is_postgres(text: str) -> bool:
    return text.startswith("postgres") and "://" in text


def _contradictions(
    key: str, text: str, place: Place, address: Address, service: PostgresService
) -> Iterator[Finding]:
    role = service.role
    same_role = role is not None and address.role == role.value
    pairs: list[tuple[str, str, str | None, Said | None]] = []
    if same_role:
        pairs.append(("password", "POSTGRES_PASSWORD", address.password, service.password))
    if not service.scripts:
        pairs.append(("role", "POSTGRES_USER", address.role, role))
        pairs.append(("database", "POSTGRES_DB", address.database, service.database))
    # What an address leaves out is the driver's to choose.
    pairs = [p for p in pairs if p[2] and (p[2] in text or quote(p[2], safe="") in text)]
    wrong = [
        (what, variable, given, said)
        for what, variable, given, said in pairs
        if said is not None and given != said.value and (what, given) not in _ALWAYS
    ]
    if not wrong:
        return
    names = " and ".join(what for what, *_ in wrong)
    places = [str(said.place or f"{variable} is not set") for _, variable, _, said in wrong]
    shown = (
        "two passwords" if what == "password" else f"{what} {given} and {said.value}"
        for what, _, given, said in wrong
    )
    yield Finding(
        f"{key} has another {names} than {service.name}, the Postgres of the compose file",
        looked_at=f"{place}; {', '.join(places)}",
        found="; ".join(shown),
        wanted=f"the same {names} in both places",
        target=f"{place}:{service.name} {names}",
        place=place,
        next_step=f"write the same {names} at {place} and for {service.name} ({', '.join(places)})",
    )


# What every Postgres has.
_ALWAYS = {("database", "postgres"), ("database", "template1")}


@check(
    "CFG910",
    needs=("CFG902",),
    symptoms=(
        r"could not translate host name \"(?P<host>[^\"]*@[^\"]*)\" to address",
        r"Port could not be cast to integer value as",
        r"Invalid port: ",
    ),
)
def password_not_encoded(env: EnvFile, platform: Platform, engines: Engines) -> Iterator[Finding]:
    """A password in an address has a sign that ends it too early, so that host and port are wrong.

    SQLAlchemy takes the password up to the first `@`; what follows is the host. The readers of
    other addresses (redis, httpx) take the last `@`, but end the whole at the first `/`, `?` or `#`.

    **Detected** in Redis' and the registry's address, and in the database's where an engine of
    SQLAlchemy is given it as it is.
    **Fixed** by writing the signs as `%40`, `%2F` and so on, which all readers turn back; `undo`
    brings the old text back.
    **Silent** about signs that the reader takes as they are: `:`, `%`, and `/`, `#` and `?` in what
    SQLAlchemy reads.
    """
    config = platform.config
    database = config.database.variable if config.database else ""
    redis = config.redis.variable if config.redis else ""
    for key in dict.fromkeys(filter(None, (database, redis, "REGISTRY_URL"))):
        setting = env.file.find(key)
        if setting is None or "://" not in setting.value:
            continue
        if key != database:
            signs = _ends_before_host(setting.value)
        else:
            read = any(e.is_setting and e.spot and e.spot.variable == key for e in engines.found)
            signs = _ends_too_early(setting.value) if read else ""
        if signs:
            mended = _encoded(setting.value) if env.file.says_plainly(setting) else ""
            yield Finding(
                f"the password in {key} has an unescaped {signs}",
                looked_at=str(setting.place),
                found=f"a {signs} that ends it, so that the rest is taken for the host",
                wanted=" and ".join(f"{quote(sign, safe='')} for {sign}" for sign in signs),
                target=key,
                place=setting.place,
                next_step="saas-doctor fix --select CFG910 escapes it"
                if mended
                else f"escape the password in {key}",
                data={"key": key, "value": mended, "no_fix": not mended},
            )


def _ends_too_early(text: str) -> str:
    """The sign by which SQLAlchemy ends a password too early: an `@` before the last one."""
    rest = text.partition("://")[2]
    user, colon, behind = rest.partition(":")
    if not colon or "/" in user or "@" in behind.partition("@")[0]:
        return ""
    rest = behind.partition("@")[2]
    host = re.split(r"[/?]", rest, maxsplit=1)[0]
    port = host.rpartition("]")[2].partition(":")[2]
    no_port = port and not port.isdigit() and "@" in rest
    return "@" if "@" in host or no_port else ""


def _ends_before_host(text: str) -> str:
    """The sign at which `urlsplit` ends an address's host and password before its `@`."""
    rest = text.partition("://")[2]
    head = re.split(r"[/?#]", rest, maxsplit=1)[0]
    behind = rest[len(head) :]
    host, colon, port = head.rpartition(":")
    sound = (port.isdigit() and host) or head.startswith("[")
    if "@" in head or "@" not in behind or not colon or sound:
        return ""
    return behind[0]


def _encoded(text: str) -> str:
    """The address with its password escaped; empty where it can't be told what the password is."""
    scheme, _, rest = text.partition("://")
    userinfo, _, host = rest.rpartition("@")
    user, _, password = userinfo.partition(":")
    kept = "".join(re.findall(r"[^@/?#\[\]]", password))
    if not kept or not re.match(r"[\w.\-]+(:\d+)?(/|\?|$)|\[", host):
        return ""
    escaped = re.sub(r"[@/?#\[\]]", lambda sign: quote(sign[0], safe=""), password)
    return f"{scheme}://{user}:{escaped}@{host}"
