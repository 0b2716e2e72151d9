"""The registry's list and REGISTRY_URL as they look from where a service runs: this machine, a container."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec.structs import replace

from saas_doctor import platform as platforms
from saas_doctor import runner
from saas_doctor.facts.containers import Containers, OwnContainer
from saas_doctor.facts.docker import PROJECT, SERVICE, WORKING_DIR, certainly_none
from saas_doctor.facts.registry_calls import path_of
from saas_doctor.facts.ways import Caller, Way, is_loopback, way
from saas_doctor.model import Report, Status
from saas_doctor.runner import Selection
from tests.faults import Copy
from tests.testbed.engine import IMAGE, LABEL
from tests.testbed.ports import free_port, wait_for_port

MakeCopy = Callable[..., Copy]


def container(service: str, *ports: int, network: str = "app", **rest: Any) -> OwnContainer:
    found = OwnContainer(
        identity=service * 3,
        name=f"app-{service}-1",
        service=service,
        state="running",
        exit_code=0,
        changed=0.0,
        environment={},
        networks={network: frozenset({service, f"app-{service}-1"})},
        network_mode=network,
        hosts=frozenset(),
        listens=frozenset(ports),
        published={},
    )
    return replace(found, **rest)


def among(*found: OwnContainer) -> Containers:
    running = [c for c in found if c.runs]
    return cast(Containers, SimpleNamespace(all=list(found), running=running))


GATEWAY = container("gateway", 8000)


@pytest.mark.parametrize(
    ("host", "port", "others", "wanted"),
    [
        ("core", 8002, [container("core", 8002)], Way.OPEN),
        ("app-core-1", 8002, [container("core", 8002)], Way.OPEN),
        ("core", 9, [container("core")], Way.OPEN),
        ("core", 18002, [container("core", 8002, published={18002: 8002})], Way.WRONG_PORT),
        ("core", 9, [container("core", 8002)], Way.UNTOLD),
        ("core", 8002, [container("core", 8002, network="back")], Way.APART),
        ("core", 8002, [container("core", 8002, state="exited")], Way.REFUSED),
        ("core", 8002, [], Way.NO_NAME),
        ("core.example.com", 80, [], Way.UNTOLD),
        ("host.docker.internal", 8002, [], Way.UNTOLD),
        ("172.17.0.9", 8002, [], Way.UNTOLD),
        ("fd00::9", 8002, [], Way.UNTOLD),
        ("localhost", 8002, [container("core", 8002)], Way.ITSELF),
        ("127.0.0.1", 8002, [container("core", 8002)], Way.ITSELF),
        ("::1", 8002, [], Way.ITSELF),
        ("localhost", 8000, [], Way.UNTOLD),
        ("0.0.0.0", 8002, [container("core", 8002)], Way.WILDCARD),
    ],
)
def test_a_call_from_a_container_ends_where_dockers_names_lead(
    host: str, port: int, others: list[OwnContainer], wanted: Way
) -> None:
    assert way(host, port, Caller("gateway", GATEWAY), among(GATEWAY, *others)) is wanted


def test_a_name_of_extra_hosts_can_not_be_told_from_here() -> None:
    own = replace(GATEWAY, hosts=frozenset({"core"}))
    assert way("core", 8002, Caller("gateway", own), among(own)) is Way.UNTOLD


def test_a_container_in_the_machines_network_calls_as_the_machine_does() -> None:
    own = Caller("gateway", replace(GATEWAY, network_mode="host"))
    assert own.on_the_host
    assert way("127.0.0.1", 9, own, among(GATEWAY)) is Way.REFUSED
    assert way("core.invalid", 9, own, among(GATEWAY)) is Way.NO_NAME


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("x.localhost", True),
        ("127.3.2.1", True),
        ("::1", True),
        ("core", False),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
    ],
)
def test_what_means_the_caller_itself_is_known(host: str, wanted: bool) -> None:
    assert is_loopback(host) is wanted


@pytest.mark.parametrize(
    ("url", "path"),
    [("http://a:1", ""), ("http://a:1/", "/"), ("HTTP://a/x/y?z=1", "/x/y?z=1")],
)
def test_the_path_of_an_address_stays(url: str, path: str) -> None:
    assert path_of(url) == path


# With a real engine.


class Composed:
    """Containers of one compose project, with names in a network of their own."""

    def __init__(self, client: Any, copy: Copy) -> None:
        self.client, self.copy = client, copy
        self.network = client.networks.create(f"sd-{uuid.uuid4().hex[:8]}", labels={LABEL: "1"})
        self.made: list[Any] = []

    def labels(self, service: str) -> dict[str, str]:
        return {
            LABEL: "1",
            PROJECT: "own",
            SERVICE: service,
            WORKING_DIR: str(self.copy.root),
        }

    def run(self, service: str, port: int, listed: object = None, **environment: str) -> None:
        """A service that answers at a port inside, published at the service's own."""
        text = json.dumps(listed).replace("'", "")
        script = (
            "busybox mkdir -p /w/api/registry; "
            f"echo '{text}' > /w/api/registry/services; httpd -f -p {port} -h /w"
        )
        made = self.client.containers.create(
            IMAGE,
            ["sh", "-c", script],
            labels=self.labels(service),
            environment=environment,
            ports={f"{port}/tcp": ("127.0.0.1", self.copy.ports[service])},
        )
        self.made.append(made)
        self.network.connect(made, aliases=[service])
        made.start()
        wait_for_port(self.copy.ports[service])

    def ends_with(self, service: str, *lines: str) -> None:
        """A container of this service that wrote this and ended with 1."""
        script = "".join(f"echo '{line}' >&2; " for line in lines) + "exit 1"
        made = self.client.containers.run(
            IMAGE, ["sh", "-c", script], labels=self.labels(service), detach=True
        )
        self.made.append(made)
        made.wait(timeout=20)

    def close(self) -> None:
        for made in self.made:
            made.remove(force=True)
        self.network.remove()


