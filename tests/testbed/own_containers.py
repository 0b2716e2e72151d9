"""Containers as Compose would have made them for a copy of the platform, on the real engine."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker

from saas_doctor.compose.naming import normal
from tests.faults import Copy, Inject
from tests.testbed.engine import IMAGE, LABEL

if TYPE_CHECKING:
    from docker.models.containers import Container

GIVEN = "/given"
"""Where a container finds the folder that the test may write to."""


@contextmanager
def own_container(
    copy: Copy,
    service: str,
    command: str,
    until: Callable[[dict[str, Any]], object],
    *,
    folder: Path | None = None,
    project: str = "",
    one_off: bool = False,
    image: str = IMAGE,
    start: bool = True,
    mounted: Mapping[str, str] = {},
    **options: Any,
) -> Iterator[Container]:
    """A container that runs a line of the shell; waits until what the engine says of it is so."""
    name = project or normal(copy.root.name)
    client = docker.DockerClient(base_url=copy.environ["DOCKER_HOST"])
    with tempfile.TemporaryDirectory(prefix="sd-given-", dir="/tmp") as given:
        made = client.containers.create(
            image,
            ["sh", "-c", command],
            labels={
                LABEL: "1",
                "com.docker.compose.project": name,
                "com.docker.compose.service": service,
                "com.docker.compose.project.working_dir": str(folder or copy.root),
                "com.docker.compose.oneoff": str(one_off),
                "com.docker.compose.container-number": "1",
                "com.docker.compose.config-hash": "x",
            },
            volumes={given: {"bind": GIVEN}}
            | {path: {"bind": f"/app/{name}"} for name, path in mounted.items()},
            **{"init": True, **options},
        )
        copy.extras["given"], copy.extras["container"] = Path(given), made
        try:
            if start:
                _start(made)
            deadline = time.monotonic() + 20
            while not until(client.api.inspect_container(made.id or "")):
                made.reload()
                assert time.monotonic() < deadline, made.attrs["State"]
                time.sleep(0.05)
            yield made
        finally:
            made.remove(force=True)
            client.close()


def _start(made: Container) -> None:
    try:
        made.start()
    except docker.errors.APIError:
        return  # that is the fault


def state(*words: str) -> Callable[[dict[str, Any]], object]:
    return lambda found: found["State"]["Status"] in words


def stands(
    service: str, command: str, until: Callable[[dict[str, Any]], object], **options: Any
) -> Inject:
    """An injection: the platform has such a container."""
    return lambda copy: _standing(own_container(copy, service, command, until, **options))


def _standing(context: Any) -> Any:
    @contextmanager
    def entered() -> Iterator[None]:
        with context:
            yield

    return entered()


def runs(copy: Copy) -> bool:
    """Whether the container of the injection runs."""
    made = copy.extras["container"]
    made.reload()
    return bool(made.status == "running")
