"""Which files each check really reads: noted during one run, by what Python tells of every open file.

Only while it is asked for. What a subprocess reads is not seen.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any

from saas_doctor import rules
from saas_doctor.facts import ASKED, Fact, sources
from saas_doctor.reading import READ

Owner = str | type
"""Who reads: a check, by its code, or a fact."""
_LISTED = ("os.listdir", "os.scandir")
_MOST_LINKS = 40


def names(path: str) -> list[str]:
    """The absolute path, and what each link on its way leads to, one after the other."""
    found = [os.path.abspath(path)]
    while len(found) <= _MOST_LINKS:
        here = Path(found[-1])
        link = next((p for p in (*reversed(here.parents), here) if os.path.islink(p)), None)
        if link is None:
            break
        try:
            target = link.parent / os.readlink(link)
        except OSError:  # it is gone
            break
        found.append(os.path.normpath(target / here.relative_to(link)))
    return found


class Trace:
    """The files below a folder that were read, or looked for, and the folders that were listed.

    A file or folder has the names of the links that lead there, too.
    """

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._names = lru_cache(None)(names)
        self._read: defaultdict[Owner, set[str]] = defaultdict(set)
        self._listed: defaultdict[Owner, set[str]] = defaultdict(set)
        self._asked: defaultdict[Owner, set[type]] = defaultdict(set)
        self._codes = {c.function.__code__: code for code, c in rules.checks().items()}

    def files(self, code: str) -> set[str]:
        """The files that a check read, by itself or through its facts; absolute names."""
        return {file for owner in self._owners(code) for file in self._read[owner]}

    def folders(self, code: str) -> set[str]:
        """The folders whose entries it listed; absolute names."""
        return {folder for owner in self._owners(code) for folder in self._listed[owner]}

    def _owners(self, code: str) -> list[Owner]:
        found: dict[Owner, None] = dict.fromkeys([code, *rules.checks()[code].facts.values()])
        waiting = list(found)
        for owner in waiting:  # grows meanwhile
            further = self._asked[owner] | set(sources(owner) if isinstance(owner, type) else ())
            waiting += [kind for kind in further if kind not in found]
            found |= dict.fromkeys(further)
        return waiting

    def note(self, event: str, subject: Any) -> None:
        if event == ASKED:
            owner = self._owner(sys._getframe(2))
            if owner is not None:
                self._asked[owner].add(subject)
        elif isinstance(subject, str | os.PathLike):
            name = os.path.abspath(os.fspath(subject))
            if name.startswith(self._root):
                owner = self._owner(sys._getframe(2))
                if owner is not None:
                    noted = self._listed if event in _LISTED else self._read
                    noted[owner].update(self._names(name))

    def _owner(self, frame: FrameType | None) -> Owner | None:
        """The nearest of the callers that is a fact or a check.

        A fact may read when a check asks for a part of it, which other checks then find read.
        """
        while frame is not None:
            code = frame.f_code
            if code in self._codes:
                return self._codes[code]
            if code.co_argcount and code.co_varnames[0] in ("self", "cls"):
                this = frame.f_locals.get(code.co_varnames[0])
                kind = this if isinstance(this, type) else type(this)
                if issubclass(kind, Fact):
                    return kind
            frame = frame.f_back
        return None


_active: Trace | None = None
_hooked = False


@contextmanager
def tracing(root: Path) -> Iterator[Trace]:
    """Note what is read below `root` meanwhile."""
    global _active, _hooked
    if not _hooked:
        sys.addaudithook(_hook)  # stays until the program ends
        _hooked = True
    _active = trace = Trace(root)
    try:
        yield trace
    finally:
        _active = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _active is not None and event in ("open", READ, ASKED, *_LISTED):
        _active.note(event, arguments[0])
