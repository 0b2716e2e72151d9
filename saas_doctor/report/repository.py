"""What services that show findings beside the code ask of them: repository paths and identities."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath, PureWindowsPath

from saas_doctor.identity import about
from saas_doctor.model import Finding, Report


def path(report: Report, finding: Finding) -> str:
    """The finding's file from the repository's root; the platform's folder where it has none.

    A file outside of the platform keeps its absolute path.
    """
    if finding.place is None:
        return report.repository or "."
    if is_absolute(finding.place.path):
        return finding.place.path
    return str(PurePosixPath(report.repository, finding.place.path))


def is_absolute(name: str) -> bool:
    return PurePosixPath(name).is_absolute() or PureWindowsPath(name).is_absolute()


def fingerprints(findings: Iterable[Finding]) -> list[str]:
    """One for each finding, different from all others, and the same after its lines have moved."""
    seen: Counter[str] = Counter()
    found = []
    for finding in findings:
        file = finding.place.path if finding.place else ""
        identity = "\0".join((finding.code, file, about(finding)))
        seen[identity] += 1
        text = f"{identity}\0{seen[identity]}"
        found.append(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32])
    return found
