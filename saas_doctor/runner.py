"""Runs checks side by side in the order of their needs, bounded, and makes the Report."""

from __future__ import annotations

import gc
import os
import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from saas_doctor import baseline, rules
from saas_doctor.baseline import Baseline
from saas_doctor.discovery import repository
from saas_doctor.facts import Facts, is_live
from saas_doctor.facts.ignores import Ignores, Outcome, entries
from saas_doctor.identity import matches
from saas_doctor.model import (
    Absent,
    Blocked,
    DoctorError,
    Finding,
    FixSummary,
    Report,
    Result,
    Risk,
    Severity,
    Status,
    Undecided,
    Unreadable,
)
from saas_doctor.platform import Platform
from saas_doctor.redact import redact, redact_finding
from saas_doctor.rules import Check
from saas_doctor.verdicts import whole

CHECK_LIMIT = 10.0
"""Seconds that one check may think after its facts are there, or half of the whole run if that is more."""


class Selection(Struct, frozen=True):
    """Which checks a run examines, and what of their findings is left out and why."""

    select: tuple[str, ...] = ()
    ignore: Mapping[str, str] | None = None
    static: bool = True
    live: bool = True
    baseline: Baseline | None = None
    """The findings that are accepted; a run sets them apart from those that are new."""

    def codes(self) -> list[str]:
        """The selected codes with everything they need; raises DoctorError for a wrong one."""
        wanted: dict[str, None] = {}
        for word in self.select or ("",):
            found = rules.matching(word)
            if not found:
                raise DoctorError(f"no check is called {word}; `saas-doctor explain` lists them")
            wanted.update(dict.fromkeys(found))
        queue = list(wanted)
        while queue:
            for need in rules.checks()[queue.pop()].needs:
                if need not in wanted:
                    wanted[need] = None
                    queue.append(need)
        return sorted(wanted)

    def reason_to_ignore(self, finding: Finding) -> str | None:
        """The reason given for ignoring a finding, or None."""
        ignored = (self.ignore or {}).items()
        return next((reason for pattern, reason in ignored if matches(finding, pattern)), None)


Progress = Callable[[Result], None]


def run(
    platform: Platform,
    selection: Selection | None = None,
    *,
    facts: Facts | None = None,
    jobs: int = 32,
    timeout: float | None = None,
    progress: Progress = lambda _: None,
) -> Report:
    """Examine the platform. `timeout`: seconds for the whole run; what is late is `unknown`."""
    run = _Run(platform, selection or Selection(), facts or Facts(platform), jobs, progress)
    # Syntax trees are many objects and hardly any garbage: to look for it takes a third of the time.
    collects = gc.isenabled()
    gc.disable()
    try:
        return run.go(platform.config.timeout if timeout is None else timeout)
    finally:
        if collects:
            gc.enable()


def _of_one(timeout: float) -> float:
    """Seconds for one check: who gives the whole run longer has a tree, or a machine, that needs it."""
    return max(CHECK_LIMIT, timeout / 2)


