"""`check --watch`: what changes is told, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread, Timer

import pytest

from saas_doctor import platform as platforms
from saas_doctor import runner
from saas_doctor.model import Report
from saas_doctor.runner import Selection
from saas_doctor.watch import Change, Look, watch
from tests.testbed.ports import free_port, listener, wait_for_port

WRONG = "REGISTRY_URL=localhost:8001\n"
RIGHT = "REGISTRY_URL=http://localhost:8001\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("backend/core", "logs", "frontend/node_modules", "backend/.venv"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "docker-compose.yml").write_text("services: {}\n")
    (tmp_path / "backend/.env.example").write_text(RIGHT)
    (tmp_path / "backend/.env").write_text(RIGHT)
    (tmp_path / "backend/.env").chmod(0o600)
    code = "import os\nimport httpx\nfrom dotenv import load_dotenv\nload_dotenv()\n"
    code += 'known = httpx.get(os.environ["REGISTRY_URL"])\n'
    (tmp_path / "backend/core/known.py").write_text(code)
    return tmp_path


def load(root: Path) -> platforms.Platform:
    return platforms.load(root, exact=True, environ={})


def examine(platform: platforms.Platform) -> Report:
    return runner.run(platform, Selection(("CFG9",)), timeout=20)


def changes(root: Path) -> Iterator[Change]:
    return watch(lambda: load(root), examine, pause=0.05)


def codes(change: Change) -> tuple[list[str], list[str]]:
    return [f.code for f in change.new], [f.code for f in change.gone]


def test_what_is_new_and_what_is_gone_is_told_with_what_had_changed(root: Path) -> None:
    seen = changes(root)
    first = next(seen)
    assert (codes(first), first.because) == (([], []), ())
    (root / "backend/.env").write_text(WRONG)
    change = next(seen)
    assert codes(change) == (["CFG903"], [])
    assert change.because == ("backend/.env",)
    (root / "backend/.env").write_text(RIGHT)
    assert codes(next(seen)) == ([], ["CFG903"])
    (root / "backend/.env").unlink()
    assert codes(next(seen)) == (["CFG901"], [])


def test_changes_that_change_nothing_are_not_told(root: Path) -> None:
    seen = changes(root)
    next(seen)
    (root / "notes.txt").write_text("nothing")
    # Only the later change comes out.
    timer = Timer(1.0, lambda: (root / "backend/.env").write_text(WRONG))
    timer.start()
    assert next(seen).because == ("backend/.env",)
    timer.join()


def test_a_configuration_that_can_not_be_read_is_told_once_and_watched_on(root: Path) -> None:
    seen = changes(root)
    next(seen)
    (root / "saas-doctor.toml").write_text("timeout = [\n")
    assert "can't be read as TOML" in next(seen).problem
    (root / "saas-doctor.toml").write_text("timeout = 4\n")
    mended = next(seen)
    assert (mended.problem, codes(mended)) == ("", ([], []))


def test_a_folder_that_is_moved_as_a_whole_is_told_and_watched_on(root: Path) -> None:
    places = [root]
    seen = watch(lambda: load(places[0]), examine, pause=0.05)
    next(seen)
    new = root.with_name("moved")
    root.rename(new)
    places[0] = new  # as the working directory, which moves along
    change = next(seen)
    assert (codes(change), change.because) == (([], []), (f"the folder is {new} now",))
    (new / "backend/.env").write_text(WRONG)
    assert codes(next(seen)) == (["CFG903"], [])


def test_what_could_not_be_examined_is_not_gone(root: Path) -> None:
    (root / "backend/.env").write_text(WRONG)
    seen = changes(root)
    assert codes(next(seen)) == (["CFG903"], [])
    (root / "backend/.env").write_bytes(b"\xff\xfe\x00")
    change = next(seen)
    assert codes(change) == ([], [])
    assert any("not UTF-8" in reason for reason in change.new_unknown)


def test_a_look_sees_sources_packages_and_listeners_but_no_logs_and_caches(root: Path) -> None:
    port = free_port()
    (root / "backend/.env").write_text(f"REGISTRY_URL=http://localhost:{port}\n")
    site = root / "backend/.venv/lib/python3.11/site-packages"
    site.mkdir(parents=True)
    platform = load(root)
    before = Look.at(platform)
    for name in (
        "logs/core.log",
        "frontend/node_modules/a.js",
        "backend/core/x.py",
        "backend/.git",
    ):
        (root / name).write_text("x")
    (site / "jose").mkdir()
    with listener(port):
        changed = Look.at(platform).changed(before)
    assert changed[-1] == f"port {port}"
    assert "backend/core/x.py" in changed
    assert any("site-packages" in name for name in changed)
    assert not any("logs" in name or "node_modules" in name for name in changed)


@contextmanager
def watching(root: Path, *argv: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "saas_doctor", "check", "--watch", *argv],
        cwd=root,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(process: subprocess.Popen[str], text: str) -> list[str]:
    """The lines up to the one with this text."""
    lines: list[str] = []
    assert process.stdout
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError(f"{text!r} never came: {lines}")


def test_a_link_to_nothing_hides_no_file(root: Path) -> None:
    for folder in ("", "backend", "backend/core"):
        (root / folder / ".#lock").symlink_to("user@host.4711:1700000000")
    platform = load(root)
    before = Look.at(platform)
    (root / "backend/.env").write_text(WRONG)
    (root / "backend/core/known.py").write_text("x = 1\n")
    assert set(Look.at(platform).changed(before)) == {"backend/.env", "backend/core/known.py"}


def test_a_file_that_changes_without_end_keeps_nothing_from_being_told(root: Path) -> None:
    seen = changes(root)
    next(seen)
    ended = Event()

    def write() -> None:
        number = 0
        while not ended.wait(0.01):
            number += 1
            (root / "uploads.db").write_text(str(number))

    writer = Thread(target=write)
    writer.start()
    try:
        (root / "backend/.env").write_text(WRONG)
        assert "backend/.env" in next(seen).because
    finally:
        ended.set()
        writer.join()


def test_into_a_pipe_only_the_changes_come_and_ctrl_c_ends_it(root: Path) -> None:
    with watching(root, "--select", "CFG9") as process:
        until(process, "no finding")
        (root / "backend/.env").write_text(WRONG)
        new = until(process, "1 error")
        assert any(line.startswith("--- ") and "backend/.env" in line for line in new)
        assert any(line.startswith("new  error CFG903") for line in new)
        (root / "backend/.env").write_text(RIGHT)
        gone = until(process, "no finding")
        assert [line for line in gone if line.startswith(("new", "gone"))] == [
            line for line in gone if line.startswith("gone CFG903")
        ]
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate(timeout=20)
        assert process.returncode == 130
        assert rest == ""
        assert "\x1b" not in "".join(new + gone)
        assert "Traceback" not in said


def test_other_formats_can_not_be_watched(root: Path) -> None:
    with watching(root, "--format", "json") as process:
        out, said = process.communicate(timeout=20)
    assert (process.returncode, out) == (2, "")
    assert "leave out --format and --output" in said


def test_a_service_that_starts_is_seen_by_its_port(root: Path) -> None:
    port = free_port()
    (root / "saas-doctor.toml").write_text(
        f'[services.core]\ndirectory = "backend/core"\nport = {port}\n'
    )
    seen = watch(
        lambda: load(root),
        lambda platform: runner.run(platform, Selection(("NET401",)), timeout=20),
        pause=0.05,
    )
    assert codes(next(seen)) == ([], [])
    with listener(port):
        wait_for_port(port)
        began = time.monotonic()
        change = next(seen)
        assert codes(change) == (["NET401"], [])
        assert f"port {port}" in change.because
        assert time.monotonic() - began < 10
    assert codes(next(seen)) == ([], ["NET401"])
