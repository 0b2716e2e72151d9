"""The running Vite dev server: whether a call of the API gets through it to the gateway."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.answers import Answers, client, require_running
from saas_doctor.facts.frontend import FrontendCalls
from saas_doctor.facts.ports import Ports
from saas_doctor.facts.registered import gateway_of
from saas_doctor.facts.ways import is_loopback
from saas_doctor.model import Absent
from saas_doctor.platform import Platform

if TYPE_CHECKING:
    import httpx

_BOUND = 2.0
_VITE = re.compile(r"@vite/client|public base URL of|vite/dist/client")
# A GET changes nothing, where it was written as it should be.
_ACTS = re.compile(
    r"log(?:out|off)|sign-?out|delete|remove|reset|revoke|cancel|confirm|verify", re.I
)


class Through(Struct, frozen=True):
    """One path of the API, asked of the gateway itself and through the dev server.

    `problem` is empty where both say the same, else `page` (Vite's own), `error` (5xx), `path` (404),
    `silent` or `closed`.
    """

    url: str
    direct: str
    status: int
    answer: str
    problem: str = ""

    def __str__(self) -> str:
        return self.answer


class DevServer(Fact, frozen=True):
    """What the running Vite dev server makes of the API's paths."""

    found: tuple[Through, ...]

    live = True
    limit = 12.0

    @classmethod
    def read(
        cls, platform: Platform, ports: Ports, answers: Answers, calls: FrontendCalls
    ) -> DevServer:
        frontend = platform.config.frontend
        if frontend is None:
            raise Absent("no front end is configured")
        with client() as http:
            served = next((o for o in frontend.origins if _is_vite(http, o.rstrip("/"))), "")
            if not served:
                raise Absent("the Vite dev server is not running")
            gateway = require_running(gateway_of(platform), ports, answers)
            paths = list(dict.fromkeys(_paths(frontend.api, calls)))[:3]
            found = [_compared(http, served.rstrip("/"), gateway.url, path) for path in paths]
        return cls(tuple(found))


def _paths(api: str, calls: FrontendCalls) -> Iterator[str]:
    """The paths that the front end calls itself, as far as they are known to their end."""
    for call in calls.relative:
        if call.whole and not _ACTS.search(call.path):
            yield call.path
    if not calls.relative:
        yield f"{api.rstrip('/')}/"


def _is_vite(http: httpx.Client, origin: str) -> bool:
    import httpx

    if not is_loopback(urlsplit(origin).hostname or ""):
        return False
    try:
        script = http.get(f"{origin}/@vite/client", timeout=_BOUND)
        if script.status_code == 200 and "javascript" in script.headers.get("content-type", ""):
            return True
        page = http.get(f"{origin}/", headers={"Accept": "text/html"}, timeout=_BOUND)
    except httpx.HTTPError:
        return False
    return bool(_VITE.search(page.text[:20_000] + script.text[:2_000]))


def _compared(http: httpx.Client, origin: str, gateway: str, path: str) -> Through:
    """Both answers to one path; a difference must show twice, since the gateway may have changed."""
    found = _once(http, origin, gateway, path)
    return _once(http, origin, gateway, path) if found.problem else found


def _once(http: httpx.Client, origin: str, gateway: str, path: str) -> Through:
    import httpx

    direct = _get(http, gateway + path)
    through = _get(http, origin + path)
    url, said = origin + path, _shown(direct)
    if isinstance(direct, Exception):
        return Through(url, said, 0, _shown(through))  # nothing to compare with
    if isinstance(through, Exception):
        silent = isinstance(through, httpx.TimeoutException)
        return Through(url, said, 0, _shown(through), "silent" if silent else "closed")
    problem = ""
    if _is_page(through) and not _is_page(direct):
        problem = "page"
    elif through.status_code >= 500 > direct.status_code:
        problem = "error"
    elif through.status_code == 404 != direct.status_code and direct.status_code < 400:
        problem = "path"
    return Through(url, said, through.status_code, _shown(through), problem)


def _get(http: httpx.Client, url: str) -> httpx.Response | httpx.HTTPError:
    import httpx

    try:
        return http.get(url, headers={"Accept": "application/json, */*"}, timeout=_BOUND)
    except httpx.HTTPError as error:
        return error


def _is_page(answer: httpx.Response) -> bool:
    return "text/html" in answer.headers.get("content-type", "") and answer.status_code < 400


def _shown(answer: httpx.Response | httpx.HTTPError) -> str:
    if isinstance(answer, Exception):
        return str(answer) or type(answer).__name__
    kind = answer.headers.get("content-type", "no content type").partition(";")[0]
    body = " ".join(answer.text.split())[:100]
    return f"HTTP {answer.status_code} ({kind})" + (f": {body}" if body else "")
