"""The ends of the services' logs: files, and what the containers wrote."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.containers import Containers
from saas_doctor.model import Unreadable
from saas_doctor.platform import Platform

_BYTES = 65_536
"""What is read of a log, from its end: it may be of any size."""
_LINES = 500
_LONGEST = 300

# A new run begins, or the former one ended as it was told to: what stands before is over.
_OVER = re.compile(
    r"Started (?:server|reloader|parent) process|Finished server process"
    r"|Stopping (?:reloader|parent) process"
)
_EXCEPTION = re.compile(
    r"(?:[A-Za-z_][\w.]*\.)?[A-Z]\w*(?:Error|Exception|Refused|Timeout|Invalid|Failed|Protocol)\b"
    r"(?::|\s*$)"
)
_LEVEL = re.compile(r"(?:ERROR|CRITICAL|FATAL|Error)\b[:\s]|.{0,60}?\b(?:ERROR|CRITICAL|FATAL)\b")
# What only leads to the text that tells, or comes after it.
_EMPTY = re.compile(
    r"Traceback \(most recent|Application startup failed|Exception in ASGI|CancelledError"
    r"|KeyboardInterrupt|The above exception|During handling"
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_TIME = re.compile(r"^\[?\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[\d.,]*(?:Z|[+-]\d\d:?\d\d)?\]?\s+")


class Tail(Struct, frozen=True):
    """The last lines of one service's log; `written` in seconds since 1970, where it is known."""

    where: str
    lines: tuple[str, ...]
    written: float | None = None

    @property
    def of_the_last_run(self) -> Sequence[str]:
        """The lines since the service was started last, or ended last as it was told to."""
        for at in range(len(self.lines) - 1, -1, -1):
            if _OVER.search(self.lines[at]):
                return self.lines[at + 1 :]
        return self.lines

    @property
    def error(self) -> str:
        """The last error of the last run: of a traceback its last line; nothing where there is none."""
        lines = [line for line in self.of_the_last_run if not _EMPTY.search(line)]
        for pattern in (_EXCEPTION, _LEVEL):
            for at in range(len(lines) - 1, -1, -1):
                if pattern.match(lines[at]):
                    return _with_what_follows(lines, at)
        return ""

    def last(self, pattern: re.Pattern[str]) -> str:
        """The last line of the last run that this is found in."""
        found = (line for line in reversed(self.of_the_last_run) if pattern.search(line))
        return next(found, "")[:_LONGEST]

    def __str__(self) -> str:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.written or 0))
        return f"{self.where}, last written {when}" if self.written else self.where


def _with_what_follows(lines: Sequence[str], at: int) -> str:
    """An error's line, with the next ones that are indented: they tell more of it."""
    text = [lines[at].strip()]
    for line in lines[at + 1 : at + 4]:
        if not line[:1].isspace() or line.lstrip().startswith(("File ", "at ")):
            break
        text.append(line.strip())
    return " ".join(" ".join(text).split())[:_LONGEST]


class Logs(Fact, frozen=True):
    """The ends of the services' log files; those of containers are asked for one by one."""

    files: Mapping[str, Tail]
    names: Mapping[str, str]
    """Where each service's log file is to be, there or not."""
    containers: Containers
    closed: Mapping[str, str]
    """Log files that this user can't read, with the reason."""
    own: frozenset[str] = frozenset()
    """The platform's own modules: what a log misses of those is no package."""

    live = True

    @classmethod
    def read(cls, platform: Platform, containers: Containers) -> Logs:
        files: dict[str, Tail] = {}
        closed: dict[str, str] = {}
        names = {service: log_name(platform, service) for service in platform.config.services}
        for service, name in names.items():
            try:
                outputs = (name, output_name(platform, service))
                ends = [end for n in outputs if (end := tail_of(platform.path(n), n))]
                if ends:
                    files[service] = max(ends, key=lambda end: end.written or 0)
            except OSError as error:
                closed[service] = f"{name}: {error.strerror}"
        return cls(files, names, containers, closed, frozenset(own_modules(platform)))

    def of(self, service: str) -> Tail | None:
        """The end of a service's log: of its container where that is what runs or ran last."""
        file = self.files.get(service)
        contained = self._of_container(service)
        if contained and (file is None or (contained.written or 0) > (file.written or 0)):
            return contained
        return file

    def _of_container(self, service: str) -> Tail | None:
        try:
            container = self.containers.of(service)
            if container is None:
                return None
            lines = self.containers.log(container, _LINES)
        except Unreadable:
            return None
        return Tail(f"docker logs {container.name}", plain(lines), container.changed)


def own_modules(platform: Platform) -> Iterator[str]:
    """The names that an import of the platform's own code begins with."""
    for root in platform.config.source_roots:
        try:
            with os.scandir(platform.path(root)) as entries:
                yield from (entry.name.removesuffix(".py") for entry in entries)
        except OSError:
            continue


def log_name(platform: Platform, service: str) -> str:
    """Where a service's log file is: the configuration's pattern, or a folder of such files."""
    pattern = platform.config.logs
    if "{service}" not in pattern:
        pattern = f"{pattern.rstrip('/')}/{{service}}.log"
    return pattern.replace("{service}", service)


def output_name(platform: Platform, service: str) -> str:
    """Where the output of a service goes that `up --local` starts and that writes its log itself."""
    name = log_name(platform, service)
    return f"{name.removesuffix('.log')}.out.log"


def tail_of(path: Path, name: str) -> Tail | None:
    """The end of a file, or None where there is none; raises OSError."""
    return tail_from(path, name, 0)


def tail_from(path: Path, name: str, start: int) -> Tail | None:
    """The same of what comes after so many bytes."""
    if not path.is_file():  # nor a pipe, which would never end
        return None
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        start = start if start <= status.st_size else 0
        file.seek(max(start, status.st_size - _BYTES))
        data = file.read(_BYTES)
    if len(data) < status.st_size - start:
        data = data.partition(b"\n")[2]  # a line that begins before
    text = data.decode("utf-8", "replace")
    return Tail(name, plain(text.splitlines()), status.st_mtime)


def plain(lines: Sequence[str]) -> tuple[str, ...]:
    """The last lines without a terminal's colours and without the time that each begins with."""
    return tuple(_TIME.sub("", _COLOUR.sub("", line)).rstrip()[:2000] for line in lines[-_LINES:])
