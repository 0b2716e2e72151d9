"""`saas-doctor up`: bring the platform's stack up and wait until all of it is healthy."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from saas_doctor.cli.options import ConfigFile, Directory
from saas_doctor.cli.stack_options import (
    Docker,
    DryRun,
    Local,
    Profile,
    Services,
    chosen_backend,
    stack_platform,
)


def up(
    services: Services = None,
    directory: Directory = None,
    config: ConfigFile = None,
    local: Local = False,
    docker: Docker = False,
    profile: Profile = None,
    build: Annotated[
        bool, typer.Option("--build", help="Build the images, also those that are there.")
    ] = False,
    no_deps: Annotated[
        bool, typer.Option("--no-deps", help="Without what the services depend on.")
    ] = False,
    force_recreate: Annotated[
        bool, typer.Option("--force-recreate", help="Make what is up to date anew as well.")
    ] = False,
    remove_orphans: Annotated[
        bool,
        typer.Option("--remove-orphans", help="Remove what the Compose file no longer has."),
    ] = False,
    wait_timeout: Annotated[
        float, typer.Option("--wait-timeout", min=0.1, help="Seconds until all has to be healthy.")
    ] = 120.0,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Take back what was made, if not all comes up.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Bring the stack up: make what is missing or has changed, start it in order, wait for its health.

    What fails is told with its exit code, its health check's answer, the end of its log, and the
    rule that explains it. Exit codes: 0 all is up; 1 something is not; 2 wrong use, or no engine;
    130 interrupted.
    """
    from saas_doctor.cli.screen import say, show
    from saas_doctor.cli.stack_screen import Teller, change_lines, failure_lines, members_up
    from saas_doctor.stack import Failed, Options

    began = time.monotonic()
    platform = stack_platform(directory, config)
    backend = chosen_backend(
        platform, local=local, docker=docker, profiles=profile, services=services
    )
    options = Options(
        tuple(services or ()),
        build=build,
        deps=not no_deps,
        recreate=force_recreate,
        remove_orphans=remove_orphans,
        wait=wait_timeout,
        rollback=rollback,
    )
    try:
        if dry_run:
            show(change_lines(backend.changes(options)))
            return
        members = backend.up(options, Teller(backend.services))
    except Failed as failed:
        show(failure_lines(failed.failures))
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        left = (
            "what was made was taken back"
            if rollback
            else "what was started stays (saas-doctor down)"
        )
        say(f"interrupted; {left}", error=True)
        raise typer.Exit(130) from None
    show(members_up(members, backend.name, time.monotonic() - began))
