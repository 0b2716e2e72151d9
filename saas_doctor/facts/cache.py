"""The platform's Redis: whether it can be used at the address that the services have, or at another."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

from msgspec import Struct

from saas_doctor.compose.model import Service
from saas_doctor.facts import Fact
from saas_doctor.facts.brew import stopped_services
from saas_doctor.facts.compose import Compose
from saas_doctor.facts.dotenv import Settings
from saas_doctor.facts.redis_server import examine, plain
from saas_doctor.model import Absent, Place, Unreadable
from saas_doctor.platform import Platform

_PORT = 6379
_IMAGE = re.compile(r"(?:^|/)(?:redis|valkey|keydb|dragonfly)(?:-stack)?(?:-server)?\b")


class ComposeRedis(Struct, frozen=True):
    """The compose file's Redis: where it is published on this machine, and whether it has a password."""

    name: str
    place: Place
    ports: tuple[int, ...]
    password_at: Place | None = None


class Cache(Fact, frozen=True):
    """What Redis answers at the address that the services use.

    `problem` is empty where it is well, else a word of `facts/redis_server.py`; `detail` is what it
    said. `better` is an address that does work, with its reason.
    """

    address: str
    key: str
    where: str
    place: Place | None
    problem: str = ""
    detail: str = ""
    start: str = ""
    """The command that starts it, where the compose file or Homebrew has one."""
    better: str = ""
    reason: str = ""
    compose: ComposeRedis | None = None

    live = True
    limit = 8.0

    @classmethod
    def read(cls, platform: Platform, settings: Settings) -> Cache:
        if platform.config.redis is None:
            raise Absent("no Redis is configured")
        key = platform.config.redis.variable
        url = settings.values.get(key, "")
        if not url:
            raise Absent(f"no {key} is set")
        address = _address(url, key, settings)
        where, place = settings.where(key), settings.places.get(key)
        problem, detail = examine(url)
        if not problem:
            return cls(address, key, where, place)
        compose = _of_compose(platform)
        better, reason = _better(url, problem, compose, platform)
        start = ""
        if compose and problem == "unreachable":
            file = platform.config.compose_file
            start = f"docker compose -f {file} up -d {compose.name}"
        elif problem == "unreachable" and address.startswith(("localhost:", "127.0.0.1:")):
            brewed = next(stopped_services("redis|valkey", platform.environ), "")
            start = f"brew services start {brewed}" if brewed else ""
        return cls(address, key, where, place, problem, detail, start, better, reason, compose)


def _address(url: str, key: str, settings: Settings) -> str:
    """Host and port of the address, never its password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if url[:1].isspace():  # newer Pythons pass over it, the client does not
        raise Unreadable(f"{settings.where(key)} begins with a blank, which Redis' client refuses")
    if parts.scheme == "unix":
        return parts.path
    if parts.scheme in ("redis", "rediss") and port != 0:
        return f"{parts.hostname or 'localhost'}:{port or _PORT}"
    if parts.scheme and parts.scheme not in ("redis", "rediss", "http", "https") and "://" in url:
        raise Absent(f"{key} is an address of another kind ({parts.scheme}://)")
    raise Unreadable(f"{settings.where(key)} is not a valid address of Redis")


def _of_compose(platform: Platform) -> ComposeRedis | None:
    for service in Compose.read(platform).known_services.values():
        if is_redis(service):
            ports = tuple(n for p in service.ports if (n := p.published_for(_PORT)))
            return ComposeRedis(service.name, service.place, ports, _password(service))
    return None


def is_redis(service: Service) -> bool:
    """Whether a service of the compose file is a Redis server."""
    return bool(_IMAGE.search(service.image))


def _password(service: Service) -> Place | None:
    """Where the compose file gives it a password."""
    command = service.node.get("command")
    words = [command, *command.items] if command else []
    for node in words:
        if "--requirepass" in node.text:
            return node.place
    for name in ("REDIS_PASSWORD", "VALKEY_PASSWORD", "REDIS_ARGS"):
        variable = service.environment.get(name)
        if variable and variable.value and (name != "REDIS_ARGS" or "pass" in variable.value):
            return variable.place
    return None


def _better(
    url: str, problem: str, compose: ComposeRedis | None, platform: Platform
) -> tuple[str, str]:
    """An address near this one at which Redis does work, and why it is the right one."""
    for other, reason in _others(url, problem, compose, platform):
        try:
            if examine(other)[0] == "":
                return other, reason
        except Unreadable:
            continue
    return "", ""


def _others(
    url: str, problem: str, compose: ComposeRedis | None, platform: Platform
) -> Iterator[tuple[str, str]]:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORT
    if problem == "no TLS":
        yield plain(url), "it speaks no TLS"
    if problem == "wants TLS":
        yield urlunsplit(parts._replace(scheme="rediss")), "it wants TLS"
    if problem == "no password":
        netloc = parts.netloc.rpartition("@")[2]
        yield urlunsplit(parts._replace(netloc=netloc)), "it has no password"
    if problem not in ("unreachable", "not Redis") or compose is None:
        return
    here = host in ("localhost", "127.0.0.1", "::1")
    if not here and (host != compose.name or _given_to_containers(platform)):
        return
    user = parts.netloc.rpartition("@")
    for published in compose.ports:
        if published != port or not here:
            netloc = f"{user[0]}{user[1]}127.0.0.1:{published}"
            reason = f"{compose.place} publishes {compose.name} there"
            yield urlunsplit(parts._replace(netloc=netloc)), reason


def _given_to_containers(platform: Platform) -> bool:
    """Whether the compose file gives the settings file to a container, for which it is then right."""
    own = os.path.realpath(platform.path(platform.config.env_file))
    services = Compose.read(platform).known_services.values()
    return any(os.path.realpath(f.path) == own for s in services for f in s.env_files)
