"""The lines of a copy's own files, and which of them are new in a later state."""

from __future__ import annotations

import os
from difflib import SequenceMatcher
from pathlib import Path

_LEFT_OUT = {".venv", ".git", ".saas-doctor", "node_modules", "__pycache__"}


def lines_of(root: Path) -> dict[str, list[bytes]]:
    """The lines of every file, by its path relative to the root."""
    found: dict[str, list[bytes]] = {}
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if name not in _LEFT_OUT]
        for file in files:
            path = Path(folder, file)
            if path.is_file():
                found[path.relative_to(root).as_posix()] = path.read_bytes().splitlines()
    return found


def written(before: dict[str, list[bytes]], after: dict[str, list[bytes]]) -> set[tuple[str, int]]:
    """The lines, by path and number, that were not there before."""
    found: set[tuple[str, int]] = set()
    for name, lines in after.items():
        old = before.get(name, [])
        if lines != old:
            for kind, _, _, start, end in SequenceMatcher(
                None, old, lines, autojunk=False
            ).get_opcodes():
                if kind in ("insert", "replace"):
                    found |= {(name, line + 1) for line in range(start, end)}
    return found
