"""Which backend runs the stack: the one asked for, else what runs already, else what is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from saas_doctor.model import DoctorError

if TYPE_CHECKING:
    from saas_doctor.platform import Platform
    from saas_doctor.stack import Backend
    from saas_doctor.stack.docker import DockerBackend


def kind(platform: Platform, asked: str = "") -> tuple[str, str]:
    """The backend `asked` for (docker, local), else that of what runs, else Docker where it answers.

    With it, why Docker is not taken although nobody said so; empty where there is nothing to say.
    Raises DoctorError where no engine answers and Docker was asked for, or nothing tells which services
    to start without one.
    """
    if asked == "local" or (not asked and _runs_locally(platform)):
        return "local", ""
    if not asked and platform.config.compose_file is None and platform.config.services:
        return "local", "there is no Compose file"
    from saas_doctor.stack.docker.engine import Engine

    try:
        Engine(platform.environ).connect()
    except DoctorError as reason:
        if not platform.config.services:
            raise
        if asked:
            raise DoctorError(f"{reason}, or go without it: saas-doctor up --local") from None
        return "local", str(reason)
    return "docker", ""


def backend(
    platform: Platform,
    name: str,
    *,
    profiles: Sequence[str] = (),
    services: Sequence[str] = (),
    whole: bool = False,
) -> Backend:
    """The backend of this name.

    `services` are those that are meant, whose profiles are then asked for as well. `whole`: all
    that is there is meant, whatever its profile, also where the Compose file has mistakes. Raises
    DoctorError with the way out.
    """
    if name == "local":
        from saas_doctor.stack.local.backend import LocalBackend

        return LocalBackend(platform)
    return docker_backend(platform, profiles=profiles, services=services, whole=whole)


def _runs_locally(platform: Platform) -> bool:
    from saas_doctor.stack.local.jobs import records_of

    return any(records_of(platform).all())


def docker_backend(
    platform: Platform,
    *,
    profiles: Sequence[str] = (),
    services: Sequence[str] = (),
    whole: bool = False,
) -> DockerBackend:
    """The platform's Compose project on the Docker engine. Raises DoctorError with the way out."""
    from saas_doctor.compose.files import named_env_files
    from saas_doctor.stack.docker import DockerBackend
    from saas_doctor.stack.docker.marks import Scope
    from saas_doctor.stack.project import project_of, sentences

    found = project_of(
        platform, profiles=("*",) if whole else profiles, services=() if whole else services
    )
    if found.errors and not whole:
        first, *more = sentences(found.errors)
        rest = f" (and {len(more)} more; saas-doctor config shows all)" if more else ""
        raise DoctorError(f"{first}{rest}")
    scope = Scope(
        found.project,
        found.folder,
        found.files,
        found.known,
        found.variables,
        tuple(sentences(found.warnings)),
        tuple(named_env_files(platform.environ)),
    )
    return DockerBackend(scope, platform)
