"""Processes of the platform that the doctor starts, and ends again with all that they started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from saas_doctor.facts.logs import Tail

PATIENCE = 5.0
"""Seconds that a process may take for its own end, before it is killed."""
MARK = "SAAS_DOCTOR_MEMBER"
"""The variable that all processes of a member of the local stack have: its record's place."""
SUPERVISOR = "saas_doctor.stack.local.supervisor"
"""The module that keeps a member running; it is started with the same place."""
_SAME = 1.0
"""Seconds by which what is told of one process may differ: the system's clock is corrected."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


class Identity(Struct, frozen=True):
    """A process that is never taken for a later one of its pid, by when it was created.

    That is in seconds since 1970; on Linux in ticks since the boot that `boot` names, which are the
    same also after the system's clock was set.
    """

    pid: int
    created: float
    boot: str = ""

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """That of a running process; None when it has ended."""
        import psutil

        try:
            process = psutil.Process(pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            boot, ticks = _since_boot(pid)
            return cls(pid, ticks if boot else process.create_time(), boot)
        except psutil.Error:
            return None

    @property
    def alive(self) -> bool:
        now = Identity.of(self.pid)
        same = now is not None and now.boot == self.boot
        return now is not None and same and abs(now.created - self.created) < _SAME

    def ends_within(self, limit: float) -> bool:
        """Whether it has ended after at most so many seconds."""
        deadline = time.monotonic() + limit
        while self.alive:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def end(self, first: int = signal.SIGTERM, patience: float = PATIENCE) -> bool:
        """End it with its group, as `end_group` does; whether it has ended."""
        if self.alive:
            end_group(self.pid, self.ends_within, first, patience)
        return not self.alive


def _since_boot(pid: int) -> tuple[str, float]:
    """On Linux: which boot it was, and the clock ticks from there to the process' start."""
    try:
        # After its name, which may hold anything, come its numbers.
        numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return _BOOT.read_text().strip(), float(numbers[19])
    except (OSError, IndexError):
        return "", 0.0


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
    """A process in a group of its own; its output goes to a file.

    `options` are those of Popen: whose process it is to be.
    """

    def __init__(
        self,
        argv: Sequence[str],
        folder: Path,
        environ: Mapping[str, str],
        output: Path,
        *,
        append: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.output = output
        with output.open("ab" if append else "wb") as file:
            self.process = subprocess.Popen(
                list(argv),
                cwd=folder,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **(options or {}),
            )

    @property
    def ended(self) -> int | None:
        """Its exit code, or None while it runs."""
        return self.process.poll()

    @property
    def tail(self) -> Tail | None:
        from saas_doctor.facts.logs import tail_of

        return tail_of(self.output, self.output.name)

    def wait(self, limit: float) -> int | None:
        """Its exit code; None where it is still running after the limit (seconds)."""
        try:
            return self.process.wait(limit)
        except subprocess.TimeoutExpired:
            return None

    def listens_on(self) -> set[int]:
        """The ports that it, or what it has started, listens on."""
        return listens_on(self.process.pid)

    def stop(self, first: int = signal.SIGTERM, patience: float = PATIENCE) -> None:
        """End it with its whole group: asked first, killed where that takes too long (seconds)."""
        if os.name == "nt":
            self.process.terminate()
            self.process.wait()
            return
        end_group(self.process.pid, lambda limit: self.wait(limit) is not None, first, patience)


def listens_on(pid: int) -> set[int]:
    """The ports that a process, or what it has started, listens on; none where it has ended."""
    import psutil

    try:
        top = psutil.Process(pid)
        tree = [top, *top.children(recursive=True)]
    except psutil.Error:
        return set()
    found: set[int] = set()
    for one in tree:
        with contextlib.suppress(psutil.Error, OSError):
            ask = getattr(one, "net_connections", None) or one.connections
            found |= {c.laddr.port for c in ask("tcp") if c.status == psutil.CONN_LISTEN}
    return found


def end_group(
    leader: int, ends_within: Callable[[float], bool], first: int, patience: float
) -> None:
    """Ask a process and its group to end, kill them where they don't, and wait until they are gone.

    `ends_within`: whether the leader has ended after so many seconds at most.
    """
    if not ends_within(0):
        _signal(leader, first)
        ends_within(patience)
    # Its children may have stayed; the group is nobody else's.
    _signal(leader, _KILL)
    ends_within(PATIENCE)
    deadline = time.monotonic() + PATIENCE
    with contextlib.suppress(ProcessLookupError, PermissionError):
        while time.monotonic() < deadline:
            os.killpg(leader, 0)
            time.sleep(0.02)


def _signal(pid: int, number: int) -> None:
    """To its group, also where only that is left; to itself alone where the group is another's."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        try:
            leads = os.getpgid(pid) == pid
        except ProcessLookupError:
            leads = True
        if leads:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
