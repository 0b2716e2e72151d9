"""Faults of the services' registration: the registry's list, and where it is looked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.faults import Copy, Fault, Healthy, Inject, replace
from tests.faults.services import everything_runs, of_age, stub
from tests.testbed.ports import free_port, listener

ENV = "backend/.env"
LIST = "api/registry/services"
NONE: Mapping[str, Any] = {}
Table = Callable[[Copy], object]


def lists(
    table: Table,
    *,
    runs: Sequence[str] = ("core",),
    aged: bool = True,
    answers: Mapping[str, Any] = NONE,
) -> Inject:
    """The registry and these services run, with these answers, and the registry has this list."""

    @contextmanager
    def running(copy: Copy) -> Iterator[None]:
        with ExitStack() as stack:
            if aged:
                stack.enter_context(of_age())
            answer = {LIST: [200, table(copy)]}
            stack.enter_context(stub(copy, "registry", copy.ports["registry"], **answer))
            for name in runs:
                stack.enter_context(stub(copy, name, copy.ports[name], **dict(answers)))
            yield

    return running


def url(copy: Copy, name: str, host: str = "127.0.0.1") -> str:
    return f"http://{host}:{copy.ports[name]}"


def core(copy: Copy) -> dict[str, Any]:
    return {"name": "core", "url": url(copy, "core")}


def core_and(*others: dict[str, Any]) -> Table:
    return lambda copy: [core(copy), *others]


def core_at(host: str) -> Table:
    return lambda copy: [{"name": "core", "url": url(copy, "core", host)}]


def core_there(address: str | int | None) -> Table:
    return lambda _: [{"name": "core", "url": address}]


def at_its_own_place(name: str) -> Table:
    return lambda copy: [core(copy), {"name": name, "url": url(copy, name)}]


def and_a_stranger_that_runs() -> Inject:
    """A plugin that no configuration knows answers at the address that the registry has."""
    port = free_port()
    listed = lists(core_and({"name": "guest", "url": f"http://localhost:{port}"}))

    @contextmanager
    def running(copy: Copy) -> Iterator[None]:
        inner = listed(copy)
        assert inner
        with listener(port), inner:
            yield

    return running


def looks_for(value: str, *names: str, shell: bool = False, keep: bool = False) -> Inject:
    """The registry and these services run, with this REGISTRY_URL; `{registry}` and so on are the ports.

    `shell`: in the environment that they are started from, and not in the file.
    """

    @contextmanager
    def running(copy: Copy) -> Iterator[None]:
        ports = {name.replace("-", "_"): port for name, port in copy.ports.items()}
        text = value.format(**ports)
        environ = dict(copy.environ)
        if shell:
            environ["REGISTRY_URL"] = text
        if not shell or keep:
            old = f"REGISTRY_URL=http://127.0.0.1:{copy.ports['registry']}\n"
            replace(ENV, old, f"REGISTRY_URL={'http://nowhere:1' if keep else text}\n")(copy)
        allowed = [200, ["http://localhost:5173", "http://localhost:3000"]]
        with ExitStack() as stack:
            stack.enter_context(of_age())
            answers: dict[str, Any] = {LIST: [200, [core(copy)]], "options": allowed}
            for name in names or ("registry", "core"):
                stack.enter_context(stub(copy, name, copy.ports[name], environ, **answers))
            yield

    return running


def stranger_in_its_place(copy: Copy) -> Any:
    port = free_port()

    @contextmanager
    def running() -> Iterator[None]:
        inner = looks_for(f"http://localhost:{port}")(copy)
        assert inner
        with listener(port), inner:
            yield

    return running()


DEAD = "http://127.0.0.1:9"
# They change the same line, or hold the same ports.
AGAINST = ("CFG90", "NET401")


def elsewhere(name: str, inject: Inject) -> Fault:
    """Mended in the file; the services are then still to be started again."""
    return Fault("SVC706", name, inject, left=("SVC703",), against=AGAINST, group="registry")


ENTRIES = [
    Fault(
        "SVC703",
        "registered another only",
        lists(lambda copy: [{"name": "demo-service", "url": url(copy, "demo-service")}]),
        fixed=False,
        target="core",
    ),
    Fault("SVC703", "an empty list", lists(lambda _: []), fixed=False, target="core"),
    Fault(
        "SVC703",
        "an empty list in an envelope",
        lists(lambda _: {"services": []}),
        fixed=False,
        target="core",
    ),
    Fault(
        "SVC703",
        "in another spelling than its code says",
        lists(lambda copy: [{**core(copy), "name": "Core"}]),
        fixed=False,
        target="core",
    ),
    Healthy("SVC703", "by its port", lists(lambda copy: [{**core(copy), "name": "users"}])),
    Healthy("SVC703", "a list of names", lists(lambda _: ["core"])),
    Healthy("SVC703", "started just now", lists(lambda _: [], aged=False)),
    Healthy("SVC703", "nobody registers", lists(lambda _: [], runs=())),
    Healthy("SVC703", "everything runs", everything_runs),
    Fault(
        "SVC704",
        "a plugin that has gone",
        lists(core_and({"name": "reports", "url": DEAD})),
        fixed=False,
        target="reports@127.0.0.1:9",
    ),
    Fault(
        "SVC704",
        "a second instance that has gone",
        lists(core_and({"name": "core", "url": DEAD})),
        fixed=False,
        target="core@127.0.0.1:9",
    ),
    Fault(
        "SVC704",
        "host and port apart",
        lists(core_and({"service_name": "reports", "host": "127.0.0.1", "port": 9})),
        fixed=False,
        target="reports@127.0.0.1:9",
    ),
    Fault(
        "SVC704",
        "by a name",
        lists(core_and({"name": "reports", "base_url": "http://localhost:9/v1"})),
        fixed=False,
        target="reports@localhost:9",
    ),
    Fault(
        "SVC704",
        "by IPv6",
        lists(core_and({"name": "reports", "url": "http://[::1]:9"})),
        fixed=False,
        target="reports@[::1]:9",
    ),
    Fault(
        "SVC704",
        "in a table by name",
        lists(lambda copy: {"services": {"core": core(copy), "reports": {"url": DEAD}}}),
        fixed=False,
        target="reports@127.0.0.1:9",
    ),
    Healthy("SVC704", "a plugin of somebody else", and_a_stranger_that_runs()),
    Healthy("SVC704", "one that is not running", lists(at_its_own_place("demo-service"))),
    Healthy("SVC704", "an entry without address", lists(core_and({"name": "reports"}))),
    Fault(
        "SVC705",
        "a plugin at no address",
        lists(core_and({"name": "x", "url": "http://a:b"})),
        fixed=False,
        target="x@http://a:b",
    ),
    Healthy("SVC704", "everything runs", everything_runs),
    Fault("SVC705", "all addresses", lists(core_at("0.0.0.0")), fixed=False),
    Fault(
        "SVC705",
        "the name of a container",
        lists(core_there("http://core.invalid:8002")),
        fixed=False,
        target="core@core.invalid:8002",
    ),
    Fault(
        "SVC705",
        "a port where it does not run",
        lists(core_there(DEAD)),
        fixed=False,
        target="core@127.0.0.1:9",
    ),
    Fault(
        "SVC705",
        "the registry's own address",
        lists(lambda copy: [{"name": "core", "url": url(copy, "registry")}]),
        fixed=False,
    ),
    Fault(
        "SVC705",
        "a plugin by a name of nowhere",
        lists(core_and({"name": "reports", "url": "http://reports.invalid:80"})),
        fixed=False,
        target="reports@reports.invalid:80",
    ),
    *(
        Fault("SVC705", name, lists(core_there(address)), fixed=False)
        for name, address in {
            "no address": None,
            "a number": 5,
            "half an address": "http://[::1",
            "a port that there is not": "http://127.0.0.1:99999",
        }.items()
    ),
    Fault(
        "SVC705",
        "by https, and it speaks http",
        lists(lambda copy: [{"name": "core", "url": url(copy, "core").replace("http", "https")}]),
        fixed=False,
    ),
    Fault(
        "SVC705",
        "a path that it does not have",
        lists(
            lambda copy: [{**core(copy), "url": url(copy, "core") + "/v1"}],
            answers={"openapi.json": [200, {"paths": {"/api/core/services": {}}}]},
        ),
        fixed=False,
    ),
    Healthy(
        "SVC705",
        "a path that it has",
        lists(
            lambda copy: [{**core(copy), "url": url(copy, "core") + "/v1/"}],
            answers={"openapi.json": [200, {"paths": {"/v1": {}}}]},
        ),
    ),
    Healthy("SVC705", "localhost", lists(core_at("localhost"))),
    Healthy(
        "SVC705",
        "with a path",
        lists(lambda copy: [{**core(copy), "url": url(copy, "core") + "/x"}]),
    ),
    Healthy(
        "SVC705",
        "without a scheme",
        lists(lambda copy: [{"name": "core", "url": f"127.0.0.1:{copy.ports['core']}"}]),
    ),
    Healthy("SVC705", "twice", lists(lambda copy: [core(copy), core(copy)])),
    Healthy("SVC705", "everything runs", everything_runs),
    elsewhere("the name of a container", looks_for("http://registry.invalid:8001")),
    elsewhere("a port where nothing is", looks_for("http://127.0.0.1:9")),
    elsewhere(
        "the gateway", looks_for("http://localhost:{gateway}", "registry", "core", "gateway")
    ),
    elsewhere("https", looks_for("https://127.0.0.1:{registry}/")),
    elsewhere("another program", stranger_in_its_place),
    elsewhere(
        "the plugin too",
        looks_for("http://registry.invalid:8001", "registry", "core", "demo-service"),
    ),
    elsewhere("only the gateway", looks_for("http://127.0.0.1:9", "registry", "gateway")),
    Fault(
        "SVC706",
        "in the shell it was started from",
        looks_for("http://registry.invalid:8001", shell=True),
        fixed=False,
    ),
    Healthy("SVC706", "by a name", looks_for("http://localhost:{registry}")),
    Healthy("SVC706", "with a slash", looks_for("http://127.0.0.1:{registry}/")),
    Healthy("SVC706", "in quotes", looks_for("'http://127.0.0.1:{registry}'")),
    Healthy(
        "SVC706",
        "another in the file than in the shell",
        looks_for("http://127.0.0.1:{registry}", shell=True, keep=True),
    ),
    Healthy("SVC706", "everything runs", everything_runs),
]
