"""Addresses in the settings: passwords that end too early, drivers, and the compose file's Postgres."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saas_doctor import rules
from saas_doctor.facts.database_address import parse_url
from saas_doctor.facts.interpreter import Interpreter
from saas_doctor.facts.requirements import Requirements
from saas_doctor.facts.versions import Versions
from saas_doctor.identity import about
from saas_doctor.model import Severity
from saas_doctor.platform import Platform
from tests.trees import MakeTree, findings, fixed

EXAMPLES = int(os.environ.get("SD_EXAMPLES", "200"))

ENGINE = """import os
from dotenv import load_dotenv
from fastapi import FastAPI
from sqlalchemy import create_engine
load_dotenv()
engine = create_engine(os.environ["DATABASE_URL"])
app = FastAPI()
"""
ASYNC = """import os
from dotenv import load_dotenv
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import create_async_engine
load_dotenv()
engine = create_async_engine(os.environ["DATABASE_URL"])
app = FastAPI()
"""
COMPOSE = """services:
  db:
    image: postgres:16
    environment:
      - POSTGRES_USER=me
      - POSTGRES_PASSWORD=${WORD:-open}
    ports: ["5433:5432"]
"""


def versions_of(site: Path, *names: str) -> Versions:
    for text in names:
        name, _, version = text.partition("==")
        (site / f"{name.replace('-', '_')}-{version}.dist-info").mkdir(parents=True)
    return Versions(site, "site", Requirements({}, {}, ()))


def with_address(tree: MakeTree, address: str, main: str = ENGINE) -> Platform:
    return tree({"main.py": main, ".env": f"DATABASE_URL={address}\n"})


@pytest.mark.parametrize(
    ("address", "main", "packages", "target"),
    [
        ("postgresql://h/d", ENGINE, ("sqlalchemy==2.0.58",), "psycopg2"),
        ("postgresql://h/d", ENGINE, ("sqlalchemy==2.1.9", "psycopg2-binary==2.9.13"), "psycopg"),
        ("postgresql+psycopg://h/d", ASYNC, ("sqlalchemy==2.0.58", "psycopg==3.2.0"), ""),
        ("postgresql://h/d", ENGINE, ("sqlalchemy==2.0.58", "psycopg2==2.9.13"), ""),
        ("postgresql://h/d", ASYNC, ("sqlalchemy==2.0.58", "psycopg2==2.9.13"), "main.py:6:10"),
        ("postgresql+asyncpg://h/d", ENGINE, ("sqlalchemy==2.0.58",), "main.py:6:10"),
        ("postgresql+asyncpg://h/d", ASYNC, ("sqlalchemy==2.0.58", "asyncpg==0.30.0"), ""),
        ("sqlite:///x", ENGINE, ("sqlalchemy==2.0.58",), ""),
        ("sqlite+aiosqlite:///x", ASYNC, ("sqlalchemy==2.0.58",), "aiosqlite"),
        ("mysql://h/d", ENGINE, ("sqlalchemy==2.0.58", "pymysql==1.1.0"), "MySQLdb"),
        ("snowflake://h/d", ENGINE, ("sqlalchemy==2.0.58",), ""),
        ("postgresql://h/d", ENGINE, (), ""),
    ],
)
def test_a_driver_is_wanted_as_the_version_of_sqlalchemy_has_it(
    address: str, main: str, packages: tuple[str, ...], target: str, tree: MakeTree, tmp_path: Path
) -> None:
    platform = with_address(tree, address, main)
    known = versions_of(tmp_path / "site", *packages), Interpreter(tmp_path, "backend/.venv")
    found = findings(platform, "CFG909", *known)
    assert [f.target.removeprefix("backend/") for f in found] == ([target] if target else [])


@pytest.mark.parametrize(
    ("address", "mended"),
    [
        ("postgresql://u:p@s@h:5432/d", "postgresql://u:p%40s@h:5432/d"),
        ("postgresql://u:p@s:w/x@h/d?a=b", "postgresql://u:p%40s:w%2Fx@h/d?a=b"),
        ("postgresql://u:p@h/d@e", None),
        ("postgresql://u:p/#?@h/d", None),
        ("postgresql://u@h/d", None),
        ("postgresql://u@example.org:p@h/d", None),
        ("postgresql://h/d?options=a@b@c", None),
    ],
)
def test_sqlalchemy_ends_a_password_at_the_first_at(
    address: str, mended: str | None, tree: MakeTree
) -> None:
    platform = with_address(tree, address)
    result = fixed(platform, "CFG910").get("backend/.env")
    assert result == (f"DATABASE_URL={mended}\n" if mended else None)


@pytest.mark.parametrize(
    ("address", "mended"),
    [
        ("redis://:p/w@h:6379/0", "redis://:p%2Fw@h:6379/0"),
        ("redis://u:p?w@h", "redis://u:p%3Fw@h"),
        ("redis://:12/3@h:6379/0", "redis://:12%2F3@h:6379/0"),
        ("redis://:p@s@h:6379/0", None),
        ("redis://h:6379/0?name=a@b", None),
        ("redis://[::1]:6379/0?name=a@b", None),
        ("redis://[::1]/0?name=a@b", None),
        ("rediss://h/0#a@b", None),
    ],
)
def test_other_readers_end_all_at_the_first_slash(
    address: str, mended: str | None, tree: MakeTree
) -> None:
    platform = tree({"main.py": ENGINE, ".env": f"REDIS_URL={address}\n"})
    result = fixed(platform, "CFG910").get("backend/.env")
    assert result == (f"REDIS_URL={mended}\n" if mended else None)


def test_a_password_that_is_put_in_from_elsewhere_is_not_rewritten(tree: MakeTree) -> None:
    platform = tree({"main.py": ENGINE, ".env": "W=p/w\nREDIS_URL=redis://:${W}@h:6379/0\n"})
    assert [f.data["no_fix"] for f in findings(platform, "CFG910")] == [True]


words = st.text("pq@/:?#[]%+ 1", min_size=1, max_size=8)


@settings(max_examples=EXAMPLES, deadline=None)
@given(password=words, host=st.sampled_from(["h", "db.example.org:5432", "127.0.0.1"]))
def test_what_was_escaped_is_what_the_readers_take(password: str, host: str) -> None:
    names = rules.checks()["CFG910"].function.__globals__
    address = f"redis://u:{password}@{host}/0"
    mended = names["_encoded"](address)
    if not mended:
        return
    split = urlsplit(mended)
    assert (split.hostname, unquote(split.password or "")) == (
        host.partition(":")[0],
        unquote(password),
    )
    postgres = parse_url(mended.replace("redis", "postgresql", 1), "X")
    assert postgres.password == unquote(password)
    assert names["_ends_too_early"](mended) == names["_ends_before_host"](mended) == ""


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.text("redis:/@#?[]%ab1", max_size=24))
def test_no_address_makes_the_reader_fail(text: str) -> None:
    names = rules.checks()["CFG910"].function.__globals__
    names["_ends_too_early"](text)
    names["_ends_before_host"](text)
    names["_encoded"](text)


LIBPQ = "import os\nimport psycopg2\nfrom dotenv import load_dotenv\nload_dotenv()\n"
CONNECTED = LIBPQ + 'c = psycopg2.connect(os.environ["DATABASE_URL"])\n'
ASYNCPG = CONNECTED.replace("psycopg2", "asyncpg")
REWRITTEN = ENGINE.replace('_URL"])', '_URL"].replace("postgres://", "postgresql://", 1))')
IN_TWO_STEPS = (
    LIBPQ.replace("psycopg2", "sqlalchemy")
    + """
