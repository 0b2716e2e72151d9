"""Faults of ports: real listeners, and a copy of the platform that meets them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path

import psutil
import pytest

from saas_doctor.facts import bindable
from tests.faults import Copy, Fault, Healthy, Inject, append, replace, write
from tests.faults.services import STUB, everything_runs, of_age, stub
from tests.testbed import platforms
from tests.testbed.platforms import SERVICES
from tests.testbed.ports import free_port, listener, wait_for_port

ENV = "backend/.env"
VITE = "frontend/vite.config.js"
COMPOSE = "docker-compose.yml"
Running = AbstractContextManager[None]


def after(change: Inject, then: Inject) -> Inject:
    """A change of the files, and then something that runs."""

    @contextmanager
    def running(copy: Copy) -> Iterator[None]:
        assert change(copy) is None
        with then(copy) or nullcontext():
            yield

    return running


# Who holds it.


def foreign(service: str, host: str = "127.0.0.1", *, inside: bool = False) -> Inject:
    """Another program at a service's port; `inside` the platform's folder."""

    @contextmanager
    def running(copy: Copy) -> Iterator[None]:
        with listener(copy.ports[service], host, cwd=copy.root if inside else None):
            yield

    return running


def says_nothing(*, other_user: bool = False) -> Inject:
    """A program that takes connections, and no more; another user's where the tests are root's."""
    becomes = "os.setuid(65534); " if other_user and os.geteuid() == 0 else ""
    code = (
        "import os, socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); "
    )

    @contextmanager
    def running(copy: Copy) -> Iterator[None]:
        port = copy.ports["core"]
        words = [sys.executable, "-c", f"{code}{becomes}time.sleep(600)", str(port)]
        process = subprocess.Popen(words, cwd="/")
        try:
            wait_for_port(port)
            yield
        finally:
            process.kill()
            process.wait()

    return running


@contextmanager
def served_from(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server that is started as a service is, from this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "serve.py").write_text(STUB)
    process = subprocess.Popen(
        [sys.executable, "serve.py", str(port), "{}"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_port(port)
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def another_checkout(copy: Copy) -> Iterator[None]:
    other = copy.root.with_name(f"{copy.root.name}-old")
    platforms.copy_files(other)
    with served_from(other / SERVICES["core"], copy.ports["core"]):
        yield
    shutil.rmtree(other)


@contextmanager
def removed_checkout(copy: Copy) -> Iterator[None]:
    other = copy.root.with_name(f"{copy.root.name}-gone")
    platforms.copy_files(other)
    with served_from(other / SERVICES["core"], copy.ports["core"]):
        shutil.rmtree(other)
        yield


@contextmanager
def another_project(copy: Copy) -> Iterator[None]:
    """A service of the same name, of a platform that is another."""
    other = copy.root.with_name(f"{copy.root.name}-other")
    with served_from(other / "core", copy.ports["core"]):
        yield
    shutil.rmtree(other)


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
def folder_made_anew(copy: Copy) -> Iterator[None]:
    """The service runs, and its folder was removed and checked out again."""
    folder, kept = copy.path(SERVICES["core"]), copy.root.with_name(f"{copy.root.name}-kept")
    with of_age(), stub(copy, "core", copy.ports["core"]):
        shutil.copytree(folder, kept)
        shutil.rmtree(folder)
        shutil.move(kept, folder)
        yield


SPAWNS = """
import multiprocessing, socket, sys, time
from http.server import HTTPServer, SimpleHTTPRequestHandler

def serve(port):
    HTTPServer(("127.0.0.1", port), SimpleHTTPRequestHandler).serve_forever()

if __name__ == "__main__":
    child = multiprocessing.get_context("spawn").Process(target=serve, args=(int(sys.argv[1]),))
    child.start()
    print(child.pid, flush=True)
    child.join()
