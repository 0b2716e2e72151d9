"""Faults of ports."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults import Copy, Fault, Healthy
from tests.faults.services import everything_runs, of_age, stub
from tests.testbed.ports import free_port, listener


@contextmanager
def foreign(copy: Copy) -> Iterator[None]:
    with listener(copy.ports["core"]):
        yield


@contextmanager
def foreign_everywhere(copy: Copy) -> Iterator[None]:
    with listener(copy.ports["core"], "0.0.0.0"):
        yield


@contextmanager
def foreign_in_the_platform(copy: Copy) -> Iterator[None]:
    with listener(copy.ports["gateway"], cwd=copy.root):
        yield


@contextmanager
def core_on_the_registry(copy: Copy) -> Iterator[None]:
    with stub(copy, "core", copy.ports["registry"]):
        yield


@contextmanager
def suspended(copy: Copy) -> Iterator[None]:
    """As after Ctrl-Z: the system still takes connections for it."""
    with of_age(), stub(copy, "core", copy.ports["core"]) as process:
        os.kill(process.pid, signal.SIGSTOP)
        yield


@contextmanager
def other_ip_version(copy: Copy) -> Iterator[None]:
    with listener(copy.ports["core"], "::1"):
        yield


@contextmanager
def other_port(copy: Copy) -> Iterator[None]:  # noqa: ARG001
    with listener(free_port()):
        yield


@contextmanager
def in_time_wait(copy: Copy) -> Iterator[None]:
    """A server that closed a connection itself has just ended."""
    with socket.create_server(("127.0.0.1", copy.ports["core"])) as server:
        caller = socket.create_connection(("127.0.0.1", copy.ports["core"]))
        accepted, _ = server.accept()
        accepted.close()
        caller.close()
    yield


def core_port_is_free(copy: Copy) -> bool:
    return _free(copy.ports["core"])


def registry_port_is_free(copy: Copy) -> bool:
    return _free(copy.ports["registry"])


def _free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


# The ports of these stand in the settings file, as other faults do.
ENVIRONMENT = "env"

ENTRIES = [
    Fault("NET401", "another program", foreign, fixed=False),
    Fault("NET401", "another program on every address", foreign_everywhere, fixed=False),
    Fault(
        "NET401",
        "another program in the platform's folder",
        foreign_in_the_platform,
        fixed=False,
    ),
    Fault(
        "NET401",
        "core on the registry's port",
        core_on_the_registry,
        works=registry_port_is_free,
        group=ENVIRONMENT,
    ),
    Fault(
        "NET401",
        "core suspended",
        suspended,
        works=core_port_is_free,
        group=ENVIRONMENT,
    ),
    Healthy("NET401", "everything runs", everything_runs),
    Healthy("NET401", "another program on the other IP version", other_ip_version),
    Healthy("NET401", "another program on another port", other_port),
    Healthy("NET401", "a socket in TIME_WAIT", in_time_wait),
]
