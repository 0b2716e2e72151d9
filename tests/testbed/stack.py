"""A small Compose project on the real engine, for the stack's tests; all that it makes is removed."""

from __future__ import annotations

import itertools
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml

from saas_doctor.platform import Platform, load
from saas_doctor.stack import Change, Failed, Failure, Member, Options
from saas_doctor.stack.choice import docker_backend
from saas_doctor.stack.docker import DockerBackend
from tests.testbed import compose, engine

_numbers = itertools.count(1)
PROJECT = "com.docker.compose.project"
LISTENS = ["httpd", "-f", "-p", "80"]


def service(*command: str, **more: Any) -> dict[str, Any]:
    """A service of the tiny image; without a command it stays up until it is told to end."""
    words = list(command) or ["sleep", "600"]
    # Its first process would not heed SIGTERM by itself.
    return {"image": engine.IMAGE, "command": words, "init": True, **more}


def checked(test: str = ":", **more: Any) -> dict[str, Any]:
    """A health check by a command of the shell, asked often."""
    check = {"test": ["CMD", "sh", "-c", test], "interval": "300ms", "timeout": "2s", "retries": 3}
    return {**check, **more}


def needs(condition: str = "service_started", **more: Any) -> dict[str, Any]:
    return {"condition": condition, **more}


@dataclass
class Stack:
    """A project in a folder of its own, and what happened when it was brought up."""

    host: str
    folder: Path
    name: str
    said: list[tuple[str, str]] = field(default_factory=list)

    def write(self, services: dict[str, Any], **sections: Any) -> Path:
        """The Compose file; all that comes of it carries the tests' label."""
        for spec in services.values():
            spec["labels"] = {engine.LABEL: "1", **spec.get("labels", {})}
        for kind in ("networks", "volumes"):
            for spec in sections.get(kind, {}).values():
                if not spec.get("external"):
                    spec["labels"] = {engine.LABEL: "1"}
        sections.setdefault("networks", {}).setdefault("default", {"labels": {engine.LABEL: "1"}})
        path = self.folder / "compose.yaml"
        document = {"name": self.name, "services": services, **sections}
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        return path

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, "DOCKER_HOST": self.host}

    @property
    def platform(self) -> Platform:
        return load(self.folder, exact=True, environ=self.environ)

    def backend(self, *services: str, whole: bool = False) -> DockerBackend:
        return docker_backend(self.platform, services=services, whole=whole)

    @property
    def api(self) -> docker.APIClient:
        return docker.DockerClient(base_url=self.host).api

    def up(self, *services: str, **options: Any) -> list[Member]:
        self.said.clear()
        return self.backend(*services).up(
            Options(services, **{"wait": 30.0, **options}), lambda *words: self.said.append(words)
        )

    def fails(self, *services: str, **options: Any) -> Failure:
        """Why it does not come up."""
        with pytest.raises(Failed) as failed:
            self.up(*services, **options)
        assert len(failed.value.failures) == 1, failed.value.failures
        return failed.value.failures[0]

    def changes(self, *services: str, **options: Any) -> list[Change]:
        return self.backend(*services).changes(Options(services, **options))

    def verbs(self, **options: Any) -> dict[str, str]:
        """What would happen to each service."""
        return {c.name: c.verb.value for c in self.changes(**options) if c.kind == "service"}

    def down(self, *, volumes: bool = False) -> list[Change]:
        return self.backend(whole=True).down(
            volumes=volumes, say=lambda *words: self.said.append(words)
        )

    def containers(self) -> dict[str, str]:
        """The ids of the project's containers by name."""
        rows = self.api.containers(all=True, filters={"label": f"{PROJECT}={self.name}"})
        return {row["Names"][0].lstrip("/"): row["Id"] for row in rows}

    def inspect(self, service: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.inspect_container(f"{self.name}-{service}-1")
        return found

    def exec(self, service: str, *command: str) -> str:
        api = self.api
        number = api.exec_create(f"{self.name}-{service}-1", list(command))["Id"]
        return bytes(api.exec_start(number)).decode()

    def compose(self, *words: str, program: Sequence[str] = ()) -> str:
        """What the real Compose does in the folder; all that it says."""
        done = subprocess.run(
            [*(program or [str(compose.COMPOSE)]), *words],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def remove(self) -> None:
        api, mine = self.api, {"label": f"{PROJECT}={self.name}"}
        for row in api.containers(all=True, filters=mine):
            with suppress(docker.errors.NotFound):
                api.remove_container(row["Id"], force=True, v=True)
        for network in api.networks(filters=mine):
            # A busy engine at times counts an endpoint that is gone; it goes when the engine ends.
            with suppress(docker.errors.APIError):
                api.remove_network(network["Id"])
        for volume in api.volumes(filters=mine)["Volumes"] or ():
            api.remove_volume(volume["Name"])
        for image in api.images(filters=mine):
            with suppress(docker.errors.ImageNotFound):
                api.remove_image(image["Id"], force=True)


@contextmanager
def stack(host: str, folder: Path) -> Iterator[Stack]:
    made = Stack(host, folder, f"sdt{os.getpid()}x{next(_numbers)}")
    try:
        yield made
    finally:
        made.remove()


def until(holds: Callable[[], object], limit: float = 15) -> None:
    deadline = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
