"""What the stack's containers are doing, and what they wrote."""

from __future__ import annotations

import heapq
import queue
import re
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from functools import partial

from saas_doctor.stack import LogLine, Member
from saas_doctor.stack.docker.engine import Engine
from saas_doctor.stack.docker.found import Row, moment, rows
from saas_doctor.stack.docker.work import each

_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z ")
_LOOK = 0.5
"""Seconds between two looks for containers that came up since."""


def members(engine: Engine, project: str) -> list[Member]:
    """All containers of the project, in the order of their services."""
    found = rows(engine, project)
    told = each((row.identity, partial(_member, engine, row)) for row in found)
    return _sorted(filter(None, told.values()))


def listed(engine: Engine, project: str) -> list[Member]:
    """The same without what each of them has to be asked for: since when, restarts, memory."""
    return _sorted(
        Member(row.service, row.name, row.state, row.health, row.ports, exit_code=row.exit_code)
        for row in rows(engine, project)
    )


def _sorted(members: Iterable[Member]) -> list[Member]:
    return sorted(members, key=lambda m: (m.service, m.name))


def _member(engine: Engine, row: Row) -> Member | None:
    import docker

    with suppress(docker.errors.NotFound):
        found = engine.api.inspect_container(row.identity)
        state = found["State"]
        return Member(
            row.service,
            row.name,
            row.state,
            row.health,
            row.ports,
            moment(state["StartedAt"] if row.runs else state["FinishedAt"]),
            _memory(engine, row.identity) if row.state == "running" else None,
            int(found.get("RestartCount") or 0),
            None if row.runs or row.state == "created" else int(state["ExitCode"]),
        )
    return None


def _memory(engine: Engine, identity: str) -> int | None:
    """The memory that it uses, as `docker stats` counts it: without what the kernel could take back."""
    found = engine.api.stats(identity, stream=False, one_shot=True).get("memory_stats") or {}
    if "usage" not in found:
        return None
    details = found.get("stats") or {}
    return int(found["usage"]) - int(
        details.get("total_inactive_file", details.get("inactive_file", 0))
    )


def logs(
    engine: Engine,
    project: str,
    services: Sequence[str],
    *,
    tail: int | None,
    since: datetime | None,
    follow: bool,
) -> Iterator[LogLine]:
    """The lines of these services (all where none is named) by time; `follow`: until none runs."""
    chosen = _chosen(engine, project, services)
    if not follow:
        histories = each(
            (row.identity, partial(_lines, engine, row, tail, since)) for row in chosen
        )
        yield from heapq.merge(*histories.values(), key=lambda line: line.at or _EVER)
        return
    yield from _followed(engine, project, services, tail, since)


def _lines(engine: Engine, row: Row, tail: int | None, since: datetime | None) -> list[LogLine]:
    return list(_read(engine, row, tail, since, follow=False))


_EVER = datetime(1, 1, 1, tzinfo=timezone.utc)


def _chosen(engine: Engine, project: str, services: Iterable[str]) -> list[Row]:
    wanted = set(services)
    return [row for row in rows(engine, project) if not wanted or row.service in wanted]


def _followed(
    engine: Engine,
    project: str,
    services: Sequence[str],
    tail: int | None,
    since: datetime | None,
) -> Iterator[LogLine]:
    lines: queue.SimpleQueue[LogLine | str] = queue.SimpleQueue()
    readers: dict[str, datetime | None] = {}
    last: dict[str, datetime] = {}

    def read(row: Row, tail: int | None, since: datetime | None) -> None:
        try:
            for line in _read(engine, row, tail, since, follow=True):
                lines.put(line)
                if line.at:
                    last[row.identity] = line.at
        finally:
            lines.put(row.identity)

    looked = 0.0
    while True:
        if time.monotonic() - looked > _LOOK:
            looked = time.monotonic()
            found = _chosen(engine, project, services)
            for row in found:
                again = row.identity in last
                if row.identity not in readers and (row.runs or row.identity not in last):
                    readers[row.identity] = None
                    begin = last.get(row.identity, since)
                    threading.Thread(
                        target=read, args=(row, None if again else tail, begin), daemon=True
                    ).start()
            if not any(row.runs for row in found) and not readers and lines.empty():
                return
        with suppress(queue.Empty):
            item = lines.get(timeout=0.1)
            if isinstance(item, str):
                readers.pop(item, None)
                last.setdefault(item, datetime.now(timezone.utc))
            else:
                yield item


def _read(
    engine: Engine, row: Row, tail: int | None, since: datetime | None, *, follow: bool
) -> Iterator[LogLine]:
    import docker

    with suppress(docker.errors.NotFound):
        stream = engine.api.logs(
            row.identity,
            stdout=True,
            stderr=True,
            stream=True,
            follow=follow,
            timestamps=True,
            tail="all" if tail is None else tail,
            since=_instant(since) if since else None,
        )
        rest = b""
        for chunk in stream:
            *whole, rest = (rest + chunk).split(b"\n")
            yield from (_line(row.service, line) for line in whole)
        if rest:
            yield _line(row.service, rest)


def _instant(at: datetime) -> float:
    """Just behind a line that was seen already: by more than a float and `at` leave open."""
    return at.timestamp() + 2e-6


def _line(service: str, data: bytes) -> LogLine:
    text = data.decode("utf-8", "replace").rstrip("\r")
    stamp = _STAMP.match(text)
    if stamp is None:
        return LogLine(service, text)
    micros = (stamp[2] or "").ljust(6, "0")[:6]
    at = datetime.fromisoformat(f"{stamp[1]}.{micros}+00:00")
    return LogLine(service, text[stamp.end() :], at)
