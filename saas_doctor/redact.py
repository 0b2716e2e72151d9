"""The one redactor: masks secrets in everything that is shown, logged or journalled."""

from __future__ import annotations

import re
from dataclasses import replace

from saas_doctor.model import Finding, Place

MASK = "***"

_USERINFO = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.\-]*://)(?P<user>[^\s:/@'\"]*):(?P<password>[^\s/'\"]+)@", re.I
)
_ASSIGNMENT = re.compile(
    r"(?P<key>\b[\w.\-]*(?:password|passwd|secret|token|api_?key|private_?key)[\w.\-]*)"
    r"(?P<sign>\s*[=:]\s*)(?P<quote>[\"']?)(?P<value>[^\s\"',;]+)",
    re.I,
)
_SQL = re.compile(r"(\bPASSWORD\s+)'(?:[^']|'')*'", re.I)


def redact(text: str) -> str:
    """The text with passwords in URLs, and values of secret-looking keys, masked."""
    text = _USERINFO.sub(lambda m: f"{m['scheme']}{m['user']}:{MASK}@", text)
    text = _SQL.sub(rf"\1'{MASK}'", text)
    return _ASSIGNMENT.sub(lambda m: f"{m['key']}{m['sign']}{m['quote']}{MASK}", text)


def redact_finding(finding: Finding) -> Finding:
    """The finding with every text that is shown masked; `data`, which the fix needs, is kept."""
    place = finding.place and Place(
        redact(finding.place.path), finding.place.line, finding.place.column
    )
    return replace(
        finding,
        message=redact(finding.message),
        looked_at=redact(finding.looked_at),
        found=redact(finding.found),
        wanted=redact(finding.wanted),
        next_step=redact(finding.next_step),
        place=place,
        more={key: redact(value) for key, value in finding.more.items()},
    )
