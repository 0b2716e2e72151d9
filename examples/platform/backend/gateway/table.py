"""Where the services are: asked of the registry, kept in Redis for a moment where there is one."""

import json
import logging

import httpx
import redis.asyncio as redis

from shared.config import get_settings

logger = logging.getLogger(__name__)

# Short, so that a service that died is not routed to for long.
TTL = 2
KEY = "gateway:services"


class RegistryDown(Exception):
    """Neither the cache nor the registry tells where the services are."""


async def addresses(client: httpx.AsyncClient) -> dict[str, str]:
    """The services' addresses by their names."""
    settings = get_settings()
    cache = _cache(settings.REDIS_URL)
    if cache and (kept := await _kept(cache)):
        return kept
    try:
        response = await client.get(f"{settings.REGISTRY_URL.rstrip('/')}/api/registry/services")
        response.raise_for_status()
    except httpx.HTTPError as error:
        raise RegistryDown(f"{settings.REGISTRY_URL}: {error!r}") from error
    found = {service["name"]: service["url"] for service in response.json()}
    if cache:
        await _keep(cache, found)
    return found


def _cache(url: str | None) -> "redis.Redis | None":
    return redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5) if url else None


async def _kept(cache: "redis.Redis") -> dict[str, str] | None:
    try:
        text = await cache.get(KEY)
    except redis.RedisError as error:
        logger.warning("no cache: %s", error)
        return None
    return json.loads(text) if text else None


async def _keep(cache: "redis.Redis", table: dict[str, str]) -> None:
    try:
        await cache.set(KEY, json.dumps(table), ex=TTL)
    except redis.RedisError as error:
        logger.warning("no cache: %s", error)
    finally:
        await cache.aclose()
