"""Faults of the addresses that containers call each other at."""

from __future__ import annotations

from tests.faults import Fault, Healthy, Inject, both, replace, write
from tests.faults.docker import COMPOSE, service

DATABASE = "@postgres:5432/"
REGISTRY = "REGISTRY_URL: http://registry:8001"
REGISTRY_PORTS = 'ports: ["127.0.0.1:8001:8001"]'
POSTGRES_PORTS = 'ports: ["127.0.0.1:5432:5432"]'


def worker(*lines: str) -> Inject:
    """A further service that is built here, with these lines."""
    return both(
        service("  worker:\n    build: worker\n" + "".join(f"    {line}\n" for line in lines)),
        write("worker/Dockerfile", "FROM python:3.11\n"),
    )


ENTRIES = [
    Fault(
        "DOCK609",
        "the database of all",
        replace(COMPOSE, DATABASE, "@localhost:5432/"),
        target="registry.DATABASE_URL",
        group="addresses",
    ),
    Fault(
        "DOCK609",
        "a cache in a list",
        worker("environment:", "  - 'CELERY_BROKER=redis://127.0.0.1:6379/1' # the queue"),
        target="worker.CELERY_BROKER",
        group="addresses",
    ),
    Fault(
        "DOCK609",
        "the published port of it",
        both(
            replace(COMPOSE, POSTGRES_PORTS, 'ports: ["127.0.0.1:15432:5432"]'),
            worker(
                "environment: {DATABASE_URL: 'postgresql+asyncpg://saas_user:saas_password@localhost:15432/saas_platform'}"
            ),
        ),
        target="worker.DATABASE_URL",
        group="addresses",
    ),
    Fault(
        "DOCK609",
        "a host and a port",
        worker("environment: {POSTGRES_HOST: localhost, POSTGRES_PORT: 5432}"),
        target="worker.POSTGRES_HOST",
        group="addresses",
    ),
    Fault(
        "DOCK609",
        "a service that the variable names",
        worker("environment: [REGISTRY_URL=http://localhost:8001]"),
        target="worker.REGISTRY_URL",
        group="addresses",
    ),
    Fault(
        "DOCK609",
        "an env file",
        both(
            worker("env_file: worker/worker.env"),
            write("worker/worker.env", "# of this machine\nREDIS_URL=redis://localhost:6379/0\n"),
        ),
        fixed=False,
        target="worker.REDIS_URL",
    ),
    Healthy(
        "DOCK609",
        "an env file for two, and the one that reads it has its own value",
        both(
            service(
                "  page:\n    build: worker\n    env_file: worker/worker.env\n"
                "  reader:\n    build: worker\n    env_file: worker/worker.env\n"
                "    environment: {REDIS_URL: 'redis://redis:6379/0'}\n"
            ),
            write("worker/Dockerfile", "FROM python:3.11\n"),
            write("worker/worker.env", "REDIS_URL=redis://localhost:6379/0\n"),
        ),
    ),
    Healthy(
        "DOCK609",
        "a way to this machine",
        worker(
            "environment: {REDIS_URL: 'redis://localhost:6379/0'}",
            "extra_hosts: ['host.docker.internal:host-gateway']",
        ),
    ),
    Healthy(
        "DOCK609",
        "another address for localhost",
        worker(
            "environment: {REDIS_URL: 'redis://localhost:6379/0'}",
            "extra_hosts: {localhost: host-gateway}",
        ),
    ),
    Healthy(
        "DOCK609",
        "this machine's network",
        worker("environment: {REDIS_URL: 'redis://localhost:6379/0'}", "network_mode: host"),
    ),
    Healthy(
        "DOCK609",
        "a server of its own in the image",
        both(
            worker("environment: {REDIS_URL: 'redis://localhost:6379/0'}"),
            write(
                "worker/Dockerfile",
                "FROM python:3.11\nRUN apt-get update && apt-get install -y redis-server\n"
                'CMD ["./start.sh"]\n',
            ),
        ),
    ),
    Healthy(
        "DOCK609",
        "a way to the other that its start script makes",
        both(
            worker("environment: {REDIS_URL: 'redis://localhost:6379/0'}"),
            write("worker/Dockerfile", 'FROM python:3.11\nCOPY start.sh .\nCMD ["./start.sh"]\n'),
            write(
                "worker/start.sh",
                "#!/bin/sh\nsocat TCP-LISTEN:6379,fork TCP:redis:6379 &\nexec python worker.py\n",
            ),
        ),
    ),
    Healthy(
        "DOCK610",
        "a name that leads to this machine",
        both(
            replace(COMPOSE, REGISTRY_PORTS, 'ports: ["127.0.0.1:18001:8001"]'),
            worker(
                "environment: {REGISTRY_URL: 'http://registry:18001'}",
                "extra_hosts: ['registry:host-gateway']",
            ),
        ),
    ),
    Healthy(
        "DOCK610",
        "an address for browsers",
        both(
            replace(COMPOSE, REGISTRY_PORTS, 'ports: ["127.0.0.1:18001:8001"]'),
            worker("environment: {PUBLIC_URL: 'http://registry:18001'}"),
        ),
    ),
    Healthy(
        "DOCK610",
        "a port of a configuration that is mounted",
        both(
            service(
                '  proxy:\n    image: nginx:1\n    ports: ["127.0.0.1:8090:80"]\n'
                "    volumes: [./proxy.conf:/etc/nginx/conf.d/default.conf]\n"
                "  worker:\n    image: example.com/worker:1\n"
                "    environment: {PROXY_URL: 'http://proxy:8090'}\n"
            ),
            write("proxy.conf", "server { listen 80; listen 8090; }\n"),
        ),
    ),
    Healthy(
        "DOCK609",
        "an env file under the environment",
        both(
            worker("env_file: worker/worker.env", "environment: {REDIS_URL: 'redis://redis:6379'}"),
            write("worker/worker.env", "REDIS_URL=redis://localhost:6379/0\n"),
        ),
    ),
    Healthy(
        "DOCK609",
        "the code makes its address of others",
        both(
            worker("env_file: worker/worker.env", "environment: {DB_HOST: postgres}"),
            write("worker/worker.env", "DATABASE_URL=postgresql://a:b@localhost:5432/c\n"),
        ),
    ),
    Healthy(
        "DOCK609",
        "the machine's own network",
        worker("network_mode: host", "environment: [REDIS_URL=redis://localhost:6379/0]"),
    ),
    Healthy(
        "DOCK609",
        "the network of the one it calls",
        worker("network_mode: service:redis", "environment: [REDIS_URL=redis://localhost:6379/0]"),
    ),
    Healthy(
        "DOCK609",
        "a browser's addresses",
        worker(
            "environment:",
            "  VITE_REGISTRY_URL: http://localhost:8001",
            "  REGISTRY_CALLBACK_URL: http://localhost:8001/back",
            "  CORS_ORIGINS: http://localhost:8001,http://localhost:5173",
        ),
    ),
    Healthy(
        "DOCK609",
        "an address that none is named for",
        worker("environment: {API: 'http://localhost:8001'}"),
    ),
    Healthy(
        "DOCK609",
        "what it serves itself",
        worker("environment: {REGISTRY_URL: 'http://localhost:8001', PORT: 8001}"),
    ),
    Healthy(
        "DOCK609",
        "a store that no service is",
        worker("environment: {MONGO_URL: 'mongodb://localhost:27017', DB_HOST: localhost}"),
    ),
    Healthy(
        "DOCK609",
        "the machine by its name",
        worker("environment: [REDIS_URL=redis://host.docker.internal:6379/0]"),
    ),
    Healthy(
        "DOCK609",
        "an image of others with the env file of all",
        both(
            service("  admin:\n    image: adminer\n    env_file: worker.env\n"),
            write("worker.env", "REDIS_URL=redis://localhost:6379/0\n"),
        ),
    ),
    # The port of this machine.
    Fault(
        "DOCK610",
        "the registry of all",
        both(
            replace(COMPOSE, REGISTRY_PORTS, 'ports: ["127.0.0.1:18001:8001"]'),
            replace(COMPOSE, REGISTRY, "REGISTRY_URL: http://registry:18001"),
        ),
        target="gateway.REGISTRY_URL",
        group="addresses",
    ),
    Fault(
        "DOCK610",
        "the database",
        both(
            replace(COMPOSE, POSTGRES_PORTS, 'ports: ["127.0.0.1:15432:5432"]'),
            replace(COMPOSE, DATABASE, "@postgres:15432/"),
        ),
        target="registry.DATABASE_URL",
        group="addresses",
    ),
    Fault(
        "DOCK610",
        "a port of its own",
        both(
            replace(COMPOSE, POSTGRES_PORTS, 'ports: ["127.0.0.1:15432:5432"]'),
            worker("environment:", "  DB_HOST: postgres", "  DB_PORT: 15432"),
        ),
        target="worker.DB_PORT",
        group="addresses",
    ),
    Fault(
        "DOCK610",
        "by its alias",
        both(
            replace(
                COMPOSE,
                POSTGRES_PORTS,
                'ports: ["127.0.0.1:15432:5432"]\n    networks: { default: { aliases: [db] } }',
            ),
            worker("environment: ['DATABASE_URL=postgresql://a:b@db:15432/c']"),
        ),
        target="worker.DATABASE_URL",
        group="addresses",
    ),
    Healthy(
        "DOCK610",
        "the container's port",
        replace(COMPOSE, REGISTRY_PORTS, 'ports: ["127.0.0.1:18001:8001"]'),
    ),
    Healthy(
        "DOCK610",
        "it listens at both",
        both(
            replace(
                COMPOSE, REGISTRY_PORTS, 'ports: ["127.0.0.1:18001:8001"]\n    expose: [18001]'
            ),
            replace(COMPOSE, REGISTRY, "REGISTRY_URL: http://registry:18001"),
        ),
    ),
    Healthy(
        "DOCK610",
        "its command says so",
        both(
            replace(
                COMPOSE,
                REGISTRY_PORTS,
                'ports: ["127.0.0.1:18001:8001"]\n    command: run --port 18001',
            ),
            replace(COMPOSE, REGISTRY, "REGISTRY_URL: http://registry:18001"),
        ),
    ),
    Healthy(
        "DOCK610",
        "a host of another name",
        both(
            replace(COMPOSE, REGISTRY_PORTS, 'ports: ["127.0.0.1:18001:8001"]'),
            replace(COMPOSE, REGISTRY, "REGISTRY_URL: http://registry.example.com:18001"),
        ),
    ),
]
