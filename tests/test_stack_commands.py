"""The commands about the stack, as a user calls them: what they print, ask, and end with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import psutil
import pytest

from saas_doctor.cli.stack_screen import folded
from tests.testbed import platforms
from tests.testbed.ports import free_port
from tests.testbed.stack import LISTENS, Stack, checked, service, stack, until

pytestmark = pytest.mark.xdist_group("docker")
DOCTOR = [sys.executable, "-m", "saas_doctor"]


@pytest.fixture
def made(docker_engine: str, tmp_path: Path) -> Iterator[Stack]:
    with stack(docker_engine, tmp_path) as found:
        yield found


def doctor(made: Stack, *words: str, code: int = 0) -> tuple[str, str]:
    """What a command writes to its two outputs."""
    done = subprocess.run(
        [*DOCTOR, *words],
        cwd=made.folder,
        env=made.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


def test_from_up_to_down(made: Stack) -> None:
    port = free_port()
    made.write(
        {
            "web": service(
                "sh", "-c", "echo \"ModuleNotFoundError: No module named 'shared'\"; echo password=hunter2; httpd -f -p 80",
                ports=[f"127.0.0.1:{port}:80"],
            ),
            "db": service(healthcheck=checked(), volumes=["data:/data"]),
        },
        volumes={"data": {}},
    )  # fmt: skip
    plan, _ = doctor(made, "up", "--dry-run")
    assert f"create    volume   {made.name}_data" in plan
    assert made.containers() == {}

    shown, told = doctor(made, "up", "--docker")
    assert "db   healthy" in told
    assert "\x1b" not in shown + told
    assert "2 running" in shown.splitlines()[0]
    assert shown.splitlines()[1] == f"  web  127.0.0.1:{port}"

    table, _ = doctor(made, "ps")
    assert "running, healthy" in table
    document = json.loads(doctor(made, "ps", "--format", "json")[0])
    assert (document["schema"], document["backend"]) == (1, "docker")
    assert {m["service"]: m["state"] for m in document["members"]} == dict.fromkeys(
        ("db", "web"), "running"
    )
    (web,) = [m for m in document["members"] if m["service"] == "web"]
    assert web["memory"] > 0

    only = doctor(made, "ps", "web")[0].splitlines()
    assert [row.split()[0] for row in only] == ["SERVICE", "web"]
    assert "no service wep; there are db, web" in doctor(made, "ps", "wep", code=2)[1]

    lines, _ = doctor(made, "logs", "web")
    assert "web | password=***" in lines
    assert "<- PKG301: saas-doctor explain PKG301" in lines

    assert "2 running" in doctor(made, "restart")[0]
    _, refused = doctor(made, "down", "--volumes", code=2)
    assert f"{made.name}_data" in refused
    assert "--allow-destructive" in refused
    assert len(made.containers()) == 2
    done, _ = doctor(made, "down", "--volumes", "--allow-destructive")
    assert done == "Down (docker): 2 containers, 1 network, 1 volume\n"
    assert "Nothing of it is there" in doctor(made, "ps")[1]


def test_what_does_not_come_up_ends_with_1_and_the_reason(made: Stack) -> None:
    made.write({"app": service("sh", "-c", "echo no luck; exit 3")})
    shown, _ = doctor(made, "up", code=1)
    assert shown.splitlines()[0] == "failed: app ended with code 3"
    assert "    no luck" in shown.splitlines()
    assert "next: mend what its log says (saas-doctor logs app)" in shown
    assert "there is no service nope" in doctor(made, "up", "nope", code=2)[1]


def test_wrong_use_ends_with_2(made: Stack) -> None:
    path = made.write({"app": service()})
    assert "exclude each other" in doctor(made, "up", "--local", "--docker", code=2)[1]
    path.write_text("services: {app: {image: x, comand: y}}\n")
    assert "did you mean `command`?" in doctor(made, "up", code=1)[0]
    assert "did you mean `command`?" in doctor(made, "up", "--no-check", code=2)[1]
    # What is there can be told, and taken down, with a mistake in the file as well.
    assert "Nothing of it is there" in doctor(made, "ps")[1]
    path.write_text("services: {app: {image: x}}\n")
    nowhere = Stack("unix:///nonexistent/docker.sock", made.folder, made.name)
    assert "no such socket" in doctor(nowhere, "up", "--docker", code=2)[1]


def interrupted(made: Stack, *words: str, when: Callable[[], object]) -> str:
    """What a command says that is interrupted as by Ctrl-C once something holds."""
    process = subprocess.Popen(
        [*DOCTOR, *words], cwd=made.folder, env=made.environ, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    until(when, 30)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    told, _ = process.communicate(timeout=20)
    assert process.returncode == 130, told
    assert "Traceback" not in told
    return told


def test_ctrl_c_ends_it_at_once_with_130(made: Stack) -> None:
    made.write({"app": service(healthcheck=checked("exit 1", retries=1000))})
    told = interrupted(made, "up", when=made.containers)
    assert "interrupted; what was started stays" in told
    assert made.containers()
    made.down()
    interrupted(made, "up", "--rollback", when=made.containers)
    assert made.containers() == {}


def test_ctrl_c_ends_a_build_by_dockers_own_command_too(
    made: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")  # where Debian's docker.io has it
    run = "RUN --mount=type=cache,target=/c sleep 60"
    (made.folder / "Dockerfile").write_text(f"FROM {service()['image']}\n{run}\n")
    made.write({"app": {"build": "."}})

    def builds() -> bool:
        commands = (p.info["cmdline"] or [] for p in psutil.process_iter(["cmdline"]))
        return any(
            words[:2] == ["docker", "build"] and str(made.folder) in words for words in commands
        )

    interrupted(made, "build", when=builds)
    until(lambda: not builds(), 5)


def test_a_request_that_was_made_often_is_one_line() -> None:
    request = 'INFO:     127.0.0.1:{} - "GET / HTTP/1.1" 200 OK'
    lines = [request.format(5001), "ERROR: x", request.format(5002), "ERROR: x"]
    once = request.replace(":{}", "") + " (2 times)"
    assert list(folded(lines)) == [once, "ERROR: x", "ERROR: x"]


def test_on_a_terminal_it_asks_before_data_is_lost(made: Stack) -> None:
    made.write({"db": service(volumes=["data:/data"])}, volumes={"data": {}})
    made.up()
    environ = {**made.environ, "TERM": "xterm", "COLUMNS": "120"}
    environ.pop("NO_COLOR", None)
    terminal = pexpect.spawn(
        DOCTOR[0], [*DOCTOR[1:], "down", "-v"], cwd=str(made.folder), env=environ, timeout=40, encoding="utf-8"
    )  # fmt: skip
    terminal.expect("Remove it for ever")
    terminal.sendline("n")
    terminal.expect("nothing was removed")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 1
    assert len(made.containers()) == 1


def test_logs_are_followed_until_ctrl_c(made: Stack) -> None:
    made.write(
        {
            "app": service(*LISTENS),
            "ticks": service("sh", "-c", "while :; do echo tick; sleep 0.2; done"),
        }
    )
    made.up()
    process = subprocess.Popen(
        [*DOCTOR, "logs", "-f", "--tail", "1"], cwd=made.folder, env=made.environ,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout
    assert [process.stdout.readline() for _ in range(3)] == ["ticks | tick\n"] * 3
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130


def test_build_builds_what_is_named_and_refuses_what_is_not_built(made: Stack) -> None:
    image = service()["image"]
    (made.folder / "Dockerfile").write_text(f"FROM {image}\nRUN echo hi\n")
    made.write({"app": {"build": ".", "command": "sleep 9"}, "db": service()})
    shown, told = doctor(made, "build")
    assert shown.startswith("Built after")
    assert f"{made.name}-app" in shown
    assert "step 2/2: RUN echo hi" in told
    assert "db has no `build`" in doctor(made, "build", "db", code=1)[0]
    assert os.path.isfile(made.folder / ".saas-doctor/builds/app.log")
    assert (made.folder / ".saas-doctor/.gitignore").read_text() == "*\n"


def test_without_an_engine_a_platform_is_told_that_it_runs_as_processes(tmp_path: Path) -> None:
    platforms.copy_files(tmp_path / "platform")
    nowhere = Stack("unix:///nonexistent/docker.sock", tmp_path / "platform", "none")
    _, told = doctor(nowhere, "ps")
    assert "without Docker, as processes of this machine: no Docker engine answers" in told
    assert "no such socket" in doctor(nowhere, "ps", "--docker", code=2)[1]
    assert "without Docker" not in doctor(nowhere, "ps", "--local")[1]
