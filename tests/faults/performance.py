"""Faults that show under load only."""

from __future__ import annotations

from tests.faults import Fault, Healthy, Inject, both, replace, write
from tests.faults.calls import COMPOSE, CONFIG, FOUR, HOST, run_by_compose

DATABASE = "backend/shared/database.py"
SIZES = "        pool_size=5,\n        max_overflow=2,\n"
GUIDE = "        pool_size=20,\n        max_overflow=40,\n"
POSTGRES = "    image: postgres:16\n"


def sizes(text: str) -> Inject:
    return replace(DATABASE, SIZES, text)


def postgres(text: str) -> Inject:
    return replace(COMPOSE, POSTGRES, POSTGRES + text)


WORKERS = run_by_compose("core", FOUR)
POOLER = """  pgbouncer:
    image: edoburu/pgbouncer:v1.23.1-p3
    environment: { DB_HOST: postgres }

"""

ENTRIES = [
    Fault(
        "PERF901",
        "the guide's pool in four workers",
        both(sizes(GUIDE), WORKERS),
        fixed=False,
        target="postgres",
        at="backend/shared/database.py:return create_engine(",
    ),
    Fault(
        "PERF901",
        "sizes that are the settings' defaults",
        both(
            sizes(
                "        pool_size=get_settings().POOL_SIZE,\n        max_overflow=2 * get_settings().POOL_SIZE,\n"
            ),
            replace(CONFIG, HOST, HOST + "    POOL_SIZE: int = 10\n"),
            WORKERS,
        ),
        fixed=False,
        at="backend/shared/database.py:return create_engine(",
    ),
    Fault(
        "PERF901",
        "a server with fewer connections",
        both(sizes(GUIDE), postgres("    command: postgres -c max_connections=40\n")),
        fixed=False,
        at="backend/shared/database.py:return create_engine(",
    ),
    Fault(
        "PERF901",
        "the default pool in many containers",
        both(
            sizes(""),
            run_by_compose(
                "core", "uvicorn core.main:app --app-dir backend\n    deploy: { replicas: 8 }"
            ),
        ),
        fixed=False,
        at="backend/shared/database.py:return create_engine(",
    ),
    Fault(
        "PERF901",
        "no limit at all",
        sizes("        pool_size=5,\n        max_overflow=-1,\n"),
        fixed=False,
        at="backend/shared/database.py:return create_engine(",
    ),
    Healthy("PERF901", "the guide's pool in one process", sizes(GUIDE)),
    Healthy("PERF901", "a small pool in four workers", WORKERS),
    Healthy(
        "PERF901",
        "the guide's pool on a large server",
        both(
            sizes(GUIDE),
            WORKERS,
            postgres("    command: ['postgres', '-c', 'max_connections=400']\n"),
        ),
    ),
    Healthy(
        "PERF901",
        "a server that is set so in a file",
        both(
            sizes(GUIDE),
            WORKERS,
            postgres("    command: postgres -c config_file=/etc/postgresql.conf\n"),
            replace(
                COMPOSE,
                '    volumes: ["postgres_data:/var/lib/postgresql/data"]\n',
                '    volumes: ["postgres_data:/var/lib/postgresql/data", "./docker/postgresql.conf:/etc/postgresql.conf"]\n',
            ),
            write("docker/postgresql.conf", "# max_connections = 100\nmax_connections = 400\n"),
        ),
    ),
    Healthy(
        "PERF901",
        "no pool at all",
        both(
            sizes("        poolclass=NullPool,\n"),
            replace(
                DATABASE,
                "from sqlalchemy.orm import Session\n",
                "from sqlalchemy.orm import Session\nfrom sqlalchemy.pool import NullPool\n",
            ),
            WORKERS,
        ),
    ),
    Healthy(
        "PERF901",
        "a pooler before the server",
        both(
            sizes(GUIDE),
            WORKERS,
            replace(COMPOSE, "  redis:\n    image", POOLER + "  redis:\n    image"),
        ),
    ),
    Healthy(
        "PERF901",
        "an engine that no service imports",
        both(
            write(
                "backend/report.py",
                "from sqlalchemy import create_engine\n\n"
                "engine = create_engine('postgresql://localhost/x', pool_size=90, max_overflow=0)\n",
            ),
            WORKERS,
        ),
    ),
]
