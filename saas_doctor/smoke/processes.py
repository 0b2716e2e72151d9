"""Processes of the platform that the smoke test starts, and ends again with all that they started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from saas_doctor.facts.logs import Tail, tail_of

_PATIENCE = 5.0
"""Seconds that a process may take for its own end, before it is killed."""


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait for the end of this: what is started just then would be nobody's."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {n: signal.signal(n, lambda number, _: came.append(number)) for n in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt


class Running:
    """A process in a group of its own; its output goes to a file."""

    def __init__(
        self, argv: Sequence[str], folder: Path, environ: Mapping[str, str], output: Path
    ) -> None:
        self.output = output
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                list(argv),
                cwd=folder,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def ended(self) -> int | None:
        """Its exit code, or None while it runs."""
        return self.process.poll()

    @property
    def tail(self) -> Tail | None:
        return tail_of(self.output, self.output.name)

    def wait(self, limit: float) -> int | None:
        """Its exit code; None where it is still running after the limit (seconds)."""
        try:
            return self.process.wait(limit)
        except subprocess.TimeoutExpired:
            return None

    def listens_on(self) -> set[int]:
        """The ports that it, or what it has started, listens on."""
        import psutil

        try:
            top = psutil.Process(self.process.pid)
            tree = [top, *top.children(recursive=True)]
        except psutil.Error:
            return set()
        found: set[int] = set()
        for one in tree:
            with contextlib.suppress(psutil.Error, OSError):
                ask = getattr(one, "net_connections", None) or one.connections
                found |= {c.laddr.port for c in ask("tcp") if c.status == psutil.CONN_LISTEN}
        return found

    def stop(self) -> None:
        """End it with its whole group: asked first, killed after five seconds."""
        if self.process.poll() is None:
            self._signal(signal.SIGTERM)
            self.wait(_PATIENCE)
        # Its children may have stayed; the group is nobody else's.
        self._signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        self.process.wait()
        self._wait_for_group()

    def _signal(self, number: int) -> None:
        if os.name == "nt":
            self.process.terminate()
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    def _wait_for_group(self) -> None:
        if os.name == "nt":
            return
        deadline = time.monotonic() + _PATIENCE
        with contextlib.suppress(ProcessLookupError, PermissionError):
            while time.monotonic() < deadline:
                os.killpg(self.process.pid, 0)
                time.sleep(0.02)
