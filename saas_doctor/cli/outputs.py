"""What `--format` and `--output` ask for: formats, each with the file it goes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from saas_doctor.model import DoctorError

FORMATS = ("console", "json", "junit", "sarif", "github", "gitlab", "markdown", "html")
"""Each but the first a module of saas_doctor.report with a `render`."""


class Output(Struct, frozen=True):
    """A format and its file; no file: standard output."""

    form: str
    file: Path | None = None


def chosen_outputs(
    words: Sequence[str] | None, output: Path | None, environ: Mapping[str, str]
) -> list[Output]:
    """The outputs that `FORMAT` and `FORMAT=FILE` name, what goes to standard output first.

    `output` is the file of the one format that names none. Raises DoctorError for two that would
    be written to one place.
    """
    outputs = [_output(word, output, environ) for word in words or ["console"]]
    if output and all(named.file != output for named in outputs):
        raise DoctorError("--output: every --format names its own file; leave one of both out")
    files = [named.file for named in outputs]
    for file in files:
        if files.count(file) > 1:
            where = file or "standard output"
            raise DoctorError(f"two formats go to {where}; name files: --format json=report.json")
    return sorted(outputs, key=lambda named: named.file is not None)


def _output(word: str, output: Path | None, environ: Mapping[str, str]) -> Output:
    form, sign, file = word.partition("=")
    if sign and not file:
        raise DoctorError(f"--format {word}: the name of the file is missing")
    if form == "auto":
        form = "github" if environ.get("GITHUB_ACTIONS") == "true" else "console"
    if form not in FORMATS:
        raise DoctorError(f"--format {word}: there are {', '.join(FORMATS)} and auto")
    return Output(form, Path(file) if file else output)
