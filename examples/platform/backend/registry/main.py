"""The registry of services. It keeps its table in memory: one worker, no more."""

import time

from fastapi import FastAPI, HTTPException

from shared.config import get_settings
from shared.schemas import ServiceInfo, ServiceRegister

app = FastAPI(title="registry")

# Every endpoint is a coroutine and none awaits, so that they change this one after the other.
_services: dict[str, tuple[ServiceRegister, float]] = {}


@app.get("/")
async def root() -> dict[str, str]:
    return {"service": "registry", "status": "ok"}


@app.post("/api/registry/services", status_code=201)
async def register(service: ServiceRegister) -> ServiceInfo:
    return _seen(service)


@app.post("/api/registry/services/{name}/heartbeat")
async def heartbeat(name: str) -> ServiceInfo:
    _forget_the_silent()
    if name not in _services:
        raise HTTPException(404, f"{name} is not registered")
    return _seen(_services[name][0])


@app.delete("/api/registry/services/{name}", status_code=204)
async def deregister(name: str) -> None:
    _services.pop(name, None)


@app.get("/api/registry/services")
async def services() -> list[ServiceInfo]:
    """Those that gave a sign of life of late."""
    _forget_the_silent()
    now = time.monotonic()
    return [ServiceInfo(**s.model_dump(), age=now - seen) for s, seen in _services.values()]


def _seen(service: ServiceRegister) -> ServiceInfo:
    _services[service.name] = (service, time.monotonic())
    return ServiceInfo(**service.model_dump(), age=0.0)


def _forget_the_silent() -> None:
    oldest = time.monotonic() - get_settings().SERVICE_EXPIRY
    for name, (_, seen) in list(_services.items()):
        if seen < oldest:
            del _services[name]
