"""This project as others get it: a git repository of its own, and a wheel, of the files as they are now."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.testbed.platforms import ROOT, UV

PARTS = (
    "pyproject.toml",
    "README.md",
    "action.yml",
    ".pre-commit-hooks.yaml",
    "Dockerfile",
    ".dockerignore",
)
PACKAGES = ("saas_doctor", "checks", "fixes")


def environment(home: Path) -> dict[str, str]:
    """The shell's, less what git tells its hooks; git commits as somebody, whatever is set up here.

    The home stays the user's: pip keeps there what it downloaded before.
    """
    known = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "PRE_COMMIT", "CI"))}
    settings = {"user.name": "a", "user.email": "a@example.org", "protocol.file.allow": "always"}
    for number, (key, value) in enumerate(settings.items()):
        known |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return {
        **known,
        "GIT_CONFIG_COUNT": str(len(settings)),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "PRE_COMMIT_HOME": str(home),
        # Each would be compiled for one run.
        "PIP_NO_COMPILE": "1",
    }


def copied(folder: Path) -> Path:
    """The files that are installed from, and built, in a new folder."""
    folder.mkdir(parents=True)
    for name in PARTS:
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, folder)
    for name in PACKAGES:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    return folder


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", *words],
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def committed(folder: Path) -> str:
    """The folder as a git repository with one commit, by whose name it can be asked for."""
    git(folder, "init", "-q")
    git(folder, "add", "--all")
    git(folder, "commit", "-q", "--no-verify", "-m", "as it is now")
    return git(folder, "rev-parse", "HEAD")


def wheel(folder: Path) -> Path:
    """The wheel, made of a copy: a build leaves its own files where it is made."""
    source = copied(folder / "source")
    argv = [UV, "build", "--quiet", "--wheel", "--out-dir", str(folder / "dist"), str(source)]
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    (made,) = (folder / "dist").glob("*.whl")
    return made
