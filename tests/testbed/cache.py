"""A throw-away Redis server."""

from __future__ import annotations

import subprocess
import tempfile

from tests.testbed.ports import free_port, wait_for_port


class RedisServer:
    """A real redis-server on a private port, which keeps nothing on disk."""

    def __init__(self, password: str | None = None, *options: str) -> None:
        """`options`: of the server's command line."""
        self.port = free_port()
        self.password = password
        self.options = options
        # What it writes all the same (DEBUG RELOAD) must not be there for the next one.
        self.folder = tempfile.TemporaryDirectory(prefix="sd-redis-", ignore_cleanup_errors=True)
        self.start()

    @property
    def url(self) -> str:
        secret = f":{self.password}@" if self.password else ""
        return f"redis://{secret}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        argv = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        argv += ["--requirepass", self.password] if self.password else []
        argv += self.options
        self.process = subprocess.Popen(
            argv, cwd=self.folder.name, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        wait_for_port(self.port)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()
