"""Sockets of the file system in the place of an engine's: closed, left behind, answering what they are told to."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_OVERRIDE = 1
"""CAP_DAC_OVERRIDE, by which root opens what is closed to everybody."""


@contextmanager
def folder() -> Iterator[Path]:
    """A folder with a short path: that of a socket may have no more than 107 characters."""
    found = Path(tempfile.mkdtemp(prefix="sd-sock-", dir="/tmp"))
    try:
        yield found
    finally:
        shutil.rmtree(found, ignore_errors=True)


@contextmanager
def left_behind() -> Iterator[Path]:
    """A socket that nobody listens on any more."""
    with folder() as place, socket.socket(socket.AF_UNIX) as ended:
        ended.bind(str(place / "docker.sock"))
        ended.close()
        yield place / "docker.sock"


@contextmanager
def closed() -> Iterator[Path]:
    """A socket that this user may not open; root is one like all others meanwhile."""
    with folder() as place, socket.socket(socket.AF_UNIX) as engine, _without_override():
        path = place / "docker.sock"
        engine.bind(str(path))
        engine.listen()
        path.chmod(0)
        yield path


@contextmanager
def _without_override() -> Iterator[None]:
    """Without root's right to open what is closed, in this thread and those that it starts."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # of this thread
    before, now = (ctypes.c_uint32 * 6)(), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, before) == 0
    assert libc.capget(header, now) == 0
    now[0] &= ~(1 << _OVERRIDE)
    assert libc.capset(header, now) == 0
    try:
        yield
    finally:
        assert libc.capset(header, before) == 0


@contextmanager
def answering(answers: Mapping[str, Any]) -> Iterator[Path]:
    """An engine that gives these answers by the beginning of the path asked for, and 404 else."""
    with folder() as place, socket.socket(socket.AF_UNIX) as engine:
        path = place / "docker.sock"
        engine.bind(str(path))
        engine.listen()
        thread = threading.Thread(target=_serve, args=(engine, answers), daemon=True)
        thread.start()
        try:
            yield path
        finally:
            engine.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def _serve(engine: socket.socket, answers: Mapping[str, Any]) -> None:
    while True:
        try:
            connection, _ = engine.accept()
        except OSError:
            return
        with connection:
            connection.settimeout(5)
            try:
                words = connection.recv(65_536).decode().split()
                found = next((a for p, a in answers.items() if words[1].startswith(p)), None)
                status = "404 Not Found" if found is None else "200 OK"
                head = f"HTTP/1.0 {status}\r\nContent-Type: application/json\r\n\r\n"
                connection.sendall(head.encode() + json.dumps(found).encode())
            except OSError:
                continue
