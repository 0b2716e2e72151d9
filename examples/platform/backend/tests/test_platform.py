"""The platform's own tests: they need the database that DATABASE_URL names."""

import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

PLATFORM = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def core() -> Iterator[TestClient]:
    from core.main import app
    from shared.database import get_engine

    try:
        with get_engine().connect() as connection:
            connection.execute(text("SELECT 1"))
    except Exception as error:
        pytest.fail(f"these tests need the database of DATABASE_URL: {error}")
    with TestClient(app) as client:
        yield client


@pytest.fixture
def credentials() -> dict[str, str]:
    return {"email": f"{uuid.uuid4().hex}@example.com", "password": "a good secret"}


def test_sign_up_login_and_who_one_is(core: TestClient, credentials: dict[str, str]) -> None:
    assert core.post("/api/core/users", json=credentials).status_code == 201
    token = core.post("/api/core/login", json=credentials).json()["access_token"]
    me = core.get("/api/core/me", headers={"Authorization": f"Bearer {token}"})
    assert me.json()["email"] == credentials["email"]


def test_a_wrong_password_is_refused(core: TestClient, credentials: dict[str, str]) -> None:
    core.post("/api/core/users", json=credentials)
    wrong = {**credentials, "password": "another secret"}
    assert core.post("/api/core/login", json=wrong).status_code == 401


def test_an_address_signs_up_once(core: TestClient, credentials: dict[str, str]) -> None:
    assert core.post("/api/core/users", json=credentials).status_code == 201
    assert core.post("/api/core/users", json=credentials).status_code == 409


def test_the_registry_lists_who_registered_and_forgets_who_is_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from registry import main

    client = TestClient(main.app)
    client.post("/api/registry/services", json={"name": "a", "url": "http://127.0.0.1:1"})
    assert [s["name"] for s in client.get("/api/registry/services").json()] == ["a"]
    settings = main.get_settings().model_copy(update={"SERVICE_EXPIRY": 0.0})
    monkeypatch.setattr(main, "get_settings", lambda: settings)
    time.sleep(0.01)
    assert client.get("/api/registry/services").json() == []
    assert client.post("/api/registry/services/a/heartbeat").status_code == 404


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def started() -> Iterator[int]:
    """Registry, gateway and demo-service on free ports; the gateway's port."""
    ports = {name: _free_port() for name in ("REGISTRY", "GATEWAY", "DEMO_SERVICE")}
    environ = {
        **os.environ,
        "REGISTRY_URL": f"http://127.0.0.1:{ports['REGISTRY']}",
        **{f"{name}_PORT": str(port) for name, port in ports.items()},
    }
    folders = ["backend/registry", "backend/gateway", "examples/plugins/demo-service"]
    processes = [
        subprocess.Popen([sys.executable, "run.py"], cwd=PLATFORM / folder, env=environ)
        for folder in folders
    ]
    try:
        yield ports["GATEWAY"]
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(10)


def test_a_request_goes_through_the_gateway_to_the_plugin(started: int) -> None:
    url = f"http://127.0.0.1:{started}/api/demo-service/items"
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            answer = httpx.get(url, trust_env=False)
        except httpx.TransportError:
            answer = None
        if answer is not None and answer.status_code == 200:
            assert [item["name"] for item in answer.json()] == ["first", "second"]
            return
        time.sleep(0.2)
    pytest.fail(f"no answer at {url}: {answer and answer.text}")
