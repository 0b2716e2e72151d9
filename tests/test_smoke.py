"""The smoke test: imports, each service, the whole way; and what it leaves behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qs

import httpx
import msgspec
import psutil
import pytest

from saas_doctor import platform as platforms
from saas_doctor.config import Config
from saas_doctor.processes import Identity
from saas_doctor.smoke.imports import base_modules
from saas_doctor.smoke.run import smoke
from saas_doctor.smoke.services import Services
from saas_doctor.smoke.steps import State, Step
from saas_doctor.smoke.users import Users
from tests.faults import Copy
from tests.faults.services import everything_runs
from tests.testbed.ports import listener
from tests.testbed.users import as_user
from tests.testbed.world import World

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


def test_what_runs_already_is_used_and_goes_on(make_copy: MakeCopy) -> None:
    copy = make_copy(own=False)
    with everything_runs(copy) as pids:
        found = tried(copy)
        assert {step.state for step in found.values()} == {State.OK}
        assert all("is up at" in found[name].said for name in copy.ports)
        assert all(psutil.pid_exists(pid) for pid in pids.values())
    assert rows(copy) == [(0,)]


def test_read_only_signs_nobody_up(make_copy: MakeCopy) -> None:
    found = tried(make_copy(own=False), read_only=True)
    assert found["sign-up"].state is State.SKIPPED
    assert found["login"].state is State.SKIPPED
    assert "the account is taken away" not in found


def test_a_module_that_can_not_be_imported_is_told_with_its_code(make_copy: MakeCopy) -> None:
    copy = make_copy(own=False)
    for name in ("shared/schemas/user.py", "shared/utils/security.py"):
        with copy.path(f"backend/{name}").open("a") as file:
            file.write("\nimport nowhere_to_be_found\n")
    failed = [s for s in smoke(load(copy)) if s.state is State.FAILED]
    first = failed[0]
    assert first.title == "base imports"
    assert "ModuleNotFoundError: No module named 'nowhere_to_be_found'" in first.said
    # Nothing requires it, so that nothing confirms that it is to be installed.
    assert first.code == ""
    assert "looks like PKG301, which finds nothing here now" in first.next_step
    assert any("shared/schemas/user.py" in line for line in first.output)


def test_each_service_is_for_itself_one_that_dies_leaves_the_others(make_copy: MakeCopy) -> None:
    copy = make_copy(own=False)
    with copy.path("backend/core/run.py").open("a") as file:
        file.write("\n    raise SystemExit(7)\n")
    path = copy.path("backend/core/run.py")
    path.write_text(path.read_text().replace("    serve(", "    1 / 0\n    serve("))
    code, report = command(copy)
    by_title = {step["title"]: step for step in report["steps"]}
    assert code == 1
    assert by_title["core"]["status"] == "failed"
    assert by_title["core"]["said"] == "it ended with 1"
    assert by_title["core"]["output"][-1] == "ZeroDivisionError: division by zero"
    assert by_title["a request through the gateway"]["status"] == "ok"
    assert by_title["registration"]["status"] == "ok"
    assert by_title["sign-up"]["status"] == "skipped"
    assert processes_of(copy) == []


def test_a_failure_is_diagnosed_and_the_check_confirms_it(make_copy: MakeCopy) -> None:
    copy = make_copy(own=False)
    env = copy.path("backend/.env")
    env.write_text(env.read_text().replace(f":{copy.cluster.port}/", ":9/"))
    core = tried(copy)["core"]
    assert (core.state, core.code) == (State.FAILED, "DB501")
    assert "127.0.0.1:9" in core.next_step
    assert any("OperationalError" in line for line in core.output)
    assert copy.password not in str(core)


def test_a_service_that_never_answers_is_ended_after_the_limit(make_copy: MakeCopy) -> None:
    copy = make_copy(own=False)
    copy.path("backend/registry/run.py").write_text(
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print('waiting for something', flush=True)\ntime.sleep(600)\n"
    )
    found = tried(copy, limit=4.0)
    assert found["registry"].state is State.FAILED
    assert found["registry"].said == "no answer within 4 s"
    assert found["registry"].output == ("waiting for something",)
    assert processes_of(copy) == []


def test_a_port_that_a_stranger_holds_is_no_hindrance(make_copy: MakeCopy) -> None:
    copy = make_copy(own=False)
    with listener(copy.ports["core"]) as stranger:
        found = tried(copy, read_only=True)
        assert found["core"].state is State.OK
        assert psutil.pid_exists(stranger)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_ends_what_it_started_and_nothing_else(
    make_copy: MakeCopy, number: signal.Signals
) -> None:
    copy = make_copy(own=False)
    process = subprocess.Popen(
        DOCTOR,
        cwd=copy.root,
        env=copy.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    for line in process.stdout:
        if "services: gateway" in line:
            break
    assert len(processes_of(copy)) > 1
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert processes_of(copy) == []


def test_killed_it_leaves_nothing_running_and_no_folder(
    make_copy: MakeCopy, tmp_path: Path
) -> None:
    copy, scratch = make_copy(own=False), tmp_path / "scratch"
    scratch.mkdir()
    process = subprocess.Popen(
        DOCTOR,
        cwd=copy.root,
        env={**copy.environ, "TMPDIR": str(scratch)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    for line in process.stdout:
        if "services: gateway" in line:
            break
    assert len(processes_of(copy)) > 1
    process.kill()
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 15
    while (processes_of(copy) or any(scratch.iterdir())) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes_of(copy) == []
    assert [*scratch.iterdir()] == []


def test_the_account_of_a_run_that_was_killed_is_taken_away_by_the_next(
    make_copy: MakeCopy,
) -> None:
    copy = make_copy(own=False)
    with everything_runs(copy):
        # A sign-up whose answer never comes: the account is there, and who made it is killed.
        main = (
            "import os\nfrom saas_doctor.smoke.users import Users\n"
            "Users._log_in = lambda self: os._exit(9)\n"
            "from saas_doctor.__main__ import main\nmain()\n"
        )
        killed = subprocess.run(
            [sys.executable, "-c", main, "smoke"], cwd=copy.root, env=copy.environ,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        assert killed.returncode == 9
        assert rows(copy) == [(1,)]
        (note,) = copy.path(".saas-doctor/smoke").iterdir()
        # Neither what it has no note of, nor the account of one that still runs.
        other, theirs = f"saas-doctor-{'a' * 12}@example.com", f"saas-doctor-{'b' * 12}@example.com"
        columns = "(email, hashed_password)"
        for email in (other, theirs):
            copy.cluster.sql(
                f"INSERT INTO users {columns} VALUES ('{email}', '')", database=copy.database
            )
        lives = note.with_name("b" * 12)
        lives.write_bytes(msgspec.json.encode(Identity.of(os.getpid())))

        assert not any("was killed" in title for title in tried(copy, read_only=True))
        found = tried(copy)
        (title,) = (title for title in found if "was killed" in title)
        assert note.name in title
        assert found[title].said == "1 row deleted in the database"
        left = copy.cluster.sql("SELECT email FROM users ORDER BY 1", database=copy.database)
        assert left == [(other,), (theirs,)]
        assert [*note.parent.iterdir()] == [lives]


def test_a_check_that_does_not_confirm_it_is_not_named_as_the_cause(make_copy: MakeCopy) -> None:
    copy = make_copy(own=False)
    copy.path("backend/registry/run.py").write_text(
        "raise SystemExit('redis.exceptions.ConnectionError: Error 111 connecting to localhost:9')\n"
    )
    found = tried(copy)["registry"]
    assert (found.state, found.code) == (State.FAILED, "")
    assert "RED501, which finds nothing here now" in found.next_step


def test_of_a_check_that_waits_for_another_that_other_is_the_cause(make_copy: MakeCopy) -> None:
    copy = make_copy(own=False)
    env = copy.path("backend/.env")
    env.write_text(env.read_text().replace(f":{copy.cluster.port}/", ":9/"))
    copy.path("backend/core/run.py").write_text(
        "raise SystemExit('password authentication failed for user \"core\"')\n"
    )
    assert tried(copy)["core"].code == "DB501"


def test_without_an_environment_or_with_a_wrong_key_it_is_wrong_use(make_copy: MakeCopy) -> None:
    copy = make_copy(own=False)
    for text, said in (
        ('environment = "nowhere"\n', "nowhere/bin/python is not there"),
        ("[smoke]\nimport = []\n", "unknown key `smoke.import`; did you mean `imports`?"),
    ):
        copy.path("saas-doctor.toml").write_text(text)
        done = subprocess.run(
            DOCTOR, cwd=copy.root, env=copy.environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert said in done.stderr
        assert done.stdout == ""


def test_settings_that_can_not_be_read_leave_the_services_untold(make_copy: MakeCopy) -> None:
    copy = make_copy(own=False)
    copy.path("backend/.env").write_bytes(b"\xfe\xfe\x00")
    code, report = command(copy)
    by_title = {step["title"]: step for step in report["steps"]}
    assert code == 3
    assert by_title["core"]["status"] == "unknown"
    assert by_title["core"]["said"].startswith("backend/.env:1:1: not UTF-8 text (byte 0xfe)")
    assert by_title["registration"]["status"] == "skipped"


DOCUMENT = {
    "paths": {
        "/auth/register": {
            "post": {
                "requestBody": {
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/New"}}
                    }
                }
            }
        },
        "/auth/token": {
            "post": {
                "requestBody": {
                    "content": {
                        "application/x-www-form-urlencoded": {
                            "schema": {"properties": {"username": {}, "password": {}, "scope": {}}}
                        }
                    }
                }
            }
        },
        "/items": {"post": {"requestBody": {"content": {}}}},
        "/users/me": {"get": {}, "delete": {}},
        "/users/{id}": {"delete": {}},
    },
    "components": {
        "schemas": {
            "Base": {
                "properties": {
                    "email": {"format": "email"},
                    "age": {"type": "integer", "minimum": 18},
                },
                "required": ["email", "age"],
            },
            "New": {
                "allOf": [{"$ref": "#/components/schemas/Base"}],
                "properties": {"password": {}, "nick": {"type": "string"}},
                "required": ["password"],
            },
        }
    },
}


def test_a_form_login_and_fields_of_several_schemas_are_understood() -> None:
    asked: list[tuple[str, str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.method, request.url.path, request.content.decode()))
        if request.url.path == "/openapi.json":
            return httpx.Response(200, json=DOCUMENT)
        if request.url.path == "/auth/token":
            return httpx.Response(200, json={"data": {"token": "t"}})
        return httpx.Response(201 if request.method == "POST" else 200, json={})

    services = SimpleNamespace(
        platform=SimpleNamespace(config=Config(), state=Path("/nonexistent")),
        urls={"core": "http://core"},
        started={},
        limit=5,
    )
    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        users = Users(cast(Services, services), http, read_only=False)
        steps = list(users.steps())
    assert [s.state for s in steps] == [State.OK] * 3, steps
    calls = {(method, path): body for method, path, body in asked}
    new = json.loads(calls["POST", "/auth/register"])
    assert new == {"email": users.email, "age": 18, "password": users.password}
    login = parse_qs(calls["POST", "/auth/token"])
    assert login == {"username": [users.email], "password": [users.password]}
    assert ("GET", "/users/me") in calls
    assert steps[-1].said == "by DELETE /users/me"


def test_the_configuration_names_what_to_try(make_copy: MakeCopy) -> None:
    copy = make_copy(own=False)
    copy.path("saas-doctor.toml").write_text(
        '[smoke]\nimports = ["shared.config:get_settings", "shared.models:Nobody"]\n'
        'request = "/api/nobody/x"\nsignup = "/api/core/nothing"\n'
    )
    found = tried(copy)
    assert "shared.models:Nobody can't be imported" in found["base imports"].said
    request = found["a request through the gateway"]
    assert request.state is State.FAILED
    assert request.said.startswith("GET /api/nobody/x: HTTP 404")
    assert found["sign-up"].state is State.SKIPPED


@contextmanager
def project(tmp_path: Path, files: dict[str, str]) -> Iterator[platforms.Platform]:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    yield platforms.load(tmp_path, exact=True, environ={"PATH": os.environ["PATH"]})


def test_the_base_is_what_lies_beside_the_services(tmp_path: Path) -> None:
    app = "from fastapi import FastAPI\n\napp = FastAPI()\n"
    files = {
        "backend/requirements.txt": "fastapi\n",
        "backend/core/main.py": app,
        "backend/core/run.py": "port=8002\n",
        "backend/shared/__init__.py": "",
        "backend/shared/config.py": "",
        "backend/shared/conftest.py": "",
        "backend/shared/models/__init__.py": "",
        "backend/tests/test_a.py": "",
        "backend/alembic/env.py": "",
        "backend/static/style.css": "",
    }
    with project(tmp_path, files) as platform:
        assert list(base_modules(platform)) == ["shared", "shared.config", "shared.models"]


def test_it_leaves_no_file_but_the_services_own_logs(make_copy: MakeCopy) -> None:
    copy = make_copy(own=False)
    before = World.of(copy)
    assert tried(copy)
    changed = [n for n in World.of(copy).differences(before) if not n.startswith("logs/")]
    assert [n for n in changed if n.startswith(("backend", "frontend", "examples"))] == []


def test_an_ordinary_user_is_told_what_is_closed_to_him(
    make_copy: MakeCopy, open_folder: Path
) -> None:
    """The logs belong to another user: the services say so, and nothing is left running."""
    copy = make_copy(own=False)
    root = open_folder / "platform"
    shutil.copytree(copy.root, root, symlinks=True)
    copy.root = root
    for folder, _, files in os.walk(root):
        Path(folder).chmod(0o755)
        for name in files:
            (Path(folder) / name).chmod(0o644)
    began = time.monotonic()
    done = as_user(
        [*DOCTOR, "--format", "json", "-C", copy.root, "--timeout", "20"],
        cwd=open_folder,
        environ=copy.environ,
        reads_all=True,
        limit=120,
    )
    assert done.stderr == ""
    report = json.loads(done.stdout)
    by_title = {step["title"]: step for step in report["steps"]}
    assert done.returncode == 1, report
    assert by_title["base imports"]["status"] == "ok"
    assert by_title["registry"]["status"] == "failed"
    assert "Unable to configure handler" in str(by_title["registry"]["output"])
    assert time.monotonic() - began < 120
    assert processes_of(copy) == []
