"""`up` from the command line: what could stop the stack is mended first, or ends it before a start."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from saas_doctor import journal
from saas_doctor import platform as platforms
from tests.testbed.clone import Clone


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Clone]:
    clone = Clone(tmp_path / "platform")
    yield clone
    clone.doctor("down", "--local", "--volumes", "--allow-destructive")
    shutil.rmtree(clone.root, ignore_errors=True)


@pytest.fixture
def ready(clone: Clone, shared_environment: Path) -> Clone:
    """One that only has to be started."""
    (clone.root / "backend/.venv").symlink_to(shared_environment)
    shutil.copy(clone.root / "backend/.env.example", clone.root / "backend/.env")
    return clone


def test_from_a_bare_clone_one_command_brings_the_platform_up(clone: Clone) -> None:
    done = clone.doctor("up", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr.startswith("without Docker, as processes of this machine: ")
    assert "PY102" in done.stdout
    assert "CFG901" in done.stdout
    assert "Take it back: saas-doctor undo" in done.stderr
    assert "to do        backend/.env: write values of your own for SECRET_KEY" in done.stderr
    assert clone.items() == 200

    # What it runs out of is not taken away under it.
    listed = clone.doctor("undo", "--dry-run")
    assert listed.returncode == 0
    assert "undo     create backend/.env" in listed.stdout
    refused = clone.doctor("undo")
    assert refused.returncode == 2
    assert "needs backend/.env and backend/.venv, which would go" in refused.stderr
    assert "saas-doctor down --local, or agree with --yes" in refused.stderr
    assert clone.items() == 200

    # Nothing is to be done now, so nothing is examined, whatever is wrong by then.
    (clone.root / "backend/.env.example").write_text("KEY_WITHOUT_END='\n")
    before = journal.runs(platforms.load(clone.root, exact=True))
    again = clone.doctor("up", "--yes")
    assert again.returncode == 0, again.stderr
    assert journal.runs(platforms.load(clone.root, exact=True)) == before
    assert clone.doctor("down", "--volumes", "--allow-destructive").returncode == 0
    assert clone.members() == {}
    assert clone.doctor("undo").returncode == 0
    assert not (clone.root / "backend/.venv").exists()


def test_what_has_no_fix_ends_it_before_anything_is_started(ready: Clone) -> None:
    (ready.root / "backend/core/main.py").open("a").write("def broken(:\n")
    done = ready.doctor("up", "--local", "--yes")
    assert done.returncode == 1
    assert re.search(r"^failed: .*backend/core/main\.py:\d+.* \(SRC200\)$", done.stdout, re.M)
    assert "next:" in done.stdout
    assert ready.members() == {}


def test_a_broken_compose_file_stops_it_without_docker_as_well(ready: Clone) -> None:
    (ready.root / "docker-compose.yml").open("a").write("  bad: [\n")
    done = ready.doctor("up", "--local", "--yes")
    assert done.returncode == 1
    assert re.search(
        r"^failed: docker-compose\.yml can't be parsed.* \(DOCK601\)$", done.stdout, re.M
    )
    assert ready.members() == {}


def test_nothing_is_mended_and_nothing_started_without_agreement(ready: Clone) -> None:
    (ready.root / "backend/.env").unlink()
    for argv in (("--local",), ("--local", "--no-fix")):
        done = ready.doctor("up", *argv)
        assert done.returncode == 1
        assert "(CFG901)" in done.stdout
        assert ("next: saas-doctor up --yes, or " in done.stdout) == (argv == ("--local",))
        assert not (ready.root / "backend/.env").exists()
        assert ready.members() == {}


def test_without_checks_it_starts_what_it_can(ready: Clone) -> None:
    ready.edit("backend/.env", "SECRET_KEY=", "SECRET_KEY_OF_OLD=")
    done = ready.doctor("up", "--local", "--no-check", "registry")
    assert done.returncode == 1
    assert "failed: registry ended right after its start" in done.stdout
    assert "SECRET_KEY" in done.stdout


def test_a_dry_run_shows_the_fixes_and_the_start_and_does_neither(ready: Clone) -> None:
    (ready.root / "backend/.env").unlink()
    done = ready.doctor("up", "--local", "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[safe; CFG901]" in done.stdout
    assert re.search(r"^start +service +gateway", done.stdout, re.M)
    assert not (ready.root / "backend/.env").exists()
    assert ready.members() == {}


def test_a_dry_run_in_a_bare_clone_shows_the_fixes_and_what_is_not_known_yet(clone: Clone) -> None:
    done = clone.doctor("up", "--local", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "PY102" in done.stdout
    assert "[safe; CFG901]" in done.stdout
    assert "what is started can be told once that is done" in done.stdout
    assert not (clone.root / "backend/.venv").exists()


def test_without_an_engine_it_says_so_and_goes_the_local_way(ready: Clone) -> None:
    done = ready.doctor("up", "--dry-run")
    assert done.returncode == 0
    assert "without Docker, as processes of this machine: no Docker engine answers" in done.stderr
    assert re.search(r"^start +service +registry", done.stdout, re.M)
    asked = ready.doctor("up", "--docker", "--dry-run")
    assert asked.returncode == 2
    assert "saas-doctor up --local" in asked.stderr
