"""A Docker engine of a test's own: one that may die, or have a disk that is full."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import docker
import psutil

from tests.testbed import engine


@dataclass
class OwnEngine:
    """It has a network of its own: two engines in one would take each other's bridge away."""

    folder: Path
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def host(self) -> str:
        return f"unix://{self.folder}/docker.sock"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        """Start it, anew after `kill`; its image and containers are still there then."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "unshare", "--net", "dockerd", "--host", self.host, "--data-root", str(self.data),
                    "--exec-root", f"{self.folder}/exec", "--pidfile", f"{self.folder}/pid",
                    "--storage-driver", "vfs",
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while not engine.answers(self.host):
            assert self._process.poll() is None, (self.folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.2)
        engine.make_image(docker.DockerClient(base_url=self.host))

    def kill(self) -> None:
        """End it as a crash does."""
        assert self._process
        self._process.kill()
        self._process.wait(10)
        # The next one would take these for its own that still run.
        for name in ("pid", "exec/containerd/containerd.pid"):
            (self.folder / name).unlink(missing_ok=True)

    def end(self) -> None:
        """End it with all that it runs, and what it left behind."""
        if self._process and self._process.poll() is not None:
            with suppress(AssertionError, docker.errors.DockerException):
                self.start()
        if self._process and self._process.poll() is None:
            client = docker.DockerClient(base_url=self.host)
            for row in client.api.containers(all=True):
                with suppress(docker.errors.APIError):
                    client.api.remove_container(row["Id"], force=True)
            self._process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(30)
        mine = f"{self.folder}/"
        for process in psutil.process_iter(["cmdline"]):
            if any(mine in word for word in process.info["cmdline"] or ()):
                with suppress(psutil.NoSuchProcess):
                    process.kill()


@contextmanager
def own_engine(disk: int = 0) -> Iterator[OwnEngine]:
    """Such an engine; `disk`: its data lie in a file system of this many bytes."""
    assert os.geteuid() == 0
    # Short, since a socket's path may have no more than 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="sd-own-", dir="/tmp"))
    made = OwnEngine(folder)
    made.data.mkdir()
    try:
        if disk:
            mount = ["mount", "-t", "tmpfs", "-o", f"size={disk}", "saas-doctor-test"]
            subprocess.run([*mount, str(made.data)], check=True)
        made.start()
        yield made
    finally:
        made.end()
        for part in reversed(
            [p for p in psutil.disk_partitions(all=True) if p.mountpoint.startswith(f"{folder}/")]
        ):
            subprocess.run(["umount", "-l", part.mountpoint], check=False)
        shutil.rmtree(folder, ignore_errors=True)
