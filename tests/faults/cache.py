"""Faults of Redis, on real servers."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import redis

from tests.faults import Copy, Fault, Healthy, Inject, replace, setenv
from tests.testbed.cache import RedisServer
from tests.testbed.ports import black_hole, free_port, listener, wait_for_port

ENV = "backend/.env"
COMPOSE = "docker-compose.yml"
PLAIN = "redis://127.0.0.1:{port}/0"


def use(url: str) -> Inject:
    def inject(copy: Copy) -> None:
        replace(ENV, copy.redis_url, url)(copy)

    return inject


def server(
    address: str,
    *commands: tuple[str, ...],
    password: str | None = None,
    options: tuple[str, ...] = (),
    then: Callable[[RedisServer], object] | None = None,
) -> Inject:
    """A Redis of its own, which gets these commands; `{port}` is its port in the address."""

    @contextmanager
    def running(copy: Copy) -> Iterator[None]:
        own = RedisServer(password, *options)
        try:
            with redis.Redis.from_url(own.url) as client:
                for command in commands:
                    client.execute_command(*command)
            held = then(own) if then else None
            use(address.format(port=own.port))(copy)
            yield
            del held
        finally:
            own.stop()

    return running


def until(own: RedisServer, question: Callable[[redis.Redis], bool]) -> None:
    with redis.Redis.from_url(own.url) as client:
        deadline = time.monotonic() + 20
        while not question(client):
            assert time.monotonic() < deadline
            time.sleep(0.02)


def can_not_save(own: RedisServer) -> None:
    """Its folder is one that nobody can write to, not even root."""
    with redis.Redis.from_url(own.url) as client:
        client.execute_command("BGSAVE")
    until(own, lambda client: client.info()["rdb_last_bgsave_status"] == "err")


def loads_for_long(own: RedisServer) -> None:
    with redis.Redis.from_url(own.url) as client:
        for number in range(2000):
            client.set(f"key{number}", "x" * 100)
        client.config_set("key-load-delay", 20_000)

    def reload() -> None:
        with contextlib.suppress(redis.RedisError), redis.Redis.from_url(own.url) as client:
            client.execute_command("DEBUG RELOAD")

    threading.Thread(target=reload, daemon=True).start()

    def loading(client: redis.Redis) -> bool:
        try:
            client.ping()
        except redis.exceptions.BusyLoadingError:
            return True
        return False

    until(own, loading)


def busy(own: RedisServer) -> None:
    def spin() -> None:
        with contextlib.suppress(redis.RedisError), redis.Redis.from_url(own.url) as client:
            client.eval("while true do end", 0)

    threading.Thread(target=spin, daemon=True).start()

    def says_busy(client: redis.Redis) -> bool:
        try:
            client.ping()
        except redis.RedisError as error:
            return "BUSY" in str(error) or "busy" in str(error)
        return False

    until(own, says_busy)


def full_and_makes_room(own: RedisServer) -> None:
    with redis.Redis.from_url(own.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        for number in range(1000):
            client.set(f"key{number}", "x" * 2000)
        client.config_set("maxmemory", client.info()["used_memory"] - 500_000)


def no_client_more(own: RedisServer) -> object:
    """As many clients as it takes are there; they stay as long as what is returned."""
    client = redis.Redis.from_url(own.url)
    client.config_set("maxclients", 1)
    return client


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


def says(*answers: bytes) -> Inject:
    """A server that says this to every call."""

    @contextmanager
    def running(copy: Copy) -> Iterator[None]:
        server = socket.create_server(("127.0.0.1", 0))
        over = threading.Event()

        def answer() -> None:
            while not over.is_set():
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection, contextlib.suppress(OSError):
                    for text in answers:
                        connection.sendall(text)
                    connection.recv(1000)

        threading.Thread(target=answer, daemon=True).start()
        use(f"redis://127.0.0.1:{server.getsockname()[1]}/0")(copy)
        try:
            yield
        finally:
            over.set()
            server.close()

    return running


@contextmanager
def sentinel(copy: Copy) -> Iterator[None]:
    port = free_port()
    file = copy.root.with_name("sentinel.conf")
    file.write_text(f"port {port}\nbind 127.0.0.1\n")
    process = subprocess.Popen(
        ["redis-server", str(file), "--sentinel"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for_port(port)
        use(f"redis://127.0.0.1:{port}/0")(copy)
        yield
    finally:
        process.kill()
        process.wait()


def tls(address: str, clients: str = "no") -> Inject:
    """A Redis that speaks TLS alone; `clients`: whether they need a certificate."""

    @contextmanager
    def running(copy: Copy) -> Iterator[None]:
        port, folder = free_port(), copy.root.parent
        argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
        argv += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
        argv += ["-keyout", f"{folder}/redis.key", "-out", f"{folder}/redis.crt"]
        subprocess.run(argv, check=True, capture_output=True)
        options = ["--port", "0", "--tls-port", str(port), "--tls-auth-clients", clients]
        options += [
            "--tls-cert-file",
            f"{folder}/redis.crt",
            "--tls-key-file",
            f"{folder}/redis.key",
        ]
        options += ["--tls-ca-cert-file", f"{folder}/redis.crt", "--bind", "127.0.0.1"]
        process = subprocess.Popen(
            ["redis-server", *options, "--save", ""],
            cwd="/tmp",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        try:
            wait_for_port(port)
            use(address.format(port=port, folder=folder))(copy)
            yield
        finally:
            process.kill()
            process.wait()

    return running


def published_elsewhere(address: str, *, given: bool = False) -> Inject:
    """Compose's Redis is published at another port than the settings name, and runs there."""

    @contextmanager
    def running(copy: Copy) -> Iterator[None]:
        own = RedisServer()
        try:
            old = '["127.0.0.1:6379:6379"]'
            replace(COMPOSE, old, f'["127.0.0.1:{own.port}:6379"]')(copy)
            if given:
                replace(
                    COMPOSE,
                    "x-service: &service\n",
                    "x-service: &service\n  env_file: backend/.env\n",
                )(copy)
            use(address)(copy)
            yield
        finally:
            own.stop()

    return running


