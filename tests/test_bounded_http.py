"""Calls of a server that answers drop by drop, or without end, are over in time."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from saas_doctor.facts.answers import ask, client
from saas_doctor.facts.registered import listed_at
from saas_doctor.model import Unreadable

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
LENGTH = b"content-length: 900000000\r\n\r\n"


@contextmanager
def dripping(first: bytes, drop: bytes, pause: float) -> Iterator[str]:
    """A server that says `first` at once and then `drop` again and again."""
    over = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                connection.recv(65_536)
                connection.sendall(first)
                while not over.wait(pause):
                    connection.sendall(drop)
            except OSError:
                return

    def accept() -> None:
        while not over.is_set():
            try:
                connection, _ = server.accept()
            except TimeoutError:
                continue
            connection.settimeout(5)
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize("first", [b"HTTP/1.1 200 OK\r\nx: ", HEAD + LENGTH])
def test_a_drop_now_and_then_keeps_no_call_going(first: bytes) -> None:
    with dripping(first, b"x", 0.05) as url, client() as http:
        began = time.monotonic()
        with pytest.raises(httpx.ReadTimeout):
            http.get(url, timeout=0.5)
        assert time.monotonic() - began < 3


def test_an_answer_without_end_is_cut_off() -> None:
    with (
        dripping(HEAD + LENGTH, b"x" * 1_000_000, 0.0001) as url,
        client() as http,
        pytest.raises(httpx.ReadError, match="larger than"),
    ):
        http.get(url, timeout=60)


def test_a_health_path_that_is_never_complete_is_silent_and_an_error_tells_what_came() -> None:
    with dripping(b"HTTP/1.1 200 OK\r\nx: ", b"x", 0.05) as url, client() as http:
        assert ask(http, url, (0.3, 0.4)).problem == "silent"
    words = b"HTTP/1.1 500 Oh\r\n" + LENGTH + b"database is down"
    with dripping(words, b".", 0.05) as url, client() as http:
        answer = ask(http, url, (0.5,))
    assert answer.status == 500
    assert answer.detail.startswith("database is down")


def test_a_registry_that_never_ends_its_list_is_unknown_within_its_bound() -> None:
    with dripping(HEAD + LENGTH + b"[", b" ", 0.05) as url:
        began = time.monotonic()
        with pytest.raises(Unreadable):
            listed_at(url)
        assert time.monotonic() - began < 6


def test_a_call_after_a_bounded_one_has_its_own_time() -> None:
    once = b"connection: close\r\ncontent-length: 2\r\n\r\n[]"
    with dripping(HEAD + once, b"", 30) as url, client() as http:
        for _ in range(2):
            assert http.get(url, timeout=0.7).json() == []
            time.sleep(0.4)
