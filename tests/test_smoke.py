"""The smoke test: imports, each service, the whole way; and what it leaves behind."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import psutil

from saas_doctor import platform as platforms
from saas_doctor.smoke.run import smoke
from saas_doctor.smoke.steps import Step
from tests.faults import Copy

MakeCopy = Callable[..., Copy]
DOCTOR = [sys.executable, "-m", "saas_doctor", "smoke"]
USERS = "SELECT count(*) FROM users"


def load(copy: Copy) -> platforms.Platform:
    return platforms.load(copy.root, exact=True, environ=copy.environ)


def tried(copy: Copy, **options: Any) -> dict[str, Step]:
    return {step.title: step for step in smoke(load(copy), **options)}


def command(copy: Copy, *argv: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [*DOCTOR, "--format", "json", *argv],
        cwd=copy.root,
        env=copy.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def processes_of(copy: Copy) -> list[int]:
    """What runs in the copy's folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd().startswith(str(copy.root)) and process.status() != "zombie":
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


def rows(copy: Copy) -> object:
    return copy.cluster.sql(USERS, database=copy.database)


def test_a_platform_that_is_down_is_started_tried_and_left_as_it_was(make_copy: MakeCopy) -> None:
    copy = make_copy(own=False)
    code, report = command(copy)
    states = {step["title"]: step["status"] for step in report["steps"]}
    assert states == dict.fromkeys(
        (
            "base imports",
            "registry",
            "gateway",
            "core",
            "demo-service",
            "registration",
            "a request through the gateway",
            "sign-up",
            "login",
            "the account is taken away",
        ),
        "ok",
    ), report["steps"]
    assert code == 0
    assert all(step["duration_ms"] >= 0 for step in report["steps"])
    assert processes_of(copy) == []
    assert rows(copy) == [(0,)]
