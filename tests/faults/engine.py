"""Faults of the Docker engine itself: not there, not permitted, too old, its disk full."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from tests.faults import Copy, Fault, Healthy, Inject, setenv
from tests.faults.docker import service
from tests.testbed import sockets
from tests.testbed.ports import free_port

VERSION = {"Version": "20.10.24", "ApiVersion": "1.41"}
NEW = {"Version": "28.2.2", "ApiVersion": "1.50"}


def named(socket: Callable[[], AbstractContextManager[Path]]) -> Inject:
    """DOCKER_HOST names a socket that is so."""

    @contextmanager
    def stands(copy: Copy) -> Iterator[None]:
        with socket() as path:
            copy.environ["DOCKER_HOST"] = f"unix://{path}"
            yield

    return stands


def usual(socket: Callable[[], AbstractContextManager[Path]]) -> Inject:
    """The socket where a rootless engine would listen is so, and nothing asks for it."""

    @contextmanager
    def stands(copy: Copy) -> Iterator[None]:
        with socket() as path:
            copy.environ["XDG_RUNTIME_DIR"] = str(path.parent)
            yield

    return stands


def says(version: dict[str, str], **answers: Any) -> Inject:
    """An engine that is of this version, and gives these answers."""
    paths = {f"/{name.replace('_', '/')}": answer for name, answer in answers.items()}
    given = {"/version": version, "/containers/json": [], **paths}
    return named(lambda: sockets.answering(given))


def and_file(inject: Inject, more: str) -> Inject:
    """With a further service in the Compose file."""

    @contextmanager
    def stands(copy: Copy) -> Iterator[None]:
        service(more)(copy)
        running = inject(copy)
        assert running is not None
        with running:
            yield

    return stands


def disk(size: str, used: int = 0, **info: str) -> Inject:
    """An engine whose folder lies on a disk of this size (of `mount`), with so many bytes used."""

    @contextmanager
    def stands(copy: Copy) -> Iterator[None]:
        place = copy.root.parent / "disk"
        place.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "sd-test", str(place)]
        subprocess.run(mount, check=True)
        try:
            (place / "used").write_bytes(bytes(used))
            answers = {"DockerRootDir": str(place), "OperatingSystem": "Debian", **info}
            cache = [{"Size": 700_000_000, "InUse": False}, {"Size": 5, "InUse": True}]
            running = says(VERSION, info=answers, system_df={"BuildCache": cache})(copy)
            assert running is not None
            with running:
                yield
        finally:
            subprocess.run(["umount", "--lazy", str(place)], check=True)

    return stands


SLOW = (
    "  slow:\n    image: example.com/slow:1\n    healthcheck:\n"
    '      test: [CMD, "true"]\n      start_period: 30s\n      start_interval: 1s\n'
)
HOST = '  caller:\n    image: example.com/caller:1\n    extra_hosts: ["host.docker.internal:host-gateway"]\n'
SUBPATH = (
    "  part:\n    image: example.com/part:1\n    volumes:\n      - type: volume\n"
    "        source: postgres_data\n        target: /data\n        volume: { subpath: part }\n"
)
ENTRIES = [
    Fault(
        "DOCK620",
        "DOCKER_HOST names nothing",
        setenv(DOCKER_HOST="unix:///nonexistent/docker.sock"),
        fixed=False,
        target="DOCKER_HOST=unix:///nonexistent/docker.sock",
    ),
    Fault("DOCK620", "the engine has left its socket", named(sockets.left_behind), fixed=False),
    Fault(
        "DOCK620",
        "nobody listens at its port",
        lambda copy: copy.environ.update(DOCKER_HOST=f"tcp://127.0.0.1:{free_port()}"),
        fixed=False,
    ),
    Fault(
        "DOCK620",
        "something else answers there",
        named(lambda: sockets.answering({"/": {"hello": "world"}})),
        fixed=False,
    ),
    Healthy("DOCK620", "an engine that stands still and nobody needs", usual(sockets.left_behind)),
    Fault("DOCK621", "the socket is closed", named(sockets.closed), fixed=False),
    Healthy("DOCK621", "a closed engine that nobody needs", usual(sockets.closed)),
    Fault(
        "DOCK622",
        "start_interval",
        and_file(says(VERSION), SLOW),
        fixed=False,
        target="slow `healthcheck.start_interval`",
    ),
    Fault(
        "DOCK622",
        "a part of a volume",
        and_file(says(VERSION), SUBPATH),
        fixed=False,
        target="part `volume.subpath`",
    ),
    Fault(
        "DOCK622",
        "host-gateway",
        and_file(says({"Version": "19.03.15", "ApiVersion": "1.40"}), HOST),
        fixed=False,
        target="caller the address `host-gateway`",
    ),
    Healthy("DOCK622", "a new engine", and_file(says(NEW), SLOW)),
    Healthy("DOCK622", "host-gateway", and_file(says(VERSION), HOST)),
    Healthy(
        "DOCK622", "a profile's service", and_file(says(VERSION), SLOW + "    profiles: [slow]\n")
    ),
    Fault("DOCK623", "a small disk", disk("50m"), fixed=False),
    Healthy("DOCK623", "a large disk", disk("9g")),
    Healthy("DOCK623", "a disk of Docker Desktop", disk("50m", OperatingSystem="Docker Desktop")),
]
