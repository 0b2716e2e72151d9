"""Faults of Redis, on real servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from tests.faults import Copy, Fault, Healthy, Inject, replace, setenv
from tests.testbed.cache import RedisServer
from tests.testbed.ports import black_hole, free_port, listener

ENV = "backend/.env"


def use(url: str) -> Inject:
    def inject(copy: Copy) -> None:
        replace(ENV, copy.redis_url, url)(copy)

    return inject


def server(address: str, *commands: tuple[str, ...], password: str | None = None) -> Inject:
    """A Redis of its own, which gets these commands; `{port}` is its port in the address."""

    @contextmanager
    def running(copy: Copy) -> Iterator[None]:
        own = RedisServer(password)
        try:
            with redis.Redis.from_url(own.url) as client:
                for command in commands:
                    client.execute_command(*command)
            use(address.format(port=own.port))(copy)
            yield
        finally:
            own.stop()

    return running


@contextmanager
def http_server(copy: Copy) -> Iterator[None]:
    port = free_port()
    use(f"redis://127.0.0.1:{port}/0")(copy)
    with listener(port):
        yield


@contextmanager
def silent_server(copy: Copy) -> Iterator[None]:
    port = free_port()
    use(f"redis://127.0.0.1:{port}/0")(copy)
    with black_hole(port):
        yield


def no_address(copy: Copy) -> None:
    replace(ENV, f"REDIS_URL={copy.redis_url}\n", "")(copy)


PLAIN = "redis://127.0.0.1:{port}/0"

ENTRIES = [
    Fault(
        "RED501",
        "nothing on the port",
        use("redis://127.0.0.1:9/0"),
        fixed=False,
        target="127.0.0.1:9",
    ),
    Fault("RED501", "a host of the compose network", use("redis://redis.invalid/0"), fixed=False),
    Fault("RED501", "no password", server(PLAIN, password="cache-secret"), fixed=False),
    Fault(
        "RED501",
        "a wrong password",
        server("redis://:wrong@127.0.0.1:{port}/0", password="cache-secret"),
        fixed=False,
    ),
    Fault("RED501", "no such database", server("redis://127.0.0.1:{port}/99"), fixed=False),
    Fault(
        "RED501",
        "full",
        server(PLAIN, ("SET", "a", "b"), ("CONFIG", "SET", "maxmemory", "1")),
        fixed=False,
    ),
    Fault(
        "RED501", "a read-only replica", server(PLAIN, ("REPLICAOF", "127.0.0.1", "9")), fixed=False
    ),
    Fault("RED501", "another server", http_server, fixed=False),
    Fault("RED501", "a server that says nothing", silent_server, fixed=False),
    Fault(
        "RED501",
        "another address in the shell",
        setenv(REDIS_URL="redis://127.0.0.1:9/0"),
        fixed=False,
    ),
    Healthy(
        "RED501",
        "the right password",
        server("redis://:cache-secret@127.0.0.1:{port}/0", password="cache-secret"),
    ),
    Healthy(
        "RED501",
        "full, and it makes room",
        server(
            PLAIN,
            ("CONFIG", "SET", "maxmemory-policy", "allkeys-lru"),
            ("CONFIG", "SET", "maxmemory", "1"),
        ),
    ),
    Healthy("RED501", "no Redis in the settings", no_address),
]
