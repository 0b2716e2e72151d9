"""Fixtures: real servers, started once a worker, and fresh copies of the reference platform."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults import Copy
from tests.testbed import engine, platforms
from tests.testbed.cache import RedisServer
from tests.testbed.platforms import UV
from tests.testbed.ports import free_port
from tests.testbed.postgres import Cluster, binaries

_FOREIGN = ("PROXY", "DATABASE_URL", "REDIS_URL", "VIRTUAL_ENV", "PYTHONPATH", "DOCKER_")


@pytest.fixture(autouse=True, scope="session")
def clean_environment() -> None:
    """What a developer's shell may hold must not change what the tests see."""
    for name in list(os.environ):
        if any(part in name.upper() for part in _FOREIGN) or name.startswith("PG"):
            del os.environ[name]


def require(there: object, what: str) -> None:
    """Real parts may be missing on a developer's machine; in CI a missing one is a failure."""
    if not there:
        if os.environ.get("CI"):
            pytest.fail(f"{what} is missing (`make system` installs it)")
        pytest.skip(f"{what} is not installed")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    require(binaries(), "Postgres")
    cluster = Cluster()
    yield cluster
    cluster.close()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    require(shutil.which("redis-server"), "redis-server")
    server = RedisServer()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[str]:
    """The DOCKER_HOST of a real engine; its tests belong to the xdist group `docker`."""
    require(shutil.which("dockerd") and os.geteuid() == 0, "dockerd (as root)")
    with engine.engine() as host:
        yield host


_numbers = itertools.count(1)


def shell_environment(home: Path) -> dict[str, str]:
    """A plain developer's environment, with the test environment's uv on the path."""
    path = f"{Path(UV).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {
        k: v for k, v in os.environ.items() if k.startswith(("LANG", "LC_", "SSL_", "PIP_", "UV_"))
    }
    return {**kept, "PATH": path, "HOME": os.environ.get("HOME", str(home)), "CI": "true"}


@pytest.fixture(scope="session")
def shared_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared") / "environment"
    platforms.clone_environment(folder)
    return folder


@pytest.fixture
def make_copy(
    tmp_path: Path, postgres: Cluster, redis_server: RedisServer, shared_environment: Path
) -> Iterator[Callable[..., Copy]]:
    """Makes healthy copies of the platform: own files, environment, ports, role and database.

    `own=False` links to an environment that the worker's copies share: for faults whose fix does
    not install.
    """
    made: list[Copy] = []

    def make(own: bool = True) -> Copy:
        worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
        name = f"copy_{worker}_{next(_numbers)}"
        root = tmp_path / name
        platforms.copy_files(root)
        if own:
            platforms.clone_environment(root / "backend/.venv")
        else:
            (root / "backend/.venv").symlink_to(shared_environment)
        ports = {service: free_port() for service in platforms.SERVICES}
        copy = Copy(
            root=root,
            environ=shell_environment(tmp_path),
            ports=ports,
            cluster=postgres,
            database=name,
            role=f"{name}_user",
            password="role-secret",
            redis_url=redis_server.url,
        )
        postgres.sql(f"CREATE ROLE {copy.role} LOGIN PASSWORD '{copy.password}'")
        postgres.sql(f"CREATE DATABASE {name} OWNER {copy.role}")
        url = postgres.url(copy.role, copy.password, name)
        values = platforms.set_ports(root, ports)
        values |= {"DATABASE_URL": url, "REDIS_URL": copy.redis_url}
        platforms.write_settings(root, values)
        made.append(copy)
        return copy

    yield make
    for copy in made:
        postgres.sql(f"DROP DATABASE IF EXISTS {copy.database} WITH (FORCE)")
        postgres.sql(f"DROP ROLE IF EXISTS {copy.role}")
        shutil.rmtree(copy.root, ignore_errors=True)