@pytest.fixture
def composed(docker_engine: str, make_copy: MakeCopy) -> Iterator[Composed]:
    import docker

    copy = make_copy(own=False)
    copy.environ["DOCKER_HOST"] = docker_engine
    client = docker.DockerClient(base_url=docker_engine)
    project = Composed(client, copy)
    yield project
    project.close()
    client.close()


@contextmanager
def of_age() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("saas_doctor.facts.ports.JUST_STARTED", 0.0)
        yield


def examine(copy: Copy, *select: str) -> Report:
    platform = platforms.load(copy.root, exact=True, environ=copy.environ)
    with of_age():
        return runner.run(platform, Selection(select), timeout=20)


def said(report: Report, code: str) -> list[str]:
    (result,) = [r for r in report.results if r.code == code]
    assert result.status in (Status.OK, Status.FAILED), (result.status, result.reason)
    return [f.message for f in result.findings]


def core_at(address: str) -> list[dict[str, str]]:
    return [{"name": "core", "url": address}]


@pytest.mark.xdist_group("docker")
def test_localhost_in_a_container_is_that_container(composed: Composed) -> None:
    composed.run("registry", 8001, core_at("http://localhost:8002"))
    composed.run("gateway", 8000)
    composed.run("core", 8002, REGISTRY_URL="http://localhost:8001")
    report = examine(composed.copy, "SVC")
    assert said(report, "SVC705") == [
        "core is registered at localhost:8002, which in the gateway's container is that container "
        "itself"
    ]
    (looks,) = said(report, "SVC706")
    assert looks == (
        "core looks for the registry at http://localhost:8001: the caller's own container"
    )
    assert said(report, "SVC704") == []


@pytest.mark.xdist_group("docker")
def test_names_and_ports_inside_of_the_network_are_right_between_containers(
    composed: Composed,
) -> None:
    composed.run("registry", 8001, core_at("http://core:8002"))
    composed.run("gateway", 8000, REGISTRY_URL="http://registry:8001")
    composed.run("core", 8002, REGISTRY_URL="http://registry:8001")
    report = examine(composed.copy, "SVC")
    for code in ("SVC703", "SVC704", "SVC705", "SVC706"):
        assert said(report, code) == []


@pytest.mark.xdist_group("docker")
def test_a_published_port_is_none_of_the_containers(composed: Composed) -> None:
    ports = composed.copy.ports
    composed.run("registry", 8001, core_at(f"http://core:{ports['core']}"))
    composed.run("gateway", 8000)
    composed.run("core", 8002, REGISTRY_URL=f"http://registry:{ports['registry']}")
    report = examine(composed.copy, "SVC")
    assert "the port that is published" in said(report, "SVC705")[0]
    assert "a container that has no such port" in said(report, "SVC706")[0]


@pytest.mark.xdist_group("docker")
def test_a_service_whose_container_ended_is_told_with_what_it_wrote(composed: Composed) -> None:
    composed.ends_with(
        "core",
        "Traceback (most recent call last):",
        '  File "/app/core/main.py", line 3, in <module>',
        'ModuleNotFoundError: No module named "jose"',
    )
    (finding,) = [f for f in examine(composed.copy, "SVC701").findings if f.target == "core"]
    assert "ModuleNotFoundError" in finding.message
    assert "exited (1)" in finding.found
    assert finding.evidence["log"].startswith("docker logs ")
    assert finding.next_step == "saas-doctor up core (by hand: docker compose up -d core)"


@pytest.mark.xdist_group("docker")
def test_a_container_that_failed_is_told_once(composed: Composed) -> None:
    for service in composed.copy.ports:
        composed.ends_with(service, "ValueError: x")
    report = examine(composed.copy, "SVC701", "DOCK624")
    assert {f.code for f in report.findings} == {"DOCK624"}
    (running,) = [r for r in report.results if r.code == "SVC701"]
    assert (running.status, running.blocked_by) == (Status.BLOCKED, "DOCK624")


@pytest.mark.xdist_group("docker")
def test_the_engine_is_asked_by_a_small_request_whether_there_are_containers_of_compose(
    composed: Composed,
) -> None:
    environ = composed.copy.environ
    assert certainly_none(environ, f"saas-doctor-nothing={free_port()}")
    composed.ends_with("core", "nothing")
    assert not certainly_none(environ, WORKING_DIR)
    assert not certainly_none({"DOCKER_HOST": "tcp://127.0.0.1:9"}, "saas-doctor-nothing")
    assert not certainly_none({"DOCKER_HOST": "unix:///nonexistent"}, "saas-doctor-nothing")
