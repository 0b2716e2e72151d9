"""The JSON document, schema 1: keys may be added, none is renamed or removed."""

from __future__ import annotations

import json
import re
from typing import Any

from saas_doctor import __version__
from saas_doctor.model import Finding, Report, Result, Severity, Status
from saas_doctor.redact import redact


def render(report: Report) -> str:
    text = json.dumps(document(report), ensure_ascii=False, indent=2)
    # Bytes of a file's name that are no UTF-8: as an escape they can be written, and read back.
    text = re.sub(r"[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)
    return text + "\n"


def document(report: Report) -> dict[str, Any]:
    """The report as plain JSON values; durations are whole milliseconds."""
    summary: dict[str, int] = {s.value: report.count_severity(s) for s in Severity}
    for status in Status:
        if status is not Status.FAILED:
            summary[status.value] = report.count(status)
    summary["baselined"] = len(report.baselined)
    summary["duration_ms"] = round(report.duration * 1000)
    causes = {result.code: report.causes(result.code) for result in report.results}
    return {
        "schema": 1,
        "tool": {"name": "saas-doctor", "version": __version__},
        "platform": {"directory": report.directory, "python": report.python},
        "summary": summary,
        "checks": [_check(result) for result in report.results],
        "findings": [_finding(f, causes[f.code]) for f in report.findings],
        "ignored": [
            {"code": f.code, "target": redact(f.key[1]), "message": f.message, "reason": reason}
            for result in report.results
            for f, reason in result.ignored
        ],
        "baselined": [_finding(f, causes[f.code]) for f in report.baselined],
        "gone": [
            {"code": one.code, "path": one.path or None, "about": one.about, "count": one.count}
            for one in report.gone
        ],
        "notes": list(report.notes),
    }


def _check(result: Result) -> dict[str, Any]:
    return {
        "code": result.code,
        "title": result.title,
        "status": result.status.value,
        "blocked_by": result.blocked_by,
        "reason": result.reason,
        "duration_ms": round(result.duration * 1000),
    }


def _finding(finding: Finding, causes: list[str]) -> dict[str, Any]:
    place = finding.place
    return {
        "code": finding.code,
        "severity": finding.severity and finding.severity.value,
        "message": finding.message,
        "target": redact(finding.key[1]),
        "location": place and {"path": place.path, "line": place.line, "column": place.column},
        "evidence": finding.evidence,
        "causes": causes,
        "next_step": finding.next_step,
        "fix": finding.fix and {"title": finding.fix.title, "risk": finding.fix.risk.value},
    }
