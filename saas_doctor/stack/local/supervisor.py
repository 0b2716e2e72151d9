"""The process that keeps one member of the local stack running: `python -m …supervisor RECORD < job`.

It starts the job, starts it again when it ends (later each time), keeps its log small, and writes
its record. It ends with the job on SIGTERM, or where its record is taken away. Where it is killed
itself, the job goes on, and the next `up` gives it a new supervisor.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Protocol

import msgspec

from saas_doctor.processes import Identity, Running
from saas_doctor.stack.local import jobs
from saas_doctor.stack.local.jobs import Job, Record
from saas_doctor.stack.local.log_files import Log

_FIRST, _LAST = 0.5, 30.0
"""Seconds before the job is started again: doubled each time it ends, up to the last."""
_STEADY = 30.0
"""Seconds of running after which an end counts as the first one again."""
_TICK = 1.0
UNKNOWN = -1000
"""The exit code of a process that was not ours to wait for."""


class _Process(Protocol):
    """The job's process: a child, or one that was found running."""

    @property
    def ended(self) -> int | None: ...

    def stop(self, first: int, patience: float) -> None: ...


class _Adopted:
    """A process that another supervisor had started; nobody tells its exit code."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity

    @property
    def ended(self) -> int | None:
        return None if self.identity.alive else UNKNOWN

    def stop(self, first: int, patience: float) -> None:
        self.identity.end(first, patience)


class _Failed:
    """One that could not be started again."""

    ended = 127

    def stop(self, first: int, patience: float) -> None:
        pass


class Supervisor:
    def __init__(self, job: Job) -> None:
        self.job = job
        self.place = Path(job.record)
        self.log = Log(Path(job.log), self.place.with_suffix(".times"))
        self.record = Record.of(job)
        self.record.supervisor = Identity.of(os.getpid())
        self.told_to_end = False
        self._bell = _bell()
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "told_to_end", True))

    def begin(self) -> _Process:
        """The job's process, started or found running; raises OSError where it can't be started."""
        before = jobs.read(self.place)
        if self.job.adopt is None or before is None:
            return self._start()
        self.record.since, self.record.offset = before.since, before.offset
        self.record.restarts, self.record.process = before.restarts, self.job.adopt
        jobs.write(self.place, self.record)
        return _Adopted(self.job.adopt)

    def keep(self, process: _Process) -> None:
        """Keep it running until told to end."""
        pause = _FIRST
        while True:
            self._watch(process)
            code = None if self.told_to_end else process.ended
            process.stop(self.job.stop, self.job.patience)
            # What it started may have stayed, and would hold its port.
            for one in jobs.left_over(self.place.parent, self.job.name):
                one.end()
            self.record.process = None
            self.record.exit_code = process.ended if code is None else code
            self._write()
            if time.time() - self.record.since > _STEADY:
                pause = _FIRST
            if self._rests(pause):
                return
            pause = min(2 * pause, _LAST)
            self.record.restarts += 1
            process = self._again()

    def _again(self) -> _Process:
        try:
            return self._start()
        except OSError as error:  # its program or folder is gone by now
            with contextlib.suppress(OSError), self.log.path.open("a") as file:
                file.write(f"saas-doctor: can't start {self.job.name}: {error}\n")
            return _Failed()

    def _start(self) -> _Process:
        job, log = self.job, self.log.path
        self.record.offset = log.stat().st_size if log.exists() else 0
        self.record.since = time.time()
        process = Running(
            job.argv, Path(job.folder), jobs.mark(job.environ, job), log, append=True,
            options=job.account.options if job.account else None,
        )  # fmt: skip
        self.record.process = Identity.of(process.process.pid)
        try:
            jobs.write(self.place, self.record)
        except OSError:  # nobody would know of it
            process.stop(job.stop, job.patience)
            raise
        return process

    def _watch(self, process: _Process) -> None:
        """Until the job ends, or is to end."""
        while process.ended is None and not self.told_to_end:
            self._listen(_TICK)
            if self.log.tend():
                self.record.offset = 0
                self._write()

    def _rests(self, seconds: float) -> bool:
        """Pause; whether it is told to end meanwhile."""
        end = time.monotonic() + seconds
        while not self.told_to_end and (left := end - time.monotonic()) > 0:
            self._listen(min(left, _TICK))
        return self.told_to_end

    def _listen(self, seconds: float) -> None:
        """Until a signal comes, at most so long."""
        if select.select([self._bell], [], [], seconds)[0]:
            self._bell.recv(4096)
        if not self.place.exists():
            self.told_to_end = True

    def _write(self) -> None:
        # A record that was taken away ends it, and is not put back.
        if self.place.exists():
            jobs.write(self.place, self.record)


def _bell() -> socket.socket:
    """A socket that can be read from when a signal came, the end of a child among them."""
    heard, rings = socket.socketpair()
    rings.setblocking(False)
    signal.set_wakeup_fd(rings.detach(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return heard


def main() -> None:
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    # The one that `up` started ends at once, so that nobody has to wait for the other.
    if os.fork():
        os._exit(0)
    supervisor = Supervisor(job)
    try:
        process = supervisor.begin()
    except OSError as error:
        print(f"{error.strerror}: {error.filename or job.argv[0]}", flush=True)
        return
    # That it goes well is said by nothing, and the end of the output.
    for number in (0, 1):
        os.dup2(os.open(os.devnull, os.O_RDWR), number)
    supervisor.keep(process)


if __name__ == "__main__":
    main()
