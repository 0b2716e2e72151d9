"""Registers a service with the registry and keeps it registered."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx

from shared.config import get_settings
from shared.schemas.service import ServiceRegister

logger = logging.getLogger(__name__)


@asynccontextmanager
async def registered(name: str, port: int) -> AsyncIterator[None]:
    """Keep the service registered while the context is open; a registry that is down is retried."""
    settings = get_settings()
    host = settings.ADVERTISED_HOST or settings.HOST
    service = ServiceRegister(name=name, url=f"http://{host}:{port}")
    task = asyncio.create_task(_keep_registered(service))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _keep_registered(service: ServiceRegister) -> None:
    settings = get_settings()
    url = f"{settings.REGISTRY_URL.rstrip('/')}/api/registry/services"
    delay = 0.2
    # Calls between the services never go through a proxy of the developer's shell.
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        while True:
            try:
                response = await client.post(url, json=service.model_dump())
                response.raise_for_status()
            except httpx.HTTPError as error:
                logger.warning("can't register with %s: %r", url, error)
                delay = min(delay * 2, 5.0)
            else:
                delay = settings.SERVICE_EXPIRY / 3
            await asyncio.sleep(delay)
