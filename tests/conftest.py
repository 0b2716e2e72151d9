"""Fixtures: real servers, started once a worker, and fresh copies of the reference platform."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from saas_doctor import redact
from tests.faults import Copy
from tests.testbed import bed, engine, platforms, require
from tests.testbed.cache import RedisServer
from tests.testbed.postgres import Cluster, binaries
from tests.testbed.table import Table
from tests.trees import MakeTree, make_tree

_NUMBERS = itertools.count()
_FOREIGN = ("PROXY", "DATABASE_URL", "REDIS_URL", "VIRTUAL_ENV", "PYTHONPATH", "DOCKER_")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--table", action="store_true", help="print the table of faults at the end")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--table") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Table())


@pytest.fixture(autouse=True, scope="session")
def clean_environment() -> None:
    """What a developer's shell may hold must not change what the tests see."""
    # Started in the background, this ignores Ctrl-C, and so would all that it starts.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in list(os.environ):
        if any(part in name.upper() for part in _FOREIGN) or name.startswith("PG"):
            del os.environ[name]


@pytest.fixture(autouse=True)
def no_secrets_of_other_platforms() -> None:
    """A process of the doctor examines one platform, this one many."""
    redact.forget()


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
    """The DOCKER_HOST of a real engine, shared by all workers.

    What a test makes there carries `engine.LABEL`. Its tests belong to the xdist group `docker`.
    """
    require(engine.obtainable(), "a Docker engine (or dockerd, busybox and the rights to run them)")
    with engine.engine() as host:
        yield host


@pytest.fixture
def tree(tmp_path: Path) -> MakeTree:
    """Makes a platform of files below `backend` (or, with a leading slash, beside it)."""
    return make_tree(tmp_path)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A temporary folder that every user may enter, unlike pytest's own; for `as_user`."""
    with tempfile.TemporaryDirectory(prefix="sd-open-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


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
    not install. `database=False` makes none, for what only files are looked at for.
    """
    made: list[Copy] = []
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")

    def make(own: bool = True, database: bool = True) -> Copy:
        environment = None if own else shared_environment
        # Compose's name for its project is the folder's: no two copies are to have the same one.
        root = tmp_path / f"platform-{worker}-{next(_NUMBERS)}"
        copy = bed.make_copy(
            root, postgres, redis_server.url, environment=environment, database=database
        )
        made.append(copy)
        return copy

    yield make
    for copy in made:
        bed.drop(copy)
        shutil.rmtree(copy.root, ignore_errors=True)
