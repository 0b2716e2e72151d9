"""`reset`: all is stopped and removed, and nothing is lost that can't be made again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import psycopg
import pytest

from saas_doctor import own_files
from saas_doctor import platform as platforms
from saas_doctor.stack.leftovers import Leftovers
from saas_doctor.stack.saving import NOTES, verify
from tests.test_stack_local import Stack as LocalStack
from tests.testbed import engine
from tests.testbed import platforms as copies
from tests.testbed.stack import Stack, service, stack

DOCTOR = [sys.executable, "-m", "saas_doctor"]
NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}


def doctor(folder: Path, environ: dict[str, str], *words: str, code: int = 0) -> tuple[str, str]:
    done = subprocess.run(
        [*DOCTOR, *words], cwd=folder, env=environ, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


def saved_by(root: Path) -> Path:
    (folder,) = (root / ".saas-doctor/saved").iterdir()
    return folder


def commands(folder: Path) -> dict[str, str]:
    """What brings back each thing that was put aside, as the notes say."""
    lines = (folder / NOTES).read_text().splitlines()[3:]
    return {lines[at].partition(":")[0]: lines[at + 1].strip() for at in range(0, len(lines), 2)}


# Files.


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A platform with logs, an environment and byte code; none of it runs."""
    root = tmp_path / "platform"
    copies.copy_files(root)
    (root / "logs").mkdir(exist_ok=True)
    (root / "logs/.gitkeep").touch()
    (root / "logs/core.log").write_text("an error of yesterday\n")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "theirs.log").write_text("theirs\n")
    (root / "logs/linked").symlink_to(outside)
    copies.clone_environment(root / "backend/.venv")
    for folder in ("backend/core", "frontend/node_modules/x", "tools/env"):
        (root / folder / "__pycache__").mkdir(parents=True, exist_ok=True)
        (root / folder / "__pycache__/m.cpython-311.pyc").write_bytes(b"x")
    (root / "tools/env/pyvenv.cfg").touch()
    (root / "tools/env/lib/__pycache__").mkdir(parents=True)
    (root / "backend/core/__pycache__/notes.txt").write_text("mine\n")
    return root


@pytest.fixture
def environ() -> dict[str, str]:
    return {**os.environ, **NO_ENGINE}


def test_the_plan_is_shown_with_sizes_and_nothing_is_done_without_agreement(
    root: Path, environ: dict[str, str]
) -> None:
    for words in (("--dry-run",), ()):
        shown, told = doctor(root, environ, "reset", *words, code=0 if "--dry-run" in words else 2)
        lines = [line.split() for line in shown.splitlines()]
        assert [(line[1], line[2]) for line in lines] == [
            ("logs", "logs/"), ("environment", "backend/.venv/"), ("byte", "code"),
        ]  # fmt: skip
        assert " B  " in shown.splitlines()[0]
        assert "MB  can be installed again" in shown
        if words != ("--dry-run",):
            assert "agree to it with --allow-destructive" in told
    assert (root / "logs/core.log").exists()
    assert not (root / ".saas-doctor").exists()


def test_what_can_not_be_made_again_is_put_aside_and_comes_back_by_the_notes(
    root: Path, environ: dict[str, str]
) -> None:
    site = next((root / "backend/.venv").glob("lib/python3*/site-packages"))
    (site / "patch_of_mine.py").write_text("mine\n")
    edited = next(site.glob("fastapi/__init__.py"))
    text = edited.read_text()
    edited.unlink()  # the clone's files are links
    edited.write_text(text + "# mended by hand\n")
    shown, _ = doctor(root, environ, "reset", "--allow-destructive")
    assert "Reset: logs, environment, byte code removed" in shown
    assert not (root / "backend/.venv").exists()
    assert [p.name for p in (root / "logs").iterdir()] == [".gitkeep"]

    folder = saved_by(root)
    assert (folder / "logs/core.log").read_text() == "an error of yesterday\n"
    assert (folder / "logs/linked").is_symlink()
    assert (root.parent / "outside/theirs.log").exists()
    saved = {p.name for p in (folder / "environment/lib").rglob("*") if p.is_file()}
    assert saved - {"_virtualenv.py", "_virtualenv.pth"} == {"patch_of_mine.py", "__init__.py"}
    assert (folder / "pyvenv.cfg").read_text().startswith("home = ")
    assert "fastapi==" in (folder / "packages.txt").read_text()

    subprocess.run(["sh", "-c", commands(folder)["logs"]], check=True)
    assert (root / "logs/core.log").read_text() == "an error of yesterday\n"