"""


def reloader(*, killed: bool) -> Inject:
    """A worker that a supervisor started, as uvicorn's reloader starts its own."""

    @contextmanager
    def running(copy: Copy) -> Iterator[None]:
        folder, port = copy.path("backend"), copy.ports["core"]
        script = copy.root.with_name(f"{copy.root.name}-supervisor.py")
        script.write_text(SPAWNS)
        words = [sys.executable, str(script), str(port)]
        process = subprocess.Popen(
            words, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout
        worker = psutil.Process(int(process.stdout.readline()))
        try:
            wait_for_port(port)
            if killed:
                process.kill()
                process.wait()
            with of_age():
                yield
        finally:
            process.kill()
            process.wait()
            if worker.is_running():
                worker.kill()

    return running


# What the platform is like.


def core_says_its_port_itself(copy: Copy) -> None:
    """In `run.py` and in the doctor's configuration; no variable names it."""
    port = copy.ports["core"]
    for name in (ENV, "backend/.env.example"):
        file = copy.path(name)
        file.write_text(re.sub(r"(?m)^CORE_PORT=.*\n", "", file.read_text()))
    settings = copy.path("backend/shared/config.py")
    settings.write_text(settings.read_text().replace("    CORE_PORT: int = 8002\n", ""))
    replace("backend/core/run.py", "get_settings().CORE_PORT", str(port))(copy)
    docker = copy.path("docker/Dockerfile.backend")
    docker.write_text(docker.read_text() + "\nCMD uvicorn core.main:app --port 8002\n")
    write(
        "saas-doctor.toml",
        f'[services.core]\ndirectory = "backend/core"\nport = {port}\n\n'
        f'[services.registry]\ndirectory = "backend/registry"\nport = {copy.ports["registry"]}\n'
        'port-variable = "REGISTRY_PORT"\n',
    )(copy)


def core_is_named_in_many_places(copy: Copy) -> None:
    port = copy.ports["core"]
    append(ENV, f"CORE_URL='http://localhost:{port}/api'\n")(copy)
    write("frontend/.env", f"VITE_CORE_URL=http://127.0.0.1:{port}\n")(copy)
    write("scripts/wait.sh", f"curl -fsS http://localhost:{port}/ # not 1{port}\n")(copy)
    file = copy.path("backend/shared/utils/ping.py")
    file.write_text(f'CORE = "http://127.0.0.1:{port}"\n')


def published_at_the_same(copy: Copy) -> None:
    file = copy.path(COMPOSE)
    file.write_text(file.read_text().replace("127.0.0.1:8002:", f"127.0.0.1:{copy.ports['core']}:"))


def frontend_elsewhere(copy: Copy, *, strict: bool = True) -> int:
    """The front end at a port of its own: 5173 is this machine's."""
    port = free_port()
    for name in (VITE, ENV, COMPOSE):
        file = copy.path(name)
        file.write_text(file.read_text().replace("5173", str(port)))
    if not strict:
        replace(VITE, "strictPort: true", "open: false")(copy)
    return port


def frontend_port_held(*, strict: bool) -> Inject:
    @contextmanager
    def running(copy: Copy) -> Iterator[None]:
        with listener(frontend_elsewhere(copy, strict=strict)):
            yield

    return running


NODE = "require('http').createServer((_, a) => a.end()).listen(Number(process.argv[1]), '::1')"


@contextmanager
def the_front_end_itself(copy: Copy) -> Iterator[None]:
    port = frontend_elsewhere(copy)
    node = shutil.which("node")
    assert node
    process = subprocess.Popen([node, "-e", NODE, str(port)], cwd=copy.path("frontend"))
    try:
        wait_for_port(port, "::1")
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def vite_on_the_gateway(copy: Copy) -> Iterator[None]:
    with listener(copy.ports["gateway"], cwd=copy.path("frontend")):
        yield


def two_at_one(copy: Copy) -> None:
    replace(ENV, f"CORE_PORT={copy.ports['core']}", f"CORE_PORT={copy.ports['registry']}")(copy)


def two_by_default(copy: Copy) -> None:
    """Neither is set: the defaults in the code say one port."""
    for service in ("core", "demo-service"):
        name = f"{service.upper().replace('-', '_')}_PORT"
        replace(ENV, f"{name}={copy.ports[service]}\n", "")(copy)
        replace("backend/.env.example", f"{name}={copy.ports[service]}\n", "")(copy)
    free = str(free_port())
    settings = copy.path("backend/shared/config.py")
    text = settings.read_text()
    settings.write_text(text.replace("= 8002", f"= {free}").replace("= 8003", f"= {free}"))


def plugin_at_the_gateways(copy: Copy) -> None:
    port = copy.ports["demo-service"]
    replace(ENV, f"DEMO_SERVICE_PORT={port}", f"DEMO_SERVICE_PORT={copy.ports['gateway']}")(copy)


def hosts(**names: str) -> Inject:
    """The configuration of services, each with its address."""

    def inject(copy: Copy) -> None:
        tables = [
            f'[services.{name}]\ndirectory = "{SERVICES[name]}"\nport = {copy.ports["core"]}\n'
            f'host = "{host}"\nport-variable = "CORE_PORT"\n'
            for name, host in names.items()
        ]
        write("saas-doctor.toml", "\n".join(tables))(copy)

    return inject


def ports_of_containers(copy: Copy) -> None:
    """Two services with one low port in their own code, each in a container."""
    text = "import uvicorn\n\nif __name__ == '__main__':\n    uvicorn.run('main:app', port=81)\n"
    services = ""
    for name in ("mail", "print"):
        write(f"services/{name}/run.py", text)(copy)
        write(f"services/{name}/main.py", "from fastapi import FastAPI\n\napp = FastAPI()\n")(copy)
        services += f"  {name}:\n    image: {name}\n"
    replace(COMPOSE, "\nvolumes:\n  postgres_data:", f"\n{services}\nvolumes:\n  postgres_data:")(
        copy
    )


@contextmanager
def low_port_inside(copy: Copy) -> Iterator[None]:
    """No variable says the port, and the service is in a container."""
    write("saas-doctor.toml", '[services.core]\ndirectory = "backend/core"\nport = 81\n')(copy)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bindable, "lowest_port", lambda: 1024)
        yield


