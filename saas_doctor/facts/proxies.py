"""Proxy variables where the services may get them, read as httpx reads them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from saas_doctor.facts import Fact
from saas_doctor.facts.addresses import Addresses
from saas_doctor.facts.compose import Compose
from saas_doctor.facts.dotenv import EnvFile, Settings
from saas_doctor.model import Place
from saas_doctor.platform import Platform

LOCAL = ("localhost", "127.0.0.1", "::1")
_NAME = re.compile(r"^\w*_proxy$", re.I)


@dataclass(frozen=True)
class Target:
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
    names = [name for name in variables if _NAME.match(name)]
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


def covered(no_proxy: str, target: Target) -> bool:
    """Whether httpx calls the target directly, with this NO_PROXY."""
    entries = [entry.strip() for entry in no_proxy.split(",")]
    return "*" in entries or any(_covers(entry, target) for entry in entries if entry)


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


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Scope:
    """A place that gives proxy variables to processes, and what those call."""

    name: str
    variables: Mapping[str, str]
    targets: tuple[Target, ...]
    places: Mapping[str, Place] = field(default_factory=dict)
    is_shell: bool = False
    editable: bool = False
    reaches_services: bool = False
    """Whether the services surely get the variables from here."""

    @property
    def in_effect(self) -> dict[str, str]:
        """The proxy variables that count, with their values."""
        return {k: self.variables[k] for s, k in chosen(self.variables).items() if s != "no"}

    @property
    def no_proxy(self) -> str:
        return self.variables.get(chosen(self.variables).get("no", ""), "")

    @property
    def no_proxy_is_all(self) -> bool:
        return "*" in [entry.strip() for entry in self.no_proxy.split(",")]

    @property
    def no_proxy_key(self) -> str:
        """The spelling to set, so that it counts."""
        lower = next(
            (k for k in self.variables if k.lower() == "no_proxy" and k.endswith("_proxy")), ""
        )
        return lower or chosen(self.variables).get("no", "NO_PROXY")

    def key_for(self, target: Target) -> str:
        """The variable that names the proxy for a target, or nothing."""
        names = chosen(self.variables)
        return names.get(target.scheme) or names.get("all") or ""

    @property
    def swallowed(self) -> list[Target]:
        """The targets that would be called through a proxy."""
        return [t for t in self.targets if self.key_for(t) and not covered(self.no_proxy, t)]

    def shown(self, key: str) -> str:
        """The variable's value without a password."""
        return re.sub(r"^((?:[\w+.-]+://)?[^:/@]*):[^@]*@", r"\1:***@", self.variables[key])

    def no_proxy_with(self, targets: Sequence[Target]) -> str:
        """NO_PROXY as it is, with the hosts of this machine and of these targets added."""
        there = [entry for entry in re.split(r"[\s,]+", self.no_proxy) if entry]
        hosts = [*LOCAL, *(target.host for target in targets)]
        return ",".join(dict.fromkeys([*there, *hosts]))


@dataclass(frozen=True)
class Proxies(Fact):
    """The proxy variables of the shell, of `.env` and of the compose file, each with what it is for."""

    scopes: tuple[Scope, ...]

    @classmethod
    def read(
        cls,
        platform: Platform,
        settings: Settings,
        addresses: Addresses,
        env: EnvFile,
        compose: Compose,
    ) -> Proxies:
        targets = tuple(_own_targets(settings, addresses))
        scopes = [Scope("this shell", _proxy_variables(platform.environ), targets, is_shell=True)]
        if env.there:
            settings_file = {s.key: s.value for s in env.there.settings}
            given = _is_env_file(compose, platform)
            inside = tuple(_compose_targets(compose, addresses)) if given else ()
            scopes.append(
                Scope(
                    env.name,
                    _proxy_variables(settings_file),
                    targets + inside,
                    {s.key: s.place for s in env.there.settings},
                    editable=True,
                    reaches_services=given,
                )
            )
        scopes += _compose_scopes(compose, addresses)
        return cls(tuple(scope for scope in scopes if scope.in_effect))


def _proxy_variables(environ: Mapping[str, str]) -> dict[str, str]:
    wanted = (name for name in environ if _NAME.match(name) or name == "REQUEST_METHOD")
    return {name: environ[name] for name in wanted}


def _own_targets(settings: Settings, addresses: Addresses) -> Iterator[Target]:
    """Where the services reach each other on this machine."""
    found: dict[Target, None] = {}
    try:
        url = urlsplit(settings.values.get("REGISTRY_URL", ""))
        host, port = url.hostname or "", url.port or 80
    except ValueError:
        host, port = "", 0  # an address that is not valid is reported as such
    if host in LOCAL or host.startswith("127."):
        found[Target(host, port, url.scheme)] = None
    for address in addresses.services.values():
        found[Target(address.reached_at, address.port)] = None
    yield from found


def _is_env_file(compose: Compose, platform: Platform) -> bool:
    """Whether the compose file gives the settings file to one of its services."""
    wanted = platform.path(platform.config.env_file)
    services = compose.known_services.values()
    return any(file.path == wanted for service in services for file in service.env_files)


def _compose_targets(compose: Compose, addresses: Addresses, but: str = "") -> Iterator[Target]:
    """Where the services reach each other inside the compose project: by their names."""
    for name, address in addresses.services.items():
        if name in compose.known_services and name != but:
            yield Target(name, address.port)


def _compose_scopes(compose: Compose, addresses: Addresses) -> Iterator[Scope]:
    for name, service in compose.known_services.items():
        if name not in addresses.services and not service.node.get("build"):
            continue  # a database calls nobody
        given = [v for v in service.environment.values() if v.given and v.known]
        proxies = _proxy_variables({v.name: v.value or "" for v in given})
        if proxies:
            places = {v.name: v.place for v in given if v.name in proxies}
            targets = tuple(_compose_targets(compose, addresses, name))
            yield Scope(
                f"{compose.name}, service {name}", proxies, targets, places, reaches_services=True
            )
