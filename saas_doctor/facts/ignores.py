"""What is to be ignored and where that is written: `# saas-doctor: ignore[CODE]`, `[ignore]`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cached_property

from msgspec import Struct

from saas_doctor.facts import Fact, Facts
from saas_doctor.facts.comments import comments, has_comments
from saas_doctor.facts.source import Source
from saas_doctor.model import Absent, Finding, Place, Unreadable
from saas_doctor.platform import Platform
from saas_doctor.reading import read_bytes
from saas_doctor.redact import redact
from saas_doctor.walk import files

_MARKS = (b"saas-doctor:", b"saas_doctor:")
_ENDS = r"\s*(?:\*/|(?=\s#)|$)"
_BEGINS = r"(?:^|(?<=\s))(?:#|//|/\*)\s*"
_COMMENT = re.compile(
    rf"{_BEGINS}saas-doctor:\s*ignore\s*\[(?P<codes>[^\]]*)\]\s*(?:--|[-:–—])?\s*(?P<reason>.*?){_ENDS}"
)
_MEANT = re.compile(
    rf"(?i){_BEGINS}saas[-_]doctor:\s*(?:ignore\b|ignor\w*\s*(?:[\[({{:=]|[a-z]+\d)).*?{_ENDS}"
)
"""What was meant to be one, and is read as no code: a comment for people begins in other ways."""
_LARGEST = 1_000_000


class Ignore(Struct, frozen=True):
    """A comment that leaves out the findings of some codes, or beginnings of codes, at its lines.

    It has no code where it is not written as it has to be.
    """

    codes: tuple[str, ...]
    reason: str
    place: Place
    lines: range
    written: str
    unseen: bool = False
    """Whether it stands in Python that can't be parsed, in which no check finds anything."""

    def covers(self, place: Place) -> bool:
        return place.path == self.place.path and place.line in self.lines

    def names(self, finding: Finding) -> bool:
        return any(finding.code.startswith(code.upper()) for code in self.codes)


class Entry(Struct, frozen=True):
    """An entry of `[ignore]` in the configuration, with its place there."""

    pattern: str
    place: Place | None


class Ignores(Fact, frozen=True):
    """What the comments of the platform's files and its configuration ignore."""

    comments: tuple[Ignore, ...]
    entries: tuple[Entry, ...]

    limit = 20.0

    @classmethod
    def read(cls, platform: Platform, facts: Facts) -> Ignores:
        found = [ignore for marked in _marked(platform, facts) for ignore in _of(*marked)]
        return cls(tuple(found), tuple(entries(platform, platform.config.ignore)))

    @cached_property
    def _by_path(self) -> dict[str, list[Ignore]]:
        found: dict[str, list[Ignore]] = {}
        for ignore in self.comments:
            found.setdefault(ignore.place.path, []).append(ignore)
        return found

    def reason(self, finding: Finding) -> str | None:
        """Why a comment leaves the finding out, if one does; of several places, at each."""
        reasons = [
            next((i.reason for i in self._at(place) if i.names(finding)), None)
            for place in finding.places
        ]
        return reasons[0] if reasons and None not in reasons else None

    def _at(self, place: Place) -> Iterator[Ignore]:
        return (i for i in self._by_path.get(place.path, ()) if i.covers(place))


class Outcome(Fact, frozen=True):
    """What a run examined and found: for the checks that come last."""

    examined: frozenset[str]
    """The codes of the checks that looked at all that there is to see."""
    findings: tuple[Finding, ...]
    """What was found, also what was ignored."""

    @classmethod
    def read(cls) -> Outcome:
        raise Unreadable("known at the end of a run only")


def _marked(platform: Platform, facts: Facts) -> Iterator[tuple[str, bytes, bool]]:
    """The files in which such a comment may stand, and whether they can't be parsed.

    Python's are those that were read anyway.
    """
    seen: set[str] = set()
    with suppress(Absent, Unreadable):
        for module in facts.get(Source).modules:
            seen.add(os.fspath(module.path))
            if any(mark in module.data for mark in _MARKS):
                yield module.name, module.data, module.tree is None
    for entry in files(platform):
        if entry.path in seen or not has_comments(entry.name):
            continue
        try:
            data = read_bytes(entry.path, _LARGEST)
        except OSError:
            continue
        if any(mark in data for mark in _MARKS):
            yield os.path.relpath(entry.path, platform.root).replace(os.sep, "/"), data, False


def _of(name: str, data: bytes, unseen: bool) -> Iterator[Ignore]:
    for comment in comments(name, data):
        read = _COMMENT.search(comment.text)
        found = read or _MEANT.search(comment.text)
        if found:
            codes = re.split(r"[\s,]+", read["codes"]) if read else []
            place = Place(name, comment.line, comment.column + found.start())
            reason = (read and read["reason"]) or f"a comment at {name}:{comment.line}"
            written = found.group().strip()
            named = tuple(filter(None, codes))
            yield Ignore(named, redact(reason), place, comment.lines, written, unseen)


def entries(platform: Platform, patterns: Iterable[str], table: str = "ignore") -> Iterator[Entry]:
    """These keys of a table of the configuration, each with its line in the file, where it is found."""
    file, lines = platform.config_file, []
    if file:
        with suppress(OSError):
            lines = read_bytes(file).decode("utf-8", "replace").split("\n")
    heads = (f"[{table}]", f"[tool.saas-doctor.{table}]")
    head = next((n for n, text in enumerate(lines) if text.strip().startswith(heads)), 0)
    for pattern in patterns:
        begins = (f'"{pattern}"', f"'{pattern}'", f"{pattern} ", f"{pattern}=")
        line = next(
            (n for n, t in enumerate(lines[head:], head + 1) if t.lstrip().startswith(begins)), None
        )
        yield Entry(pattern, Place(platform.relative(file), line) if file else None)
