"""How the Postgres server that the platform means is started."""

from __future__ import annotations

import os
import re
import sys

from saas_doctor.compose.model import Service
from saas_doctor.facts.compose import Compose
from saas_doctor.facts.database_address import Address
from saas_doctor.platform import Platform

_IMAGES = re.compile(r"(?:^|/)(?:postgres|postgis|pgvector|timescaledb)[^/]*$")


def start(address: Address, platform: Platform) -> str:
    """How the server is started: by the platform's compose file, else by the system."""
    service, port = _compose_service(platform, address.host)
    if service and address.host == service:
        return (
            f"{service} is a name inside compose only; from this machine it is "
            f"localhost:{port or address.port}: correct {address.variable} in {address.where}"
        )
    if not address.is_local:
        return f"start Postgres on {address.host}, or correct the host in {address.where}"
    if service and port in (None, address.port):
        file = platform.config.compose_file or ""
        option = (
            ""
            if "/" not in file and file.startswith(("compose.", "docker-compose."))
            else f" -f {file}"
        )
        return f"docker compose{option} up -d {service}"
    system = _system_start()
    if service:
        return f"{system}, or correct the port in {address.where}: compose has {service} on {port}"
    return system


def _system_start() -> str:
    if sys.platform == "darwin":
        return "brew services start postgresql"
    if sys.platform == "win32":
        return "powershell Start-Service postgresql*"
    if os.path.isdir("/run/systemd/system"):
        return "sudo systemctl start postgresql"
    return "sudo service postgresql start"


def _compose_service(platform: Platform, host: str) -> tuple[str, int | None]:
    """The Postgres service of the compose file and its port on this machine; "" without one."""
    found = published(platform)
    # Of several, the one that the address names.
    return next((f for f in found if f[0] == host), found[0] if found else ("", None))


def published(platform: Platform) -> list[tuple[str, int | None]]:
    """The Postgres services of the compose file, and the port of each on this machine."""
    return [
        (service.name, next((n for port in service.ports for n in port.numbers), None))
        for service in Compose.read(platform).known_services.values()
        if is_postgres(service)
    ]


def is_postgres(service: Service) -> bool:
    """Whether a service of the compose file is a Postgres server."""
    return bool(_IMAGES.search((service.image or service.name).partition(":")[0]))


def image_version(platform: Platform) -> str:
    """The major version of Postgres that the compose file's image names; nothing where none does."""
    for service in Compose.read(platform).known_services.values():
        tag = service.image.rpartition(":")[2]
        if is_postgres(service) and (found := re.match(r"\d+", tag)):
            return found.group()
    return ""
