"""The reference platform in containers, with a real Postgres and Redis: from a bare clone to nothing.

The first run on a machine makes the images of Python, Postgres and Redis (some minutes); each run
builds the platform's own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.testbed import images, require
from tests.testbed.clone import Clone
from tests.testbed.stack import PROJECT

pytestmark = [pytest.mark.xdist_group("docker"), pytest.mark.timeout(1500)]


def left(host: str, project: str) -> list[str]:
    """What the engine has of a project, images apart."""
    api, mine = docker.DockerClient(base_url=host).api, {"label": f"{PROJECT}={project}"}
    found = [row["Names"][0] for row in api.containers(all=True, filters=mine)]
    found += [network["Name"] for network in api.networks(filters=mine)]
    return found + [volume["Name"] for volume in api.volumes(filters=mine)["Volumes"] or ()]


@pytest.fixture
def clone(docker_engine: str, tmp_path: Path) -> Iterator[Clone]:
    require(images.obtainable(), "debootstrap (and the rights to run it)")
    images.provide(docker_engine)
    clone = Clone(tmp_path / f"sdup{os.getpid()}", docker_engine)
    yield clone
    clone.doctor("down", "--docker", "--volumes", "--allow-destructive")
    client = docker.DockerClient(base_url=docker_engine)
    for image in client.images.list(filters={"label": f"{PROJECT}={clone.root.name}"}):
        client.api.remove_image(str(image.id), force=True)
    shutil.rmtree(clone.root, ignore_errors=True)


def test_from_a_bare_clone_one_command_has_it_in_containers_and_one_takes_it_away(
    clone: Clone, docker_engine: str, shared_environment: Path
) -> None:
    done = clone.doctor("up", "--yes", "--wait-timeout", "300")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("Up (docker) after ")
    assert clone.members() == dict.fromkeys(clone.ports, "healthy")
    assert clone.items() == 200
    assert not (clone.root / "backend/.env").exists()  # the containers need none

    # The tools of this machine, on what runs in the containers.
    (clone.root / "backend/.venv").symlink_to(shared_environment)
    shutil.copy(clone.root / "backend/.env.example", clone.root / "backend/.env")
    smoke = clone.doctor("smoke")
    assert smoke.returncode == 0, smoke.stdout + smoke.stderr

    again = clone.doctor("up")
    assert again.returncode == 0, again.stderr
    assert "building" not in again.stderr
    down = clone.doctor("down", "--volumes", "--allow-destructive")
    assert down.returncode == 0, down.stderr
    assert left(docker_engine, clone.root.name) == []
