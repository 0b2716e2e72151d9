"""Where the services are: asked of the registry, kept in Redis for a moment where there is one."""

import json
import logging
import time
from typing import Self

import httpx
import redis.asyncio as redis

from shared.config import get_settings

logger = logging.getLogger(__name__)

# Seconds. Short, so that a service that died is not routed to for long.
TTL = 2
# Seconds without the cache once it failed, so that not every request waits for it.
PAUSE = 5


class RegistryDown(Exception):
    """Neither the cache nor the registry tells where the services are."""


class Table:
    """The services' addresses."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        settings = get_settings()
        self._client = client
        self._url = f"{settings.REGISTRY_URL.rstrip('/')}/api/registry/services"
        # Platforms that share a Redis don't share their services.
        self._key = f"gateway:services:{self._url}"
        self._cache: redis.Redis | None = None
        if settings.REDIS_URL:
            self._cache = redis.from_url(
                settings.REDIS_URL, socket_timeout=0.5, socket_connect_timeout=0.5
            )
        self._paused_until = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._cache:
            await self._cache.aclose()

    async def address(self, service: str) -> str | None:
        """Where a service is, or None for one that is not registered."""
        if found := (await self._kept()).get(service):
            return found
        # Not in the cache may mean: registered a moment ago.
        return (await self._asked()).get(service)

    async def _asked(self) -> dict[str, str]:
        try:
            response = await self._client.get(self._url, timeout=5)
            response.raise_for_status()
            table = {service["name"]: service["url"] for service in response.json()}
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RegistryDown(f"{self._url}: {error!r}") from error
        except (ValueError, TypeError, KeyError) as error:
            raise RegistryDown(f"{self._url} answers, but with no list of services") from error
        await self._keep(table)
        return table

    async def _kept(self) -> dict[str, str]:
        if self._cache is None or time.monotonic() < self._paused_until:
            return {}
        try:
            text = await self._cache.get(self._key)
        except redis.RedisError as error:
            self._pause(error)
            return {}
        return json.loads(text) if text else {}

    async def _keep(self, table: dict[str, str]) -> None:
        if self._cache is None or time.monotonic() < self._paused_until:
            return
        try:
            await self._cache.set(self._key, json.dumps(table), ex=TTL)
        except redis.RedisError as error:
            self._pause(error)

    def _pause(self, error: redis.RedisError) -> None:
        self._paused_until = time.monotonic() + PAUSE
        logger.warning("no cache for %s s: %s", PAUSE, error)
