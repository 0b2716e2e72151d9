"""Faults of the services as they run, and of the gateway's answers to a browser."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from saas_doctor.facts import ports
from tests.faults import Copy, Fault, Healthy, Inject, replace
from tests.faults.origins import directly
from tests.testbed import platforms
from tests.testbed.platforms import SERVICES
from tests.testbed.ports import wait_for_port

STUB = '''\
"""Answers what its argument says: {path: [status, body, seconds]}; 0 closes,
-1 says nothing, 1 what is no HTTP; with a certificate, by TLS."""

import json, pathlib, ssl, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWERS = json.loads(sys.argv[2])


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        status, body, *wait = ANSWERS.get(self.path, [200, {}])
        if len(wait) > 1:  # late only once
            ANSWERS[self.path] = [status, body]
        time.sleep(wait[0] if wait else 0)
        if status == 0:
            self.close_connection = True
            return
        if status < 0:
            time.sleep(60)
        if status == 1:
            self.wfile.write(b"220 mail.example.com ready\\r\\n")
            return
        allowed = ANSWERS.get("OPTIONS", [405, []])[1]
        origin = self.headers["Origin"]
        self.reply(status, json.dumps(body).encode(), origin if origin and origin in allowed else None)

    def do_OPTIONS(self):
        status, allowed = ANSWERS.get("OPTIONS", [405, []])
        origin = self.headers["Origin"]
        self.reply(status, b"", origin if origin in allowed else None)

    def reply(self, status, body, origin=None):
        self.send_response(status)
        simple = pathlib.Path("simple.json")  # what plain answers have in its place
        if self.command == "GET" and simple.exists():
            values, credentials = json.loads(simple.read_text())
            for value in values:
                value = value.replace("{}", self.headers["Origin"] or "")
                self.send_header("Access-Control-Allow-Origin", value)
            if credentials:
                self.send_header("Access-Control-Allow-Credentials", "true")
        elif origin:
            self.send_header("Access-Control-Allow-Origin", origin)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer.request_queue_size = 64
server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
if len(sys.argv) > 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3])
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
'''


@contextmanager
def stub(
    copy: Copy,
    service: str,
    port: int,
    environ: Any = None,
    certificate: Any = (),
    stdin: Any = subprocess.DEVNULL,
    **answers: Any,
) -> Iterator[subprocess.Popen[bytes]]:
    """A small server that runs as this service of the copy, from its folder."""
    folder = copy.path(SERVICES[service])
    (folder / "serve.py").write_text(STUB)
    named = {"OPTIONS" if k == "options" else f"/{k}": v for k, v in answers.items()}
    process = subprocess.Popen(
        [sys.executable, "serve.py", str(port), json.dumps(named), *map(str, certificate)],
        cwd=folder,
        env=None if environ is None else dict(environ),
        stdin=stdin,
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
def of_age() -> Iterator[None]:
    """Every process counts as old enough to be judged."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ports, "JUST_STARTED", 0.0)
        yield


def answering(service: str, **answers: Any) -> Inject:
    """The service runs, and answers so."""

    @contextmanager
    def running(copy: Copy) -> Iterator[None]:
        with of_age(), stub(copy, service, copy.ports[service], **answers):
            yield

    return running


def asked(inject: Inject) -> Inject:
    """With a front end that may call the gateway by its own address."""

    def injected(copy: Copy) -> AbstractContextManager[None] | None:
        assert directly(copy) is None
        return inject(copy)

    return injected


@contextmanager
def by_tls(copy: Copy) -> Iterator[None]:
    certificate = copy.root.with_name("certificate.pem")
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    argv += ["-subj", "/CN=localhost", "-keyout", str(certificate), "-out", f"{certificate}.crt"]
    subprocess.run(argv, check=True, capture_output=True)
    with certificate.open("ab") as file:
        file.write(certificate.with_name("certificate.pem.crt").read_bytes())
    with of_age(), stub(copy, "core", copy.ports["core"], certificate=[certificate]):
        yield


def died(*lines: str, size: int = 0) -> Inject:
    """A plugin that ended with this in its log, after this many bytes of older lines."""

    def inject(copy: Copy) -> None:
        new_plugin(copy)
        with copy.path("logs/reports.log").open("wb") as log:
            log.truncate(size)
            log.seek(size)
            log.write("\n".join(("", *lines, "")).encode())

    return inject


def really_died(copy: Copy) -> None:
    """A plugin that ends with an error, started as a developer does."""
    new_plugin(copy)
    text = "import shared_by_nobody\n"
    copy.path("examples/plugins/reports/run.py").write_text(text)
    with copy.path("logs/reports.log").open("wb") as log:
        subprocess.run(
            [str(copy.python), "run.py"],
            cwd=copy.path("examples/plugins/reports"),
            env=copy.environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            check=False,
        )


def failing_with(text: str, **answers: Any) -> Inject:
    """The core service answers so, and this is in its log."""
    inner = answering("core", **answers)

    @contextmanager
    def running(copy: Copy) -> Iterator[None]:
        copy.path("logs/core.log").write_text(text)
        context = inner(copy)
        assert context
        with context:
            yield

    return running


