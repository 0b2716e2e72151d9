"""`saas-doctor undo`: take a fix run back."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from saas_doctor.cli.options import ConfigFile, Directory, load_platform

if TYPE_CHECKING:
    from saas_doctor.journal import Run
    from saas_doctor.platform import Platform


def undo(
    run: Annotated[
        str | None, typer.Argument(help="The run (default: the newest that stands).")
    ] = None,
    directory: Directory = None,
    config: ConfigFile = None,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes", "-y", help="Agree to take back an older run, and what a running stack uses."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be taken back; change nothing.")
    ] = False,
) -> None:
    """Take back what a fix run changed, byte for byte; what was changed since is refused and named.

    Called again, it goes on to the run before, and asks first; without a terminal it wants that
    run's name, or --yes. It asks as well before it takes from a running local stack what that
    runs out of.
    """
    from saas_doctor import repair
    from saas_doctor.cli.screen import say
    from saas_doctor.report.printable import one_line

    platform = load_platform(directory, config)
    if dry_run:
        _show_only(repair.chosen(platform, run))
        return
    older = None if run or yes else repair.older(platform)
    if older:
        _agree(older)
    meant = repair.chosen(platform, older.name if older else run)
    if not yes:
        _agree_to_take(platform, meant)
    undone = repair.undo(platform, meant.name)
    for title in undone.taken_back:
        say(f"undone   {one_line(title)}")
    for note in undone.notes:
        say(f"note     {note}")
    for title, reason in undone.refused:
        say(f"refused  {one_line(title)}: {reason}")
    print(f"run {undone.run}: {len(undone.taken_back)} taken back, {len(undone.refused)} refused")
    raise typer.Exit(1 if undone.refused else 0)


def _show_only(run: Run) -> None:
    from saas_doctor.cli.screen import say
    from saas_doctor.report.printable import one_line

    say(f"Run {run.name}; what was changed since would be refused:")
    for step in reversed(run.standing):
        say(f"undo     {one_line(step.title)}")


def _agree_to_take(platform: Platform, run: Run) -> None:
    """Ask where a running local stack needs what goes; raises DoctorError where it is not agreed to."""
    from saas_doctor import repair
    from saas_doctor.cli.screen import ask, say
    from saas_doctor.model import DoctorError
    from saas_doctor.stack.local.jobs import records_of

    config = platform.config
    needed = [platform.path(config.environment), platform.path(config.env_file)]
    gone = " and ".join(platform.relative(p) for p in repair.goes(run) if p in needed)
    running = [record.name for record in records_of(platform).all() if record.runs]
    if not gone or not running:
        return
    what = f"the local stack runs ({', '.join(sorted(running))}) and needs {gone}, which would go"
    step = "end it first: saas-doctor down --local"
    if not sys.stdin.isatty():
        raise DoctorError(f"{what}; {step}, or agree with --yes")
    say(f"{what[0].upper()}{what[1:]}; {step}", error=True)
    if ask("Take it back all the same? [y/N]", "yn") != "y":
        raise DoctorError("nothing was taken back")


def _agree(run: Run) -> None:
    """Show the run before and ask whether it is meant; raises DoctorError where nobody can be asked."""
    from saas_doctor.cli.screen import ask, say
    from saas_doctor.model import DoctorError
    from saas_doctor.report.printable import one_line

    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.began))
    say(
        f"The newest run is taken back already. The one before, {run.name} ({when}), did:",
        error=True,
    )
    for step in run.standing:
        say(f"  {one_line(step.title)}", error=True)
    if not sys.stdin.isatty():
        raise DoctorError(f"name it to take that back as well: saas-doctor undo {run.name}")
    if ask("Take it back as well? [y/N]", "yn") != "y":
        raise DoctorError("nothing was taken back")