@contextmanager
def without_rights(copy: Copy, *, published: bool = False) -> Iterator[None]:
    """An ordinary user, and a service at port 81."""
    if published:
        replace(COMPOSE, "127.0.0.1:8002:8002", "127.0.0.1:81:8002")(copy)
    replace(ENV, f"CORE_PORT={copy.ports['core']}", "CORE_PORT=81")(copy)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bindable, "lowest_port", lambda: 1024)
        yield


@contextmanager
def behind_docker(copy: Copy) -> Iterator[None]:
    with without_rights(copy, published=True):
        yield


@contextmanager
def low_port(copy: Copy) -> Iterator[None]:
    replace(ENV, f"CORE_PORT={copy.ports['core']}", "CORE_PORT=82")(copy)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bindable, "lowest_port", lambda: 1)
        yield


CALLS = """
import socket, sys
with socket.socket() as caller:
    caller.bind(("127.0.0.1", int(sys.argv[1])))
    caller.connect(("127.0.0.1", int(sys.argv[2])))
    print("connected", flush=True)
    sys.stdin.read()
"""


@contextmanager
def calls_from(port: int) -> Iterator[None]:
    """Another program with a connection whose own end has this port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        words = [sys.executable, "-c", CALLS, str(port), str(server.getsockname()[1])]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        try:
            assert process.stdout.readline() == "connected\n"
            yield
        finally:
            process.kill()
            process.wait()


def connection_from_core(copy: Copy) -> Running:
    return calls_from(copy.ports["core"])


def connection_from_elsewhere(copy: Copy) -> Running:  # noqa: ARG001
    return calls_from(free_port())


@contextmanager
def browsers(copy: Copy) -> Iterator[None]:
    """The service runs, and others have connections to it."""
    with stub(copy, "core", copy.ports["core"]), ExitStack() as stack:
        for _ in range(3):
            address = ("127.0.0.1", copy.ports["core"])
            stack.enter_context(socket.create_connection(address))
        yield


def publishing(service: str, used: int, *, add: str = "", leads: str = "") -> Inject:
    """A container's port of this machine, held by another program."""

    @contextmanager
    def running(copy: Copy) -> Iterator[None]:
        port = free_port()
        replace(COMPOSE, f'"127.0.0.1:{used}:{used}"', f'"127.0.0.1:{port}:{used}{add}"')(copy)
        if leads:
            append(ENV, f"{leads}=redis://localhost:{port}/1\n")(copy)
        with listener(port):
            yield

    assert service
    return running


