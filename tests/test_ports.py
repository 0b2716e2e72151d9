"""Ports, their holders, and how they are stopped."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest

from saas_doctor import platform as platforms
from saas_doctor import repair, runner
from saas_doctor.actions import Bench, NotApplied
from saas_doctor.actions.processes import StopContainer, StopProcess
from saas_doctor.config import Config, ServiceConfig
from saas_doctor.facts import Facts, addresses, docker, listeners, lookups, ports
from saas_doctor.facts.addresses import Address
from saas_doctor.facts.bindable import Bindable, FreePorts
from saas_doctor.facts.checkouts import origin_of
from saas_doctor.facts.commands import started_service
from saas_doctor.facts.frontend_port import FrontendPort
from saas_doctor.facts.listeners import Listener, Listeners
from saas_doctor.facts.port_places import PortPlaces
from saas_doctor.facts.ports import Ports, State
from saas_doctor.facts.running import Process, process_of
from saas_doctor.model import Absent, Report, Risk, Status, Unreadable
from saas_doctor.platform import Platform
from saas_doctor.processes import MARK, SUPERVISOR
from saas_doctor.repair import Outcome
from saas_doctor.runner import Selection
from tests.faults import Copy
from tests.faults.services import of_age, stub
from tests.testbed.engine import IMAGE, LABEL
from tests.testbed.platforms import SERVICES, get, started
from tests.testbed.ports import free_port, listener, wait_for_port

MakeCopy = Callable[..., Copy]

# Listeners


def test_the_kernels_table_of_sockets_is_read() -> None:
    if sys.byteorder != "little":
        pytest.skip("written down on a little-endian machine")
    lines = [
        "0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1 1",
        "1: 0100007F:1F41 0100007F:9999 01 00000000:00000000 00:00000000 00000000 0 0 2 1",
        "2: 00000000000000000000000001000000:1F42 0:0 0A 0:0 00:0 0 0 0 3 1",
    ]
    assert dict(listeners._parse_sockets(lines)) == {
        ("127.0.0.1", 8000): "root",
        ("::1", 8002): "root",
    }


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1"])
def test_a_listener_is_found_with_its_process(host: str) -> None:
    port = free_port()
    with listener(port, host) as pid:
        found, complete = listeners.listening({port})
    assert complete
    (one,) = found
    assert one.process
    assert (one.address, one.port, one.process.pid) == (host, port, pid)
    assert "http.server" in one.process.shown
    assert one.process.parent
    assert one.process.parent.pid == os.getpid()


def test_macos_shows_a_users_own_sockets_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for macOS: the list of all is refused, each own process can be asked."""

    def refused(kind: str) -> None:  # noqa: ARG001
        raise psutil.AccessDenied

    port = free_port()
    with listener(port) as pid:
        monkeypatch.setattr(psutil, "net_connections", refused)
        found, complete = listeners.listening({port})
    assert not complete
    assert [one.process.pid for one in found if one.process] == [pid]


