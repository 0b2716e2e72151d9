"""What commands write: documents to standard output, progress and questions to standard error."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from saas_doctor.model import DoctorError, Report, Result


def console(*, error: bool = False) -> Console:
    return Console(stderr=error, highlight=False)


@contextmanager
def status_line(what: str, total: int) -> Iterator[Callable[[Result], None]]:
    """A line on a terminal that counts finished checks; nothing at all elsewhere."""
    screen = console(error=True)
    if not screen.is_terminal or "CI" in os.environ or os.environ.get("TERM") == "dumb":
        yield lambda _: None
        return
    done = 0
    with screen.status(what) as status:

        def progress(result: Result) -> None:
            nonlocal done
            done += 1
            status.update(f"{what}: {done}/{total} ({result.code})")

        yield progress


def write_report(report: Report, form: str, output: Path | None, *, verbose: bool = False) -> None:
    """The report in the format asked for, to the file, else to standard output."""
    if output is None and form == "console":
        from saas_doctor.report.console import render

        render(report, console(), verbose=verbose)
        return
    text = _text(report, form, verbose)
    if output is None:
        sys.stdout.write(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DoctorError(f"{output}: can't write the report: {error.strerror}") from None


def _text(report: Report, form: str, verbose: bool) -> str:
    if form == "json":
        from saas_doctor.report import json

        return json.render(report) + "\n"
    from saas_doctor.report import console as plain

    buffer = io.StringIO()
    plain.render(report, Console(file=buffer, width=100, highlight=False), verbose=verbose)
    return buffer.getvalue()
