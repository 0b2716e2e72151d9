"""The Postgres services of the compose file: who may log in to a fresh one, and at which port."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from saas_doctor.compose.model import Service
from saas_doctor.facts import Fact
from saas_doctor.facts.compose import Compose
from saas_doctor.model import Place

_IMAGE = re.compile(r"(?:.*/)?(?:postgres|postgis|pgvector|timescaledb)(?::.*|@.*)?")
_PORT = 5432


class Said(Struct, frozen=True):
    """A value and where it is said; `place` is None for the image's default."""

    value: str
    place: Place | None


class PostgresService(Struct, frozen=True):
    """What the official image makes of its variables on an empty volume.

    A part that can't be told is None. `scripts`: whether scripts of its own may make further roles
    and databases.
    """

    name: str
    password: Said | None
    role: Said | None
    database: Said | None
    ports: frozenset[int]
    scripts: bool


class PostgresServices(Fact, frozen=True):
    """The Postgres services of the Compose project."""

    compose: Compose
    found: tuple[PostgresService, ...]

    @classmethod
    def read(cls, compose: Compose) -> PostgresServices:
        likely = [s for s in compose.services.values() if _IMAGE.fullmatch(s.image) and not s.build]
        unusable = {unused.service.name for unused in compose.unused_env_files}
        return cls(compose, tuple(_service(s, s.name not in unusable) for s in likely))


def _service(service: Service, told: bool) -> PostgresService:
    """`told`: whether all files that its variables come from can be read."""
    known = {
        name: Said(v.value, v.place) if v.known and v.value is not None else None
        for name, v in service.environment.items()
    }

    def said(key: str, default: Said | None) -> Said | None:
        if not told or f"{key}_FILE" in known:
            return None
        return known.get(key, default)

    role = said("POSTGRES_USER", Said("postgres", None))
    published = (port.published_for(_PORT) for port in service.ports)
    return PostgresService(
        service.name,
        None if known.get("POSTGRES_HOST_AUTH_METHOD") else said("POSTGRES_PASSWORD", None),
        role,
        said("POSTGRES_DB", role),
        frozenset(number for number in published if number),
        any("docker-entrypoint-initdb" in mount.target for mount in service.volumes),
    )


def addresses(compose: Compose) -> Iterator[tuple[str, str, Place]]:
    """The Postgres addresses that the services' variables hold: name, text and place."""
    for service in compose.services.values():
        for name, variable in service.environment.items():
            text = variable.value or ""
            if variable.given and variable.known and text.startswith("postgres") and "://" in text:
                yield name, text, variable.place
