"""What changed since a commit, and which checks it can have broken."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from saas_doctor.model import DoctorError, Report, Result, Status
from saas_doctor.platform import Platform
from saas_doctor.tracing import Trace, tracing

_LIMIT = 30.0


class Changes(Struct, frozen=True):
    """The files below the platform that differ from a commit, untracked ones too; absolute names.

    `moved` are those that came or went.
    """

    since: str
    files: frozenset[str]
    moved: frozenset[str]


def since(platform: Platform, revision: str = "HEAD") -> Changes:
    """What changed since the revision, or where this branch left it; what is not committed as well.

    Raises DoctorError without git, outside of a repository, and for an unknown revision.
    """
    git = shutil.which("git", path=platform.environ.get("PATH"))
    if git is None:
        raise DoctorError("--changed asks git, which is not installed here; leave it out")
    ask = _Git(git, platform)
    if ask("rev-parse", "--is-inside-work-tree") is None:
        raise DoctorError(f"{platform.root}: in no git repository, which --changed asks")
    commit = ask("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if commit is None:
        raise DoctorError(f"git knows no revision {revision}; fetch it, or name another")
    base = ask("merge-base", commit.strip(), "HEAD")
    if base is None:
        raise DoctorError(
            f"git finds no commit that {revision} and this branch share; fetch more of the history"
        )
    diff = ask("diff", "--name-status", "--no-renames", "--relative", "-z", base.strip())
    loose = ask("ls-files", "--others", "--exclude-standard", "-z")
    if diff is None or loose is None:
        raise DoctorError("git could not tell what changed; try `git status`")
    words = diff.split("\0")
    states = list(zip(words[::2], words[1::2], strict=False))
    new = [name for name in loose.split("\0") if name]
    files = {str(platform.path(name)) for name in (*new, *(name for _, name in states))}
    moved = {str(platform.path(name)) for name in (*new, *(n for s, n in states if s != "M"))}
    return Changes(revision, frozenset(files), frozenset(moved))


class _Git:
    def __init__(self, program: str, platform: Platform) -> None:
        self._program = program
        self._platform = platform

    def __call__(self, *words: str) -> str | None:
        """What git answers; None where it refuses."""
        try:
            done = subprocess.run(
                [self._program, "--no-optional-locks", *words],
                cwd=self._platform.root,
                env=dict(self._platform.environ),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_LIMIT,
                check=False,
            )
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            raise DoctorError(f"git {words[0]}: {error}") from None
        return None if done.returncode else os.fsdecode(done.stdout)


def examined(platform: Platform, changes: Changes, run: Callable[[], Report]) -> Report:
    """What `run` reports, of the checks alone that the changes can have broken.

    Those are the checks that read a changed file, or listed the folder of one that came or went. A
    check that one of them waits for stays as well. The configuration's file concerns all.
    """
    with tracing(platform.root) as trace:
        report = run()
    if str(platform.config_file) in changes.files:
        return report
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
