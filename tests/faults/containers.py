"""Faults between the containers of the Compose file: ports, waiting, data."""

from __future__ import annotations

from tests.faults import Fault, Healthy, Inject, both, replace, write
from tests.faults.docker import COMPOSE, service

REDIS_IMAGE = "    image: redis:7\n"
REDIS_PORTS = '    ports: ["127.0.0.1:6379:6379"]\n'
REDIS_HEALTH = (
    '    healthcheck:\n      test: ["CMD", "redis-cli", "ping"]\n      interval: 2s\n'
    "      timeout: 3s\n      retries: 30\n"
)
POSTGRES_IMAGE = "    image: postgres:16\n"
POSTGRES_DATA = 'volumes: ["postgres_data:/var/lib/postgresql/data"]'
GATEWAY_WAITS = "redis: { condition: service_started }"
WAITS = "redis: { condition: service_healthy }"
CORE_PORTS = 'ports: ["127.0.0.1:8002:8002"]'
WORKER = (
    "  worker:\n    image: example.com/worker:1\n    depends_on:\n"
    "      gauge: { condition: service_healthy }\n"
)


def waits_for_gauge(gauge: str) -> Inject:
    """A worker that waits until the service `gauge` is healthy; its further lines."""
    return service(f"{WORKER}  gauge:\n{gauge}")