@contextmanager
def in_a_profile(copy: Copy) -> Iterator[None]:
    port = free_port()
    mail = f'  mail:\n    image: mail\n    profiles: [mail]\n    ports: ["{port}:1025"]\n'
    replace(COMPOSE, "\nvolumes:\n  postgres_data:", f"\n{mail}\nvolumes:\n  postgres_data:")(copy)
    with listener(port):
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


def started_by(*words: str) -> Inject:
    """The core service itself, started so from `backend`; `PORT` stands for its port."""

    @contextmanager
    def running(copy: Copy) -> Iterator[None]:
        port = copy.ports["core"]
        named = [str(copy.python) if w == "python" else w.replace("PORT", str(port)) for w in words]
        process = subprocess.Popen(
            named,
            cwd=copy.path("backend"),
            env=copy.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            wait_for_port(port, limit=30)
            yield
        finally:
            tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(True)]
            for one in reversed(tree):
                one.kill()
            process.wait()

    return running


LAUNCHER = """import sys, uvicorn
uvicorn.run("{app}", port=int(sys.argv[1]))
"""


def by_script(path: str, app: str, *words: str) -> Inject:
    """The core service, started by a script of another name."""
    return after(write(path, LAUNCHER.format(app=app)), started_by(*words))


INLINE = "import uvicorn; uvicorn.run('core.main:app', port=PORT)"


@contextmanager
def through_a_link(copy: Copy) -> Iterator[None]:
    """The service runs from a folder that is a link to the platform's."""
    link = copy.root.with_name(f"{copy.root.name}-link")
    link.symlink_to(copy.root)
    with served_from(link / SERVICES["core"], copy.ports["core"]):
        yield


# What proves a fix.


def port_of(copy: Copy, service: str) -> int:
    """The port that the service would open now, as its own code says."""
    name = f"{service.upper().replace('-', '_')}_PORT"
    code = f"from shared.config import get_settings; print(get_settings().{name})"
    return int(copy.run("python", "-c", code).stdout)


def can_open(service: str) -> Callable[[Copy], bool]:
    """Whether the service's port can be opened, and everything that leads to it leads there."""

    def works(copy: Copy) -> bool:
        port = port_of(copy, service)
        if service == "registry" and f":{port}" not in _setting(copy, "REGISTRY_URL"):
            return False
        if service == "gateway" and f":{port}'" not in copy.path(VITE).read_text():
            return False
        return _opens(port)

    return works


def _setting(copy: Copy, key: str) -> str:
    return copy.path(ENV).read_text().partition(f"{key}=")[2].partition("\n")[0]


