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


def test_the_env_beside_the_compose_file_is_what_compose_puts_in(tree: MakeTree) -> None:
    files: dict[str, str | bytes] = {
        "main.py": ENGINE,
        ".env": "DATABASE_URL=postgresql://me:open@localhost:5433/me\n",
        "/docker-compose.yml": COMPOSE,
        "/.env": "WORD=shut\n",
    }
    (finding,) = findings(tree(files), "CFG908")
    assert "docker-compose.yml:6" in finding.looked_at
