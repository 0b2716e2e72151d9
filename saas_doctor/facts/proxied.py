"""Whether the front end calls nothing but its own dev server, which hands the calls to the gateway."""

from __future__ import annotations

import re

from saas_doctor.facts import Fact, Facts
from saas_doctor.facts.frontend import ELSEWHERE, FrontendCalls, FrontendSource
from saas_doctor.facts.vite import ViteConfig
from saas_doctor.model import Absent, Unreadable
from saas_doctor.platform import Platform

_HERE = r"https?://(?:localhost|127\.0\.0\.1|\[::1\]|0\.0\.0\.0):{port}(?:/|$)"
# An address that is put together from that of the page.
_PUT_TOGETHER = rb"location\.(?:hostname|host|protocol)\b"


class Proxied(Fact, frozen=True):
    """Whether all that the front end calls is surely handed on by its dev server's proxy.

    The browser then knows one origin only, and asks nobody for another. The front end is read when
    that is asked for.
    """

    facts: Facts
    platform: Platform

    limit = 15.0

    @classmethod
    def read(cls, facts: Facts, platform: Platform) -> Proxied:
        return cls(facts, platform)

    @property
    def surely(self) -> bool:
        frontend = self.platform.config.frontend
        gateway = self.platform.config.services.get(frontend.gateway) if frontend else None
        if gateway is None:
            return False
        try:
            source, calls = self.facts.get(FrontendSource), self.facts.get(FrontendCalls)
            return (
                bool(calls.relative)
                and not _calls_elsewhere(source, gateway.port)
                and _hands_on(self.facts.get(ViteConfig), calls, gateway.port)
            )
        except (Absent, Unreadable):
            return False


def _calls_elsewhere(source: FrontendSource, port: int) -> bool:
    """Whether anything in the source may be, or become, an address of another origin of the platform."""
    signs = (ELSEWHERE, re.compile(rb"%s|:%d\b" % (_PUT_TOGETHER, port)))
    return any(file.has_in_code(sign) for file in source.files for sign in signs)


def _hands_on(vite: ViteConfig, calls: FrontendCalls, port: int) -> bool:
    target = re.compile(_HERE.replace("{port}", str(port)), re.I)
    for call in calls.relative:
        found = vite.entries_for(call)
        sure = any(call.path.startswith(entry.key) for entry in found)
        if not sure or not all(entry.target and target.match(entry.target) for entry in found):
            return False
    return not vite.unknown