def everything_runs(copy: Copy) -> AbstractContextManager[Any]:
    """All services of the platform itself, as a developer starts them."""
    return platforms.started(copy.root, copy.ports, copy.environ)


def everything_runs_at(host: str) -> Inject:
    """All services, where HOST of the settings says."""

    def running(copy: Copy) -> AbstractContextManager[Any]:
        old = f"http://127.0.0.1:{copy.ports['registry']}"
        replace("backend/.env", "\nHOST=127.0.0.1\n", f"\nHOST={host}\n")(copy)
        written = f"[{host}]" if ":" in host else host
        replace("backend/.env", old, old.replace("127.0.0.1", written))(copy)
        return platforms.started(copy.root, copy.ports, copy.environ, host=host)

    return running


def new_plugin(copy: Copy) -> None:
    folder = copy.path("examples/plugins/reports")
    folder.mkdir()
    (folder / "main.py").write_text("from fastapi import FastAPI\n\napp = FastAPI()\n")
    (folder / "run.py").write_text("import uvicorn\n\nuvicorn.run('main:app', port=9)\n")
    with copy.path("backend/.env").open("a") as file:
        file.write("REPORTS_PORT=9\n")


def cors(*origins: str) -> Inject:
    return asked(answering("gateway", options=[200, list(origins)]))


def cors_text(text: str) -> Inject:
    """The origins as one text: Starlette then looks for the origin anywhere in it."""
    return answering("gateway", options=[200, text])


cors_fails = asked(answering("gateway", options=[500, []]))

BOTH: Sequence[str] = ("http://localhost:5173", "http://localhost:3000")

ENTRIES = [
    Fault("SVC701", "a plugin that nobody started", new_plugin, fixed=False, target="reports"),
    Fault("SVC701", "a plugin that died at its start", really_died, fixed=False, target="reports"),
    Fault(
        "SVC701",
        "its port was taken",
        died("ERROR:    [Errno 98] error while attempting to bind on address ('127.0.0.1', 9)"),
        fixed=False,
        target="reports",
    ),
    Fault(
        "SVC701",
        "a log of two gigabytes",
        died("sqlalchemy.exc.OperationalError: connection refused", size=2 * 1024**3),
        fixed=False,
        target="reports",
    ),
    Healthy("SVC701", "everything runs", everything_runs),
    Healthy("SVC701", "an error in the log of one that runs", failing_with("ValueError: x\n")),
    Healthy("SVC701", "a service without a page at its root", answering("core", **{"": [404, {}]})),
    Fault(
        "SVC702",
        "500 at the health path",
        answering("core", **{"": [500, {"detail": "database is down"}]}),
        fixed=False,
        target="core",
    ),
    Fault(
        "SVC702",
        "closes without an answer",
        answering("gateway", **{"": [0, {}]}, options=[200, list(BOTH)]),
        fixed=False,
        target="gateway",
    ),
    Fault("SVC702", "by TLS", by_tls, fixed=False, target="core"),
    Fault(
        "SVC702", "another language", answering("core", **{"": [1, {}]}), fixed=False, target="core"
    ),
    Fault("SVC702", "late", answering("core", **{"": [200, {}, 1.4]}), fixed=False, target="core"),
    Fault("SVC702", "503", answering("core", **{"": [503, {}]}), fixed=False, target="core"),
    Fault(
        "SVC702",
        "500 with its reason in the log",
        failing_with("ERROR: Exception in ASGI application\nValueError: x\n", **{"": [500, {}]}),
        fixed=False,
        target="core",
    ),
    Healthy("SVC702", "late once", answering("core", **{"": [200, {}, 1.4, "once"]})),
    Healthy("SVC702", "half a second", answering("core", **{"": [200, {}, 0.5]})),
    Healthy("SVC702", "led elsewhere", answering("core", **{"": [307, {}]})),
    Healthy("SVC702", "without a body", answering("core", **{"": [204, {}]})),
    Healthy("SVC702", "404 at the health path", answering("core", **{"": [404, {}]})),
    Healthy("SVC702", "a login asked for", answering("core", **{"": [401, {}]})),
    Healthy("SVC702", "everything runs", everything_runs),
    Fault("WEB802", "its own origin refused", cors(BOTH[1]), fixed=False, target=BOTH[0]),
    Fault("WEB802", "500 for every preflight", cors_fails, fixed=False, target=BOTH[0]),
    Fault("WEB802", "strangers let in", cors(*BOTH, "http://evil.invalid"), fixed=False),
    Fault(
        "WEB802",
        "origins as one text",
        cors_text(",".join(BOTH)),
        fixed=False,
        target="http://localhost",
    ),
    Healthy("WEB802", "both origins allowed", cors(*BOTH)),
    Healthy(
        "WEB802",
        "calls that all go through the proxy",
        answering("gateway", options=[200, ["http://localhost:8080"]]),
    ),
    Healthy("WEB802", "everything runs", everything_runs),
]
