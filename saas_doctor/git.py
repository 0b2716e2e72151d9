"""Asks git, within a limit and without writing anything; why it refuses is told with the way out."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess

from msgspec import Struct

from saas_doctor.platform import Platform

_DISTRUST = re.compile(r"(?:dubious ownership in repository at|unsafe repository \()\s*'([^'\n]+)'")


class Refused(Exception):
    """Git gave no answer; the text is why, and what to do about it."""


class Git(Struct, frozen=True):
    """The git of a platform's shell.

    A repository that git does not trust stays unasked: its own settings name programs that git
    would run, and whom they belong to is for the user to say.
    """

    program: str
    platform: Platform
    limit: float
    """Seconds for one answer."""

    def __call__(self, *words: str) -> str:
        """What git answers, in the platform's folder; raises Refused."""
        try:
            done = subprocess.run(
                [self.program, "--no-optional-locks", *words],
                cwd=self.platform.root,
                env=self._environ(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=self.limit,
                check=False,
            )
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            raise Refused(f"git {words[0]}: {error}") from None
        if done.returncode:
            raise Refused(self._reason(words[0], os.fsdecode(done.stderr)))
        return os.fsdecode(done.stdout)

    def _environ(self) -> dict[str, str]:
        environ = {**self.platform.environ, "LC_ALL": "C"}
        root = self.platform.root
        top = next((f for f in (root, *root.parents) if (f / ".git").exists()), None)
        if environ.get("GIT_DIR") and top and not environ.get("GIT_WORK_TREE"):
            # As a hook in a linked work tree has it; git then takes the folder that it is called in
            # for the top of the tree.
            environ["GIT_DIR"] = os.path.abspath(environ["GIT_DIR"])
            environ["GIT_WORK_TREE"] = str(top)
        return environ

    def _reason(self, command: str, said: str) -> str:
        distrusted = _DISTRUST.search(said)
        if distrusted:
            folder = shlex.quote(distrusted[1])
            return (
                f"git does not trust {distrusted[1]}, which belongs to another user; to trust it: "
                f"git config --global --add safe.directory {folder}"
            )
        named = self.platform.environ.get("GIT_DIR")
        if named and "not a git repository" in said:
            return f"GIT_DIR is set, and {named} is no git repository; unset GIT_DIR"
        if "not a git repository (or any" in said:
            return f"{self.platform.root} is in no git repository"
        return f"git {command}: {(said.strip().splitlines() or ['no reason given'])[-1]}"


def of(platform: Platform, limit: float) -> Git | None:
    """Git as the platform's shell finds it; None where it is not installed."""
    program = shutil.which("git", path=platform.environ.get("PATH"))
    return Git(program, platform, limit) if program else None
