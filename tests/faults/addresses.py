"""Faults of the addresses in the settings."""

from __future__ import annotations

import re

from tests.faults import Copy, Fault, Healthy, Inject, append, both, install, replace, sql, write
from tests.faults.config import ENV, setting
from tests.faults.settings import in_shell

COMPOSE = "docker-compose.yml"
DATABASE = "backend/shared/database.py"
REQUIREMENTS = "backend/requirements.txt"
REMOTE = "postgresql://saas:pa-role@db.example.org/saas"


def engine_is_made(copy: Copy) -> bool:
    return copy.imports("from shared.database import get_engine; get_engine()")


def address_holds(copy: Copy) -> bool:
    """Whether SQLAlchemy finds a host in the address that has no password in it."""
    return copy.imports(
        "from shared.database import get_engine as e; assert '@' not in str(e().url.host)"
    )


def redis_holds(copy: Copy) -> bool:
    return copy.imports(
        "import redis; from shared.config import get_settings as s; "
        "assert redis.from_url(s().REDIS_URL).connection_pool.connection_kwargs['port']"
    )


def scheme(name: str) -> Inject:
    def inject(copy: Copy) -> None:
        file = copy.path(ENV)
        text = re.sub(r"(?m)^(DATABASE_URL=)[\w+]+://", rf"\g<1>{name}://", file.read_text())
        file.write_text(text)

    return inject


def address(text: str) -> Inject:
    return setting("DATABASE_URL", f"DATABASE_URL={text}")


def unescaped(copy: Copy) -> None:
    text = re.sub(r":[^:@/]+@", ":p@ss@", copy.cluster.url(copy.role, copy.password, copy.database))
    address(text)(copy)


def unescaped_cache(copy: Copy) -> None:
    text = copy.redis_url.replace("://", "://:p/w#x@")
    setting("REDIS_URL", f"REDIS_URL={text}  # with a sign")(copy)


def asynchronous(copy: Copy) -> None:
    text = copy.path(DATABASE).read_text()
    text = text.replace("import Engine, create_engine", "import Engine")
    text = text.replace(
        "from sqlalchemy.orm",
        "from sqlalchemy.ext.asyncio import create_async_engine\nfrom sqlalchemy.orm",
    )
    copy.path(DATABASE).write_text(text.replace("create_engine(\n", "create_async_engine(\n"))


SAAS = "postgresql://saas_user:saas_password@localhost:5432/saas_platform"

