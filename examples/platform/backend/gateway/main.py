"""Forwards /api/<service>/... to the service that the registry knows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse

from gateway.table import RegistryDown, addresses
from shared.config import get_settings

# What belongs to one connection is not passed on.
HOP_BY_HOP = {"connection", "content-length", "host", "keep-alive", "transfer-encoding", "upgrade"}


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        app.state.client = client
        yield


app = FastAPI(title="gateway", lifespan=lifespan)
app.add_middleware(
    CORSMiddleware,
    allow_origins=get_settings().cors_origins,
    allow_credentials=True,
    allow_methods=["*"],
    allow_headers=["*"],
)


@app.get("/")
def root() -> dict[str, str]:
    return {"service": "gateway", "status": "ok"}


@app.api_route("/api/{service}/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
async def forward(service: str, path: str, request: Request) -> Response:
    client: httpx.AsyncClient = request.app.state.client
    try:
        table = await addresses(client)
    except RegistryDown as error:
        return _problem(503, f"the registry does not answer: {error}")
    if service == "registry":
        table["registry"] = get_settings().REGISTRY_URL
    if service not in table:
        return _problem(404, f"no service is called {service}")
    try:
        answer = await client.request(
            request.method,
            f"{table[service].rstrip('/')}/api/{service}/{path}",
            params=request.query_params,
            content=await request.body(),
            headers=[(k, v) for k, v in request.headers.items() if k not in HOP_BY_HOP],
        )
    except httpx.HTTPError as error:
        return _problem(502, f"{service} does not answer at {table[service]}: {error!r}")
    headers = {k: v for k, v in answer.headers.items() if k not in HOP_BY_HOP | {"content-encoding"}}
    return Response(answer.content, answer.status_code, headers)


def _problem(status: int, detail: str) -> JSONResponse:
    return JSONResponse({"detail": detail}, status)
