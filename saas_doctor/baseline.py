"""A baseline: the findings that a team accepts for now, so that only a new one fails.

A finding is known again by its code, its file and what it is about, never by its line's number; in
a file that was renamed, by the text of its line. What nothing tells apart is counted, and so are the
places of a finding that has several: one more makes it new. So does a graver severity.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable
from functools import lru_cache
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from saas_doctor import rules
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
    Status,
)
from saas_doctor.platform import Platform
from saas_doctor.reading import read_bytes
from saas_doctor.redact import redact

SCHEMA = 1


class Baseline(Struct, frozen=True):
    """What is accepted, and the file that says so; nothing is where there is none."""

    file: Path
    entries: tuple[Accepted, ...] = ()


class _Document(Struct, frozen=True, forbid_unknown_fields=True):
    schema: int
    findings: tuple[Accepted, ...]


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
        return Baseline(file, _merged(msgspec.convert(raw, _Document).findings))
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
    mark = _marker(platform)
    left = _Left(baseline.entries, platform)
    found = [(finding, mark(finding)) for finding in report.findings]
    old = {id(f) for f in left.take(found)}
    # What is ignored is still there: its entry is not gone.
    left.drop([(f, mark(f)) for result in report.results for f, _ in result.ignored])
    results = tuple(_divided(result, old) for result in report.results)
    examined = _examined(report, platform)
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

    mark = _marker(platform)
    examined = _examined(report, platform)
    found = [(finding, mark(finding)) for finding in report.findings]
    left = _Left(baseline.entries, platform)
    left.drop(found)
    unfound = left.slots
    left.drop([(f, mark(f)) for result in report.results for f, _ in result.ignored])
    gone = {id(slot) for slot in left.slots if examined(slot)}
    kept = [slot for slot in unfound if id(slot) not in gone]
    entries = _entries([*(known for _, places in found for known in places), *kept])
    lines = [json.dumps(msgspec.to_builtins(e), ensure_ascii=False) for e in entries]
    listed = ",\n".join(f"    {line}" for line in lines)
    text = f'{{\n  "schema": {SCHEMA},\n  "findings": [\n{listed}\n  ]\n}}\n'
    try:
        # A byte of a file's name that is no UTF-8 becomes an escape of JSON.
        write_atomically(baseline.file, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise DoctorError(f"{baseline.file}: can't write the baseline: {error.strerror}") from None
    return Baseline(baseline.file, entries)


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

    def __init__(self, entries: Iterable[Accepted], platform: Platform) -> None:
        self.slots = [slot for entry in entries for slot in _slots(entry)]
        self._is_gone = lru_cache(None)(lambda path: _is_gone(platform, path))

    def take(self, findings: list[tuple[Finding, list[_Known]]]) -> list[Finding]:
        """The findings all of whose places are accepted; each uses up what it was known by."""
        there = Counter(_name(slot) for slot in self.slots)
        # A message may be the same of any file; a target names what the finding is about.
        here = Counter(_name(known[0]) for finding, known in findings if finding.target)
        alone = {name for name, number in here.items() if number == there[name] == 1}
        # The gravest first: what accepts them accepts the others as well.
        asked = sorted((k for _, places in findings for k in places), key=_rank)
        groups = {_spot(known) for known in (*self.slots, *asked) if known.grouped}

        def renamed_too(known: _Known) -> Hashable:  # its message names the file in other ways
            return (known.code, known.line) if known.line else None

        def in_group(known: _Known) -> Hashable:  # whichever of them gives its name
            return _spot(known) if _spot(known) in groups else None

        def elsewhere(known: _Known) -> Hashable:  # the only one of its name, now in another file
            return _name(known) if _name(known) in alone else None

        asked = self._take(lambda k: (_name(k), k.path, k.line), asked)
        asked = self._take(lambda k: (_name(k), k.path), asked)
        asked = self._take(in_group, asked)
        asked = self._take(lambda k: (_name(k), k.line), asked, of_gone_files=True)
        asked = self._take(renamed_too, asked, of_gone_files=True)
        left = set(map(id, self._take(elsewhere, asked)))
        return [f for f, places in findings if not any(id(known) in left for known in places)]

    def drop(self, findings: list[tuple[Finding, list[_Known]]]) -> None:
        """Use up what these are known by, however grave they have become."""
        self.take([(f, [replace(k, severity=Severity.INFO) for k in ks]) for f, ks in findings])

    def _take(
        self,
        key: Callable[[_Known], Hashable],
        asked: list[_Known],
        *,
        of_gone_files: bool = False,
    ) -> list[_Known]:
        """Use up what is equal by the key, and return what of `asked` is not; None equals nothing."""
        free: defaultdict[Hashable, list[_Known]] = defaultdict(list)
        for slot in self.slots:
            if not of_gone_files or self._is_gone(slot.path):
                free[key(slot)].append(slot)
        free.pop(None, None)
        rest, used = [], set[int]()
        for known in asked:
            slots = free.get(key(known), [])
            fit = (n for n in reversed(range(len(slots))) if _rank(slots[n]) <= _rank(known))
            number = next(fit, None)
            if number is None:
                rest.append(known)
            else:
                used.add(id(slots.pop(number)))
        self.slots = [slot for slot in self.slots if id(slot) not in used]
        return rest


def _name(known: _Known) -> tuple[str, str]:
    return known.code, known.about


def _spot(known: _Known) -> tuple[str, str, str]:
    return known.code, known.path, known.line


def _rank(known: _Known) -> int:
    """0 for the gravest, and where none is known: older baselines tell none."""
    return known.severity.rank if known.severity else 0


def _is_gone(platform: Platform, path: str) -> bool:
    """Whether a file of the platform was renamed, moved or deleted."""
    mine = path and not path.startswith(("~", "/"))
    return bool(mine) and not os.path.lexists(platform.path(path))


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


def _examined(report: Report, platform: Platform) -> Callable[[_Known], bool]:
    """Whether a check looked at all that it looks at, and at that file; one that is no more never
    finds anything."""
    whole = {
        r.code for r in report.results if r.status in (Status.OK, Status.FAILED) and not r.undecided
    }
    unseen = lru_cache(None)(lambda path: _is_unseen(platform, path))

    def examined(slot: _Known) -> bool:
        looked = slot.code in whole or slot.code not in rules.checks()
        return looked and not unseen(slot.path)

    return examined


def _is_unseen(platform: Platform, path: str) -> bool:
    """Whether a source file is there that can't be parsed: checks pass it over without a word."""
    if not path.endswith(".py"):
        return False  # what else can't be parsed makes its checks unknown
    file = platform.path(path)
    try:
        return Module(file, path, "", read_bytes(file)).tree is None
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _marker(platform: Platform) -> Callable[[Finding], list[_Known]]:
    """What a finding's places are known again by; no path of this machine is in it."""
    home = platform.environ.get("HOME", "")
    mine = [(str(platform.root), "."), *([(home, "~")] if len(home) > 1 else [])]

    def portable(text: str) -> str:
        for folder, name in mine:
            text = text.replace(folder, name)
        return text

    @lru_cache(None)
    def lines(path: str) -> list[str]:
        try:
            return read_bytes(platform.path(path)).decode("utf-8", "replace").split("\n")
        except OSError:
            return []

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
        text = lines(place.path)[place.line - 1 : place.line] if place.line else []
        return _mark(text[0], place.path) if text else ""

    return known


def _mark(line: str, path: str) -> str:
    """A mark of a line's text, whatever its indentation; of a settings file's, of the key alone."""
    if ".env" in os.path.basename(path):
        line = line.partition("=")[0]
    text = redact(" ".join(line.split()))
    return hashlib.sha256(text.encode()).hexdigest()[:8] if text else ""