ENTRIES = [
    Fault(
        "CFG908",
        "another password than the container's",
        address("postgresql://saas_user:another@localhost:5432/saas_platform"),
        fixed=False,
    ),
    Fault(
        "CFG908",
        "another name than the container's",
        both(address(SAAS), replace(COMPOSE, "POSTGRES_DB: saas_platform", "POSTGRES_DB: saas")),
        fixed=False,
        at="docker-compose.yml:DATABASE_URL: postgresql://",
    ),
    Fault(
        "CFG908",
        "a service's own address in the compose file",
        replace(COMPOSE, "saas_user:saas_password@postgres", "saas_user:another@postgres"),
        fixed=False,
    ),
    Fault(
        "CFG908",
        "two .env files with two passwords",
        both(
            replace(
                COMPOSE,
                "POSTGRES_PASSWORD: saas_password",
                "POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:-saas_password}",
            ),
            replace(COMPOSE, "saas_user:saas_password", "saas_user:one"),
            write(".env", "POSTGRES_PASSWORD=one\n"),
            append(ENV, "POSTGRES_HOST=localhost\nPOSTGRES_PASSWORD=another\n"),
            write("backend/core/parts.py", 'import os\n\nWORD = os.getenv("POSTGRES_PASSWORD")\n'),
        ),
        fixed=False,
        target=f"{ENV}:POSTGRES_PASSWORD",
    ),
    Healthy(
        "CFG908",
        "parts for another server",
        both(
            append(ENV, "POSTGRES_HOST=db.example.org\nPOSTGRES_PASSWORD=another\n"),
            write("backend/core/parts.py", 'import os\n\nWORD = os.getenv("POSTGRES_PASSWORD")\n'),
        ),
    ),
    Healthy("CFG908", "the same in both", address(SAAS)),
    Healthy("CFG908", "another server", address("postgresql://me:another@localhost:5499/mine")),
    Healthy(
        "CFG908", "the service's name for the host", address(SAAS.replace("localhost", "postgres"))
    ),
    Healthy(
        "CFG908",
        "a password that a variable leaves open",
        both(
            address("postgresql://saas_user:another@localhost:5432/saas_platform"),
            replace(
                COMPOSE, "POSTGRES_PASSWORD: saas_password", "POSTGRES_PASSWORD: ${DB_PASSWORD:?}"
            ),
            in_shell("DB_PASSWORD", "another"),
            replace(COMPOSE, "saas_user:saas_password@postgres", "saas_user:another@postgres"),
        ),
    ),
    Healthy(
        "CFG908",
        "a role that a script makes",
        both(
            address("postgresql://app:another@localhost:5432/saas_platform"),
            replace(
                COMPOSE,
                'volumes: ["postgres_data:/var/lib/postgresql/data"]',
                "volumes:\n      - postgres_data:/var/lib/postgresql/data\n"
                "      - ./docker:/docker-entrypoint-initdb.d",
            ),
        ),
    ),
    Healthy(
        "CFG908",
        "an override file that moves the port: it is another server",
        both(
            address("postgresql://saas_user:another@localhost:5432/saas_platform"),
            write(
                "docker-compose.override.yml",
                'services:\n  postgres:\n    ports: !override ["127.0.0.1:15432:5432"]\n',
            ),
        ),
    ),
    Fault(
        "CFG909",
        "a driver that is not installed",
        scheme("postgresql+psycopg"),
        works=engine_is_made,
        target="psycopg",
        environment=True,
        group="driver",
        against=("CFG901", "CFG903", "CFG904", "PY101", "PY102", "PY103"),
    ),
    Fault(
        "CFG909",
        "SQLAlchemy 2.1 beside psycopg2",
        both(
            install("sqlalchemy==2.1.9"),
            replace(REQUIREMENTS, "sqlalchemy>=2.0.31,<2.1", "sqlalchemy>=2.1,<2.2"),
        ),
        works=engine_is_made,
        target="psycopg",
        environment=True,
        group="driver",
        against=("CFG901", "CFG903", "CFG904"),
        at="backend/.env:DATABASE_URL=",
    ),
    Fault(
        "CFG909",
        "an asynchronous engine with a driver that is not",
        asynchronous,
        works=engine_is_made,
        fixed=False,
        at="backend/.env:DATABASE_URL=",
    ),
    Fault(
        "CFG909",
        "a driver of another database",
        address("sqlite+aiosqlite:///platform.db"),
        fixed=False,  # a plain engine can't use it, installed or not
    ),
    Healthy("CFG909", "the driver written out", scheme("postgresql+psycopg2")),
    Healthy("CFG909", "a database that Python brings along", address("sqlite:///platform.db")),
    Healthy(
        "CFG909",
        "a scheme that the code replaces",
        both(
            scheme("postgresql+psycopg"),
            replace(
                DATABASE,
                "        get_settings().DATABASE_URL,\n",
                '        get_settings().DATABASE_URL.replace("+psycopg:", "+psycopg2:"),\n',
            ),
        ),
    ),
    Healthy(
        "CFG909",
        "a scheme that the code chooses",
        both(
            scheme("postgresql+psycopg"),
            replace(
                DATABASE,
                "        get_settings().DATABASE_URL,\n",
                "        make_url(get_settings().DATABASE_URL).set(drivername=chosen()),\n",
            ),
        ),
    ),
    Healthy(
        "CFG909",
        "an engine of a test",
        write(
            "backend/tests/test_engine.py",
            "from sqlalchemy import create_engine\n\n"
            'engine = create_engine("postgresql+asyncpg://u@h/d")\n',
        ),
    ),
    Fault(
        "CFG910",
        "an @ in the database's password",
        both(sql("ALTER ROLE {role} PASSWORD 'p@ss'"), unescaped),
        works=address_holds,
        target="DATABASE_URL",
        group="server",
        against=("CFG901", "CFG903", "CFG904", "CFG908", "CFG909"),
    ),
    Fault(
        "CFG910",
        "a slash in Redis' password",
        unescaped_cache,
        works=redis_holds,
        target="REDIS_URL",
        against=("CFG901",),
    ),
    Healthy("CFG910", "escaped", address(REMOTE.replace("pa-role", "p%40ss%2F"))),
    Healthy(
        "CFG910", "signs that SQLAlchemy takes", address(REMOTE.replace("pa-role", "p/a#s:s%"))
    ),
    Healthy(
        "CFG910",
        "an @ that Redis' reader takes",
        setting("REDIS_URL", "REDIS_URL=redis://:p@ss:w@cache:6379/0"),
    ),
    Healthy(
        "CFG910",
        "an @ behind the path",
        setting("REDIS_URL", "REDIS_URL=redis://cache:6379/0?client_name=a@b"),
    ),
    Healthy(
        "CFG910", "an address that nothing reads", append(ENV, "OLD_URL=postgresql://u:p@s@h/d\n")
    ),
]
