"""Commands as an ordinary user, where the tests run as root."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

USER = "nobody"


def as_user(
    argv: Sequence[str | Path],
    *,
    cwd: Path | str = "/",
    environ: Mapping[str, str] | None = None,
    limit: float = 60,
    reads_all: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run a command as `nobody` when we are root, else as ourselves.

    With `reads_all` it may read and enter what others keep to themselves (an interpreter in
    root's home, say), but still neither write there nor signal or look into their processes.
    """
    words = [str(word) for word in argv]
    root = os.geteuid() == 0
    if root:
        account = pwd.getpwnam(USER)
        rights = "+dac_read_search" if reads_all else "-all"
        drop = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}"]
        drop += ["--clear-groups", f"--inh-caps={rights}", f"--ambient-caps={rights}"]
        words = [*drop, *words]
    return subprocess.run(
        words,
        cwd=cwd,
        env=dict(os.environ if environ is None else environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )


def give(path: Path) -> None:
    """Make that user the owner of a file, or of a folder with all that is in it."""
    if os.geteuid() == 0:
        account = pwd.getpwnam(USER)
        for each in (path, *path.rglob("*")):
            os.chown(each, account.pw_uid, account.pw_gid, follow_symlinks=False)
