"""The Postgres services of the compose file: who may log in to a fresh one, and at which port."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from saas_doctor.facts import Fact
from saas_doctor.facts.compose import Compose, Service
from saas_doctor.facts.dotenv import read_dotenv
from saas_doctor.model import Place, Unreadable
from saas_doctor.platform import Platform

_IMAGE = re.compile(r"(?:.*/)?(?:postgres|postgis|pgvector|timescaledb)(?::.*|@.*)?")
_PORT = 5432


@dataclass(frozen=True)
class Said:
    """A value and where it is said; `place` is None for the image's default."""

    value: str
    place: Place | None


@dataclass(frozen=True)
class PostgresService:
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


@dataclass(frozen=True)
class PostgresServices(Fact):
    """The Postgres services of a compose file to which no other file adds."""

    compose: Compose
    found: tuple[PostgresService, ...]

    @classmethod
    def read(cls, platform: Platform, compose: Compose) -> PostgresServices:
        services = compose.services.values() if compose.whole else ()
        likely = (s for s in services if _IMAGE.fullmatch(s.image) and s.build is None)
        return cls(compose, tuple(_service(platform, service) for service in likely))


def _service(platform: Platform, service: Service) -> PostgresService:
    known, told = _variables(platform, service)

    def said(key: str, default: Said | None) -> Said | None:
        if not told or f"{key}_FILE" in known:
            return None
        return known.get(key, default)

    role = said("POSTGRES_USER", Said("postgres", None))
    trusts = known.get("POSTGRES_HOST_AUTH_METHOD")
    volumes = service.node.get("volumes")
    texts = [n.text for n in volumes.within()] if volumes else []
    published = {p.published for p in service.ports if p.target == _PORT and p.published}
    return PostgresService(
        service.name,
        None if trusts else said("POSTGRES_PASSWORD", None),
        role,
        said("POSTGRES_DB", role),
        frozenset(number for number in published if number),
        any("docker-entrypoint-initdb" in text for text in texts),
    )


def _variables(platform: Platform, service: Service) -> tuple[dict[str, Said | None], bool]:
    """The service's variables, None where one can't be told; and whether these are all."""
    found: dict[str, Said | None] = {}
    for _, path, needed in service.env_files:
        try:
            file = read_dotenv(path, platform)
        except Unreadable:
            return found, False
        if file is None and needed:
            return found, False
        found |= {s.key: Said(s.value, s.place) for s in (file.settings if file else ())}
    for key, node in service.environment.items():
        usable = node.kind == "scalar" and not node.unset
        found[key] = Said(service.value(key), node.place) if usable else None
    listed = service.node.get("environment")
    inherited = [n.text for n in (listed.items if listed else ()) if "=" not in n.text]
    found |= dict.fromkeys(inherited)
    return found, True


def addresses(compose: Compose) -> Iterator[tuple[str, str, Place]]:
    """The Postgres addresses that the services' variables hold: name, text and place."""
    for service in compose.services.values():
        for key, node in service.environment.items():
            text = service.value(key)
            if text.startswith("postgres") and "://" in text and not node.unset:
                yield key, text, node.place
