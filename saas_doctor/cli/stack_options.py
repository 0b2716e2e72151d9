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
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan; change nothing.")]


def stack_platform(directory: Path | None, config: Path | None) -> Platform:
    """The platform that the options name; a folder with a Compose file alone is enough for a stack."""
    from saas_doctor import platform as platforms
    from saas_doctor.cli.options import load_platform
    from saas_doctor.compose.files import NAMES
    from saas_doctor.model import DoctorError

    try:
        return load_platform(directory, config)
    except DoctorError:
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
    profiles: Sequence[str] | None = None,
    services: Sequence[str] | None = None,
    whole: bool = False,
) -> Backend:
    """The backend that the options name; raises DoctorError with the way out."""
    from saas_doctor.cli.screen import say
    from saas_doctor.model import DoctorError
    from saas_doctor.stack import choice

    if local and docker:
        raise DoctorError(
            "--local and --docker exclude each other; leave both out to have it chosen"
        )
    asked = "local" if local else "docker" if docker else ""
    found, why = choice.backend(
        platform, asked, profiles=profiles or (), services=services or (), whole=whole
    )
    if why:
        say(f"without Docker, as processes of this machine: {why}", error=True)
    return found
