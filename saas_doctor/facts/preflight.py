"""What the running gateway answers to a browser's question whether a page may call it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.answers import Answers, client, require_running
from saas_doctor.facts.ports import Ports
from saas_doctor.model import Absent, Unreadable
from saas_doctor.platform import Platform

if TYPE_CHECKING:
    import httpx

STRANGER = "http://evil.invalid"
_BOUND = 2.0


class Reply(Struct, frozen=True):
    """The gateway's answer to one preflight; `allowed` is its access-control-allow-origin."""

    origin: str
    status: int
    allowed: str = ""
    body: str = ""
    credentials: bool = False

    @property
    def passes(self) -> bool:
        """Whether a browser then lets the page call, with credentials where those are allowed."""
        return self.allowed == self.origin or (self.allowed == "*" and not self.credentials)

    def __str__(self) -> str:
        allowed = self.allowed or "(none)"
        body = f", {self.body}" if self.body and self.status >= 400 else ""
        return f"HTTP {self.status}, access-control-allow-origin: {allowed}{body}"


class Preflight(Fact, frozen=True):
    """The gateway's answers to preflights: from the developers' origins, and from strangers."""

    url: str
    developers: tuple[Reply, ...]
    strangers: tuple[Reply, ...]

    live = True
    limit = 4.5

    @classmethod
    def read(cls, platform: Platform, ports: Ports, answers: Answers) -> Preflight:
        frontend = platform.config.frontend
        if frontend is None:
            raise Absent("no front end is configured")
        address = require_running(frontend.gateway, ports, answers)
        url = f"{address.url}{frontend.api.rstrip('/')}/"
        origins = [origin.rstrip("/") for origin in frontend.origins]
        others = [STRANGER, *_beginnings(origins)]
        with client() as http, ThreadPoolExecutor(max_workers=8) as pool:
            replies = list(pool.map(lambda o: _ask(http, url, o), [*origins, *others]))
        return cls(url, tuple(replies[: len(origins)]), tuple(replies[len(origins) :]))


def _beginnings(origins: Sequence[str]) -> Iterator[str]:
    """A part of an origin that is none of them: only a test of *substrings* lets it pass."""
    for origin in origins:
        parts = urlsplit(origin)
        beginning = f"{parts.scheme}://{parts.hostname}"
        if parts.port and beginning not in origins:
            yield beginning
            return


def _ask(http: httpx.Client, url: str, origin: str) -> Reply:
    import httpx

    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    try:
        answer = http.options(url, headers=headers, timeout=_BOUND)
    except httpx.HTTPError as error:
        raise Unreadable(f"OPTIONS {url}: {error or type(error).__name__}") from None
    return Reply(
        origin,
        answer.status_code,
        answer.headers.get("access-control-allow-origin", ""),
        " ".join(answer.text.split())[:120],
        answer.headers.get("access-control-allow-credentials", "") == "true",
    )
