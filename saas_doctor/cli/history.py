"""`saas-doctor history`: the fix runs of a platform and whether they can be undone."""

from __future__ import annotations

from saas_doctor.cli.options import ConfigFile, Directory, load_platform


def history(directory: Directory = None, config: ConfigFile = None) -> None:
    """List fix runs, oldest first, with what each did and whether it can be undone."""
    import time

    from saas_doctor import journal
    from saas_doctor.cli.screen import say
    from saas_doctor.model import DoctorError
    from saas_doctor.report.printable import one_line

    platform = load_platform(directory, config)
    if journal.is_closed(platform):
        raise DoctorError(f"{platform.state} belongs to another user: its runs can't be read")
    runs = journal.runs(platform)
    if not runs:
        say("no fix has run on this platform")
    for run in runs:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.began))
        say(f"{run.name}  {when}  {_state(run)}")
        for step in run.steps:
            say(f"    {step.state:<12} {one_line(step.title)}")


def _state(run: object) -> str:
    from saas_doctor.journal import Run

    assert isinstance(run, Run)
    if run.undone:
        return "undone"
    if not run.standing:
        return "nothing of it stands"
    word = "interrupted; " if run.interrupted else ""
    return f"{word}can be undone: saas-doctor undo {run.name}"
