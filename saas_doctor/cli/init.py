"""`saas-doctor init`: write the configuration from what the platform's files tell."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from typing import Annotated

import typer

from saas_doctor.cli.options import Directory


def init(
    directory: Directory = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a file that is there; it is kept as .bak.")
    ] = False,
    with_schema: Annotated[
        bool,
        typer.Option(
            "--schema",
            help="Also write its JSON schema, and the line that editors read; of a file that is "
            "there, the schema alone.",
        ),
    ] = False,
) -> None:
    """Write saas-doctor.toml, with comments, from the compose file, the code and the .env file."""
    from saas_doctor import config, schema
    from saas_doctor.actions.files import write_atomically
    from saas_doctor.discovery import discover
    from saas_doctor.initial import configuration_text
    from saas_doctor.model import DoctorError
    from saas_doctor.reading import read_bytes

    root = (directory or Path.cwd()).resolve()
    if not root.is_dir():
        raise DoctorError(f"{root}: not a directory; name the platform with -C DIRECTORY")
    file = root / config.FILE
    is_there = file.exists()
    if is_there and not force and not with_schema:
        kept = f"keeps it as {_free_name(file).name}"
        raise DoctorError(f"{file} is there already; --force replaces it, and {kept}")
    if not is_there and (project := config.load(root)[1]):
        raise DoctorError(
            f"{project} holds [tool.saas-doctor], which a {config.FILE} would put out of effect; "
            "edit it there, or move it first"
        )
    line = f"#:schema ./{schema.FILE}"
    try:
        before = read_bytes(file) if is_there else b""
        if with_schema:
            write_atomically(root / schema.FILE, schema.text().encode())
            print(f"wrote {root / schema.FILE}")
        if is_there and not force:
            if b"#:schema" not in before:
                print(f"{file} is as it was; editors read the schema where it begins with: {line}")
            return
        found = config.validate(discover(root, {}), None)
        text = configuration_text(found, lambda path: (root / path).exists())
        data = (f"{line}\n\n{text}" if with_schema else text).encode()
        if before not in (b"", data):
            copy = _free_name(file)
            write_atomically(copy, before, mode=file.stat().st_mode & 0o777)
            print(f"kept the former one as {copy}")
        write_atomically(file, data)
    except OSError as error:
        raise DoctorError(f"{file}: can't write: {error.strerror}") from None
    print(f"wrote {file}")


def _free_name(file: Path) -> Path:
    """Where a copy of the file goes, beside it, that replaces none."""
    names = (file.with_name(f"{file.name}.bak{number or ''}") for number in count())
    return next(name for name in names if not os.path.lexists(name))
