"""`saas-doctor check`: examine the platform and say what is wrong and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from saas_doctor.cli.options import (
    BaselineFile,
    ConfigFile,
    Directory,
    FailOn,
    Ignore,
    Select,
    Timeout,
    load_platform,
    refuse_together,
    selection,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from saas_doctor.baseline import Baseline
    from saas_doctor.platform import Platform
    from saas_doctor.runner import Selection

_OF_A_MACHINE = ("PY102", "CFG901")
"""What a developer's machine has, and a fresh checkout in CI has not: environment and settings."""
_IN_CI = "in CI (CI is set), where a fresh checkout has none"


def check(
    word: Annotated[
        str | None,
        typer.Argument(
            metavar="[REV|FILE]",
            help="The revision of --changed (default: the last commit), or the file of --write-baseline.",
        ),
    ] = None,
    directory: Directory = None,
    config: ConfigFile = None,
    select: Select = None,
    ignore: Ignore = None,
    static: Annotated[bool, typer.Option("--static", help="Read files only.")] = False,
    live: Annotated[bool, typer.Option("--live", help="Ask running things only.")] = False,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            metavar="FORMAT[=FILE]",
            help="console, json, junit, sarif, github, gitlab, markdown, html, or auto; "
            "to FILE or standard output. Can be repeated.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="The file of the format named without one.")
    ] = None,
    fail_on: Annotated[
        FailOn | None, typer.Option("--fail-on", help="Exit 1 from here on.")
    ] = None,
    allow_unknown: Annotated[
        bool, typer.Option("--allow-unknown", help="Exit 0 where something could not be told.")
    ] = False,
    baseline: BaselineFile = None,
    write_baseline: Annotated[
        bool,
        typer.Option(
            "--write-baseline",
            help="Accept what is found now: only what is new fails from then on.",
        ),
    ] = False,
    changed: Annotated[
        bool,
        typer.Option("--changed", help="Examine only what the changes since REV can have broken."),
    ] = False,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Checks side by side.")] = 32,
    timeout: Timeout = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Examine again at every change, until Ctrl-C.")
    ] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Also list what holds.")] = False,
) -> None:
    """Examine the platform: files, interpreter, packages, ports, databases, services.

    Exit codes: 0 nothing at or above --fail-on; 1 findings that no baseline accepts;
    2 wrong use or configuration; 3 no such finding, but something could not be examined; 130 interrupted.
    """
    import os
    from functools import partial

    from msgspec.structs import replace

    from saas_doctor import baseline as baselines
    from saas_doctor import changes, runner
    from saas_doctor.cli.outputs import Output, chosen_outputs, make_ready, refuse_to_overwrite
    from saas_doctor.cli.screen import say, status_line, write_reports
    from saas_doctor.cli.watching import watch_platform
    from saas_doctor.model import DoctorError, Severity

    outputs = chosen_outputs(formats, output, os.environ)
    if static and live:
        raise DoctorError("--static and --live exclude each other; leave both out for everything")
    refuse_together(**{"--watch": watch, "--write-baseline": write_baseline, "--changed": changed})
    if watch and outputs != [Output("console")]:
        raise DoctorError("--watch tells changes on the console; leave out --format and --output")
    if word is not None and not (changed or write_baseline):
        raise DoctorError(f"{word}: what is this for? name the platform with -C DIRECTORY")

    def chosen(platform: Platform, accepted: Baseline | None) -> Selection:
        return _as_expected_in_ci(
            selection(
                platform.config, select, ignore, static=not live, live=not static, baseline=accepted
            )
        )

    if watch:
        watch_platform(
            lambda: load_platform(directory, config),
            lambda platform: runner.run(
                platform,
                chosen(platform, baselines.read(platform, baseline)),
                jobs=jobs,
                timeout=timeout,
            ),
            verbose=verbose,
        )
    platform = load_platform(directory, config)
    file = Path(word) if word is not None and write_baseline else baseline
    accepted = baselines.read(platform, file, must_exist=not write_baseline)
    for out in outputs:
        if out.file:
            make_ready(out.file)
            refuse_to_overwrite(out.file)
    if write_baseline:
        make_ready(accepted.file)
    wanted = chosen(platform, None if write_baseline else accepted)
    since = changes.since(platform, word, accepted.file) if changed else None
    with status_line(f"examining {platform.root}", len(wanted.codes())) as progress:
        run = partial(runner.run, platform, wanted, jobs=jobs, timeout=timeout, progress=progress)
        report = changes.examined(platform, since, run) if since else run()
    if write_baseline:
        before, accepted = accepted, baselines.write(report, platform, accepted)
        report = baselines.applied(report, platform, accepted)
        say(baselines.told(report, platform, before, accepted), error=True)
    missing = baselines.missing(platform, accepted)
    notes = [*report.notes, *filter(None, [missing]), *_notes(platform)]
    report = replace(report, notes=tuple(notes))
    write_reports(report, outputs, verbose=verbose)
    limit = Severity(fail_on.value if fail_on else platform.config.fail_on)
    raise typer.Exit(report.exit_code(limit, allow_unknown=allow_unknown))


def _as_expected_in_ci(made: Selection) -> Selection:
    """In CI, less what is missing in every fresh checkout, unless it is asked for by name."""
    import os

    from msgspec.structs import replace

    if os.environ.get("CI", "").lower() in ("", "0", "false"):
        return made
    expected = {code: _IN_CI for code in _OF_A_MACHINE if code not in made.select}
    return replace(made, ignore={**expected, **(made.ignore or {})})


def _notes(platform: Platform) -> Iterator[str]:
    """What was left of a fix that did not come to its end."""
    from saas_doctor import journal
    from saas_doctor.repair import interruption

    if journal.is_closed(platform):
        yield f"{platform.state} belongs to another user: whether a fix was cut off is not known"
    if cut_off := journal.interrupted(platform):
        yield interruption(cut_off)
