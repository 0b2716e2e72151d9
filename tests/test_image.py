"""The image of the doctor: built by a real engine, run on a platform that is mounted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.models.images import Image

from tests.testbed import checkout, images, require
from tests.trees import written

pytestmark = [pytest.mark.xdist_group("docker"), pytest.mark.timeout(1500)]

PLATFORM = {
    "backend/requirements.txt": "httpx\npython-dotenv\n",
    "backend/.env": "REGISTRY_URL=localhost:8001\n",
    "backend/main.py": "import os, httpx\nfrom dotenv import load_dotenv\nload_dotenv()\n"
    'httpx.get(os.environ["REGISTRY_URL"])\n',
    "docker-compose.yml": "services: {}\n",
}


@pytest.fixture
def client(docker_engine: str) -> Iterator[docker.DockerClient]:
    require(images.obtainable(), "debootstrap (and the rights to run it)")
    images.provide(docker_engine)
    client = docker.DockerClient(base_url=docker_engine, timeout=900)
    yield client
    client.close()


@pytest.fixture
def image(client: docker.DockerClient, tmp_path: Path) -> Iterator[Image]:
    source = checkout.copied(tmp_path / "source")
    (source / "secret.txt").write_text("not to be sent to the engine\n")
    tag = f"saas-doctor-test/doctor:{os.getpid()}"
    built, _ = client.images.build(
        path=str(source), tag=tag, buildargs={"PYTHON": images.PYTHON}, rm=True, forcerm=True
    )
    yield built
    client.api.remove_image(tag, force=True)


def test_it_examines_what_is_mounted_as_nobody(
    client: docker.DockerClient, image: Image, open_folder: Path
) -> None:
    written(open_folder, PLATFORM)
    mounts = {str(open_folder): {"bind": "/platform", "mode": "ro"}}

    def run(*argv: str) -> tuple[int, str, str]:
        container = client.containers.run(
            image, list(argv) or None, volumes=mounts, network_mode="none", detach=True
        )
        try:
            code = container.wait(timeout=300)["StatusCode"]
            out, err = (container.logs(stdout=at == 0, stderr=at == 1).decode() for at in (0, 1))
            return code, out, err
        finally:
            container.remove(force=True)

    config = image.attrs["Config"]
    assert (config["Entrypoint"], config["User"]) == (["saas-doctor"], "65534")
    base = client.images.get(images.PYTHON)
    assert image.attrs["Size"] - base.attrs["Size"] < 150_000_000

    check = ("check", "--static", "--timeout", "60", "--select", "CFG903")
    code, out, err = run(*check, "--format", "json")
    assert (code, err) == (1, "")
    report = json.loads(out)
    assert report["platform"]["directory"] == "/platform"
    assert [f["location"]["path"] for f in report["findings"]] == ["backend/.env"]

    code, out, _ = run()
    assert code == 1
    assert "error CFG903" in out
    assert "not examined: asks running things (--static)" in out

    (open_folder / "backend/.env").write_text("REGISTRY_URL=http://localhost:8001\n")
    code, out, _ = run(*check)
    assert code == 0
    code, _, err = run("fix", "--yes", "--select", "CFG")
    assert code == 2
    assert "saas-doctor: /platform" in err
