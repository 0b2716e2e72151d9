"""Forwards /api/<service>/... to the service that the registry knows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse

from gateway.table import RegistryDown, Table
from shared.config import get_settings

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
# What belongs to one connection is not passed on.
HOP_BY_HOP = {
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client, Table(client) as table:
        app.state.client, app.state.table = client, table
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


@app.api_route("/api/{service}/{path:path}", methods=METHODS, include_in_schema=False)
async def forward(service: str, request: Request) -> Response:
    client: httpx.AsyncClient = request.app.state.client
    table: Table = request.app.state.table
    try:
        address = await table.address(service)
    except RegistryDown as error:
        return _problem(503, f"the registry does not answer: {error}")
    if address is None:
        return _problem(404, f"no service is called {service}")
    # The path as it came: decoded, a %3F in it would begin the query.
    path, query = request.scope["raw_path"].decode("ascii"), request.url.query
    try:
        answer = await client.request(
            request.method,
            address.rstrip("/") + path + (f"?{query}" if query else ""),
            content=await request.body(),
            headers=[(k, v) for k, v in request.headers.items() if k not in HOP_BY_HOP],
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return _problem(502, f"{service} does not answer at {address}: {error!r}")
    response = Response(answer.content, answer.status_code)
    for key, value in answer.headers.multi_items():
        # httpx has undone the encoding.
        if key not in HOP_BY_HOP | {"content-encoding"}:
            response.headers.append(key, value)
    return response


def _problem(status: int, detail: str) -> JSONResponse:
    return JSONResponse({"detail": detail}, status)
