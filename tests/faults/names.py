"""Faults of names and addresses in the settings, with services that really listen."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest

from saas_doctor.facts import lookups
from tests.faults import Copy, Fault, Healthy, Inject, append
from tests.faults.services import STUB, everything_runs, of_age, stub
from tests.testbed.platforms import SERVICES
from tests.testbed.ports import listener, wait_for_port

ENV = "backend/.env"


@contextmanager
def registry_at(copy: Copy, host: str) -> Iterator[None]:
    """The registry, as it listens at another address."""
    folder, port = copy.path(SERVICES["registry"]), copy.ports["registry"]
    text = STUB.replace('"127.0.0.1"', repr(host))
    if ":" in host:
        text = text.replace("import json, pathlib,", "import json, pathlib, socket,")
        text = text.replace(
            "ThreadingHTTPServer.request",
            "ThreadingHTTPServer.address_family = socket.AF_INET6\nThreadingHTTPServer.request",
        )
    (folder / "serve.py").write_text(text)
    process = subprocess.Popen(
        [sys.executable, "serve.py", str(port), "{}"], cwd=folder, stdin=subprocess.DEVNULL
    )
    try:
        wait_for_port(port, {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host))
        yield
    finally:
        process.kill()
        process.wait()


def calls(
    url: str,
    listens: str = "127.0.0.1",
    *,
    names: Mapping[str, tuple[str, ...]] | None = None,
    stranger: str = "",
) -> Inject:
    """REGISTRY_URL says this (`PORT` is the registry's), which listens there; names are these."""

    @contextmanager
    def running(copy: Copy) -> Iterator[None]:
        port = copy.ports["registry"]
        file = copy.path(ENV)
        old = f"REGISTRY_URL=http://127.0.0.1:{port}"
        file.write_text(
            file.read_text().replace(old, f"REGISTRY_URL={url.replace('PORT', str(port))}")
        )
        configured = "".join(
            f'[services.{name}]\ndirectory = "{folder}"\nport = {copy.ports[name]}\n'
            f'port-variable = "{name.upper().replace("-", "_")}_PORT"\n'
            + (f'host = "{listens}"\n' if name == "registry" else "")
            for name, folder in SERVICES.items()
        )
        copy.path("saas-doctor.toml").write_text(configured)
        real = lookups.resolve
        with of_age(), registry_at(copy, listens), pytest.MonkeyPatch.context() as patch:
            patch.setattr(lookups, "resolve", lambda host: (names or {}).get(host) or real(host))
            if stranger:
                with listener(port, stranger):
                    yield
            else:
                yield

    return running


def other_variable(copy: Copy) -> None:
    append(ENV, f"CORE_API=http://127.0.0.2:{copy.ports['core']}/v1\n")(copy)


@contextmanager
def core_elsewhere(copy: Copy) -> Iterator[None]:
    other_variable(copy)
    with of_age(), stub(copy, "core", copy.ports["core"]):
        yield


def beside_everything(line: str) -> Inject:
    """All services run, and `.env` has one line more; `PORT` is core's."""

    @contextmanager
    def running(copy: Copy) -> Iterator[None]:
        append(ENV, line.replace("PORT", str(copy.ports["core"])) + "\n")(copy)
        with everything_runs(copy):
            yield

    return running


def reaches(key: str, service: str) -> Callable[[Copy], bool]:
    """Whether the host that a setting names takes a connection there."""

    def works(copy: Copy) -> bool:
        value = copy.path(ENV).read_text().partition(f"{key}=")[2].partition("\n")[0]
        host = value.partition("://")[2].rpartition(f":{copy.ports[service]}")[0].strip("[]")
        try:
            found = lookups.resolve(host)[0]
            with socket.create_connection((found, copy.ports[service]), timeout=2):
                return True
        except (OSError, IndexError):
            return False

    return works


REGISTRY = reaches("REGISTRY_URL", "registry")
# Nobody runs but the registry, and its stub knows no services.
ALSO = ("SVC701", "SVC703")
# Without settings, or where containers read them too, nothing leads past a service.
AGAINST = ("CFG901", "DOCK")


def leads(name: str, inject: Inject, **more: object) -> Fault:
    works = None if more.get("warning") else REGISTRY
    return Fault("NET408", name, inject, ALSO, works, left=ALSO, group="env", against=AGAINST)


ENTRIES = [
    leads("another loopback address", calls("http://127.0.0.2:PORT")),
    leads("localhost, and it listens at 127.0.0.3", calls("http://localhost:PORT", "127.0.0.3")),
    leads("IPv4, and it listens by IPv6 alone", calls("http://127.0.0.1:PORT/", "::1")),
    leads("IPv6, and it listens by IPv4 alone", calls("http://[::1]:PORT")),
    leads("a container's name", calls("http://registry:PORT")),
    leads(
        "localhost is another machine's in the table of hosts",
        calls("http://localhost:PORT", names={"localhost": ("127.0.1.1",)}),
    ),
    leads(
        "another program stands before it",
        calls("http://localhost:PORT", names={"localhost": ("::1", "127.0.0.1")}, stranger="::1"),
        warning=True,
    ),
    Fault(
        "NET408",
        "another service, by a variable of its own",
        core_elsewhere,
        ("SVC701", "SVC703"),
        reaches("CORE_API", "core"),
        left=ALSO,
        group="env",
        against=AGAINST,
    ),
    Healthy("NET408", "everything runs", everything_runs),
    Healthy("NET408", "nobody runs", other_variable),
    Healthy("NET408", "localhost", beside_everything("CORE_API=http://localhost:PORT")),
    Healthy("NET408", "an origin", beside_everything("ALLOWED_ORIGIN=http://127.0.0.2:PORT")),
    Healthy("NET408", "another port", beside_everything("CORE_API=http://127.0.0.2:1")),
    Healthy("NET408", "another machine", beside_everything("CORE_API=http://core.invalid:PORT")),
]
