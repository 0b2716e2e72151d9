"""`saas-doctor env`: what the calling shell should run."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from saas_doctor.cli.options import ConfigFile, Directory, load_platform
from saas_doctor.shells import Shell


def env(
    directory: Directory = None,
    config: ConfigFile = None,
    shell: Annotated[
        Shell | None, typer.Option("--shell", help="For this shell (default: the calling one).")
    ] = None,
) -> None:
    """Print the lines that put this shell right: eval "$(saas-doctor env)".

    In fish `saas-doctor env | source`, in PowerShell `saas-doctor env | Out-String |
    Invoke-Expression`. Nothing is printed where nothing is needed.
    """
    from saas_doctor.cli.screen import say
    from saas_doctor.facts import Facts
    from saas_doctor.model import Absent, Blocked, Unreadable
    from saas_doctor.shell_needs import needs_of

    platform = load_platform(directory, config)
    chosen = shell or _calling(dict(platform.environ))
    try:
        needs = list(needs_of(platform, Facts(platform)))
    except (Absent, Blocked, Unreadable) as reason:
        say(f"saas-doctor: what this shell needs can't be told: {reason}", error=True)
        raise typer.Exit(3) from None
    for need in needs:
        line = chosen.unset(need.name)
        if need.value is not None:
            line = chosen.export(need.name, need.value)
        print(line)
        say(f"{need.name}: {need.why}", error=True)
    if needs and sys.stdout.isatty():
        say(f"To have this shell take it over: {chosen.evaluation}", error=True)


def _calling(environ: dict[str, str]) -> Shell:
    import psutil

    from saas_doctor.shells import guessed

    try:
        parents = [process.name() for process in psutil.Process().parents()]
    except psutil.Error:
        parents = []
    return guessed(parents, environ)
