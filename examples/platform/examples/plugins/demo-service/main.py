"""A plugin: serves items, and registers itself at its start."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from shared.config import get_settings
from shared.utils.registration import registered


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with registered("demo-service", get_settings().DEMO_SERVICE_PORT):
        yield


app = FastAPI(title="demo-service", lifespan=lifespan)


@app.get("/")
def root() -> dict[str, str]:
    return {"service": "demo-service", "status": "ok"}


@app.get("/api/demo-service/items")
def items() -> list[dict[str, object]]:
    return [{"id": 1, "name": "first"}, {"id": 2, "name": "second"}]
