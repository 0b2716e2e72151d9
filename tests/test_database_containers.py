"""The platform's Postgres in a container: the way in as its administrator, and starting it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from saas_doctor import platform as platforms
from saas_doctor import repair, runner
from saas_doctor.facts import Facts
from saas_doctor.facts.admin import AdminConnection
from saas_doctor.facts.doors import InContainer
from saas_doctor.model import Report
from saas_doctor.repair import Outcome
from saas_doctor.runner import Selection
from tests.testbed import require
from tests.testbed.postgres import binaries
from tests.testbed.postgres_container import PASSWORD, SUPERUSER, PostgresContainer
from tests.testbed.postgres_container import postgres_container as running

pytestmark = pytest.mark.xdist_group("docker")
DB = Selection(select=("DB",))
COMPOSE = 'services:\n  db:\n    image: "postgres:16"\n    ports: ["127.0.0.1:%d:5432"]\n'


@pytest.fixture
def server(docker_engine: str, tmp_path: Path) -> Iterator[PostgresContainer]:
    require(binaries(), "Postgres")
    with running(docker_engine, tmp_path) as found:
        (tmp_path / "docker-compose.yml").write_text(COMPOSE % found.port)
        yield found


def load(root: Path, host: str) -> platforms.Platform:
    return platforms.load(root, exact=True, environ={"DOCKER_HOST": host})


def settle(root: Path, url: str) -> None:
    (root / "backend").mkdir(exist_ok=True)
    (root / "backend/.env").write_text(f"DATABASE_URL={url}\n")


def examine(root: Path, host: str) -> Report:
    return runner.run(load(root, host), DB, timeout=30)


def fix(root: Path, host: str) -> list[Outcome]:
    done = repair.repair(load(root, host), DB, lambda plan: plan, timeout=30)
    return [one.outcome for one in done.done]


def test_role_and_database_are_made_as_the_containers_own_superuser_and_taken_back(
    server: PostgresContainer, docker_engine: str, tmp_path: Path
) -> None:
    settle(tmp_path, server.url("app", "app-secret", "app"))
    (finding,) = examine(tmp_path, docker_engine).findings
    assert finding.code == "DB502"
    admin = Facts(load(tmp_path, docker_engine)).get(AdminConnection)
    assert isinstance(admin.door, InContainer)
    assert str(admin.door) == f"container {server.container.name} (role {SUPERUSER})"
    assert fix(tmp_path, docker_engine) == [Outcome.VERIFIED, Outcome.VERIFIED]
    assert examine(tmp_path, docker_engine).findings == []
    assert repair.undo(load(tmp_path, docker_engine)).refused == []
    assert [f.code for f in examine(tmp_path, docker_engine).findings] == ["DB502"]
    assert "app-secret" not in server.container.logs().decode()


def test_the_projects_own_stopped_container_is_started_and_stopped_again(
    server: PostgresContainer, docker_engine: str, tmp_path: Path
) -> None:
    settle(tmp_path, server.url(SUPERUSER, PASSWORD, "postgres"))
    server.container.stop(timeout=5)
    (finding,) = examine(tmp_path, docker_engine).findings
    assert finding.code == "DB501"
    assert f"starts container {server.container.name}" in finding.next_step
    assert fix(tmp_path, docker_engine) == [Outcome.VERIFIED]
    assert server.runs
    assert repair.undo(load(tmp_path, docker_engine)).refused == []
    assert not server.runs


def test_another_projects_stopped_container_is_left_alone(
    server: PostgresContainer, docker_engine: str, tmp_path: Path
) -> None:
    root = tmp_path / "another"
    root.mkdir()
    (root / "docker-compose.yml").write_text(COMPOSE % server.port)
    settle(root, server.url(SUPERUSER, PASSWORD, "postgres"))
    server.container.stop(timeout=5)
    (finding,) = examine(root, docker_engine).findings
    assert finding.fix is None
    assert finding.next_step == "saas-doctor up (by hand: docker compose up -d db)"
    assert fix(root, docker_engine) == []
    assert not server.runs
