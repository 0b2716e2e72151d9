"""The data folders of the Compose file's Postgres services, where they do not fit the image."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from saas_doctor.compose.model import Service
from saas_doctor.compose.values import Mount
from saas_doctor.facts import Fact
from saas_doctor.facts.compose import Compose
from saas_doctor.facts.images import postgres_major
from saas_doctor.platform import Platform
from saas_doctor.reading import read_head

OLD_DATA = "/var/lib/postgresql/data"
DATA_PER_VERSION = 18
"""The major version since which the image keeps its data in a folder of that version's own."""


class Cluster(Struct, frozen=True):
    """A mount that the image of this major version can't use.

    `version` is that of the data there, empty where the place of the mount is what is wrong.
    `closed`: whether the folder can't be read.
    """

    service: Service
    major: int
    mount: Mount
    shown: str = ""
    version: str = ""
    closed: bool = False


class Clusters(Fact, frozen=True):
    """The Postgres services of the Compose file whose data does not fit their image."""

    clusters: tuple[Cluster, ...]

    @classmethod
    def read(cls, compose: Compose, platform: Platform) -> Clusters:
        found = (c for service in compose.services.values() for c in _clusters(service, platform))
        return cls(tuple(found))


def _clusters(service: Service, platform: Platform) -> Iterator[Cluster]:
    major = postgres_major(service.known("image") or "")
    own = service.environment.get("PGDATA")
    if major is None or service.node.get("entrypoint") or (own and not own.known):
        return
    usual = f"/var/lib/postgresql/{major}/docker" if major >= DATA_PER_VERSION else OLD_DATA
    data = posixpath.normpath(own.value) if own and own.value else usual
    for mount in service.volumes:
        target = posixpath.normpath(mount.target) if mount.target else ""
        if major >= DATA_PER_VERSION and target == OLD_DATA and not own:
            yield Cluster(service, major, mount)
        elif mount.path and (data == target or data.startswith(f"{target}/")):
            folder = mount.path / posixpath.relpath(data, target)
            yield from _of(service, major, mount, folder, platform)


def _of(
    service: Service, major: int, mount: Mount, folder: Path, platform: Platform
) -> Iterator[Cluster]:
    shown = platform.relative(folder)
    try:
        version = read_head(folder / "PG_VERSION", 10).decode("ascii", "replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError:
        yield Cluster(service, major, mount, shown, closed=True)
        return
    if re.fullmatch(r"\d+(\.\d+)?", version) and version != str(major):
        yield Cluster(service, major, mount, shown, version)
