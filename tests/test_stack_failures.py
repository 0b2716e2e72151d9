"""The engine, its disk, or `up` itself fails in the midst of it: what is said, and that the next `up` recovers."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import pytest

from tests.testbed import require
from tests.testbed.own_engine import OwnEngine, own_engine
from tests.testbed.stack import Stack, checked, needs, service, stack, until

pytestmark = pytest.mark.xdist_group("docker")
DOCTOR = [sys.executable, "-m", "saas_doctor"]
NEVER = checked("exit 1", retries=1000)
BASE = f"FROM {service()['image']}\n"


@pytest.fixture
def made(docker_engine: str, tmp_path: Path) -> Iterator[Stack]:
    with stack(docker_engine, tmp_path) as found:
        yield found


@contextmanager
def own(folder: Path, **options: int) -> Iterator[tuple[OwnEngine, Stack]]:
    """An engine of the test's own, and a project on it."""
    require(os.geteuid() == 0, "root (for a Docker engine of the test's own)")
    with own_engine(**options) as engine:
        yield engine, Stack(engine.host, folder, "own")


def started(made: Stack, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*DOCTOR, *words],
        cwd=made.folder,
        env=made.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def until_said(process: subprocess.Popen[str], words: str) -> None:
    assert process.stdout
    assert any(words in line for line in process.stdout), f"it ended without: {words}"


def ended(process: subprocess.Popen[str], code: int) -> str:
    """The last of what a command said, which is one line and no traceback."""
    told, _ = process.communicate(timeout=30)
    assert process.returncode == code, told
    assert "Traceback" not in told
    return told.strip().splitlines()[-1]


def built(made: Stack, step: str) -> None:
    (made.folder / "Dockerfile").write_text(f"{BASE}RUN {step}\nCMD sleep 600\n")
    made.write({"app": service(build=".", image="saas-doctor-test/built")})


def states(made: Stack) -> dict[str, str]:
    return {member.name: member.state for member in made.backend().members()}


def test_the_engine_dies_while_a_container_is_waited_for(tmp_path: Path) -> None:
    with own(tmp_path) as (engine, made):
        services = {
            "db": service(healthcheck=NEVER),
            "app": service(depends_on={"db": needs("service_healthy")}),
        }
        made.write(services)
        process = started(made, "up")
        until(made.containers)
        until(lambda: made.inspect("db")["State"]["Running"])
        engine.kill()
        said = ended(process, 2)
        assert "the Docker engine does not answer any more" in said
        assert "while db was coming up: see whether it runs (docker info), and do it again" in said
        assert "connection refused): start it" in ended(started(made, "up"), 2)
        engine.start()
        services["db"] = service(healthcheck=checked())
        made.write(services)
        made.up()
        assert states(made) == {"own-app-1": "running", "own-db-1": "running"}


def test_the_engine_dies_while_an_image_is_built(tmp_path: Path) -> None:
    with own(tmp_path) as (engine, made):
        built(made, "sleep 60")
        process = started(made, "up")
        until_said(process, "step 2/3")
        engine.kill()
        assert "while app was being built: see whether it runs" in ended(process, 2)
        engine.start()
        built(made, "echo done")
        made.up()
        assert states(made) == {"own-app-1": "running"}


def test_the_engine_dies_while_logs_are_followed_and_while_all_is_taken_down(
    tmp_path: Path,
) -> None:
    with own(tmp_path) as (engine, made):
        made.write({"app": service("sh", "-c", "trap '' TERM; echo begun; sleep 600", init=False)})
        made.up()
        follows, ends = started(made, "logs", "-f"), started(made, "down")
        until_said(follows, "begun")
        until_said(ends, "stopping")
        engine.kill()
        for process in (follows, ends):
            assert "the Docker engine does not answer any more" in ended(process, 2)
        engine.start()
        made.down()
        assert made.containers() == {}


