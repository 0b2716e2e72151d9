"""Fix and undo: agreement, the journal, crashes, what did not help, what was changed since."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from saas_doctor import journal, repair, rules
from saas_doctor import platform as platforms
from saas_doctor.actions import Action, Bench, Failed, Record
from saas_doctor.actions.files import CreateFile, EditFile
from saas_doctor.edits import Edit
from saas_doctor.facts import Fact
from saas_doctor.model import DoctorError, Finding, Risk, Severity
from saas_doctor.plan import Plan
from saas_doctor.platform import Platform
from saas_doctor.repair import Outcome
from saas_doctor.rules import Check, Fix
from saas_doctor.runner import Selection

EXAMPLE = (
    "DATABASE_URL=postgresql://u:hunter2@localhost:5432/d\nREGISTRY_URL=http://localhost:8001\n"
)
BROKEN = "DATABASE_URL=u:hunter2@localhost:5432/d  # mine\nREGISTRY_URL=localhost:8001\n"
CFG = Selection(select=("CFG",))
READS = """\
import os

import httpx
from dotenv import load_dotenv
from sqlalchemy import create_engine

load_dotenv()
engine = create_engine(os.environ["DATABASE_URL"])
known = httpx.get(os.environ["REGISTRY_URL"])
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "backend").mkdir()
    (tmp_path / "docker-compose.yml").write_text("services: {}\n")
    (tmp_path / "backend/.env.example").write_text(EXAMPLE)
    (tmp_path / "backend/app.py").write_text(READS)
    return tmp_path


def load(root: Path) -> Platform:
    return platforms.load(root, exact=True, environ={})


def yes(plan: Plan) -> Plan:
    return plan


def tree(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".saas-doctor" not in path.relative_to(root).parts
    }


def test_a_missing_file_is_made_verified_and_taken_back(root: Path) -> None:
    before = tree(root)
    done = repair.repair(load(root), CFG, yes)
    assert [d.outcome for d in done.done] == [Outcome.VERIFIED]
    assert (root / "backend/.env").read_text() == EXAMPLE
    assert (root / "backend/.env").stat().st_mode & 0o777 == 0o600
    repair.undo(load(root))
    assert tree(root) == before


def test_two_findings_in_one_file_are_one_edit(root: Path) -> None:
    (root / "backend/.env").write_text(BROKEN)
    plans: list[Plan] = []
    repair.repair(load(root), CFG, lambda plan: plans.append(plan) or plan)  # type: ignore[func-returns-value]
    assert [type(step.action) for step in plans[0].steps] == [EditFile]
    assert [f.target for f in plans[0].findings] == ["REGISTRY_URL", "DATABASE_URL"]
    assert (root / "backend/.env").read_text() == EXAMPLE.replace("/d\n", "/d  # mine\n")


def test_nothing_changes_without_agreement(root: Path) -> None:
    before = tree(root)
    done = repair.repair(load(root), CFG, lambda plan: plan.without(plan.steps, "no"))
    assert (done.done, done.declined, done.run) == ([], True, None)
    assert tree(root) == before
    assert journal.runs(load(root)) == []


def test_a_second_fix_changes_nothing(root: Path) -> None:
    repair.repair(load(root), CFG, yes)
    assert repair.repair(load(root), CFG, yes).done == []


def test_a_file_changed_while_the_plan_was_shown_is_left_alone(root: Path) -> None:
    env = root / "backend/.env"
    env.write_text(BROKEN)

    def edit_meanwhile(plan: Plan) -> Plan:
        env.write_text(BROKEN + "MINE=1\n")
        return plan

    done = repair.repair(load(root), CFG, edit_meanwhile)
    assert done.done[0].outcome is Outcome.NOT_APPLIED
    assert "changed since the plan" in done.done[0].reason
    assert "MINE=1" in env.read_text()


def test_undo_refuses_where_the_file_was_changed_since_and_keeps_the_former_bytes(
    root: Path,
) -> None:
    env = root / "backend/.env"
    env.write_text(BROKEN)
    run = repair.repair(load(root), CFG, yes).run
    env.write_text("MINE=1\n")
    undone = repair.undo(load(root))
    assert next(reason for _, reason in undone.refused).startswith("backend/.env was changed since")
    assert env.read_text() == "MINE=1\n"
    (kept,) = (root / f".saas-doctor/runs/{run}/kept").iterdir()
    assert kept.read_text() == BROKEN


