"""What the members wrote: files that stay small, with the time of each line."""

from __future__ import annotations

import bisect
import contextlib
import heapq
import io
import shutil
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path

from saas_doctor.reading import require_file
from saas_doctor.stack import LogLine

LARGEST = 5_000_000
"""Bytes of a log after which a new one is begun."""
KEPT = 3
"""Former logs that are kept: `core.log.1` is the latest."""
_PAUSE = 0.2


class Log:
    """One member's log, which the member itself writes to.

    `times` is a file that tells when: each line is a time, and how many bytes were there by then.
    """

    def __init__(self, path: Path, times: Path) -> None:
        self.path, self.times = path, times
        self._noted = -1

    def tend(self) -> bool:
        """Note how long it is by now, and begin a new one where it is too long; whether it was."""
        with contextlib.suppress(OSError):
            size = self.path.stat().st_size
            if size == self._noted:
                return False
            with self.times.open("a") as file:
                file.write(f"{time.time():.3f} {size}\n")
            self._noted = size
            if size > LARGEST:
                self._turn()
                return True
        return False

    def _turn(self) -> None:
        for number in range(KEPT - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                self._former(number).replace(self._former(number + 1))
        # Its writer has it open: it is emptied in its place.
        shutil.copy2(self.path, self._former(1))
        with self.path.open("r+b") as file:
            file.truncate(0)
        self.times.write_text("")
        self._noted = 0

    def _former(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def lines(self, service: str, tail: int | None = None) -> list[LogLine]:
        """All that is kept, oldest first; those of former logs without a time. At most the last `tail`."""
        found = self.since(service, 0)[0]
        for number in range(1, KEPT + 1):
            if tail is not None and len(found) >= tail:
                break
            with contextlib.suppress(OSError):
                require_file(self._former(number))
                text = self._former(number).read_text("utf-8", "replace")
                found = [LogLine(service, line) for line in text.splitlines()] + found
        return found if tail is None else found[max(0, len(found) - tail) :]

    def since(self, service: str, offset: int) -> tuple[list[LogLine], int]:
        """The whole lines after so many bytes, and the offset behind them."""
        try:
            require_file(self.path)
            with self.path.open("rb") as file:
                file.seek(offset)
                data = file.read()
            written = self.path.stat().st_mtime
        except OSError:
            return [], offset
        offsets, times = self._marks()
        found = []
        for raw in io.BytesIO(data):
            if not raw.endswith(b"\n") and time.time() - written < 1:
                break  # the rest of it is still to come
            at = bisect.bisect_right(offsets, offset)
            when = times[at] if at < len(times) else written
            text = raw.decode("utf-8", "replace").rstrip("\r\n")
            found.append(LogLine(service, text, datetime.fromtimestamp(when, timezone.utc)))
            offset += len(raw)
        return found, offset

    def size(self) -> int:
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def _marks(self) -> tuple[list[int], list[float]]:
        offsets: list[int] = []
        times: list[float] = []
        with contextlib.suppress(OSError):
            for line in self.times.read_text().splitlines():
                when, _, size = line.partition(" ")
                with contextlib.suppress(ValueError):
                    number, moment = int(size), float(when)
                    offsets.append(number)
                    times.append(moment)
        return offsets, times


def read(
    logs: dict[str, Log], *, tail: int | None, since: datetime | None, follow: bool
) -> Iterator[LogLine]:
    """What is in the logs, by time; then what comes, until the reader has enough."""
    ends = {name: log.size() for name, log in logs.items()}
    kept = [_wanted(log.lines(name, tail), since) for name, log in logs.items()]
    yield from heapq.merge(*kept, key=_time)
    while follow:
        for name, log in logs.items():
            if log.size() < ends[name]:
                ends[name] = 0  # a new one was begun
            lines, ends[name] = log.since(name, ends[name])
            yield from lines
        time.sleep(_PAUSE)


def _wanted(lines: Sequence[LogLine], since: datetime | None) -> list[LogLine]:
    if since is None:
        return list(lines)
    start = since.timestamp()
    return [line for line in lines if line.at and line.at.timestamp() >= start]


def _time(line: LogLine) -> float:
    return line.at.timestamp() if line.at else 0.0
