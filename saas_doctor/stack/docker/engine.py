"""The Docker engine that this environment names: how it is reached, and why it is not."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from saas_doctor.facts.docker import places
from saas_doctor.facts.docker_socket import sockets
from saas_doctor.model import DoctorError
from saas_doctor.redact import redact

_TIMEOUT = 120
"""Seconds for one answer of the engine; `stop` adds its grace period by itself."""


class Engine:
    """The engine; each thread gets a client of its own, since one is not for several at once."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._local = threading.local()
        self._variables: dict[str, str] | None = None
        self._version = "auto"
        self._lock = threading.Lock()

    @property
    def api(self) -> Any:
        """This thread's `docker.APIClient`; raises DoctorError where the engine can't be reached."""
        client = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = self._connected()
        return client

    def connect(self) -> None:
        """Raises DoctorError where no engine answers."""
        self.api  # noqa: B018 - it asks for the engine's version

    def _connected(self) -> Any:
        import docker

        with self._lock:
            if self._variables is None:
                self._variables, self._version = _reached(self._environ)
        return docker.from_env(
            environment=self._variables, timeout=_TIMEOUT, version=self._version
        ).api

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment in which Docker's own command reaches the same engine."""
        self.connect()
        return {**self._environ, **(self._variables or {})}

    @property
    def proxies(self) -> Mapping[str, str]:
        """The proxy variables that the Docker client's configuration gives to every container."""
        found: Mapping[str, str] = self.api._proxy_configs.get_environment()
        return found

    @property
    def is_here(self) -> bool:
        """Whether the engine runs on this machine, so that its ports are this machine's."""
        import docker.utils.utils as utils

        base: str = self.api.base_url
        host = utils.parse_host((self._variables or {}).get("DOCKER_HOST", ""))
        return (
            base in ("http+docker://localhost", "http+docker://localnpipe")
            or "localhost" in host
            or "127.0.0.1" in host
        )


@contextmanager
def answering(doing: Callable[[], str] = lambda: "") -> Iterator[None]:
    """What the engine refuses, or its end in the midst of it, is a DoctorError: one sentence.

    `doing` tells what was being done then (`app was being built`).
    """
    import docker
    import requests
    import urllib3

    try:
        yield
    except docker.errors.APIError as error:
        text = redact((error.explanation or str(error)).strip())
        raise DoctorError(f"the Docker engine refuses: {text}") from None
    except (
        docker.errors.DockerException,
        requests.RequestException,
        urllib3.exceptions.HTTPError,  # in the midst of a long answer
    ) as error:
        meanwhile = f" while {words}" if (words := doing()) else ""
        raise DoctorError(
            f"the Docker engine does not answer any more ({_cause(str(error))}){meanwhile}: "
            "see whether it runs (docker info), and do it again"
        ) from None


def _reached(environ: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """The variables that lead to an engine that answers, and the version that it speaks."""
    import docker

    problem: Exception | None = None
    for variables in places(environ):
        try:
            client = docker.from_env(environment=variables, timeout=10, version="auto")
        except (docker.errors.DockerException, OSError, ValueError) as error:
            problem = problem or error
            continue
        version = client.api.api_version
        client.close()
        return variables, version
    raise DoctorError(_told(environ, problem))


def _told(environ: Mapping[str, str], problem: Exception | None) -> str:
    """Why no engine answers, and what to do about it."""
    import docker

    text = str(problem)
    host = environ.get("DOCKER_HOST", "")
    if isinstance(problem, docker.errors.TLSParameterError) or "certificate" in text.lower():
        where = environ.get("DOCKER_CERT_PATH") or "unset"
        return (
            f"Docker is asked for TLS and its certificates can't be used (DOCKER_CERT_PATH is {where}): "
            f"put ca.pem, cert.pem and key.pem there, or unset DOCKER_TLS_VERIFY and DOCKER_CERT_PATH"
        )
    if "PermissionError" in text or "Permission denied" in text:
        return (
            f"the Docker engine is there ({host or sockets(environ)[0]}), and this user may not talk to it: "
            f"sudo usermod -aG docker {environ.get('USER') or '$USER'}, log in again"
        )
    if host:
        return (
            f"no Docker engine answers at DOCKER_HOST={host} ({_cause(text)}): "
            f"start it, or correct or unset DOCKER_HOST"
        )
    if "ConnectionRefused" in text or "Connection refused" in text:
        socket = next((s for s in sockets(environ) if s.exists()), sockets(environ)[0])
        return (
            f"the Docker engine has ended and left its socket ({socket}): {_start()} "
            f"(its log: journalctl -u docker)"
        )
    path = environ.get("PATH")
    if shutil.which("dockerd", path=path) or shutil.which("docker", path=path):
        return f"Docker is installed, and its engine does not run (no {sockets(environ)[0]}): {_start()}"
    return "Docker is not installed here: install it (https://docs.docker.com/get-docker)"


def _cause(text: str) -> str:
    for mark, words in (
        ("ConnectionRefused", "connection refused"),
        ("Connection refused", "connection refused"),
        ("FileNotFound", "no such socket"),
        ("No such file", "no such socket"),
        ("Name or service not known", "no such host"),
        ("getaddrinfo", "no such host"),
        ("timed out", "timed out"),
        ("Invalid bind address", "no address that Docker knows"),
        ("URLComponents", "no address that Docker knows"),
        ("Connection broken", "it has ended"),
        ("Connection aborted", "it has ended"),
    ):
        if mark in text:
            return words
    return text.partition("\n")[0][:160]


def _start() -> str:
    if sys.platform == "darwin" or os.name == "nt":
        return "start Docker Desktop"
    return "sudo systemctl start docker"