class _Run:
    def __init__(
        self, platform: Platform, selection: Selection, facts: Facts, jobs: int, progress: Progress
    ) -> None:
        self.platform = platform
        self.selection = selection
        self.facts = facts
        self.jobs = threading.Semaphore(max(1, jobs))
        self.progress = progress
        self.codes = selection.codes()
        _refuse_unknown(platform, self.selection)
        kinds = {code: rules.checks()[code].facts.values() for code in self.codes}
        self.live = {code for code in self.codes if any(is_live(kind) for kind in kinds[code])}
        self.results: dict[str, Result] = {}
        self.begun: dict[str, float] = {}
        self.answers: queue.Queue[Result] = queue.Queue()

    def go(self, timeout: float) -> Report:
        start = time.monotonic()
        self._advance()
        while len(self.results) < len(self.codes):
            late = min(
                [
                    start + timeout,
                    *(t + _of_one(timeout) for c, t in self.begun.items() if c not in self.results),
                ]
            )
            try:
                self._settle(self.answers.get(timeout=max(0.0, late - time.monotonic())))
            except queue.Empty:
                self._give_up(timeout, everything=time.monotonic() >= start + timeout)
            self._advance()
        report = Report(
            directory=str(self.platform.root),
            python=_python_of(self.platform),
            results=tuple(self.results[code] for code in self.codes),
            duration=time.monotonic() - start,
            repository=_folder_in_repository(self.platform.root),
        )
        accepted = self.selection.baseline
        return baseline.applied(report, self.platform, accepted) if accepted else report

    def _settle(self, result: Result) -> None:
        # A check that was given up may still answer; the verdict stays.
        if result.code not in self.results:
            # A reason may quote an error's text, and that an address with its password.
            self.results[result.code] = replace(
                result, reason=result.reason and redact(result.reason)
            )
            self.progress(result)

    def _advance(self) -> None:
        """Start every check whose needs hold, and settle those whose needs do not."""
        changed = True
        while changed:
            changed = False
            for code in self.codes:
                if code in self.results or code in self.begun:
                    continue
                check = rules.checks()[code]
                verdict = self._verdict_before(check)
                if verdict:
                    self._settle(verdict)
                    changed = True
                elif all(code in self.results for code in self._waits_for(check)):
                    if _comes_last(check):
                        self.facts.know(self._outcome())
                    self.begun[code] = time.monotonic()
                    threading.Thread(
                        target=self._examine, args=(check,), name=code, daemon=True
                    ).start()

    def _waits_for(self, check: Check) -> Iterable[str]:
        if not _comes_last(check):
            return check.needs
        return [code for code in self.codes if not _comes_last(rules.checks()[code])]

    def _outcome(self) -> Outcome:
        results = self.results.values()
        found = [f for r in results for f in (*r.findings, *(f for f, _ in r.ignored))]
        return Outcome(whole(results), tuple(found))

    def _verdict_before(self, check: Check) -> Result | None:
        """The verdict that needs no look: not asked for, or blocked by another check."""
        live = check.code in self.live
        if live and not self.selection.live:
            return Result(
                check.code, check.title, Status.SKIPPED, reason="asks running things (--static)"
            )
        if not live and not self.selection.static:
            return Result(
                check.code, check.title, Status.SKIPPED, reason="reads files only (--live)"
            )
        for need in check.needs:
            result = self.results.get(need)
            if (
                result
                and result.status not in (Status.OK, Status.SKIPPED)
                and not _tolerable(result)
            ):
                return Result(
                    check.code,
                    check.title,
                    Status.BLOCKED,
                    blocked_by=need,
                    reason=f"{need} {_why(result)}",
                )
        return None

    def _examine(self, check: Check) -> None:
        with self.jobs:
            began = time.monotonic()
            result = self._verdict(check)
        self.answers.put(replace(result, duration=time.monotonic() - began))

    def _verdict(self, check: Check) -> Result:
        try:
            found = list(check.function(**self.facts.arguments(check.facts)))
        except Absent as absent:
            return Result(check.code, check.title, Status.SKIPPED, reason=str(absent))
        except Blocked as blocked:
            reason = f"{blocked.code}: {blocked}"
            if blocked.code not in self.codes:  # nobody would tell the cause in this run
                return Result(check.code, check.title, Status.UNKNOWN, reason=reason)
            return Result(
                check.code, check.title, Status.BLOCKED, blocked_by=blocked.code, reason=reason
            )
        except Unreadable as unreadable:
            return Result(check.code, check.title, Status.UNKNOWN, reason=str(unreadable))
        except Exception as error:
            if reason := self._why_untold(error):
                return Result(check.code, check.title, Status.UNKNOWN, reason=reason)
            reason = f"{type(error).__name__}: {error} ({_where(error)}); please report this"
            return Result(check.code, check.title, Status.CRASHED, reason=reason)
        kept, ignored = self._sort(check, [f for f in found if isinstance(f, Finding)])
        untold = [u.reason for u in found if isinstance(u, Undecided)]
        untold += sorted(self.facts.partial(check.facts.values()))
        reasons = "; ".join(untold) or None
        status = Status.FAILED if kept else Status.UNKNOWN if reasons else Status.OK
        return Result(
            check.code,
            check.title,
            status,
            findings=kept,
            ignored=ignored,
            reason=reasons,
            undecided=bool(reasons),
        )

    def _why_untold(self, error: Exception) -> str:
        """The reason where it is the platform's: a closed folder, a file gone meanwhile, odd source."""
        if isinstance(error, OSError) and isinstance(error.filename, str):
            where = self.platform.relative(Path(error.filename))
            return f"{where}: can't be read ({error.strerror or error})"
        if isinstance(error, RecursionError):
            return f"something of it is nested deeper than can be followed ({_where(error)})"
        return ""

    def _sort(
        self, check: Check, found: Iterable[Finding]
    ) -> tuple[tuple[Finding, ...], tuple[tuple[Finding, str], ...]]:
        kept: list[Finding] = []
        ignored: list[tuple[Finding, str]] = []
        for finding in found:
            finding = _complete(check, finding, self._severity(check.code))
            reason = self._reason_to_ignore(finding)
            if reason is None:
                kept.append(finding)
            else:
                ignored.append((finding, redact(reason)))
        return tuple(kept), tuple(ignored)

    def _severity(self, code: str) -> Severity | None:
        """The one that the configuration gives the code: the longest beginning of it counts."""
        given = self.platform.config.severity
        words = [word for word in given if code.startswith(word.upper())]
        return Severity(given[max(words, key=len)]) if words else None

    def _reason_to_ignore(self, finding: Finding) -> str | None:
        reason = self.selection.reason_to_ignore(finding)
        if reason is None and finding.places:
            with suppress(Unreadable):
                return self.facts.get(Ignores).reason(finding)
        return reason

    def _give_up(self, timeout: float, *, everything: bool) -> None:
        now = time.monotonic()
        for code in self.codes:
            began = self.begun.get(code)
            late = everything or (began is not None and now >= began + _of_one(timeout))
            if code in self.results or not late:
                continue
            whole = f"{timeout:g} s of the whole run (--timeout)"
            limit = whole if everything else f"{_of_one(timeout):g} s of one check (--timeout)"
            reason = f"not finished within the {limit}"
            self._settle(
                Result(
                    code,
                    rules.checks()[code].title,
                    Status.UNKNOWN,
                    reason=reason,
                    duration=now - (began or now),
                )
            )


