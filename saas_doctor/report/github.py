"""GitHub's annotations: commands in a job's log, shown beside the lines of a pull request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from saas_doctor.model import Finding, Report, Result, Severity, Status
from saas_doctor.report import outline, repository
from saas_doctor.report.printable import one_line, printable

SHOWN = 10
"""How many annotations of each level GitHub shows of one step."""
SUMMARY = 1_000_000
"""Characters of a job summary, below the 1 MiB that GitHub takes."""

_LEVEL = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def render(report: Report) -> str:
    """The annotations that GitHub shows; how many more there are; notes; the summary."""
    told: Counter[str] = Counter()
    lines = []
    for level, line in _annotations(report):
        told[level] += 1
        if told[level] <= SHOWN:
            lines.append(line)
    for level, number in told.items():
        if number > SHOWN:
            lines.append(f"and {outline.count(number - SHOWN, level)} more, in the job summary")
    lines += (f"note: {one_line(note)}" for note in report.notes)
    lines += filter(None, [outline.gone(report)])
    lines.append(outline.summary(report))
    return "\n".join(lines) + "\n"


def _annotations(report: Report) -> Iterator[tuple[str, str]]:
    for finding, waiting in outline.findings(report):
        yield _finding(report, finding, waiting)
    for results in outline.undecided(report):
        level = "error" if results[0].status is Status.CRASHED else "warning"
        codes = ", ".join(result.code for result in results)
        reason = results[0].reason or "it could not be examined"
        yield level, _command(level, f"could not tell: {reason}", title=f"saas-doctor {codes}")


def _finding(report: Report, finding: Finding, waiting: list[Result]) -> tuple[str, str]:
    level = _LEVEL[finding.severity or Severity.ERROR]
    told = [finding.message, *(f"{label}: {text}" for label, text in outline.details(finding))]
    if waiting:
        told.append(f"blocked: {', '.join(result.code for result in waiting)}")
    properties = {"title": f"saas-doctor {finding.code}"}
    if finding.place and repository.is_absolute(finding.place.path):
        told.insert(1, f"at: {finding.place}")
    elif finding.place:
        properties["file"] = printable(repository.path(report, finding.place))
        if finding.place.line:
            properties["line"] = str(finding.place.line)
        if finding.place.line and finding.place.column:
            properties["col"] = str(finding.place.column)
    return level, _command(level, "\n".join(told), **properties)


def _command(level: str, message: str, **properties: str) -> str:
    listed = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{level} {listed}::{_data(printable(message))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    # A line end in a file's name stays one, so that GitHub finds the file.
    return _data(text).replace(":", "%3A").replace(",", "%2C")
