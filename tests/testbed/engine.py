"""A Docker engine: one that answers already, else one of our own, and a tiny image."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker

IMAGE = "saas-doctor-test/busybox:1"
LABEL = "saas-doctor-test"


@contextmanager
def engine() -> Iterator[str]:
    """The DOCKER_HOST of an engine that answers; ours is ended by its pid."""
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if _answers(host):
        with _cleaned(host):
            yield host
        return
    assert os.geteuid() == 0, "no Docker engine answers, and only root can start one"
    assert shutil.which("dockerd"), "dockerd is not installed"
    folder = Path(tempfile.mkdtemp(prefix="sd-docker-", dir="/tmp"))
    host = f"unix://{folder}/docker.sock"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                "dockerd", "--host", host, "--data-root", f"{folder}/data",
                "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid",
            ],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not _answers(host):
            assert process.poll() is None, (folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, (folder / "log").read_text()[-2000:]
            time.sleep(0.2)
        with _cleaned(host):
            yield host
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def _answers(host: str) -> bool:
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


@contextmanager
def _cleaned(host: str) -> Iterator[None]:
    """The engine with our image; the containers that tests made are removed, no others."""
    client = docker.DockerClient(base_url=host)
    _make_image(client)
    try:
        yield
    finally:
        for container in client.containers.list(all=True, filters={"label": LABEL}):
            container.remove(force=True)
        client.close()


def _make_image(client: docker.DockerClient) -> None:
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
