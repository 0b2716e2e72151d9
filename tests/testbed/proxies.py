"""Small proxies that really work: by HTTP and by SOCKS 5."""

from __future__ import annotations

import select
import socket
import socketserver
import struct
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class _Http(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.passed.append(urlsplit(self.path).netloc)  # type: ignore[attr-defined]
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self.path, timeout=5) as answer:
            body = answer.read()
        self.send_response(200)
        self.send_header("Via", "1.1 testbed")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _Socks(socketserver.BaseRequestHandler):
    request: socket.socket

    def handle(self) -> None:
        head = self.request.recv(2)
        if len(head) < 2:
            return
        self.request.recv(head[1])
        self.request.sendall(b"\x05\x00")
        ask = self.request.recv(4)
        if len(ask) < 4:
            return  # only greeted
        length = 4 if ask[3] == 1 else self.request.recv(1)[0]
        raw = self.request.recv(length)
        host = socket.inet_ntoa(raw) if ask[3] == 1 else raw.decode()
        (port,) = struct.unpack("!H", self.request.recv(2))
        self.server.passed.append(f"{host}:{port}")  # type: ignore[attr-defined]
        with socket.create_connection((host, port), timeout=5) as there:
            self.request.sendall(b"\x05\x00\x00\x01" + b"\x00" * 6)
            self.pass_on(there)

    def pass_on(self, there: socket.socket) -> None:
        pairs = {self.request: there, there: self.request}
        while True:
            for ready in select.select(list(pairs), [], [], 5)[0]:
                data = ready.recv(65536)
                if not data:
                    return
                pairs[ready].sendall(data)


class _SocksServer(socketserver.ThreadingTCPServer):
    daemon_threads = True


@contextmanager
def _served(server: socketserver.TCPServer, passed: list[str] | None) -> Iterator[int]:
    server.passed = [] if passed is None else passed  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def http_proxy(passed: list[str] | None = None) -> Iterator[int]:
    """A proxy for `http://`; yields its port. `passed` gets the addresses that it called."""
    with _served(ThreadingHTTPServer(("127.0.0.1", 0), _Http), passed) as port:
        yield port


@contextmanager
def socks_proxy(passed: list[str] | None = None) -> Iterator[int]:
    """A proxy by SOCKS 5 without a login; yields its port."""
    with _served(_SocksServer(("127.0.0.1", 0), _Socks), passed) as port:
        yield port
