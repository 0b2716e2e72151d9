"""Registers a service with the registry and keeps it registered."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx

from shared.config import get_settings
from shared.schemas.service import ServiceRegister

logger = logging.getLogger(__name__)

# Seconds before a failed call is tried again: doubled each time, up to the last.
FIRST_RETRY, LAST_RETRY = 0.2, 5.0


@asynccontextmanager
async def registered(name: str, port: int) -> AsyncIterator[None]:
    """Keep the service registered while the context is open; a registry that is down is retried."""
    settings = get_settings()
    service = ServiceRegister(name=name, url=f"http://{settings.advertised_host}:{port}")
    registry = f"{settings.REGISTRY_URL.rstrip('/')}/api/registry/"
    # Calls between the services never go through a proxy of the developer's shell.
    async with httpx.AsyncClient(base_url=registry, trust_env=False, timeout=5) as client:
        task = asyncio.create_task(_keep_registered(client, service))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            with suppress(httpx.HTTPError):
                await client.delete(f"services/{name}", timeout=1)


async def _keep_registered(client: httpx.AsyncClient, service: ServiceRegister) -> None:
    # Three signs of life a period: one may be lost.
    pause = get_settings().SERVICE_EXPIRY / 3
    retry, known = FIRST_RETRY, False
    while True:
        try:
            if not (known and await _heartbeat(client, service)):
                await _register(client, service)
        except httpx.HTTPError as error:
            logger.warning("can't register with %s: %r", client.base_url, error)
            known = False
            await asyncio.sleep(retry)
            retry = min(retry * 2, LAST_RETRY)
        else:
            retry, known = FIRST_RETRY, True
            await asyncio.sleep(pause)


async def _heartbeat(client: httpx.AsyncClient, service: ServiceRegister) -> bool:
    """Whether the registry still knows the service: one that was restarted does not."""
    response = await client.post(f"services/{service.name}/heartbeat")
    if response.status_code == 404:
        return False
    response.raise_for_status()
    return True


async def _register(client: httpx.AsyncClient, service: ServiceRegister) -> None:
    response = await client.post("services", json=service.model_dump())
    response.raise_for_status()
    logger.info("registered %s at %s", service.name, service.url)
