"""Free ports, and processes that listen on them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

# Below the ports that the system hands out by itself.
_FIRST, _COUNT = 15000, 15000
_COUNTER = Path(tempfile.gettempdir()) / f"saas-doctor-test-port-{os.geteuid()}"


def free_port() -> int:
    """A port that nothing listens on, by IPv4 and IPv6.

    All workers and test runs of the machine count on in one file, so none hands out a port that
    another one has just taken and not opened yet.
    """
    with FileLock(f"{_COUNTER}.lock"):
        last = int(_COUNTER.read_text() or 0) if _COUNTER.exists() else 0
        for number in range(last + 1, last + _COUNT):
            port = _FIRST + number % _COUNT
            if _free(socket.AF_INET, "0.0.0.0", port) and _free(socket.AF_INET6, "::", port):
                _COUNTER.write_text(str(number % _COUNT))
                return port
    raise AssertionError("no free port")


def _free(family: socket.AddressFamily, host: str, port: int) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def wait_for_port(port: int, host: str = "127.0.0.1", limit: float = 10) -> None:
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.settimeout(0.5)
            if probe.connect_ex((host, port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"nothing listens on {host}:{port} after {limit} s")


@contextmanager
def listener(
    port: int,
    host: str = "127.0.0.1",
    *,
    cwd: Path | None = None,
    user: int | None = None,
    environ: Mapping[str, str] | None = None,
) -> Iterator[int]:
    """A foreign program that listens and speaks HTTP; yields its pid."""
    process = subprocess.Popen(
        [sys.executable, "-m", "http.server", str(port), "--bind", host],
        cwd=cwd or "/",
        user=user,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_port(port, host)
        yield process.pid
    finally:
        process.kill()
        process.wait()


@contextmanager
def black_hole(port: int) -> Iterator[None]:
    """Accepts connections and never says a word."""
    server = socket.create_server(("127.0.0.1", port))
    held: list[socket.socket] = []
    server.settimeout(0.1)
    over = threading.Event()

    def accept() -> None:
        while not over.is_set():
            try:
                held.append(server.accept()[0])
            except TimeoutError:
                continue

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        for connection in held:
            connection.close()
        server.close()
