"""Markdown: for a job summary, a comment or a ticket."""

from __future__ import annotations

import re
from collections.abc import Iterator

from saas_doctor.model import Finding, Report, Result, Severity, Status
from saas_doctor.report import outline
from saas_doctor.report.printable import one_line, printable

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$])")

_PROSE = ("next", "fix")


def render(report: Report, *, limit: int | None = None) -> str:
    """The report; `limit`: bytes after which the findings are only counted."""
    head = [f"# saas-doctor: {_text(outline.summary(report))}\n"]
    head += [f"> {_text(note)}\n" for note in report.notes]
    parts, size, left = head, sum(map(_size, head)), 0
    for part in _parts(report):
        if left or (limit and size + _size(part) > limit - 200):
            left += 1
            continue
        parts.append(part)
        size += _size(part)
    if left:
        parts.append(f"And {left} more, which don't fit here.\n")
    return "\n".join(parts)


def _size(text: str) -> int:
    return len(text.encode("utf-8")) + 1


def _parts(report: Report) -> Iterator[str]:
    for finding, waiting in outline.findings(report):
        yield _finding(finding, waiting)
    for results in outline.undecided(report):
        crashed = results[0].status is Status.CRASHED
        word = Status.CRASHED.value if crashed else Status.UNKNOWN.value
        codes = ", ".join(result.code for result in results)
        yield f"## {word} {codes}\n\n- because: {_value(results[0].reason or 'not examined')}\n"
    if report.baselined:
        number = outline.count(len(report.baselined), "finding")
        yield f"## in the baseline\n\n{number}, in {_code(one_line(report.baseline))}\n"
    if report.gone:
        yield f"## gone\n\n{_text(outline.gone(report))}\n"
    ignored = [pair for result in report.results for pair in result.ignored]
    if ignored:
        yield "## ignored\n"
    for finding, reason in ignored:
        yield f"- {finding.code} {_text(finding.message)} ({_text(reason)})"


def _finding(finding: Finding, waiting: list[Result]) -> str:
    severity = finding.severity or Severity.ERROR
    lines = [f"## {severity.value} {finding.code}: {_text(finding.message)}", ""]
    if finding.place:
        lines.append(f"- at: {_code(one_line(str(finding.place)))}")
    for label, text in outline.details(finding):
        lines.append(f"- {_text(label)}: {_text(text) if label in _PROSE else _value(text)}")
    if waiting:
        lines.append(f"- blocked: {', '.join(result.code for result in waiting)}")
    return "\n".join(lines) + "\n"


def _text(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", one_line(text))


def _value(text: str) -> str:
    """A text as it was found: one line as code, several as a block of code within the list."""
    text = printable(text).strip("\n")
    if "\n" not in text:
        return _code(text) if text.strip() else "(nothing)"
    fence = "`" * max(3, _longest_ticks(text) + 1)
    return "\n\n" + "\n".join(f"  {line}" for line in (fence, *text.split("\n"), fence)) + "\n"


def _code(text: str) -> str:
    ticks = "`" * (_longest_ticks(text) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def _longest_ticks(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
