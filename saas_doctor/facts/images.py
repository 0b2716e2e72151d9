"""What is known of well-known images: what they serve, where, and that they check no health."""

from __future__ import annotations

import re

from msgspec import Struct


class Store(Struct, frozen=True):
    """A kind of server that services keep things in.

    `words` end the part of a variable's name before `_HOST`. `health` asks it whether it is ready,
    as a list for `healthcheck.test`.
    """

    name: str
    port: int
    images: tuple[str, ...]
    schemes: tuple[str, ...]
    words: tuple[str, ...]
    health: tuple[str, ...] = ()


STORES = (
    Store(
        "Postgres",
        5432,
        ("postgres", "postgis/postgis", "pgvector/pgvector"),
        ("postgresql", "postgres"),
        ("POSTGRES", "POSTGRESQL", "PG"),
        ("CMD-SHELL", "pg_isready -U $${POSTGRES_USER:-postgres}"),
    ),
    Store("Redis", 6379, ("redis",), ("redis", "rediss"), ("REDIS",), ("CMD", "redis-cli", "ping")),
    Store(
        "Valkey",
        6379,
        ("valkey/valkey",),
        ("valkey", "valkeys"),
        ("VALKEY",),
        ("CMD", "valkey-cli", "ping"),
    ),
    Store("MySQL", 3306, ("mysql", "mariadb"), ("mysql", "mariadb"), ("MYSQL", "MARIADB")),
    Store("MongoDB", 27017, ("mongo",), ("mongodb",), ("MONGO", "MONGODB")),
    Store(
        "RabbitMQ",
        5672,
        ("rabbitmq",),
        ("amqp", "amqps", "pyamqp"),
        ("RABBITMQ", "RABBIT"),
        ("CMD", "rabbitmq-diagnostics", "-q", "ping"),
    ),
)

# Docker's official images have no HEALTHCHECK, by their own policy; these are looked up.
_UNCHECKED = {
    "adminer", "alpine", "busybox", "caddy", "debian", "golang", "httpd", "mariadb", "memcached",
    "mongo", "mysql", "nats", "nginx", "node", "pgvector/pgvector", "postgis/postgis", "postgres",
    "python", "rabbitmq", "redis", "scratch", "traefik", "ubuntu", "valkey/valkey",
}  # fmt: skip


def repository(image: str) -> str:
    """An image's name without its registry, where that is Docker's own, and without its tag."""
    name = re.sub(r":[^/:]*$", "", image.partition("@")[0])
    return re.sub(r"^(docker\.io/|index\.docker\.io/)?(library/)?", "", name)


def tag(image: str) -> str:
    found = re.search(r":([^/:@]+)(@.*)?$", image)
    return found[1] if found else ""


def store_of(image: str) -> Store | None:
    name = repository(image)
    return next((store for store in STORES if name in store.images), None)


def checks_no_health(image: str) -> bool:
    """Whether the image is one that is known to have no health check of its own."""
    return repository(image) in _UNCHECKED


def postgres_major(image: str) -> int | None:
    """The major version of an image that begins as the official Postgres one does."""
    store = store_of(image)
    if store is None or store.name != "Postgres":
        return None
    found = re.match(r"(?:pg)?(\d{1,2})(?![\d])", tag(image))
    if repository(image) == "pgvector/pgvector":
        found = re.search(r"pg(\d{1,2})(?![\d])", tag(image))
    return int(found[1]) if found else None


def python_minor(image: str) -> str:
    """The version, such as 3.8, of an image that is the official Python one; else an empty text."""
    found = re.match(r"3\.\d+(?!\d)", tag(image)) if repository(image) == "python" else None
    return found[0] if found else ""