OWN = "# only here\n"


def test_no_file_of_somebodys_own_goes_with_the_environment(
    root: Path, environ: dict[str, str]
) -> None:
    environment = root / "backend/.venv"
    site = str(next(environment.glob("lib/python3*/site-packages")).relative_to(environment))
    made = {
        "bin/activate.local",
        "bin/python-nightly-report.sh",
        "bin/python3.99",
        "bin/pip-sync-ours",
        "bin/wheel-of-names",
        f"{site}/mine-1.0.dist-info/METADATA",
        f"{site}/fastapi/__pycache__/notes.txt",
    }
    longer = {"bin/activate", f"{site}/certifi/cacert.pem", f"{site}/httpx/_api.py"}
    as_long = {f"{site}/fastapi/applications.py"}
    links = {"bin/tool", "bin/python3.98"}
    for name in made:
        (environment / name).parent.mkdir(exist_ok=True)
        (environment / name).write_text(OWN)
    for name in longer | as_long:
        path = environment / name
        former, status = path.read_bytes(), path.stat()
        path.unlink()  # the clone's files are links
        path.write_bytes((former[: -len(OWN)] if name in as_long else former) + OWN.encode())
        os.utime(path, (status.st_atime, status.st_mtime))  # as `cp -p` and rsync do
    for name in links:
        (environment / name).symlink_to("/opt/ourtool")

    shown, _ = doctor(root, environ, "reset", "--allow-destructive")
    assert "of your own" in shown
    saved = saved_by(root) / "environment"
    lost = [name for name in made | longer | as_long if not (saved / name).exists()]
    assert lost == []
    assert all((saved / name).read_text().endswith(OWN) for name in made | longer | as_long)
    assert {os.readlink(saved / name) for name in links} == {"/opt/ourtool"}


@pytest.mark.parametrize("maker", ["venv", "uv"])
def test_of_an_environment_as_it_was_made_nothing_is_somebodys_own(
    tmp_path: Path, maker: str
) -> None:
    environment = tmp_path / "env"
    python = copies.template_environment() / "bin/python"
    make = (
        [python, "-m", "venv"]
        if maker == "venv"
        else [copies.UV, "venv", "-q", "--seed", "-p", python]
    )
    subprocess.run([*map(str, make), str(environment)], check=True, timeout=120)
    subprocess.run([environment / "bin/python", "-c", "import pip"], check=True)
    found = own_files.unproved(environment)
    assert own_files.own(environment, found) == []
    # What only its maker's template could tell is kept, whatever its time is.
    assert environment / "bin/activate" in found
    assert environment / "bin/python" not in found
    with (environment / "bin/activate").open("a") as file:
        file.write(OWN)
    os.utime(environment / "bin/activate", (time.time(), time.time() + 60))
    assert own_files.own(environment, found) == [environment / "bin/activate"]


def test_byte_code_goes_but_not_that_of_environments_nor_anything_else(
    root: Path, environ: dict[str, str]
) -> None:
    doctor(root, environ, "reset", "--allow-destructive")
    left = {p.relative_to(root).parts[0] for p in root.rglob("*.pyc")}
    assert left == {"frontend", "tools"}
    assert (root / "backend/core/__pycache__/notes.txt").exists()


def test_a_link_in_the_place_of_a_folder_is_left_and_named(
    root: Path, environ: dict[str, str]
) -> None:
    outside = root.parent / "outside"
    shutil.rmtree(root / "logs")
    (root / "logs").symlink_to(outside)
    shutil.rmtree(root / "backend/.venv")
    (outside / "pyvenv.cfg").touch()
    (root / "backend/.venv").symlink_to(outside)
    shown, told = doctor(root, environ, "reset", "--allow-destructive")
    assert "logs" not in shown
    assert "environment" not in shown
    assert "logs: a link, which is not followed" in told
    assert "backend/.venv: a link, which is not followed" in told
    assert {p.name for p in outside.iterdir()} == {"theirs.log", "pyvenv.cfg"}


