"""Small platforms made of a few files, and what a check says of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from saas_doctor import platform as platforms
from saas_doctor import rules
from saas_doctor.facts import Facts
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
DEFAULT = {
    "backend/requirements.txt": "fastapi\npydantic>=2\n",
    "backend/.env": "GATEWAY_PORT=8100\n",
    "backend/shared/config.py": CONFIG,
    "backend/gateway/main.py": GATEWAY,
}


def make_tree(folder: Path, files: Mapping[str, str | bytes]) -> Platform:
    """A platform with a gateway at 8100 and these files."""
    for name, text in {**DEFAULT, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    return platforms.load(folder, exact=True, environ={"PATH": os.environ["PATH"]})


def verdict(platform: Platform, code: str) -> list[Any]:
    check = rules.checks()[code]
    return list(check.function(**Facts(platform).arguments(check.facts)))


def mended(platform: Platform, code: str) -> list[Any]:
    """The actions of the fix for the only finding of a code."""
    (finding,) = verdict(platform, code)
    fix = rules.fixes()[code]
    return list(fix.function(finding, **Facts(platform).arguments(fix.facts)))