def _refuse_unknown(platform: Platform, selection: Selection) -> None:
    """Raise DoctorError for what is to be ignored, or has a severity, and no check is called so."""
    given = platform.config
    tables: dict[str, Iterable[str]] = {"ignore": given.ignore, "severity": given.severity}
    for pattern in (*(selection.ignore or ()), *given.severity):
        code = pattern.partition(":")[0]
        if not rules.matching(code):
            where = "--ignore"
            for table in tables:
                if pattern in tables[table]:
                    (entry,) = entries(platform, [pattern], table)
                    line = entry.place and entry.place.line
                    where = f"{platform.config_file}" + (f":{line}" if line else "")
            raise DoctorError(
                f"{where}: no check is called {code}; `saas-doctor explain` lists them"
            )


def _complete(check: Check, finding: Finding, severity: Severity | None = None) -> Finding:
    """The finding with its code, severity and what its fix would do."""
    # A finding may know that what `--yes` does about it is the second of its fixes.
    other = finding.data.get("otherwise") and rules.other_fixes().get(check.code)
    fix = other or rules.fixes().get(check.code)
    fixable = fix is not None and not finding.data.get("no_fix")
    # A finding may know its own repair to be milder than the worst one of its code.
    risk = Risk(finding.data.get("risk", fix.risk)) if fix else Risk.SAFE
    return redact_finding(
        replace(
            finding,
            code=check.code,
            severity=severity or finding.severity or check.severity,
            fix=FixSummary(fix.title, risk) if fix and fixable else None,
        )
    )


def _comes_last(check: Check) -> bool:
    """Whether it asks what all others have found."""
    return Outcome in check.facts.values()


def _tolerable(result: Result) -> bool:
    """Whether what failed is too slight to block what needs it (a warning about a detail)."""
    return result.status is Status.FAILED and not any(
        f.severity and f.severity.value in ("error", "warning") for f in result.findings
    )


def _why(result: Result) -> str:
    if result.findings:
        return f"failed: {result.findings[0].message}"
    return f"is {result.status.value}" + (f": {result.reason}" if result.reason else "")


def _where(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"


def _folder_in_repository(root: Path) -> str:
    """Where the platform lies below the nearest folder with a `.git`: formats for CI name files so."""
    folder = repository(root)
    relative = root.relative_to(folder).as_posix() if folder else "."
    return "" if relative == "." else relative


def _python_of(platform: Platform) -> str | None:
    folder = platform.path(platform.config.environment)
    for relative in ("bin/python", "Scripts/python.exe"):
        if os.path.lexists(folder / relative):
            return platform.relative(folder / relative)
    return None
