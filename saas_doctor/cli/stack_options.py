"""The options that the commands about the stack share, and the backend they name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from saas_doctor.platform import Platform
    from saas_doctor.stack import Backend

Local = Annotated[
    bool, typer.Option("--local", help="As processes of this machine, without Docker.")
]
Docker = Annotated[bool, typer.Option("--docker", help="In containers.")]
Profile = Annotated[
    list[str] | None, typer.Option("--profile", help="Also the services of this profile.")
]
Services = Annotated[list[str] | None, typer.Argument(help="These services (default: all).")]
EnvFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--env-file",
        help="Variables for the Compose file from here, not from .env; later ones win.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan; change nothing.")]


def stack_platform(
    directory: Path | None,
    config: Path | None,
    env_files: Sequence[Path] | None = None,
    files: Sequence[Path] | None = None,
) -> Platform:
    """The platform that the options name; a folder with a Compose file alone is enough for a stack.

    Where Compose files are named, that is the first one's; `env_files` go before those that the
    environment names.
    """
    from msgspec.structs import replace

    from saas_doctor.compose.files import ENV_FILES
    from saas_doctor.known_secrets import secrets_of
    from saas_doctor.redact import know

    found = _stack_platform(directory, config, files or ())
    if env_files:
        named = ",".join(str(path.absolute()) for path in env_files)
        found = replace(found, environ={**found.environ, ENV_FILES: named})
    if env_files or files:
        compose = [path.absolute() for path in files or ()]
        know(secrets_of(found.root, found.config, found.environ, compose))
    return found


def _stack_platform(directory: Path | None, config: Path | None, files: Sequence[Path]) -> Platform:
    from saas_doctor import platform as platforms
    from saas_doctor.cli.options import load_platform
    from saas_doctor.compose.files import NAMES
    from saas_doctor.model import DoctorError

    try:
        return load_platform(directory, config)
    except DoctorError:
        if files:
            return platforms.load(files[0].parent, config, exact=True)
        start = (directory or Path.cwd()).resolve()
        for folder in (start, *start.parents):
            if any((folder / name).is_file() for name in NAMES):
                return platforms.load(folder, config, exact=True)
        raise


def chosen_backend(
    platform: Platform,
    *,
    local: bool,
    docker: bool,
    services: Sequence[str] | None = None,
) -> Backend:
    """The backend that the options name, for all that is there; raises DoctorError with the way out."""
    from saas_doctor.stack import choice

    name = chosen_kind(platform, local=local, docker=docker)
    return choice.backend(platform, name, services=services or (), whole=True)


def chosen_kind(platform: Platform, *, local: bool, docker: bool) -> str:
    """The name of the backend that the options name, else of that which there is, and says so."""
    from saas_doctor.cli.screen import say
    from saas_doctor.stack import choice

    name, why = choice.kind(platform, asked_backend(local=local, docker=docker))
    if why:
        say(f"without Docker, as processes of this machine: {why}", error=True)
    return name


def asked_backend(*, local: bool, docker: bool) -> str:
    """The name of the backend that the options name; empty where they name none."""
    from saas_doctor.model import DoctorError

    if local and docker:
        raise DoctorError(
            "--local and --docker exclude each other; leave both out to have it chosen"
        )
    return "local" if local else "docker" if docker else ""
