"""`saas-doctor undo`: take a fix run back."""

from __future__ import annotations

from typing import Annotated

import typer

from saas_doctor.cli.options import ConfigFile, Directory, load_platform


def undo(
    run: Annotated[
        str | None, typer.Argument(help="The run (default: the newest that stands).")
    ] = None,
    directory: Directory = None,
    config: ConfigFile = None,
) -> None:
    """Take back what a fix run changed, byte for byte; what was changed since is refused and named."""
    from saas_doctor import repair
    from saas_doctor.cli.screen import say
    from saas_doctor.report.printable import one_line

    undone = repair.undo(load_platform(directory, config), run)
    for title in undone.taken_back:
        say(f"undone   {one_line(title)}")
    for note in undone.notes:
        say(f"note     {note}")
    for title, reason in undone.refused:
        say(f"refused  {one_line(title)}: {reason}")
    print(f"run {undone.run}: {len(undone.taken_back)} taken back, {len(undone.refused)} refused")
    raise typer.Exit(1 if undone.refused else 0)
