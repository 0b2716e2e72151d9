"""Actions: typed changes of the world that can be shown, applied, verified and taken back."""

from __future__ import annotations

import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from msgspec import Struct

from saas_doctor.facts import Facts
from saas_doctor.model import Risk
from saas_doctor.platform import Platform

Record = dict[str, Any]
"""What the journal keeps of an action: plain JSON values, no secrets."""


class NotApplied(Exception):
    """The world is not as the plan saw it; nothing was changed."""


class Failed(Exception):
    """The action was tried and did not succeed."""


class Refused(Exception):
    """Something was changed since, so that taking the action back would lose it."""


class Conflict(Exception):
    """Two actions on the same thing that can't be done as one; the later waits for a new plan."""


class Bench(Struct, frozen=True):
    """What an action works with: the platform, fresh facts, and the run's folder for kept bytes."""

    platform: Platform
    facts: Facts
    folder: Path
    watch: Callable[[str], None] = lambda _: None
    """Told of what takes long while it is done."""

    def keep(self, name: str, data: bytes) -> str:
        """Keep former bytes in the run's folder, safe on disk; the name to find them by."""
        from saas_doctor.actions.files import write_atomically

        kept = self.folder / "kept"
        kept.mkdir(exist_ok=True)
        # Of a name that is as long as names may be, its end does.
        file = kept / f"{len(list(kept.iterdir())):04d}-{name[-50:]}"
        write_atomically(file, data, mode=0o600)
        return file.name

    def kept(self, name: str) -> bytes:
        return (self.folder / "kept" / name).read_bytes()


class Action(ABC):
    """One change. The journal holds what `before` returns before `apply` begins.

    `undo` gets that record, and what `apply` returned, or None where a crash came between. It
    must bring back the former state from any point in the middle, and be harmless when repeated.
    """

    order: ClassVar[int] = 50
    """Actions of a plan run from low to high: files, environment, packages, database."""
    risk: Risk = Risk.SAFE

    @property
    @abstractmethod
    def title(self) -> str:
        """One line: what will be done to what."""

    @property
    @abstractmethod
    def target(self) -> Hashable:
        """The thing changed; actions of one kind on one target become one."""

    def afterwards(self, before: Record) -> str:  # noqa: ARG002
        """What is left to do by hand when it is done; mostly nothing. `before` is what undo has."""
        return ""

    @abstractmethod
    def preview(self) -> str:
        """The diff, the SQL or the command."""

    def merge(self, other: Any) -> Action:
        """Both as one. The same action twice is one; else Conflict, unless a kind knows better."""
        if other == self:
            return self
        raise Conflict(f"{other.title} and {self.title} can't be done in one go")

    def rehearsed(self, facts: Facts, edited: Mapping[Path, bytes]) -> Action:  # noqa: ARG002
        """The action with what could be told beforehand; Conflict where it can't succeed.

        Asked once, before the plan is shown; `edited` are the files as the plan will leave them.
        """
        return self

    @abstractmethod
    def before(self, bench: Bench) -> Record:
        """What undo will need; raises NotApplied when the world is not as planned."""

    @abstractmethod
    def apply(self, bench: Bench, before: Record) -> Record:
        """Do it; raises Failed. What it returns tells undo how the world was left."""

    @abstractmethod
    def verify(self, bench: Bench) -> bool:
        """Whether the change is really there."""

    @classmethod
    @abstractmethod
    def undo(cls, bench: Bench, before: Record, after: Record | None) -> str | None:
        """Take it back; raises Refused. A returned sentence says what could not be taken back."""

    @classmethod
    def goes(cls, before: Record) -> Path | None:  # noqa: ARG003
        """The file or folder that it made, and that is gone when it is taken back."""
        return None


def kinds() -> dict[str, type[Action]]:
    """Every kind of action by the name the journal uses."""
    from saas_doctor.actions import (  # noqa: F401
        containers,
        database,
        database_rights,
        database_role,
        files,
        packages,
        processes,
        servers,
    )

    found: dict[str, type[Action]] = {}
    queue: list[type[Action]] = [*Action.__subclasses__()]
    while queue:
        kind = queue.pop()
        found[kind.__name__] = kind
        queue.extend(kind.__subclasses__())
    return found


def command(
    argv: Sequence[str | Path],
    *,
    cwd: Path,
    limit: float = 600,
    environ: Mapping[str, str] | None = None,
) -> str:
    """Run a command with a closed standard input; its output, or Failed with its last lines."""
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=limit,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError:
        raise Failed(f"{words[0]}: no such command") from None
    except subprocess.TimeoutExpired:
        raise Failed(f"`{' '.join(words)}` did not end within {limit:g} s") from None
    if done.returncode:
        tail = "\n".join(done.stdout.strip().splitlines()[-12:])
        raise Failed(f"`{' '.join(words)}` ended with {done.returncode}:\n{tail}")
    return done.stdout
