"""The runner: needs, verdicts, bounds and selection, on small checks of its own."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from saas_doctor import platform as platforms
from saas_doctor import rules, runner
from saas_doctor.config import Config
from saas_doctor.facts import Fact, Facts
from saas_doctor.model import (
    Absent,
    Blocked,
    DoctorError,
    Finding,
    Report,
    Severity,
    Status,
    Unreadable,
)
from saas_doctor.platform import Platform
from saas_doctor.rules import Check
from saas_doctor.runner import Selection

Run = Callable[..., Report]


class Weather(Fact, frozen=True):
    """The weather."""

    rain: bool

    @classmethod
    def read(cls) -> Weather:
        raise AssertionError("given in the tests")


class Hidden(Fact, frozen=True):
    """What nobody may read."""

    @classmethod
    def read(cls) -> Hidden:
        raise Unreadable("permission denied")


class Missing(Fact, frozen=True):
    """What this platform does not have."""

    @classmethod
    def read(cls) -> Missing:
        raise Absent("no such part")


class Hung(Fact, frozen=True):
    """What never answers."""

    live = True
    limit = 0.2

    @classmethod
    def read(cls) -> Hung:
        threading.Event().wait(30)
        return cls()


def finding(message: str, severity: Severity | None = None) -> Finding:
    return Finding(message, "the sky", "rain", "sun", target="sky", severity=severity)


def rains(weather: Weather) -> Iterator[Finding]:
    """It rains."""
    if weather.rain:
        yield finding("it rains")


def asks_hidden(hidden: Hidden) -> Iterator[Finding]:
    """Hidden."""
    yield finding(f"never {hidden}")


def asks_missing(missing: Missing) -> Iterator[Finding]:
    """Missing."""
    yield finding(f"never {missing}")


def asks_hung(hung: Hung) -> Iterator[Finding]:
    """Hung."""
    yield finding(f"never {hung}")


def crashes(weather: Weather) -> Iterator[Finding]:
    """Crashes."""
    raise ZeroDivisionError(str(weather.rain))
    yield


def thinks_for_ever(weather: Weather) -> Iterator[Finding]:
    """Thinks."""
    time.sleep(30)
    yield finding(str(weather))


def thinks_a_while(weather: Weather) -> Iterator[Finding]:
    """Thinks."""
    assert weather is not None
    time.sleep(1)
    return iter(())


def silent(weather: Weather) -> Iterator[Finding]:
    """Silent."""
    assert weather is not None
    return iter(())


def check(code: str, function: object, *needs: str, severity: Severity = Severity.ERROR) -> Check:
    return Check(code, function, severity, needs, ())  # type: ignore[arg-type]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    platform = Platform(tmp_path, Config(timeout=2.0), environ={})

    def go(
        *checks: Check, rain: bool = True, timeout: float | None = None, **selection: object
    ) -> Report:
        monkeypatch.setattr(rules, "checks", lambda: {c.code: c for c in checks})
        monkeypatch.setattr(rules, "fixes", dict)
        facts = Facts(platform, Weather(rain))
        return runner.run(platform, Selection(**selection), facts=facts, timeout=timeout)  # type: ignore[arg-type]

    return go


def statuses(report: Report) -> dict[str, Status]:
    return {result.code: result.status for result in report.results}


def test_a_check_that_yields_nothing_is_ok(run: Run) -> None:
    assert statuses(run(check("A1", rains), rain=False)) == {"A1": Status.OK}


def test_a_finding_gets_its_code_and_severity_from_the_check(run: Run) -> None:
    (found,) = run(check("A1", rains, severity=Severity.WARNING)).findings
    assert (found.code, found.severity) == ("A1", Severity.WARNING)


def test_what_needs_a_failed_check_is_blocked_up_to_the_root_cause(run: Run) -> None:
    report = run(check("A1", rains), check("A2", silent, "A1"), check("A3", silent, "A2"))
    assert statuses(report) == {"A1": Status.FAILED, "A2": Status.BLOCKED, "A3": Status.BLOCKED}
    assert report.causes("A3") == ["A2", "A1"]


def test_what_needs_an_unknown_check_is_blocked_and_never_ok(run: Run) -> None:
    report = run(check("A1", asks_hidden), check("A2", silent, "A1"))
    assert statuses(report) == {"A1": Status.UNKNOWN, "A2": Status.BLOCKED}


def test_what_needs_a_skipped_check_looks_for_itself(run: Run) -> None:
    report = run(check("A1", asks_missing), check("A2", silent, "A1"))
    assert statuses(report) == {"A1": Status.SKIPPED, "A2": Status.OK}


def test_a_fact_that_cannot_be_read_makes_its_check_unknown_with_the_reason(run: Run) -> None:
    (result,) = run(check("A1", asks_hidden)).results
    assert (result.status, result.reason) == (Status.UNKNOWN, "permission denied")


def test_a_crash_is_a_verdict_of_its_own_and_ends_nothing_else(run: Run) -> None:
    report = run(check("A1", crashes), check("A2", rains))
    assert statuses(report) == {"A1": Status.CRASHED, "A2": Status.FAILED}
    assert "ZeroDivisionError" in (report.results[0].reason or "")


def test_a_hung_fact_is_unknown_after_its_own_limit(run: Run) -> None:
    report = run(check("A1", asks_hung), check("A2", rains))
    assert statuses(report) == {"A1": Status.UNKNOWN, "A2": Status.FAILED}
    assert "within 0.2 s" in (report.results[0].reason or "")


def test_the_whole_run_is_bounded_and_reports_what_was_ready(run: Run) -> None:
    report = run(check("A1", thinks_for_ever), check("A2", rains), timeout=1.5)
    assert statuses(report) == {"A1": Status.UNKNOWN, "A2": Status.FAILED}
    assert report.duration < 5


@pytest.mark.parametrize(("timeout", "status"), [(1.0, Status.UNKNOWN), (20.0, Status.OK)])
def test_one_check_has_half_of_a_long_run(
    run: Run, monkeypatch: pytest.MonkeyPatch, timeout: float, status: Status
) -> None:
    monkeypatch.setattr(runner, "CHECK_LIMIT", 0.1)
    (result,) = run(check("A1", thinks_a_while), timeout=timeout).results
    assert result.status is status


def test_static_skips_what_asks_running_things(run: Run) -> None:
    report = run(check("A1", asks_hung), check("A2", rains), live=False)
    assert statuses(report) == {"A1": Status.SKIPPED, "A2": Status.FAILED}


def test_a_selection_takes_along_what_it_needs(run: Run) -> None:
    report = run(check("A1", silent), check("B1", rains), check("A2", silent, "B1"), select=("A2",))
    assert list(statuses(report)) == ["A2", "B1"]


def test_a_word_that_selects_nothing_is_an_error_with_a_way_out(run: Run) -> None:
    with pytest.raises(DoctorError, match=r"no check is called Z9.*explain"):
        run(check("A1", rains), select=("Z9",))


@pytest.mark.parametrize(
    ("pattern", "hidden"),
    [
        ("A1", True),
        ("A", True),
        ("A1:sky", True),
        ("A1:s*", True),
        ("A1:sea", False),
        ("A1:rain", False),
    ],
)
def test_ignored_findings_are_kept_apart_with_their_reason(
    run: Run, pattern: str, hidden: bool
) -> None:
    report = run(check("A1", rains), ignore={pattern: "we like rain"})
    assert report.findings == [] if hidden else report.findings
    assert [reason for _, reason in report.results[0].ignored] == (
        ["we like rain"] if hidden else []
    )


@pytest.mark.parametrize("table", ["ignore", "severity"])
@pytest.mark.parametrize("word", ["", ":*", ":backend/**", "X"])
def test_a_word_of_the_configuration_that_names_no_code_is_refused(
    tmp_path: Path, table: str, word: str
) -> None:
    file = tmp_path / "saas-doctor.toml"
    file.write_text(f'[{table}]\n"{word}" = "info"\n')
    platform = platforms.load(tmp_path, exact=True)
    code = "X" if word == "X" else '""'
    step = f"{file}:2: no check is called {code}; `saas-doctor explain` lists them"
    with pytest.raises(DoctorError, match=f"^{re.escape(step)}$"):
        runner.run(platform, Selection(ignore=platform.config.ignore))


def waits(weather: Weather) -> Iterator[Finding]:
    """Waits for the rain."""
    raise Blocked("A1", f"it rains: {weather.rain}")
    yield


@pytest.mark.parametrize(
    ("ignore", "code", "status", "reason"),
    [
        ({}, 1, Status.BLOCKED, "A1: it rains: True"),
        ({"A1": "r"}, 3, Status.UNKNOWN, "A1: it rains: True (A1 is ignored)"),
        ({"A1:sky": "r"}, 3, Status.UNKNOWN, "A1: it rains: True (A1 is ignored)"),
        ({"A1": "r", "B1:sky": "r"}, 3, Status.UNKNOWN, "A1: it rains: True (A1 is ignored)"),
        ({"A1": "r", "b": "r"}, 3, Status.BLOCKED, "A1: it rains: True"),
        ({"A1": "r", "B": "r", "C1": "r"}, 0, Status.BLOCKED, "A1: it rains: True"),
    ],
)
def test_what_waits_for_an_ignored_cause_is_no_pass(
    run: Run, ignore: dict[str, str], code: int, status: Status, reason: str
) -> None:
    checks = check("A1", rains), check("B1", waits), check("C1", silent, "B1")
    report = run(*checks, ignore=ignore)
    assert (report.results[1].status, report.results[1].reason) == (status, reason)
    assert report.results[2].status in (Status.BLOCKED, Status.UNKNOWN)
    assert report.exit_code(Severity.ERROR) == code
    assert report.exit_code(Severity.ERROR, allow_unknown=True) == (code if code == 1 else 0)


@pytest.mark.parametrize(
    ("function", "severity", "fail_on", "code"),
    [
        (silent, Severity.ERROR, Severity.ERROR, 0),
        (rains, Severity.ERROR, Severity.ERROR, 1),
        (rains, Severity.WARNING, Severity.ERROR, 0),
        (rains, Severity.WARNING, Severity.WARNING, 1),
        (rains, Severity.INFO, Severity.WARNING, 0),
        (asks_hidden, Severity.ERROR, Severity.ERROR, 3),
        (crashes, Severity.ERROR, Severity.ERROR, 3),
        (asks_missing, Severity.ERROR, Severity.ERROR, 0),
    ],
)
def test_exit_codes(
    run: Run, function: object, severity: Severity, fail_on: Severity, code: int
) -> None:
    report = run(check("A1", function, severity=severity))
    assert report.exit_code(fail_on) == code
    assert report.exit_code(fail_on, allow_unknown=True) == (0 if code == 3 else code)


class Counted(Fact, frozen=True):
    """How often it was read."""

    readings = 0

    @classmethod
    def read(cls) -> Counted:
        Counted.readings += 1
        time.sleep(0.05)
        return cls()


def test_a_fact_is_read_once_however_many_ask() -> None:
    facts = Facts(Platform(Path(), Config(), environ={}))
    askers = [threading.Thread(target=facts.get, args=(Counted,)) for _ in range(8)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert Counted.readings == 1