ENTRIES = [
    Healthy(
        "DOCK607",
        "a service without a container",
        service(
            '  cache:\n    image: redis:7\n    ports: ["6379:6379"]\n    deploy: {replicas: 0}\n'
        ),
    ),
    Fault(
        "DOCK607",
        "the same port",
        service('  cache:\n    image: redis:7\n    ports: ["127.0.0.1:6379:6379"]\n'),
        fixed=False,
        target="6379/tcp cache",
    ),
    Fault(
        "DOCK607",
        "one at all addresses",
        service('  cache:\n    image: redis:7\n    ports: ["6379:6380"]\n'),
        fixed=False,
        target="6379/tcp cache",
    ),
    Fault(
        "DOCK607",
        "in a range",
        service(
            "  cache:\n    image: redis:7\n    ports:\n"
            '      - { target: 6379, published: "8001", host_ip: 127.0.0.1 }\n'
            '  other:\n    image: redis:7\n    ports: ["127.0.0.1:9000-9002:9000-9002", "9002:80/tcp"]\n'
        ),
        fixed=False,
        target="9002/tcp other",
    ),
    Fault(
        "DOCK607",
        "by a variable",
        both(
            write(".env", "CACHE_PORT=8000\n"),
            service(
                "  cache:\n    image: redis:7\n    ports:\n      - 127.0.0.1:${CACHE_PORT:-7000}:6379\n"
            ),
        ),
        fixed=False,
        target="8000/tcp cache",
    ),
    Healthy(
        "DOCK607",
        "another protocol",
        service('  cache:\n    image: redis:7\n    ports: ["127.0.0.1:6379:6379/udp"]\n'),
    ),
    Healthy(
        "DOCK607",
        "another address",
        service('  cache:\n    image: redis:7\n    ports: ["127.0.0.2:6379:6379"]\n'),
    ),
    Healthy(
        "DOCK607",
        "profiles of which one is taken",
        service(
            '  cache:\n    image: redis:7\n    profiles: [a]\n    ports: ["6379:6379"]\n'
            '  other:\n    image: redis:7\n    profiles: [b]\n    ports: ["6379:6379"]\n'
        ),
    ),
    Healthy(
        "DOCK607",
        "any free one of a range",
        service(
            '  cache:\n    image: redis:7\n    ports: ["127.0.0.1:8000-8010:6379"]\n'
            '  other:\n    image: redis:7\n    ports: ["127.0.0.1:8000-8010:6379", "6379"]\n'
        ),
    ),
    Healthy(
        "DOCK607",
        "the machine's own network",
        service('  cache:\n    image: redis:7\n    network_mode: host\n    ports: ["6379:6379"]\n'),
    ),
    Healthy(
        "DOCK607",
        "a variable that is not set",
        service('  cache:\n    image: redis:7\n    ports: ["${CACHE_PORT}:6379"]\n'),
    ),
    # Waiting.
    Fault(
        "DOCK608",
        "Redis without a health check",
        both(replace(COMPOSE, REDIS_HEALTH, ""), replace(COMPOSE, GATEWAY_WAITS, WAITS)),
        target="redis",
    ),
    Fault(
        "DOCK608",
        "Postgres without one",
        replace(
            COMPOSE,
            '    healthcheck:\n      test: ["CMD-SHELL", "pg_isready -U saas_user -d saas_platform"]\n'
            "      interval: 2s\n      timeout: 3s\n      retries: 30\n",
            "",
        ),
        target="postgres",
        at="docker-compose.yml:postgres: { condition: service_healthy }",
    ),
    Fault(
        "DOCK608",
        "it is taken away",
        both(
            replace(COMPOSE, REDIS_HEALTH, "    healthcheck: { disable: true }\n"),
            replace(COMPOSE, GATEWAY_WAITS, WAITS),
        ),
        fixed=False,
        target="redis",
    ),
    Fault(
        "DOCK608",
        "none",
        waits_for_gauge('    image: redis:7\n    healthcheck: { test: ["NONE"] }\n'),
        fixed=False,
        target="gauge",
    ),
    Fault(
        "DOCK608",
        "a build without one",
        both(
            waits_for_gauge("    build: gauge\n"),
            write("gauge/Dockerfile", "ARG BASE=python:3.11\nFROM ${BASE} AS run\nFROM run\n"),
        ),
        fixed=False,
        target="gauge",
    ),
    Fault(
        "DOCK608",
        "a Dockerfile takes it away",
        both(
            waits_for_gauge("    build: gauge\n"),
            write(
                "gauge/Dockerfile",
                "FROM python:3.11\nHEALTHCHECK CMD true\nHEALTHCHECK NONE\n",
            ),
        ),
        fixed=False,
        target="gauge",
    ),
    Healthy(
        "DOCK608", "an image of one's own", waits_for_gauge("    image: example.com/gauge:1\n")
    ),
    Healthy(
        "DOCK608",
        "the Dockerfile checks",
        both(
            waits_for_gauge("    build: gauge\n"),
            write(
                "gauge/Dockerfile",
                "FROM python:3.11 AS base\nHEALTHCHECK --interval=5s CMD true\nFROM base\nRUN true\n",
            ),
        ),
    ),
    Healthy(
        "DOCK608",
        "built on another image",
        both(
            waits_for_gauge("    build: gauge\n"),
            write("gauge/Dockerfile", "FROM example.com/base:1\n"),
        ),
    ),
    Healthy("DOCK608", "it waits for the start", replace(COMPOSE, REDIS_HEALTH, "")),
    Healthy(
        "DOCK608",
        "it can do without",
        both(
            replace(COMPOSE, REDIS_HEALTH, ""),
            replace(
                COMPOSE, GATEWAY_WAITS, "redis: { condition: service_healthy, required: false }"
            ),
        ),
    ),
    Healthy(
        "DOCK608",
        "an override brings it",
        both(
            replace(COMPOSE, REDIS_HEALTH, ""),
            replace(COMPOSE, GATEWAY_WAITS, WAITS),
            write(
                "docker-compose.override.yml",
                "services:\n  redis:\n    healthcheck: { test: redis-cli ping }\n",
            ),
        ),
    ),
    # Data.
    Fault(
        "DOCK611",
        "data of another version",
        both(
            replace(COMPOSE, POSTGRES_DATA, 'volumes: ["./data/pg:/var/lib/postgresql/data"]'),
            write("data/pg/PG_VERSION", "15\n"),
        ),
        fixed=False,
        target="postgres",
        at="docker-compose.yml:image: postgres:16",
    ),
    Fault(
        "DOCK611",
        "in a folder of the mount",
        both(
            replace(
                COMPOSE,
                POSTGRES_DATA,
                "volumes: [{ type: bind, source: ./data, target: /var/lib/postgresql }]",
            ),
            write("data/data/PG_VERSION", "9.6\n"),
        ),
        fixed=False,
        target="postgres",
        at="docker-compose.yml:image: postgres:16",
    ),
    Fault(
        "DOCK611",
        "18 mounted as 17 was",
        replace(COMPOSE, POSTGRES_IMAGE, "    image: postgres:18-alpine\n"),
        fixed=False,
        target="postgres",
        at="docker-compose.yml:volumes: [",
    ),
    Healthy(
        "DOCK611",
        "data of this version",
        both(
            replace(COMPOSE, POSTGRES_DATA, 'volumes: ["./data/pg:/var/lib/postgresql/data"]'),
            write("data/pg/PG_VERSION", "16\n"),
        ),
    ),
    Healthy(
        "DOCK611",
        "no data yet",
        replace(COMPOSE, POSTGRES_DATA, 'volumes: ["./data/pg:/var/lib/postgresql/data"]'),
    ),
    Healthy(
        "DOCK611",
        "18 mounted as it wants",
        both(
            replace(COMPOSE, POSTGRES_IMAGE, "    image: postgres:18\n"),
            replace(COMPOSE, POSTGRES_DATA, 'volumes: ["postgres_data:/var/lib/postgresql"]'),
        ),
    ),
    Healthy(
        "DOCK611",
        "18 that is told where",
        both(
            replace(COMPOSE, POSTGRES_IMAGE, "    image: postgres:18\n"),
            replace(
                COMPOSE,
                "      POSTGRES_DB: saas_platform\n",
                "      POSTGRES_DB: saas_platform\n      PGDATA: /var/lib/postgresql/data/here\n",
            ),
        ),
    ),
    Healthy(
        "DOCK611",
        "a version that the tag does not tell",
        both(
            replace(COMPOSE, POSTGRES_IMAGE, "    image: postgres:latest\n"),
            replace(COMPOSE, POSTGRES_DATA, 'volumes: ["./data/pg:/var/lib/postgresql/data"]'),
            write("data/pg/PG_VERSION", "15\n"),
        ),
    ),
    # Numbers.
    Fault(
        "DOCK612",
        "22:22",
        replace(COMPOSE, REDIS_PORTS, "    ports:\n      - 22:22 # for the tunnel\n"),
        group="redis ports",
    ),
    Fault(
        "DOCK612",
        "in a row",
        replace(COMPOSE, REDIS_PORTS, "    ports: [6379:25,'7000:8']\n"),
        group="redis ports",
    ),
    Healthy("DOCK612", "in quotes", replace(COMPOSE, REDIS_PORTS, '    ports:\n      - "22:22"\n')),
    Healthy("DOCK612", "60 and more", replace(COMPOSE, REDIS_PORTS, "    ports: [6379:6379]\n")),
    Healthy(
        "DOCK612",
        "with an address",
        replace(COMPOSE, REDIS_PORTS, "    ports: [127.0.0.1:22:22]\n"),
    ),
    Healthy(
        "DOCK612",
        "of a variable",
        replace(COMPOSE, REDIS_PORTS, "    ports: ['${X:-22}:22', 22]\n"),
    ),
]
