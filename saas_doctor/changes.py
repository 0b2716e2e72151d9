"""What changed since a commit, and which checks it can have broken."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from saas_doctor import config as configuration
from saas_doctor import git as gits
from saas_doctor.git import Git, Refused
from saas_doctor.model import DoctorError, Report, Result, Status
from saas_doctor.platform import Platform, configured
from saas_doctor.reading import reading_before
from saas_doctor.tracing import Trace, names, tracing

_LIMIT = 30.0
_DIFF = ("--name-status", "--no-renames", "--no-relative", "--ignore-submodules=none", "-z")
_LOOSE = ("--others", "--exclude-standard", "--full-name", "-z")


class Changes(Struct, frozen=True):
    """The files of the repository that differ from a commit, untracked ones too; absolute names.

    `moved` are those that came or went. `closed` are the beginnings of what lies in a submodule, or
    behind a link to a folder: git tells no more than its name. `everything`: why all checks are
    concerned, whatever the files; "" where only those are that read one of them.
    """

    since: str
    repository: Path = Path()
    files: frozenset[str] = frozenset()
    moved: frozenset[str] = frozenset()
    closed: tuple[str, ...] = ()
    everything: str = ""


def since(platform: Platform, revision: str | None = None, baseline: Path | None = None) -> Changes:
    """What changed since the revision, or where this branch left it; what is not committed as well.

    The configuration and the `baseline` concern every check, as does what is discovered where the
    configuration says nothing, such as a service's port.

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
        repository = Path(git("rev-parse", "--show-toplevel").removesuffix("\n"))
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
        diff = git("diff", *_DIFF, base.strip())
        loose = git("ls-files", *_LOOSE, ":/")
    except Refused as why:
        raise DoctorError(f"git could not tell what changed: {why}; try `git status`") from None
    words = diff.split("\0")
    states = list(zip(words[::2], words[1::2], strict=False))
    new = [name for name in loose.split("\0") if name]
    files = [str(repository / name) for name in (*new, *(name for _, name in states))]
    moved = [str(repository / name) for name in (*new, *(n for state, n in states if state != "M"))]
    closed = tuple(f"{name}{os.sep}" for name in files if os.path.isdir(name))
    changes = Changes(named or "HEAD", repository, frozenset(files), frozenset(moved), closed)
    shared = _of_all(platform, changes, baseline) or _of_shape(platform, changes, git, base.strip())
    return replace(changes, everything=shared and f"{shared}: everything is examined")


def _of_all(platform: Platform, changes: Changes, baseline: Path | None) -> str:
    """The changed file that concerns every check whatever is in it, if there is one."""
    for file in (platform.config_file, platform.path(configuration.FILE), baseline):
        if file and not changes.files.isdisjoint(names(str(file))):
            return f"{platform.relative(file)} has changed since {changes.since}"
    return ""


def _of_shape(platform: Platform, changes: Changes, git: Git, base: str) -> str:
    """What is read of the platform before any check, if that has changed."""

    def before(path: str) -> bytes | None:
        *links, file = names(path)
        if not changes.files.isdisjoint(links) or f"{file}{os.sep}".startswith(changes.closed):
            raise DoctorError("what was in its place is not known")
        if file not in changes.files:
            return None
        name = Path(file).relative_to(changes.repository).as_posix()
        return os.fsencode(_tried(git, "cat-file", "blob", f"{base}:{name}") or "")

    try:
        with reading_before(before):
            config, _ = configured(platform.root, platform.config_file, platform.environ)
    except DoctorError:
        config = None
    if config == platform.config:
        return ""
    return f"the platform's services, ports or files have changed since {changes.since}"


def _tried(git: Git, *words: str) -> str | None:
    try:
        return git(*words)
    except Refused:
        return None


def examined(platform: Platform, changes: Changes, run: Callable[[], Report]) -> Report:
    """What `run` reports, of the checks alone that the changes can have broken.

    Those are the checks that read a changed file, or listed the folder of one that came or went. A
    check that one of them waits for stays as well.
    """
    if changes.everything:
        report = run()
        return replace(report, notes=(*report.notes, changes.everything))
    with tracing(changes.repository) as trace:
        report = run()
    kept = {r.code for r in report.results if _concerned(r.code, trace, changes)}
    if not kept and not any(Path(f).is_relative_to(platform.root) for f in changes.files):
        note = f"nothing of the platform has changed since {changes.since}"
        report = replace(report, notes=(*report.notes, note))
    kept |= {cause for code in kept for cause in report.causes(code)}
    return replace(
        report,
        results=tuple(r if r.code in kept else _skipped(r, changes) for r in report.results),
        gone=tuple(one for one in report.gone if one.code in kept),
    )


def _concerned(code: str, trace: Trace, changes: Changes) -> bool:
    files, folders = trace.files(code), trace.folders(code)
    if not files.isdisjoint(changes.files):
        return True
    if any(f"{name}{os.sep}".startswith(changes.closed) for name in (*files, *folders)):
        return True
    # What went may have been asked for by its name alone, as were others of its folder.
    looked = folders | set(map(os.path.dirname, files))
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
