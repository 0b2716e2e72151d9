"""Faults of what a browser gets: the gateway's plain answers, and calls through the dev server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.faults import Copy, Fault, Healthy, Inject
from tests.faults.services import everything_runs, of_age, stub
from tests.testbed.ports import free_port, wait_for_port

ORIGINS = ["http://localhost:5173", "http://localhost:3000"]
ITEMS = "api/demo-service/items"

VITE = '''\
"""A dev server like Vite's: its client, its page for what nobody else takes, and a proxy for /api."""

import json, sys, time, urllib.error, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

port, gateway, how = sys.argv[1:4]
PAGE = b'<script type="module" src="/@vite/client"></script>'


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.endswith("/@vite/client") and how not in ("base", "other"):
            return self.reply(200, "text/javascript", b"// vite")
        if not self.path.startswith("/api") or how in ("page", "other"):
            return self.reply(200, "text/html", b"hello" if how == "other" else PAGE)
        if how == "silent":
            time.sleep(30)
        if how == "closed":
            self.close_connection = True
            return
        if how in ("500", "502"):
            return self.reply(int(how), "text/plain", b"")
        path = self.path[4:] if how == "rewrite" else self.path
        try:
            with urllib.request.urlopen(gateway + path) as answer:
                self.reply(answer.status, answer.headers["Content-Type"], answer.read())
        except urllib.error.HTTPError as error:
            self.reply(error.code, error.headers["Content-Type"] or "text/plain", error.read())

    def reply(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
'''


def on_a_port_of_its_own(copy: Copy) -> int:
    """Move the front end from 5173, which all copies share."""
    port = free_port()
    names = ("frontend/vite.config.js", "backend/.env", "backend/.env.example")
    for name in (*names, "docker-compose.yml", "backend/shared/config.py"):
        file = copy.path(name)
        file.write_text(file.read_text().replace("5173", str(port)))
    return port


def served(how: str, *, items: Any = (200, [{"id": 1}]), gateway: bool = True) -> Inject:
    """The dev server runs and does so with the API's calls; the gateway has this for the items."""

    @contextmanager
    def running(copy: Copy) -> Iterator[None]:
        port = on_a_port_of_its_own(copy)
        origins = [f"http://localhost:{port}", ORIGINS[1]]
        with ExitStack() as stack:
            stack.enter_context(of_age())
            if gateway:
                answers: dict[str, Any] = {ITEMS: list(items), "options": [200, origins]}
                answers[ITEMS.removeprefix("api/")] = [404, {}]
                stack.enter_context(stub(copy, "gateway", copy.ports["gateway"], **answers))
            folder = copy.path("frontend")
            (folder / "serve.py").write_text(VITE)
            target = f"http://127.0.0.1:{copy.ports['gateway']}"
            process = subprocess.Popen(
                [sys.executable, "serve.py", str(port), target, how],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            wait_for_port(port)
            yield

    return running


def plain(
    *allowed: str, status: int = 404, credentials: bool = True, preflight: Any = None
) -> Inject:
    """The gateway's preflight passes, and its plain answers have these; `{}` is the caller's origin."""

    @contextmanager
    def running(copy: Copy) -> Iterator[None]:
        answers: dict[str, Any] = {
            "options": [200, preflight or ORIGINS],
            "api/": [status, {"detail": "none"}],
        }
        simple = json.dumps([list(allowed), credentials])
        copy.path("backend/gateway/simple.json").write_text(simple)
        with of_age(), stub(copy, "gateway", copy.ports["gateway"], **answers):
            yield

    return running


def with_cookies(inner: Inject) -> Inject:
    """The front end calls the gateway's own address, with cookies."""

    @contextmanager
    def running(copy: Copy) -> Iterator[None]:
        port = copy.ports["gateway"]
        with copy.path("frontend/src/main.js").open("a") as file:
            file.write(
                f"fetch('http://localhost:{port}/api/core/me', {{ credentials: 'include' }})\n"
            )
        context = inner(copy)
        assert context
        with context:
            yield

    return running


def refused(name: str, inject: Inject, **rest: Any) -> Fault:
    return Fault("WEB812", name, inject, fixed=False, **{"target": ORIGINS[0], **rest})


def unreached(name: str, how: str, **rest: Any) -> Fault:
    return Fault("WEB813", name, served(how, **rest), fixed=False)


ENTRIES = [
    refused("no header", plain()),
    refused("two of one", plain("{}", "{}")),
    refused("two in one line", plain("{}, *")),
    refused("its own and all", plain("*", "{}")),
    refused("another origin", plain("https://example.com")),
    refused("all, with cookies", plain("*")),
    refused("an error without headers", plain(status=500)),
    refused(
        "cookies that it does not allow",
        with_cookies(plain("{}", credentials=False)),
        also=("WEB804",),
    ),
    Healthy("WEB812", "as it should be", plain("{}")),
    Healthy("WEB812", "all, without cookies", plain("*", credentials=False)),
    Healthy("WEB812", "an error with headers", plain("{}", status=503)),
    Healthy("WEB812", "nobody sends cookies", plain("{}", credentials=False)),
    Healthy("WEB812", "everything runs", everything_runs),
    unreached("its own page", "page"),
    unreached("502", "502"),
    unreached("500", "500"),
    unreached("the path is cut", "rewrite"),
    unreached("nothing comes", "silent"),
    unreached("closed", "closed"),
    Healthy("WEB813", "it gets through", served("forward")),
    Healthy("WEB813", "with a base", served("base")),
    Healthy("WEB813", "what the gateway refuses", served("forward", items=(401, {}))),
    Healthy("WEB813", "what the gateway does not have", served("forward", items=(404, {}))),
    Healthy("WEB813", "the gateway's own error", served("502", items=(500, {}))),
    Healthy("WEB813", "another program", served("other")),
    Healthy("WEB813", "no gateway", served("502", gateway=False)),
    Healthy("WEB813", "no dev server", everything_runs),
]
