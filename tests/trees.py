"""Platforms of a few files, on disk or in memory, and what checks and fixes make of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from saas_doctor import platform as platforms
from saas_doctor import rules
from saas_doctor.actions.files import CreateFile, EditFile
from saas_doctor.edits import Edit, apply_edits
from saas_doctor.facts import Facts
from saas_doctor.facts.source import Module, Source
from saas_doctor.model import Finding
from saas_doctor.platform import Platform

MakeTree = Callable[..., Platform]


def make_tree(tmp_path: Path) -> MakeTree:
    """Makes a platform of files below `backend` (or, with a leading slash, beside it)."""

    def make(
        files: dict[str, str | bytes], requirements: str = "pydantic>=2\nsqlalchemy>=2,<2.1\n"
    ) -> Platform:
        for name, text in {"requirements.txt": requirements, **files}.items():
            path = tmp_path / (name[1:] if name.startswith("/") else f"backend/{name}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return platforms.load(tmp_path, exact=True, environ={"PATH": os.environ["PATH"]})

    return make


def findings(platform: Platform, code: str, *known: object) -> list[Finding]:
    """What a check finds on this platform, completed as a run completes it."""
    check = rules.checks()[code]
    facts = Facts(platform, *known)
    found = list(check.function(**facts.arguments(check.facts)))
    return [f for f in found if isinstance(f, Finding)]


def fixed(platform: Platform, code: str) -> dict[str, str]:
    """The files that the fix of a code would write, by name; a finding it does not fix is left out."""
    fix = rules.fixes()[code]
    facts = Facts(platform)
    results: dict[str, bytes] = {}
    merged: dict[Path, EditFile] = {}
    for finding in findings(platform, code):
        if finding.data.get("no_fix"):
            continue
        for action in fix.function(finding, **facts.arguments(fix.facts)):
            if isinstance(action, CreateFile):
                results[action.name] = action.content
            assert isinstance(action, CreateFile | EditFile)
            if isinstance(action, EditFile):
                there = merged.get(action.path)
                merged[action.path] = there.merge(action) if there else action
                results[action.name] = merged[action.path].result
    return {name: data.decode() for name, data in results.items()}


def source_of(platform: Platform) -> Source:
    return Facts(platform).get(Source)


def in_memory(text: bytes) -> Source:
    root = Path("/nowhere")
    return Source((Module(root / "a.py", "a.py", "a", text, root),), (root,))


def undone(data: bytes, edits: tuple[Edit, ...]) -> bytes:
    """The result with each edit's former bytes put back, at the places they have by then."""
    back: list[Edit] = []
    shift = 0
    for edit in sorted(edits):
        start = edit.start + shift
        back.append(Edit(start, start + len(edit.text), data[edit.start : edit.end]))
        shift += len(edit.text) - (edit.end - edit.start)
    return apply_edits(apply_edits(data, edits), back)
