"""The labels and names of what belongs to a project, as Compose of any version knows them."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec import Struct

from saas_doctor import __version__
from saas_doctor.compose.spec import Network, Project, Service, Volume
from saas_doctor.facts.docker import ONE_OFF, PROJECT, SERVICE, WORKING_DIR

_COMPOSE = "com.docker.compose."
NUMBER = f"{_COMPOSE}container-number"
HASH = f"{_COMPOSE}config-hash"
IMAGE = f"{_COMPOSE}image"
DEPENDS_ON = f"{_COMPOSE}depends_on"
CONFIG_FILES = f"{_COMPOSE}project.config_files"
ENV_FILES = f"{_COMPOSE}project.environment_file"
VERSION = f"{_COMPOSE}version"
NETWORK = f"{_COMPOSE}network"
VOLUME = f"{_COMPOSE}volume"

MADE_BY = "saas-doctor.version"
KEYS = "saas-doctor.keys"
"""A digest of each key of the service, by which a later run tells which of them has changed."""
SETTINGS = "saas-doctor.settings"
"""A digest of what the file says of a network or volume, which is only heeded when it is made."""
CONTEXT = "saas-doctor.context"
"""A digest of what an image was built from."""

SPOKEN = "2.40.3"
"""The version of Compose whose labels these are; 1.29.2 parses it."""


class Scope(Struct, frozen=True):
    """A project, and where it lies: its folder and files, which labels name.

    `known` are all services of its files, also those of profiles that nobody asks for now;
    `variables` is what secrets and configs take from the `environment`; `warnings` what its files
    are to be told of; `env_files` those that were named in place of `.env`.
    """

    project: Project
    folder: Path
    files: tuple[Path, ...]
    known: frozenset[str]
    variables: Mapping[str, str]
    warnings: tuple[str, ...] = ()
    env_files: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        return self.project.name

    def container_name(self, service: str, number: int) -> str:
        given = self.project.services[service].container_name
        return given or f"{self.name}-{service}-{number}"

    def image_name(self, service: str) -> str:
        """The image that a service runs; where it is built and not named, by project and service."""
        return self.project.services[service].image or f"{self.name}-{service}"

    def network_labels(self, key: str) -> dict[str, str]:
        network = self.project.networks[key]
        return {
            **network.labels,
            SETTINGS: settings(network),
            PROJECT: self.name,
            NETWORK: key,
            VERSION: SPOKEN,
            MADE_BY: __version__,
        }

    def volume_labels(self, key: str) -> dict[str, str]:
        volume = self.project.volumes[key]
        return {
            **volume.labels,
            SETTINGS: settings(volume),
            PROJECT: self.name,
            VOLUME: key,
            VERSION: SPOKEN,
            MADE_BY: __version__,
        }

    def image_labels(self, service: str) -> dict[str, str]:
        return {PROJECT: self.name, SERVICE: service, VERSION: SPOKEN, MADE_BY: __version__}

    def container_labels(
        self, service: str, number: int, image: str, hashed: str, keys: str
    ) -> dict[str, str]:
        """`image` is the id of the image, `hashed` the service's config-hash."""
        spec = self.project.services[service]
        return {
            **spec.labels,
            PROJECT: self.name,
            SERVICE: service,
            NUMBER: str(number),
            ONE_OFF: "False",
            HASH: hashed,
            IMAGE: image,
            DEPENDS_ON: depends_on_text(spec),
            WORKING_DIR: str(self.folder),
            CONFIG_FILES: ",".join(map(str, self.files)),
            **({ENV_FILES: ",".join(map(str, self.env_files))} if self.env_files else {}),
            VERSION: SPOKEN,
            MADE_BY: __version__,
            KEYS: keys,
        }


def settings(declared: Network | Volume) -> str:
    """The digest of a network's or a volume's settings."""
    return sha256(msgspec.json.encode(declared, order="deterministic")).hexdigest()[:16]


def depends_on_text(service: Service) -> str:
    """`db:service_healthy:false,cache:service_started:false`; the third is the restart flag."""
    return ",".join(
        f"{name}:{need.condition or 'service_started'}:{str(need.restart).lower()}"
        for name, need in service.depends_on.items()
    )


def dependencies_in(labels: Mapping[str, str]) -> list[str]:
    """The services that a container's label says it depends on."""
    text = labels.get(DEPENDS_ON, "")
    return [part.partition(":")[0] for part in text.split(",") if part]
