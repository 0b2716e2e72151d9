"""What `--format` and `--output` ask for: formats, each with the file it goes to, which can be written."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from saas_doctor.model import DoctorError

FORMATS = ("console", "json", "junit", "sarif", "github", "gitlab", "markdown", "html")
"""Each but the first a module of saas_doctor.report with a `render`."""
_STANDARD = Path("-")

_OURS = re.compile(
    rb'"name": "saas-doctor"|<testsuites name="saas-doctor"|<title>saas-doctor|\A# saas-doctor: '
    rb'|\A\[\s*\{\s*"description": .*\s*"check_name": |\A\[\]\s*\Z|\A\s*\Z'
    rb"|^(?:no finding|\d+ (?:error|warning|info)).*\(.*\d\.\d\d s\)$",
    re.M,
)
"""What the doctor's reports have in them, each format its own, or a file with nothing in it."""


class Output(Struct, frozen=True):
    """A format and its file; no file: standard output."""

    form: str
    file: Path | None = None


def chosen_outputs(
    words: Sequence[str] | None, output: Path | None, environ: Mapping[str, str]
) -> list[Output]:
    """The outputs that `FORMAT` and `FORMAT=FILE` name, what goes to standard output (`-`) last.

    `output` is the file of the one format that names none. Raises DoctorError for two that would
    be written to one place.
    """
    if output == _STANDARD:
        output = None
    outputs = [_output(word, output, environ) for word in words or ["console"]]
    if output and all(named.file != output for named in outputs):
        raise DoctorError("--output: every --format names its own file; leave one of both out")
    files = [named.file for named in outputs]
    for file in files:
        if files.count(file) > 1:
            where = file or "standard output"
            raise DoctorError(f"two formats go to {where}; name files: --format json=report.json")
    return sorted(outputs, key=lambda named: named.file is None)


def make_ready(file: Path) -> None:
    """Make the folder of a file that the work ends with, before the work begins.

    Raises DoctorError where it could not be written then.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DoctorError(
            f"{file}: can't make its folder: {error.strerror}; name a file elsewhere"
        ) from None
    if file.is_dir():
        raise DoctorError(f"{file}: this is a folder; name a file in it")
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise DoctorError(f"{file}: can't be written; name a file elsewhere")


def refuse_to_overwrite(file: Path) -> None:
    """Raise DoctorError for a file with something in it that is no former report."""
    try:
        ours = not file.is_file() or _OURS.search(file.read_bytes())
    except OSError as error:
        raise DoctorError(f"{file}: can't be read: {error.strerror}; name another file") from None
    if not ours:
        raise DoctorError(f"{file}: this is no former report; name another file, or delete it")


def _output(word: str, output: Path | None, environ: Mapping[str, str]) -> Output:
    form, sign, file = word.partition("=")
    if sign and not file:
        raise DoctorError(f"--format {word}: the name of the file is missing")
    if form == "auto":
        form = "github" if environ.get("GITHUB_ACTIONS") == "true" else "console"
    if form not in FORMATS:
        raise DoctorError(f"--format {word}: there are {', '.join(FORMATS)} and auto")
    if not file:
        return Output(form, output)
    return Output(form, None if file == str(_STANDARD) else Path(file))
