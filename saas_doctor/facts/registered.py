"""Which services the registry knows, and which register themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.addresses import Address
from saas_doctor.facts.answers import Answers, client, require_running
from saas_doctor.facts.dotenv import Settings
from saas_doctor.facts.ports import Ports
from saas_doctor.model import Absent, Unreadable
from saas_doctor.platform import Platform
from saas_doctor.reading import read_head
from saas_doctor.redact import redact


class Instance(Struct, frozen=True):
    """One entry of the registry's list that says where a service is to be called.

    `host` is empty where that is no address: the entry's words are then its `url`.
    """

    name: str
    url: str
    host: str = ""
    port: int = 0

    @property
    def at(self) -> str:
        if not self.host:
            return redact(self.url)
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Registered(Fact, frozen=True):
    """The services that the registry lists, and which services' own code registers them."""

    url: str
    names: frozenset[str]
    ports: frozenset[int]
    expected: Mapping[str, str]
    """The services whose code says that they register, with the line that does."""
    instances: tuple[Instance, ...] = ()
    registry: str = "registry"
    """The service that the registry is."""
    respelled: Mapping[str, str] = {}
    """The services that the list has in another spelling alone than their code says, with that."""

    live = True
    limit = 4.5

    @classmethod
    def read(
        cls, platform: Platform, settings: Settings, ports: Ports, answers: Answers
    ) -> Registered:
        name = registry_of(platform, settings)
        address = require_running(name, ports, answers)
        url = f"{address.url}/api/registry/services"
        entries = _entries(url)
        names, listed = _names(entries), _ports(entries)
        skip = {name, gateway_of(platform)}
        expected = {
            service: line
            for service, config in platform.config.services.items()
            if service not in skip
            and (line := registering_line(platform.path(config.directory), platform))
        }
        instances = tuple(found for entry in entries if (found := _instance(entry)))
        exact = {str(e[k]) for e in entries for k in _NAMES if e.get(k)}
        respelled = {
            service: spelling
            for service in expected
            if (own := registered_name(platform.path(platform.config.services[service].directory)))
            and own not in exact
            and (spelling := next((n for n in exact if normal(n) == normal(own)), ""))
        }
        return cls(url, frozenset(names), frozenset(listed), expected, instances, name, respelled)

    def knows(self, service: str, address: Address) -> bool:
        return normal(service) in self.names or address.port in self.ports


def gateway_of(platform: Platform) -> str:
    """The service that forwards to the others."""
    return platform.config.frontend.gateway if platform.config.frontend else "gateway"


_NAMES = ("name", "service_name", "id")


def _instance(entry: Mapping[str, Any]) -> Instance | None:
    """Where an entry of the list says that a service is, in the usual spellings; None if nowhere."""
    name = next((str(entry[k]) for k in _NAMES if entry.get(k)), "")
    urls = [entry[k] for k in ("url", "base_url", "address", "endpoint", "uri") if k in entry]
    url = next((u for u in urls if isinstance(u, str) and u), "")
    host, port = entry.get("host"), entry.get("port")
    if not url and host and str(port).isdigit():
        url = f"http://{host}:{port}"
    if not name or url.startswith("/") or not (url or urls):
        return None
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        number = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return Instance(name, url)
    if not parts.hostname:
        return Instance(name, url or "null" if urls[0] is None else str(urls[0]))
    return Instance(name, url, parts.hostname, number)


def normal(name: str) -> str:
    return name.strip().lower().replace("_", "-")


def registry_of(platform: Platform, settings: Settings) -> str:
    """The service that REGISTRY_URL leads to, else the one of that name."""
    found = re.search(r":(\d+)", settings.values.get("REGISTRY_URL", "").partition("//")[2])
    for name, service in platform.config.services.items():
        key = service.port_variable or ""
        port = settings.values.get(key) or str(service.port)
        if found and found.group(1) == port and "regist" in name:
            return name
    return "registry"


def listed_at(url: str) -> set[str]:
    """The names that a registry lists at this address; raises Absent, Unreadable."""
    return _names(_entries(url))


def is_listed(url: str, service: str, port: int) -> bool:
    """Whether a registry lists it at this address, by its name or its port; raises as listed_at."""
    entries = _entries(url)
    return normal(service) in _names(entries) or port in _ports(entries)


def _ports(entries: Iterable[Mapping[str, Any]]) -> set[int]:
    text = " ".join(str(v) for e in entries for k, v in e.items() if k != "name")
    listed = {int(p) for p in re.findall(r":(\d{2,5})\b", text)}
    return listed | {int(e["port"]) for e in entries if str(e.get("port", "")).isdigit()}


def _names(entries: Iterable[Mapping[str, Any]]) -> set[str]:
    return {normal(str(e[k])) for e in entries for k in _NAMES if e.get(k)}


def _entries(url: str) -> list[dict[str, Any]]:
    """The registry's list; raises Absent where it has none there, Unreadable for any other."""
    import httpx

    try:
        with client() as http:
            response = http.get(url, timeout=2.0, follow_redirects=True)
    except httpx.HTTPError as error:
        raise Unreadable(f"GET {url}: {error or type(error).__name__}") from None
    if response.status_code == 404:
        raise Absent(f"the registry has no list at {url}")
    try:
        body = response.json() if response.status_code == 200 else None
    except ValueError:
        body = None
    if isinstance(body, dict):
        body = body.get("services")
    if isinstance(body, dict):
        body = [{"name": key, **(v if isinstance(v, dict) else {})} for key, v in body.items()]
    if not isinstance(body, list) or not all(isinstance(e, dict | str) for e in body):
        raise Unreadable(f"GET {url} answers {response.status_code}, not a list of services")
    return [e if isinstance(e, dict) else {"name": e} for e in body]


# A call of `register...(` by its own name, or of the object's own method.
_REGISTERS = re.compile(rb"^[^#\n]*?(?:(?<![\w.])|(?<=self\.))register(?:ed|_\w+)?\(", re.M)


def registering_line(folder: Path, platform: Platform) -> str:
    """Where the service's own code registers it (`main.py:13`), or nothing."""
    file, data, at = _registration(folder)
    number = data.count(b"\n", 0, at) + 1
    return f"{platform.relative(file)}:{number}" if data else ""


def registered_name(folder: Path) -> str:
    """The name that the service's own code registers it by, where it is written out there."""
    _, data, at = _registration(folder)
    found = _NAMED.match(data, data.find(b"(", at)) if data else None
    return found.group(1).decode("utf-8", "replace") if found else ""


_NAMED = re.compile(rb"""\(\s*["']([^"'\n]+)["']""")


def _registration(folder: Path) -> tuple[Path, bytes, int]:
    """The file that registers its service, its bytes, and where in them; no bytes where none does."""
    for file in ("main.py", "app.py", "run.py"):
        try:
            data = read_head(folder / file, 500_000)
        except OSError:
            continue
        for found in _REGISTERS.finditer(data):
            line = found.group()
            if b"def " not in line and b"blueprint" not in line:
                return folder / file, data, found.end() - 1
    return folder, b"", 0
