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

    undone = repair.undo(load_platform(directory, config), run)
    for title in undone.taken_back:
        print(f"undone   {title}")
    for note in undone.notes:
        print(f"note     {note}")
    for title, reason in undone.refused:
        print(f"refused  {title}: {reason}")
    print(f"run {undone.run}: {len(undone.taken_back)} taken back, {len(undone.refused)} refused")
    raise typer.Exit(1 if undone.refused else 0)
