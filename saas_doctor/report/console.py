"""The report for a person: causes first, each with its evidence, its next step and what waits for it."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from saas_doctor.model import Finding, Report, Result, Risk, Severity, Status

_STYLE = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.INFO: "bold blue"}
_LABEL = 11


def render(report: Report, console: Console, *, verbose: bool = False) -> None:
    """Print the report. `verbose` also lists the checks that hold and those skipped."""
    for note in report.notes:
        console.print(Text(f"note: {note}", style="yellow"), soft_wrap=True)
    for finding in sorted(report.findings, key=_order):
        _print_finding(console, finding, _waiting(report, finding))
    for results in _undecided(report):
        waiting = [w for result in results for w in _blocked_under(report, result.code)]
        _print_undecided(console, results, waiting)
    ignored = [(f, reason) for result in report.results for f, reason in result.ignored]
    for finding, reason in ignored:
        _line(console, "ignored", f"{finding.code} {finding.message} ({reason})", indent=0)
    if verbose:
        for result in report.results:
            if result.status in (Status.OK, Status.SKIPPED):
                why = f" ({result.reason})" if result.reason else ""
                no = "not so: " if result.status is Status.OK else ""
                _line(
                    console, result.status.value, f"{result.code} {no}{result.title}{why}", indent=0
                )
    console.print(Text(summary(report), style="bold"), soft_wrap=True)
    if any(f.fix for f in report.findings):
        console.print(Text("Mend what can be mended: saas-doctor fix"), soft_wrap=True)


def _order(finding: Finding) -> tuple[int, str]:
    return (finding.severity.rank if finding.severity else 0, finding.code)


def _print_finding(console: Console, finding: Finding, waiting: list[Result]) -> None:
    severity = finding.severity or Severity.ERROR
    head = Text.assemble(
        (f"{severity.value} {finding.code}", _STYLE[severity]), f"  {finding.message}"
    )
    console.print(head, soft_wrap=True)
    if finding.place:
        _line(console, "at", str(finding.place))
    for name, text in finding.evidence.items():
        _line(console, name.replace("_", " "), text)
    if finding.next_step:
        _line(console, "next", finding.next_step)
    if finding.fix:
        flag = " --allow-destructive" if finding.fix.risk is Risk.DESTRUCTIVE else ""
        command = f"saas-doctor fix --select {finding.code}{flag}"
        _line(console, "fix", f"{finding.fix.title}  ({command})")
    if waiting:
        _line(console, "blocked", ", ".join(r.code for r in waiting))
    console.print()


def _undecided(report: Report) -> Iterable[list[Result]]:
    """The checks that could not tell, those with one reason together."""
    groups: dict[tuple[Status, str | None], list[Result]] = {}
    for result in report.results:
        if result.status in (Status.UNKNOWN, Status.CRASHED) or result.undecided:
            groups.setdefault((result.status, result.reason), []).append(result)
    return groups.values()


def _print_undecided(console: Console, results: list[Result], waiting: list[Result]) -> None:
    first = results[0]
    crashed = first.status is Status.CRASHED
    word = Status.CRASHED.value if crashed else Status.UNKNOWN.value
    codes = ", ".join(result.code for result in results)
    title = f"  {first.title}" if len(results) == 1 else ""
    style = "bold red" if crashed else "bold magenta"
    console.print(Text.assemble((f"{word} {codes}", style), title), soft_wrap=True)
    _line(console, "because", first.reason or "it could not be examined")
    if waiting:
        _line(console, "blocked", ", ".join(result.code for result in waiting))
    console.print()


def _line(console: Console, label: str, text: str, *, indent: int = 4) -> None:
    first, *rest = text.splitlines() or [""]
    console.print(Text.assemble(" " * indent, (label.ljust(_LABEL), "dim"), first), soft_wrap=True)
    for line in rest:
        console.print(Text(" " * (indent + _LABEL) + line), soft_wrap=True)


def _blocked_under(report: Report, code: str) -> list[Result]:
    """The blocked checks whose root cause is this code."""
    return [
        result
        for result in report.results
        if result.status is Status.BLOCKED and report.causes(result.code)[-1:] == [code]
    ]


def _waiting(report: Report, finding: Finding) -> list[Result]:
    """What waits for a finding: shown once, under the first finding of its check."""
    first = next(f for f in report.findings if f.code == finding.code)
    return _blocked_under(report, finding.code) if finding is first else []


def summary(report: Report) -> str:
    """One line: what was found, how many causes, what could not be told, and how long it took."""
    parts = [
        _count(report.count_severity(severity), severity.value)
        for severity in Severity
        if report.count_severity(severity)
    ]
    blocked = report.count(Status.BLOCKED)
    head = ", ".join(parts) or "no finding"
    if blocked:
        causes = {report.causes(r.code)[-1] for r in report.results if r.status is Status.BLOCKED}
        head += f"; {_count(blocked, 'check')} blocked by {', '.join(sorted(causes))}"
    states = ", ".join(_states(report))
    return f"{head}  ({states + '; ' if states else ''}{report.duration:.2f} s)"


def _states(report: Report) -> Iterable[str]:
    for status in (Status.OK, Status.UNKNOWN, Status.CRASHED, Status.SKIPPED):
        if report.count(status):
            yield f"{report.count(status)} {status.value}"


def _count(number: int, noun: str) -> str:
    plural = noun if number == 1 or noun == "info" else f"{noun}s"
    return f"{number} {plural}"
