"""`saas-doctor reset`: bring the platform back to how it was before it was first started."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from saas_doctor.cli.options import ConfigFile, Directory
from saas_doctor.cli.stack_options import Docker, DryRun, Local, asked_backend, stack_platform

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from saas_doctor.report.console import Line
    from saas_doctor.stack import Change
    from saas_doctor.stack.saving import Saved


def reset(
    directory: Directory = None,
    config: ConfigFile = None,
    local: Local = False,
    docker: Docker = False,
    allow_destructive: Annotated[
        bool, typer.Option("--allow-destructive", help="Agree to the plan.")
    ] = False,
    then_up: Annotated[
        bool, typer.Option("--then-up", help="Bring it up again, as `up --yes` does.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Stop all and remove containers, volumes, logs, the environment and byte code.

    What can't be made again (the databases, the logs, your own files in the environment) is saved
    in .saas-doctor/saved first, with the commands that bring it back. Code and settings stay.

    Exit codes: 0 done; 1 something is left, or not agreed to; 2 wrong use; 130 interrupted.
    """
    from saas_doctor.cli.screen import ask, say, show
    from saas_doctor.cli.stack_screen import Teller, failure_lines
    from saas_doctor.model import DoctorError
    from saas_doctor.stack import Failed
    from saas_doctor.stack.reset import Reset
    from saas_doctor.stack.saving import Saved

    asked = asked_backend(local=local, docker=docker)
    platform = stack_platform(directory, config)
    saved = Saved(platform)
    try:
        found = Reset(platform, asked)
        changes = found.changes()
        for note in (*found.notes, *found.leftovers.kept):
            say(f"left as it is: {note}", error=True)
        show(plan_lines(changes))
        if dry_run or not changes:
            if not changes:
                say("Nothing to reset.")
        elif allow_destructive:
            _done(found.run(saved, Teller(())), saved)
        elif not sys.stdin.isatty():
            raise DoctorError("nothing was changed: agree to it with --allow-destructive")
        elif ask("Reset it? What is marked so is saved first. [y/N]", "yn") != "y":
            say("nothing was changed", error=True)
            raise typer.Exit(1)
        else:
            _done(found.run(saved, Teller(())), saved)
    except Failed as failed:
        show(failure_lines(failed.failures))
        raise typer.Exit(1) from None
    finally:
        if saved:
            say(f"Saved in {saved.shown} (how-to-bring-it-back.txt)", error=True)
    if then_up and not dry_run:
        from saas_doctor.cli.up import up

        up(directory=platform.root, config=config, local=local, docker=docker, yes=True)


def _done(done: Sequence[Change], saved: Saved) -> None:
    from saas_doctor.cli.down import counted
    from saas_doctor.cli.screen import say

    whole = ("logs", "environment", "byte code")
    parts = [counted([change for change in done if change.kind not in whole])]
    parts += [change.kind for change in done if change.kind in whole]
    say(f"Reset: {', '.join(filter(None, parts))} removed")
    for note in saved.notes:
        for line in note.splitlines():
            say(f"  {line}")


def plan_lines(changes: Sequence[Change]) -> Iterator[Line]:
    """What goes, how large it is, and whether it is saved first."""
    from saas_doctor.report.printable import one_line
    from saas_doctor.report.sizes import in_words
    from saas_doctor.stack.reset import SAVED

    kinds = max((len(c.kind) for c in changes), default=0)
    names = max((len(c.name) for c in changes), default=0)
    for change in changes:
        size = in_words(change.size) if change.size else ""
        words = [change.reason, "saved first" if change.kind in SAVED else ""]
        told = "; ".join(word for word in words if word)
        text = (
            f"remove  {change.kind:<{kinds}}  {change.name:<{names}}  {size:>8}  {one_line(told)}"
        )
        yield [(text.rstrip(), "yellow" if change.kind in SAVED else "red")]
