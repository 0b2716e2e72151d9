"""What a finding is known again by in a later run, and which of two runs' findings are the same.

By its code, its file and what it is about, never by its line's number; in a file that was renamed, which
the file's text tells, by the text of its line. What nothing tells apart is counted, and so are the places
of a finding that has several: one more makes it new. So does a graver severity.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import lru_cache

from msgspec import Struct
from msgspec.structs import replace

from saas_doctor.identity import about
from saas_doctor.model import Finding, Place, Severity
from saas_doctor.platform import Platform
from saas_doctor.reading import read_bytes
from saas_doctor.redact import redact

_MARKS = 8
"""Lines by which a file that was renamed is known again."""
_VALUE = re.compile("[=:].*")


class Known(Struct, frozen=True):
    """One place of a finding, or one that an entry counts: what it can be known again by.

    `grouped`: it is one of several, and the first of them gives its name to all.
    """

    code: str
    path: str
    about: str
    line: str = ""
    grouped: bool = False
    severity: Severity | None = None


class Left:
    """What of the earlier run was not found yet; `files` are the marks of its files, by name."""

    def __init__(self, slots: list[Known], files: Mapping[str, str], texts: Texts) -> None:
        self.slots = slots
        self._texts = texts
        self._files = files
        self._paths = {slot.path for slot in slots}

    def take(self, findings: list[tuple[Finding, list[Known]]]) -> list[Finding]:
        """The findings all of whose places are accepted; each uses up what it was known by."""
        there = Counter(name_of(slot) for slot in self.slots)
        # A message may be the same of any file; a target names what the finding is about.
        here = Counter(name_of(known[0]) for finding, known in findings if finding.target)
        alone = {name for name, number in here.items() if number == there[name] == 1}
        # The gravest first: what accepts them accepts the others as well.
        asked = sorted((k for _, places in findings for k in places), key=rank_of)
        groups = {spot_of(known) for known in (*self.slots, *asked) if known.grouped}

        def in_group(known: Known) -> Hashable:  # whichever of them gives its name
            return spot_of(known) if spot_of(known) in groups else None

        asked = self._take(lambda k: (name_of(k), k.path, k.line), asked)
        asked = self._take(lambda k: (name_of(k), k.path), asked)
        asked = self._take(in_group, asked)
        new_names = self._renamed(asked)
        renamed = {*new_names.values()}

        def path_of(known: Known) -> str | None:
            path = new_names.get(known.path, known.path)
            return path if path in renamed else None

        def by_name(known: Known) -> Hashable:
            return path_of(known) and (name_of(known), path_of(known), known.line)

        def by_line(known: Known) -> Hashable:  # its message names the file in other ways
            return known.line and path_of(known) and (known.code, path_of(known), known.line)

        def elsewhere(known: Known) -> Hashable:
            """The only one of its name: a line that moved, or what another machine has elsewhere."""
            told = known.line if _is_inside(known.path) else "outside"
            return (name_of(known), told) if told and name_of(known) in alone else None

        asked = self._take(by_name, asked)
        asked = self._take(lambda k: path_of(k) and (name_of(k), path_of(k)), asked)
        asked = self._take(by_line, asked)
        left = set(map(id, self._take(elsewhere, asked)))
        return [f for f, places in findings if not any(id(known) in left for known in places)]

    def _renamed(self, asked: Iterable[Known]) -> dict[str, str]:
        """The new name of each file that is gone: of those that were not known, the one that has
        most of its text, half of it at least."""
        new = dict.fromkeys(k.path for k in asked if k.path not in self._paths)
        marks = {path: set(self._texts.marks(path).split()) for path in new}
        found: dict[str, str] = {}
        for old in dict.fromkeys(s.path for s in self.slots if self._texts.is_gone(s.path)):
            before = set(self._files.get(old, "").split())
            best = max(marks, key=lambda path: _likeness(before, marks[path]), default=None)
            if best is not None and _likeness(before, marks[best]) >= 0.5:
                found[old] = best
                del marks[best]
        return found

    def drop(self, findings: list[tuple[Finding, list[Known]]]) -> list[Finding]:
        """The same of findings however grave they have become."""
        return self.take(
            [(f, [replace(k, severity=Severity.INFO) for k in ks]) for f, ks in findings]
        )

    def _take(self, key: Callable[[Known], Hashable], asked: list[Known]) -> list[Known]:
        """Use up what is equal by the key, and return what of `asked` is not; nothing is equal where
        there is no key."""
        free: defaultdict[Hashable, list[Known]] = defaultdict(list)
        for slot in self.slots:
            free[key(slot)].append(slot)
        rest, used = [], set[int]()
        for known in asked:
            slots = free.get(key(known), []) if key(known) else []
            number = next((n for n, s in enumerate(slots) if rank_of(s) <= rank_of(known)), None)
            if number is None:
                rest.append(known)
            else:
                used.add(id(slots.pop(number)))
        self.slots = [slot for slot in self.slots if id(slot) not in used]
        return rest


def _likeness(one: set[str], other: set[str]) -> float:
    """How much of two texts is the same, from 0 to 1, by the least of their marks."""
    both = sorted(one | other)[:_MARKS]
    return len(one.intersection(both) & other) / len(both) if both else 0.0


def name_of(known: Known) -> tuple[str, str]:
    return known.code, known.about


def spot_of(known: Known) -> tuple[str, str, str]:
    return known.code, known.path, known.line


def _is_inside(path: str) -> bool:
    """Whether it is a file of the platform, and not of this machine, or none."""
    return bool(path) and not path.startswith(("~", "/"))


def rank_of(known: Known) -> int:
    """0 for the gravest, and where none is known: older baselines tell none."""
    return known.severity.rank if known.severity else 0


class Texts:
    """The lines of the platform's files, each read once."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self.lines = lru_cache(None)(self._lines)
        self.is_gone = lru_cache(None)(self._is_gone)
        self.marks = lru_cache(None)(self._marks)

    def _lines(self, path: str) -> list[str]:
        try:
            return read_bytes(self._platform.path(path)).decode("utf-8", "replace").split("\n")
        except OSError:
            return []

    def _is_gone(self, path: str) -> bool:
        """Whether a file of the platform was renamed, moved or deleted."""
        return _is_inside(path) and not os.path.lexists(self._platform.path(path))

    def _marks(self, path: str) -> str:
        """The least of the marks of its lines: of two texts, as large a part is the same as of these.

        Of each line, what it sets counts, and not to what: a secret could be guessed from that.
        """
        lines = self.lines(path)[:1000] if _is_inside(path) else []
        marks = {_mark(_VALUE.sub("", line), path) for line in lines} - {""}
        return " ".join(sorted(marks)[:_MARKS])


def marker(platform: Platform, texts: Texts) -> Callable[[Finding], list[Known]]:
    """What a finding's places are known again by; no path of this machine is in it."""
    home = platform.environ.get("HOME", "")
    mine = [(str(platform.root), "."), *([(home, "~")] if len(home) > 1 else [])]

    def portable(text: str) -> str:
        for folder, name in mine:
            text = text.replace(folder, name)
        return text

    def known(finding: Finding) -> list[Known]:
        name = portable(about(finding))
        grouped = len(finding.places) > 1
        return [
            Known(
                finding.code, portable(place.path), name, line_of(place), grouped, finding.severity
            )
            for place in finding.places
        ] or [Known(finding.code, "", name, severity=finding.severity)]

    def line_of(place: Place) -> str:
        text = texts.lines(place.path)[place.line - 1 : place.line] if place.line else []
        return _mark(text[0], place.path) if text else ""

    return known


def _mark(line: str, path: str) -> str:
    """A mark of a line's text, whatever its indentation; of a settings file's, of the key alone."""
    if ".env" in os.path.basename(path):
        line = line.partition("=")[0]
    text = redact(" ".join(line.split()))
    return hashlib.sha256(text.encode()).hexdigest()[:8] if text else ""
