"""The platform's Redis: whether it answers, and whether it would take a write."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from saas_doctor.facts import Fact
from saas_doctor.facts.compose import Compose
from saas_doctor.facts.dotenv import Settings
from saas_doctor.model import Absent, Place, Unreadable
from saas_doctor.platform import Platform

_LIMIT = 1.0
"""Seconds for the connection and for each answer."""


class Cache(Fact, frozen=True):
    """What Redis answers at the address that the services use.

    `problem` is empty where it is well, else one of `unreachable`, `login`, `database`, `loading`,
    `full`, `read-only`, `not Redis`; `detail` is what it said.
    """

    address: str
    key: str
    where: str
    place: Place | None
    problem: str = ""
    detail: str = ""
    start: str = ""
    """The command that starts it, where the compose file has one."""

    live = True
    limit = 4.0

    @classmethod
    def read(cls, platform: Platform, settings: Settings) -> Cache:
        if platform.config.redis is None:
            raise Absent("no Redis is configured")
        key = platform.config.redis.variable
        url = settings.values.get(key, "")
        if not url:
            raise Absent(f"no {key} is set")
        address = _address(url, key, settings)
        problem, detail = examine(url)
        start = _compose_start(platform) if problem == "unreachable" else ""
        where, place = settings.where(key), settings.places.get(key)
        return cls(address, key, where, place, problem, detail, start)


def _address(url: str, key: str, settings: Settings) -> str:
    """Host and port of the address, never its password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme == "unix":
        return parts.path
    if parts.scheme in ("redis", "rediss") and port != 0:
        return f"{parts.hostname or 'localhost'}:{port or 6379}"
    if parts.scheme and parts.scheme not in ("redis", "rediss", "http", "https") and "://" in url:
        raise Absent(f"{key} is an address of another kind ({parts.scheme}://)")
    raise Unreadable(f"{settings.where(key)} is not a valid address of Redis")


def examine(url: str) -> tuple[str, str]:
    """The problem of the server at an address (`""`: none), and what it said. Writes nothing."""
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    try:
        client = redis.Redis.from_url(
            url,
            socket_timeout=_LIMIT,
            socket_connect_timeout=_LIMIT,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )
    except ValueError as error:
        raise Unreadable(str(error)) from None
    try:
        client.ping()
        return refuses_writes(_info(client))
    except redis.exceptions.RedisError as error:
        return classify(type(error).__name__, str(error))
    except OSError as error:
        return "unreachable", str(error)
    finally:
        client.close()


def _info(client: Any) -> Mapping[str, Any]:
    import redis

    try:
        answer: Mapping[str, Any] = client.info()
    except redis.exceptions.ResponseError:
        return {}  # this user may not ask, which is no fault
    return answer


def refuses_writes(info: Mapping[str, Any]) -> tuple[str, str]:
    """Whether a server that says this of itself refuses every write."""
    limit, used = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    if limit and used >= limit and info.get("maxmemory_policy") == "noeviction":
        return "full", f"used_memory {used} of maxmemory {limit}, and maxmemory_policy noeviction"
    if info.get("role") == "slave" and str(info.get("slave_read_only", 1)) == "1":
        return "read-only", f"role slave of {info.get('master_host')}:{info.get('master_port')}"
    return "", ""


_CLASSES = (
    ("login", r"NOAUTH|WRONGPASS|HELLO must be called|Authentication required|invalid username"),
    ("login", r"NOPERM|no permissions|invalid password|without any password configured"),
    ("database", r"DB index is out of range"),
    ("loading", r"LOADING|loading the dataset"),
    ("not Redis", r"Protocol Error|Connection closed by server|Invalid response|WRONG_VERSION"),
)


def classify(kind: str, text: str) -> tuple[str, str]:
    """The problem that redis-py's exception of this kind and text stands for."""
    if kind.startswith("Authentication"):
        return "login", text
    for problem, pattern in _CLASSES:
        if re.search(pattern, text, re.I):
            return problem, text
    return "unreachable", text or kind


def _compose_start(platform: Platform) -> str:
    """How Compose starts it: the service whose image is Redis or Valkey."""
    services = Compose.read(platform).known_services.values()
    name = next((s.name for s in services if re.search(r"(?:^|/)(redis|valkey)\b", s.image)), "")
    return f"docker compose -f {platform.config.compose_file} up -d {name}" if name else ""
