"""The services as they run: whose a process is, what Redis and the registry say, what is blocked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from msgspec.structs import replace

from saas_doctor import platform as platforms
from saas_doctor import runner
from saas_doctor.facts.commands import started_service
from saas_doctor.facts.registered import registering_line
from saas_doctor.facts.running import Process, masked
from saas_doctor.model import Report, Result, Status
from saas_doctor.runner import Selection
from tests.faults import Copy
from tests.faults.registration import LIST
from tests.faults.services import everything_runs, everything_runs_at, stub
from tests.testbed.ports import listener, wait_for_port

MakeCopy = Callable[[], Copy]


def process(folder: Path, *command: str, search: tuple[str, ...] = ()) -> Process:
    return Process(7, 0.0, command[0], command, folder=str(folder), search=search)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("backend/registry", "backend/core", "examples/plugins/demo"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path.resolve()


def folders(tree: Path) -> dict[str, Path]:
    return {
        "registry": tree / "backend/registry",
        "core": tree / "backend/core",
        "demo": tree / "examples/plugins/demo",
    }


@pytest.mark.parametrize(
    ("folder", "command"),
    [
        ("backend/registry", "python run.py"),
        ("backend/registry", "/x/.venv/bin/python3.11 -u run.py --port 8001"),
        ("backend/registry", "python main.py"),
        ("backend", "python registry/run.py"),
        ("backend", "python -m registry.run"),
        ("backend", "python -X dev -m registry"),
        ("backend", "python -m uvicorn registry.main:app --port 8001"),
        ("backend", "python -m uvicorn --reload-dir core registry.main:app"),
        ("backend", "/x/python /x/bin/uvicorn registry.main:app --reload"),
        ("backend", "uvicorn registry.main:app"),
        (".", "uvicorn --app-dir backend registry.main:app"),
        (".", "python -m uvicorn --app-dir=backend registry.main:app"),
        (".", "uvicorn backend.registry.main:app"),
        ("backend/registry", "fastapi dev main.py"),
        ("backend/registry", "uv run python run.py"),
        ("backend", "uv run -m registry.run"),
        ("backend", "python -m debugpy --listen 5678 registry/run.py"),
        ("backend/registry", "gunicorn main:app -k uvicorn.workers.UvicornWorker"),
        ("backend/registry", "Python run.py"),
    ],
)
def test_the_ways_to_start_a_service_are_known(tree: Path, folder: str, command: str) -> None:
    started = process(tree / folder, *command.split())
    assert started_service(started, folders(tree)) == "registry"


@pytest.mark.parametrize(
    ("folder", "command"),
    [
        (".", "python -m http.server 8001"),
        ("backend/registry", "python -m http.server 8001"),
        ("backend", "vim registry/run.py"),
        ("backend", "bash -c python registry/run.py"),
        ("backend/registry", "python -m pytest run.py"),
        ("backend/registry", "python tests/run.py"),
        ("backend/registry", "node main.js"),
        ("backend/registry", "python -c pass"),
        ("backend/registry", "python"),
        ("/", "python run.py"),
        ("/", "uvicorn registry.main:app"),
    ],
)
def test_what_only_looks_like_a_service_is_none(tree: Path, folder: str, command: str) -> None:
    assert started_service(process(tree / folder, *command.split()), folders(tree)) is None


def test_a_service_is_known_by_its_absolute_path_and_by_the_search_path(tree: Path) -> None:
    absolute = process(Path("/"), "python", str(tree / "backend/core/run.py"))
    searched = process(Path("/"), "uvicorn", "core.main:app", search=(str(tree / "backend"),))
    assert started_service(absolute, folders(tree)) == "core"
    assert started_service(searched, folders(tree)) == "core"


def test_secrets_of_a_command_line_are_masked() -> None:
    words = ("run", "--db-password", "one", "--token=two", "redis://u:three@h/0", "--port", "8001")
    text = masked(words)
    assert not any(secret in text for secret in ("one", "two", "three"))
    assert "8001" in text


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"    async with registered('core', 8002):\n", True),
        (b"    await register_service(app)\n", True),
        (b"    self.register()\n", True),
        (b"    atexit.register(stop)\n", False),
        (b"    # register('core')\n", False),
        (b"def register(service):\n", False),
        (b"the registry knows\n", False),
    ],
)
def test_a_service_that_registers_itself_is_told_by_its_code(
    tmp_path: Path, line: bytes, found: bool
) -> None:
    (tmp_path / "main.py").write_bytes(b"x = 1\n" + line)
    platform = platforms.load(tmp_path, exact=True, environ={})
    assert registering_line(tmp_path, platform) == ("main.py:2" if found else "")


# The whole of it, on a copy of the platform.


def examine(copy: Copy, *select: str) -> Report:
    platform = platforms.load(copy.root, exact=True, environ=copy.environ)
    return runner.run(platform, Selection(select), timeout=20)


def result(report: Report, code: str) -> Result:
    return next(r for r in report.results if r.code == code)


def test_a_running_platform_is_found_running(make_copy: MakeCopy) -> None:
    copy = make_copy()
    with everything_runs(copy):
        deadline = time.monotonic() + 10
        while True:
            report = examine(copy)
            states = {r.code: (r.status, r.reason) for r in report.results}
            if all(states[c][0] is Status.OK for c in CODES) or time.monotonic() > deadline:
                break
    assert {c: states[c] for c in CODES} == dict.fromkeys(CODES, (Status.OK, None))


CODES = (
    "NET401",
    "NET402",
    "NET403",
    "SVC701",
    "SVC702",
    "SVC703",
    "SVC704",
    "SVC705",
    "SVC706",
    "RED501",
    "WEB802",
)


@pytest.mark.parametrize("option", ["--workers=2", "--reload"])
def test_the_children_of_uvicorn_are_the_platforms_own(make_copy: MakeCopy, option: str) -> None:
    copy = make_copy()
    port = copy.ports["core"]
    command = [str(copy.python), "-m", "uvicorn", "core.main:app", "--port", str(port), option]
    server = subprocess.Popen(
        command,
        cwd=copy.path("backend"),
        env=copy.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_port(port, limit=30)
        report = examine(copy, "NET401", "SVC701")
        assert not result(report, "NET401").findings
        assert "core" not in {f.target for f in result(report, "SVC701").findings}
    finally:
        server.terminate()
        server.wait(10)


def test_the_command_of_the_next_step_starts_the_service(make_copy: MakeCopy) -> None:
    copy = make_copy()
    finding = next(f for f in examine(copy, "SVC701").findings if f.target == "demo-service")
    up, _, by_hand = finding.next_step.removesuffix(")").partition(" (by hand: ")
    assert up == "saas-doctor up demo-service"
    server = subprocess.Popen(
        ["sh", "-c", by_hand.replace("&& ", "&& exec ")],
        cwd="/",
        env=copy.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_port(copy.ports["demo-service"], limit=30)
        left = {f.target for f in examine(copy, "SVC701").findings}
        assert left == {"registry", "gateway", "core"}
    finally:
        server.terminate()
        server.wait(10)


def test_a_service_whose_port_a_stranger_holds_is_told_once(make_copy: MakeCopy) -> None:
    copy = make_copy()
    with listener(copy.ports["gateway"]):
        report = examine(copy)
    assert [f.target for f in result(report, "NET401").findings] == [str(copy.ports["gateway"])]
    assert "gateway" not in {f.target for f in result(report, "SVC701").findings}
    blocked = result(report, "WEB802")
    assert (blocked.status, blocked.blocked_by) == (Status.BLOCKED, "NET401")


def test_a_service_that_does_not_run_blocks_only_what_asks_it(make_copy: MakeCopy) -> None:
    copy = make_copy()
    allowed = [200, ["http://localhost:5173"]]
    with stub(copy, "gateway", copy.ports["gateway"], options=allowed):
        report = examine(copy)
    assert result(report, "WEB802").status is Status.OK
    registered = result(report, "SVC703")
    assert (registered.status, registered.blocked_by) == (Status.BLOCKED, "SVC701")


def test_a_cause_that_is_not_examined_leaves_the_question_open(make_copy: MakeCopy) -> None:
    report = examine(make_copy(), "WEB802")
    assert result(report, "WEB802").status is Status.UNKNOWN
    assert "gateway is not running" in str(result(report, "WEB802").reason)


def test_a_service_that_just_started_and_is_silent_is_not_judged(make_copy: MakeCopy) -> None:
    copy = make_copy()
    with stub(copy, "core", copy.ports["core"]) as server:
        os.kill(server.pid, signal.SIGSTOP)
        found = result(examine(copy, "NET401"), "NET401")
    assert found.status is Status.UNKNOWN
    assert "started just now" in str(found.reason)


@pytest.mark.parametrize("answer", [[200, {"services": [{"name": "core"}]}], [404, {}]])
def test_other_shapes_of_the_registrys_list_are_understood(
    make_copy: MakeCopy, answer: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saas_doctor.facts.ports.JUST_STARTED", 0.0)
    copy = make_copy()
    with ExitStack() as stack:
        lists = {"api/registry/services": answer}
        stack.enter_context(stub(copy, "registry", copy.ports["registry"], **lists))
        stack.enter_context(stub(copy, "core", copy.ports["core"]))
        found = result(examine(copy), "SVC703")
    assert found.status is (
        Status.OK if answer == [200, {"services": [{"name": "core"}]}] else Status.SKIPPED
    )


@pytest.mark.parametrize("answer", [[500, {}], [200, "a text"], [-1, {}], [0, {}]])
def test_a_registry_without_a_list_leaves_the_question_open(
    make_copy: MakeCopy, answer: object
) -> None:
    copy = make_copy()
    lists = {"api/registry/services": answer}
    with stub(copy, "registry", copy.ports["registry"], **lists):
        assert result(examine(copy), "SVC703").status is Status.UNKNOWN


def test_nothing_heavy_is_loaded_when_nothing_runs(make_copy: MakeCopy) -> None:
    copy = make_copy()
    code = (
        "import sys\nfrom saas_doctor import platform, runner\n"
        f"p = platform.load(platform.Path({str(copy.root)!r}), exact=True, environ={{}})\n"
        "runner.run(p, runner.Selection(('NET401', 'SVC', 'WEB802')), timeout=20)\n"
        "print([m for m in ('docker', 'httpx', 'redis', 'psycopg') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_login_that_redis_refuses_is_an_error_where_redis_is_needed(make_copy: MakeCopy) -> None:
    copy = make_copy()
    copy.environ["REDIS_URL"] = "redis://:topsecret@127.0.0.1:9/0"
    platform = platforms.load(copy.root, exact=True, environ=copy.environ)
    assert platform.config.redis
    needed = replace(platform.config.redis, optional=False)
    strict = replace(platform, config=replace(platform.config, redis=needed))
    for one, severity in ((platform, "warning"), (strict, "error")):
        (finding,) = runner.run(one, Selection(("RED501",)), timeout=20).findings
        assert finding.severity == severity
        assert "topsecret" not in str(finding)


@pytest.mark.parametrize("host", ["127.0.0.2", "::1"])
def test_services_that_run_where_host_of_the_settings_says_are_well(
    host: str, make_copy: MakeCopy
) -> None:
    copy = make_copy()
    running = everything_runs_at(host)(copy)
    assert running
    with running:
        report = examine(copy, "SVC701", "SVC702", "NET401")
    assert [(r.code, r.status) for r in report.results if r.status is not Status.OK] == []


def test_of_a_long_list_the_platforms_own_are_tried_first_and_the_rest_is_counted(
    make_copy: MakeCopy,
) -> None:
    copy = make_copy()
    listed: list[dict[str, str]] = [
        {"name": f"s{number}", "url": "http://127.0.0.1:9"} for number in range(1000)
    ]
    listed.append({"name": "core", "url": "http://[::1"})
    with stub(copy, "registry", copy.ports["registry"], **{LIST: [200, listed]}):
        report = examine(copy, "SVC704", "SVC705")
    found = [f.target for f in report.findings]
    assert (found.count("core@http://[::1"), len(found)) == (1, 64)
    assert {r.reason for r in report.results if r.code.startswith("SVC70")} >= {
        "the registry lists 937 more, which were not tried"
    }
