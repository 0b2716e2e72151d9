"""The command line: one module a command; nothing heavy is imported before a command runs."""

from __future__ import annotations

import errno
import os
import sys
import threading
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

    _open_what_is_closed()
    # What this terminal has no sign for is written out, and ends nothing half way.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    threading.excepthook = lambda died: _tell_own_fault(died.exc_value)
    words = _parted(sys.argv[1:])
    try:
        try:
            command_line(words)(words, standalone_mode=True)
        finally:
            # Here and not at the end of the program, where nobody could tell that it failed.
            sys.stdout.flush()
    except DoctorError as error:
        _tell(str(error))
        sys.exit(2)
    except PermissionError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        _tell(f"{what}; run this as the user whom it belongs to")
        sys.exit(2)
    except KeyboardInterrupt:
        _tell("interrupted")
        sys.exit(130)
    except BrokenPipeError:
        # The reader went away (`| head`); nothing is left to tell it.
        _leave_standard_output()
        sys.exit(141)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            _leave_standard_output()
            where = error.filename or "the output"
            _tell(f"{where}: {error.strerror}; make room there and call this again")
            sys.exit(2)
        _tell_own_fault(error)
        sys.exit(3)


def _parted(words: list[str]) -> list[str]:
    """`--changed=REV` as it is written with other tools: here the revision stands beside it."""
    beside = ("--changed=", "--write-baseline=")
    return [p for w in words for p in (w.split("=", 1) if w.startswith(beside) else [w])]


def _open_what_is_closed() -> None:
    """Where the caller closed a standard stream (`>&-`), nothing is said, and no file takes its place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115


def _leave_standard_output() -> None:
    """Nothing more can be written there, also not what is still held back."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(what: str) -> None:
    from saas_doctor.redact import redact
    from saas_doctor.report.printable import printable

    print(f"saas-doctor: {printable(redact(what))}", file=sys.stderr)


def _tell_own_fault(error: BaseException | None) -> None:
    """What nobody foresaw, with the way to it: enough to mend it, and no secret of a traceback."""
    import traceback
    from pathlib import Path

    frames = traceback.extract_tb(error.__traceback__ if error else None)[-4:]
    way = " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in reversed(frames))
    _tell(f"a fault of its own: {type(error).__name__}: {error} (in {way}); please report this")
