"""The Postgres server that the platform means, where it is on this machine and does not run."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.brew import postgres_port, stopped_services
from saas_doctor.facts.database import Database
from saas_doctor.facts.database_login import Trouble
from saas_doctor.facts.database_start import published
from saas_doctor.facts.docker import WORKING_DIR, connect
from saas_doctor.model import Unreadable
from saas_doctor.platform import Platform


class Stopped(Struct, frozen=True):
    """A server that would listen where the address says.

    `container` is its container's identity, `cluster` Debian's version and name of it, `formula`
    Homebrew's name; one of them is there. `allowed`: whether this user may start it. `command`: how a person does.
    """

    words: str
    command: str
    allowed: bool
    container: str = ""
    cluster: tuple[str, str] | None = None
    formula: str = ""


class StoppedServers(Fact, frozen=True):
    """The servers that stand still, one of which is clearly the platform's.

    The compose file's own container counts first; where the compose file publishes that port, no
    other server is meant by it.
    """

    found: tuple[Stopped, ...]

    live = True
    limit = 9.0

    @classmethod
    def read(cls, database: Database, platform: Platform) -> StoppedServers:
        address = database.address
        if database.trouble is not Trouble.REFUSED or not address.is_local:
            return cls(())
        if any(port == address.port for _, port in published(platform)):
            return cls(tuple(_containers(platform, address.port)))
        return cls((*_clusters(address.port), *_brewed(address.port, platform)))

    @property
    def meant(self) -> Stopped | None:
        """The one; None where there is none, or several."""
        return self.found[0] if len(self.found) == 1 else None


def _clusters(port: int) -> Iterator[Stopped]:
    """Debian's clusters of that port, by its own list of them."""
    program = shutil.which("pg_lsclusters", path=f"{os.environ.get('PATH', os.defpath)}:/usr/bin")
    if program is None:
        return
    try:
        done = subprocess.run(
            [program, "--no-header"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=4,
            text=True,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return
    for line in done.stdout.splitlines():
        words = line.split()
        if len(words) > 5 and words[2] == str(port) and words[3] == "down":
            version, name, owner = words[0], words[1], words[4]
            yield Stopped(
                f"cluster {version}/{name}",
                f"sudo pg_ctlcluster {version} {name} start",
                os.geteuid() == 0 or owner == getpass.getuser(),
                cluster=(version, name),
            )


def _brewed(port: int, platform: Platform) -> Iterator[Stopped]:
    for formula in stopped_services(r"postgresql(@\d+)?", platform.environ):
        if postgres_port(formula, platform.environ) == port:
            command = f"brew services start {formula}"
            yield Stopped(f"Homebrew's {formula}", command, True, formula=formula)


def _containers(platform: Platform, port: int) -> Iterator[Stopped]:
    """The containers of the platform's own compose project that would publish that port."""
    import docker
    import requests

    file = platform.config.compose_file
    home = platform.path(file).parent.resolve() if file else platform.root
    try:
        client = connect(platform.environ)
    except Unreadable:
        return
    try:
        every = client.containers.list(all=True, filters={"label": WORKING_DIR})
        for container in every:
            if container.status not in ("exited", "created"):
                continue
            bindings = (container.attrs["HostConfig"].get("PortBindings") or {}).values()
            ports = {b["HostPort"] for some in bindings for b in some or []}
            folder = container.labels.get(WORKING_DIR, "")
            if str(port) in ports and Path(folder).resolve() == home:
                name = str(container.name)
                yield Stopped(
                    f"container {name}", f"docker start {name}", True, container=str(container.id)
                )
    except (docker.errors.DockerException, requests.RequestException, OSError, KeyError):
        return
    finally:
        client.close()
