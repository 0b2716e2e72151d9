"""What a `.gitignore` names: then another step, or everybody for himself, makes it."""

from __future__ import annotations

from pathlib import Path

from saas_doctor.facts import dockerignore
from saas_doctor.reading import read_text


def names(root: Path, path: Path) -> bool:
    """Whether a `.gitignore` between the platform's root and the path names it."""
    for folder in path.parents:
        try:
            lines = read_text(folder / ".gitignore").splitlines()
        except OSError:
            lines = []
        # A name without a slash counts at any depth, which Docker has to be told.
        texts = (line.strip().rstrip("/") for line in lines)
        patterns = (t if "/" in t or t.startswith("#") else f"**/{t}" for t in texts if t)
        ignored = dockerignore.parse(".gitignore", "\n".join(patterns).encode())
        if ignored.by(path.relative_to(folder).as_posix()):
            return True
        if folder == root:
            return False
    return False
