"""The one redactor: masks secrets in everything that is shown, logged or journalled."""

from __future__ import annotations

import re

from msgspec.structs import replace

from saas_doctor.model import Finding, Place

MASK = "***"

_USERINFO = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.\-]*://)(?P<user>[^\s:/@'\"]*):(?P<password>[^\s'\"]+)@", re.I
)
_SECRET = r"[\w.\-]*(?:password|passwd|secret|token|api_?key|private_?key)[\w.\-]*"
# `KEY=value` anywhere; `key: value` only as a line of its own, for prose has colons too.
_ASSIGNMENT = re.compile(
    rf"(?P<key>\b{_SECRET})(?P<sign>\s*=\s*)(?P<quote>[\"']?)(?P<value>[^\s\"',;]+)"
    rf"|(?P<key2>^[ \t+\-]*[\"']?{_SECRET}[\"']?)(?P<sign2>:\s+)(?P<quote2>[\"']?)(?P<value2>[^\s\"',;]+)",
    re.I | re.M,
)
_SQL = re.compile(r"(\bPASSWORD\s+)'(?:[^']|'')*'", re.I)


def redact(text: str) -> str:
    """The text with passwords in URLs, and values of secret-looking keys, masked."""
    text = _USERINFO.sub(lambda m: f"{m['scheme']}{m['user']}:{MASK}@", text)
    text = _SQL.sub(rf"\1'{MASK}'", text)
    return _ASSIGNMENT.sub(_masked, text)


def _masked(found: re.Match[str]) -> str:
    end = "" if found["key"] else "2"
    return f"{found['key' + end]}{found['sign' + end]}{found['quote' + end]}{MASK}"


def redact_finding(finding: Finding) -> Finding:
    """The finding with every text that is shown masked; `data`, which the fix needs, is kept."""
    return replace(
        finding,
        message=redact(finding.message),
        looked_at=redact(finding.looked_at),
        found=redact(finding.found),
        wanted=redact(finding.wanted),
        next_step=redact(finding.next_step),
        place=finding.place and _redacted(finding.place),
        also=tuple(map(_redacted, finding.also)),
        more={key: redact(value) for key, value in finding.more.items()},
    )


def _redacted(place: Place) -> Place:
    return Place(redact(place.path), place.line, place.column)
