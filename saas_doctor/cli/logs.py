"""`saas-doctor logs`: what the services wrote, with the errors that a rule is about marked."""

from __future__ import annotations

import sys
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Annotated

import typer

from saas_doctor.cli.options import ConfigFile, Directory
from saas_doctor.cli.stack_options import (
    Docker,
    EnvFiles,
    Local,
    Services,
    chosen_backend,
    stack_platform,
)
from saas_doctor.redact import Redactor

if TYPE_CHECKING:
    from saas_doctor.stack import LogLine

_COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "bright_cyan", "bright_magenta")


def logs(
    services: Services = None,
    directory: Directory = None,
    config: ConfigFile = None,
    env_file: EnvFiles = None,
    local: Local = False,
    docker: Docker = False,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until Ctrl-C.")] = False,
    tail: Annotated[
        int | None, typer.Option("-n", "--tail", min=0, help="The last lines of each service.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="From then on: 10m, 1h30m, or a date and time.")
    ] = None,
) -> None:
    """Show what the services wrote, by time. A line that a rule is about ends with its code."""
    platform = stack_platform(directory, config, env_file)
    begin = moment(since) if since else None
    backend = chosen_backend(platform, local=local, docker=docker, services=services)
    names = services or backend.services
    width = max((len(name) for name in names), default=0)
    printer = _Printer(width)
    for line in backend.logs(services or (), tail=tail, since=begin, follow=follow):
        printer.show(line)
        if follow:
            sys.stdout.flush()


def moment(text: str) -> datetime:
    """The time that `10m` (ago) or an ISO date names; raises DoctorError."""
    import re

    from saas_doctor.model import DoctorError

    if re.fullmatch(r"(\d+(\.\d+)?(ms|s|m|h|d))+", text):
        units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
        parts = re.findall(r"([\d.]+)(ms|s|m|h|d)", text)
        ago = sum(float(number) * units[unit] for number, unit in parts)
        return datetime.now(timezone.utc) - timedelta(seconds=ago)
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc)
    except ValueError:
        raise DoctorError(f"--since {text}: give 10m, 1h30m, or 2026-11-30T10:00:00") from None


class _Printer:
    """Prints lines, each with its service; every service has its colour on a terminal."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._colours: dict[str, str] = {}
        self._redactors: defaultdict[str, Redactor] = defaultdict(Redactor)

    def show(self, line: LogLine) -> None:
        from saas_doctor.cli.screen import show

        colour = self._colours.setdefault(
            line.service, _COLOURS[len(self._colours) % len(_COLOURS)]
        )
        code = code_of(line.text)
        mark = [(f"  <- {code}: saas-doctor explain {code}", "bold red")] if code else []
        text = self._redactors[line.service].redact(line.text)
        show([[(f"{line.service:<{self._width}} | ", colour), (text, ""), *mark]])


def code_of(text: str) -> str:
    """The rule that a line which tells of an error points to, or nothing."""
    from saas_doctor.facts.logs import Tail, plain
    from saas_doctor.symptoms import pointed_to

    error = Tail("", plain([text])).error
    return pointed_to(error) if error else ""
