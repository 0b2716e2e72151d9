"""Proxy variables where the services may get them, read as httpx reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from msgspec import Struct, field

from saas_doctor.actions.files import EditFile
from saas_doctor.compose.edit import inserted_after, replaced
from saas_doctor.compose.model import Service
from saas_doctor.facts import Fact
from saas_doctor.facts.addresses import Addresses
from saas_doctor.facts.compose import Compose
from saas_doctor.facts.dotenv import EnvFile, Settings
from saas_doctor.facts.no_proxy import (
    HTTPX,
    NAME,
    Target,
    chosen,
    covered,
    proxy_key,
    readable,
    refusal,
)
from saas_doctor.model import Place
from saas_doctor.platform import Platform

LOCAL = ("localhost", "127.0.0.1", "::1")


class Scope(Struct, frozen=True):
    """A place that gives proxy variables to processes, and what those call."""

    name: str
    variables: Mapping[str, str]
    targets: tuple[Target, ...]
    places: Mapping[str, Place] = field(default_factory=dict)
    is_shell: bool = False
    editable: bool = False
    reaches_services: bool = False
    """Whether the services surely get the variables from here."""
    service: Service | None = None
    """The one of the compose file, where it is that one's."""

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
    def unreadable(self) -> dict[str, str]:
        """The variables of which httpx can make no URL, with what it can't read, and so no client."""
        if self.no_proxy_is_all:
            return {}
        entries = [entry.strip() for entry in self.no_proxy.split(",")]
        found = {self.no_proxy_key: ", ".join(e for e in entries if e and readable(e) != e)}
        for key, value in self.in_effect.items():
            url = value if "://" in value else f"http://{value}"
            found[key] = self.shown(key) if refusal(url) else ""
        return {key: text for key, text in found.items() if text}

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
        """The targets that httpx would call through a proxy."""
        return self.swallowed_by(HTTPX)

    def swallowed_by(self, client: str) -> list[Target]:
        """The targets that a client would call through a proxy."""
        names = chosen(self.variables)
        through = (t for t in self.targets if proxy_key(names, t.scheme, client))
        return [t for t in through if not covered(self.no_proxy, t, client)]

    def shown(self, key: str) -> str:
        """The variable's value without a password."""
        return re.sub(r"^((?:[\w+.-]+://)?[^:/@]*):.*@", r"\1:***@", self.variables[key])

    def no_proxy_with(self, targets: Sequence[Target]) -> str:
        """NO_PROXY as httpx can read it, with the hosts of this machine and of these targets added.

        An address of IPv6 stands there without brackets: urllib wants them, and httpx then fails.
        """
        there = [readable(entry) for entry in re.split(r"[\s,]+", self.no_proxy)]
        hosts = [*LOCAL, *(target.host for target in targets)]
        return ",".join(filter(None, dict.fromkeys([*there, *hosts])))


class Proxies(Fact, frozen=True):
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
        targets = tuple(_own_targets(settings, addresses, env))
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
        return cls(tuple(scope for scope in scopes if scope.in_effect or scope.no_proxy))


def _proxy_variables(environ: Mapping[str, str]) -> dict[str, str]:
    wanted = (name for name in environ if NAME.match(name) or name == "REQUEST_METHOD")
    return {name: environ[name] for name in wanted}


# Hosts that are not called by HTTP.
_STORE = re.compile(
    r"POSTGRES|^PG|^DB|DATABASE|REDIS|MYSQL|MONGO|RABBIT|AMQP|KAFKA|SMTP|MAIL", re.I
)


def _own_targets(settings: Settings, addresses: Addresses, env: EnvFile) -> Iterator[Target]:
    """Where the services reach each other on this machine, and where they listen."""
    found: dict[Target, None] = {}
    told = {s.key: s.value for s in (env.there.settings if env.there else ())}
    for key, value in {**told, **settings.values}.items():
        try:
            url = urlsplit(value)
            host, port = url.hostname or "", url.port or 80
        except ValueError:
            continue  # an address that is not valid is reported as such
        called = url.scheme == "http" and "," not in value and not _TOLD.search(key)
        if called and (host in LOCAL or host.startswith("127.")):
            found[Target(host, port, url.scheme)] = None
        if key.endswith("HOST") and value.startswith("127.") and not _STORE.search(key):
            for address in addresses.services.values():
                found[Target(value, address.port)] = None
    for address in addresses.services.values():
        found[Target(address.reached_at, address.port)] = None
    yield from found


# What browsers send, or others are told.
_TOLD = re.compile(r"CORS|ORIGIN|ALLOW|PUBLIC|FRONT|CALLBACK|REDIRECT", re.I)


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
                f"{compose.name}, service {name}",
                proxies,
                targets,
                places,
                reaches_services=True,
                service=service,
            )


def compose_edit(scope: Scope, key: str, value: str) -> EditFile | None:
    """The edit that gives a compose service this NO_PROXY, where its `environment` allows one."""
    environment = scope.service.node.get("environment") if scope.service else None
    if environment is None or environment.kind != "map":
        return None
    there = environment.entries.get(scope.no_proxy_key)
    if there is None:
        line = f"{scope.no_proxy_key}: {value}"
        return inserted_after(environment, key, [line], scope.no_proxy_key)
    node = there.value
    if there.inherited or node.kind != "scalar" or node.source.strip("'\"") != node.text:
        return None
    at = node.start + node.source.index(node.text)
    return replaced(node.file, at, at + len(node.text), value, scope.no_proxy_key)
