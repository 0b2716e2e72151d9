"""The Docker engine and the platform's containers: when they are told of, and when they are left alone."""

from __future__ import annotations

import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from saas_doctor import platform as platforms
from saas_doctor import runner
from saas_doctor.facts import Facts, docker, docker_engine, docker_socket
from saas_doctor.facts.dockerfile import parse
from saas_doctor.model import Report, Severity, Status
from saas_doctor.runner import Selection
from saas_doctor.stack import bootstrap
from tests.faults import Copy
from tests.testbed import sockets
from tests.testbed.own_containers import own_container, state
from tests.testbed.ports import free_port, listener
from tests.trees import MakeTree

COMPOSE = (
    "services:\n  db:\n    image: postgres:16\n    ports: ['127.0.0.1:{port}:5432']\n"
    "  core:\n    image: saas-doctor-test/busybox:1\n    ports: ['127.0.0.1:{other}:80']\n"
)


@pytest.fixture
def root(tree: MakeTree) -> Path:
    """A platform whose database's address is that of a container of the Compose file."""
    port = free_port()
    return tree(
        {
            "/docker-compose.yml": COMPOSE.format(port=port, other=free_port()),
            ".env": f"DATABASE_URL=postgresql://u:p@localhost:{port}/d\n",
        }
    ).root


def examine(root: Path, environ: dict[str, str], select: str = "DOCK62") -> Report:
    platform = platforms.load(root, exact=True, environ=environ)
    return runner.run(platform, Selection(select=(select,)), timeout=30)


def found(report: Report, code: str) -> list[tuple[Severity | None, str]]:
    return [(f.severity, f.message) for f in report.findings if f.code == code]


def only_at(monkeypatch: pytest.MonkeyPatch, *paths: Path) -> None:
    """The engines of this machine are those alone."""
    for module in (docker, docker_socket):
        monkeypatch.setattr(module, "sockets", lambda _: list(paths))


def test_an_engine_that_stands_still_is_told_of_where_the_database_is_a_container(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sockets.left_behind() as path:
        only_at(monkeypatch, path)
        report = examine(root, {"PATH": "/nonexistent"})
    (finding,) = report.findings
    assert finding.code == "DOCK620"
    assert finding.message == "the Docker engine does not run: connection refused"
    assert "DATABASE_URL names db of the Compose file" in finding.wanted
    assert "up --local" in finding.next_step


def test_docker_that_is_not_installed_is_only_told_by_the_way(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_at(monkeypatch)
    report = examine(root, {"PATH": "/nonexistent"})
    ((severity, message),) = found(report, "DOCK620")
    assert (severity, message) == (
        Severity.INFO,
        "Docker is not installed: no such socket",
    )


def test_one_who_may_not_talk_to_it_is_told_which_group(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sockets.closed() as path:
        only_at(monkeypatch, path)
        report = examine(root, {})
    (finding,) = report.findings
    assert (finding.code, finding.severity) == ("DOCK621", Severity.ERROR)
    assert "usermod -aG docker" in finding.next_step


def test_nothing_is_said_of_an_engine_that_nobody_waits_for(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "backend/.env").write_text("DATABASE_URL=postgresql://u:p@localhost:9/d\n")
    with sockets.left_behind() as path:
        only_at(monkeypatch, path)
        report = examine(root, {})
    assert report.findings == []
    result = next(r for r in report.results if r.code == "DOCK620")
    assert result.status is Status.SKIPPED
    assert "nothing of the platform waits" in (result.reason or "")


def test_without_an_engine_dockers_client_is_not_loaded(root: Path) -> None:
    (root / "backend/.env").write_text("DATABASE_URL=sqlite:///x\n")
    program = (
        "import sys\nfrom saas_doctor import platform, runner\n"
        f"p = platform.load(__import__('pathlib').Path({str(root)!r}), exact=True, environ={{}})\n"
        "from saas_doctor.facts import docker_socket, docker\n"
        "docker.sockets = docker_socket.sockets = lambda _: []\n"
        "runner.run(p, runner.Selection(select=('DOCK',)))\n"
        "assert 'docker' not in sys.modules and 'requests' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.xdist_group("docker")
def test_an_ended_container_is_left_alone_while_something_else_serves_its_port(
    root: Path, docker_engine: str
) -> None:
    port = free_port()
    (root / "docker-compose.yml").write_text(COMPOSE.format(port=9, other=port))
    copy = _copy(root, docker_engine)
    with own_container(copy, "core", "exit 3", state("exited")):
        assert found(examine(root, copy.environ), "DOCK624")
        with listener(port):
            assert not found(examine(root, copy.environ), "DOCK624")


@pytest.mark.xdist_group("docker")
def test_what_the_stack_starts_is_not_wrong_before_it_is_started(
    root: Path, docker_engine: str
) -> None:
    copy = _copy(root, docker_engine)
    with own_container(copy, "core", "exit 3", state("exited")):
        platform = platforms.load(root, exact=True, environ=copy.environ)
        assert found(examine(root, copy.environ), "DOCK624")
        codes = {f.code for f in bootstrap.examine(platform, "docker", Facts(platform))}
    assert codes == set()


def _copy(root: Path, host: str) -> Copy:
    return Copy(root, {"DOCKER_HOST": host}, {}, None, "", "", "", "")  # type: ignore[arg-type]


def test_the_engine_of_the_chosen_context_is_found_as_the_command_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "colima"
    store = tmp_path / ".docker/contexts/meta" / sha256(name.encode()).hexdigest()
    store.mkdir(parents=True)
    with sockets.answering({"/version": {"Version": "28.0", "ApiVersion": "1.48"}}) as path:
        host = {"docker": {"Host": f"unix://{path}"}}
        (store / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": host}))
        environ = {"HOME": str(tmp_path), "DOCKER_CONTEXT": name}
        assert path in docker_socket.sockets(environ)
        del environ["DOCKER_CONTEXT"]
        assert path not in docker_socket.sockets(environ)
        (tmp_path / ".docker/config.json").write_text(json.dumps({"currentContext": name}))
        only = docker_socket.sockets(environ)[-1:]
        only_at(monkeypatch, *only)
        assert docker_engine.answer(environ, "/version")["Version"] == "28.0"


def test_where_a_dockerfile_puts_what_it_copies() -> None:
    text = (
        "ARG A=one\nFROM x AS base\nCOPY lost lost\nWORKDIR /app\nARG A\nENV D=/srv/${A}\n"
        "COPY a b\nCOPY c d/ \nFROM base\nWORKDIR inner\nCOPY e f ./\nADD g $D\nCOPY h ${NO}\n"
    )
    found = {s.text: s.into for s in parse(text.encode()).sources({})}
    assert found == {
        "lost": "", "a": "/app/b", "c": "/app/d/", "e": "/app/inner/", "f": "/app/inner/",
        "g": "/srv/one", "h": "",
    }  # fmt: skip
