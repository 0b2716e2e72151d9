"""The interpreters of this machine, by their minor version."""

from __future__ import annotations

import os
import re
import subprocess
from functools import cache
from pathlib import Path

from tests.testbed import require


@cache
def pythons() -> dict[str, str]:
    """`{"3.11": path, …}`: those on PATH before pyenv's, and only those that really run."""
    folders = [Path(folder) for folder in os.environ.get("PATH", os.defpath).split(os.pathsep)]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    # A shim runs another interpreter, or none, by settings that tests don't know.
    folders = [folder for folder in folders if folder != pyenv / "shims"]
    folders += sorted(pyenv.glob("versions/*/bin"), reverse=True)
    found: dict[str, str] = {}
    for folder in folders:
        for path in sorted(folder.glob("python3*")):
            version = re.fullmatch(r"python(3\.\d+)", path.name)
            if version and version[1] not in found and _runs(path):
                found[version[1]] = str(path)
    return found


def python_for(minor: str) -> str:
    """The interpreter of a version such as `3.9`; a test that needs one that isn't here ends."""
    require(pythons().get(minor), f"Python {minor}")
    return pythons()[minor]


def _runs(path: Path) -> bool:
    try:
        done = subprocess.run(
            [path, "-c", ""], stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
