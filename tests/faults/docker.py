"""Faults of the Compose file, and of the images that it has built."""

from __future__ import annotations

import os

from tests.faults import Copy, Fault, Healthy, Inject, append, both, remove, replace, setenv, write
from tests.testbed import compose

COMPOSE = "docker-compose.yml"
DOCKERFILE = "docker/Dockerfile.backend"
PLUGIN = "docker/Dockerfile.plugin"
IGNORE = ".dockerignore"


def accepted(copy: Copy) -> bool:
    """Whether the real Compose takes the file."""
    return compose.accepts(copy.root, copy.environ)


def service(text: str) -> Inject:
    """Put a further service into the Compose file; its lines are indented by two already."""
    return replace(
        COMPOSE, "\nvolumes:\n  postgres_data:\n", f"\n{text}\nvolumes:\n  postgres_data:\n"
    )


def first_line(text: str) -> Inject:
    return replace(COMPOSE, "x-service: &service\n", f"{text}\nx-service: &service\n")


def other_compose_file(name: str, change: str = "\n# another one\n") -> Inject:
    def inject(copy: Copy) -> None:
        text = copy.path(COMPOSE).read_text()
        copy.path(name).write_text(text + change)

    return inject


def link(path: str, to: str) -> Inject:
    def inject(copy: Copy) -> None:
        os.symlink(to, copy.path(path))

    return inject


CORE_PORTS = 'ports: ["127.0.0.1:8002:8002"]'
CORE_WAITS = "postgres: { condition: service_healthy }"
COPY_BACKEND = "COPY backend backend\n"
RUN_PIP = "RUN pip install --no-cache-dir -r backend/requirements.txt\nCOPY backend backend\n"
WITH_CACHE = (
    "RUN --mount=type=cache,target=/var/cache/pip pip install -r backend/requirements.txt\n"
)

