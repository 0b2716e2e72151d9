"""What the running services answer at their health paths."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.addresses import Address, Addresses
from saas_doctor.facts.listeners import Listeners
from saas_doctor.facts.ports import Ports, State, wrong_service
from saas_doctor.model import Absent, Blocked
from saas_doctor.platform import Platform

if TYPE_CHECKING:
    import httpx


class Answer(Struct, frozen=True):
    """What a service's health path answered; `problem` where it was no HTTP answer.

    `problem` is `silent` (nothing within the bound), `unfinished` (no whole answer), `closed` (the
    connection, without a word), `TLS` (it wants https), `endless` (larger than any page), or
    `not HTTP`. `seconds` is the time that the answer took, from the
    first try on.
    """

    url: str
    status: int | None = None
    problem: str = ""
    detail: str = ""
    seconds: float = 0.0

    @property
    def slow(self) -> bool:
        """Whether it came only at the second try, and late again: once is a busy moment."""
        return bool(self.status) and self.seconds > 2 * _BOUNDS[0]

    @property
    def shown(self) -> str:
        if self.status:
            return f"HTTP {self.status}" + (f": {self.detail}" if self.detail else "")
        return {
            "unfinished": f"an answer that is not complete within {self.seconds:.1f} s",
            "silent": "the connection is accepted, and no answer is complete within "
            f"{self.seconds:.1f} s",
            "TLS": "it speaks https, and is called by http",
            "closed": "the connection is closed without an answer",
            "endless": f"an answer that does not end ({self.detail})",
            "not HTTP": f"an answer that is not HTTP ({self.detail})",
        }.get(self.problem, self.detail)


_BOUNDS = (1.0, 2.0)
"""Seconds for an answer, at the first try and at the second: a busy machine is not a dead one."""


class Answers(Fact, frozen=True):
    """What each service of the platform that takes connections answers at its health path."""

    services: Mapping[str, Answer]

    live = True
    limit = 4.5

    @classmethod
    def read(cls, platform: Platform, addresses: Addresses, listeners: Listeners) -> Answers:
        wanted = {
            name: address.url + "/" + platform.config.services[name].health.lstrip("/")
            for name, address in addresses.services.items()
            if (address.reached_at, address.port) in listeners.connects
        }
        if not wanted:
            return cls({})
        with client() as http, ThreadPoolExecutor(max_workers=16) as pool:
            answers = pool.map(lambda url: ask(http, url), wanted.values())
            return cls(dict(zip(wanted, answers, strict=True)))

    def of(self, service: str) -> Answer | None:
        return self.services.get(service)


def client() -> httpx.Client:
    """For calls on this machine: by no proxy, and bounded as a whole."""
    from saas_doctor.facts.bounded_http import BoundedClient

    return BoundedClient()


def ask(http: httpx.Client, url: str, bounds: Sequence[float] = _BOUNDS) -> Answer:
    """One GET, tried again where nothing comes in time; `bounds`: seconds for each try."""
    import httpx

    from saas_doctor.facts.bounded_http import TOO_LARGE

    began = time.monotonic()
    answer = Answer(url)
    for bound in bounds:
        problem = "silent"
        try:
            with http.stream("GET", url, timeout=bound) as response:
                problem = "unfinished"
                detail = _beginning(response) if response.status_code >= 500 else ""
                if not detail and not _streams(response):
                    for _ in response.iter_raw():  # headers alone are no answer
                        pass
                took = time.monotonic() - began
                return Answer(url, response.status_code, detail=detail, seconds=took)
        except httpx.TimeoutException:
            answer = Answer(url, problem=problem, seconds=time.monotonic() - began)
        except httpx.RemoteProtocolError as error:
            closed = "without sending" in str(error)
            problem = "TLS" if takes_tls(url) else "closed" if closed else "not HTTP"
            return Answer(url, problem=problem, detail=str(error))
        except (httpx.ReadError, httpx.WriteError, httpx.ConnectError) as error:
            if TOO_LARGE in str(error):
                return Answer(url, problem="endless", detail=str(error))
            problem = "TLS" if takes_tls(url) else "closed"
            return Answer(url, problem=problem, detail=str(error))
        except httpx.HTTPError as error:
            return Answer(url, problem="not HTTP", detail=str(error))
    return answer


def _streams(response: httpx.Response) -> bool:
    """Whether an answer is one that goes on, by its kind."""
    kind = response.headers.get("content-type", "")
    return any(word in kind for word in ("event-stream", "ndjson", "x-mixed-replace"))


def takes_tls(url: str) -> bool:
    """Whether what closes a plain connection there takes a TLS one, whatever its certificate."""
    import ssl

    parts = urlsplit(url)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((parts.hostname or "", parts.port or 80), _BOUNDS[0]) as plain,
            context.wrap_socket(plain),
        ):
            return True
    except OSError:  # ssl's own errors among them
        return False


def _beginning(response: httpx.Response) -> str:
    """The first words of an error's page, as far as they come."""
    import httpx

    text = b""
    with contextlib.suppress(httpx.HTTPError):
        for part in response.iter_bytes():
            text += part
            if len(text) > 200:
                break
    return " ".join(text.decode("utf-8", "replace").split())[:200]


def require_running(service: str, ports: Ports, answers: Answers) -> Address:
    """The address of a service that runs; raises Blocked under the check that says why not."""
    port = ports.of(service)
    if port is None:
        raise Absent(f"no service is called {service}")
    if port.state is State.STRANGER or wrong_service(port):
        raise Blocked("NET401", f"{service}'s port {port.address.port} is held by another program")
    if port.state is State.FREE:
        raise Blocked("SVC701", f"{service} is not running")
    answer = answers.of(service)
    if answer is None or answer.problem:
        why = answer.shown if answer else "no connection"
        silent = answer is not None and answer.problem == "silent" and port.state is State.OWN
        raise Blocked("NET401" if silent else "SVC702", f"{service} does not answer ({why})")
    return port.address
