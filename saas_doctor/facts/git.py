"""What git keeps of the platform, asked of git itself."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

from saas_doctor.facts import Fact
from saas_doctor.model import Absent, Unreadable
from saas_doctor.platform import Platform


@dataclass(frozen=True)
class Tracked(Fact):
    """Which settings files git keeps; paths are relative to the platform."""

    files: frozenset[str]

    @classmethod
    def read(cls, platform: Platform) -> Tracked:
        git = shutil.which("git", path=platform.environ.get("PATH"))
        if git is None or not any(
            (f / ".git").exists() for f in (platform.root, *platform.root.parents)
        ):
            raise Absent("no git repository")
        try:
            done = subprocess.run(
                [git, "ls-files", "-z", "--", platform.config.env_file],
                cwd=platform.root,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=2.5,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unreadable(f"git ls-files: {error}") from None
        if done.returncode:
            last = (done.stderr.decode("utf-8", "replace").strip().splitlines() or ["?"])[-1]
            raise Unreadable(f"git ls-files: {last}")
        names = done.stdout.decode("utf-8", "replace").split("\0")
        return cls(frozenset(name for name in names if name))
