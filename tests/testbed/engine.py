"""A Docker engine: one that answers already, else one of our own, and a tiny image.

All workers and test runs of a machine share one: two engines would give out the same addresses on
the same bridge. Who uses it is written down, and the last one to leave cleans up and ends it.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import docker
import psutil
from filelock import FileLock

IMAGE = "saas-doctor-test/busybox:1"
LABEL = "saas-doctor-test"
# Short, since a socket's path may have no more than 107 characters.
FOLDER = Path(f"/tmp/saas-doctor-test-docker-{os.geteuid()}")
OURS = f"unix://{FOLDER}/docker.sock"
_LOCK = FileLock(f"{FOLDER}.lock")
_GIVEN = os.environ.get("DOCKER_HOST", "")  # read before the tests clean the environment


@contextmanager
def engine() -> Iterator[str]:
    """The DOCKER_HOST of an engine that answers."""
    me = FOLDER / "users" / str(os.getpid())
    with _LOCK:
        me.parent.mkdir(parents=True, exist_ok=True)
        me.touch()
        host = next((h for h in _local_hosts() if answers(h)), None) or _start()
        client = docker.DockerClient(base_url=host)
        make_image(client)
    try:
        yield host
    finally:
        with _LOCK:
            me.unlink(missing_ok=True)
            if not any(psutil.pid_exists(int(user.name)) for user in me.parent.iterdir()):
                _remove_what_tests_made(client)
                _end()
        client.close()


def obtainable() -> bool:
    """Whether `engine()` has what it needs."""
    if not Path("/bin/busybox").exists():
        return False
    if any(answers(host) for host in _local_hosts()):
        return True
    return os.geteuid() == 0 and shutil.which("dockerd") is not None


def _local_hosts() -> list[str]:
    """Tests reach published ports by 127.0.0.1, so an engine elsewhere is of no use."""
    given = [_GIVEN] if _GIVEN.startswith("unix://") else []
    return [*given, "unix:///var/run/docker.sock", OURS]


def _start() -> str:
    assert os.geteuid() == 0, "no Docker engine answers, and only root can start one"
    assert shutil.which("dockerd"), "dockerd is not installed"
    (FOLDER / "pid").unlink(missing_ok=True)  # of one that was killed
    log = FOLDER / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                "dockerd", "--host", OURS, "--data-root", f"{FOLDER}/data",
                "--exec-root", f"{FOLDER}/exec", "--pidfile", f"{FOLDER}/pid",
            ],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,  # it outlives the worker that started it
        )  # fmt: skip
    deadline = time.monotonic() + 60
    while not answers(OURS):
        assert process.poll() is None, log.read_text()[-2000:]
        assert time.monotonic() < deadline, log.read_text()[-2000:]
        time.sleep(0.2)
    return OURS


def _end() -> None:
    """End the engine that we, or another worker, started."""
    pidfile = FOLDER / "pid"
    if pidfile.exists():
        pid = int(pidfile.read_text())
        try:
            process = psutil.Process(pid)
            if process.name() == "dockerd":
                process.send_signal(signal.SIGTERM)
                process.wait(30)
        except psutil.NoSuchProcess:
            pass
        except psutil.TimeoutExpired:
            for child in (*process.children(recursive=True), process):
                child.kill()
    shutil.rmtree(FOLDER, ignore_errors=True)


def answers(host: str) -> bool:
    try:
        client = docker.DockerClient(base_url=host, timeout=5)
    except docker.errors.DockerException:
        return False
    try:
        return bool(client.ping())
    except docker.errors.DockerException:
        return False
    finally:
        client.close()


def _remove_what_tests_made(client: docker.DockerClient) -> None:
    """By its label, and nothing else."""
    mine: dict[str, str | list[str] | bool] = {"label": LABEL}
    for container in client.containers.list(all=True, filters=mine):
        container.remove(force=True, v=True)
    for network in client.networks.list(filters=mine):
        # A busy engine at times counts an endpoint that is gone, until it is started again.
        with suppress(docker.errors.APIError):
            network.remove()
    for volume in client.volumes.list(filters=mine):
        volume.remove(force=True)


def make_image(client: docker.DockerClient) -> None:
    try:
        client.images.get(IMAGE)
        return
    except docker.errors.ImageNotFound:
        pass
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add("/bin/busybox", "bin/busybox")
        for name in ("sh", "httpd", "sleep", "nc"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    name, _, tag = IMAGE.partition(":")
    client.api.import_image_from_data(archive.getvalue(), repository=name, tag=tag)
