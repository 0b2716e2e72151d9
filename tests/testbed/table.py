"""Prints the table of faults and look-alikes with their verdicts, for `make faults`."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

from tests.faults import Fault, all_of

_ENTRY = re.compile(r"test_faults\.py::test_a_(fault|look_alike)_\w+\[([A-Z]+\d+)-(.*)\](?:@\w+)?$")
_BY_HAND = {str(fault) for fault in all_of(Fault) if not fault.fixed}


class Table:
    """A pytest plugin: gathers the verdicts of the table's entries and prints them at the end."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, str], str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found = _ENTRY.search(report.nodeid)
        if found and (report.when == "call" or not report.passed):
            kind, code, name = found.groups()
            verdict = _good(kind, code, name) if report.passed else report.outcome.upper()
            self.rows[code, kind, name] = verdict

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for line in lines(self.rows):
            terminalreporter.write_line(line)


def _good(kind: str, code: str, name: str) -> str:
    if kind == "look_alike":
        return "silent"
    by_hand = f"{code}-{name}" in _BY_HAND
    return "found alone; mended by hand" if by_hand else "found alone; fixed; undone"


def lines(rows: dict[tuple[str, str, str], str]) -> Iterable[str]:
    """The table: code, what it is, name, verdict; then how many there are."""
    width = max((len(name) for _, _, name in rows), default=0)
    for (code, kind, name), verdict in sorted(rows.items()):
        title = name.replace("-", " ")
        yield f"{code:<8} {kind.replace('_', '-'):<10} {title:<{width}}  {verdict}"
    for kind, words in (("fault", "faults"), ("look_alike", "look-alikes")):
        verdicts = {row: verdict for row, verdict in rows.items() if row[1] == kind}
        good = sum(verdict == _good(k, c, n) for (c, k, n), verdict in verdicts.items())
        codes = len({code for code, _, _ in verdicts})
        yield f"{len(verdicts)} {words} of {codes} codes, {good} as they should be"