def test_mode_and_line_ends_of_an_edited_file_stay(root: Path) -> None:
    env = root / "backend/.env"
    env.write_bytes(BROKEN.replace("\n", "\r\n").encode())
    env.chmod(0o640)
    repair.repair(load(root), CFG, yes)
    assert env.read_bytes().count(b"\r\n") == 2
    assert env.stat().st_mode & 0o777 == 0o640


def test_a_link_stays_a_link_and_its_target_is_written(root: Path) -> None:
    (root / "shared.env").write_text(BROKEN)
    (root / "backend/.env").symlink_to("../shared.env")
    repair.repair(load(root), CFG, yes)
    assert (root / "backend/.env").is_symlink()
    assert "postgresql://" in (root / "shared.env").read_text()
    repair.undo(load(root))
    assert (root / "shared.env").read_text() == BROKEN


def test_a_second_undo_and_an_unknown_run_are_refused_in_one_sentence(root: Path) -> None:
    repair.repair(load(root), CFG, yes)
    repair.undo(load(root))
    with pytest.raises(DoctorError, match="nothing to undo"):
        repair.undo(load(root))
    with pytest.raises(DoctorError, match="no run is called x"):
        repair.undo(load(root), "x")


def test_two_fixes_at_once_do_not_collide(root: Path) -> None:
    platform = load(root)
    with repair.locked(platform), pytest.raises(DoctorError, match="another `saas-doctor fix`"):
        repair.repair(platform, CFG, yes)
    assert not (root / "backend/.env").exists()


def test_no_secret_is_in_the_journal(root: Path) -> None:
    repair.repair(load(root), CFG, yes)
    (file,) = (root / ".saas-doctor/runs").glob("*/journal.jsonl")
    assert "hunter2" not in file.read_text()


# A problem made for the test, whose fix does what the test wants.


class Made(CreateFile):
    """A file that is created, or not."""

    fails = False

    def apply(self, bench: Bench, before: Record) -> Record:
        if self.name.startswith("bad"):
            super().apply(bench, before)
            raise Failed("the disk is full")
        return super().apply(bench, before)


class Marks(Fact, frozen=True):
    """The files in the root."""

    names: set[str]

    @classmethod
    def read(cls, platform: Platform) -> Marks:
        return cls({path.name for path in platform.root.iterdir()})


class Text(Fact, frozen=True):
    """A text in the root."""

    now: bytes

    @classmethod
    def read(cls, platform: Platform) -> Text:
        return cls((platform.root / "text").read_bytes())


def wants(*names: str) -> Callable[..., Iterator[Finding]]:
    def check(marks: Marks) -> Iterator[Finding]:
        """Files that are wanted."""
        for name in names:
            if name not in marks.names:
                yield Finding(f"{name} is missing", "the root", "nothing", name, target=name)

    return check


def makes(*names: str) -> Callable[..., Iterator[Action]]:
    def fix(finding: Finding, platform: Platform) -> Iterator[Action]:
        """Make them."""
        for name in names or (finding.target,):
            yield Made(platform.root / name, name, b"x")

    return fix


