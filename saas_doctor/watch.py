"""Examines a platform again whenever its files or its listeners change, and tells what changed."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from saas_doctor.facts import Facts
from saas_doctor.facts.addresses import Addresses
from saas_doctor.facts.dotenv import Settings
from saas_doctor.facts.interpreter import python_in
from saas_doctor.facts.listeners import listening
from saas_doctor.facts.ports import JUST_STARTED
from saas_doctor.model import Absent, Blocked, DoctorError, Finding, Report, Status, Unreadable
from saas_doctor.platform import Platform
from saas_doctor.walk import files

PAUSE = 1.0
"""Seconds between two looks."""
_LONGEST = 3.0
"""Seconds after which it is examined, though something still changes: a log, a database's file."""
_SETTLE = 0.3
"""Seconds in which nothing more may change before it is examined: editors write in steps."""
_PORT = re.compile(r":(\d{2,5})(?=[/?\s]|$)")


class Look(Struct, frozen=True):
    """What the platform's files and listeners look like at one moment."""

    files: Mapping[str, tuple[int, int]]
    listeners: frozenset[tuple[str, int, int]]

    @classmethod
    def at(cls, platform: Platform) -> Look:
        return cls(dict(_files(platform)), frozenset(_listeners(platform)))

    def changed(self, before: Look) -> list[str]:
        """The files that differ, and the ports."""
        names = self.files.keys() | before.files.keys()
        files = sorted(n for n in names if self.files.get(n) != before.files.get(n))
        ports = {port for _, port, _ in self.listeners ^ before.listeners}
        return files + [f"port {port}" for port in sorted(ports)]


class Change(Struct, frozen=True):
    """What an examination found that the one before did not, and what it no longer found.

    `because` is what had changed; nothing for the first examination. `problem` is why there was
    none, such as a configuration that can't be read meanwhile.
    """

    because: tuple[str, ...] = ()
    report: Report | None = None
    new: tuple[Finding, ...] = ()
    gone: tuple[Finding, ...] = ()
    new_unknown: tuple[str, ...] = ()
    problem: str = ""


def watch(
    load: Callable[[], Platform],
    examine: Callable[[Platform], Report],
    *,
    pause: float = PAUSE,
) -> Iterator[Change]:
    """The first examination, then one for each change; those that change nothing found are left out."""
    platform = load()
    look = Look.at(platform)
    report = examine(platform)
    yield Change(report=report, new=tuple(report.findings))
    again = time.monotonic() + JUST_STARTED + 1  # what is too young to judge is judged then
    problem = ""
    while True:
        time.sleep(pause)
        now = Look.at(platform)
        because = now.changed(look)
        if not because and time.monotonic() < again:
            continue
        late = time.monotonic() + _LONGEST
        while because and time.monotonic() < late:
            time.sleep(min(_SETTLE, pause))
            settled = Look.at(platform)
            if settled == now:
                break
            now = settled
        because = now.changed(look)
        again = time.monotonic() + JUST_STARTED + 1 if because else float("inf")
        look = now
        root = platform.root
        try:
            platform = load()
            if platform.root != root:  # the folder that it was begun in has been moved as a whole
                because = [f"the folder is {platform.root} now"]
            before, report = report, examine(platform)
        except DoctorError as error:
            if str(error) != problem:
                problem = str(error)
                yield Change(tuple(because), problem=problem)
            continue
        change = _between(before, report, because)
        moved = platform.root != root
        if change.new or change.gone or change.new_unknown or problem or moved:
            yield change
        problem = ""


def _between(before: Report, after: Report, because: list[str]) -> Change:
    old = {f.key: f for f in before.findings}
    now = {f.key: f for f in after.findings}
    unknown = _unknown(after) - _unknown(before)
    # What could not be examined this time, or waits for another, is not gone.
    examined = {r.code for r in after.results if r.status in (Status.OK, Status.FAILED)}
    return Change(
        tuple(because),
        after,
        tuple(f for key, f in now.items() if key not in old),
        tuple(f for key, f in old.items() if key not in now and key[0] in examined),
        tuple(sorted(unknown)),
    )


def _unknown(report: Report) -> set[str]:
    return {
        f"{r.code}: {r.reason}"
        for r in report.results
        if r.status in (Status.UNKNOWN, Status.CRASHED) or r.undecided
    }


def _files(platform: Platform) -> Iterator[tuple[str, tuple[int, int]]]:
    """What the facts may read: all below the root but caches, logs, and what is installed."""
    for entry in files(platform):
        try:
            status = entry.stat()
        except OSError:  # gone meanwhile, or a link to nothing, as editors make to lock
            continue
        name = os.path.relpath(entry.path, platform.root)
        yield name, (status.st_mtime_ns, status.st_size)
    environment = platform.path(platform.config.environment)
    for path in (environment / "pyvenv.cfg", python_in(environment), *_site_packages(environment)):
        try:
            yield platform.relative(path), (path.stat().st_mtime_ns, 0)
        except OSError:
            continue


def _site_packages(environment: Path) -> list[Path]:
    """Its folder changes with every package that is installed or removed."""
    return [*environment.glob("lib/python3*/site-packages"), environment / "Lib/site-packages"]


def _listeners(platform: Platform) -> set[tuple[str, int, int]]:
    """Who listens at the ports of the services, and at those that the settings name."""
    facts = Facts(platform)
    ports: set[int] = set()
    with suppress(Absent, Blocked, Unreadable):
        ports |= {a.port for a in facts.get(Addresses).services.values()}
    with suppress(Absent, Blocked, Unreadable):
        values = facts.get(Settings).values.values()
        ports |= {int(port) for value in values for port in _PORT.findall(value)}
    if platform.config.frontend:
        ports |= {int(p) for o in platform.config.frontend.origins for p in _PORT.findall(o)}
    try:
        found, _ = listening(ports)
    except Unreadable:
        return set()
    return {(one.address, one.port, one.process.pid if one.process else 0) for one in found}
