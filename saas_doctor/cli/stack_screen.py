"""What the commands about the stack write: progress, plans, failures, and what is up."""

from __future__ import annotations

import re
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from saas_doctor.report.printable import one_line

if TYPE_CHECKING:
    from saas_doctor.report.console import Line
    from saas_doctor.stack import Change, Failure, Member

_GOOD = ("healthy", "running", "finished")
_STYLES = {"create": "green", "recreate": "yellow", "remove": "red", "stop": "red", "keep": "dim"}


class Teller:
    """Says what happens, a line each, to standard error; threads may speak at the same time."""

    def __init__(self, names: Iterable[str]) -> None:
        self._width = max((len(name) for name in names), default=0)
        self._lock = threading.Lock()

    def __call__(self, name: str, text: str) -> None:
        from saas_doctor.cli.screen import show

        style = "green" if text.startswith(_GOOD) else ""
        with self._lock:
            show([[(f"{name:<{self._width}}  ", "bold"), (one_line(text), style)]], sys.stderr)
            sys.stderr.flush()


def change_lines(changes: Sequence[Change]) -> Iterator[Line]:
    """A plan: what happens to which thing, and why."""
    kinds = max((len(c.kind) for c in changes), default=0)
    names = max((len(c.name) for c in changes), default=0)
    for change in changes:
        name = (
            f"{change.name:<{names}}  {one_line(change.reason)}" if change.reason else change.name
        )
        text = f"{change.verb.value:<8}  {change.kind:<{kinds}}  {name}"
        yield [(text, _STYLES.get(change.verb.value, ""))]


def failure_lines(failures: Iterable[Failure]) -> Iterator[Line]:
    """Why it is not up: each with what was seen and what to do."""
    for failure in failures:
        code = f" ({failure.code})" if failure.code else ""
        yield [(f"failed: {one_line(failure.what)}{code}", "bold red")]
        for line in folded(line for text in failure.evidence for line in text.splitlines()):
            yield [(f"    {one_line(line)}", "")]
        yield [(f"  next: {one_line(failure.next_step)}", "cyan")]


_CALLER = re.compile(r"\b(\d{1,3}(?:\.\d{1,3}){3}):\d+(?= - \")")
"""Who made a request, as uvicorn writes it: each has a port of its own."""


def folded(lines: Iterable[str]) -> Iterator[str]:
    """The lines in their order, one request that was made several times as one with their number."""
    kept = [(line, _CALLER.sub(r"\1", line) if _CALLER.search(line) else "") for line in lines]
    times = Counter(request for _, request in kept)
    for line, request in kept:
        if not request:
            yield line
        elif number := times.pop(request, 0):
            yield f"{request} ({number} times)" if number > 1 else line


def members_up(members: Sequence[Member], backend: str, took: float) -> Iterator[Line]:
    """What is up, with the addresses on this machine."""
    running = [m for m in members if m.state == "running"]
    over = [m for m in members if m.state != "running"]
    done = f", {len(over)} finished" if over else ""
    yield [(f"Up ({backend}) after {took:.1f} s: {len(running)} running{done}", "bold green")]
    reached = [(m.service, places) for m in running if (places := addresses(m))]
    width = max((len(service) for service, _ in reached), default=0)
    for service, places in reached:
        yield [(f"  {service:<{width}}  {', '.join(places)}", "")]


def addresses(member: Member) -> list[str]:
    """Where it is reached from this machine."""
    return [place for port in member.ports if (place := address(port))]


def address(port: str) -> str:
    """Where a port is reached from this machine; empty for one that is inside alone."""
    outside, arrow, inside = port.partition("->")
    if not arrow:
        return "" if "/" in outside else outside
    place = outside.replace("0.0.0.0", "127.0.0.1", 1)
    return place if inside.endswith("/tcp") else f"{place}/{inside.partition('/')[2]}"
