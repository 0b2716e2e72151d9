"""The platform's own tests: they need the database that DATABASE_URL names."""

import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from core.main import app as core_app
from registry import main as registry_main
from shared.config import get_settings
from shared.database import get_engine

PLATFORM = Path(__file__).resolve().parents[2]
REGISTRY = "/api/registry/services"


@pytest.fixture(scope="module")
def core() -> Iterator[TestClient]:
    if problem := _missing():
        pytest.fail(problem, pytrace=False)
    with TestClient(core_app) as client:
        yield client


def _missing() -> str | None:
    try:
        get_engine().connect().close()
    except ValidationError as error:
        return f"settings are missing in the environment and in backend/.env: {error}"
    except SQLAlchemyError as error:
        return f"the database of DATABASE_URL can't be reached: {error}"
    return None


@pytest.fixture
def credentials() -> dict[str, str]:
    return {"email": f"{uuid.uuid4().hex}@example.com", "password": "a good secret"}


@pytest.fixture
def bearer(core: TestClient, credentials: dict[str, str]) -> dict[str, str]:
    """The header of somebody who signed up and logged in."""
    assert core.post("/api/core/users", json=credentials).status_code == 201
    login = core.post("/api/core/login", json=credentials)
    return {"Authorization": f"Bearer {login.json()['access_token']}"}


def test_sign_up_login_and_who_one_is(
    core: TestClient, credentials: dict[str, str], bearer: dict[str, str]
) -> None:
    me = core.get("/api/core/me", headers=bearer)
    assert me.json()["email"] == credentials["email"]


@pytest.mark.parametrize("password", ["another secret", "short"])
@pytest.mark.usefixtures("bearer")
def test_a_wrong_password_is_refused(
    core: TestClient, credentials: dict[str, str], password: str
) -> None:
    wrong = {**credentials, "password": password}
    assert core.post("/api/core/login", json=wrong).status_code == 401


@pytest.mark.usefixtures("bearer")
def test_an_address_signs_up_once(core: TestClient, credentials: dict[str, str]) -> None:
    assert core.post("/api/core/users", json=credentials).status_code == 409


@pytest.mark.parametrize("password", ["short", "密" * 25, "nul\0nul\0nul"])
def test_a_password_that_bcrypt_would_not_take_whole_is_refused(
    core: TestClient, credentials: dict[str, str], password: str
) -> None:
    new = {**credentials, "password": password}
    assert core.post("/api/core/users", json=new).status_code == 422


def test_a_forged_token_is_refused(core: TestClient) -> None:
    me = core.get("/api/core/me", headers={"Authorization": "Bearer forged"})
    assert me.status_code == 401


def test_the_catalogue_keeps_the_metadata_of_a_service(
    core: TestClient, bearer: dict[str, str]
) -> None:
    url = "/api/core/services/demo-service"
    for metadata in ({"version": 1}, {"version": 2, "tags": ["demo"]}):
        assert core.put(url, json=metadata, headers=bearer).status_code == 200
        assert {"name": "demo-service", "metadata": metadata} in core.get(
            "/api/core/services"
        ).json()


def test_the_registry_lists_who_gives_a_sign_of_life_and_forgets_who_is_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = time.monotonic()
    monkeypatch.setattr(registry_main.time, "monotonic", lambda: now)
    client = TestClient(registry_main.app)

    def listed() -> list[str]:
        return [service["name"] for service in client.get(REGISTRY).json()]

    assert client.post(f"{REGISTRY}/a/heartbeat").status_code == 404
    for name in ("a", "b"):
        service = {"name": name, "url": "http://127.0.0.1:1"}
        assert client.post(REGISTRY, json=service).status_code == 201
    now += get_settings().SERVICE_EXPIRY - 1
    assert client.post(f"{REGISTRY}/a/heartbeat").status_code == 200
    assert listed() == ["a", "b"]
    now += 2
    assert listed() == ["a"]
    assert client.post(f"{REGISTRY}/b/heartbeat").status_code == 404
    assert client.delete(f"{REGISTRY}/a").status_code == 204
    assert listed() == []


@dataclass
class Running:
    """Registry, gateway and demo-service on free ports."""

    gateway: httpx.Client
    registry: httpx.Client
    processes: dict[str, subprocess.Popen[bytes]]

    def stop(self, name: str) -> None:
        self.processes[name].terminate()
        self.processes[name].wait(10)


FOLDERS = {
    "registry": "backend/registry",
    "gateway": "backend/gateway",
    "demo-service": "examples/plugins/demo-service",
}


@pytest.fixture
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    ports = {name: _free_port() for name in FOLDERS}
    environ = {
        **os.environ,
        "LOGS": str(tmp_path),
        "REGISTRY_URL": f"http://127.0.0.1:{ports['registry']}",
        **getattr(request, "param", {}),
    }
    processes = {
        name: subprocess.Popen(
            [sys.executable, "run.py", "--host", "127.0.0.1", "--port", str(ports[name])],
            cwd=PLATFORM / folder,
            env=environ,
        )
        for name, folder in FOLDERS.items()
    }
    clients = {
        name: httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)
        for name, port in ports.items()
    }
    try:
        yield Running(clients["gateway"], clients["registry"], processes)
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            process.wait(10)
        for client in clients.values():
            client.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(status: int, client: httpx.Client, url: str) -> httpx.Response:
    answer: httpx.Response | Exception | None = None
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            answer = client.get(url)
        except httpx.TransportError as error:
            answer = error
        else:
            if answer.status_code == status:
                return answer
        time.sleep(0.1)
    pytest.fail(f"no {status} from {url}: {getattr(answer, 'text', answer)!r}")


@pytest.mark.parametrize(
    "running",
    [{}, {"REDIS_URL": "redis://127.0.0.1:9"}],
    ids=["redis as set", "redis down"],
    indirect=True,
)
def test_the_gateway_leads_to_the_plugin_and_tells_what_is_missing(running: Running) -> None:
    items = "/api/demo-service/items"
    answer = _wait_for(200, running.gateway, items)
    assert [item["name"] for item in answer.json()] == ["first", "second"]
    assert running.gateway.get("/api/nothing/x").status_code == 404

    running.stop("demo-service")
    assert running.registry.get(REGISTRY).json() == []
    _wait_for(404, running.gateway, items)

    # Dead without having signed off.
    dead = {"name": "demo-service", "url": "http://127.0.0.1:9"}
    running.registry.post(REGISTRY, json=dead)
    assert "does not answer" in _wait_for(502, running.gateway, items).json()["detail"]

    running.stop("registry")
    assert "the registry" in _wait_for(503, running.gateway, items).json()["detail"]


def test_only_the_configured_origins_may_read() -> None:
    # It reads its settings when it is imported, and they may be what is missing.
    from gateway.main import app

    client = TestClient(app)

    def allowed(origin: str) -> str | None:
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        answer = client.options("/api/demo-service/items", headers=headers)
        return answer.headers.get("access-control-allow-origin")

    for origin in get_settings().cors_origins:
        assert allowed(origin) == origin
        # A part of a configured one.
        assert allowed(origin[:-1]) is None
