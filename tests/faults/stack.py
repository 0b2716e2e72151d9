"""Faults of the platform's containers as they stand on a real engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.faults import Copy, Fault, Healthy, Inject
from tests.testbed import sockets
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
    Fault("DOCK628", "another folder's", of_another_folder(), fixed=False, docker=True),
    Healthy("DOCK628", "of a folder that is gone", of_another_folder(there=False), docker=True),
]
