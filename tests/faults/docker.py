"""Faults of the compose file."""

from __future__ import annotations

from tests.faults import Fault, Healthy, append, both, remove, replace, write

COMPOSE = "docker-compose.yml"

ENTRIES = [
    Fault(
        "DOCK601",
        "an open bracket",
        append(COMPOSE, "\nnetworks: [\n"),
        fixed=False,
        target=COMPOSE,
    ),
    Fault(
        "DOCK601", "a tab for blanks", append(COMPOSE, "\nnetworks:\n\tdefault: {}\n"), fixed=False
    ),
    Fault("DOCK601", "binary", write(COMPOSE, b"\x00\xff\x00"), fixed=False),
    Healthy(
        "DOCK601",
        "tags of Compose",
        append(COMPOSE, "\nx-old: !reset null\nx-more: !override []\n"),
    ),
    Healthy("DOCK601", "a comment at the end", append(COMPOSE, "\n# the end")),
    Fault(
        "DOCK602",
        "a key misspelt",
        replace(COMPOSE, "    image: redis:7\n", "    imag: redis:7\n    image: redis:7\n"),
        fixed=False,
        target="imag",
    ),
    Fault(
        "DOCK602",
        "neither image nor build",
        replace(COMPOSE, "    image: redis:7\n", ""),
        fixed=False,
        target="redis",
    ),
    Fault(
        "DOCK602",
        "waits for nobody",
        replace(COMPOSE, "      redis: { condition", "      rediss: { condition"),
        fixed=False,
        target="gateway:rediss",
    ),
    Fault(
        "DOCK602",
        "a key twice",
        replace(COMPOSE, "    image: redis:7\n", "    image: redis:7\n    image: redis:8\n"),
        fixed=False,
        target="image",
    ),
    Healthy("DOCK602", "keys of one's own", append(COMPOSE, "\nx-imag: {ports: no}\n")),
    Healthy(
        "DOCK602",
        "the old version",
        replace(COMPOSE, "services:\n  postgres", 'version: "3.8"\nservices:\n  postgres'),
    ),
    Healthy(
        "DOCK602",
        "the rest in an override file",
        both(
            replace(COMPOSE, "    image: redis:7\n", ""),
            write("docker-compose.override.yml", "services:\n  redis:\n    image: redis:7\n"),
        ),
    ),
    Fault(
        "DOCK604",
        "no Dockerfile",
        remove("docker/Dockerfile.plugin"),
        fixed=False,
        target="docker/Dockerfile.plugin",
    ),
    Fault(
        "DOCK604",
        "an instruction misspelt",
        replace("docker/Dockerfile.plugin", "FROM python", "FORM python"),
        fixed=False,
        target="docker/Dockerfile.plugin",
    ),
    Fault(
        "DOCK604",
        "an empty Dockerfile",
        write("docker/Dockerfile.plugin", "# later\n"),
        fixed=False,
    ),
    Fault(
        "DOCK604",
        "no env file",
        replace(
            COMPOSE, "    image: redis:7\n", "    image: redis:7\n    env_file: docker/redis.env\n"
        ),
        fixed=False,
        target="docker/redis.env",
    ),
    Fault(
        "DOCK604",
        "no build context",
        replace(COMPOSE, "    image: redis:7\n", "    build: ./cache\n"),
        fixed=False,
        target="cache",
    ),
    Healthy(
        "DOCK604",
        "an env file that need not be there",
        replace(
            COMPOSE,
            "    image: redis:7\n",
            "    image: redis:7\n    env_file: [{path: docker/redis.env, required: false}]\n",
        ),
    ),
    Healthy(
        "DOCK604",
        "a context at an address",
        replace(COMPOSE, "    image: redis:7\n", "    build: https://example.com/cache.git\n"),
    ),
    Healthy(
        "DOCK604",
        "directives, heredocs and an argument first",
        write(
            "docker/Dockerfile.plugin",
            "# syntax=docker/dockerfile:1\n# escape=`\nARG VERSION=3.11\nFROM python:${VERSION}\n"
            "RUN <<EOF\nFORM is no instruction here\nEOF\nRUN echo `\n  # a comment inside\n  done\n",
        ),
    ),
    Fault(
        "DOCK605",
        "a file that is not there",
        replace("docker/Dockerfile.plugin", "COPY backend/shared", "COPY shared"),
        fixed=False,
        target="docker/Dockerfile.plugin:shared",
    ),
    Fault(
        "DOCK605",
        "outside of the context",
        append("docker/Dockerfile.plugin", "COPY ../secrets /secrets\n"),
        fixed=False,
        target="docker/Dockerfile.plugin:../secrets",
    ),
    Fault(
        "DOCK605",
        "left out by .dockerignore",
        append(".dockerignore", "\nbackend/requirements.txt\n"),
        fixed=False,
        target="docker/Dockerfile.backend:backend/requirements.txt",
    ),
    Fault(
        "DOCK605",
        "other letters",
        replace("docker/Dockerfile.plugin", "COPY backend/shared", "COPY Backend/shared"),
        fixed=False,
    ),
    Healthy(
        "DOCK605",
        "from another stage, an address, a pattern, a variable",
        append(
            "docker/Dockerfile.plugin",
            "COPY --from=0 /nowhere /x\nADD https://example.com/a.tgz /a.tgz\n"
            "COPY package-lock.json* /app/\nARG WHAT\nCOPY ${WHAT} /what\n",
        ),
    ),
    Healthy(
        "DOCK605",
        "taken back in by .dockerignore",
        append(
            ".dockerignore", "\nbackend/*\n!backend/requirements.txt\n!backend/shared\n!backend\n"
        ),
    ),
    Healthy(
        "DOCK605",
        "made before the build",
        both(
            write(".gitignore", "build-info.txt\n"),
            append("docker/Dockerfile.plugin", "COPY build-info.txt /build-info.txt\n"),
        ),
    ),
    Fault(
        "DOCK607",
        "one port of two services",
        replace(COMPOSE, "127.0.0.1:8003:8003", "127.0.0.1:8002:8003"),
        fixed=False,
        also=("NET402",),
        target="8002",
    ),
    Fault(
        "DOCK607",
        "on all addresses and on one",
        replace(COMPOSE, '"127.0.0.1:6379:6379"', "5432:6379"),
        fixed=False,
        target="5432",
    ),
    Healthy(
        "DOCK607",
        "another protocol",
        replace(COMPOSE, '"127.0.0.1:6379:6379"', '"5432:6379/udp"'),
    ),
    Healthy(
        "DOCK607",
        "another address",
        replace(COMPOSE, '"127.0.0.1:6379:6379"', '"127.0.0.2:5432:6379"'),
    ),
    Fault(
        "DOCK608",
        "no health check",
        replace(
            COMPOSE,
            '      test: ["CMD-SHELL", "pg_isready -U saas_user -d saas_platform"]\n',
            '      test: ["NONE"]\n',
        ),
        fixed=False,
        target="core:postgres",
    ),
    Fault(
        "DOCK608",
        "a Redis to wait for",
        both(
            replace(
                COMPOSE,
                "redis: { condition: service_started }",
                "redis: { condition: service_healthy }",
            ),
            replace(COMPOSE, '      test: ["CMD", "redis-cli", "ping"]\n', "      disable: true\n"),
        ),
        fixed=False,
        target="gateway:redis",
    ),
    Healthy(
        "DOCK608",
        "an image that may bring one",
        both(
            replace(COMPOSE, "    image: postgres:16\n", "    image: example.com/database:16\n"),
            replace(
                COMPOSE,
                '      test: ["CMD-SHELL", "pg_isready -U saas_user -d saas_platform"]\n',
                "",
            ),
        ),
    ),
    Healthy(
        "DOCK608",
        "waits for the start only",
        both(
            replace(COMPOSE, '      test: ["CMD", "redis-cli", "ping"]\n', "      disable: true\n"),
        ),
    ),
    Fault(
        "DOCK609",
        "the database on localhost",
        replace(COMPOSE, "saas_password@postgres:5432", "saas_password@localhost:5432"),
        fixed=False,
        target="core:DATABASE_URL",
    ),
    Fault(
        "DOCK609",
        "the registry on localhost",
        replace(COMPOSE, "http://registry:8001", "http://127.0.0.1:8001"),
        fixed=False,
        target="core:REGISTRY_URL",
    ),
    Healthy(
        "DOCK609",
        "an address for the browser",
        replace(
            COMPOSE, "    REDIS_URL:", "    VITE_API_URL: http://localhost:8000\n    REDIS_URL:"
        ),
    ),
    Healthy(
        "DOCK609",
        "a port of nobody",
        replace(
            COMPOSE, "    REDIS_URL:", "    METRICS_URL: http://localhost:9100\n    REDIS_URL:"
        ),
    ),
    Fault(
        "DOCK610",
        "the port on the left",
        both(
            replace(COMPOSE, "127.0.0.1:8001:8001", "127.0.0.1:18001:8001"),
            replace(COMPOSE, "http://registry:8001", "http://registry:18001"),
        ),
        fixed=False,
        target="core:REGISTRY_URL",
    ),
    Healthy(
        "DOCK610",
        "the port on the right",
        replace(COMPOSE, "127.0.0.1:8001:8001", "127.0.0.1:18001:8001"),
    ),
    Healthy(
        "DOCK610",
        "exposed as well",
        both(
            replace(
                COMPOSE,
                '    ports: ["127.0.0.1:8001:8001"]',
                '    ports: ["18001:8001"]\n    expose: ["18001"]',
            ),
            replace(COMPOSE, "http://registry:8001", "http://registry:18001"),
        ),
    ),
    Fault(
        "DOCK612",
        "an unquoted small port",
        replace(COMPOSE, '["127.0.0.1:6379:6379"]', "[22:22]  # ssh"),
        target="redis:22:22",
        group="redis port",
    ),
    Fault(
        "DOCK612",
        "on a line of its own",
        replace(COMPOSE, ' ["127.0.0.1:6379:6379"]', "\n      - 2222:22\n      - 8080:8080"),
        target="redis:2222:22",
        group="redis port",
    ),
    Healthy(
        "DOCK612",
        "an unquoted large port",
        replace(COMPOSE, '["127.0.0.1:6379:6379"]', "[6379:6379]"),
    ),
    Healthy(
        "DOCK612",
        "quoted",
        replace(COMPOSE, '["127.0.0.1:6379:6379"]', '["2222:22"]'),
    ),
]
