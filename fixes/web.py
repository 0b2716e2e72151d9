"""Repairs what the browser and the dev server need."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.facts.dotenv import EnvFile
from saas_doctor.facts.vite import ViteConfig
from saas_doctor.model import Absent, Finding
from saas_doctor.platform import Platform
from saas_doctor.rules import fix


@fix("WEB801")
def allow_origin(finding: Finding, env: EnvFile) -> Iterator[Action]:
    """Add the origin to the setting."""
    setting = env.file.find(finding.data["key"])
    if setting and b"$" in env.file.data[setting.start : setting.end]:
        raise Absent(f"{setting.key} is put together from other variables; add the origin by hand")
    yield env.file.set(finding.data["key"], finding.data["value"])


@fix("WEB803")
def add_proxy(_: Finding, vite: ViteConfig, platform: Platform) -> Iterator[Action]:
    """Send the API's prefix to the gateway."""
    frontend = platform.config.frontend
    assert frontend
    gateway = platform.config.services[frontend.gateway]
    # 127.0.0.1: `localhost` may be ::1 for Node, where the gateway does not listen.
    yield vite.with_proxy(frontend.api, f"http://127.0.0.1:{gateway.port}")