def test_a_listing_that_fails_is_unknown_and_never_ok(
    make_copy: MakeCopy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(kind: str) -> None:  # noqa: ARG001
        raise OSError("no /proc here")

    monkeypatch.setattr(psutil, "net_connections", fails)
    report = examine(make_copy(), "NET401")
    assert [r.status for r in report.results if r.code == "NET401"] == [Status.UNKNOWN]


# The front end's port

VITE = "export default { server: { %s } }\n"


@pytest.mark.parametrize(
    ("config", "script", "changed"),
    [
        ("port: 5173, strictPort: true", "vite", ("frontend/vite.config.js", "{ port: 15173, strictPort")),
        ("port: 5173", "vite --port 5173", ("frontend/package.json", "vite --port 15173")),
        ("", "vite", ("frontend/package.json", "vite --port 15173")),
        ("", "cross-env A=1 vite --host", ("frontend/package.json", "A=1 vite --port 15173 --host")),
    ],
)  # fmt: skip
def test_the_front_end_moves_with_all_who_let_it_call(
    tmp_path: Path, config: str, script: str, changed: tuple[str, str]
) -> None:
    compose = "services:\n  core:\n    image: x\n    environment: &e\n      CORS: 'http://localhost:5173'\n"
    files = {
        "frontend/vite.config.js": VITE % config,
        "frontend/package.json": f'{{"scripts": {{"dev": "{script}"}}}}\n',
        "backend/.env": "CORS_ORIGINS=http://localhost:5173,http://127.0.0.1:5173\n",
        "backend/core/main.py": "ORIGIN = 'http://localhost:5173'\n",
        "docker-compose.yml": f"{compose}  two:\n    image: x\n    environment: *e\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    platform = platforms.load(tmp_path, exact=True, environ={})
    edits = Facts(platform).get(FrontendPort).moved(5173, 15173)
    after = {edit.name: edit.result.decode() for edit in edits}
    assert changed[1] in after[changed[0]]
    assert not any(re.search(r"(?<!\d)5173", text) for text in after.values())
    assert {*files} - {*after} <= {"frontend/vite.config.js", "frontend/package.json"}
    for edit in edits:
        edit.path.write_bytes(edit.result)
    frontend = platforms.load(tmp_path, exact=True, environ={}).config.frontend
    assert frontend
    assert frontend.origins == ("http://localhost:15173",)


def test_a_front_end_whose_port_nothing_says_is_not_moved(tmp_path: Path) -> None:
    (tmp_path / "saas-doctor.toml").write_text('[frontend]\ndirectory = "web"\n')
    (tmp_path / "main.py").write_text("import fastapi\n")
    (tmp_path / "web").mkdir()
    (tmp_path / "web/package.json").write_text('{"scripts": {"dev": "next dev"}}')
    platform = platforms.load(tmp_path, exact=True, environ={})
    with pytest.raises(Absent, match="can't be told"):
        Facts(platform).get(FrontendPort).moved(5173, 15173)


# Whose a port is


def judged(
    tmp_path: Path,
    found: list[Listener],
    containers: list[docker.Container] | Exception,
    monkeypatch: pytest.MonkeyPatch,
    *,
    host: str = "127.0.0.1",
    connects: bool = True,
) -> ports.Port:
    def asked(environ: dict[str, str]) -> list[docker.Container]:  # noqa: ARG001
        if isinstance(containers, Exception):
            raise containers
        return containers

    monkeypatch.setattr(ports, "running", asked)
    config = Config(services={"core": ServiceConfig(directory="backend/core", port=8002)})
    address = Address("core", host, 8002)
    answers = frozenset({(address.reached_at, 8002)} if connects else ())
    facts = addresses.Addresses({"core": address}), addresses.MoreAddresses()
    platform = Platform(tmp_path, config, environ={})
    return Ports.read(platform, *facts, Listeners(tuple(found), answers)).services["core"]


DENIED = Unreadable("the Docker engine does not answer (permission denied)")
FORWARDER = Process(5, 0.0, "docker-proxy", ("/usr/bin/docker-proxy", "-host-port", "8002"))
OTHER = Process(6, 0.0, "python3", ("python3", "-m", "http.server", "8002"), folder="/")


def container(folder: str = "", project: str = "shop") -> docker.Container:
    return docker.Container("abc", "web-1", "nginx", project, "web", folder, (("0.0.0.0", 8002),))


def test_a_port_nobody_holds_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = judged(tmp_path, [], DENIED, monkeypatch, connects=False)
    assert port.state is State.FREE


def test_a_container_is_named_and_its_forwarder_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = [Listener("0.0.0.0", 8002, FORWARDER), Listener("::", 8002, FORWARDER)]
    port = judged(tmp_path, there, [container("/srv/shop")], monkeypatch)
    assert port.state is State.STRANGER
    assert "web-1" in str(port.holder)
    assert "shop" in str(port.holder)
    assert "docker-proxy" not in str(port.holder)


@pytest.mark.parametrize(
    "there", [[], [Listener("0.0.0.0", 8002, FORWARDER)], [Listener("0.0.0.0", 8002)]]
)
def test_a_container_of_the_platforms_own_project_is_the_platforms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: list[Listener]
) -> None:
    """With a forwarder, with one that this user can't see, and with none at all (iptables)."""
    port = judged(tmp_path, there, [container(str(tmp_path))], monkeypatch)
    assert port.state is State.OWN


@pytest.mark.parametrize(
    ("there", "containers", "state"),
    [
        ([], DENIED, State.UNTOLD),
        ([], [], State.UNTOLD),
        ([Listener("0.0.0.0", 8002, FORWARDER)], DENIED, State.UNTOLD),
        ([Listener("0.0.0.0", 8002, FORWARDER)], [], State.UNTOLD),
        ([Listener("0.0.0.0", 8002, None, "root")], DENIED, State.UNTOLD),
        ([Listener("0.0.0.0", 8002, None, "root")], [], State.STRANGER),
        ([Listener("0.0.0.0", 8002, None, "root")], docker.NoEngine("none"), State.STRANGER),
        ([Listener("127.0.0.1", 8002, None, "anna")], DENIED, State.STRANGER),
        ([Listener("127.0.0.1", 8002, OTHER)], DENIED, State.STRANGER),
    ],
)
def test_what_can_not_be_told_is_never_called_free(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    there: list[Listener],
    containers: Any,
    state: State,
) -> None:
    assert judged(tmp_path, there, containers, monkeypatch).state is state


@pytest.mark.parametrize(
    ("host", "there", "connects", "state"),
    [
        ("127.0.0.1", "::1", False, State.FREE),
        ("127.0.0.1", "::", False, State.FREE),
        ("127.0.0.1", "::", True, State.STRANGER),
        ("127.0.0.1", "127.0.0.2", False, State.FREE),
        ("0.0.0.0", "127.0.0.2", False, State.STRANGER),
        ("::1", "127.0.0.1", False, State.FREE),
    ],
)
def test_a_listener_at_another_address_is_in_the_way_only_where_it_is(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    there: str,
    connects: bool,
    state: State,
) -> None:
    found = [Listener(there, 8002, OTHER)]
    port = judged(tmp_path, found, [], monkeypatch, host=host, connects=connects)
    assert port.state is state


def test_a_worker_whose_supervisor_was_killed_is_still_the_platforms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "backend").mkdir()
    words = ("python", "-B", "-c", "from multiprocessing.spawn import spawn_main; spawn_main()")
    orphan = Process(5, 0.0, "python", words, folder=str(tmp_path / "backend"))
    port = judged(tmp_path, [Listener("127.0.0.1", 8002, orphan)], [], monkeypatch)
    assert port.state is State.OWN


