"""What changed since a commit, and which checks it can have broken."""

from __future__ import annotations

import os
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from saas_doctor import git as gits
from saas_doctor.git import Git, Refused
from saas_doctor.model import DoctorError, Report, Result, Status
from saas_doctor.platform import Platform
from saas_doctor.tracing import Trace, tracing

_LIMIT = 30.0


class Changes(Struct, frozen=True):
    """The files below the platform that differ from a commit, untracked ones too; absolute names.

    `moved` are those that came or went. `everything`: why all checks are concerned, whatever the
    files; "" where only those are that read one of them.
    """

    since: str
    files: frozenset[str] = frozenset()
    moved: frozenset[str] = frozenset()
    everything: str = ""


def since(platform: Platform, revision: str | None = None) -> Changes:
    """What changed since the revision, or where this branch left it; what is not committed as well.

    Where none is named, since the one that pre-commit compares with, else the last commit; a clean
    tree then tells nothing (in CI it always is), and everything is examined.
    Raises DoctorError without git, outside of a repository, and for an unknown revision.
    """
    git = gits.of(platform, _LIMIT)
    if git is None:
        raise DoctorError("--changed asks git, which is not installed here; leave it out")
    if revision is not None and not revision.strip():
        raise DoctorError(
            "--changed: the revision is empty (a variable that is not set?); name one, or leave it out"
        )
    try:
        git("rev-parse", "--is-inside-work-tree")
    except Refused as why:
        raise DoctorError(f"--changed asks git: {why} (or leave --changed out)") from None
    named = revision or platform.environ.get("PRE_COMMIT_FROM_REF")
    commit = _tried(
        git, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{named or 'HEAD'}^{{commit}}"
    )
    if commit is None and named in (None, "HEAD"):
        return Changes("HEAD", everything="git has no commit yet: everything is examined")
    if commit is None:
        raise DoctorError(f"git knows no revision {named}; fetch it, or name another")
    base = _tried(git, "merge-base", commit.strip(), "HEAD")
    if base is None:
        raise DoctorError(
            f"git finds no commit that {named or 'HEAD'} and this branch share; fetch more of the history"
        )
    try:
        if named is None and not git("diff", "--name-only", "HEAD"):
            clean = "nothing that git tracks has changed since HEAD: everything is examined"
            return Changes("HEAD", everything=f"{clean}; name the branch: --changed REV")
        diff = git("diff", "--name-status", "--no-renames", "--relative", "-z", base.strip())
        loose = git("ls-files", "--others", "--exclude-standard", "-z")
    except Refused as why:
        raise DoctorError(f"git could not tell what changed: {why}; try `git status`") from None
    words = diff.split("\0")
    states = list(zip(words[::2], words[1::2], strict=False))
    new = [name for name in loose.split("\0") if name]
    files = {str(platform.path(name)) for name in (*new, *(name for _, name in states))}
    moved = {str(platform.path(name)) for name in (*new, *(n for s, n in states if s != "M"))}
    return Changes(named or "HEAD", frozenset(files), frozenset(moved))


def _tried(git: Git, *words: str) -> str | None:
    try:
        return git(*words)
    except Refused:
        return None


def examined(platform: Platform, changes: Changes, run: Callable[[], Report]) -> Report:
    """What `run` reports, of the checks alone that the changes can have broken.

    Those are the checks that read a changed file, or listed the folder of one that came or went. A
    check that one of them waits for stays as well. The configuration's file concerns all.
    """
    if changes.everything:
        report = run()
        return replace(report, notes=(*report.notes, changes.everything))
    with tracing(platform.root) as trace:
        report = run()
    if str(platform.config_file) in changes.files:
        return report
    if not changes.files:
        note = f"nothing of the platform has changed since {changes.since}"
        report = replace(report, notes=(*report.notes, note))
    kept = {r.code for r in report.results if _concerned(r.code, trace, changes)}
    kept |= {cause for code in kept for cause in report.causes(code)}
    return replace(
        report,
        results=tuple(r if r.code in kept else _skipped(r, changes) for r in report.results),
        gone=tuple(one for one in report.gone if one.code in kept),
    )


def _concerned(code: str, trace: Trace, changes: Changes) -> bool:
    files = trace.files(code)
    if not files.isdisjoint(changes.files):
        return True
    # What went may have been asked for by its name alone, as were others of its folder.
    looked = trace.folders(code) | set(map(os.path.dirname, files))
    return any(_folder(file) in looked for file in changes.moved)


def _folder(file: str) -> str:
    """The nearest folder that is there: one may have come or gone as a whole."""
    folder = os.path.dirname(file)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return folder


def _skipped(result: Result, changes: Changes) -> Result:
    reason = f"nothing that it reads has changed since {changes.since}"
    return Result(result.code, result.title, Status.SKIPPED, reason=reason)
