"""`saas-doctor restart`: stop and start services, each after what it depends on."""

from __future__ import annotations

import time

import typer

from saas_doctor.cli.options import ConfigFile, Directory
from saas_doctor.cli.stack_options import (
    Docker,
    EnvFiles,
    Local,
    Services,
    chosen_backend,
    stack_platform,
)


def restart(
    services: Services = None,
    directory: Directory = None,
    config: ConfigFile = None,
    env_file: EnvFiles = None,
    local: Local = False,
    docker: Docker = False,
) -> None:
    """Stop these services and start them again in order, and wait until they are healthy.

    Those that ask for it (`depends_on: {x: {restart: true}}`) are restarted with them. What has
    changed in the Compose file takes `saas-doctor up`. Exit codes: 0 all are up; 1 something is not.
    """
    from saas_doctor.cli.screen import show
    from saas_doctor.cli.stack_screen import Teller, failure_lines, members_up
    from saas_doctor.stack import Failed

    began = time.monotonic()
    platform = stack_platform(directory, config, env_file)
    backend = chosen_backend(platform, local=local, docker=docker, services=services)
    try:
        members = backend.restart(services or (), Teller(backend.services))
    except Failed as failed:
        show(failure_lines(failed.failures))
        raise typer.Exit(1) from None
    show(members_up(members, backend.name, time.monotonic() - began))
