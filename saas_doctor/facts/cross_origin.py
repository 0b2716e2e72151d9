"""What the running gateway says to a page of another origin with its plain answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.answers import Answers, client, require_running
from saas_doctor.facts.frontend import FrontendSource
from saas_doctor.facts.ports import Ports, State
from saas_doctor.facts.preflight import Preflight
from saas_doctor.facts.registered import gateway_of
from saas_doctor.model import Absent, Unreadable
from saas_doctor.platform import Platform

if TYPE_CHECKING:
    import httpx

_BOUND = 2.0
_MOST = 4
_COOKIES = re.compile(
    rb"credentials\s*:\s*[\"'`]include|withCredentials\s*[:=]\s*true|axios\.defaults\.withCredentials"
)


class Plain(Struct, frozen=True):
    """The gateway's answer to one GET of a page of this origin."""

    origin: str
    url: str
    status: int
    allowed: tuple[str, ...] = ()
    credentials: bool = False

    def __str__(self) -> str:
        allowed = " and ".join(self.allowed) or "(none)"
        told = ", access-control-allow-credentials: true" if self.credentials else ""
        return f"HTTP {self.status}, access-control-allow-origin: {allowed}{told}"


class CrossOrigin(Fact, frozen=True):
    """The gateway's plain answers to the developers' origins whose preflight passes.

    Asked are the API's root and the roots of the services behind it, which is where an answer that
    was passed on shows. `cookies`: whether the front end's source sends them to other origins.
    """

    answers: tuple[Plain, ...]
    cookies: bool = False

    live = True
    limit = 8.0

    @classmethod
    def read(
        cls,
        platform: Platform,
        ports: Ports,
        answers: Answers,
        preflight: Preflight,
        source: FrontendSource,
    ) -> CrossOrigin:
        if platform.config.frontend is None:
            raise Absent("no front end is configured")
        address = require_running(gateway_of(platform), ports, answers)
        base = f"{address.url}{platform.config.frontend.api.rstrip('/')}/"
        paths = ["", *(f"{name}/" for name in _behind(platform, ports))][:_MOST]
        asked = [(r.origin, base + p) for r in preflight.developers if r.passes for p in paths]
        with client() as http, ThreadPoolExecutor(max_workers=8) as pool:
            found = list(pool.map(lambda pair: _ask(http, *pair), asked))
        return cls(tuple(found), any(file.has_in_code(_COOKIES) for file in source.files))


def _behind(platform: Platform, ports: Ports) -> Iterator[str]:
    """The services that run behind the gateway."""
    for name, port in ports.services.items():
        if port.state is State.OWN and name != gateway_of(platform) and "regist" not in name:
            yield name


def _ask(http: httpx.Client, origin: str, url: str) -> Plain:
    import httpx

    try:
        answer = http.get(url, headers={"Origin": origin}, timeout=_BOUND)
    except httpx.HTTPError as error:
        raise Unreadable(f"GET {url}: {error or type(error).__name__}") from None
    values = answer.headers.get_list("access-control-allow-origin")
    allowed = tuple(part.strip() for value in values for part in value.split(",") if part.strip())
    credentials = answer.headers.get("access-control-allow-credentials", "") == "true"
    return Plain(origin, url, answer.status_code, allowed, credentials)
