"""What commands write: documents to standard output, progress and questions to standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TextIO

from saas_doctor.cli.outputs import Output
from saas_doctor.model import DoctorError, Report, Result
from saas_doctor.redact import redact
from saas_doctor.report import console
from saas_doctor.report.console import Line
from saas_doctor.report.printable import printable


def show(lines: Iterable[Line], file: TextIO | None = None) -> None:
    """Print lines, secrets masked: with their styles on a terminal, as plain text elsewhere."""
    file = file or sys.stdout
    lines = ([(printable(redact(text)), style) for text, style in line] for line in lines)
    if not file.isatty() or os.environ.get("TERM") == "dumb":
        for line in lines:
            print("".join(text for text, _ in line), file=file)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(file=file, highlight=False)
    for line in lines:
        console.print(Text.assemble(*line), soft_wrap=True)


def say(text: str = "", style: str = "", *, error: bool = False) -> None:
    """Print one line."""
    show([[(text, style)]], sys.stderr if error else sys.stdout)


def ask(question: str, answers: str) -> str:
    """One letter of `answers`, asked on the terminal; `n` for everything else."""
    print(printable(redact(question)), end=" ", file=sys.stderr, flush=True)
    answer = sys.stdin.readline().strip().lower()[:1]
    return answer if answer and answer in answers else "n"


@contextmanager
def status_line(what: str, total: int) -> Iterator[Callable[[Result], None]]:
    """A line on a terminal that counts finished checks; nothing at all elsewhere."""
    if not sys.stderr.isatty() or "CI" in os.environ or os.environ.get("TERM") == "dumb":
        yield lambda _: None
        return
    from rich.console import Console

    done = 0
    with Console(stderr=True, highlight=False).status(what) as status:

        def progress(result: Result) -> None:
            nonlocal done
            done += 1
            status.update(f"{what}: {done}/{total} ({result.code})")

        yield progress


def write_reports(report: Report, outputs: Collection[Output], *, verbose: bool = False) -> None:
    """The report in each of its formats; GitHub's come with the job summary, where the job has one.

    A file that can't be written costs none of the others; raises DoctorError when all is done.
    """
    failed = []
    for out in outputs:
        try:
            write_report(report, out.form, out.file, verbose=verbose)
        except DoctorError as error:
            failed.append(str(error))
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary and any(out.form == "github" for out in outputs):
        from saas_doctor.report import github, markdown

        try:
            _write(Path(summary), markdown.render(report, limit=github.SUMMARY), mode="a")
        except DoctorError as error:  # the job has its log
            say(f"note: {error}", error=True)
    if failed:
        raise DoctorError("; ".join(failed))


def write_report(
    report: Report, form: str, output: Path | None, *, verbose: bool = False, advice: bool = True
) -> None:
    """The report in the format asked for, to the file, else to standard output."""
    if form == "console":
        lines = list(console.render(report, verbose=verbose, advice=advice))
        if output is None:
            show(lines)
            return
        text = "".join(printable("".join(t for t, _ in line)) + "\n" for line in lines)
    else:
        text = import_module(f"saas_doctor.report.{form}").render(report)
    if output is None:
        sys.stdout.write(text)
    else:
        _write(output, text)


def _write(file: Path, text: str, *, mode: str = "w") -> None:
    try:
        with file.open(mode, encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        raise DoctorError(f"{file}: can't write the report: {error.strerror}") from None
