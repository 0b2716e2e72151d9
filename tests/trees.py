"""Platforms of a few files, on disk or in memory, and what checks and fixes make of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from saas_doctor import platform as platforms
from saas_doctor import rules
from saas_doctor.actions.files import CreateFile, EditFile
from saas_doctor.edits import Edit, apply_edits
from saas_doctor.facts import Facts
from saas_doctor.facts.module import Module
from saas_doctor.facts.source import Source
from saas_doctor.model import Finding
from saas_doctor.platform import Platform

MakeTree = Callable[..., Platform]
CONFIG = """from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_file=".env")
    CORS_ORIGINS: str = ""

    @property
    def origins(self):
        return [o.strip() for o in self.CORS_ORIGINS.split(",") if o.strip()]


settings = Settings()
"""
GATEWAY = """from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from shared.config import settings

app = FastAPI()
app.add_middleware(CORSMiddleware, allow_origins=settings.origins)
"""


def written(root: Path, files: Mapping[str, str | bytes]) -> Platform:
    """The platform of these files."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return platforms.load(root, exact=True, environ={"PATH": os.environ["PATH"]})


def make_tree(tmp_path: Path) -> MakeTree:
    """Makes a platform of files below `backend` (or, with a leading slash, beside it)."""

    def make(
        files: dict[str, str | bytes], requirements: str = "pydantic>=2\nsqlalchemy>=2,<2.1\n"
    ) -> Platform:
        named = {"requirements.txt": requirements, **files}
        return written(
            tmp_path, {n[1:] if n[0] == "/" else f"backend/{n}": t for n, t in named.items()}
        )

    return make


def gateway_tree(root: Path, files: Mapping[str, str | bytes]) -> Platform:
    """A platform with a gateway at 8100, which allows the origins of its settings, and these files."""
    default = {
        "backend/requirements.txt": "fastapi\npydantic>=2\n",
        "backend/.env": "GATEWAY_PORT=8100\n",
        "backend/shared/config.py": CONFIG,
        "backend/gateway/main.py": GATEWAY,
    }
    return written(root, {**default, **files})


def verdict(platform: Platform, code: str, *known: object) -> list[Any]:
    """What a check says of this platform."""
    check = rules.checks()[code]
    return list(check.function(**Facts(platform, *known).arguments(check.facts)))


def findings(platform: Platform, code: str, *known: object) -> list[Finding]:
    """What a check finds on this platform."""
    return [f for f in verdict(platform, code, *known) if isinstance(f, Finding)]


def mended(platform: Platform, code: str) -> list[Any]:
    """The actions of the fix for the only finding of a code."""
    (finding,) = verdict(platform, code)
    fix = rules.fixes()[code]
    return list(fix.function(finding, **Facts(platform).arguments(fix.facts)))


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
