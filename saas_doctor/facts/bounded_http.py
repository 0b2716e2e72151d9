"""An HTTP client whose every call has an end: its timeout is that of the whole call, its answer has a size.

httpx's own timeouts are for each read: a server that sends a byte now and then never ends a call.
Import it where it is used: it loads httpx.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import httpcore
import httpx

_LARGEST = 20_000_000
"""Bytes that one call may bring, redirects and all."""
TOO_LARGE = f"the answer is larger than {_LARGEST} bytes"


class _Call(threading.local):
    """The call that this thread makes: when it has to be over, and what it may still bring."""

    deadline = float("inf")
    bytes_left = _LARGEST


_call = _Call()


class BoundedClient(httpx.Client):
    """For calls on this machine: by no proxy, whatever the shell's variables say.

    A call that takes longer than its timeout as a whole ends in httpx.ReadTimeout, one that brings
    more than 20 MB in httpx.ReadError. What is streamed is bounded until this thread's next call.
    """

    def __init__(self) -> None:
        # Loopback and plain HTTP: loading the certificates would cost more than all the calls.
        transport = httpx.HTTPTransport(trust_env=False, verify=False)
        transport._pool._network_backend = _Backend()
        super().__init__(transport=transport, trust_env=False)

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        limit = request.extensions.get("timeout", {}).get("read")
        _call.deadline = time.monotonic() + (limit or float("inf"))
        _call.bytes_left = _LARGEST
        return super().send(request, **options)


class _Backend(httpcore.SyncBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.NetworkStream:
        timeout = _within(timeout)
        return _Stream(super().connect_tcp(host, port, timeout, local_address, socket_options))


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = self._inner.read(max_bytes, _within(timeout))
        _call.bytes_left -= len(data)
        if _call.bytes_left < 0:
            raise httpcore.ReadError(TOO_LARGE)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _within(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(self, *arguments: Any, **options: Any) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(*arguments, **options))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _within(timeout: float | None) -> float | None:
    left = _call.deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the answer was not complete in time")
    return (
        min(left, float("inf") if timeout is None else timeout) if left < float("inf") else timeout
    )
