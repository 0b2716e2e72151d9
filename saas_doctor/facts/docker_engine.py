"""The Docker engine: whether it answers, what it says of itself, and whether the platform waits for it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from contextlib import closing
from enum import Enum
from functools import cached_property
from typing import Any

from msgspec import Struct

from saas_doctor.facts import Fact, Facts
from saas_doctor.facts.database import Database
from saas_doctor.facts.database_login import Trouble as Login
from saas_doctor.facts.database_start import published
from saas_doctor.facts.docker import NoEngine, connect
from saas_doctor.facts.docker_socket import ask, socket_of
from saas_doctor.model import Absent, Unreadable
from saas_doctor.platform import Platform

_TIMED_OUT = re.compile(r"timed out", re.I)
_DENIED = re.compile(r"permission denied", re.I)


class Trouble(str, Enum):
    """Why no engine answers."""

    ABSENT = "not installed"
    STOPPED = "stopped"
    DENIED = "not permitted"
    SILENT = "silent"


class DockerEngine(Fact, frozen=True):
    """How the Docker engine that this environment names answers.

    `where` is the address that was tried, `cause` what came of it. `named`: whether DOCKER_HOST
    asks for it.
    """

    platform: Platform
    where: str
    named: bool = False
    trouble: Trouble | None = None
    cause: str = ""
    version: str = ""
    api: tuple[int, int] = (0, 0)

    live = True
    limit = 6.0

    @classmethod
    def read(cls, platform: Platform) -> DockerEngine:
        if platform.config.compose_file is None:
            raise Absent("no compose file")
        environ = platform.environ
        host = environ.get("DOCKER_HOST", "")
        where, named = f"DOCKER_HOST={host}" if host else "", bool(host)
        try:
            found = answer(environ, "/version")
        except NoEngine:
            there = _is_installed(environ)
            trouble = Trouble.STOPPED if there else Trouble.ABSENT
            return cls(platform, "/var/run/docker.sock", named, trouble, "no such socket")
        except (OSError, Unreadable) as error:
            where = where or str(socket_of(environ) or "the engine's usual address")
            return cls(platform, where, named, *_told(error))
        where = where or str(socket_of(environ) or "")
        api = tuple(
            int(part) for part in str(found.get("ApiVersion", "")).split(".") if part.isdigit()
        )
        if len(api) != 2:
            return cls(platform, where, named, Trouble.SILENT, "what answers is no Docker engine")
        return cls(
            platform, where, named, None, "", str(found.get("Version", "")), (api[0], api[1])
        )

    def require(self) -> None:
        """Raises Absent where no engine answers: another check tells so."""
        if self.trouble:
            raise Absent(f"no Docker engine answers ({self.trouble.value})")

    @cached_property
    def disk(self) -> Disk | None:
        """The disk of this machine that its images and containers lie on.

        None where that is another machine's (a virtual one of Docker Desktop). Raises Unreadable.
        """
        try:
            info = answer(self.platform.environ, "/info")
        except OSError as error:
            raise Unreadable(f"the Docker engine does not answer ({error})") from None
        folder = str(info.get("DockerRootDir") or "")
        beyond = "Desktop" in str(info.get("OperatingSystem", "")) or not socket_of(
            self.platform.environ
        )
        if beyond or not os.path.isabs(folder):
            return None
        try:
            usage = shutil.disk_usage(folder)
        except OSError:
            return None  # in a machine of its own, or closed to this user
        return Disk(folder, usage.total, usage.free)

    @cached_property
    def cache(self) -> int:
        """Bytes that its builder keeps and nothing uses now; -1 where it does not tell in time."""
        try:
            found = answer(self.platform.environ, "/system/df?type=build-cache", 5.0)
        except (OSError, Unreadable):
            return -1
        kept = found.get("BuildCache") or ()
        return sum(int(one.get("Size") or 0) for one in kept if not one.get("InUse"))


class Disk(Struct, frozen=True):
    """A disk, in bytes; `folder` is the engine's on it."""

    folder: str
    total: int
    free: int

    @property
    def is_nearly_full(self) -> bool:
        """Whether a build, or a database, is about to fail there."""
        return self.free < 1_500_000_000 or (
            self.free < 0.05 * self.total and self.free < 5_000_000_000
        )


class DockerNeed(Fact, frozen=True):
    """What of the platform waits for the Docker engine; looked for when it is asked."""

    facts: Facts

    live = True

    @classmethod
    def read(cls, facts: Facts) -> DockerNeed:
        return cls(facts)

    def require(self, engine: DockerEngine) -> str:
        """Why the engine that does not answer is needed; raises Absent where nothing says that it is.

        It is where DOCKER_HOST names it, or where the database's address is that of a container of
        the Compose file and nobody answers there. What runs without Docker needs none.
        """
        if engine.named:
            return engine.where
        try:
            database = self.facts.get(Database)
        except (Absent, Unreadable):
            database = None
        if database and database.trouble is Login.REFUSED and database.address.is_local:
            for service, port in published(engine.platform):
                if port == database.address.port:
                    return f"{database.address.variable} names {service} of the Compose file, and nothing answers there"
        raise Absent(f"nothing of the platform waits for the Docker engine ({engine.cause})")


def answer(environ: Mapping[str, str], question: str, limit: float = 3.0) -> Mapping[str, Any]:
    """What the engine answers to `GET question`; raises OSError or Unreadable (NoEngine)."""
    path = socket_of(environ)
    if path is not None:
        status, found = ask(path, question, limit)
        if status != 200 or not isinstance(found, dict):
            raise OSError(f"status {status}")
        return found
    with closing(connect(environ)) as client:
        import docker
        import requests

        asked = {"/version": client.version, "/info": client.info, "/system/df": client.df}
        try:
            told: Mapping[str, Any] = asked[question.partition("?")[0]]()
        except (docker.errors.DockerException, requests.RequestException) as error:
            raise OSError(str(error)) from None
    return told


def _is_installed(environ: Mapping[str, str]) -> bool:
    path = environ.get("PATH")
    return any(shutil.which(name, path=path) for name in ("dockerd", "docker", "com.docker.cli"))


def _told(error: Exception) -> tuple[Trouble, str]:
    text = str(error)
    if isinstance(error, PermissionError) or _DENIED.search(text):
        return Trouble.DENIED, "permission denied"
    if isinstance(error, TimeoutError) or _TIMED_OUT.search(text):
        return Trouble.SILENT, "no answer in time"
    if isinstance(error, FileNotFoundError) or "FileNotFound" in text:
        return Trouble.STOPPED, "no such socket"
    if isinstance(error, ConnectionError) or "refused" in text.lower():
        return Trouble.STOPPED, "connection refused"
    return Trouble.STOPPED, (getattr(error, "strerror", "") or text).partition("\n")[0][:160]
