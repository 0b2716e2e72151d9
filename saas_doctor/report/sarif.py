"""SARIF 2.1.0: a rule for each check with its documentation, a result for each finding.

What a baseline accepts is a suppressed result. What could not be told or crashed, what was ignored,
and what of the baseline is gone, are notifications of the run.
"""

from __future__ import annotations

import json
from pathlib import PureWindowsPath
from typing import Any
from urllib.parse import quote

from saas_doctor import __version__, rules
from saas_doctor.model import Finding, Place, Report, Result, Severity, Status
from saas_doctor.redact import redact
from saas_doctor.report import outline, repository
from saas_doctor.report.printable import printable

_LEVEL = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def render(report: Report) -> str:
    return json.dumps(document(report), ensure_ascii=False, indent=2) + "\n"


def document(report: Report) -> dict[str, Any]:
    """The log as plain JSON values."""
    index = {result.code: number for number, result in enumerate(report.results)}
    findings = [f for result in report.results for f in (*result.findings, *result.baselined)]
    marks = repository.fingerprints(findings)
    accepted = {id(finding) for finding in report.baselined}
    results = [
        _result(report, finding, index[finding.code], mark)
        | _state(report, old=id(finding) in accepted)
        for finding, mark in zip(findings, marks, strict=True)
    ]
    driver = {
        "name": "saas-doctor",
        "version": __version__,
        "rules": [_rule(result) for result in report.results],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(report)],
        "results": results,
    }
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    }


def _rule(result: Result) -> dict[str, Any]:
    check = rules.checks()[result.code]
    return {
        "id": result.code,
        "shortDescription": {"text": result.title},
        "fullDescription": {"text": result.title},
        "help": {"text": check.document, "markdown": check.document},
        "defaultConfiguration": {"level": _LEVEL[check.severity]},
        "properties": {"tags": [outline.PARTS[outline.family(result.code)]]},
    }


def _result(report: Report, finding: Finding, rule: int, mark: str) -> dict[str, Any]:
    told = [f"{label}: {text}" for label, text in outline.details(finding)]
    further = [{"physicalLocation": _physical(report, place)} for place in finding.also]
    return {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": _LEVEL[finding.severity or Severity.ERROR],
        "message": {"text": printable("\n".join([finding.message, *told]))},
        "locations": [_location(report, finding)],
        **({"relatedLocations": further} if further else {}),
        "partialFingerprints": {"saasDoctor/v1": mark},
    }


def _state(report: Report, *, old: bool) -> dict[str, Any]:
    """Whether a result is new or accepted, where there is a baseline."""
    if not report.baseline:
        return {}
    if not old:
        return {"baselineState": "new", "suppressions": []}
    why = {
        "kind": "external",
        "status": "accepted",
        "justification": printable(f"in {report.baseline}"),
    }
    return {"baselineState": "unchanged", "suppressions": [why]}


def _location(report: Report, finding: Finding) -> dict[str, Any]:
    """The finding's place. One is always given, the platform's folder at least: GitHub refuses a
    file in which one result has none."""
    location: dict[str, Any] = {"physicalLocation": _physical(report, finding.place)}
    if finding.target:
        location["logicalLocations"] = [
            {"name": printable(redact(finding.target)), "kind": "resource"}
        ]
    return location


def _physical(report: Report, place: Place | None) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": _artifact(repository.path(report, place))}
    if place and place.line:
        physical["region"] = {"startLine": place.line}
        if place.column:
            physical["region"]["startColumn"] = place.column
    return physical


def _artifact(file: str) -> dict[str, str]:
    if repository.is_absolute(file):
        drive = PureWindowsPath(file).drive
        return {"uri": f"file://{'/' if drive else ''}{_quoted(file.replace(chr(92), '/'))}"}
    return {"uri": _quoted(file), "uriBaseId": "%SRCROOT%"}


def _quoted(file: str) -> str:
    # A colon in the first part would be read as a scheme: it is quoted, too.
    return quote(file.encode("utf-8", "surrogateescape"), safe="/")


def _invocation(report: Report) -> dict[str, Any]:
    notes = []
    for result in report.results:
        if result.undecided or result.status in (Status.UNKNOWN, Status.CRASHED):
            level = "error" if result.status is Status.CRASHED else "warning"
            notes.append(_notification(result.code, level, f"not told: {result.reason}"))
        for finding, reason in result.ignored:
            notes.append(
                _notification(result.code, "note", f"ignored: {finding.message} ({reason})")
            )
    told = [*report.notes, *filter(None, [outline.gone(report)])]
    notes += [{"level": "note", "message": {"text": printable(note)}} for note in told]
    return {
        "executionSuccessful": report.count(Status.CRASHED) == 0,
        "toolExecutionNotifications": notes,
    }


def _notification(code: str, level: str, text: str) -> dict[str, Any]:
    return {
        "level": level,
        "message": {"text": printable(f"{code}: {text}")},
        "associatedRule": {"id": code},
    }
