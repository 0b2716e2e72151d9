"""GitLab's code quality report: a list of findings, as a merge request shows them."""

from __future__ import annotations

import json

from saas_doctor.model import Report, Severity
from saas_doctor.report import repository
from saas_doctor.report.printable import one_line

_SEVERITY = {Severity.ERROR: "critical", Severity.WARNING: "minor", Severity.INFO: "info"}


def render(report: Report) -> str:
    findings = report.findings
    issues = [
        {
            "description": one_line(finding.message),
            "check_name": finding.code,
            "fingerprint": mark,
            "severity": _SEVERITY[finding.severity or Severity.ERROR],
            "location": {
                "path": one_line(repository.path(report, finding.place)),
                "lines": {"begin": (finding.place and finding.place.line) or 1},
            },
        }
        for finding, mark in zip(findings, repository.fingerprints(findings), strict=True)
    ]
    return json.dumps(issues, ensure_ascii=False, indent=2) + "\n"