def _opens(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def run_py_opens_another(copy: Copy) -> bool:
    """Whether the number in `run.py` and in the configuration is one, and free."""
    said = re.search(r"serve\(\"core\", (\d+)", copy.path("backend/core/run.py").read_text())
    assert said
    return f"port = {said[1]}\n" in copy.path("saas-doctor.toml").read_text() and _opens(
        int(said[1])
    )


def all_lead_to_core(copy: Copy) -> bool:
    port = port_of(copy, "core")
    files = (ENV, "frontend/.env", "scripts/wait.sh", "backend/shared/utils/ping.py")
    return _opens(port) and all(f":{port}" in copy.path(f).read_text() for f in files)


def compose_publishes_another(copy: Copy) -> bool:
    port = port_of(copy, "core")
    return _opens(port) and f"127.0.0.1:{port}:8002" in copy.path(COMPOSE).read_text()


def frontend_can_open(copy: Copy) -> bool:
    """Its port, which all who let it call know."""
    found = re.search(r"\bport: (\d+)", copy.path(VITE).read_text())
    assert found
    origin = f"http://localhost:{found[1]}"
    told = all(f"{origin}," in copy.path(name).read_text() for name in (ENV, COMPOSE))
    return told and _opens(int(found[1]))


def core_port_is_free(copy: Copy) -> bool:
    return _silent(copy.ports["core"])


def registry_port_is_free(copy: Copy) -> bool:
    return _silent(copy.ports["registry"])


def gateway_port_is_free(copy: Copy) -> bool:
    return _silent(copy.ports["gateway"])


def _silent(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def is_for_everybody(copy: Copy) -> bool:
    return port_of(copy, "core") >= 1024


def all_differ(copy: Copy) -> bool:
    ports = [port_of(copy, service) for service in SERVICES]
    return len(set(ports)) == len(ports)


# The ports of these stand in the settings file, as other faults do.
ENVIRONMENT = "env"


def held(
    name: str, inject: Inject, works: Callable[[Copy], bool], *, also: tuple[str, ...] = ()
) -> Fault:
    return Fault("NET401", name, inject, also, works, group=ENVIRONMENT)


ENTRIES = [
    held("another program", foreign("core"), can_open("core")),
    held("another program on every address", foreign("core", "0.0.0.0"), can_open("core")),
    held("another program by IPv6 and IPv4", foreign("core", "::"), can_open("core")),
    held("the registry's, which others call", foreign("registry"), can_open("registry")),
    held("the gateway's, which Vite calls", foreign("gateway"), can_open("gateway")),
    held("a plugin's", foreign("demo-service"), can_open("demo-service")),
    held("a program in our folder", foreign("core", inside=True), can_open("core")),
    held("another user's program", says_nothing(other_user=True), can_open("core")),
    held("a program that says nothing", says_nothing(), can_open("core")),
    held("another checkout", another_checkout, can_open("core")),
    held("another checkout that is gone", removed_checkout, can_open("core")),
    held("a service of another project", another_project, can_open("core")),
    held(
        "its number in run.py and in the configuration",
        after(core_says_its_port_itself, foreign("core")),
        run_py_opens_another,
    ),
    held(
        "its number in many places",
        after(core_is_named_in_many_places, foreign("core")),
        all_lead_to_core,
    ),
    held(
        "published at the same by compose",
        after(published_at_the_same, foreign("core")),
        compose_publishes_another,
    ),
    held("core on the registry's port", core_on_the_registry, registry_port_is_free),
    held("the front end on the gateway's port", vite_on_the_gateway, gateway_port_is_free),
    held("core suspended", suspended, core_port_is_free),
    held("its folder was made anew", folder_made_anew, core_port_is_free),
    held("its reloader was killed", reloader(killed=True), core_port_is_free),
    held("the front end's, strictly", frontend_port_held(strict=True), frontend_can_open),
    held("the front end's", frontend_port_held(strict=False), frontend_can_open),
    Healthy("NET401", "everything runs", everything_runs),
    Healthy("NET401", "another program on the other IP version", foreign("core", "::1")),
    Healthy("NET401", "another program at another loopback address", foreign("core", "127.0.0.2")),
    Healthy("NET401", "another program on another port", other_port),
    Healthy("NET401", "a socket in TIME_WAIT", in_time_wait),
    Healthy("NET401", "browsers with connections to it", browsers),
    Healthy("NET401", "a live supervisor", reloader(killed=False)),
    Healthy("NET401", "the front end itself", the_front_end_itself),
    Healthy("NET401", "started through a link", through_a_link),
    Healthy("NET401", "started as a module", started_by("python", "-m", "core.run")),
    Healthy(
        "NET401", "under a debugger", started_by("python", "-m", "pdb", "-c", "c", "core/run.py")
    ),
    Healthy(
        "NET401", "under a profiler", started_by("python", "-um", "cProfile", "-m", "core.run")
    ),
    Healthy("NET401", "by code in the command line", started_by("python", "-c", INLINE)),
    Healthy(
        "NET401",
        "by a script of another name in its folder",
        by_script("backend/core/dev.py", "core.main:app", "python", "-m", "core.dev", "PORT"),
    ),
    Healthy(
        "NET401",
        "by a script that names its application",
        by_script("backend/up.py", "core.main:app", "python", "up.py", "PORT"),
    ),
    Healthy(
        "NET401",
        "with uvicorn's reloader",
        started_by("python", "-m", "uvicorn", "core.main:app", "--port", "PORT", "--reload"),
    ),
    Healthy(
        "NET401",
        "with workers",
        started_by("python", "-m", "uvicorn", "core.main:app", "--port", "PORT", "--workers", "2"),
    ),
    Healthy(
        "NET401",
        "on every address",
        started_by("python", "-m", "uvicorn", "core.main:app", "--host=0.0.0.0", "--port", "PORT"),
    ),
    Healthy(
        "NET401",
        "in the background of a shell that is gone",
        started_by("sh", "-c", "nohup .venv/bin/python core/run.py & exec sleep 60"),
    ),
    Fault(
        "NET404",
        "core at the registry's",
        two_at_one,
        (),
        all_differ,
        group=ENVIRONMENT,
        at="backend/.env:REGISTRY_PORT=",
    ),
    Fault("NET404", "by their defaults", two_by_default, (), all_differ, group=ENVIRONMENT),
    Fault(
        "NET404",
        "a plugin at the gateway's",
        plugin_at_the_gateways,
        (),
        all_differ,
        group=ENVIRONMENT,
    ),
    Fault(
        "NET404",
        "one on every address",
        hosts(core="127.0.0.1", gateway="0.0.0.0"),
        fixed=False,
        target="gateway:core",
        at="backend/.env:CORE_PORT=",
    ),
    Healthy("NET404", "different addresses", hosts(core="127.0.0.1", gateway="127.0.0.2")),
    Healthy("NET404", "everything runs", everything_runs, database=True),
    Healthy("NET404", "numbers in the code of containers", ports_of_containers),
    Fault(
        "NET405",
        "a port of the administrator",
        without_rights,
        (),
        is_for_everybody,
        group=ENVIRONMENT,
    ),
    Fault(
        "NET405",
        "an outgoing connection",
        connection_from_core,
        (),
        can_open("core"),
        group=ENVIRONMENT,
    ),
    Fault("NET405", "an address of another machine", hosts(core="192.0.2.7"), fixed=False),
    Healthy("NET405", "a low port for an administrator", low_port),
    Healthy("NET405", "a low port that Docker opens", behind_docker),
    Healthy("NET405", "a connection from another port", connection_from_elsewhere),
    Healthy("NET405", "a low port inside of its container", low_port_inside),
    Healthy("NET405", "every address", hosts(core="0.0.0.0")),
    Healthy("NET405", "another loopback address", hosts(core="127.0.0.9")),
    Fault("NET409", "Postgres' port", publishing("postgres", 5432), fixed=False),
    Fault("NET409", "Redis' port", publishing("redis", 6379), fixed=False),
    Healthy("NET409", "the settings lead to it", publishing("redis", 6379, leads="CACHE_URL")),
    Healthy("NET409", "in a profile that is not started", in_a_profile),
    Healthy("NET409", "by UDP alone", publishing("redis", 6379, add="/udp")),
]
