"""`saas-doctor down`: stop the stack and remove what it consists of."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from saas_doctor.cli.options import ConfigFile, Directory
from saas_doctor.cli.stack_options import (
    Docker,
    DryRun,
    EnvFiles,
    Local,
    chosen_backend,
    stack_platform,
)

if TYPE_CHECKING:
    from saas_doctor.stack import Change


def down(
    directory: Directory = None,
    config: ConfigFile = None,
    env_file: EnvFiles = None,
    local: Local = False,
    docker: Docker = False,
    volumes: Annotated[
        bool, typer.Option("--volumes", "-v", help="Also the volumes, with the data in them.")
    ] = False,
    allow_destructive: Annotated[
        bool, typer.Option("--allow-destructive", help="Agree to the loss of that data.")
    ] = False,
    save: Annotated[
        bool, typer.Option("--save", help="Put a copy of that data into .saas-doctor/saved first.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Stop all that belongs to the stack, whatever its profile, and remove it; data is kept.

    Exit codes: 0 nothing of it is left; 1 something is; 2 wrong use; 130 interrupted.
    """
    from saas_doctor.cli.screen import ask, say, show
    from saas_doctor.cli.stack_screen import Teller, change_lines, failure_lines
    from saas_doctor.model import DoctorError
    from saas_doctor.stack import Failed
    from saas_doctor.stack.saving import Saved

    platform = stack_platform(directory, config, env_file)
    backend = chosen_backend(platform, local=local, docker=docker)
    try:
        removals = backend.removals(volumes=volumes) if dry_run or volumes else []
        if dry_run:
            show(change_lines(removals))
            return
        lost = [change for change in removals if change.kind in ("volume", "data")]
        if lost and not allow_destructive:
            show([[("This data would be lost:", "bold red")], *change_lines(lost)], sys.stderr)
            if not sys.stdin.isatty():
                raise DoctorError("nothing was removed: agree to the loss with --allow-destructive")
            first = "Save a copy, and remove it? [y/N]"
            answer = ask(
                first if save else "Remove it for ever? [y/N, s: save a copy first]", "yns"
            )
            save = save or answer == "s"
            if answer == "n":
                say("nothing was removed", error=True)
                raise typer.Exit(1)
        if lost and save:
            saved = Saved(platform)
            backend.save(saved, Teller(backend.services))
            for note in saved.notes:
                say(f"saved in {saved.shown}: {note}", error=True)
        done = backend.down(volumes=volumes, say=Teller(backend.services))
    except Failed as failed:
        show(failure_lines(failed.failures))
        raise typer.Exit(1) from None
    say(f"Down ({backend.name}): {counted(done)}" if done else "Nothing of it is there.")


def counted(changes: Sequence[Change]) -> str:
    """`3 containers, 1 network`."""
    kinds = Counter(change.kind for change in changes)
    return ", ".join(f"{n} {kind}{'s' if n != 1 else ''}" for kind, n in kinds.items())
