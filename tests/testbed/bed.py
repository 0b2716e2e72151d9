"""Puts a copy of the platform together with its servers: for fixtures, the demo and the benchmark."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.faults import Copy
from tests.testbed import platforms
from tests.testbed.cache import RedisServer
from tests.testbed.platforms import UV
from tests.testbed.ports import black_hole, free_port
from tests.testbed.postgres import Cluster

_KEPT = ("LANG", "LC_", "SSL_", "PIP_", "UV_", "PYENV_ROOT")
_numbers = itertools.count(1)


def shell_environment() -> dict[str, str]:
    """A plain developer's environment, with the test environment's uv on the path."""
    kept = {k: v for k, v in os.environ.items() if k.startswith(_KEPT)}
    path = f"{Path(UV).parent}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "HOME": os.environ.get("HOME", "/"), "CI": "true"}


def make_copy(
    root: Path,
    cluster: Cluster,
    redis_url: str,
    *,
    environment: Path | None = None,
    database: bool = True,
) -> Copy:
    """A healthy copy of the platform: files, settings, ports, role and database.

    `environment`: one to link to, in place of an own clone. Without `database` its settings name
    one that is not there.
    """
    platforms.copy_files(root)
    if environment is None:
        platforms.clone_environment(root / "backend/.venv")
    else:
        (root / "backend/.venv").symlink_to(environment)
    name = f"copy_{os.environ.get('PYTEST_XDIST_WORKER', 'gw0')}_{next(_numbers)}"
    copy = Copy(
        root=root,
        environ=shell_environment(),
        ports={service: free_port() for service in platforms.SERVICES},
        cluster=cluster,
        database=name,
        role=f"{name}_user",
        password="role-secret",
        redis_url=redis_url,
    )
    if database:
        cluster.sql(f"CREATE ROLE {copy.role} LOGIN PASSWORD '{copy.password}'")
        cluster.sql(f"CREATE DATABASE {name} OWNER {copy.role}")
    values = platforms.set_ports(root, copy.ports)
    values |= {"DATABASE_URL": cluster.url(copy.role, copy.password, name), "REDIS_URL": redis_url}
    platforms.write_settings(root, values)
    return copy


def drop(copy: Copy) -> None:
    """Remove what the copy has on the server."""
    copy.cluster.sql(f"DROP DATABASE IF EXISTS {copy.database} WITH (FORCE)")
    if copy.cluster.sql(f"SELECT 1 FROM pg_roles WHERE rolname = '{copy.role}'"):
        copy.cluster.sql(f"DROP OWNED BY {copy.role}")  # rights on other databases
        copy.cluster.sql(f"DROP ROLE {copy.role}")


@contextmanager
def servers() -> Iterator[tuple[Cluster, RedisServer]]:
    """A Postgres and a Redis of one's own, which may be stopped before the end."""
    cluster, redis = Cluster(), RedisServer()
    try:
        yield cluster, redis
    finally:
        redis.stop()
        cluster.close()


@contextmanager
def running_platform(folder: Path) -> Iterator[Copy]:
    """A copy with its own Postgres and Redis, all four services up."""
    with servers() as (cluster, redis):
        copy = make_copy(folder / "platform", cluster, redis.url)
        with platforms.started(copy.root, copy.ports, copy.environ):
            yield copy


@contextmanager
def silent_platform(root: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """A copy whose every port (services, Postgres, Redis) takes calls and never says a word.

    Yields its folder and the environment to call the doctor in.
    """
    platforms.copy_files(root)
    (root / "backend/.venv").symlink_to(platforms.template_environment())
    ports = {name: free_port() for name in (*platforms.SERVICES, "postgres", "redis")}
    values = platforms.set_ports(root, {name: ports[name] for name in platforms.SERVICES})
    values["DATABASE_URL"] = f"postgresql://saas_user:secret@127.0.0.1:{ports['postgres']}/saas"
    values["REDIS_URL"] = f"redis://127.0.0.1:{ports['redis']}/0"
    platforms.write_settings(root, values)
    with ExitStack() as holes:
        for port in ports.values():
            holes.enter_context(black_hole(port))
        yield root, shell_environment()
