"""`saas-doctor ps`: what of the stack runs, and how it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated

import typer

from saas_doctor.cli.options import ConfigFile, Directory, Format
from saas_doctor.cli.stack_options import (
    Docker,
    EnvFiles,
    Local,
    Services,
    chosen_backend,
    stack_platform,
)

if TYPE_CHECKING:
    from saas_doctor.report.console import Line
    from saas_doctor.stack import Backend, Member

_STYLES = {"healthy": "green", "unhealthy": "bold red", "starting": "yellow"}


def ps(
    services: Services = None,
    directory: Directory = None,
    config: ConfigFile = None,
    env_file: EnvFiles = None,
    local: Local = False,
    docker: Docker = False,
    output_format: Annotated[Format, typer.Option("--format")] = Format.CONSOLE,
) -> None:
    """List the stack: services, health, ports, since when, memory, restarts; running or not."""
    from saas_doctor.cli.screen import say, show

    platform = stack_platform(directory, config, env_file)
    backend = chosen_backend(platform, local=local, docker=docker)
    members = chosen(backend.members(), services or (), backend)
    if output_format is Format.JSON:
        import msgspec

        document = {"schema": 1, "backend": backend.name, "members": members}
        print(msgspec.json.encode(document).decode())
    elif not members:
        say("Nothing of it is there; saas-doctor up makes it.", error=True)
    else:
        show(table(members, datetime.now(timezone.utc)))


def chosen(members: list[Member], services: Sequence[str], backend: Backend) -> list[Member]:
    """Those that are asked for; raises DoctorError for a name that nothing has."""
    from saas_doctor.model import DoctorError

    known = [*dict.fromkeys([*backend.services, *(member.service for member in members)])]
    unknown = [name for name in services if name not in known]
    if unknown:
        raise DoctorError(f"no service {unknown[0]}; there are {', '.join(known)}")
    return [m for m in members if not services or m.service in services]


def table(members: Sequence[Member], now: datetime) -> Iterator[Line]:
    """A row for each, under a heading, in columns as wide as they have to be."""
    rows = [("SERVICE", "STATE", "SINCE", "MEMORY", "RESTARTS", "PORTS")]
    rows += [_row(member, now) for member in members]
    widths = [max(len(row[at]) for row in rows) for at in range(5)]
    for number, row in enumerate(rows):
        cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)]
        member = members[number - 1] if number else None
        style = _style(member) if member else "bold"
        yield [
            (f"{cells[0]}  ", "bold"),
            (f"{cells[1]}  ", style),
            (f"{'  '.join(cells[2:])}  {row[5]}".rstrip(), "" if member else "bold"),
        ]


def _style(member: Member) -> str:
    if member.state == "running":
        return _STYLES.get(member.health, "green")
    return "bold red" if member.exit_code else "dim"


def _row(member: Member, now: datetime) -> tuple[str, str, str, str, str, str]:
    from saas_doctor.report.sizes import in_words

    state = member.state
    if member.health:
        state = f"{state}, {member.health}"
    elif member.exit_code is not None:
        state = f"{state}, code {member.exit_code}"
    return (
        member.service or member.name,
        state,
        lasted((now - member.since).total_seconds()) if member.since else "-",
        in_words(member.memory) if member.memory is not None else "-",
        str(member.restarts),
        ", ".join(member.ports) or "-",
    )


def lasted(seconds: float) -> str:
    """How long: `42 s`, `5 min`, `3 h`, `2 d`."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
