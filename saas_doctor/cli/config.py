"""`saas-doctor config`: the Compose project as `up` understands it."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from saas_doctor.cli.options import ConfigFile, Directory, words
from saas_doctor.cli.stack_options import EnvFiles, Profile, stack_platform


class Format(str, Enum):
    JSON = "json"


def config(
    services: Annotated[
        list[str] | None, typer.Argument(help="Only these, and what they depend on.")
    ] = None,
    directory: Directory = None,
    configuration: ConfigFile = None,
    file: Annotated[
        list[Path] | None, typer.Option("--file", "-f", help="A Compose file; later ones override.")
    ] = None,
    env_file: EnvFiles = None,
    profile: Profile = None,
    project_name: Annotated[
        str, typer.Option("--project-name", "-p", help="The project's name.")
    ] = "",
    output_format: Annotated[Format, typer.Option("--format")] = Format.JSON,  # noqa: ARG001
    hashes: Annotated[
        bool, typer.Option("--hash", help="Print each service and its hash instead.")
    ] = False,
    show_secrets: Annotated[
        bool, typer.Option("--show-secrets", help="Print passwords and tokens as they are.")
    ] = False,
) -> None:
    """Print the Compose project as `up` understands it, in the form of `docker compose config`.

    Every $ in it is doubled. Secrets are masked, for what is printed ends in logs and tickets; another
    program that is to run it needs --show-secrets.
    """
    import msgspec

    from saas_doctor.compose.hashes import config_hash
    from saas_doctor.redact import redact_tree
    from saas_doctor.report.printable import one_line
    from saas_doctor.stack.project import project_of, sentences

    found = project_of(
        stack_platform(directory, configuration, env_file, file),
        files=[path.absolute() for path in file or ()],
        profiles=words(profile),
        services=services or (),
        name=project_name,
    )
    for sentence in sentences((*found.warnings, *found.errors)):
        print(f"saas-doctor: {one_line(sentence)}", file=sys.stderr)
    if found.errors:
        raise typer.Exit(2)
    if hashes:
        for name, service in sorted(found.project.services.items()):
            print(name, config_hash(service))
    else:
        project = msgspec.to_builtins(found.project, order="deterministic")
        if not show_secrets:
            project = redact_tree(project)
        text = msgspec.json.format(msgspec.json.encode(project))
        print(text.decode().replace("$", "$$"))
