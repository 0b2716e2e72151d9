"""Faults of the platform's containers as they stand on a real engine."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import docker

from saas_doctor.compose.naming import normal
from tests.faults import Copy, Fault, Healthy, Inject, write
from tests.faults.docker import service
from tests.testbed import sockets
from tests.testbed.engine import IMAGE
from tests.testbed.own_containers import GIVEN, own_container, runs, stands, state

ENDED = state("exited")
RUNS = state("running")
WAITS = f"test -e {GIVEN}/there || {{ echo 'DatabaseError: not there yet'; exit 3; }}; sleep 600"
EVERY = 200_000_000
"""Nanoseconds between two runs of a health check."""


def what_it_needed_has_come() -> Inject:
    """It ended, as something was not there, which is there by now."""

    @contextmanager
    def stands(copy: Copy) -> Iterator[None]:
        with own_container(copy, "core", WAITS, ENDED):
            (copy.extras["given"] / "there").touch()
            yield

    return stands


def health(found: dict[str, Any]) -> str:
    return str((found["State"].get("Health") or {}).get("Status"))


def checked(test: str) -> dict[str, Any]:
    return {"test": ["CMD-SHELL", test], "interval": EVERY, "timeout": 2_000_000_000, "retries": 2}


def policy(name: str) -> dict[str, Any]:
    return {"restart_policy": {"Name": name}}


def stopped() -> Inject:
    """It was stopped by hand: its shell takes the signal and gives its code."""

    @contextmanager
    def stands(copy: Copy) -> Iterator[None]:
        with own_container(copy, "core", "sleep 600", RUNS, **policy("always")) as made:
            made.stop(timeout=3)
            yield

    return stands


def of_another_folder(there: bool = True) -> Inject:
    @contextmanager
    def stands(copy: Copy) -> Iterator[None]:
        with sockets.folder() as folder:
            place = folder if there else Path("/nonexistent/folder")
            with own_container(copy, "core", "sleep 600", RUNS, folder=place):
                yield

    return stands


def of_another_name() -> Inject:
    @contextmanager
    def stands(copy: Copy) -> Iterator[None]:
        with (
            sockets.folder() as folder,
            own_container(copy, "core", "exit 3", ENDED, folder=folder, project="sd-another"),
        ):
            yield

    return stands


def built(after: Callable[[Copy, Any], None], **options: Any) -> Inject:
    """A container of an image that is built from the platform's files, and what comes after."""

    @contextmanager
    def stands(copy: Copy) -> Iterator[None]:
        service("  shown:\n    build: shown\n")(copy)
        # The label comes first: two tests at a time must not share, and remove, even one layer.
        text = f"FROM {IMAGE}\nLABEL own={uuid.uuid4().hex}\nWORKDIR /app\nCOPY . code/\n"
        write("shown/Dockerfile", text)(copy)
        write("shown/.dockerignore", "*.txt\n")(copy)
        write("shown/main.py", "OLD = 1\n")(copy)
        write("shown/notes.txt", "old\n")(copy)
        client = docker.DockerClient(base_url=copy.environ["DOCKER_HOST"])
        tag = f"saas-doctor-test/{normal(copy.root.name)}-{uuid.uuid4().hex[:8]}"
        mounted = {name: str(copy.root / path) for name, path in options.items()}
        try:
            image, _ = client.images.build(path=str(copy.root / "shown"), tag=tag, rm=True)
            with own_container(copy, "shown", "sleep 600", RUNS, image=tag, mounted=mounted):
                after(copy, client)
                yield
        finally:
            client.images.remove(tag, force=True)
            with suppress(docker.errors.ImageNotFound):  # the tag means another by now
                client.images.remove(image.id or "", force=True)
            client.close()

    return stands


def changes(path: str, text: str) -> Callable[[Copy, Any], None]:
    """A file gets this text, some seconds after the image was built."""

    def change(copy: Copy, client: Any) -> None:  # noqa: ARG001
        write(path, text)(copy)
        os.utime(copy.path(path), (time.time() + 5, time.time() + 5))

    return change


def built_anew(copy: Copy, client: Any) -> None:
    """Its image is built from other code, which the files then are again."""
    tag = copy.extras["container"].attrs["Config"]["Image"]
    write("shown/more.py", "NEW = 1\n")(copy)
    client.images.build(path=str(copy.root / "shown"), tag=tag, rm=True)


