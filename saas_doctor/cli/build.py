"""`saas-doctor build`: build the images of the stack."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from saas_doctor.cli.options import ConfigFile, Directory
from saas_doctor.cli.stack_options import EnvFiles, Profile, Services, stack_platform


def build(
    services: Services = None,
    directory: Directory = None,
    config: ConfigFile = None,
    env_file: EnvFiles = None,
    profile: Profile = None,
    no_cache: Annotated[
        bool,
        typer.Option("--no-cache", help="Run every step, also those that nothing changed for."),
    ] = False,
) -> None:
    """Build the images that the Compose file has a `build` for; the logs are kept in .saas-doctor.

    Exit codes: 0 all were built; 1 one was not; 2 wrong use, or no engine.
    """
    from saas_doctor.cli.screen import say, show
    from saas_doctor.cli.stack_screen import Teller, failure_lines
    from saas_doctor.stack import Failed
    from saas_doctor.stack.choice import docker_backend

    began = time.monotonic()
    platform = stack_platform(directory, config, env_file)
    backend = docker_backend(platform, profiles=profile or (), services=services or ())
    try:
        names = backend.build(services or (), Teller(backend.services), no_cache=no_cache)
    except Failed as failed:
        show(failure_lines(failed.failures))
        raise typer.Exit(1) from None
    took = time.monotonic() - began
    say(f"Built after {took:.1f} s: {', '.join(names)}" if names else "Nothing has a `build`.")
