"""Pools, processes and the server's limit: what is counted, and what is left out."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saas_doctor.facts import Facts
from saas_doctor.facts.compose import Compose
from saas_doctor.facts.pools import Pools, Server
from saas_doctor.facts.processes import Processes
from saas_doctor.facts.reach import Reach
from saas_doctor.model import Severity
from tests.trees import MakeTree, findings, source_of

EXAMPLES = settings(max_examples=int(os.environ.get("SD_EXAMPLES", "200")), deadline=None)
APP = "from fastapi import FastAPI\nfrom shared.database import engine\n\napp = FastAPI()\n"
ENGINE = "from sqlalchemy import create_engine\nengine = create_engine({0})\n"
URL = "'postgresql://u@localhost/db'"
POSTGRES = "services:\n  db:\n    image: postgres:16\n"
Files = dict[str, str | bytes]


def platform_of(engine: str, *, services: int = 1, workers: int = 1) -> Files:
    names = [f"s{number}" for number in range(services)]
    files: Files = {f"{name}/main.py": f"{APP}# port=80{at}1\n" for at, name in enumerate(names)}
    commands = (f"{name}: uvicorn {name}.main:app --workers {workers}\n" for name in names)
    return {**files, "shared/database.py": engine, "/Procfile": "".join(commands)}


@pytest.mark.parametrize(
    ("arguments", "size", "overflow"),
    [
        (URL, 5, 10),
        (f"{URL}, pool_size=20, max_overflow=40", 20, 40),
        (f"{URL}, max_overflow=0", 5, 0),
        (f"{URL}, poolclass=QueuePool, pool_size=3", 3, 10),
        (f"url={URL}, **dict(pool_size=7)", 7, 10),
        ("'postgresql+asyncpg://%s/db' % 'x', pool_size=7", None, None),
        (f"{URL}, pool_size=int(input())", None, None),
        (f"{URL}, poolclass=NullPool", None, None),
        (f"{URL}, **options()", None, None),
        ("'sqlite:///x.db'", None, None),
        ("'mysql://u@localhost/db', pool_size=90", None, None),
        ("'postgresql://u@localhost:6432/db', pool_size=90", None, None),
        ("'postgresql://u@pgbouncer/db', pool_size=90", None, None),
    ],
)
def test_a_pool_has_the_sizes_that_are_proven(
    tree: MakeTree, arguments: str, size: int | None, overflow: int | None
) -> None:
    files = platform_of(ENGINE.format(arguments))
    found = [(p.size, p.overflow) for p in Facts(tree(files)).get(Pools).found]
    assert found == ([(size, overflow)] if size is not None else [])


def test_sizes_without_an_address_count_where_the_only_database_is_postgres(
    tree: MakeTree,
) -> None:
    files = platform_of(ENGINE.format("made_elsewhere(), pool_size=8"))
    assert Facts(tree(files)).get(Pools).found == ()
    (pool,) = Facts(tree({**files, "/compose.yaml": POSTGRES})).get(Pools).found
    assert (pool.size, pool.overflow, pool.host) == (8, 10, "")


@pytest.mark.parametrize(
    ("compose", "host", "server"),
    [
        (None, "localhost", Server("localhost", 100, 3, None)),
        (None, "db.example.com", None),
        (None, "", None),
        (POSTGRES, "db", Server("db", 100, 3, None)),
        (POSTGRES, "localhost", Server("db", 100, 3, None)),
        (POSTGRES, "db.example.com", None),
        (POSTGRES + "  two:\n    image: postgres:15\n", "db", None),
        (POSTGRES + "  pool:\n    image: bitnami/pgbouncer\n", "db", None),
        (POSTGRES + "    command: -c config_file=/none.conf\n", "db", None),
        ("services:\n  db:\n    build: postgres\n", "localhost", None),
        ("services:\n  db:\n    image: postgrest/postgrest\n", "localhost", None),
        ("services: [", "localhost", Server("localhost", 100, 3, None)),
    ],
)
def test_the_limit_is_the_servers_own_where_it_can_be_told(
    tree: MakeTree, compose: str | None, host: str, server: Server | None
) -> None:
    files = platform_of(ENGINE.format(URL))
    if compose is not None:
        files["/compose.yaml"] = compose
    assert Facts(tree(files)).get(Pools).server(host) == server


@pytest.mark.parametrize(
    "command",
    [
        "postgres -c max_connections=250 -c superuser_reserved_connections=5",
        "['postgres', '-c', 'max_connections=250', '-c', 'superuser_reserved_connections=5']",
        "postgres -c superuser_reserved_connections=5 -c 'max_connections=250'",
        "-N 9 -c max_connections=40 -c superuser_reserved_connections=5 -c max_connections=250",
    ],
)
def test_the_limit_is_read_from_the_servers_command(tree: MakeTree, command: str) -> None:
    files = platform_of(ENGINE.format(URL))
    files["/compose.yaml"] = f"{POSTGRES}    command: {command}\n"
    server = Facts(tree(files)).get(Pools).server("db")
    assert server
    assert (server.maximum, server.reserved, str(server.place)) == (250, 5, "compose.yaml:4:14")


def test_the_limit_is_read_from_a_file_without_its_comments(tree: MakeTree) -> None:
    files = platform_of(ENGINE.format(URL))
    files["/compose.yaml"] = (
        f"{POSTGRES}    command: postgres -c config_file=/etc/pg.conf\n"
        "    volumes:\n      - type: bind\n        source: ./pg.conf\n        target: /etc/pg.conf\n"
    )
    files["/pg.conf"] = "#max_connections = 9\nmax_connections 300  # many\n"
    server = Facts(tree(files)).get(Pools).server("db")
    assert server
    assert (server.maximum, str(server.place)) == (300, "pg.conf:2")


@pytest.mark.parametrize(
    ("sizes", "services", "workers", "severity"),
    [
        ("", 1, 1, None),
        ("", 4, 1, None),
        ("", 6, 1, Severity.INFO),
        ("", 3, 4, Severity.WARNING),
        (", pool_size=5, max_overflow=2", 3, 4, None),
        (", pool_size=5, max_overflow=3", 3, 4, Severity.WARNING),
        (", pool_size=20, max_overflow=40", 1, 1, None),
        (", pool_size=20, max_overflow=40", 2, 1, Severity.WARNING),
        (", max_overflow=-1", 1, 1, Severity.WARNING),
        (", pool_size=0", 1, 1, Severity.WARNING),
    ],
)
def test_the_worst_case_is_held_against_the_limit(
    tree: MakeTree, sizes: str, services: int, workers: int, severity: Severity | None
) -> None:
    files = platform_of(ENGINE.format(URL + sizes), services=services, workers=workers)
    found = [f.severity for f in findings(tree(files), "PERF901")]
    assert found == ([severity] if severity else [])


def test_the_guides_advice_is_answered_with_a_proposal_and_its_arithmetic(tree: MakeTree) -> None:
    files = platform_of(
        ENGINE.format(f"{URL}, pool_size=20, max_overflow=40"), services=3, workers=4
    )
    (finding,) = findings(tree(files), "PERF901")
    assert "720 connections" in finding.message
    assert finding.found == "backend/shared/database.py: 12 x (20 + 40) = 720"
    assert "100 (the default) - 3 for superusers - 10 to spare = 87" in finding.wanted
    assert "pool_size=5, max_overflow=2" in finding.next_step
    assert "12 x 7 = 84" in finding.next_step
    assert "max_connections to 733" in finding.next_step
    assert "s0/main.py: 4 (Procfile:1)" in finding.more["processes"]


def test_more_processes_than_connections_are_answered_with_fewer_processes(tree: MakeTree) -> None:
    files = platform_of(ENGINE.format(URL), services=3, workers=40)
    (finding,) = findings(tree(files), "PERF901")
    assert finding.next_step.startswith("run fewer workers")


def test_an_engine_counts_for_the_applications_that_import_it(tree: MakeTree) -> None:
    files = platform_of(ENGINE.format(f"{URL}, pool_size=20, max_overflow=40"), services=3)
    for name in ("s1", "s2"):
        text = str(files[f"{name}/main.py"])
        files[f"{name}/main.py"] = text.replace("from shared.database import engine\n", "")
    assert findings(tree(files), "PERF901") == []


def test_an_application_runs_in_the_processes_that_most_of_its_starts_give_it(
    tree: MakeTree,
) -> None:
    main = APP.replace("from shared.database import engine\n", "")
    platform = tree(
        {
            "api/main.py": main + "# port=8001\n",
            "api/run.py": "import uvicorn\nfrom api.main import app\nuvicorn.run(app)\n",
            "web/main.py": main + "# port=8002\n",
            "job/main.py": main + "# port=8003\n",
            "/Procfile": "a: uvicorn api.main:app --workers 3\nb: uvicorn web.main:app --workers 2 --reload\n",
            "/compose.yaml": "services:\n  one: {command: uvicorn job.main:app --workers 2, deploy: {replicas: 2}}\n"
            "  two: {command: gunicorn job.main:app -w 1}\n",
        }
    )
    found = Facts(platform).get(Processes).applications
    counts = {application.module.name: application.processes for application in found}
    assert counts == {"backend/api/main.py": 3, "backend/web/main.py": 1, "backend/job/main.py": 5}


def test_what_comes_with_a_module_is_told_from_its_text(tree: MakeTree) -> None:
    platform = tree(
        {
            "app/__init__.py": "",
            "app/main.py": "from app import (\n    one,  # first\n    two as t,\n)\nfrom .sub import deep\nimport json, app.four\n",
            "app/one.py": "",
            "app/two.py": "from shared import five\n",
            "app/three.py": "",
            "app/four.py": "if 1:\n    from .. import six\n",
            "app/sub/deep.py": "from ..main import x\n",
            "shared/five.py": "",
            "json.py": "",
        }
    )
    source = source_of(platform)
    main = next(m for m in source.modules if m.name == "backend/app/main.py")
    found = {m.name.removeprefix("backend/") for m in Reach(source).of(main)}
    assert found == {
        "app/__init__.py", "app/main.py", "app/one.py", "app/two.py", "app/four.py",
        "app/sub/deep.py", "shared/five.py", "json.py",
    }  # fmt: skip


COMPOSE = (
    b"x: &x\n  deploy: {replicas: 2}\nservices:\n  db:\n    image: postgres:16\n"
    b"    command: postgres -c max_connections=50\n    volumes: ['./a.conf:/b']\n  s0:\n    <<: *x\n"
    b"    command: uvicorn s0.main:app --workers 4\n"
)


@EXAMPLES
@given(data=st.data())
def test_a_compose_file_with_changed_bytes_raises_nothing(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    changed = bytearray(COMPOSE)
    for _ in range(data.draw(st.integers(0, 4))):
        changed[data.draw(st.integers(0, len(COMPOSE) - 1))] = data.draw(st.integers(0, 255))
    root = tmp_path_factory.mktemp("changed")
    from saas_doctor import platform as platforms

    (root / "a.py").write_text("")
    (root / "compose.yaml").write_bytes(bytes(changed))
    facts = Facts(platforms.load(root, exact=True, environ={}))
    facts.get(Pools).server("db")
    assert facts.get(Processes).applications == ()
    assert facts.get(Compose).name == "compose.yaml"
