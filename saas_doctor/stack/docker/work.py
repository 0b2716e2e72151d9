"""Calls side by side in a few daemon threads, which hold up neither Ctrl-C nor the end."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import suppress
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

AT_ONCE = 4
"""More threads bring nothing: the engine itself is the limit."""


class Work(Generic[K, T]):
    """Calls that were given in, and the results of those that are over."""

    def __init__(self, threads: int = AT_ONCE) -> None:
        self._calls: queue.SimpleQueue[tuple[K, Callable[[], T]] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[K, T | BaseException] | None] = queue.SimpleQueue()
        self._threads = threads
        self._started = 0
        self.open: set[K] = set()
        """The keys of the calls that are not over."""

    def give(self, key: K, call: Callable[[], T]) -> None:
        self.open.add(key)
        self._calls.put((key, call))
        if self._started < min(self._threads, len(self.open)):
            self._started += 1
            threading.Thread(target=self._run, daemon=True).start()

    def done(self, wait: float) -> list[tuple[K, T | BaseException]]:
        """What is over; waits at most these seconds for the first, or until `wake`."""
        got: list[tuple[K, T | BaseException] | None] = []
        with suppress(queue.Empty):
            got.append(self._done.get(timeout=wait) if wait else self._done.get_nowait())
            while True:
                got.append(self._done.get_nowait())
        found = [result for result in got if result]
        self.open -= {key for key, _ in found}
        return found

    def rest(self) -> dict[K, T | BaseException]:
        """The results of all that is open; no further call is taken."""
        results: dict[K, T | BaseException] = {}
        try:
            while self.open:
                results.update(self.done(0.5))
        finally:
            self.end()
        return results

    def drop(self) -> None:
        """Forget the calls that nobody has begun."""
        with suppress(queue.Empty):
            while call := self._calls.get_nowait():
                self.open.discard(call[0])

    def wake(self) -> None:
        """Let `done` return, since something else has happened."""
        self._done.put(None)

    def end(self) -> None:
        """No further call is taken; those that run go on by themselves."""
        for _ in range(self._started):
            self._calls.put(None)

    def _run(self) -> None:
        while call := self._calls.get():
            try:
                self._done.put((call[0], call[1]()))
            except BaseException as error:
                self._done.put((call[0], error))


def all_done(calls: Iterable[tuple[K, Callable[[], T]]]) -> dict[K, T | BaseException]:
    """The results (or exceptions) of all calls, run side by side."""
    work: Work[K, T] = Work()
    for key, call in calls:
        work.give(key, call)
    return work.rest()


def each(calls: Iterable[tuple[K, Callable[[], T]]]) -> dict[K, T]:
    """The results of all calls, run side by side; raises the first exception when all are over."""
    return good(all_done(calls))


def good(results: Mapping[K, T | BaseException]) -> dict[K, T]:
    """The results, none of which is an exception: the first is raised."""
    found: dict[K, T] = {}
    for key, result in results.items():
        if isinstance(result, BaseException):
            raise result
        found[key] = result
    return found
