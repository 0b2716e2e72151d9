"""Every fault of the table is found alone, fixed, and undone; every look-alike is silent."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from fnmatch import fnmatch
from typing import Any
from unittest import mock

import pytest

from saas_doctor import platform as platforms
from saas_doctor import repair, rules, runner
from saas_doctor.facts import is_live
from saas_doctor.model import Finding, Report, Status
from saas_doctor.repair import Outcome, Repair
from saas_doctor.runner import Selection
from tests.faults import Copy, Fault, Healthy, all_of
from tests.testbed.lines import lines_of, written
from tests.testbed.world import World

FAULTS: list[Fault] = all_of(Fault)
LOOK_ALIKES: list[Healthy] = all_of(Healthy)
TIMEOUT = 20.0
"""Seconds for one examination: generous, since tests run side by side."""

MakeCopy = Callable[..., Copy]


def installs(*entries: Fault | Healthy) -> bool:
    """Whether these need an environment of their own, which they or their fixes change."""
    changing = ("NET403", "PKG", "PY")
    return any(entry.environment or entry.code.startswith(changing) for entry in entries)


def asked_of(*entries: Fault | Healthy) -> Selection:
    """The checks to run: the static ones alone where the entries are of those."""
    kinds = [k for e in entries for k in rules.checks()[e.code].facts.values()]
    return Selection(live=any(is_live(kind) for kind in kinds))


def examine(copy: Copy, selection: Selection) -> Report:
    return runner.run(load(copy), selection, timeout=TIMEOUT)


def load(copy: Copy) -> platforms.Platform:
    return platforms.load(copy.root, exact=True, environ=copy.environ)


def mend(copy: Copy, selection: Selection, known: Report | None = None) -> tuple[Repair, Report]:
    """What `fix --yes` does, and the report that its first plan was made from.

    `known`: this report, where the copy is still as it was examined for it.
    """
    reports: list[Report] = []
    look = runner.run

    def run(*arguments: Any, **options: Any) -> Report:
        reports.append(known if known and not reports else look(*arguments, **options))
        return reports[-1]

    with mock.patch.object(runner, "run", run):
        fixed = repair.repair(load(copy), selection, lambda plan: plan, timeout=TIMEOUT)
    return fixed, reports[0]


def take_back(copy: Copy) -> repair.Undone:
    return repair.undo(load(copy))


def keys(report: Report) -> set[tuple[str, str]]:
    crashed = [r for r in report.results if r.status is Status.CRASHED]
    assert not crashed, [(r.code, r.reason) for r in crashed]
    return {finding.key for finding in report.findings}


_HEALTHY: dict[tuple[bool, bool], set[tuple[str, str]]] = {}
MACHINES = Selection(("NET401",))
"""All copies name one and the same port for the front end, which may be taken at any moment."""


def healthy_keys(copy: Copy, selection: Selection) -> set[tuple[str, str]]:
    """What is told of a copy before anything is injected: of all copies the same, so looked at once."""
    kind = (selection.live, "DOCKER_HOST" in copy.environ)
    if kind in _HEALTHY:
        return _HEALTHY[kind] | (keys(examine(copy, MACHINES)) if selection.live else set())
    report = examine(copy, selection)
    if all(result.status is not Status.UNKNOWN for result in report.results):  # nothing was late
        _HEALTHY[kind] = {key for key in keys(report) if key[0] not in MACHINES.select}
    return keys(report)


def parameter(*entries: Fault | Healthy) -> Any:
    """Entries as a parameter; those that need Docker share an engine, and so a worker."""
    marks = [pytest.mark.xdist_group("docker")] if any(e.docker for e in entries) else []
    return pytest.param(*entries, id="-".join(map(str, entries)), marks=marks)


@pytest.fixture
def made(make_copy: MakeCopy, request: pytest.FixtureRequest) -> MakeCopy:
    """Makes a copy for these entries, with an engine where one of them needs it."""

    def make(*entries: Fault | Healthy, database: bool = True) -> Copy:
        copy = make_copy(installs(*entries), database=database)
        if any(entry.docker for entry in entries):
            copy.environ["DOCKER_HOST"] = request.getfixturevalue("docker_engine")
        return copy

    return make


@pytest.fixture
def injected() -> Iterator[ExitStack]:
    """Ends, after the test, what injections started."""
    with ExitStack() as stack:
        yield stack


def inject(copy: Copy, entry: Fault | Healthy, stack: ExitStack) -> None:
    running = entry.inject(copy)
    if running is not None:
        stack.enter_context(running)


@pytest.mark.parametrize("fault", [parameter(fault) for fault in FAULTS])
def test_a_fault_is_found_alone_fixed_and_undone(
    fault: Fault, made: MakeCopy, injected: ExitStack
) -> None:
    selection = asked_of(fault)
    copy = made(fault, database=selection.live or fault.works is not None)
    healthy = healthy_keys(copy, selection)
    before = {} if selection.live else lines_of(copy.root)
    inject(copy, fault, injected)
    after = {} if selection.live else lines_of(copy.root)

    if fault.works:
        assert not fault.works(copy)
    if fault.fixed:
        report = prove_fix(copy, [fault], healthy, selection)
    else:
        report = examine(copy, selection)
    found = keys(report) - healthy
    if not selection.live:
        assert_at_their_lines(fault, [f for f in report.findings if f.key in found], before, after)
    assert fault.code in {code for code, _ in found}
    others = [
        f for f in report.findings if f.key in found and f.code not in (fault.code, *fault.also)
    ]
    assert not others, others
    if fault.target:
        assert (fault.code, fault.target) in found


def assert_at_their_lines(
    fault: Fault,
    found: list[Finding],
    before: dict[str, list[bytes]],
    after: dict[str, list[bytes]],
) -> None:
    """A finding with a place stands at a line of the injection, or where the entry says `at`."""
    new, declared, name, text = written(before, after), 0, *fault.at.partition(":")[::2]
    for finding in found:
        place = finding.place
        asked = finding.code == fault.code and fault.target in ("", finding.target)
        if place is None or not asked or (place.path, place.line or 1) in new:
            continue
        lines = after.get(place.path, [])
        line = lines[place.line - 1].decode() if place.line and place.line <= len(lines) else ""
        is_there = fault.at and fnmatch(place.path, name) and text in line
        assert is_there, f"{place} is no line of the fault's: {line}"
        declared += 1
    assert bool(fault.at) == bool(declared), "it is not where the entry says"


def prove_fix(
    copy: Copy, faults: list[Fault], healthy: set[tuple[str, str]], selection: Selection
) -> Report:
    """`fix` ends the faults, a second one does nothing, and `undo` brings the former world back.

    Returns the report of the broken copy, from which the fix was planned.
    """
    broken = World.of(copy)
    fixed, report = mend(copy, selection)
    allowed = {code for fault in faults for code in fault.left}
    left = {key for key in keys(fixed.report) - healthy if key[0] not in allowed}
    assert not left, [(f.message, f.evidence) for f in fixed.report.findings if f.key in left]
    assert {d.outcome for d in fixed.done} == {Outcome.VERIFIED}, [
        (d.step.action.title, d.outcome, d.reason) for d in fixed.done
    ]
    for works in dict.fromkeys(fault.works for fault in faults if fault.works):
        assert works(copy), [fault for fault in faults if fault.works is works]
    mended = World.of(copy)
    # What runs may have changed since the fix looked at it last; the files are as `mended` has them.
    again, _ = mend(copy, selection, None if selection.live else fixed.report)
    assert again.done == []
    assert World.of(copy) == mended

    undone = take_back(copy)
    assert undone.refused == []
    assert World.of(copy).differences(broken) == []
    return report


@pytest.mark.parametrize("entry", [parameter(entry) for entry in LOOK_ALIKES])
def test_a_look_alike_is_silent(entry: Healthy, made: MakeCopy, injected: ExitStack) -> None:
    selection = asked_of(entry)
    copy = made(entry, database=selection.live or entry.database)
    healthy = healthy_keys(copy, selection)
    inject(copy, entry, injected)
    assert keys(examine(copy, selection)) - healthy == set()


COMBINABLE = [fault for fault in FAULTS if fault.fixed]


def compatible(one: Fault, other: Fault) -> bool:
    if other.code.startswith(one.against) or one.code.startswith(other.against):
        return False
    return not (one.group and one.group == other.group)


# One fault of every code with one of every other: some eighty of these pairs, so that each fault
# meets several others; all of them with `make pairs`, and every fault of the table with every other
# with ALL_FAULTS=1.
FIRST = {fault.code: fault for fault in reversed(COMBINABLE)}
TO_PAIR = (
    COMBINABLE if os.environ.get("ALL_FAULTS") else [f for f in COMBINABLE if FIRST[f.code] is f]
)
ALL = [pair for pair in itertools.combinations(TO_PAIR, 2) if compatible(*pair)]
STEP = 1 if os.environ.get("ALL_PAIRS") or os.environ.get("ALL_FAULTS") else len(ALL) // 80 | 1
PAIRS = ALL[::STEP]


@pytest.mark.parametrize(("one", "other"), [parameter(*pair) for pair in PAIRS])
def test_two_faults_are_found_together_fixed_in_one_go_and_undone_in_one(
    one: Fault, other: Fault, made: MakeCopy, injected: ExitStack
) -> None:
    copy, selection = made(one, other), asked_of(one, other)
    healthy = healthy_keys(copy, selection)
    for fault in (one, other):
        inject(copy, fault, injected)
    assert_told(prove_fix(copy, [one, other], healthy, selection), [one, other])


@pytest.mark.timeout(600)
@pytest.mark.xdist_group("docker")
def test_all_faults_at_once_are_fixed_in_one_go_and_undone_in_one(
    made: MakeCopy, injected: ExitStack
) -> None:
    chosen: list[Fault] = []
    for fault in sorted(COMBINABLE, key=lambda f: len(f.against)):
        if all(compatible(fault, other) for other in chosen):
            chosen.append(fault)
    copy, selection = made(*chosen), Selection()
    healthy = healthy_keys(copy, selection)
    for fault in chosen:
        inject(copy, fault, injected)
    assert_told(prove_fix(copy, chosen, healthy, selection), chosen)


def assert_told(report: Report, faults: list[Fault]) -> None:
    """Each fault is reported, or its check waits for another that is."""
    by_code = {result.code: result for result in report.results}
    for fault in faults:
        assert by_code[fault.code].status in (Status.FAILED, Status.BLOCKED), fault


def test_every_check_has_a_fault_and_a_look_alike() -> None:
    codes = set(rules.checks())
    assert codes - {fault.code for fault in FAULTS} == set()
    assert codes - {entry.code for entry in LOOK_ALIKES} == set()


def test_every_fix_has_a_fault_that_it_ends() -> None:
    assert set(rules.fixes()) - {fault.code for fault in FAULTS if fault.fixed} == set()