@pytest.mark.parametrize(
    "command",
    [
        "python core/run.py",
        "python -um core.run",
        "python -m pdb core/run.py",
        "python -X dev -m cProfile -o out.prof -m core.run",
        "python -m debugpy --listen 5678 core/run.py",
        "python -m coverage run --source core core/run.py",
        "/usr/bin/python3 .venv/bin/coverage run core/run.py",
        "python -c \"import uvicorn; uvicorn.run('core.main:app')\"",
        "python core/dev.py",
        "python dev_core.py",
        "poetry run python core/run.py",
    ],
)
def test_a_service_is_known_however_it_is_started(tmp_path: Path, command: str) -> None:
    backend = tmp_path / "backend"
    folders = {name: backend / name for name in ("core", "gateway")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    (backend / "core/dev.py").write_text("import uvicorn\nuvicorn.run('main:app')\n")
    (backend / "dev_core.py").write_text("import uvicorn\nuvicorn.run('core.main:app')\n")
    process = Process(7, 0.0, "python", tuple(shlex.split(command)), folder=str(backend))
    assert started_service(process, folders) == "core"


@pytest.mark.parametrize(
    "words",
    [
        ("python", "-"),
        ("python", "-c", "serve()"),
        ("python", "-m", "some_launcher"),
        ("python", "all.py"),
        ("gunicorn: worker [app]",),
    ],
)
@pytest.mark.parametrize(
    ("folder", "program"),
    [("{root}/backend", "/usr/bin/python"), ("/", "{root}/backend/.venv/bin/python")],
)
def test_what_may_be_the_platforms_own_is_never_called_a_stranger(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    folder: str,
    program: str,
) -> None:
    (tmp_path / "backend").mkdir()
    both = "import uvicorn\nuvicorn.run(choose('core.main:app', 'gateway.main:app'))\n"
    (tmp_path / "backend/all.py").write_text(both)
    where = folder.format(root=tmp_path)
    process = Process(7, 0.0, "python", words, folder=where, program=program.format(root=tmp_path))
    port = judged(tmp_path, [Listener("127.0.0.1", 8002, process)], [], monkeypatch)
    assert port.state is State.UNTOLD
    assert "kill 7" in port.reason
    assert str(tmp_path) in port.reason


def test_what_may_be_a_service_is_told_and_nothing_is_planned(make_copy: MakeCopy) -> None:
    copy = make_copy()
    code = "import http.server as h, sys; h.test(h.SimpleHTTPRequestHandler, port=int(sys.argv[1]))"
    process = subprocess.Popen(
        [copy.python, "-", str(copy.ports["core"])],
        cwd=copy.path("backend/core"),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin
    process.stdin.write(code.encode())
    process.stdin.close()
    try:
        wait_for_port(copy.ports["core"])
        (result,) = [r for r in examine(copy, "NET401").results if r.code == "NET401"]
        assert result.status == "unknown"
        assert f"works in {copy.path('backend/core')}" in (result.reason or "")
        assert mend(copy, Risk.DESTRUCTIVE, "NET401").done == []
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def test_a_service_at_the_port_of_its_own_environment_is_said_to_run_there(
    make_copy: MakeCopy,
) -> None:
    copy, port = make_copy(), free_port()
    environ = {**copy.environ, "CORE_PORT": str(port)}
    process = subprocess.Popen(
        [copy.python, "run.py"],
        cwd=copy.path("backend/core"),
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_port(port, limit=30)
        found = {f.target: f for f in examine(copy, "SVC701").findings}
        assert f"core runs at 127.0.0.1:{port} and not at" in found["core"].message
        assert f"CORE_PORT={port} in its environment" in found["core"].message
        assert f"kill {process.pid}" in found["core"].next_step
        assert "is not running" in found["gateway"].message
    finally:
        process.kill()
        process.wait()


def test_a_stranger_on_localhosts_other_address_is_a_warning_where_settings_lead_there(
    make_copy: MakeCopy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookups, "resolve", lambda _: ("::1", "127.0.0.1"))
    copy = make_copy()
    port = copy.ports["registry"]
    copy.environ["REGISTRY_URL"] = f"http://localhost:{port}"
    with listener(port, "::1"):
        report = examine(copy, "NET408")
    assert [(f.target, f.severity) for f in report.findings] == [(f"localhost:{port}", "warning")]


def test_two_services_with_one_port_are_told_and_nothing_is_stopped(make_copy: MakeCopy) -> None:
    copy = make_copy()
    copy.environ["CORE_PORT"] = str(copy.ports["registry"])
    with stub(copy, "registry", copy.ports["registry"]) as process:
        fixed = mend(copy, Risk.DESTRUCTIVE, "NET401", "NET404")
        assert process.poll() is None, [(d.step.action.title, d.step.findings) for d in fixed.done]
    ((finding, reason),) = fixed.waiting
    assert finding.message == f"registry and core are both set to port {copy.ports['registry']}"
    assert reason == "CORE_PORT is set in this shell; change it there"


def test_checkouts_of_one_repository_are_told_by_its_files(tmp_path: Path) -> None:
    one, clone, tree, other = (tmp_path / name for name in ("one", "clone", "tree", "other"))
    for folder, url in ((one, "git@host:shop.git"), (clone, "git@host:shop.git"), (other, "")):
        (folder / ".git").mkdir(parents=True)
        remote = f'[remote "origin"]\n\tfetch = +refs\n\turl = {url}\n' if url else ""
        (folder / ".git/config").write_text(f"[core]\n\tbare = false\n{remote}")
    (one / ".git/worktrees/tree").mkdir(parents=True)
    (one / ".git/worktrees/tree/commondir").write_text("../..\n")
    tree.mkdir()
    (tree / ".git").write_text(f"gitdir: {one}/.git/worktrees/tree\n")
    assert origin_of(one) == origin_of(clone) == origin_of(tree) == "git@host:shop.git"
    assert origin_of(other) == str(other / ".git")
    assert origin_of(tmp_path) == ""


def test_a_container_of_another_checkout_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (".", "old"):
        (tmp_path / name / ".git").mkdir(parents=True)
        (tmp_path / name / ".git/config").write_text('[remote "origin"]\n\turl = a@b:c\n')
    old = str(tmp_path / "old")
    port = judged(tmp_path, [], [container(old)], monkeypatch)
    assert port.state is State.STRANGER
    assert port.holder
    assert port.holder.checkout == old


# Stopping


def examine(copy: Copy, *select: str) -> Report:
    return runner.run(load(copy), Selection(select), timeout=20)


def load(copy: Copy) -> Platform:
    return platforms.load(copy.root, exact=True, environ=copy.environ)


def mend(copy: Copy, allow: Risk, *select: str) -> repair.Repair:
    return repair.repair(load(copy), Selection(select), lambda p: p, allow=allow, timeout=20)


@pytest.mark.parametrize("service", ["core", "registry", "gateway"])
def test_a_stranger_stays_and_the_service_moves_and_starts_there(
    service: str, make_copy: MakeCopy
) -> None:
    copy = make_copy()
    old = copy.ports[service]
    with listener(old) as pid:
        fixed = mend(copy, Risk.CHANGES, "NET401")
        assert psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        assert {d.outcome for d in fixed.done} == {Outcome.VERIFIED}
        assert all(d.step.action.risk is Risk.SAFE for d in fixed.done)
        key = f"{service.upper()}_PORT="
        new = int((copy.root / "backend/.env").read_text().partition(key)[2].split()[0])
        assert new != old
        with started(copy.root, {service: new}, copy.environ, service):
            assert get(f"http://127.0.0.1:{new}/")
            report = examine(copy, "NET401")
        assert report.findings == []
    for name in ("backend/.env", "frontend/vite.config.js"):
        assert f":{old}" not in (copy.root / name).read_text()


def test_a_stranger_is_not_touched_where_the_service_can_not_be_moved(
    make_copy: MakeCopy,
) -> None:
    copy = make_copy()
    copy.environ["CORE_PORT"] = str(copy.ports["core"])
    with listener(copy.ports["core"]) as pid:
        fixed = mend(copy, Risk.CHANGES, "NET401")
        assert psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        assert fixed.done == []
        ((finding, reason),) = fixed.waiting
    assert f"pid {pid}" in reason
    assert "--allow-destructive" in reason
    assert "CORE_PORT is set in this shell" in reason
    assert f"kill {pid}" in finding.next_step


def test_another_checkouts_service_is_never_stopped_and_its_folder_is_told(
    make_copy: MakeCopy,
) -> None:
    one, other = make_copy(own=False), make_copy(own=False)
    with stub(other, "core", one.ports["core"]) as process:
        finding = examine(one, "NET401").findings[0]
        assert f"of another checkout, {other.root}" in finding.message
        assert finding.fix
        assert (finding.fix.title, finding.fix.risk) == (
            "Move the service to a free port",
            Risk.SAFE,
        )
        mend(one, Risk.CHANGES)
        assert process.poll() is None


def test_a_strangers_process_is_stopped_with_the_flag_and_undo_tells_how_to_start_it(
    make_copy: MakeCopy,
) -> None:
    copy = make_copy()
    with listener(copy.ports["core"]) as pid:
        fixed = mend(copy, Risk.DESTRUCTIVE, "NET401")
        assert [d.outcome for d in fixed.done] == [Outcome.VERIFIED]
        assert psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        undone = repair.undo(load(copy))
    assert undone.refused == []
    assert f"http.server {copy.ports['core']}" in undone.notes[0]


def test_a_process_that_is_started_again_is_not_said_to_be_stopped(make_copy: MakeCopy) -> None:
    copy = make_copy()
    port = copy.ports["core"]
    loop = f"while :; do {shlex.quote(sys.executable)} -m http.server {port}; sleep 1; done"
    with subprocess.Popen(["sh", "-c", loop], stderr=subprocess.DEVNULL) as shell:
        try:
            wait_for_port(port)
            (done,) = mend(copy, Risk.DESTRUCTIVE, "NET401").done
        finally:
            server = psutil.Process(shell.pid).children()
            shell.kill()
            for process in server:
                process.kill()
    assert done.outcome is Outcome.FAILED
    assert f"is started again, by sh (pid {shell.pid})" in done.reason
    assert "can't be brought back" not in done.reason


def test_what_another_local_stack_keeps_running_is_not_stopped_and_its_end_is_told(
    make_copy: MakeCopy, tmp_path: Path
) -> None:
    copy = make_copy()
    place = tmp_path / "other/.saas-doctor/local/core.json"
    other = {**os.environ, MARK: str(place)}
    with listener(copy.ports["core"], environ=other) as pid:
        (finding,) = examine(copy, "NET401").findings
        copy.environ["CORE_PORT"] = str(copy.ports["core"])  # it can't be moved
        fixed = mend(copy, Risk.DESTRUCTIVE, "NET401")
        assert psutil.Process(pid).is_running()
    down = f"saas-doctor down --local -C {tmp_path / 'other'}"
    assert finding.next_step.endswith(down)
    assert fixed.done == []
    assert f"would start it again; end that: {down}" in fixed.waiting[0][1]


@pytest.mark.parametrize("how", ["environment", "supervisor"])
def test_the_own_local_stacks_database_is_no_stranger(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What writes its own title writes over its environment: its supervisor's command tells."""
    place = str(tmp_path / ".saas-doctor/local/my%20db.json")
    code = "import time; print('up', flush=True); time.sleep(60)"
    words = [sys.executable, "-c", code, *([SUPERVISOR, place] if how == "supervisor" else [])]
    environ = {**os.environ, **({MARK: place} if how == "environment" else {})}
    with subprocess.Popen(words, env=environ, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"up\n"
            found = [Listener("127.0.0.1", 8002, process_of(process.pid))]
        finally:
            process.kill()
    port = judged(tmp_path, found, [], monkeypatch)
    assert port.state is State.OWN
    assert port.holder
    assert (port.holder.service, port.holder.stack) == ("my db", str(tmp_path))


def test_a_process_that_answers_again_by_now_is_left_alone(make_copy: MakeCopy) -> None:
    copy = make_copy()
    with of_age(), stub(copy, "core", copy.ports["core"]) as process:
        os.kill(process.pid, signal.SIGSTOP)
        platform = load(copy)

        def wake(plan: Any) -> Any:
            os.kill(process.pid, signal.SIGCONT)
            return plan

        fixed = repair.repair(platform, Selection(("NET401",)), wake, timeout=20)
        assert [d.outcome for d in fixed.done] == [Outcome.NOT_APPLIED]
        assert process.poll() is None


def test_a_silent_service_at_a_terminal_is_not_stopped_without_being_named(
    make_copy: MakeCopy,
) -> None:
    copy = make_copy()
    ours, theirs = os.openpty()
    with of_age(), stub(copy, "core", copy.ports["core"], stdin=theirs) as process:
        os.kill(process.pid, signal.SIGSTOP)
        fixed = mend(copy, Risk.CHANGES, "NET401")
        assert fixed.done == []
        (finding,) = fixed.report.findings
        assert f"its input is the terminal {os.ttyname(theirs)}" in finding.message
        assert process.poll() is None
        fixed = mend(copy, Risk.DESTRUCTIVE, "NET401")
        assert [d.outcome for d in fixed.done] == [Outcome.VERIFIED]
    os.close(ours)
    os.close(theirs)


def test_a_silent_service_whose_terminal_was_closed_is_stopped(make_copy: MakeCopy) -> None:
    copy = make_copy()
    ours, theirs = os.openpty()
    with of_age(), stub(copy, "core", copy.ports["core"], stdin=theirs) as process:
        os.kill(process.pid, signal.SIGSTOP)
        os.close(theirs)
        os.close(ours)
        fixed = mend(copy, Risk.CHANGES, "NET401")
        assert [d.outcome for d in fixed.done] == [Outcome.VERIFIED]


AT_A_BREAKPOINT = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        breakpoint()

HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.mark.skipif("readline" in sys.builtin_module_names, reason="nothing tells it from outside")
def test_a_service_at_a_breakpoint_is_left_to_who_debugs_it(make_copy: MakeCopy) -> None:
    copy = make_copy()
    folder, port = copy.path(SERVICES["core"]), copy.ports["core"]
    (folder / "serve.py").write_text(AT_A_BREAKPOINT)
    words = [sys.executable, "serve.py", str(port)]
    with (
        of_age(),
        subprocess.Popen(
            words, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, start_new_session=True,
        ) as process,
    ):  # fmt: skip
        try:
            wait_for_port(port)
            fixed = mend(copy, Risk.DESTRUCTIVE, "NET401")  # whose own question leads it there
            assert [d.outcome for d in fixed.done] == [Outcome.NOT_APPLIED]
            fixed = mend(copy, Risk.DESTRUCTIVE, "NET401")
            assert fixed.done == []
            (finding,) = fixed.report.findings
            assert "it runs under a debugger" in finding.message
            assert process.poll() is None
        finally:
            process.kill()


PARENT = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", sys.argv[1]])
time.sleep(60)
"""
CHILD = "import os, signal, time\n{}\nprint(os.getpid(), flush=True)\ntime.sleep(60)"
STUBBORN = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"


@contextmanager
def parent_and_child(code: str) -> Iterator[tuple[psutil.Process, psutil.Process]]:
    words = [sys.executable, "-c", PARENT, CHILD.format(code)]
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    child = psutil.Process(int(process.stdout.readline()))
    try:
        yield psutil.Process(process.pid), child
    finally:
        process.kill()
        process.wait()
        if child.is_running():
            child.kill()


def bench(tmp_path: Path) -> Bench:
    platform = Platform(tmp_path, Config(), environ={})
    return Bench(platform, Facts(platform), tmp_path)


def test_a_whole_tree_ends_also_a_child_that_does_not_listen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saas_doctor.actions.processes.PATIENCE", 0.5)
    with parent_and_child(STUBBORN) as (parent, child):
        action = StopProcess(parent.pid, parent.create_time(), "parent", "python parent.py")
        action.apply(bench(tmp_path), action.before(bench(tmp_path)))
        assert action.verify(bench(tmp_path))
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_process_with_the_same_number_and_another_birth_is_not_touched(tmp_path: Path) -> None:
    with parent_and_child("pass") as (parent, _):
        action = StopProcess(parent.pid, parent.create_time() - 100, "parent", "")
        with pytest.raises(NotApplied, match="has ended by now"):
            action.before(bench(tmp_path))
        action.apply(bench(tmp_path), {})
        assert parent.is_running()


def test_a_service_that_answers_slowly_is_not_stopped_for_being_silent(tmp_path: Path) -> None:
    class Slow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(4)  # longer than a look waits
            self.send_response(200)
            self.end_headers()

    with (
        ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server,
        parent_and_child("pass") as (parent, _),
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/health"
        action = StopProcess(parent.pid, parent.create_time(), "core", "", Risk.CHANGES, url)
        try:
            with pytest.raises(NotApplied, match="answers at"):
                action.before(bench(tmp_path))
        finally:
            server.shutdown()
        assert parent.is_running()


def test_the_doctor_does_not_stop_what_it_runs_in(tmp_path: Path) -> None:
    above = psutil.Process(os.getppid())
    with pytest.raises(NotApplied, match="the doctor itself runs inside"):
        StopProcess(above.pid, above.create_time(), "shell", "").before(bench(tmp_path))


def test_undo_of_a_stop_that_never_came_is_silent(tmp_path: Path) -> None:
    with parent_and_child("pass") as (parent, _):
        action = StopProcess(parent.pid, parent.create_time(), "parent", "restart me")
        before = action.before(bench(tmp_path))
        assert StopProcess.undo(bench(tmp_path), before, None) is None
        parent.kill()
        parent.wait()
        for _ in range(2):
            assert "restart me" in str(StopProcess.undo(bench(tmp_path), before, None))


# Moving


def places(root: Path, **files: str) -> PortPlaces:
    """The places of a platform whose core service is in `backend/core`, at 8002."""
    config = Config(
        services={"core": ServiceConfig(directory="backend/core", port=8002)},
        compose_file="compose.yml" if "compose" in files else None,
    )
    names = {"compose": "compose.yml", "run": "backend/core/run.py", "env": "backend/.env"}
    for key, text in files.items():
        path = root / names.get(key, key.replace("__", "/"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return Facts(Platform(root, config, environ={})).get(PortPlaces)


def moved(root: Path, variable: str = "", **files: str) -> dict[str, str]:
    """Each file with what changes, when core moves from 8002 to 18002."""
    edits = places(root, **files).moved(Address("core", "127.0.0.1", 8002, variable), 18002)
    return {edit.name: edit.result.decode() for edit in edits}


RUN = "import uvicorn\n\nuvicorn.run('main:app', port=8002)\n"


def test_a_number_in_code_moves_alone(tmp_path: Path) -> None:
    assert moved(tmp_path, run=RUN + "# not 80021\n") == {
        "backend/core/run.py": RUN.replace("8002", "18002") + "# not 80021\n"
    }


@pytest.mark.parametrize(
    ("published", "wanted"),
    [
        ('["8002:8002"]', '["18002:8002"]'),
        ("['127.0.0.1:8002:80/tcp']", "['127.0.0.1:18002:80/tcp']"),
        ("[{target: 8002, published: 8002}]", "[{target: 8002, published: 18002}]"),
        ('[{target: 8002, published: "8002"}]', '[{target: 8002, published: "18002"}]'),
        ('["${WEB:-8002}:8002"]', '["${WEB:-18002}:8002"]'),
        ('["80:8002"]', ""),
        ('["8002"]', ""),
    ],
)
def test_compose_publishes_another_port_and_the_containers_own_stays(
    published: str, wanted: str, tmp_path: Path
) -> None:
    compose = f"services:\n  core:\n    image: core\n    ports: {published}\n"
    files = moved(tmp_path, "CORE_PORT", env="CORE_PORT=8002\n", run="", compose=compose)
    assert files.pop("backend/.env") == "CORE_PORT=18002\n"
    assert files == ({"compose.yml": compose.replace(published, wanted)} if wanted else {})


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"run": "import os\n"}, "where core gets its port from can't be told"),
        ({"run": RUN + "PORT = 8002\n"}, "stands in several places"),
        (
            {"run": RUN, "compose": "services: {core: {build: ., ports: ['8002:8002']}}\n"},
            "is its container's as well",
        ),
    ],
)
def test_what_can_not_be_moved_as_a_whole_is_not_moved_in_parts(
    files: dict[str, str], why: str, tmp_path: Path
) -> None:
    with pytest.raises(Absent, match=why):
        moved(tmp_path, **files)


def test_a_variable_that_containers_get_as_well_is_not_moved(tmp_path: Path) -> None:
    compose = "services: {core: {image: core, env_file: backend/.env, ports: ['8002:8002']}}\n"
    with pytest.raises(Absent, match="sets the port in the container as well"):
        moved(tmp_path, "CORE_PORT", env="CORE_PORT=8002\n", run="", compose=compose)


def test_a_line_that_an_open_quote_has_taken_along_is_not_written_twice(tmp_path: Path) -> None:
    env = 'KEY="open\nCORE_PORT=8002\nEND="\n'
    with pytest.raises(Absent, match="stands inside of another value"):
        moved(tmp_path, "CORE_PORT", env=env, run="")


def test_addresses_of_other_machines_and_defaults_that_are_set_stay(tmp_path: Path) -> None:
    code = (
        'import os\n\nURL = os.getenv("CORE_URL", "http://localhost:8002")\nA = "http://far:8002"\n'
    )
    env = "CORE_PORT=8002\nCORE_URL=http://localhost:8002\nFAR=http://far:8002\nB=localhost:80021\n"
    files = moved(tmp_path, "CORE_PORT", env=env, run="", backend__calls=code)
    changed = env.replace("CORE_PORT=8002", "CORE_PORT=18002").replace(
        "CORE_URL=http://localhost:8002", "CORE_URL=http://localhost:18002"
    )
    assert files == {"backend/.env": changed}


def test_a_free_port_is_none_that_is_used_named_or_handed_out(tmp_path: Path) -> None:
    compose = "services: {x: {image: x, ports: ['18002:1']}}\n"
    platform = places(tmp_path, run=RUN, compose=compose).platform
    facts = Facts(platform, Bindable(1024, 32768))
    free = facts.get(FreePorts)
    assert free.like(8002) == 28002
    with listener(28002):
        assert Facts(platform, Bindable(1024, 32768)).get(FreePorts).like(8002) == 8102
    assert Facts(platform, Bindable(1024, 20000)).get(FreePorts).like(8002) == 8102


# Docker, on a real engine


@contextmanager
def published(host: str, port: int, **labels: str) -> Iterator[Any]:
    import docker as sdk

    client = sdk.DockerClient(base_url=host)
    made = client.containers.run(
        IMAGE,
        ["httpd", "-f", "-p", "80"],
        detach=True,
        ports={"80/tcp": ("127.0.0.1", port)},
        labels={LABEL: "1", **labels},
    )
    try:
        wait_for_port(port)
        yield made
    finally:
        made.remove(force=True)
        client.close()


@pytest.mark.xdist_group("docker")
def test_a_foreign_container_is_named_stopped_with_the_flag_and_started_by_undo(
    docker_engine: str, make_copy: MakeCopy
) -> None:
    copy = make_copy()
    copy.environ["DOCKER_HOST"] = docker_engine
    copy.environ["CORE_PORT"] = str(copy.ports["core"])  # so that it can't be moved
    labels = {docker.PROJECT: "shop", docker.WORKING_DIR: "/srv/shop"}
    with published(docker_engine, copy.ports["core"], **labels) as made:
        waits = mend(copy, Risk.CHANGES, "NET401")
        assert waits.done == []
        assert f"container {made.name} of compose project shop" in waits.waiting[0][0].message
        assert "docker-proxy" not in str(waits.waiting[0][0])

        fixed = mend(copy, Risk.DESTRUCTIVE, "NET401")
        assert [d.outcome for d in fixed.done] == [Outcome.VERIFIED]
        made.reload()
        assert made.status == "exited"

        assert repair.undo(load(copy)).refused == []
        made.reload()
        assert made.status == "running"


@pytest.mark.xdist_group("docker")
def test_a_container_of_the_own_project_runs_the_service(
    docker_engine: str, make_copy: MakeCopy
) -> None:
    copy = make_copy()
    copy.environ["DOCKER_HOST"] = docker_engine
    labels = {docker.PROJECT: "own", docker.WORKING_DIR: str(copy.root)}
    with published(docker_engine, copy.ports["core"], **labels):
        report = examine(copy)
    found = {(f.code, f.target) for f in report.findings}
    assert ("SVC701", "core") not in found
    assert "NET401" not in {code for code, _ in found}


@pytest.mark.xdist_group("docker")
def test_a_container_that_goes_with_its_stop_is_left_alone(
    docker_engine: str, tmp_path: Path
) -> None:
    import docker as sdk

    client = sdk.DockerClient(base_url=docker_engine)
    made = client.containers.run(
        IMAGE, ["sleep", "60"], detach=True, auto_remove=True, labels={LABEL: "1"}
    )
    platform = Platform(tmp_path, Config(), environ={"DOCKER_HOST": docker_engine})
    with pytest.raises(NotApplied, match="removed for good"):
        StopContainer(str(made.id), "container x").before(
            Bench(platform, Facts(platform), tmp_path)
        )
    made.remove(force=True)
    client.close()
