"""A baseline: the findings that a team accepts for now, so that only a new one fails.

A finding is known again by its code, its file and what it is about, never by its line's number; in
a file that was renamed, which the file's text tells, by the text of its line. What nothing tells apart is counted, and so are the
places of a finding that has several: one more makes it new. So does a graver severity.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from saas_doctor import rules
from saas_doctor.config import Config
from saas_doctor.facts.module import Module
from saas_doctor.identity import about
from saas_doctor.model import (
    Accepted,
    DoctorError,
    Finding,
    Place,
    Report,
    Result,
    Severity,
)
from saas_doctor.platform import Platform
from saas_doctor.reading import read_bytes
from saas_doctor.redact import redact
from saas_doctor.verdicts import whole

SCHEMA = 1
_MOST = 100_000
_MARKS = 8
"""Lines by which a file that was renamed is known again."""
_VALUE = re.compile("[=:].*")


class Baseline(Struct, frozen=True):
    """What is accepted, and the file that says so; nothing is where there is none."""

    file: Path
    entries: tuple[Accepted, ...] = ()
    files: Mapping[str, str] = {}
    """Marks of the text of each file, by its name."""


class _Document(Struct, frozen=True, forbid_unknown_fields=True):
    schema: int
    findings: tuple[Accepted, ...]
    files: Mapping[str, str] = {}


class _Known(Struct, frozen=True):
    """One place of a finding, or one that an entry counts: what it can be known again by.

    `grouped`: it is one of several, and the first of them gives its name to all.
    """

    code: str
    path: str
    about: str
    line: str = ""
    grouped: bool = False
    severity: Severity | None = None


def read(platform: Platform, named: Path | None = None, *, must_exist: bool = True) -> Baseline:
    """The baseline `named`, else the configuration's, which need not be there.

    Raises DoctorError for one that can't be read, and for a named one that is missing.
    """
    file = named or platform.path(platform.config.baseline)
    data = b""
    try:
        data = read_bytes(file)
        raw = json.loads(data.decode("utf-8-sig"))
        schema = raw.get("schema", SCHEMA) if isinstance(raw, dict) else SCHEMA
        if schema != SCHEMA:
            raise DoctorError(
                f"{file}: its schema is {schema}, and this saas-doctor knows {SCHEMA}; "
                "take the release that wrote it, or a newer one"
            )
        document = msgspec.convert(raw, _Document)
        if sum(max(e.count, len(e.lines)) for e in document.findings) > _MOST:
            raise ValueError(f"it counts more than {_MOST} findings")
        return Baseline(file, _merged(document.findings), document.files)
    except FileNotFoundError:
        if named and must_exist:
            raise DoctorError(f"{file}: no such file; add --write-baseline to write it") from None
        return Baseline(file)
    except IsADirectoryError:
        raise DoctorError(
            f"{file}: a folder, not a baseline; name a file in it, with --baseline or in saas-doctor.toml"
        ) from None
    except OSError as error:
        raise DoctorError(f"{file}: the baseline can't be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise DoctorError(f"{file}: {_why_refused(file, data, error)}") from None


def missing(platform: Platform, baseline: Baseline) -> str:
    """One line where the configuration names a baseline that is not there; else ""."""
    name = platform.config.baseline
    if name == Config().baseline or baseline.file != platform.path(name) or baseline.file.exists():
        return ""
    return f"{name}: no such file, which `baseline` in the configuration names; correct it, or write it (check --write-baseline)"


def _why_refused(file: Path, data: bytes, error: Exception) -> str:
    """What is wrong with it, and how to have it back: written anew, it would accept what is new."""
    if re.search(rb"(?m)^<<<<<<< ", data):
        sides = f"git checkout --ours {file}, or --theirs"
        return f"holds a merge conflict; take one side ({sides}), then check --write-baseline"
    return (
        f"no baseline: {error}; restore it (git checkout {file}): written anew, it would accept "
        "what is new"
    )


def _merged(entries: Iterable[Accepted]) -> tuple[Accepted, ...]:
    """One entry for each name in a file, the one that counts most: two are left by a merge of both
    sides (`merge=union`), and together would accept one finding more than either side had."""
    most: dict[Hashable, Accepted] = {}
    for entry in entries:
        key = (entry.path, entry.code, entry.about, entry.severity)
        there = most.setdefault(key, entry)
        if len(_slots(entry)) > len(_slots(there)):
            most[key] = entry
    return tuple(most.values())


def applied(report: Report, platform: Platform, baseline: Baseline) -> Report:
    """The report with what the baseline accepts set apart from what is new, and with what is gone."""
    if not baseline.entries:
        return report
    texts = _Texts(platform)
    mark = _marker(platform, texts)
    left = _Left(baseline, texts)
    found = [(finding, mark(finding)) for finding in report.findings]
    old = {id(f) for f in left.take(found)}
    # What is ignored is still there: its entry is not gone.
    left.drop([(f, mark(f)) for result in report.results for f, _ in result.ignored])
    results = tuple(_divided(result, old) for result in report.results)
    examined = _examined(results, platform)
    # Nor is what has become graver, which is told as new.
    graver = {(_name(k), k.path) for f, places in found if id(f) not in old for k in places}
    gone = [s for s in left.slots if examined(s) and (_name(s), s.path) not in graver]
    return replace(
        report, results=results, baseline=platform.relative(baseline.file), gone=_entries(gone)
    )


def write(report: Report, platform: Platform, baseline: Baseline) -> Baseline:
    """Write the baseline that accepts all that `report` found, in place of `baseline`.

    What is gone is dropped, and nothing else: not what a check could not look at this time, and
    not what is ignored, perhaps by `--ignore` and for this run alone.
    Raises DoctorError where it can't be written.
    """
    from saas_doctor.actions.files import write_atomically

    texts = _Texts(platform)
    mark = _marker(platform, texts)
    found = [(finding, mark(finding)) for finding in report.findings]
    left = _Left(baseline, texts)
    old = {id(f) for f in left.drop(found)}
    examined = _examined([_divided(result, old) for result in report.results], platform)
    unfound = left.slots
    left.drop([(f, mark(f)) for result in report.results for f, _ in result.ignored])
    gone = {id(slot) for slot in left.slots if examined(slot)}
    kept = [slot for slot in unfound if id(slot) not in gone]
    entries = _entries([*(known for _, places in found for known in places), *kept])
    paths = sorted({entry.path for entry in entries})
    files = {path: texts.marks(path) or baseline.files.get(path, "") for path in paths}
    files = {path: marks for path, marks in files.items() if marks}
    lines = [json.dumps(msgspec.to_builtins(e), ensure_ascii=False) for e in entries]
    listed = ",\n".join(f"    {line}" for line in lines)
    marked = json.dumps(files, ensure_ascii=False, indent=4).replace("\n}", "\n  }")
    text = f'{{\n  "schema": {SCHEMA},\n  "findings": [\n{listed}\n  ],\n  "files": {marked}\n}}\n'
    try:
        # A byte of a file's name that is no UTF-8 becomes an escape of JSON.
        write_atomically(baseline.file, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise DoctorError(f"{baseline.file}: can't write the baseline: {error.strerror}") from None
    return Baseline(baseline.file, entries, files)


def told(report: Report, platform: Platform, before: Baseline, after: Baseline) -> str:
    """One line: what was written, and by how much it is more and less than what was there."""
    old, new = (
        Counter((_name(slot), _spot(slot)) for entry in of.entries for slot in _slots(entry))
        for of in (before, after)
    )
    number = len(report.baselined)
    places = sum(max(1, len(finding.places)) for finding in report.baselined)
    kept = sum(len(_slots(entry)) for entry in after.entries) - places
    rest = f", {kept} kept that this run did not look at or left out" if kept else ""
    change = f" ({(new - old).total()} places more, {(old - new).total()} fewer)" if old else ""
    said = f"wrote {after.file}: {number} finding{'s'[: number != 1]} accepted{rest}{change}"
    usual = platform.path(platform.config.baseline)
    if os.path.realpath(after.file) != os.path.realpath(usual):
        said += f"; `check --baseline {after.file}`, or `baseline` in saas-doctor.toml, takes it"
    return said


class _Left:
    """What of a baseline was not found yet."""

    def __init__(self, baseline: Baseline, texts: _Texts) -> None:
        self.slots = [slot for entry in baseline.entries for slot in _slots(entry)]
        self._texts = texts
        self._files = baseline.files
        self._paths = {entry.path for entry in baseline.entries}

    def take(self, findings: list[tuple[Finding, list[_Known]]]) -> list[Finding]:
        """The findings all of whose places are accepted; each uses up what it was known by."""
        there = Counter(_name(slot) for slot in self.slots)
        # A message may be the same of any file; a target names what the finding is about.
        here = Counter(_name(known[0]) for finding, known in findings if finding.target)
        alone = {name for name, number in here.items() if number == there[name] == 1}
        # The gravest first: what accepts them accepts the others as well.
        asked = sorted((k for _, places in findings for k in places), key=_rank)
        groups = {_spot(known) for known in (*self.slots, *asked) if known.grouped}

        def in_group(known: _Known) -> Hashable:  # whichever of them gives its name
            return _spot(known) if _spot(known) in groups else None

        asked = self._take(lambda k: (_name(k), k.path, k.line), asked)
        asked = self._take(lambda k: (_name(k), k.path), asked)
        asked = self._take(in_group, asked)
        new_names = self._renamed(asked)
        renamed = {*new_names.values()}

        def path_of(known: _Known) -> str | None:
            path = new_names.get(known.path, known.path)
            return path if path in renamed else None

        def by_name(known: _Known) -> Hashable:
            return path_of(known) and (_name(known), path_of(known), known.line)

        def by_line(known: _Known) -> Hashable:  # its message names the file in other ways
            return known.line and path_of(known) and (known.code, path_of(known), known.line)

        def elsewhere(known: _Known) -> Hashable:
            """The only one of its name: a line that moved, or what another machine has elsewhere."""
            told = known.line if _is_inside(known.path) else "outside"
            return (_name(known), told) if told and _name(known) in alone else None

        asked = self._take(by_name, asked)
        asked = self._take(lambda k: path_of(k) and (_name(k), path_of(k)), asked)
        asked = self._take(by_line, asked)
        left = set(map(id, self._take(elsewhere, asked)))
        return [f for f, places in findings if not any(id(known) in left for known in places)]

    def _renamed(self, asked: Iterable[_Known]) -> dict[str, str]:
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

    def drop(self, findings: list[tuple[Finding, list[_Known]]]) -> list[Finding]:
        """The same of findings however grave they have become."""
        return self.take(
            [(f, [replace(k, severity=Severity.INFO) for k in ks]) for f, ks in findings]
        )

    def _take(self, key: Callable[[_Known], Hashable], asked: list[_Known]) -> list[_Known]:
        """Use up what is equal by the key, and return what of `asked` is not; nothing is equal where
        there is no key."""
        free: defaultdict[Hashable, list[_Known]] = defaultdict(list)
        for slot in self.slots:
            free[key(slot)].append(slot)
        rest, used = [], set[int]()
        for known in asked:
            slots = free.get(key(known), []) if key(known) else []
            number = next((n for n, s in enumerate(slots) if _rank(s) <= _rank(known)), None)
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


def _name(known: _Known) -> tuple[str, str]:
    return known.code, known.about


def _spot(known: _Known) -> tuple[str, str, str]:
    return known.code, known.path, known.line


def _is_inside(path: str) -> bool:
    """Whether it is a file of the platform, and not of this machine, or none."""
    return bool(path) and not path.startswith(("~", "/"))


def _rank(known: _Known) -> int:
    """0 for the gravest, and where none is known: older baselines tell none."""
    return known.severity.rank if known.severity else 0


def _slots(entry: Accepted) -> list[_Known]:
    """An object for each place that the entry counts."""
    count = max(entry.count, len(entry.lines))
    lines = [*entry.lines, *[""] * (count - len(entry.lines))]
    return [
        _Known(entry.code, entry.path, entry.about, line, count > 1, entry.severity)
        for line in lines
    ]


def _entries(known: Iterable[_Known]) -> tuple[Accepted, ...]:
    groups: defaultdict[tuple[str, str, str, int], list[_Known]] = defaultdict(list)
    for one in known:
        groups[one.path, one.code, one.about, _rank(one)].append(one)
    return tuple(
        Accepted(
            code,
            text,
            path,
            len(all_of),
            tuple(sorted(one.line for one in all_of if one.line)),
            all_of[0].severity,
        )
        for (path, code, text, _), all_of in sorted(groups.items())
    )


def _divided(result: Result, old: set[int]) -> Result:
    new = tuple(f for f in result.findings if id(f) not in old)
    return replace(
        result, findings=new, baselined=tuple(f for f in result.findings if id(f) in old)
    )


def _examined(results: Iterable[Result], platform: Platform) -> Callable[[_Known], bool]:
    """Whether a check looked at all that it looks at, and at that file; one that is no more never
    finds anything."""
    looked = whole(results)
    unseen = lru_cache(None)(lambda path: _is_unseen(platform, path))

    def examined(slot: _Known) -> bool:
        is_whole = slot.code in looked or slot.code not in rules.checks()
        return is_whole and not unseen(slot.path)

    return examined


def _is_unseen(platform: Platform, path: str) -> bool:
    """Whether checks pass the file over without a word: source that can't be parsed, and the settings
    file where this checkout has none."""
    if path == platform.config.env_file:
        return not os.path.lexists(platform.path(path))
    if not path.endswith(".py"):
        return False  # what else can't be parsed makes its checks unknown
    file = platform.path(path)
    try:
        return Module(file, path, "", read_bytes(file)).tree is None
    except FileNotFoundError:
        return False
    except OSError:
        return True


class _Texts:
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


def _marker(platform: Platform, texts: _Texts) -> Callable[[Finding], list[_Known]]:
    """What a finding's places are known again by; no path of this machine is in it."""
    home = platform.environ.get("HOME", "")
    mine = [(str(platform.root), "."), *([(home, "~")] if len(home) > 1 else [])]

    def portable(text: str) -> str:
        for folder, name in mine:
            text = text.replace(folder, name)
        return text

    def known(finding: Finding) -> list[_Known]:
        name = portable(about(finding))
        grouped = len(finding.places) > 1
        return [
            _Known(
                finding.code, portable(place.path), name, line_of(place), grouped, finding.severity
            )
            for place in finding.places
        ] or [_Known(finding.code, "", name, severity=finding.severity)]

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
