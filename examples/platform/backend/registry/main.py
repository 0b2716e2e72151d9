"""The registry of services. It keeps its table in memory: one worker, no more."""

import time

from fastapi import FastAPI, HTTPException, Response

from shared.config import get_settings
from shared.schemas import ServiceInfo, ServiceRegister

app = FastAPI(title="registry")

_services: dict[str, tuple[ServiceRegister, float]] = {}


@app.get("/")
def root() -> dict[str, str]:
    return {"service": "registry", "status": "ok"}


@app.post("/api/registry/services", status_code=201)
def register(service: ServiceRegister) -> ServiceInfo:
    _services[service.name] = (service, time.monotonic())
    return ServiceInfo(**service.model_dump(), age=0.0)


@app.post("/api/registry/services/{name}/heartbeat")
def heartbeat(name: str) -> ServiceInfo:
    if name not in _services:
        raise HTTPException(404, f"{name} is not registered")
    return register(_services[name][0])


@app.delete("/api/registry/services/{name}", status_code=204)
def deregister(name: str) -> Response:
    _services.pop(name, None)
    return Response(status_code=204)


@app.get("/api/registry/services")
def services() -> list[ServiceInfo]:
    """Those that gave a sign of life of late; the silent ones are forgotten."""
    now = time.monotonic()
    for name, (_, seen) in list(_services.items()):
        if now - seen > get_settings().SERVICE_EXPIRY:
            del _services[name]
    return [ServiceInfo(**s.model_dump(), age=now - seen) for s, seen in _services.values()]