@pytest.fixture
def problem(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def declare(
        check: Callable[..., Iterator[Finding]], fix: Callable[..., Iterator[Action]]
    ) -> None:
        checks = {"T1": Check("T1", check, Severity.ERROR, (), ())}
        monkeypatch.setattr(rules, "checks", lambda: checks)
        monkeypatch.setattr(rules, "fixes", lambda: {"T1": Fix("T1", fix, Risk.SAFE)})

    return declare


def test_what_did_not_help_is_rolled_back_and_said_so(
    root: Path, problem: Callable[..., None]
) -> None:
    problem(wants("a"), makes("b"))
    done = repair.repair(load(root), Selection(), yes)
    assert [(d.outcome, d.reason) for d in done.done] == [
        (Outcome.ROLLED_BACK, "the finding was still there")
    ]
    assert not (root / "b").exists()


def test_a_failing_action_is_taken_back_and_does_not_end_the_others(
    root: Path, problem: Callable[..., None]
) -> None:
    problem(wants("bad", "good"), makes())
    done = repair.repair(load(root), Selection(), yes)
    assert [d.outcome for d in done.done] == [Outcome.FAILED, Outcome.VERIFIED]
    assert not (root / "bad").exists()
    assert (root / "good").exists()


def test_what_comes_after_a_failed_action_of_the_same_fix_is_not_applied(
    root: Path, problem: Callable[..., None]
) -> None:
    problem(wants("a"), makes("bad", "a"))
    done = repair.repair(load(root), Selection(), yes)
    assert [d.outcome for d in done.done] == [Outcome.FAILED, Outcome.NOT_APPLIED]
    assert not (root / "a").exists()


def test_what_came_before_a_failed_action_of_the_same_fix_is_rolled_back(
    root: Path, problem: Callable[..., None]
) -> None:
    problem(wants("a"), makes("first", "bad", "a"))
    done = repair.repair(load(root), Selection(), yes)
    assert [d.outcome for d in done.done] == [
        Outcome.ROLLED_BACK,
        Outcome.FAILED,
        Outcome.NOT_APPLIED,
    ]
    assert not (root / "first").exists()


def test_overlapping_edits_wait_for_a_new_plan(root: Path, problem: Callable[..., None]) -> None:
    file = root / "text"
    file.write_bytes(b"ab")

    def check(text: Text) -> Iterator[Finding]:
        """Small letters."""
        for letter in "ab":
            if letter.encode() in text.now:
                yield Finding(f"{letter} is small", "text", letter, letter.upper(), target=letter)

    def fix(finding: Finding, platform: Platform) -> Iterator[Action]:
        """Make it big."""
        data = (platform.root / "text").read_bytes()
        new = data.replace(finding.target.encode(), finding.target.upper().encode())
        yield EditFile(platform.root / "text", "text", data, (Edit(0, 2, new),))

    problem(check, fix)
    done = repair.repair(load(root), Selection(), yes)
    assert [d.outcome for d in done.done] == [Outcome.VERIFIED, Outcome.VERIFIED]
    assert file.read_bytes() == b"AB"
    repair.undo(load(root))
    assert file.read_bytes() == b"ab"


# Crashes.

KILLED = """
import os, signal, sys
from pathlib import Path
from saas_doctor import platform, repair
from saas_doctor.journal import Journal
from saas_doctor.runner import Selection

root, at, moment, select = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], tuple(sys.argv[4].split(","))
written, write = 0, Journal.write

def dying(self, event, **values):
    global written
    written += 1
    if written == at and moment == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, event, **values)
    if written == at and moment == "after":
        os.kill(os.getpid(), signal.SIGKILL)

Journal.write = dying
repair.repair(platform.load(root, exact=True), Selection(select=select), lambda plan: plan, timeout=20)
"""


def killed_fix(root: Path, at: int, moment: str, select: str = "CFG") -> bool:
    """Run a fix that dies at its journal's record number `at`; whether it came that far."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(root), str(at), moment, select],
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode in (0, -signal.SIGKILL)
    return done.returncode != 0


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_fix_killed_at_any_record_of_its_journal_can_be_undone(root: Path, moment: str) -> None:
    (root / "backend/.env").write_text(BROKEN)
    before = tree(root)
    whole = [BROKEN, EXAMPLE.replace("/d\n", "/d  # mine\n")]
    at = 1
    while killed_fix(root, at, moment):
        assert (root / "backend/.env").read_text() in whole
        cut_off = journal.interrupted(load(root))
        if cut_off is None:
            # Nothing was begun, or all was over: there is nothing to take back.
            assert tree(root) == before or at > 4
        else:
            with pytest.raises(DoctorError, match=r"was interrupted.*saas-doctor undo"):
                repair.repair(load(root), CFG, yes)
            repair.undo(load(root), cut_off.name)
        if tree(root) != before:
            repair.undo(load(root))
        assert tree(root) == before
        at += 1
    assert at > 4
