"""Faults of the secrets in the settings files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults import Copy, Fault, Healthy, Inject, append, both, write
from tests.faults.config import ENV, setting

KEY = "SECRET_KEY=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"
REAL = setting("SECRET_KEY", KEY)


def in_git(*paths: str) -> Inject:
    """Make the copy a repository that keeps these files."""

    def inject(copy: Copy) -> None:
        for words in (["init", "-q"], ["add", "-f", *paths]):
            assert copy.run("git", *words, cwd=".").returncode == 0

    return inject


def mode(path: str, bits: int) -> Inject:
    return lambda copy: copy.path(path).chmod(bits)


@contextmanager
def _reached(path: Path) -> Iterator[None]:
    """Let everybody through the folders above, as into an ordinary home."""
    closed = [f for f in path.parents if not f.stat().st_mode & stat.S_IXOTH]
    modes = {folder: stat.S_IMODE(folder.stat().st_mode) for folder in closed}
    for folder, bits in modes.items():
        os.chmod(folder, bits | stat.S_IXOTH)
    try:
        yield
    finally:
        for folder, bits in modes.items():
            os.chmod(folder, bits)


def open_to_all(bits: int, line: str = KEY) -> Inject:
    def inject(copy: Copy) -> object:
        both(setting("SECRET_KEY", line), mode(ENV, bits))(copy)
        return _reached(copy.path(ENV))

    return inject  # type: ignore[return-value]


def keeps_others_out(copy: Copy) -> bool:
    return not copy.path(ENV).stat().st_mode & 0o007


ENTRIES = [
    Fault("CFG911", "kept in git", both(REAL, in_git(ENV)), fixed=False, target=ENV),
    Fault(
        "CFG911",
        "not left out by git",
        both(REAL, in_git(ENV), write(".env", f"{KEY}\n"), write(".gitignore", "*.log\n")),
        fixed=False,
        target=".env",
    ),
    Healthy("CFG911", "left out by git", both(REAL, in_git(".gitignore"))),
    Healthy("CFG911", "the example kept in git", both(REAL, in_git("backend/.env.example"))),
    Healthy(
        "CFG911",
        "placeholders kept in git",
        both(setting("SECRET_KEY", "SECRET_KEY=for-development-1234567890ab"), in_git(ENV)),
    ),
    Healthy(
        "CFG911",
        "variables of the front end",
        both(
            write("frontend/.env", "VITE_TOKEN=9f86d081884c7d659a2feaa0c55ad015\n"),
            in_git("frontend/.env"),
        ),
    ),
    Healthy("CFG911", "no repository", REAL),
    Fault(
        "CFG912",
        "a placeholder signs the tokens",
        setting("SECRET_KEY", "SECRET_KEY=your-secret-key-here"),
        fixed=False,
        target="SECRET_KEY",
    ),
    Fault(
        "CFG912",
        "an empty key",
        setting("SECRET_KEY", "SECRET_KEY="),
        fixed=False,
        target="SECRET_KEY",
    ),
    Healthy("CFG912", "one of its own", REAL),
    Healthy(
        "CFG912",
        "one that says it is for development",
        setting("SECRET_KEY", "SECRET_KEY=changeme-in-dev"),
    ),
    Healthy("CFG912", "a key that no code names", append(ENV, "JWT_SECRET=changeme\n")),
    Healthy("CFG912", "the key of another party", append(ENV, "STRIPE_SECRET_KEY=changeme\n")),
    Fault(
        "CFG913",
        "everybody may read it",
        open_to_all(0o644),
        works=keeps_others_out,
        target=ENV,
        group="mode",
        against=("CFG901", "CFG902", "CFG912"),
        at="backend/.env:",
    ),
    Healthy("CFG913", "a group may read it", open_to_all(0o640)),
    Healthy("CFG913", "a folder above keeps others out", both(REAL, mode(ENV, 0o644))),
    Healthy(
        "CFG913", "nothing secret in it", open_to_all(0o644, "SECRET_KEY=for-development-only")
    ),
]
