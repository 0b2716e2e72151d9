"""Repairs the front end's files."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.facts.vite import ViteConfig
from saas_doctor.model import Finding
from saas_doctor.platform import Platform
from saas_doctor.rules import fix


@fix("WEB803")
def add_proxy(_: Finding, vite: ViteConfig, platform: Platform) -> Iterator[Action]:
    """Send the API's prefix to the gateway."""
    frontend = platform.config.frontend
    assert frontend
    gateway = platform.config.services[frontend.gateway]
    # 127.0.0.1: `localhost` may be ::1 for Node, where the gateway does not listen.
    yield vite.with_proxy(frontend.api, f"http://127.0.0.1:{gateway.port}")


@fix("WEB811")
def correct_target(finding: Finding, vite: ViteConfig) -> Iterator[Action]:
    """Send it where the gateway is."""
    yield vite.with_target(finding.data["entry"], finding.data["target"])
