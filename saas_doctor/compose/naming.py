"""The name of a Compose project, which its containers, networks and volumes begin with."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from saas_doctor.compose.files import LARGEST
from saas_doctor.compose.nodes import File, read
from saas_doctor.compose.variables import NotValid, lookup_in, substitute
from saas_doctor.model import DoctorError
from saas_doctor.reading import read_bytes

VARIABLE = "COMPOSE_PROJECT_NAME"


def project_name(
    asked: str,
    paths: Sequence[Path],
    folder: Path,
    variables: Mapping[str, str],
    shown: Callable[[Path], str] = str,
) -> str:
    """The name asked for, or COMPOSE_PROJECT_NAME, or `name` in the files, or the folder's.

    `variables`: the shell's and those of `.env`. Raises DoctorError where there is none, or one
    that was asked for is none, and Broken and OSError for the files.
    """
    for source, given in (("--project-name", asked), (VARIABLE, variables.get(VARIABLE, ""))):
        if given:
            if normal(given) != given:
                raise DoctorError(
                    f"{source} {given!r} can't name a project: use lower case letters, digits, - and _,"
                    " beginning with a letter or digit"
                )
            return given
    written = ""
    for path in paths:
        documents, _ = read(File(shown(path), path, folder, read_bytes(path, LARGEST)))
        for document in documents:
            written = document.string("name") or written
    if written:
        try:
            name = normal(substitute(written, lookup_in(variables)).text)
        except NotValid as error:
            raise DoctorError(f"the project's name {written!r} is not valid: {error}") from None
    else:
        name = normal(folder.name)
    if not name:
        raise DoctorError("the project has no name: write one into the Compose file (name: NAME)")
    return name


def normal(text: str) -> str:
    """The text as Compose makes a name of it."""
    return re.sub(r"[^a-z0-9_-]", "", text.lower()).lstrip("_-")
