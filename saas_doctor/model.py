"""The words everything else is said in: findings, verdicts, and the two ways a fact can be missing."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from msgspec import Struct, field


class Severity(str, Enum):
    """How much a finding matters; the order is from worst to least."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


class Risk(str, Enum):
    """What an action may cost: `destructive` is never covered by `--yes`."""

    SAFE = "safe"
    CHANGES = "changes"
    DESTRUCTIVE = "destructive"

    @property
    def rank(self) -> int:
        return list(Risk).index(self)


class Status(str, Enum):
    """The verdict of one check in one run."""

    OK = "ok"
    FAILED = "failed"
    BLOCKED = "blocked"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"
    CRASHED = "crashed"


class DoctorError(Exception):
    """Something the user can mend: shown as one sentence, never as a traceback."""


class Unreadable(Exception):
    """A fact that could not be read; the checks that ask for it become `unknown`."""


class Absent(Exception):
    """A fact with nothing to look at on this platform; its checks are `skipped`."""


class Blocked(Exception):
    """What a check would look at waits for another check's finding, named by its code."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Place(Struct, frozen=True):
    """A position in a file: the path is relative to the platform, line and column count from 1."""

    path: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.path, self.line, self.column) if part)


class Finding(Struct, frozen=True):
    """One concrete problem, with what was looked at, what was found there and what was wanted.

    `target` names the thing the finding is about (a port, a role, a package, a file): together
    with the code it tells two findings apart, and `--ignore CODE:TARGET` matches it.
    `also` are further places of the same problem, which one finding tells together.
    `data` is for the fix. `code` and `severity` are filled in by the runner where the check
    left them out.
    """

    message: str
    looked_at: str
    found: str
    wanted: str
    target: str = ""
    place: Place | None = None
    also: tuple[Place, ...] = ()
    next_step: str = ""
    severity: Severity | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, str] = field(default_factory=dict)
    code: str = ""
    fix: FixSummary | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same finding in a later run."""
        return self.code, self.target or (str(self.place) if self.place else self.message)

    @property
    def places(self) -> tuple[Place, ...]:
        return (self.place, *self.also) if self.place else self.also

    @property
    def evidence(self) -> dict[str, str]:
        base = {"looked_at": self.looked_at, "found": self.found, "wanted": self.wanted}
        return base | dict(self.more)


class Undecided(Struct, frozen=True):
    """Yielded by a check for a part that it could not tell; the verdict is then never `ok`."""

    reason: str


class FixSummary(Struct, frozen=True):
    """What a fix would do about a finding, as far as it can be said before the plan is made."""

    title: str
    risk: Risk


class Accepted(Struct, frozen=True, omit_defaults=True):
    """Findings that a baseline accepts, and by what they are known again.

    `about` is a finding's target, or its message, without any line; `path` is the file's, relative
    to the platform; `lines` holds a mark of the text of each one's line, where it has one. A graver
    finding than `severity` is another; None, in a baseline of an older release, accepts any.
    """

    code: str
    about: str
    path: str = ""
    count: int = 1
    lines: tuple[str, ...] = ()
    severity: Severity | None = None

    def __str__(self) -> str:
        number = f" ({self.count} times)" if self.count > 1 else ""
        return " ".join(filter(None, (self.code, self.path, self.about))) + number


class Result(Struct, frozen=True):
    """The verdict of one check, with its findings and what it looked at."""

    code: str
    title: str
    status: Status
    findings: tuple[Finding, ...] = ()
    ignored: tuple[tuple[Finding, str], ...] = ()
    baselined: tuple[Finding, ...] = ()
    """What is not new: a baseline accepts it."""
    reason: str | None = None
    blocked_by: str | None = None
    duration: float = 0.0
    undecided: bool = False
    """Whether a part could not be told, beside what was found."""


class Report(Struct, frozen=True):
    """The outcome of a run; every output format is a view of it and nothing else."""

    directory: str
    python: str | None
    results: tuple[Result, ...]
    duration: float
    notes: tuple[str, ...] = ()
    repository: str = ""
    """The platform's folder as seen from the root of its repository; "" where they are one."""
    baseline: str = ""
    """The file of the findings that are accepted; "" where there is none."""
    gone: tuple[Accepted, ...] = ()
    """What the baseline accepts and is no longer found."""

    @property
    def findings(self) -> list[Finding]:
        return [finding for result in self.results for finding in result.findings]

    @property
    def baselined(self) -> list[Finding]:
        return [finding for result in self.results for finding in result.baselined]

    def count(self, status: Status) -> int:
        return sum(result.status is status for result in self.results)

    def count_severity(self, severity: Severity) -> int:
        return sum(finding.severity is severity for finding in self.findings)

    def causes(self, code: str) -> list[str]:
        """The codes a blocked check waits for, nearest first, up to the root cause."""
        by_code = {result.code: result for result in self.results}
        chain: list[str] = []
        blocker = by_code[code].blocked_by if code in by_code else None
        while blocker and blocker not in chain:
            chain.append(blocker)
            blocker = by_code[blocker].blocked_by if blocker in by_code else None
        return chain

    def exit_code(self, fail_on: Severity, *, allow_unknown: bool = False) -> int:
        """0 nothing at or above `fail_on`; 1 findings; 3 none, but something stayed unexamined."""
        if any(f.severity and f.severity.rank <= fail_on.rank for f in self.findings):
            return 1
        undecided = any(r.undecided for r in self.results)
        unexamined = undecided or self.count(Status.UNKNOWN) or self.count(Status.CRASHED)
        return 3 if unexamined and not allow_unknown else 0
