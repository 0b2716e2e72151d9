"""`saas-doctor init`: write the configuration from what the platform's files tell."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from saas_doctor.cli.options import Directory


def init(
    directory: Directory = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write saas-doctor.toml, with comments, from the compose file, the code and the .env file."""
    from saas_doctor import config, platform
    from saas_doctor.initial import configuration_text
    from saas_doctor.model import DoctorError

    root = (directory or Path.cwd()).resolve()
    if not root.is_dir():
        raise DoctorError(f"{root}: not a directory; name the platform with -C DIRECTORY")
    file = root / config.FILE
    if file.exists() and not force:
        raise DoctorError(f"{file} is there already; --force replaces it")
    file.unlink(missing_ok=True)
    text = configuration_text(platform.load(root, exact=True).config)
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DoctorError(f"{file}: can't write: {error.strerror}") from None
    print(f"wrote {file}")
