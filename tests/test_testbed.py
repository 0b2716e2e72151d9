"""The test bed is real: its servers answer, and its copies of the platform work."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import docker
import psycopg
import pytest
import redis

from tests.faults import Copy
from tests.testbed import engine, platforms, require
from tests.testbed.cache import RedisServer
from tests.testbed.ports import black_hole, free_port, listener
from tests.testbed.postgres import Cluster, binaries
from tests.testbed.pythons import pythons
from tests.testbed.users import as_user


def test_postgres_answers_and_refuses_a_wrong_password(postgres: Cluster) -> None:
    assert postgres.sql("SELECT 1") == [(1,)]
    psycopg.connect(postgres.url("postgres", postgres.password, "postgres")).close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.url("postgres", "wrong", "postgres"))


def test_redis_answers(redis_server: RedisServer) -> None:
    assert redis.Redis.from_url(redis_server.url).ping()


@pytest.mark.xdist_group("docker")
def test_docker_runs_a_container(docker_engine: str) -> None:
    client = docker.DockerClient(base_url=docker_engine)
    output = client.containers.run(
        engine.IMAGE, ["/bin/sh", "-c", "echo hello"], remove=True, labels=[engine.LABEL]
    )
    assert output == b"hello\n"


def test_a_listener_listens_and_a_black_hole_is_silent() -> None:
    port = free_port()
    with listener(port):
        assert "Directory listing" in platforms.get(f"http://127.0.0.1:{port}/")
    with black_hole(port), pytest.raises(TimeoutError):
        platforms.get(f"http://127.0.0.1:{port}/")


def test_no_port_is_handed_out_twice() -> None:
    assert len({free_port() for _ in range(50)}) == 50


def test_postgres_can_speak_chinese() -> None:
    require(binaries(), "Postgres")
    cluster = Cluster(host_auth="trust", messages="zh_CN.UTF-8")
    try:
        require(cluster.translated, "the locale zh_CN.UTF-8")
        with pytest.raises(psycopg.OperationalError, match="致命错误"):
            psycopg.connect(cluster.url("nobody", "", "postgres"))
    finally:
        cluster.close()


def test_a_clone_of_the_environment_is_its_own(tmp_path: Path) -> None:
    platforms.clone_environment(tmp_path / "one")
    platforms.clone_environment(tmp_path / "two")
    (tmp_path / "one/pyvenv.cfg").write_text("")
    question = "import sys, fastapi; print(sys.prefix)"
    python = tmp_path / "two/bin/python"
    done = subprocess.run([python, "-c", question], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path / "two")
    script = (tmp_path / "two/bin/uvicorn").read_text()
    assert script.startswith(f"#!{python}\n")


def test_an_ordinary_user_reads_and_does_not_write(open_folder: Path) -> None:
    secret = open_folder / "secret"
    secret.write_text("hello")
    secret.chmod(0o600)
    assert as_user(["cat", secret], reads_all=True).stdout == "hello"
    if os.geteuid() == 0:
        assert as_user(["cat", secret]).returncode
        assert as_user(["tee", secret], reads_all=True).returncode


def test_interpreters_are_of_the_version_that_they_are_found_by() -> None:
    for version, path in pythons().items():
        done = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
        assert done.stdout.startswith(f"Python {version}.")


def test_the_platforms_own_tests_pass_in_a_copy(make_copy: Callable[[], Copy]) -> None:
    copy = make_copy()
    done = copy.run("python", "-m", "pytest", "-q", "tests", limit=100)
    assert done.returncode == 0, done.stdout


def test_the_platforms_services_start_and_a_request_goes_all_the_way(
    make_copy: Callable[[], Copy],
) -> None:
    copy = make_copy()
    assert copy.run("python", "scripts/test-basic.py", cwd=".").returncode == 0
    with platforms.started(copy.root, copy.ports, copy.environ):
        url = f"http://127.0.0.1:{copy.ports['registry']}/api/registry/services"
        for _ in range(100):
            if {s["name"] for s in json.loads(platforms.get(url))} == {"core", "demo-service"}:
                break
        items = platforms.get(f"http://127.0.0.1:{copy.ports['gateway']}/api/demo-service/items")
        assert "first" in items
        assert copy.path("logs/gateway.log").stat().st_size