ENTRIES = [
    Fault(
        "DOCK601",
        "an open bracket",
        append(COMPOSE, "\nnetworks: [\n"),
        works=accepted,
        fixed=False,
        target=COMPOSE,
    ),
    Fault(
        "DOCK601", "a tab for blanks", append(COMPOSE, "\nnetworks:\n\tdefault: {}\n"), fixed=False
    ),
    Fault("DOCK601", "binary", write(COMPOSE, b"\x00\xff\x00"), fixed=False),
    Fault(
        "DOCK601",
        "an override that is no YAML",
        write("docker-compose.override.yml", "services: {\n"),
        works=accepted,
        fixed=False,
        target="docker-compose.override.yml",
    ),
    Healthy(
        "DOCK601",
        "tags of Compose",
        append(COMPOSE, "\nx-old: !reset null\nx-more: !override []\n"),
    ),
    Healthy("DOCK601", "a comment at the end", append(COMPOSE, "\n# the end")),
    # What Compose refuses.
    Fault(
        "DOCK602",
        "a key that is nearly right",
        replace(COMPOSE, CORE_PORTS, 'port: ["127.0.0.1:8002:8002"]'),
        works=accepted,
        group="core-ports",
    ),
    Fault("DOCK602", "a version without quotes", first_line("version: 3.8"), works=accepted),
    Fault(
        "DOCK602",
        "a condition that is nearly right",
        replace(COMPOSE, CORE_WAITS, "postgres: { condition: service_heathy }"),
        works=accepted,
    ),
    Fault(
        "DOCK602",
        "a number in a list of texts",
        service("  extra:\n    image: redis:7\n    command: [redis-server, --port, 6380]\n"),
        works=accepted,
    ),
    Fault(
        "DOCK602",
        "an unknown key",
        replace(COMPOSE, CORE_PORTS, "gates: 8002"),
        works=accepted,
        fixed=False,
    ),
    Fault(
        "DOCK602",
        "a service of nothing",
        service("  extra:\n    command: sleep 1\n"),
        works=accepted,
        fixed=False,
    ),
    Fault(
        "DOCK602",
        "a volume that is not declared",
        replace(COMPOSE, "postgres_data:/var", "postgress_data:/var"),
        works=accepted,
        fixed=False,
    ),
    Fault(
        "DOCK602",
        "a network that is not declared",
        replace(COMPOSE, CORE_PORTS, f"{CORE_PORTS}\n    networks: [inner]"),
        works=accepted,
        fixed=False,
    ),
    Fault(
        "DOCK602",
        "a secret that is not declared",
        replace(COMPOSE, CORE_PORTS, f"{CORE_PORTS}\n    secrets: [key]"),
        works=accepted,
        fixed=False,
    ),
    Fault(
        "DOCK602",
        "it waits for nobody",
        replace(COMPOSE, CORE_WAITS, "postgresql: { condition: service_healthy }"),
        works=accepted,
        fixed=False,
    ),
    Fault(
        "DOCK602",
        "they wait for each other",
        replace(COMPOSE, "image: redis:7\n", "image: redis:7\n    depends_on: [gateway]\n"),
        works=accepted,
        fixed=False,
        at="docker-compose.yml:redis: { condition: service_started }",
    ),
    Fault(
        "DOCK602",
        "a service twice",
        service("  redis:\n    image: redis:6\n"),
        works=accepted,
        fixed=False,
    ),
    Fault(
        "DOCK602",
        "text in the place of a list",
        replace(COMPOSE, CORE_PORTS, 'ports: "127.0.0.1:8002:8002"'),
        works=accepted,
        fixed=False,
    ),
    Fault(
        "DOCK602",
        "a port that there is not",
        replace(COMPOSE, CORE_PORTS, 'ports: ["127.0.0.1:80020:8002"]'),
        works=accepted,
        fixed=False,
    ),
    Fault(
        "DOCK602",
        "an anchor that there is not",
        service("  extra: *services\n"),
        works=accepted,
        fixed=False,
    ),
    Fault(
        "DOCK602",
        "a variable that is not closed",
        replace(COMPOSE, CORE_PORTS, 'ports: ["${CORE_PORT:8002"]'),
        works=accepted,
        fixed=False,
    ),
    Fault(
        "DOCK602",
        "a time without a unit",
        service('  extra:\n    image: redis:7\n    stop_grace_period: "30"\n'),
        works=accepted,
        fixed=False,
    ),
    Fault(
        "DOCK602",
        "it includes what is not there",
        first_line("include: [monitoring.yml]"),
        works=accepted,
        fixed=False,
    ),
    Fault(
        "DOCK602",
        "a line of its settings that Compose can not read",
        write(".env", "SECRET_KEY='not closed\n"),
        works=accepted,
        fixed=False,
    ),
    Healthy(
        "DOCK602",
        "keys of one's own",
        both(
            first_line("x-any: {prots: 1}"),
            replace(COMPOSE, CORE_PORTS, f"{CORE_PORTS}\n    x-a: b"),
        ),
    ),
    Healthy("DOCK602", "the obsolete version", first_line('version: "3.8"')),
    Healthy(
        "DOCK602",
        "a list of merges",
        both(
            first_line("x-logs: &logs\n  logging: { driver: json-file }\n"),
            service("  extra:\n    <<: [*logs, *service]\n    image: redis:7\n"),
        ),
    ),
    Healthy(
        "DOCK602",
        "an override for a service",
        write(
            "docker-compose.override.yml",
            "services:\n  core:\n    environment: [LOG_LEVEL=debug]\n    ports: !reset []\n",
        ),
    ),
    Healthy(
        "DOCK602",
        "it extends another of the file",
        service("  extra:\n    extends: redis\n    ports: !override []\n"),
    ),
    Healthy(
        "DOCK602",
        "it extends one of another file",
        both(
            write("deploy/base.yml", "services:\n  base:\n    image: redis:7\n"),
            service("  extra:\n    extends: { file: deploy/base.yml, service: base }\n"),
        ),
    ),
    Healthy(
        "DOCK602",
        "it includes another file",
        both(
            first_line("include: [deploy/monitoring.yml]"),
            write("deploy/monitoring.yml", "services:\n  monitor:\n    image: redis:7\n"),
            service("  extra:\n    image: redis:7\n    depends_on: [monitor]\n"),
        ),
    ),
    Healthy(
        "DOCK602",
        "part of it lies elsewhere",
        both(
            first_line("include: [oci://example.com/monitoring:1]"),
            service("  extra:\n    image: redis:7\n    depends_on: [monitor]\n"),
        ),
    ),
    Healthy(
        "DOCK602",
        "a network from outside",
        both(
            append(COMPOSE, "\nnetworks:\n  edge:\n    external: true\n"),
            replace(COMPOSE, CORE_PORTS, f"{CORE_PORTS}\n    networks: [edge, default]"),
        ),
    ),
    Healthy(
        "DOCK602",
        "dollars that are meant, and a variable that is not set",
        service('  extra:\n    image: redis:7\n    command: sh -c "echo $$HOME ${NOT_SET} $1"\n'),
    ),
    Healthy(
        "DOCK602",
        "ports in their long form",
        replace(
            COMPOSE,
            CORE_PORTS,
            'ports:\n      - { target: 8002, published: "8002-8003", host_ip: 127.0.0.2, mode: host }',
        ),
    ),
    Healthy(
        "DOCK602",
        "it waits within a profile",
        service(
            "  tool:\n    image: redis:7\n    profiles: [tools]\n    depends_on: [helper]\n"
            "  helper:\n    image: redis:7\n    profiles: [tools]\n"
        ),
    ),
    Healthy(
        "DOCK602",
        "it can do without",
        service(
            "  extra:\n    image: redis:7\n    depends_on:\n"
            "      tool: { condition: service_started, required: false }\n"
            "  tool:\n    image: redis:7\n    profiles: [tools]\n"
        ),
    ),
    Healthy(
        "DOCK602",
        "words that YAML 1.1 takes for others",
        service(
            "  extra:\n    image: redis:7\n    restart: no\n    environment: { LOG: on, N: 1e3 }\n"
        ),
    ),
    # Two files.
    Fault(
        "DOCK603",
        "compose.yaml beside it",
        other_compose_file("compose.yaml"),
        fixed=False,
        target=COMPOSE,
        at="docker-compose.yml:",
    ),
    Fault(
        "DOCK603",
        "the two old names",
        other_compose_file("docker-compose.yaml"),
        fixed=False,
        target="docker-compose.yaml",
    ),
    Healthy("DOCK603", "a copy of it", other_compose_file("compose.yaml", "")),
    Healthy(
        "DOCK603",
        "an override",
        write("compose.override.yaml", "services:\n  core:\n    labels: [a=b]\n"),
    ),
    Healthy("DOCK603", "one that includes it", write("compose.yaml", f"include: [{COMPOSE}]\n")),
    Healthy(
        "DOCK603",
        "the shell names the file",
        both(other_compose_file("compose.yaml"), setenv(COMPOSE_FILE=f"compose.yaml:{COMPOSE}")),
    ),
    # What it names.
    Fault(
        "DOCK604",
        "an env file with an example",
        both(
            replace(COMPOSE, CORE_PORTS, f"{CORE_PORTS}\n    env_file: docker/core.env"),
            write("docker/core.env.example", "LOG_LEVEL=info\n"),
        ),
        works=accepted,
        target="docker/core.env",
        group="core-ports",
    ),
    Fault(
        "DOCK604",
        "an env file without one",
        replace(COMPOSE, CORE_PORTS, f"{CORE_PORTS}\n    env_file: [docker/core.env]"),
        works=accepted,
        fixed=False,
    ),
    Fault(
        "DOCK604",
        "an env file that can not be read",
        both(
            replace(COMPOSE, CORE_PORTS, f"{CORE_PORTS}\n    env_file: docker/core.env"),
            write("docker/core.env", "LOG LEVEL=info\n"),
        ),
        works=accepted,
        fixed=False,
    ),
    Fault(
        "DOCK604",
        "env files that everybody makes for himself",
        service(
            "  extra:\n    image: redis:7\n    env_file: [docker/extra/.env, docker/other/.env]\n"
        ),
        fixed=False,
        target=COMPOSE,
        group="env files",
    ),
    Fault(
        "DOCK604",
        "no Dockerfile",
        remove(PLUGIN),
        fixed=False,
        target=PLUGIN,
        at="docker-compose.yml:dockerfile: docker/Dockerfile.plugin",
    ),
    Fault(
        "DOCK604",
        "no context",
        service("  extra:\n    build: ./services/extra\n"),
        fixed=False,
        target="services/extra",
    ),
    Fault("DOCK604", "an empty Dockerfile", write(PLUGIN, "# later\n\n"), fixed=False),
    Fault(
        "DOCK604",
        "FORM",
        replace(PLUGIN, "FROM python", "FORM python"),
        fixed=False,
        target=f"{PLUGIN}:1",
    ),
    Fault(
        "DOCK604",
        "an unknown instruction",
        replace(PLUGIN, "WORKDIR /app", "WORKDRI /app"),
        fixed=False,
        target=f"{PLUGIN}:3",
    ),
    Fault(
        "DOCK604",
        "RUN before FROM",
        replace(PLUGIN, "FROM python:3.11-slim\n", "RUN true\nFROM python:3.11-slim\n"),
        fixed=False,
    ),
    Fault("DOCK604", "a text without an end", append(PLUGIN, "\nRUN <<EOF\necho\n"), fixed=False),
    Healthy(
        "DOCK604",
        "an env file that may be missing",
        replace(
            COMPOSE,
            CORE_PORTS,
            f"{CORE_PORTS}\n    env_file: [{{ path: docker/core.env, required: false }}]",
        ),
    ),
    Healthy(
        "DOCK604",
        "an env file in Compose's dialect",
        both(
            replace(COMPOSE, CORE_PORTS, f"{CORE_PORTS}\n    env_file: docker/core.env"),
            write("docker/core.env", "export LOG: info # all\r\nBARE\nKEY='a\nb'\n"),
        ),
    ),
    Healthy(
        "DOCK604",
        "a path that a variable names",
        service("  extra:\n    build: ${WHERE}\n    env_file: ${WHERE}/core.env\n"),
    ),
    Healthy(
        "DOCK604",
        "a Dockerfile in the file itself",
        service("  extra:\n    build:\n      dockerfile_inline: |\n        FROM scratch\n"),
    ),
    Healthy(
        "DOCK604",
        "a context that lies elsewhere",
        service("  extra:\n    build: https://example.com/shop/extra.git#main\n"),
    ),
    Healthy(
        "DOCK604",
        "the small spelling",
        both(
            service("  extra:\n    build: docker\n"), write("docker/dockerfile", "from scratch\n")
        ),
    ),
    Healthy(
        "DOCK604",
        "ARG before FROM, comments within a line, a text",
        write(
            PLUGIN,
            "# syntax=docker/dockerfile:1\n# the base\nARG BASE=python:3.11-slim\nFROM ${BASE} AS run\n"
            "RUN echo \\\n# between\n\n  more\nRUN <<EOF cat\nFORM this\nEOF\n",
        ),
    ),
    Healthy(
        "DOCK604",
        "another front end",
        write(PLUGIN, "# syntax=example.com/own/frontend:1\nBASE python\n"),
    ),
    Healthy("DOCK604", "a byte order mark", write(PLUGIN, b"\xef\xbb\xbfFROM scratch\r\n")),
    # What is copied.
    Fault(
        "DOCK605",
        "a file that is not there",
        replace(DOCKERFILE, COPY_BACKEND, f"{COPY_BACKEND}COPY alembic.ini .\n"),
        fixed=False,
        target=f"{DOCKERFILE}:alembic.ini",
    ),
    Fault(
        "DOCK605",
        "a file that is left out",
        both(
            write("backend/settings.toml", "a = 1\n"),
            append(IGNORE, "\nbackend/*.toml\n"),
            replace(DOCKERFILE, COPY_BACKEND, "COPY backend/settings.toml .\n"),
        ),
        fixed=False,
        target=f"{DOCKERFILE}:backend/settings.toml",
    ),
    Fault(
        "DOCK605",
        "a folder that is left out",
        append(IGNORE, "\nbackend\n!docs\n"),
        fixed=False,
        target=f"{DOCKERFILE}:backend",
        at="docker/Dockerfile.backend:COPY backend backend",
    ),
    Fault(
        "DOCK605",
        "outside of the context",
        both(
            service("  extra:\n    build: docker\n"),
            write("docker/Dockerfile", "FROM scratch\nADD ../README.md /\n"),
        ),
        fixed=False,
        target="docker/Dockerfile:README.md",
    ),
    Fault(
        "DOCK605",
        "another spelling",
        replace(DOCKERFILE, COPY_BACKEND, "COPY Backend backend\n"),
        fixed=False,
    ),
    Fault(
        "DOCK605",
        "a mount of what is not there",
        replace(
            DOCKERFILE, COPY_BACKEND, "RUN --mount=type=bind,source=uv.lock,target=uv.lock true\n"
        ),
        fixed=False,
    ),
    Fault(
        "DOCK605",
        "in the JSON form, by an argument",
        replace(DOCKERFILE, COPY_BACKEND, 'ARG SERVICE\nCOPY ["back/${SERVICE}", "/app"]\n'),
        fixed=False,
        target=f"{DOCKERFILE}:back/registry",
    ),
    Fault(
        "DOCK605",
        "what git ignores",
        both(
            append(".gitignore", "\ndist/\n"),
            replace(DOCKERFILE, COPY_BACKEND, f"{COPY_BACKEND}COPY dist/app dist\n"),
        ),
        fixed=False,
        target=f"{DOCKERFILE}:dist/app",
    ),
    Healthy(
        "DOCK605",
        "a wildcard",
        replace(DOCKERFILE, COPY_BACKEND, f"{COPY_BACKEND}COPY backend/req*.txt uv.loc[k] ./\n"),
    ),
    Healthy(
        "DOCK605",
        "from another stage, an address, a text",
        replace(
            DOCKERFILE,
            COPY_BACKEND,
            f"{COPY_BACKEND}COPY --from=ghcr.io/astral-sh/uv:1 /uv /bin/\n"
            "ADD https://example.com/a.tar.gz /tmp/\nCOPY <<one <<two /etc/\nmissing\none\n../x\ntwo\n",
        ),
    ),
    Healthy(
        "DOCK605",
        "an argument that is not told",
        replace(DOCKERFILE, COPY_BACKEND, f"{COPY_BACKEND}ARG WHAT\nCOPY ${{WHAT}}/x $HOME/y ./\n"),
    ),
    Healthy(
        "DOCK605",
        "a folder of which something is taken back in",
        append(IGNORE, "\nbackend\n!backend/**/*.py\n!backend/requirements.txt\n"),
    ),
    Healthy(
        "DOCK605",
        "an ignore file of the Dockerfile's own",
        both(
            write(f"{DOCKERFILE}.dockerignore", "docs\n"),
            write(f"{PLUGIN}.dockerignore", "docs\n"),
            append(IGNORE, "\nbackend\n"),
        ),
    ),
    Healthy(
        "DOCK605",
        "a stage that is not needed",
        replace(
            DOCKERFILE,
            "FROM python:3.11-slim\n",
            "FROM node:22 AS ui\nCOPY dist dist\n\nFROM python:3.11-slim\n",
        ),
    ),
    Healthy(
        "DOCK605",
        "a link, and a path from the root",
        both(
            link("current", "backend"),
            replace(DOCKERFILE, COPY_BACKEND, "COPY /backend backend\nCOPY current/gone ./\n"),
        ),
    ),
    Healthy(
        "DOCK605",
        "a comment",
        append(
            DOCKERFILE, "\n# COPY gone .\nRUN echo COPY gone . \\\n  # COPY gone .\n  && true\n"
        ),
    ),
    # The builder.
    Fault(
        "DOCK606",
        "the shell asks for the classic builder",
        both(replace(DOCKERFILE, RUN_PIP, WITH_CACHE), setenv(DOCKER_BUILDKIT="0")),
        fixed=False,
        target=DOCKERFILE,
    ),
    Fault(
        "DOCK606",
        "a script does",
        both(
            append(PLUGIN, "\nCOPY --chmod=755 <<EOF /run.sh\ntrue\nEOF\n"),
            write("scripts/build.sh", "#!/bin/sh\nDOCKER_BUILDKIT=0 docker compose build\n"),
        ),
        fixed=False,
        target=PLUGIN,
    ),
    Healthy("DOCK606", "BuildKit by default", replace(DOCKERFILE, RUN_PIP, WITH_CACHE)),
    Healthy("DOCK606", "nothing that needs it", setenv(DOCKER_BUILDKIT="0")),
    Healthy(
        "DOCK606",
        "asked for in a comment",
        both(
            replace(DOCKERFILE, RUN_PIP, WITH_CACHE),
            write(
                "Makefile",
                "# DOCKER_BUILDKIT=0 docker compose build\nbuild:\n\tdocker compose build\n",
            ),
        ),
    ),
    Healthy(
        "DOCK606",
        "a syntax line alone",
        both(
            replace(PLUGIN, "FROM python", "# syntax=docker/dockerfile:1\nFROM python"),
            setenv(DOCKER_BUILDKIT="0"),
        ),
    ),
]
