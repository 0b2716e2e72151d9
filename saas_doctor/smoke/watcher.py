"""Ends what the smoke test started when the smoke test itself is gone without a word (`kill -9`).

Run as a program, it reads process groups from a pipe: `+PID` to watch, `-PID` for one that has
ended, `.` at the end. The system closes that pipe when the smoke test dies, and then its groups end.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

_PATIENCE = 5.0
"""Seconds that a group may take for its own end, before it is killed."""


# Says its own number before it becomes the program: no moment is left in which nobody knows of it.
_ANNOUNCED = ("/bin/sh", "-c", 'echo "+$$" 1<>"$0" && exec "$@"')
_LATE = 3.0
"""Seconds in which what was just being started may still announce itself."""


class Watcher:
    """A process of its own that outlives this one; on Windows, which has no groups, there is none.

    `pipe`: the path of the named pipe that it reads.
    """

    def __init__(self, pipe: Path | None, end: int = -1) -> None:
        self._pipe, self._end = pipe, end

    def watched(self, argv: Sequence[str]) -> list[str]:
        """The command that starts the same program, and tells the watcher of it first."""
        return [*_ANNOUNCED, str(self._pipe), *argv] if self._pipe else [*argv]

    def forget(self, group: int) -> None:
        """It has ended: its number may become another's."""
        self.say(f"-{group}")

    def say(self, line: str) -> None:
        with contextlib.suppress(OSError):  # without a watcher, all goes on
            if self._pipe:
                os.write(self._end, f"{line}\n".encode())


@contextlib.contextmanager
def watching(scratch: Path) -> Iterator[Watcher]:
    """A watcher for the time of this; `scratch`, a folder, is removed with what it ends."""
    if os.name == "nt":
        yield Watcher(None)
        return
    pipe = scratch / "started"
    os.mkfifo(pipe)
    # Without a writer yet, a plain `open` would wait for one.
    start = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    end = os.open(pipe, os.O_WRONLY)
    os.set_blocking(start, True)
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, str(scratch)],
        cwd="/",
        stdin=start,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # what is meant for the terminal's processes does not reach it
    )
    os.close(start)
    watcher = Watcher(pipe, end)
    try:
        yield watcher
    finally:
        watcher.say(".")
        os.close(end)
        process.wait()


def _end(groups: list[int]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        for group in reversed(groups):
            with contextlib.suppress(OSError):
                os.killpg(group, number)
        deadline = time.monotonic() + _PATIENCE
        while any(map(_is_there, groups)) and time.monotonic() < deadline:
            time.sleep(0.05)


def _is_there(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except OSError:
        return False
    return True


def _heard() -> Iterator[str]:
    """The lines, each as it comes; at the end of the pipe "", again and again."""
    rest = b""
    while True:
        data = os.read(0, 4096)
        *lines, rest = (rest + data).split(b"\n")
        yield from (line.decode() for line in lines)
        if not data:
            yield ""


def main(scratch: str) -> None:
    groups: list[int] = []
    deadline = float("inf")
    for line in _heard():
        if line == ".":
            break
        if line:
            number = int(line[1:])
            groups = [*groups, number] if line[0] == "+" else [g for g in groups if g != number]
        elif time.monotonic() < deadline:  # the smoke test is gone
            deadline = min(deadline, time.monotonic() + _LATE)
            _end(groups)
            groups = []
            time.sleep(0.05)
        else:
            shutil.rmtree(scratch, ignore_errors=True)
            return
    # What it could not end itself, on its way out.
    _end(groups)


if __name__ == "__main__":
    main(sys.argv[1])
