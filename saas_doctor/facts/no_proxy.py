"""Which proxy variables count, and what NO_PROXY covers, as each client of Python has it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

HTTPX, REQUESTS, OLD_REQUESTS, URLLIB = "httpx", "requests", "requests before 2.34", "urllib"
NAME = re.compile(r"^\w*_proxy$", re.I)


class Target(Struct, frozen=True):
    """An address that a service calls another at."""

    host: str
    port: int
    scheme: str = "http"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def chosen(variables: Mapping[str, str]) -> dict[str, str]:
    """The variable that counts for each of `http`, `https`, `all` and `no`: its name as written.

    As Python's `getproxies`: any spelling counts, a lower case `_proxy` wins and, where it is empty,
    takes the others back; in a CGI program (REQUEST_METHOD) only the lower case HTTP one counts.
    """
    found: dict[str, str] = {}
    names = [name for name in variables if NAME.match(name)]
    for name in names:
        if variables[name]:
            found[name[:-6].lower()] = name
    if "REQUEST_METHOD" in variables:
        found.pop("http", None)
    for name in names:
        if name.endswith("_proxy"):
            found.pop(name[:-6].lower(), None)
            if variables[name]:
                found[name[:-6].lower()] = name
    return {scheme: name for scheme, name in found.items() if scheme in _SCHEMES}


_SCHEMES = ("http", "https", "all", "no")


def proxy_key(names: Mapping[str, str], scheme: str, client: str) -> str:
    """The variable that names the proxy for a scheme, or nothing; urllib knows no ALL_PROXY."""
    return names.get(scheme) or ("" if client == URLLIB else names.get("all", ""))


def covered(no_proxy: str, target: Target, client: str = HTTPX) -> bool:
    """Whether a client calls the target directly, with this NO_PROXY."""
    entries = [entry.strip() for entry in no_proxy.split(",")]
    if client == HTTPX:
        return "*" in entries or any(_covers(entry, target) for entry in entries if entry)
    if client in (REQUESTS, OLD_REQUESTS) and _requests_covers(no_proxy, target, client):
        return True
    # urllib looks at the host as it is written, with its port; requests hands it the host alone.
    host = f"[{target.host}]" if ":" in target.host and client == URLLIB else target.host
    names = [host, f"{host}:{target.port}"] if client == URLLIB else [host]
    return no_proxy == "*" or any(_ends_with(names, entry.lower()) for entry in entries if entry)


def _requests_covers(no_proxy: str, target: Target, client: str) -> bool:
    entries = [entry for entry in no_proxy.replace(" ", "").split(",") if entry]
    if _is_address(target.host) and ":" not in target.host:
        address = ipaddress.ip_address(target.host)
        networks = (_network(entry) for entry in entries)
        return target.host in entries or any(n and address in n for n in networks)
    names = [target.host, f"{target.host}:{target.port}"]
    if client == REQUESTS:
        return any(_ends_with(names, entry) for entry in entries)
    # Before 2.34, `stry` covered `registry`.
    return any(name.endswith(entry) for name in names for entry in entries)


def _ends_with(names: Sequence[str], entry: str) -> bool:
    """Whether an entry is one of the names, or what one ends with behind a dot."""
    suffix = entry.lstrip(".")
    return any(name == suffix or name.endswith(f".{suffix}") for name in names)


def _network(text: str) -> ipaddress.IPv4Network | None:
    try:
        return ipaddress.IPv4Network(text, strict=False) if "/" in text else None
    except ValueError:
        return None


def _covers(entry: str, target: Target) -> bool:
    scheme, _, rest = entry.rpartition("://")
    address = rest.partition("/")[0].strip("[]")
    if scheme.lower() not in ("", "all", target.scheme):
        return False
    if _is_address(address) or rest.lower() == "localhost":
        # A network (`127.0.0.0/8`) is taken for its first address alone.
        return address.lower() == target.host
    host, _, port = rest.lower().rpartition(":") if re.search(r":\d+$", rest) else (rest, "", "")
    if port and int(port) != target.port:
        return False
    if scheme:
        return host == target.host
    if host.startswith("."):
        return target.host.endswith(host)
    return target.host == host.lower() or target.host.endswith(f".{host.lower()}")


def readable(entry: str) -> str:
    """An entry as httpx can read it: itself, an address without its brackets, or nothing.

    Of one that it can't read it makes no URL, and so no client at all.
    """
    if not refusal(_pattern(entry)):
        return entry
    bare = _BRACKETED.match(entry)
    return bare.group(1) if bare and not refusal(_pattern(bare.group(1))) else ""


_BRACKETED = re.compile(r"\[([^\]]*)\](?::\d*)?$")


def refusal(url: str) -> str:
    """Why httpx makes no URL of a text; nothing where it does."""
    import httpx

    try:
        httpx.URL(url)
    except httpx.InvalidURL as error:
        return str(error)
    return ""


def _pattern(entry: str) -> str:
    """The URL that httpx makes of an entry."""
    address = entry.partition("/")[0]
    if "://" in entry:
        return entry
    if _is_address(address):
        return f"all://[{entry}]" if ":" in address else f"all://{entry}"
    return f"all://{entry}" if entry.lower() == "localhost" else f"all://*{entry}"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