def no_address(copy: Copy) -> None:
    replace(ENV, f"REDIS_URL={copy.redis_url}\n", "")(copy)


def user(*rights: str) -> tuple[str, ...]:
    return ("ACL", "SETUSER", "app", "on", ">app-secret", *rights)


AS_USER = "redis://app:app-secret@127.0.0.1:{port}/0"
UNSAVED = ("--dir", "/proc", "--save", "3600 1")
DEBUG = ("--enable-debug-command", "yes", "--dbfilename", "sd-loading.rdb")
DEBUG_SLOWLY = (*DEBUG, "--loading-process-events-interval-bytes", "1024")


def found(name: str, inject: Inject, **rest: object) -> Fault:
    return Fault("RED501", name, inject, **{"fixed": False, **rest})  # type: ignore[arg-type]


def mended(name: str, inject: Inject, target: str = "") -> Fault:
    """Mended in the settings file, as the compose file says."""
    against, also = ("CFG90", "DOCK"), ("NET409",)  # what runs there is no container
    return Fault("RED501", name, inject, also, target=target, against=against, group="redis")


ENTRIES = [
    found("nothing on the port", use("redis://127.0.0.1:9/0"), target="127.0.0.1:9"),
    found("a host of the compose network", use("redis://redis.invalid/0")),
    found("no password", server(PLAIN, password="cache-secret")),
    found(
        "a wrong password",
        server("redis://:wrong@127.0.0.1:{port}/0", password="cache-secret"),
    ),
    found("a user that is not there", server("redis://nobody:x@127.0.0.1:{port}/0")),
    found("a user that is off", server(AS_USER, (*user("~*", "+@all"), "off"))),
    found("a user without rights", server(AS_USER, user("~*"))),
    found("a user of other commands", server(AS_USER, user("~*", "+ping", "+info"))),
    found("no such database", server("redis://127.0.0.1:{port}/99")),
    found("full", server(PLAIN, ("SET", "a", "b"), ("CONFIG", "SET", "maxmemory", "1"))),
    found(
        "full of what stays",
        server(
            PLAIN,
            ("SET", "a", "b"),
            ("CONFIG", "SET", "maxmemory-policy", "volatile-lru"),
            ("CONFIG", "SET", "maxmemory", "1"),
        ),
    ),
    found("a user who may read alone", server(AS_USER, user("~*", "+@read"))),
    found("a user who may all but write", server(AS_USER, user("~*", "+@all", "-@write"))),
    found("writes wait", server(PLAIN, ("CLIENT", "PAUSE", "60000", "WRITE"))),
    found(
        "a number in a cluster",
        server(
            "redis://127.0.0.1:{port}/1",
            options=("--cluster-enabled", "yes", "--cluster-config-file", "sd-nodes.conf"),
        ),
    ),
    found("a read-only replica", server(PLAIN, ("REPLICAOF", "127.0.0.1", "9"))),
    found(
        "a replica that serves nothing old",
        server(
            PLAIN,
            ("CONFIG", "SET", "replica-serve-stale-data", "no"),
            ("REPLICAOF", "127.0.0.1", "9"),
        ),
    ),
    found("it could not save", server(PLAIN, options=UNSAVED, then=can_not_save)),
    found("too few replicas", server(PLAIN, ("CONFIG", "SET", "min-replicas-to-write", "1"))),
    found("loading", server(PLAIN, options=DEBUG_SLOWLY, then=loads_for_long)),
    found(
        "busy with a script",
        server(PLAIN, ("CONFIG", "SET", "busy-reply-threshold", "50"), then=busy),
    ),
    found("all clients taken", server(PLAIN, then=no_client_more)),
    found(
        "protected mode",
        says(b"-DENIED Redis is running in protected mode because protected mode is enabled\r\n"),
    ),
    found(
        "a cluster without servers",
        server(
            PLAIN, options=("--cluster-enabled", "yes", "--cluster-config-file", "sd-nodes.conf")
        ),
    ),
    found("a Sentinel", sentinel),
    found("TLS alone, of its own authority", tls("redis://127.0.0.1:{port}/0")),
    found("an authority that nobody knows", tls("rediss://127.0.0.1:{port}/0")),
    found(
        "a certificate of the client's",
        tls("rediss://127.0.0.1:{port}/0?ssl_ca_certs={folder}/redis.crt", "yes"),
    ),
    mended(
        "TLS asked of a plain one",
        server("rediss://127.0.0.1:{port}/0?ssl_cert_reqs=none"),
    ),
    found("another server", http_server),
    found("a mail server", says(b"220 mail.example.com ESMTP\r\n")),
    found("a server that closes", says()),
    found("a server that says nothing", silent_server),
    found("another address in the shell", setenv(REDIS_URL="redis://127.0.0.1:9/0")),
    mended(
        "published at another port",
        published_elsewhere("redis://localhost:9/0"),
        target="localhost:9",
    ),
    mended(
        "by the name that containers know",
        published_elsewhere("redis://redis:6379/0"),
        target="redis:6379",
    ),
    found(
        "by the name that containers know, which are given the file",
        published_elsewhere("redis://redis:6379/0", given=True),
        also=("NET409",),
    ),
    Healthy(
        "RED501",
        "the right password",
        server("redis://:cache-secret@127.0.0.1:{port}/0", password="cache-secret"),
    ),
    Healthy("RED501", "a user with rights", server(AS_USER, user("~*", "+@all"))),
    Healthy(
        "RED501",
        "a user with rights for some keys",
        server(AS_USER, user("~app:*", "+get", "+set")),
    ),
    Healthy("RED501", "a user who may not ask", server(AS_USER, user("~*", "+get", "+set"))),
    Healthy(
        "RED501",
        "full, and it makes room",
        server(PLAIN, then=full_and_makes_room),
    ),
    Healthy(
        "RED501",
        "no save, and it goes on",
        server(
            PLAIN,
            ("CONFIG", "SET", "stop-writes-on-bgsave-error", "no"),
            options=UNSAVED,
            then=can_not_save,
        ),
    ),
    Healthy(
        "RED501",
        "a replica that takes writes",
        server(
            PLAIN, ("CONFIG", "SET", "replica-read-only", "no"), ("REPLICAOF", "127.0.0.1", "9")
        ),
    ),
    Healthy("RED501", "a password that it does not ask", server("redis://:x@127.0.0.1:{port}/0")),
    Healthy("RED501", "the last database", server("redis://127.0.0.1:{port}/15")),
    Healthy("RED501", "by its name", server("redis://localhost:{port}")),
    Healthy(
        "RED501",
        "TLS with its authority",
        tls("rediss://127.0.0.1:{port}/0?ssl_ca_certs={folder}/redis.crt"),
    ),
    Healthy(
        "RED501",
        "TLS with certificates of both",
        tls(
            "rediss://127.0.0.1:{port}/0?ssl_ca_certs={folder}/redis.crt"
            "&ssl_certfile={folder}/redis.crt&ssl_keyfile={folder}/redis.key",
            "yes",
        ),
    ),
    Healthy("RED501", "no Redis in the settings", no_address),
]
