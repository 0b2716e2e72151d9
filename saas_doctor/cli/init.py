"""`saas-doctor init`: write the configuration from what the platform's files tell."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from saas_doctor.cli.options import Directory


def init(
    directory: Directory = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    with_schema: Annotated[
        bool,
        typer.Option(
            "--schema", help="Also write its JSON schema, and the line that editors read."
        ),
    ] = False,
) -> None:
    """Write saas-doctor.toml, with comments, from the compose file, the code and the .env file."""
    from saas_doctor import config, schema
    from saas_doctor.actions.files import write_atomically
    from saas_doctor.discovery import discover
    from saas_doctor.initial import configuration_text
    from saas_doctor.model import DoctorError

    root = (directory or Path.cwd()).resolve()
    if not root.is_dir():
        raise DoctorError(f"{root}: not a directory; name the platform with -C DIRECTORY")
    file = root / config.FILE
    if file.exists() and not force:
        raise DoctorError(f"{file} is there already; --force replaces it")
    found = config.validate(discover(root, {}), None)
    try:
        text = configuration_text(found, lambda path: (root / path).exists())
        if with_schema:
            write_atomically(root / schema.FILE, schema.text().encode())
            text = f"#:schema ./{schema.FILE}\n\n{text}"
        write_atomically(file, text.encode())
    except OSError as error:
        raise DoctorError(f"{file}: can't write: {error.strerror}") from None
    print(f"wrote {file}")
