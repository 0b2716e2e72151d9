"""`saas-doctor smoke`: does the platform work, from the imports to a request through the gateway?"""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from saas_doctor.cli.options import ConfigFile, Directory, Format, load_platform


def smoke(
    directory: Directory = None,
    config: ConfigFile = None,
    output_format: Annotated[Format, typer.Option("--format")] = Format.CONSOLE,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, help="Seconds that one step may take.")
    ] = 30.0,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Sign up nobody: write nothing to the database.")
    ] = False,
) -> None:
    """Try the platform: import its base, start each service that is not up, go the whole way.

    What is started is ended again, at free ports where the services take one; an account that signs
    up is deleted. Exit codes: 0 all went well (or had nothing to try); 1 a step failed; 2 wrong use
    or configuration; 3 none failed, but something could not be told; 130 interrupted.
    """
    import time
    from contextlib import closing

    from saas_doctor.cli.screen import say, show
    from saas_doctor.report import smoke as report
    from saas_doctor.smoke.run import smoke as run

    platform = load_platform(directory, config)
    signal.signal(signal.SIGTERM, _ended)
    steps, began = [], time.monotonic()
    with closing(run(platform, limit=timeout, read_only=read_only)) as running:
        for step in running:
            steps.append(step)
            if output_format is Format.CONSOLE:
                show(report.lines(step))
                sys.stdout.flush()
    took = time.monotonic() - began
    if output_format is Format.JSON:
        print(report.render(steps, str(platform.root), took))
    else:
        say(report.summary(steps, took), "bold")
    raise typer.Exit(report.exit_code(steps))


def _ended(number: int, frame: object) -> None:  # noqa: ARG001
    """Ended from outside: what was started is ended first, as by Ctrl-C."""
    raise KeyboardInterrupt
