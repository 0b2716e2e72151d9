"""What a finding is known by: to a pattern that names it, and to a later run after lines moved."""

from __future__ import annotations

import fnmatch
import re

from saas_doctor.model import Finding
from saas_doctor.redact import redact

_LINE = re.compile(
    r"(\.(?:py|sh|env|txt|ini|toml|json|conf|ya?ml|[cm]?[jt]sx?))(?::\d+)+|(\blines?) \d[\d, ]*"
)


def about(finding: Finding) -> str:
    """What the finding is about, without its file and without a line: its target, else its message."""
    path = finding.place.path if finding.place else ""
    # A target may be the place itself, which alone tells nothing.
    return _placeless(finding.target, path) or _placeless(finding.message, path)


def _placeless(text: str, path: str) -> str:
    if path:
        name = rf"(?<![\w/.\-]){re.escape(path)}(?![\w/\-]|\.\w)(?::\d+)*"
        text = re.sub(rf"\A{name}:?\s*", "", text)
        text = re.sub(name, "…", text)
    return redact(_LINE.sub(lambda found: found[1] or found[2], text)).strip()


def matches(finding: Finding, pattern: str) -> bool:
    """Whether `CODE` or `CODE:TARGET` names it: a code or a beginning of some; what it is about or,
    of a finding in several places, the file of each. The target may have `*`, also for folders; a
    folder is what lies below it."""
    code, _, target = pattern.partition(":")
    if not finding.code.startswith(code.upper()):
        return False
    if not target or fnmatch.fnmatch(finding.key[1], target):
        return True
    paths = [place.path for place in finding.places]
    return bool(paths) and all(_is_in(path, target.removeprefix("./")) for path in paths)


def _is_in(path: str, target: str) -> bool:
    """Whether the path is that one, or below that folder; the whole platform is "" (`./`)."""
    below = f"{target.rstrip('/')}/*" if target else "*"
    return fnmatch.fnmatch(path, target) or fnmatch.fnmatch(path, below)
