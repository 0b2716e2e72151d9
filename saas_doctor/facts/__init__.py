"""Facts: things read from the world, once a run, on demand, each within a limit of time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from functools import cache
from typing import Any, ClassVar, TypeVar, cast

from msgspec import Struct

from saas_doctor.model import Unreadable
from saas_doctor.platform import Platform
from saas_doctor.rules import parameters


class Fact(Struct, frozen=True, dict=True):
    """One source of truth about the platform.

    A subclass is a frozen Struct with a classmethod `read`, whose parameters name the facts
    it is read from. It raises Unreadable with the reason when it can't tell, and Absent when
    this platform has no such thing. It never judges and never changes the world.
    """

    live: ClassVar[bool] = False
    """Whether reading it asks running things (sockets, processes, servers)."""
    limit: ClassVar[float] = 3.0
    """Seconds after which reading it counts as failed."""

    @property
    def partial(self) -> str:
        """What of it could not be read; the checks that use it are then never `ok`."""
        return ""


T = TypeVar("T")


@cache
def is_live(kind: type) -> bool:
    """Whether this fact, or one that it is read from, asks running things."""
    return getattr(kind, "live", False) or any(is_live(k) for k in sources(kind))


def sources(kind: type) -> list[type]:
    """The facts that a fact is read from."""
    read = getattr(kind, "read", None)
    return list(parameters(read).values()) if read else []


class _Slot:
    def __init__(self) -> None:
        self.started = threading.Event()
        self.done = threading.Event()
        self.began = 0.0
        self.value: Any = None
        self.error: Exception | None = None


class Facts:
    """The facts of one run. Safe to ask from many threads; each fact is read in its own."""

    def __init__(self, platform: Platform, *known: object) -> None:
        """`known`: facts already at hand, which are then not read (tests give plain values).

        A fact that needs others only now and then takes the facts themselves, and asks them.
        """
        self._known: dict[type, Any] = {type(fact): fact for fact in (self, platform, *known)}
        self._slots: dict[type, _Slot] = {}
        self._lock = threading.Lock()

    def know(self, fact: object) -> None:
        """Take up a fact that is made by the run itself, and not read."""
        self._known[type(fact)] = fact

    def start(self, kind: type) -> None:
        """Begin to read a fact, without waiting for it."""
        if kind not in self._known:
            self._slot(kind)

    def get(self, kind: type[T]) -> T:
        """The fact of this kind; raises what its reading raised, or Unreadable when too slow."""
        if kind in self._known:
            return cast(T, self._known[kind])
        slot = self._slot(kind)
        slot.started.wait()  # its own sources are bounded each by their limit
        limit = cast(float, getattr(kind, "limit", Fact.limit))
        if not slot.done.wait(max(0.0, slot.began + limit - time.monotonic())):
            raise Unreadable(f"{describe(kind)}: no answer within {limit:g} s")
        if slot.error is not None:
            raise slot.error
        return cast(T, slot.value)

    def arguments(self, wanted: dict[str, type]) -> dict[str, Any]:
        """The facts that a function's parameters name; all are begun before one is waited for."""
        for kind in wanted.values():
            self.start(kind)
        return {name: self.get(kind) for name, kind in wanted.items()}

    def partial(self, kinds: Iterable[type]) -> set[str]:
        """What could not be read of these facts, and of those that they were read from."""
        found: set[str] = set()
        for kind in kinds:
            slot = self._slots.get(kind)
            value = self._known.get(kind) or (slot.value if slot else None)
            own = value.partial if isinstance(value, Fact) else ""
            found |= {own} | self.partial(sources(kind))
        return found - {""}

    def _slot(self, kind: type) -> _Slot:
        with self._lock:
            slot = self._slots.get(kind)
            if slot is None:
                slot = self._slots[kind] = _Slot()
                # A daemon: a hung read must not keep the program from ending.
                threading.Thread(
                    target=self._read, args=(kind, slot), name=kind.__name__, daemon=True
                ).start()
        return slot

    def _read(self, kind: type, slot: _Slot) -> None:
        read = cast(Any, kind).read
        try:
            arguments = self.arguments(parameters(read))
            slot.began = time.monotonic()
            slot.started.set()
            slot.value = read(**arguments)
        except Exception as error:
            slot.error = error
        finally:
            slot.began = slot.began or time.monotonic()
            slot.started.set()
            slot.done.set()


def describe(kind: type) -> str:
    """A fact in words: the first line of its docstring."""
    return (kind.__doc__ or kind.__name__).strip().partition("\n")[0].rstrip(".")