url = os.environ["DATABASE_URL"]
if url.startswith("postgres://"):
    url = url.replace("postgres://", "postgresql://", 1)
engine = sqlalchemy.create_engine(url)
"""
)
IN_BRANCHES = (
    LIBPQ.replace("psycopg2", "sqlalchemy")
    + """
URL = os.environ["DATABASE_URL"]
if URL.startswith("postgres://"):
    engine = sqlalchemy.create_engine("postgresql" + URL[8:])
else:
    engine = sqlalchemy.create_engine(URL)
"""
)
OF_PARTS = ENGINE.replace(
    'os.environ["DATABASE_URL"]', "f\"postgresql://{os.environ['DATABASE_URL']}\""
)
UNREAD = 'NAME = "DATABASE_URL"\n'
OLD, NEW, DIALECT = (f"postgres{end}://u:p@h/d" for end in ("", "ql", "ql+asyncpg"))


@pytest.mark.parametrize(
    ("address", "main", "refused"),
    [
        (OLD, ENGINE, True),
        (NEW, ENGINE, False),
        (OLD, ASYNC, True),
        (OLD, REWRITTEN, False),
        (OLD, IN_TWO_STEPS, False),
        (OLD, IN_BRANCHES, False),
        ("u:p@h/d", OF_PARTS, False),
        ("postgresql://postgres//u:p@h/d", ENGINE, True),
        ("postgresql://postgres:p@h//d", ENGINE, False),
        ("h/d", ENGINE, True),
        (OLD, CONNECTED, False),
        (OLD, ASYNCPG, False),
        (DIALECT, CONNECTED, True),
        (DIALECT, ASYNCPG, True),
        (DIALECT, ASYNC, False),
        ("host=h dbname=d", CONNECTED, False),
        ("host=h dbname=d", ASYNCPG, True),
        ("postgresql://a:5432,b:5432/d", CONNECTED, False),
        ("postgresql://a:5432,b:5432/d", ENGINE, True),
        ("postgressql://h/d", ENGINE, True),
        ("http://h/d", ENGINE, True),
        ("redshift+psycopg2://h/d", ENGINE, False),
        ("timescaledb://h/d", ENGINE, False),
        ("duckdb:///d", ENGINE, False),
        (OLD, UNREAD, False),
        ("postgresql://h:{PORT}/d", UNREAD, False),
        ("postgresql://h:54x2/d", 'print("no")\n', False),
        ('" postgresql://h/d"', ENGINE, True),
        ('" postgresql://h/d"', CONNECTED, True),
        ('"postgresql://h/d "', ENGINE, True),
        ("postgresql://h/my%2Ddb", ENGINE, True),
        ("postgresql://h/my%2Ddb", CONNECTED, False),
        ("postgresql://u:a%00b@h/d", ENGINE, True),
        ("postgresql://u:a%00b@h/d", ASYNCPG, True),
        ("postgresql://u:a%20b@h/d?x=%2D", ENGINE, False),
    ],
)
def test_each_reader_of_an_address_has_rules_of_its_own(
    address: str, main: str, refused: bool, tree: MakeTree
) -> None:
    assert bool(findings(with_address(tree, address, main), "CFG903")) == refused


def test_a_port_that_no_reader_takes_is_a_warning_where_the_reader_is_unknown(
    tree: MakeTree,
) -> None:
    (finding,) = findings(with_address(tree, "postgresql://h:54x2/d", UNREAD), "CFG903")
    assert finding.severity is Severity.WARNING


def test_a_call_that_something_else_decides_is_a_warning(tree: MakeTree) -> None:
    decided = LIBPQ.replace("psycopg2", "sqlalchemy") + (
        'if os.getenv("KIND") == "server":\n'
        '    engine = sqlalchemy.create_engine(os.environ["DATABASE_URL"])\n'
    )
    (finding,) = findings(with_address(tree, OLD, decided), "CFG903")
    assert finding.severity is Severity.WARNING


@pytest.mark.parametrize(
    ("main", "requirements", "mended"),
    [
        (ENGINE, "", NEW),
        (ASYNC, "asyncpg\n", DIALECT),
        (ASYNC, "psycopg\n", None),
        (ENGINE + "import psycopg2\npsycopg2.connect(os.environ['DATABASE_URL'])\n", "", NEW),
        (
            ASYNC + "import psycopg2\npsycopg2.connect(os.environ['DATABASE_URL'])\n",
            "asyncpg\n",
            None,
        ),
    ],
)
def test_a_scheme_is_put_right_for_all_that_are_given_it(
    main: str, requirements: str, mended: str | None, tree: MakeTree
) -> None:
    platform = tree({"main.py": main, ".env": f"DATABASE_URL={OLD}\n"}, requirements)
    result = fixed(platform, "CFG903").get("backend/.env")
    assert result == (f"DATABASE_URL={mended}\n" if mended else None)


@pytest.mark.parametrize(
    ("key", "address", "mended"),
    [
        ("REDIS_URL", "redis:6379/0", "redis://redis:6379/0"),
        ("REDIS_URL", "redi//localhost:6379/0", None),
        ("REDIS_URL", "redis:/localhost:6379", None),
        ("REDIS_URL", "redis:localhost:6379", None),
        ("REGISTRY_URL", "localhost:8001/api", "http://localhost:8001/api"),
        ("REGISTRY_URL", "http//localhost:8001", None),
        ("REGISTRY_URL", "http:/localhost:8001", None),
        ("REGISTRY_URL", "htp://localhost:8001", None),
        ("DATABASE_URL", "postgres:p@h/d", "postgresql://postgres:p@h/d"),
        ("DATABASE_URL", "postgres//u:p@h/d", None),
        ("DATABASE_URL", "postgresql:/u@h/d", None),
        ("DATABASE_URL", "postgresql:u:p@h/d", None),
    ],
)
def test_a_scheme_that_is_misspelt_is_taken_for_no_host(
    key: str, address: str, mended: str | None, tree: MakeTree
) -> None:
    reads = {
        "REDIS_URL": "import redis\nx = redis.from_url(URL)\n",
        "REGISTRY_URL": "import httpx\nx = httpx.get(URL)\n",
        "DATABASE_URL": "import sqlalchemy\nx = sqlalchemy.create_engine(URL)\n",
    }
    main = f'import os\nURL = os.environ["{key}"]\n{reads[key]}'
    main = "from dotenv import load_dotenv\nload_dotenv()\n" + main
    platform = tree({"main.py": main, ".env": f"{key}={address}\n"})
    assert len(findings(platform, "CFG903")) == 1
    result = fixed(platform, "CFG903").get("backend/.env")
    assert result == (f"{key}={mended}\n" if mended else None)


@pytest.mark.parametrize(
    ("url", "call", "refused"),
    [
        ("localhost:8001", 'httpx.get(f"{URL}/x")', True),
        ("localhost:8001", 'httpx.get(URL + "/x")', True),
        ("localhost:8001", "httpx.Client(base_url=URL)", True),
        ("localhost:8001", 'httpx.get(f"http://{URL}/x")', False),
        ("localhost:8001", 'httpx.get("http://" + URL)', False),
        ("localhost:8001", 'cache.get(f"{URL}/x")', False),
        ("/registry", "httpx.get(URL)", False),
        ("http+unix://x/y", "httpx.get(URL)", False),
        ("http://", 'httpx.get(f"{URL}/x")', True),
        ("http://http:/localhost", "httpx.get(URL)", True),
        ("http://http://localhost", "httpx.get(URL)", True),
        ("http://localhost//x", "httpx.get(URL)", False),
    ],
)
def test_an_http_client_wants_a_scheme_at_the_beginning(
    url: str, call: str, refused: bool, tree: MakeTree
) -> None:
    main = (
        "import os\nimport httpx\nfrom dotenv import load_dotenv\nload_dotenv()\n"
        f'URL = os.environ["REGISTRY_URL"]\nx = {call}\n'
    )
    platform = tree({"main.py": main, ".env": f"REGISTRY_URL={url}\n"})
    assert bool(findings(platform, "CFG903")) == refused


@pytest.mark.parametrize(
    ("address", "client", "refused"),
    [
        ("localhost:6379", "redis", True),
        ("redis:///1", "redis.asyncio", False),
        ("unix:///run/redis.sock", "redis", False),
        ("rediss://h:6380", "redis", False),
        ("redis://h:63x9", "redis", True),
        ("redis://redi//localhost", "redis", True),
        ("redis://redis//0", "redis", False),
        ("memory://", "limits", False),
        ("sentinel://h:26379", "celery", False),
    ],
)
def test_the_client_of_redis_knows_three_schemes(
    address: str, client: str, refused: bool, tree: MakeTree
) -> None:
    main = (
        f"import os\nimport {client} as r\nfrom dotenv import load_dotenv\nload_dotenv()\n"
        'x = r.from_url(os.environ["REDIS_URL"])\n'
    )
    platform = tree({"main.py": main, ".env": f"REDIS_URL={address}\n"})
    assert bool(findings(platform, "CFG903")) == refused


@pytest.mark.parametrize(
    ("address", "contradicts"),
    [
        ("postgresql://me:open@localhost:5433/me", False),
        ("postgresql://me:shut@localhost:5433/me", True),
        ("postgresql+asyncpg://me:shut@127.0.0.1:5433/me", True),
        ("postgresql://me:shut@localhost:5432/me", False),  # another server's port
        ("postgresql://me:shut@db:5432/me", True),
        ("postgresql://me:shut@other:5433/me", False),
        ("postgresql://me:open@localhost:5433/postgres", False),
        ("postgresql://me:open@localhost:5433/other", True),
        ("postgresql://localhost:5433/me", False),
        ("postgresql://me:${WORD}@localhost:5433/me", False),
    ],
)
def test_an_address_is_compared_with_the_container_that_it_leads_to(
    address: str, contradicts: bool, tree: MakeTree
) -> None:
    platform = tree(
        {
            "main.py": ENGINE,
            ".env": f"WORD=open\nDATABASE_URL={address}\n",
            "/docker-compose.yml": COMPOSE,
        }
    )
    assert bool(findings(platform, "CFG908")) == contradicts


def test_another_difference_of_an_address_is_another_finding(tree: MakeTree) -> None:
    """Who accepted another password did not accept another role."""
    known = []
    for address in ("me:shut@localhost:5433/me", "you:open@localhost:5433/me"):
        env = f"WORD=open\nDATABASE_URL=postgresql://{address}\n"
        files = {"main.py": ENGINE, ".env": env, "/docker-compose.yml": COMPOSE}
        known += [about(finding) for finding in findings(tree(files), "CFG908")]
    assert len(set(known)) == len(known) == 2


def test_the_env_beside_the_compose_file_is_what_compose_puts_in(tree: MakeTree) -> None:
    files: dict[str, str | bytes] = {
        "main.py": ENGINE,
        ".env": "DATABASE_URL=postgresql://me:open@localhost:5433/me\n",
        "/docker-compose.yml": COMPOSE,
        "/.env": "WORD=shut\n",
    }
    (finding,) = findings(tree(files), "CFG908")
    assert "docker-compose.yml:6" in finding.looked_at
