"""Whether the proxies that variables and files name are there at all: asked, and never used."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.proxies import Proxies
from saas_doctor.facts.proxy_files import ToolProxies

_CONNECT, _ANSWER = 1.5, 1.0
"""Seconds for a connection, and for a word."""
_REFUSES, _UNKNOWN = "refuses the connection", "is a name that this machine does not know"


class Asked(Struct, frozen=True):
    """A proxy with its address; `problem` is empty where something answers there."""

    host: str
    port: int
    problem: str = ""

    @property
    def is_dead(self) -> bool:
        """Whether nothing is there at all; what is silent or slow may be busy, or far away."""
        return self.problem in (_REFUSES, _UNKNOWN)


class ProxyAnswers(Fact, frozen=True):
    """What each proxy of this shell, the settings file, pip and npm says when it is greeted.

    Nothing is called through it: SOCKS is greeted, an HTTP proxy is asked for its own options.
    """

    by_value: Mapping[str, Asked]

    live = True
    limit = 4.5

    @classmethod
    def read(cls, proxies: Proxies, tools: ToolProxies) -> ProxyAnswers:
        values = {v for s in proxies.scopes if s.service is None for v in s.in_effect.values()}
        values |= {tool.value for tool in tools.all}
        wanted = dict(_parsed(values))
        with ThreadPoolExecutor(max_workers=8) as pool:
            answers = pool.map(lambda one: _ask(*one), wanted.values())
            return cls(dict(zip(wanted, answers, strict=True)))


def _parsed(values: set[str]) -> Iterator[tuple[str, tuple[str, str, int]]]:
    for value in sorted(values):
        text = value if "://" in value else f"http://{value}"
        try:
            url = urlsplit(text)
            usual = 1080 if url.scheme.startswith("socks") else 443 if url.scheme == "https" else 80
            host, port = url.hostname or "", url.port or usual
        except ValueError:
            continue  # what is no address is told by whoever is given it
        if re.fullmatch(r"https?|socks(4a?|5h?)?", url.scheme) and host:
            yield value, (url.scheme, host, port)


def _ask(scheme: str, host: str, port: int) -> Asked:
    try:
        with socket.create_connection((host, port), timeout=_CONNECT) as connection:
            return Asked(host, port, "" if _speaks(connection, scheme, host) else "says nothing")
    except TimeoutError:
        return Asked(host, port, f"takes no connection within {_CONNECT:g} s")
    except ConnectionRefusedError:
        return Asked(host, port, _REFUSES)
    except socket.gaierror:
        return Asked(host, port, _UNKNOWN)
    except OSError as error:
        return Asked(host, port, f"can't be reached ({error.strerror or error})")


def _speaks(connection: socket.socket, scheme: str, host: str) -> bool:
    """Whether anything comes back, be it the end of the connection."""
    if scheme == "https" or scheme.startswith("socks4"):
        return True  # it waits for more than a greeting
    hello = b"\x05\x01\x00"
    if scheme == "http":
        hello = f"OPTIONS * HTTP/1.1\r\nHost: {host}\r\nMax-Forwards: 0\r\n".encode()
        hello += b"Connection: close\r\n\r\n"
    try:
        connection.sendall(hello)
        connection.settimeout(_ANSWER)
        connection.recv(1)
    except TimeoutError:
        return False
    except OSError:
        return True
    return True
