"""`saas-doctor fix`: show a plan, apply what is agreed to, prove that it helped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from saas_doctor.cli.asking import Agreed, Asker, plan_lines
from saas_doctor.cli.options import (
    ConfigFile,
    Directory,
    Ignore,
    Select,
    Timeout,
    load_platform,
    refuse_together,
    selection,
)
from saas_doctor.redact import redact
from saas_doctor.report.printable import one_line, printable

if TYPE_CHECKING:
    from saas_doctor.model import Report, Risk, Severity
    from saas_doctor.plan import Plan
    from saas_doctor.platform import Platform
    from saas_doctor.repair import Repair
    from saas_doctor.runner import Selection
    from saas_doctor.saved_plan import SavedPlan


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
    save: Annotated[
        Path | None,
        typer.Option("--plan", metavar="FILE", help="Save the plan to FILE; change nothing."),
    ] = None,
    apply: Annotated[
        Path | None,
        typer.Option(
            "--apply", metavar="FILE", help="Apply a saved plan, if it would still be the same."
        ),
    ] = None,
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
    `--plan FILE` keeps a plan to be looked at; `--apply FILE` does exactly what it holds, or nothing.
    What breaks nothing (info), and what the baseline accepts, is left as it is, unless `--select`
    names its code.
    Exit codes: 0 nothing of severity error is left; 1 findings are left; 2 wrong use; 3 unknown left.
    """
    from saas_doctor import baseline as baselines
    from saas_doctor import journal, repair, saved_plan
    from saas_doctor.cli.screen import say
    from saas_doctor.model import Risk, Severity

    only_shows = "--plan" if save else "--diff" if diff else "--dry-run" if dry_run else ""
    refuse_together(**{"--apply": bool(apply), only_shows: bool(only_shows)})
    platform = load_platform(directory, config)
    asker: Asker | Agreed = Asker(yes=yes, command="saas-doctor fix")
    allow = Risk.DESTRUCTIVE if allow_destructive else Risk.CHANGES
    if apply:
        saved = _agreed_to(apply, platform, [*(select or ()), *(ignore or ())], allow_destructive)
        select, ignore, allow = list(saved.select), list(saved.ignore), saved.allow
        asker = Agreed(saved, apply)
    accepted = None if select else baselines.read(platform)
    chosen = selection(platform.config, select, ignore, baseline=accepted)
    slightest = Severity.INFO if select else Severity.WARNING
    if only_shows:
        report, plan = _planned(platform, chosen, allow, slightest, timeout)
        if save:
            saved_plan.save(
                plan, platform, save, select=select or (), ignore=ignore or (), allow=allow
            )
        _show_only(report, plan, diff=diff)
        if save:
            say(f"wrote {save}; apply it: saas-doctor fix --apply {save}", error=True)
        raise typer.Exit(1 if plan.steps else report.exit_code(Severity(platform.config.fail_on)))
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
    if apply and saved.steps and not asker.asked:
        raise saved_plan.stale(apply, saved.steps[0])
    _tell(done, asked=asker.asked)
    if not select:
        _tell_of_what_is_left(done.report)
    code = done.report.exit_code(Severity(platform.config.fail_on))
    raise typer.Exit(code)


def _agreed_to(
    file: Path, platform: Platform, words: list[str], allow_destructive: bool
) -> SavedPlan:
    """The saved plan, which says by itself what it chooses; raises DoctorError."""
    from saas_doctor import saved_plan
    from saas_doctor.model import DoctorError

    if words:
        raise DoctorError("--apply does what its FILE holds; leave out --select and --ignore")
    saved = saved_plan.read(file, platform)
    if saved.destructive and not allow_destructive:
        named = "; ".join(saved.destructive)
        raise DoctorError(f"{file}: would {named}: destructive, needs --allow-destructive")
    return saved


def _planned(
    platform: Platform, chosen: Selection, allow: Risk, slightest: Severity, timeout: float | None
) -> tuple[Report, Plan]:
    from saas_doctor import plan, runner
    from saas_doctor.facts import Facts

    facts = Facts(platform)
    report = runner.run(platform, chosen, facts=facts, timeout=timeout)
    made = plan.make(report.findings, facts, allow=allow, slightest=slightest)
    return report, plan.rehearse(made, facts)


def _show_only(report: Report, plan: Plan, *, diff: bool) -> None:
    from saas_doctor.cli.screen import say, show

    if diff:
        for step in plan.steps:
            print(printable(redact(step.action.preview())))
        return
    show(plan_lines(plan))
    if not plan.steps:
        say(_nothing(report))


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
        if item.step.action.afterwards and item.outcome in (Outcome.VERIFIED, Outcome.UNVERIFIED):
            say(f"{'to do':<12} {item.step.action.afterwards}", "yellow")
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
