"""The whole platform in its great states: running, stopped, seen by an ordinary user, and a fix cut off."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from saas_doctor import journal, repair
from saas_doctor import platform as platforms
from tests.faults import Copy, Fault, all_of
from tests.test_repair import KILLED
from tests.testbed import bed, require
from tests.testbed import platforms as copies
from tests.testbed.ports import free_port
from tests.testbed.users import as_user
from tests.testbed.world import World

DOCTOR = [sys.executable, "-m", "saas_doctor"]


def check(copy: Copy, *argv: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [*DOCTOR, "check", "--format", "json", "--timeout", "20", *argv],
        cwd=copy.root,
        env=copy.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def test_a_running_platform_is_healthy_and_a_stopped_one_has_a_cause_for_each_thing_that_is_down(
    tmp_path: Path,
) -> None:
    require(shutil.which("redis-server"), "redis-server")
    with bed.servers() as (cluster, redis):
        copy = bed.make_copy(tmp_path / "platform", cluster, redis.url)
        with copies.started(copy.root, copy.ports, copy.environ):
            code, report = check(copy)
            assert (code, report["findings"]) == (0, [])
            # Whether an engine is there, and what it has, is this machine's own affair.
            others = {
                c["code"]: c["status"]
                for c in report["checks"]
                if c["status"] != "ok" and not c["code"].startswith("DOCK62")
            }
            # No git repository, no configuration, no dev server, no proxies; every call is by Vite's.
            skipped = ("CFG911", "CFG915", "NET407", "WEB801", "WEB813")
            assert others == dict.fromkeys(skipped, "skipped")
        redis.stop()
        cluster.stop()
        code, report = check(copy)
    assert code == 1
    found = [(f["code"], f["target"]) for f in report["findings"]]
    assert sorted(found) == [
        ("DB501", f"127.0.0.1:{cluster.port}"),
        ("RED501", f"127.0.0.1:{redis.port}"),
        ("SVC701", "core"),
        ("SVC701", "demo-service"),
        ("SVC701", "gateway"),
        ("SVC701", "registry"),
    ]
    blocked = {c["code"]: c["blocked_by"] for c in report["checks"] if c["status"] == "blocked"}
    assert blocked == {
        "DB502": "DB508",
        "DB503": "DB502",
        "DB504": "DB503",
        "DB505": "DB510",
        "DB506": "DB504",
        "DB507": "DB508",
        "DB508": "DB501",
        "DB509": "DB504",
        "DB510": "DB504",
        "DB511": "DB510",
        "DB512": "DB504",
        "SVC703": "SVC701",
        "SVC704": "SVC701",
        "SVC705": "SVC701",
        "SVC706": "SVC701",
        "WEB802": "SVC701",
        "WEB812": "WEB802",
    }


def test_where_every_port_is_silent_it_ends_and_tells_all_that_did_answer(tmp_path: Path) -> None:
    with bed.silent_platform(tmp_path / "platform") as (root, environ):
        done = subprocess.run(
            [*DOCTOR, "check", "--format", "json", "--timeout", "5"],
            cwd=root,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode in (1, 3), done.stderr
    status = {c["code"]: c["status"] for c in json.loads(done.stdout)["checks"]}
    live = ("DB5", "RED5", "NET4", "SVC7", "WEB8")
    static = {code: told for code, told in status.items() if not code.startswith(live)}
    assert set(static.values()) <= {"ok", "skipped"}
    # Nothing that said nothing is called well.
    assert status["DB501"] in ("failed", "unknown")
    assert status["RED501"] in ("failed", "unknown")
    assert "crashed" not in status.values()


def test_a_fresh_clone_is_taken_to_where_its_services_start(tmp_path: Path) -> None:
    """The checklist: Python, environment, packages, Postgres, Redis, .env, ports, __init__.py."""
    require(shutil.which("redis-server"), "redis-server")
    root = tmp_path / "platform"
    copies.copy_files(root)
    ports = {service: free_port() for service in copies.SERVICES}
    with bed.servers() as (cluster, redis):
        # All that a clone has of its settings is the example; role and database were never made.
        url = cluster.url("saas_user", "saas_password", "saas_platform")
        values = copies.set_ports(root, ports) | {"DATABASE_URL": url, "REDIS_URL": redis.url}
        copies.write_settings(root, values)
        (root / "backend/.env").unlink()
        environ = bed.shell_environment()
        doctor = [*DOCTOR, "fix", "--yes", "--timeout", "20"]
        fixed = subprocess.run(
            doctor,
            cwd=root,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert fixed.returncode == 0, fixed.stdout
        with copies.started(root, ports, environ):
            done = subprocess.run(
                [*DOCTOR, "check", "--timeout", "20"],
                cwd=root,
                env=environ,
                capture_output=True,
                text=True,
                check=False,
            )
        assert "no finding" in done.stdout, done.stdout
        assert done.returncode == 0


@pytest.fixture
def open_doctor(open_folder: Path) -> Path:
    """The doctor as a wheel, in an environment that every user may use; its console script."""
    system = next(
        (p for p in map(Path, ("/usr/bin/python3", "/usr/local/bin/python3")) if p.exists()), None
    )
    require(system, "a Python that every user may run")
    assert system
    folder = open_folder / "doctor"
    commands: list[list[str | Path]] = [
        [copies.UV, "venv", "-q", "-p", system, folder],
        [copies.UV, "pip", "install", "-q", "-p", folder / "bin/python", copies.ROOT],
    ]
    for argv in commands:
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    return folder / "bin/saas-doctor"


def readable(root: Path) -> None:
    """Let every user read a tree."""
    for folder, _, files in os.walk(root):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder) / name
            if not path.is_symlink():
                path.chmod(0o755 if "/bin/" in str(path) else 0o644)


def test_an_ordinary_user_is_told_what_could_not_be_seen(
    open_folder: Path, open_doctor: Path
) -> None:
    """No root, no Docker, no Postgres; and what belongs to somebody else can't be read."""
    root = open_folder / "platform"
    copies.copy_files(root)
    subprocess.run(
        [copies.UV, "venv", "-q", "-p", "/usr/bin/python3", root / "backend/.venv"], check=True
    )
    shutil.copy(root / "backend/.env.example", root / "backend/.env")
    readable(root)
    (root / "backend/.env").chmod(0o600)
    (root / "backend/core/main.py").chmod(0o600)
    argv: list[str | Path] = [
        open_doctor,
        "check",
        "-C",
        root,
        "--format",
        "json",
        "--timeout",
        "20",
    ]
    done = as_user(argv, cwd=root, environ={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"})
    assert done.stderr == ""
    report = json.loads(done.stdout)
    status = {c["code"]: c["status"] for c in report["checks"]}
    reason = {c["code"]: c["reason"] for c in report["checks"]}
    assert done.returncode == 1  # nothing is installed, which can be seen
    assert report["summary"]["crashed"] == 0
    assert (status["CFG901"], status["SRC200"]) == ("unknown", "unknown")
    assert "Permission denied" in reason["CFG901"]
    assert "backend/core/main.py" in reason["SRC200"]
    # What hangs on the settings file is not known either.
    for code in ("CFG902", "CFG903", "DB501", "DB505", "RED501", "WEB801"):
        assert status[code] in ("unknown", "blocked"), code


CUT_OFF = ("PKG304", "SRC204", "WEB803", "SRC201", "DB502")
"""Edits, a new file, an install, a role and a database: every kind of action."""


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.timeout(600)
def test_a_fix_killed_at_any_action_is_told_and_can_be_undone(
    make_copy: Callable[..., Copy], moment: str
) -> None:
    copy = make_copy()
    faults = {f.code: f for f in reversed(all_of(Fault)) if f.code in CUT_OFF and f.fixed}
    for fault in faults.values():
        assert fault.inject(copy) is None
    broken = World.of(copy)
    at, told = 1, 0
    while killed(copy, at, moment):
        if journal.interrupted(platforms.load(copy.root, exact=True, environ=copy.environ)):
            told += 1
            _, report = check(copy, "--static")
            assert "was interrupted" in report["notes"][0]
            assert "saas-doctor undo" in report["notes"][0]
        if World.of(copy).differences(broken):
            undone = repair.undo(platforms.load(copy.root, exact=True, environ=copy.environ))
            assert undone.refused == []
        assert World.of(copy).differences(broken) == [], (at, moment)
        shutil.rmtree(copy.root / ".saas-doctor")
        at += 1
    assert told >= 2 * len(faults)


def killed(copy: Copy, at: int, moment: str) -> bool:
    """A fix that dies at its journal's record number `at`; whether it came that far."""
    script = KILLED.replace("exact=True)", "exact=True, environ=dict(os.environ))")
    done = subprocess.run(
        [sys.executable, "-c", script, str(copy.root), str(at), moment, ",".join(CUT_OFF)],
        env=copy.environ,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode in (0, -9)
    return done.returncode != 0