def test_the_engines_own_disk_is_full(tmp_path: Path) -> None:
    with own(tmp_path, disk=60_000_000) as (engine, made):
        built(made, "/bin/busybox dd if=/dev/zero of=/big bs=1M count=100")
        failure = made.fails()
        assert failure.what.startswith(f"app can't be built: {tmp_path}/Dockerfile:2: ")
        assert "dd: error writing '/big': No space left on device" in failure.evidence
        assert failure.next_step.startswith("free space on the engine's disk: docker system df")

        made.write({"app": service()})
        fill = engine.data / "fill"
        with suppress(OSError), fill.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(100_000))
        failure = made.fails()
        assert failure.what == "app can't be started: the engine's disk is full"
        assert "docker system df" in failure.next_step
        fill.unlink()
        made.up()
        assert states(made) == {"own-app-1": "running"}


def of_another_machine(made: Stack) -> str:
    """An image whose programs and settings are of an architecture that is not this engine's."""
    other, number = ("arm64", 0xB7) if os.uname().machine == "x86_64" else ("amd64", 0x3E)
    program = bytearray(Path("/bin/busybox").read_bytes())
    program[18:20] = number.to_bytes(2, "little")  # the machine that an ELF file is for
    layer = tar_of({"bin/sh": bytes(program)})
    config = {
        "architecture": other,
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(layer).hexdigest()}"]},
    }
    name = f"saas-doctor-test/{made.name}:1"
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    parts = {"config.json": config, "manifest.json": manifest}
    files = {part: json.dumps(value).encode() for part, value in parts.items()}
    image = tar_of({**files, "layer.tar": layer})
    made.api.load_image(image)  # type: ignore[no-untyped-call]
    return name


def tar_of(files: dict[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755
            tar.addfile(entry, io.BytesIO(data))
    return archive.getvalue()


def test_an_image_of_another_machine(made: Stack) -> None:
    image = of_another_machine(made)
    try:
        made.write({"app": {"image": image, "command": ["/bin/sh", "-c", ":"]}})
        failure = made.fails()
        assert failure.what.startswith("app ")
        assert "its image is made for " in failure.what
        assert "build or pull the image for this machine" in failure.next_step
        made.write({"app": service()})
        made.up()
        assert states(made) == {f"{made.name}-app-1": "running"}
    finally:
        made.remove()
        made.api.remove_image(image, force=True)


def first_is_made(made: Stack) -> object:
    return made.containers()


def first_runs(made: Stack) -> object:
    return any(
        row["State"] == "running"
        for row in made.api.containers(all=True)
        if made.name in row["Names"][0]
    )


def second_is_made(made: Stack) -> object:
    return len(made.containers()) > 1


@pytest.mark.parametrize("moment", [first_is_made, first_runs, second_is_made])
def test_up_is_killed_while_it_makes_the_stack(
    made: Stack, moment: Callable[[Stack], object]
) -> None:
    made.write(
        {
            "db": service(healthcheck=checked(), volumes=["data:/data"]),
            "app": service(depends_on={"db": needs("service_healthy")}),
        },
        volumes={"data": {}},
    )
    recovers(made, lambda: moment(made), {"app", "db"})


def test_up_is_killed_while_it_makes_a_service_anew(made: Stack) -> None:
    spec = service("sh", "-c", "trap '' TERM; while :; do sleep 1; done", stop_grace_period="2s")
    made.write({"app": {**spec, "init": False}})
    made.up()
    old = set(made.containers().values())
    made.write({"app": {**spec, "init": False, "environment": {"X": "1"}}})
    # The new one is there under another name, and the old one is being stopped.
    recovers(made, lambda: len(made.containers()) > 1, {"app"})
    assert not old & set(made.containers().values())


def test_up_is_killed_while_it_builds(made: Stack) -> None:
    (made.folder / "Dockerfile").write_text(f"{BASE}RUN sleep 3\nCMD sleep 600\n")
    made.write({"app": {"build": ".", "init": True}})
    log = made.folder / ".saas-doctor/builds/app.log"
    recovers(made, lambda: log.exists() and "Step 2" in log.read_text(), {"app"})


def recovers(made: Stack, when: Callable[[], object], services: set[str]) -> None:
    process = started(made, "up")
    until(when, 30)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it was over before"
    again = started(made, "up")
    last = ended(again, 0)
    assert last.startswith(("Up (docker)", "  ")), last
    assert states(made) == {f"{made.name}-{name}-1": "running" for name in services}
    assert made.verbs() == dict.fromkeys(services, "keep")
