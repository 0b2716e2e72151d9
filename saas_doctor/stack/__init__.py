"""The stack: the Compose model brought up by a backend, with Docker or as native processes.

`up`, `down`, `ps`, `logs` and `restart` speak to a Backend and know nothing of its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from saas_doctor.stack.saving import Saved


class Verb(str, Enum):
    """What `up` or `down` does with a thing."""

    PULL = "pull"
    BUILD = "build"
    CREATE = "create"
    RECREATE = "recreate"
    START = "start"
    KEEP = "keep"
    STOP = "stop"
    REMOVE = "remove"


class Change(Struct, frozen=True):
    """One line of the plan: `recreate service gateway: its environment has changed`.

    `kind` is network, volume, image or service (for the local backend also database and cache).
    """

    verb: Verb
    kind: str
    name: str
    reason: str = ""
    size: int = 0
    """Bytes that are lost with it."""


class Member(Struct, frozen=True):
    """A container or process of the stack, as `ps` shows it.

    `state` is running, exited, created, restarting or paused; `health` is healthy, unhealthy,
    starting, or empty where nothing tells. `memory` is in bytes.
    """

    service: str
    name: str
    state: str
    health: str = ""
    ports: tuple[str, ...] = ()
    since: datetime | None = None
    memory: int | None = None
    restarts: int = 0
    exit_code: int | None = None


class LogLine(Struct, frozen=True):
    """A line that a service wrote."""

    service: str
    text: str
    at: datetime | None = None


class Failure(Struct, frozen=True):
    """Why a service, or the whole stack, is not up.

    `what` is one sentence that names the service; `evidence` what was seen (exit code, the health
    check's own output, the log's tail); `code` the rule whose page is about it, or nothing.
    """

    service: str
    what: str
    next_step: str
    evidence: tuple[str, ...] = ()
    code: str = ""


class Failed(Exception):
    """The stack is not up."""

    def __init__(self, failures: Sequence[Failure]) -> None:
        super().__init__("; ".join(failure.what for failure in failures))
        self.failures = tuple(failures)


Say = Callable[[str, str], None]
"""Told of progress: (service or other thing, what happens to it now)."""


class Options(Struct, frozen=True):
    """What the user asked of `up`; `services` empty: all. `wait` is in seconds."""

    services: tuple[str, ...] = ()
    build: bool = False
    deps: bool = True
    recreate: bool = False
    remove_orphans: bool = False
    wait: float = 120.0
    rollback: bool = False


class Backend(Protocol):
    """A way to run the stack. Every method may raise Failed or DoctorError."""

    name: str

    @property
    def services(self) -> Sequence[str]:
        """The names of all services that it may run."""

    def changes(self, options: Options) -> list[Change]:
        """What `up` would do, nothing done."""

    def up(self, options: Options, say: Say) -> list[Member]:
        """Bring it up and wait until everything is healthy; raises Failed.

        What is up then, without what takes a question to each: since when, restarts and memory.
        """

    def removals(self, *, volumes: bool) -> list[Change]:
        """What `down` would remove, nothing done; of kind `volume` or `data` is what is lost for ever."""

    def down(self, *, volumes: bool, say: Say) -> list[Change]:
        """Stop and remove all that belongs to the stack; what was removed."""

    def save(self, saved: Saved, say: Say) -> None:
        """Stop it, and put the data aside that `down` with `volumes` removes; raises DoctorError."""

    def members(self) -> list[Member]:
        """All that belongs to the stack, running or not."""

    def logs(
        self, services: Sequence[str], *, tail: int | None, since: datetime | None, follow: bool
    ) -> Iterator[LogLine]:
        """What the services wrote, oldest first."""

    def restart(self, services: Sequence[str], say: Say) -> list[Member]:
        """Stop and start these (all where none is named), each after what it depends on."""