def test_logs_that_git_has_stay(root: Path, environ: dict[str, str]) -> None:
    (root / "logs/example.log").write_text("an example\n")
    for words in (["init", "-q"], ["add", "-f", "logs/example.log"]):
        subprocess.run(["git", *words], cwd=root, check=True)
    doctor(root, environ, "reset", "--allow-destructive")
    assert (root / "logs/example.log").exists()
    assert not (root / "logs/core.log").exists()


def test_what_still_runs_out_of_the_environment_ends_it_before_anything_is_removed(
    root: Path, environ: dict[str, str]
) -> None:
    python = root / "backend/.venv/bin/python"
    running = subprocess.Popen([python, "-c", "import time; time.sleep(60)"])
    try:
        _, told = doctor(root, environ, "reset", "--allow-destructive", code=2)
    finally:
        running.kill()
        running.wait()
    assert f"(pid {running.pid}) still runs out of" in told
    assert (root / "logs/core.log").exists()
    assert python.exists()


def test_a_second_reset_has_nothing_to_do(root: Path, environ: dict[str, str]) -> None:
    doctor(root, environ, "reset", "--allow-destructive")
    assert "Nothing to reset" in doctor(root, environ, "reset", "--allow-destructive")[0]


# With a real Postgres.


def test_a_reset_that_is_cut_off_leaves_no_half_environment_and_the_next_one_ends_it(
    root: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(folder: Path) -> None:
        (folder / "pyvenv.cfg").unlink()
        raise KeyboardInterrupt

    leftovers = Leftovers(platforms.load(root, exact=True, environ=environ))
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", cut_off)
        with pytest.raises(KeyboardInterrupt):
            leftovers.remove(lambda *_: None)
    assert not (root / "backend/.venv").exists()
    assert "left by a reset that was cut off" in doctor(root, environ, "reset", "--dry-run")[0]
    doctor(root, environ, "reset", "--allow-destructive")
    assert not (root / ".saas-doctor/removed").exists()
    assert "Nothing to reset" in doctor(root, environ, "reset", "--dry-run")[0]


@pytest.fixture
def local(tmp_path: Path, shared_environment: Path) -> Iterator[LocalStack]:
    found = LocalStack(tmp_path / "platform", shared_environment)
    (found.root / "backend/.venv").unlink()
    copies.clone_environment(found.root / "backend/.venv")
    found.environ |= NO_ENGINE
    yield found
    found.down()
    shutil.rmtree(found.root, ignore_errors=True)


def rows(local: LocalStack, statement: str) -> list[tuple[object, ...]]:
    url = platforms.load(local.root, exact=True, environ=local.environ)
    values = dict(
        line.partition("=")[::2] for line in (url.root / "backend/.env").read_text().splitlines()
    )
    with psycopg.connect(values["DATABASE_URL"], autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


@pytest.mark.timeout(300)
def test_a_local_stack_is_reset_brought_up_again_and_its_former_data_can_be_had_back(
    local: LocalStack,
) -> None:
    local.up()
    rows(local, "CREATE TABLE precious AS SELECT 42 AS answer")
    shown, told = doctor(local.root, local.environ, "reset", "--allow-destructive", "--then-up")
    assert "6 running" in shown, shown + told
    assert rows(local, "SELECT to_regclass('precious')") == [(None,)]
    folder = saved_by(local.root)
    assert (folder / "postgres/PG_VERSION").exists()
    assert (folder / "logs/core.log").exists()

    local.down(volumes=True)
    for what, command in commands(folder).items():
        if what.startswith("postgres"):
            subprocess.run(["sh", "-c", command], check=True)
    local.up("postgres")
    assert rows(local, "SELECT answer FROM precious") == [(42,)]


# With a real engine.


@pytest.fixture
def made(docker_engine: str, tmp_path: Path) -> Iterator[Stack]:
    with stack(docker_engine, tmp_path) as found:
        found.write({"db": service(volumes=["data:/data", "/unnamed"])}, volumes={"data": {}})
        yield found


def volume_names(made: Stack) -> set[str]:
    return {volume["Name"] for volume in made.api.volumes()["Volumes"] or ()}


@pytest.mark.xdist_group("docker")
def test_the_volumes_of_containers_are_archived_and_come_back_by_the_notes(made: Stack) -> None:
    made.up()
    made.exec("db", "sh", "-c", "echo precious > /data/file; echo nameless > /unnamed/file")
    before = volume_names(made)
    other = made.api.create_volume(f"{made.name}_other", labels={engine.LABEL: "1"})["Name"]
    try:
        shown, _ = doctor(made.folder, made.environ, "reset", "--allow-destructive")
        assert "Reset: 1 container, 1 network, 2 volumes removed" in shown
        assert made.containers() == {}
        assert other in volume_names(made)
    finally:
        made.api.remove_volume(other)
    folder = saved_by(made.folder)
    archives = sorted((folder / "volumes").iterdir())
    assert {path.stem for path in archives} <= before
    assert len(archives) == 2

    ways = commands(folder)
    way = ways[f"volumes/{made.name}_data.tar"].replace(
        " busybox tar", f" {engine.IMAGE} busybox tar"
    )
    assert "--label com.docker.compose.volume=data" in way
    environ = {**made.environ, "PATH": os.environ["PATH"]}
    subprocess.run(["sh", "-c", way], check=True, env=environ)
    made.up()
    assert made.exec("db", "/bin/busybox", "cat", "/data/file") == "precious\n"


@pytest.mark.xdist_group("docker")
def test_nothing_is_removed_where_the_data_can_not_be_saved(made: Stack) -> None:
    made.up()
    made.exec("db", "sh", "-c", "echo precious > /data/file")
    (made.folder / ".saas-doctor").mkdir()
    (made.folder / ".saas-doctor/saved").symlink_to("/tmp")
    _, told = doctor(made.folder, made.environ, "reset", "--allow-destructive", code=2)
    assert "is a link" in told
    assert f"{made.name}_data" in volume_names(made)
    assert len(made.containers()) == 1


@pytest.mark.xdist_group("docker")
def test_another_folders_stack_of_the_same_name_is_not_touched(made: Stack, tmp_path: Path) -> None:
    made.up()
    other = Stack(made.host, tmp_path / "other", made.name)
    other.folder.mkdir()
    other.write({"db": service()})
    shown, _ = doctor(other.folder, other.environ, "reset", "--allow-destructive", code=1)
    assert "is taken by the stack in" in shown
    assert len(made.containers()) == 1


@pytest.mark.xdist_group("docker")
def test_on_a_terminal_it_asks_and_no_is_no(made: Stack) -> None:
    made.up()
    terminal = pexpect.spawn(
        DOCTOR[0], [*DOCTOR[1:], "reset"], cwd=str(made.folder),
        env={**made.environ, "TERM": "xterm", "COLUMNS": "120"}, timeout=60, encoding="utf-8",
    )  # fmt: skip
    terminal.expect("Reset it")
    terminal.sendline("n")
    terminal.expect("nothing was changed")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 1
    assert len(made.containers()) == 1


@pytest.mark.xdist_group("docker")
def test_down_with_volumes_saves_a_copy_first_where_that_is_asked_for(made: Stack) -> None:
    made.up()
    made.exec("db", "sh", "-c", "echo precious > /data/file")
    words = ("down", "--volumes", "--save")
    assert "--allow-destructive" in doctor(made.folder, made.environ, *words, code=2)[1]
    _, told = doctor(made.folder, made.environ, *words, "--allow-destructive")
    assert f"volumes/{made.name}_data.tar" in told
    assert (saved_by(made.folder) / f"volumes/{made.name}_data.tar").exists()
    assert made.containers() == {}

    made.up()
    terminal = pexpect.spawn(
        DOCTOR[0], [*DOCTOR[1:], "down", "-v"], cwd=str(made.folder),
        env={**made.environ, "TERM": "xterm", "COLUMNS": "120"}, timeout=60, encoding="utf-8",
    )  # fmt: skip
    terminal.expect("save a copy first")
    terminal.sendline("s")
    terminal.expect("saved in")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    assert len(list((made.folder / ".saas-doctor/saved").iterdir())) == 2


def test_an_archive_that_was_cut_off_is_no_copy(tmp_path: Path) -> None:
    import tarfile

    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(__file__, "x")
    verify(path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(OSError, match=r"x\.tar"):
        verify(path)
