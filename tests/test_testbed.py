"""The test bed is real: its servers answer, and its copies of the platform work."""

from __future__ import annotations

import json
from collections.abc import Callable

import docker
import psycopg
import pytest
import redis

from tests.faults import Copy
from tests.testbed import engine, platforms
from tests.testbed.cache import RedisServer
from tests.testbed.ports import black_hole, free_port, listener
from tests.testbed.postgres import Cluster


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
