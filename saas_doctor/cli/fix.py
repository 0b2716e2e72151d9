"""`saas-doctor fix`: show a plan, apply what is agreed to, prove that it helped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from saas_doctor.cli.asking import Asker, plan_lines
from saas_doctor.cli.options import (
    ConfigFile,
    Directory,
    Ignore,
    Select,
    Timeout,
    load_platform,
    selection,
)
from saas_doctor.redact import redact
from saas_doctor.report.printable import one_line, printable

if TYPE_CHECKING:
    from saas_doctor.model import Report, Risk, Severity
    from saas_doctor.platform import Platform
    from saas_doctor.repair import Repair
    from saas_doctor.runner import Selection


def fix(
    directory: Directory = None,
    config: ConfigFile = None,
    select: Select = None,
    ignore: Ignore = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Agree to safe actions and changes.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan; change nothing.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Print the plan's diffs only; change nothing.")
    ] = False,
    allow_destructive: Annotated[
        bool,
        typer.Option(
            "--allow-destructive", help="Also plan what ends others' processes or loses data."
        ),
    ] = False,
    timeout: Timeout = None,
) -> None:
    """Repair what can be repaired: plan, apply, examine again, roll back what did not help.

    Nothing changes before the plan was shown and agreed to. `saas-doctor undo` takes it back.
    What breaks nothing (info), and what the baseline accepts, is left as it is, unless `--select`
    names its code.
    Exit codes: 0 nothing of severity error is left; 1 findings are left; 2 wrong use; 3 unknown left.
    """
    from saas_doctor import baseline as baselines
    from saas_doctor import journal, repair
    from saas_doctor.cli.screen import say
    from saas_doctor.model import Risk, Severity

    platform = load_platform(directory, config)
    accepted = None if select else baselines.read(platform)
    chosen = selection(platform.config, select, ignore, baseline=accepted)
    allow = Risk.DESTRUCTIVE if allow_destructive else Risk.CHANGES
    slightest = Severity.INFO if select else Severity.WARNING
    if dry_run or diff:
        _show_only(platform, chosen, allow, slightest, timeout, diff=diff)
    asker = Asker(yes=yes, command="saas-doctor fix")
    try:
        done = repair.repair(
            platform,
            chosen,
            asker.agree,
            allow=allow,
            slightest=slightest,
            timeout=timeout,
            watch=lambda what: say(f"... {what}", error=True),
        )
    except KeyboardInterrupt:
        cut_off = journal.newest_unended(platform)
        say()
        say(
            repair.interruption(cut_off) if cut_off else "interrupted; nothing was changed",
            error=True,
        )
        raise typer.Exit(130) from None
    _tell(done, asked=asker.asked)
    if not select:
        _tell_of_what_is_left(done.report)
    code = done.report.exit_code(Severity(platform.config.fail_on))
    raise typer.Exit(code)


def _show_only(
    platform: Platform,
    chosen: Selection,
    allow: Risk,
    slightest: Severity,
    timeout: float | None,
    *,
    diff: bool,
) -> None:
    from saas_doctor import plan, runner
    from saas_doctor.cli.screen import say, show
    from saas_doctor.facts import Facts
    from saas_doctor.model import Severity

    facts = Facts(platform)
    report = runner.run(platform, chosen, facts=facts, timeout=timeout)
    made = plan.make(report.findings, facts, allow=allow, slightest=slightest)
    made = plan.rehearse(made, facts)
    if diff:
        for step in made.steps:
            print(printable(redact(step.action.preview())))
    else:
        show(plan_lines(made))
        if not made.steps:
            say(_nothing(report))
    raise typer.Exit(1 if made.steps else report.exit_code(Severity(platform.config.fail_on)))


def _tell(done: Repair, *, asked: bool) -> None:
    """What came of it: each action's outcome, and what is left."""
    from saas_doctor.cli.screen import say, write_report
    from saas_doctor.repair import Outcome

    if not asked and not done.waiting:
        say(_nothing(done.report))
    for item in done.done:
        good = item.outcome is Outcome.VERIFIED
        why = f": {item.reason}" if item.reason else ""
        say(
            f"{item.outcome.value:<12} {one_line(item.step.action.title)}{why}",
            "green" if good else "yellow",
        )
        more = item.step.action.afterwards(item.before)
        if more and item.outcome in (Outcome.VERIFIED, Outcome.UNVERIFIED):
            say(f"{'to do':<12} {more}", "yellow")
    for finding, reason in done.waiting:
        say(f"not fixed    {finding.code} {one_line(finding.message)}: {reason}")
    if done.run and any(d.outcome in (Outcome.VERIFIED, Outcome.UNVERIFIED) for d in done.done):
        say(f"Take it back: saas-doctor undo {done.run}")
    say()
    write_report(done.report, "console", None, advice=False)


def _nothing(report: Report) -> str:
    """That nothing was planned, and what of it is not known."""
    from saas_doctor.model import Status

    untold = [r.code for r in report.results if r.undecided or r.status is Status.UNKNOWN]
    crashed = [r.code for r in report.results if r.status is Status.CRASHED]
    said = "Nothing that can be fixed" if report.findings else "Nothing to fix"
    said = "Nothing found to fix" if not report.findings and (untold or crashed) else said
    said += f"; could not tell: {', '.join(untold)}" if untold else ""
    return said + (f"; crashed: {', '.join(crashed)}" if crashed else "") + "."


def _tell_of_what_is_left(report: Report) -> None:
    """Which fixes were not planned, since what they mend breaks nothing or is accepted."""
    from saas_doctor.cli.screen import say
    from saas_doctor.model import Severity

    codes = {f.code for f in report.findings if f.severity is Severity.INFO and f.fix}
    for code in sorted(codes):
        say(f"Left, since it breaks nothing: {code}; saas-doctor fix --select {code} mends it")
    for code in sorted({f.code for f in report.baselined if f.fix}):
        say(
            f"Left, since the baseline accepts it: {code}; saas-doctor fix --select {code} mends it"
        )
