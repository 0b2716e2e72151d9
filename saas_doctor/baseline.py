"""A baseline: the findings that a team accepts for now, so that only a new one fails.

By what a finding is known again says `known_again`.
"""

from __future__ import annotations

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
from saas_doctor.known_again import Known, Left, Texts, marker, name_of, rank_of, spot_of
from saas_doctor.model import Accepted, DoctorError, Report, Result
from saas_doctor.platform import Platform
from saas_doctor.reading import read_bytes
from saas_doctor.verdicts import whole

SCHEMA = 1
_MOST = 100_000


class Baseline(Struct, frozen=True):
    """What is accepted, and the file that says so; nothing is where there is none."""

    file: Path
    entries: tuple[Accepted, ...] = ()
    files: Mapping[str, str] = {}
    """Marks of the text of each file, by its name."""

    @property
    def slots(self) -> list[Known]:
        """Each place that an entry counts."""
        return [slot for entry in self.entries for slot in _slots(entry)]


class _Document(Struct, frozen=True, forbid_unknown_fields=True):
    schema: int
    findings: tuple[Accepted, ...]
    files: Mapping[str, str] = {}


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
    texts = Texts(platform)
    mark = marker(platform, texts)
    left = Left(baseline.slots, baseline.files, texts)
    found = [(finding, mark(finding)) for finding in report.findings]
    old = {id(f) for f in left.take(found)}
    # What is ignored is still there: its entry is not gone.
    left.drop([(f, mark(f)) for result in report.results for f, _ in result.ignored])
    results = tuple(_divided(result, old) for result in report.results)
    examined = _examined(results, platform)
    # Nor is what has become graver, which is told as new.
    graver = {(name_of(k), k.path) for f, places in found if id(f) not in old for k in places}
    gone = [s for s in left.slots if examined(s) and (name_of(s), s.path) not in graver]
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

    texts = Texts(platform)
    mark = marker(platform, texts)
    found = [(finding, mark(finding)) for finding in report.findings]
    left = Left(baseline.slots, baseline.files, texts)
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
        Counter((name_of(slot), spot_of(slot)) for slot in of.slots) for of in (before, after)
    )
    number = len(report.baselined)
    places = sum(max(1, len(finding.places)) for finding in report.baselined)
    kept = len(after.slots) - places
    rest = f", {kept} kept that this run did not look at or left out" if kept else ""
    change = f" ({(new - old).total()} places more, {(old - new).total()} fewer)" if old else ""
    said = f"wrote {after.file}: {number} finding{'s'[: number != 1]} accepted{rest}{change}"
    usual = platform.path(platform.config.baseline)
    if os.path.realpath(after.file) != os.path.realpath(usual):
        said += f"; `check --baseline {after.file}`, or `baseline` in saas-doctor.toml, takes it"
    return said


def _slots(entry: Accepted) -> list[Known]:
    """An object for each place that the entry counts."""
    count = max(entry.count, len(entry.lines))
    lines = [*entry.lines, *[""] * (count - len(entry.lines))]
    return [
        Known(entry.code, entry.path, entry.about, line, count > 1, entry.severity)
        for line in lines
    ]


def _entries(known: Iterable[Known]) -> tuple[Accepted, ...]:
    groups: defaultdict[tuple[str, str, str, int], list[Known]] = defaultdict(list)
    for one in known:
        groups[one.path, one.code, one.about, rank_of(one)].append(one)
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


def _examined(results: Iterable[Result], platform: Platform) -> Callable[[Known], bool]:
    """Whether a check looked at all that it looks at, and at that file; one that is no more never
    finds anything."""
    looked = whole(results)
    unseen = lru_cache(None)(lambda path: _is_unseen(platform, path))

    def examined(slot: Known) -> bool:
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
