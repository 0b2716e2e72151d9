"""One step of the smoke test and what came of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import Enum

from msgspec import Struct
from msgspec.structs import replace

from saas_doctor.facts.logs import Tail
from saas_doctor.model import Absent, Blocked, Unreadable
from saas_doctor.redact import redact, redact_lines

_OUTPUT = 12
"""Lines of a failed step's output that are shown."""


class State(str, Enum):
    """What came of a step."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


class Part(str, Enum):
    """The three parts of the smoke test, in their order."""

    IMPORTS = "imports"
    SERVICES = "services"
    WAY = "whole way"


class Step(Struct, frozen=True):
    """A step: `said` is its outcome in a sentence, `error` the text that tells why it failed.

    `output` are the last lines of what failed; `code` and `next_step` come from the diagnosis.
    """

    part: Part
    title: str
    state: State
    said: str
    seconds: float = 0.0
    error: str = ""
    output: tuple[str, ...] = ()
    code: str = ""
    next_step: str = ""

    @property
    def masked(self) -> Step:
        """The step with the secrets in its texts masked."""
        return replace(
            self,
            said=redact(self.said),
            error=redact(self.error),
            output=tuple(redact_lines(self.output)),
        )


class StepFailed(Exception):
    """A step that did not go as it should; `error` and `output` as a Step has them."""

    def __init__(self, said: str, error: str = "", output: Iterable[str] = ()) -> None:
        super().__init__(said)
        self.said, self.error, self.output = said, error, tuple(output)[-_OUTPUT:]

    @classmethod
    def of(cls, said: str, tail: Tail | None) -> StepFailed:
        """With what a process wrote last."""
        return cls(said, tail.error if tail else "", tail.lines if tail else ())


class StepSkipped(Exception):
    """A step that this platform has nothing for, with the reason."""


class Clock:
    """Times one step and keeps what it says of itself."""

    def __init__(self) -> None:
        self.said = ""
        self.step: Step | None = None


@contextmanager
def step(part: Part, title: str) -> Iterator[Clock]:
    """Runs a step: what it raises, and how long it took, are in the clock's `step` afterwards."""
    clock, began = Clock(), time.monotonic()
    try:
        yield clock
    except StepFailed as failed:
        took = time.monotonic() - began
        clock.step = Step(
            part, title, State.FAILED, failed.said, took, failed.error or failed.said, failed.output
        ).masked
    except (StepSkipped, Absent, Blocked) as skipped:
        clock.step = Step(part, title, State.SKIPPED, str(skipped), time.monotonic() - began)
    except Unreadable as reason:
        took = time.monotonic() - began
        clock.step = Step(part, title, State.UNKNOWN, str(reason), took).masked
    else:
        clock.step = Step(part, title, State.OK, clock.said, time.monotonic() - began).masked
