"""The command line: one module a command; nothing heavy is imported before a command runs."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from io import TextIOWrapper
from typing import Annotated

import typer

from saas_doctor import __version__

_COMMANDS = (
    "check",
    "fix",
    "undo",
    "history",
    "up",
    "down",
    "ps",
    "logs",
    "restart",
    "reset",
    "build",
    "config",
    "smoke",
    "init",
    "env",
    "explain",
)
"""The commands in the order of the help; each is a module here, with a function of its name."""


def _version(wanted: bool) -> None:
    if wanted:
        print(f"saas-doctor {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def command_line(words: list[str]) -> typer.Typer:
    """The command line for these words: of the one command that they begin with, else of all.

    Typer puts each of its commands together before it runs one: for all as long as an examination.
    """
    app = typer.Typer(
        name="saas-doctor",
        help="Examines a platform of FastAPI services, explains what is wrong, and repairs it.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for name in words[:1] if words[:1] and words[0] in _COMMANDS else _COMMANDS:
        app.command(name)(getattr(import_module(f"{__name__}.{name}"), name))
    return app


def main() -> None:
    """Run the command; every failure ends in one sentence and the exit code of the contract."""
    from saas_doctor.model import DoctorError
    from saas_doctor.report.printable import printable

    # What this terminal has no sign for is written out, and ends nothing half way.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        command_line(sys.argv[1:])(standalone_mode=True)
    except DoctorError as error:
        print(f"saas-doctor: {printable(str(error))}", file=sys.stderr)
        sys.exit(2)
    except PermissionError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        what += "; run this as the user whom it belongs to"
        print(f"saas-doctor: {printable(what)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("saas-doctor: interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # The reader went away (`| head`); nothing is left to tell it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
