"""Which repository a folder is a checkout of, told from its files: git is not asked."""

from __future__ import annotations

import re
from pathlib import Path

_ORIGIN = re.compile(
    r"^\[remote \"origin\"\]\n(?:[ \t]+[^\n]*\n)*?[ \t]+url[ \t]*=[ \t]*(\S+)", re.M
)


def origin_of(root: Path) -> str:
    """Where a checkout was cloned from, else the one store that its worktrees share; empty: neither."""
    store = root / ".git"
    try:
        if store.is_file():  # a worktree
            folder = store.parent / store.read_text().partition("gitdir:")[2].strip()
            common = folder / "commondir"
            store = (folder / common.read_text().strip()).resolve() if common.is_file() else folder
        if not store.is_dir():
            return ""
        found = _ORIGIN.search((store / "config").read_text(errors="replace"))
    except OSError:
        return ""
    return found.group(1) if found else str(store.resolve())
