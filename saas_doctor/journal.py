"""The write-ahead record of what `fix` does, from which `undo` works, after a crash as well."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from saas_doctor.actions import Record
from saas_doctor.model import DoctorError
from saas_doctor.platform import Platform
from saas_doctor.redact import redact

FILE = "journal.jsonl"
_OWN = (".gitignore", "lock", "runs", "local", "removed")
"""What is written into the state folder."""


class Step(Struct):
    """One action in a journal: its kind, what undo needs, and how far it came."""

    number: int
    kind: str
    title: str
    before: Record
    after: Record | None = None
    state: str = "begun"
    """`begun`, `applied`, `failed`, `rolled back`, `undone`; after the run the final outcome."""


class Run(Struct):
    """One `fix`, as its journal tells it."""

    folder: Path
    began: float
    steps: list[Step] = field(default_factory=list)
    ended: bool = False
    undone: bool = False
    pid: int = 0
    started: float = 0.0

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def interrupted(self) -> bool:
        """Cut off with something begun; before that there is nothing to take back."""
        return not self.ended and not self.undone and bool(self.standing)

    @property
    def standing(self) -> list[Step]:
        """The steps whose change (or a part of it) may still be in the world."""
        return [s for s in self.steps if s.state not in ("rolled back", "undone")]


class Journal:
    """Appends records, each on disk before the next thing happens."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        file = folder / FILE
        torn = file.exists() and not file.read_bytes().endswith(b"\n")
        # Former values may be told in it: nobody else reads it, whatever the folder's mode is.
        handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._file = os.fdopen(handle, "ab")
        if torn:  # by a crash: what comes now begins on a line of its own
            self._file.write(b"\n")

    @classmethod
    def begin(cls, platform: Platform) -> Journal:
        """A new run in the platform's state folder, which git ignores by a file of its own."""
        prepare_state(platform)
        stamp = time.strftime("%Y%m%d-%H%M%S")
        folder = platform.state / "runs" / f"{stamp}-{secrets.token_hex(2)}"
        try:
            folder.mkdir(parents=True, mode=0o700)
            journal = cls(folder)
        except OSError as error:
            raise _closed(folder, error) from None
        import psutil

        process = psutil.Process()
        journal.write("run", began=time.time(), pid=process.pid, started=process.create_time())
        return journal

    def write(self, event: str, **values: Any) -> None:
        if "title" in values:  # shown by `history` and `undo`
            values["title"] = redact(values["title"])
        line = json.dumps({"event": event, **values})  # in ASCII: names may hold any bytes
        try:
            self._file.write(line.encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _closed(self.folder, error) from None

    def close(self) -> None:
        self._file.close()


def prepare_state(platform: Platform) -> None:
    """Make the state folder: only for this user, since former bytes may hold secrets."""
    try:
        for path in (platform.state, *(platform.state / name for name in _OWN)):
            if path.is_symlink():
                raise DoctorError(
                    f"{path}: is a link; remove it, so that nothing else is written to"
                )
        platform.state.mkdir(mode=0o700, exist_ok=True)
        ignore = platform.state / ".gitignore"
        if not ignore.exists() or ignore.read_text() != "*\n":
            ignore.write_text("*\n")
    except OSError as error:
        raise _closed(platform.state, error) from None


def _closed(folder: Path, error: OSError) -> DoctorError:
    return DoctorError(
        f"{folder}: can't keep the journal here ({error.strerror}); without it nothing is changed"
    )


def read(folder: Path) -> Run:
    """A run from its journal; a torn last line, as a crash leaves it, is passed over."""
    run = Run(folder, 0.0)
    for record in _records(folder / FILE):
        # A record that says nothing (torn, or written by somebody else) is passed over.
        with contextlib.suppress(KeyError, TypeError, AttributeError, StopIteration):
            _take(run, record)
    return run


def _take(run: Run, record: dict[str, Any]) -> None:
    event = record.pop("event")
    if event == "run":
        run.began = float(record["began"])
        run.pid, run.started = int(record["pid"]), float(record["started"])
    elif event == "begin":
        run.steps.append(Step(**record))
    elif event == "state":
        step = next(step for step in run.steps if step.number == record["number"])
        step.state, step.after = record["state"], record.get("after", step.after)
    elif event == "end":
        run.ended = True
    elif event == "undone":
        run.undone = True


def _records(file: Path) -> Iterator[dict[str, Any]]:
    try:
        lines = file.read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:
            continue


def runs(platform: Platform) -> list[Run]:
    """Every run of the platform, oldest first."""
    folder = platform.state / "runs"
    try:
        names = sorted(folder.iterdir())
    except OSError:
        return []
    found = [read(name) for name in names if os.access(name / FILE, os.R_OK)]
    return sorted(found, key=lambda run: run.began)


def is_closed(platform: Platform) -> bool:
    """Whether there may be runs that this user can't read: another's `.saas-doctor`."""
    return platform.state.exists() and not os.access(platform.state, os.R_OK | os.X_OK)


def interrupted(platform: Platform) -> Run | None:
    """The newest run that neither ended nor was undone, unless it is still at work."""
    for run in reversed(runs(platform)):
        if run.interrupted and not _at_work(run):
            return run
    return None


def newest_unended(platform: Platform) -> Run | None:
    """The newest run, where it began something and did not come to its end."""
    found = runs(platform)
    return found[-1] if found and found[-1].interrupted else None


def _at_work(run: Run) -> bool:
    import psutil

    try:
        return bool(psutil.Process(run.pid).create_time() == run.started)
    except psutil.Error:
        return False


def forget_if_empty(run: Run) -> None:
    """Remove the folder of a run that changed nothing."""
    if not run.steps:
        shutil.rmtree(run.folder, ignore_errors=True)
