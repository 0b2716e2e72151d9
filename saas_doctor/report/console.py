"""The report for a person: causes first, each with its evidence, its next step and what waits for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from saas_doctor.model import Finding, Report, Result, Severity, Status
from saas_doctor.report import outline
from saas_doctor.report.outline import PARTS, blocked_under, family, summary
from saas_doctor.report.printable import one_line

if TYPE_CHECKING:
    from saas_doctor.watch import Change

Line = list[tuple[str, str]]
"""Pieces of text with a style each (rich's names; "" for none)."""

_STYLE = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.INFO: "bold blue"}
_LABEL = 11
_LONG = 300
_FEW = 3


def render(report: Report, *, verbose: bool = False, advice: bool = True) -> Iterator[Line]:
    """The lines of the report. `verbose` also lists the checks that hold and those skipped, and
    shortens no list; `advice`: what to do next, which a fix that just ran leaves out."""
    for note in report.notes:
        yield [(f"note: {note}", "yellow")]
    for finding, waiting in outline.findings(report):
        yield from _finding(finding, waiting, verbose=verbose)
    for results in outline.undecided(report):
        waiting = [w for result in results for w in blocked_under(report, result.code)]
        yield from _undecided_lines(results, waiting)
    for result in report.results:
        for finding, reason in result.ignored:
            yield from _labelled("ignored", f"{_one_line(finding)} ({reason})", indent=0)
    if report.gone:
        shown = len(report.gone) if verbose else _FEW
        yield from _labelled("gone", outline.gone(report, shown), indent=0)
    if verbose:
        for finding in report.baselined:
            yield from _labelled("accepted", _one_line(finding), indent=0)
        for result in report.results:
            yield from _plain_verdict(result)
    yield from _parts(report)
    yield [(summary(report), "bold")]
    fixable = [f for f in report.findings if f.fix and advice]
    if any(f.severity is not Severity.INFO for f in fixable):
        yield [("Mend what can be mended: saas-doctor fix", "")]
    elif fixable:
        codes = ",".join(dict.fromkeys(f.code for f in fixable))
        yield [(f"What breaks nothing can be mended too: saas-doctor fix --select {codes}", "")]


def render_change(change: Change, when: str) -> Iterator[Line]:
    """What changed since the examination before: what had changed, what is new, what is gone."""
    shown = ", ".join(change.because[:3]) or "time passed"
    more = f" and {len(change.because) - 3} more" if len(change.because) > 3 else ""
    yield [(f"--- {when}  {shown}{more}", "bold")]
    if change.problem:
        yield [(f"not examined: {change.problem}", "bold magenta")]
    for finding in sorted(change.gone, key=outline.order):
        yield [("gone ", "bold green"), (f"{finding.code}  {finding.message}", "")]
    for finding in sorted(change.new, key=outline.order):
        first, *rest = _finding(finding, [], verbose=False)
        yield [("new  ", "bold"), *first]
        yield from rest
    for text in change.new_unknown:
        yield [("new  ", "bold"), (f"unknown {text}", "bold magenta")]
    if change.report:
        yield [(summary(change.report), "bold")]


def _finding(finding: Finding, waiting: list[Result], *, verbose: bool) -> Iterator[Line]:
    severity = finding.severity or Severity.ERROR
    yield [
        (f"{severity.value} {finding.code}", _STYLE[severity]),
        (f"  {one_line(finding.message)}", ""),
    ]
    if finding.place:
        yield from _labelled("at", one_line(str(finding.place)))
    for name, text in finding.evidence.items():
        yield from _labelled(name.replace("_", " "), text if verbose else _shortened(text))
    if finding.next_step:
        yield from _labelled("next", finding.next_step)
    if finding.fix:
        yield from _labelled("fix", f"{finding.fix.title}  ({outline.fix_command(finding)})")
    if waiting:
        yield from _labelled("blocked", ", ".join(r.code for r in waiting))
    yield []


def _one_line(finding: Finding) -> str:
    place = f"{finding.place}: " if finding.place else ""
    return one_line(f"{finding.code} {place}{finding.message}")


def _shortened(text: str) -> str:
    """A long list with its first items only: nobody reads the fortieth; `-v` and JSON have them."""
    if len(text) <= _LONG or "\n" in text:
        return text
    kept = text[:_LONG].rpartition(", ")[0]
    left = text.count(", ", len(kept))
    return f"{kept} and {left} more (all: -v)" if kept else text


def _undecided_lines(results: list[Result], waiting: list[Result]) -> Iterator[Line]:
    first = results[0]
    crashed = first.status is Status.CRASHED
    word = Status.CRASHED.value if crashed else Status.UNKNOWN.value
    codes = ", ".join(result.code for result in results)
    title = f"  {first.title}" if len(results) == 1 else ""
    yield [(f"{word} {codes}", "bold red" if crashed else "bold magenta"), (title, "")]
    yield from _labelled("because", first.reason or "it could not be examined")
    if waiting:
        yield from _labelled("blocked", ", ".join(result.code for result in waiting))
    yield []


def _plain_verdict(result: Result) -> Iterator[Line]:
    if result.status in (Status.OK, Status.SKIPPED):
        why = f" ({result.reason})" if result.reason else ""
        no = "not so: " if result.status is Status.OK else ""
        yield from _labelled(
            result.status.value, f"{result.code} {no}{result.title}{why}", indent=0
        )


def _labelled(label: str, text: str, *, indent: int = 4) -> Iterator[Line]:
    first, *rest = text.splitlines() or [""]
    yield [(" " * indent + label.ljust(_LABEL), "dim"), (first, "")]
    for line in rest:
        yield [(" " * (indent + _LABEL) + line, "")]


def _parts(report: Report) -> Iterator[Line]:
    """One line for each part of the platform: the worst of its checks; first, where it is."""
    width = max(map(len, PARTS.values())) + 2
    if not _is_here(report.directory):
        yield [("platform".ljust(width), ""), (report.directory, "")]
    for prefix, name in PARTS.items():
        results = [r for r in report.results if family(r.code) == prefix]
        if results:
            text, style = _verdict(report, results)
            yield [(name.ljust(width), ""), (text, style)]
    yield []


def _is_here(folder: str) -> bool:
    """Whether it is the folder that the reader is in, who then need not be told."""
    try:
        return os.path.samefile(folder, os.curdir)
    except OSError:
        return False


def _verdict(report: Report, results: list[Result]) -> tuple[str, str]:
    """The worst verdict of a part's checks in a few words, with its style."""
    findings = [f for result in results for f in result.findings]
    worst = min((f.severity for f in findings if f.severity), key=lambda s: s.rank, default=None)
    codes = ", ".join(dict.fromkeys(f.code for f in findings if f.severity is worst))
    untold = [r for r in results if r.undecided or r.status in (Status.UNKNOWN, Status.CRASHED)]
    blocked = [report.causes(r.code)[-1] for r in results if r.status is Status.BLOCKED]
    if worst and worst is not Severity.INFO:
        return f"{worst.value}  {codes}", _STYLE[worst]
    if untold:
        return f"unknown  {', '.join(r.code for r in untold)}", "bold magenta"
    if blocked:
        return f"waits for {', '.join(sorted(set(blocked)))}", "yellow"
    if worst:
        return f"info  {codes}", _STYLE[worst]
    accepted = dict.fromkeys(f.code for result in results for f in result.baselined)
    if accepted:
        return f"in the baseline  {', '.join(accepted)}", "dim"
    if all(result.status is Status.SKIPPED for result in results):
        return f"not examined: {results[0].reason}", "dim"
    return "ok", "green"