ENTRIES = [
    Fault(
        "DOCK624",
        "it ended as something was not there yet",
        what_it_needed_has_come(),
        works=runs,
        target="core",
        docker=True,
        group="core's container",
    ),
    Fault(
        "DOCK624",
        "it ends each time",
        stands("core", "echo 'ValueError: no'; exit 3", ENDED),
        fixed=False,
        target="core",
        docker=True,
    ),
    Fault(
        "DOCK624",
        "its command is not there",
        stands("core", "", state("created"), entrypoint="/nonexistent", init=False),
        fixed=False,
        target="core",
        docker=True,
    ),
    Fault(
        "DOCK624",
        "its memory ran out",
        stands("core", "x=a; while :; do x=$x$x; done", ENDED, mem_limit="8m", memswap_limit="8m"),
        fixed=False,
        target="core",
        docker=True,
    ),
    Fault(
        "DOCK624",
        "a job that failed",
        stands("core", "exit 1", ENDED, **policy("no")),
        fixed=False,
        target="core",
        docker=True,
    ),
    Healthy("DOCK624", "a job that is done", stands("core", "exit 0", ENDED), docker=True),
    Healthy("DOCK624", "stopped by hand", stopped(), docker=True),
    Healthy("DOCK624", "it runs", stands("core", "sleep 600", RUNS), docker=True),
    Healthy("DOCK624", "a run of once", stands("core", "exit 3", ENDED, one_off=True), docker=True),
    Healthy("DOCK624", "of no service here", stands("gone", "exit 3", ENDED), docker=True),
    Healthy(
        "DOCK624",
        "made and not started",
        stands("core", "exit 3", state("created"), start=False),
        docker=True,
    ),
    Healthy("DOCK624", "another project's", of_another_name(), docker=True),
    Fault(
        "DOCK625",
        "its health check fails",
        stands(
            "core",
            "sleep 600",
            lambda found: health(found) == "unhealthy",
            healthcheck=checked("echo no answer; exit 1"),
        ),
        fixed=False,
        target="core",
        docker=True,
    ),
    Healthy(
        "DOCK625",
        "healthy",
        stands(
            "core", "sleep 600", lambda found: health(found) == "healthy", healthcheck=checked(":")
        ),
        docker=True,
    ),
    Healthy(
        "DOCK625",
        "not yet",
        stands(
            "core",
            "sleep 600",
            lambda found: health(found) == "starting",
            healthcheck={**checked("exit 1"), "start_period": 600_000_000_000},
        ),
        docker=True,
    ),
    Fault(
        "DOCK626",
        "it is started again and again",
        stands(
            "core",
            "echo 'ValueError: no'; exit 3",
            lambda found: found["RestartCount"] >= 3,
            **policy("always"),
        ),
        fixed=False,
        target="core",
        docker=True,
    ),
    Healthy(
        "DOCK626",
        "once",
        stands(
            "core",
            f"test -e {GIVEN}/again && sleep 600; touch {GIVEN}/again; exit 1",
            lambda found: found["RestartCount"] == 1 and found["State"]["Running"],
            **policy("on-failure"),
        ),
        docker=True,
    ),
    Healthy(
        "DOCK626",
        "it came up in the end",
        stands(
            "core",
            f"test -e {GIVEN}/c && sleep 600; test -e {GIVEN}/b && touch {GIVEN}/c; "
            f"test -e {GIVEN}/a && touch {GIVEN}/b; touch {GIVEN}/a; exit 1",
            lambda found: found["RestartCount"] == 3 and health(found) == "healthy",
            healthcheck=checked(":"),
            **policy("always"),
        ),
        docker=True,
    ),
    Fault(
        "DOCK627",
        "code that was changed since",
        built(changes("shown/main.py", "NEW = 1\n")),
        fixed=False,
        target="shown",
        docker=True,
    ),
    Fault(
        "DOCK627",
        "an image built anew",
        built(built_anew),
        fixed=False,
        target="shown",
        docker=True,
    ),
    Healthy("DOCK627", "as it was built", built(lambda *_: None), docker=True),
    Healthy(
        "DOCK627",
        "a file that was touched",
        built(changes("shown/main.py", "OLD = 1\n")),
        docker=True,
    ),
    Healthy("DOCK627", "what is left out", built(changes("shown/notes.txt", "new\n")), docker=True),
    Healthy(
        "DOCK627",
        "code that is mounted",
        built(changes("shown/main.py", "NEW = 1\n"), code="shown"),
        docker=True,
    ),
    Fault("DOCK628", "another folder's", of_another_folder(), fixed=False, docker=True),
    Healthy("DOCK628", "of a folder that is gone", of_another_folder(there=False), docker=True),
]
