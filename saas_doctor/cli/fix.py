"""`saas-doctor fix`: show a plan, apply what is agreed to, prove that it helped."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from saas_doctor.cli.options import (
    ConfigFile,
    Directory,
    Ignore,
    Select,
    Timeout,
    load_platform,
    selection,
)

if TYPE_CHECKING:
    from rich.console import Console

    from saas_doctor.plan import Plan, Step
    from saas_doctor.repair import Repair


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
    Exit codes: 0 nothing of severity error is left; 1 findings are left; 2 wrong use; 3 unknown left.
    """
    from saas_doctor import repair
    from saas_doctor.cli.screen import console
    from saas_doctor.model import Risk, Severity

    platform = load_platform(directory, config)
    chosen = selection(platform.config, select, ignore)
    allow = Risk.DESTRUCTIVE if allow_destructive else Risk.CHANGES
    screen = console()
    if dry_run or diff:
        _show_only(platform, chosen, allow, timeout, screen, diff=diff)
    asker = _Asker(screen, yes=yes, allow=allow)
    notes = console(error=True)
    done = repair.repair(
        platform,
        chosen,
        asker.agree,
        allow=allow,
        timeout=timeout,
        watch=lambda what: notes.print(f"... {what}", markup=False, soft_wrap=True),
    )
    _tell(done, screen, asked=asker.asked)
    code = done.report.exit_code(Severity(platform.config.fail_on))
    raise typer.Exit(code)


def _show_only(
    platform: object,
    chosen: object,
    allow: object,
    timeout: float | None,
    screen: Console,
    *,
    diff: bool,
) -> None:
    from saas_doctor import plan, runner
    from saas_doctor.facts import Facts
    from saas_doctor.model import Risk
    from saas_doctor.platform import Platform
    from saas_doctor.runner import Selection

    assert isinstance(platform, Platform)
    assert isinstance(chosen, Selection)
    assert isinstance(allow, Risk)
    facts = Facts(platform)
    report = runner.run(platform, chosen, facts=facts, timeout=timeout)
    made = plan.make(report.findings, facts, allow=allow)
    if diff:
        for step in made.steps:
            print(step.action.preview())
    else:
        show_plan(made, screen)
        if not made.steps:
            screen.print("Nothing to fix.")
    raise typer.Exit(1 if made.steps else 0)


class _Asker:
    """Shows each round's plan and gets the agreement."""

    def __init__(self, screen: Console, *, yes: bool, allow: object) -> None:
        self.screen = screen
        self.yes = yes
        self.allow = allow
        self.asked = False

    def agree(self, plan: Plan) -> Plan:
        self.asked = True
        show_plan(plan, self.screen)
        if self.yes:
            return plan
        if not sys.stdin.isatty():
            self.screen.print("Not applied: no terminal to ask on; agree with --yes.")
            return plan.without(plan.steps, "not agreed to")
        answer = _ask("Apply? [y]es all, [o]ne by one, [N]o", "yon")
        if answer == "y":
            return plan
        if answer == "o":
            refused = [
                step for step in plan.steps if _ask(f"{step.action.title}? [y/N]", "yn") != "y"
            ]
            return plan.without(refused, "not agreed to")
        return plan.without(plan.steps, "not agreed to")


def _ask(question: str, answers: str) -> str:
    print(question, end=" ", file=sys.stderr, flush=True)
    answer = sys.stdin.readline().strip().lower()[:1]
    return answer if answer and answer in answers else "n"


def show_plan(plan: Plan, screen: Console) -> None:
    """Every action with its risk, the findings it is for, and its diff, SQL or command."""
    from rich.text import Text

    for number, step in enumerate(plan.steps, 1):
        _show_step(number, step, screen)
    for finding, reason in plan.waiting:
        screen.print(
            Text(f"not planned: {finding.code} {finding.message}: {reason}", style="yellow"),
            soft_wrap=True,
        )


def _show_step(number: int, step: Step, screen: Console) -> None:
    from rich.text import Text

    head = f"{number}. {step.action.title}  [{step.action.risk.value}; {step.codes}]"
    screen.print(Text(head, style="bold"), soft_wrap=True)
    for line in step.action.preview().splitlines():
        style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
        screen.print(Text(f"     {line}", style=style), soft_wrap=True)


def _tell(done: Repair, screen: Console, *, asked: bool) -> None:
    """What came of it: each action's outcome, and what is left."""
    from rich.text import Text

    from saas_doctor.cli.screen import write_report
    from saas_doctor.repair import Outcome

    if not asked and not done.waiting:
        screen.print("Nothing to fix.")
    for item in done.done:
        good = item.outcome is Outcome.VERIFIED
        why = f": {item.reason}" if item.reason else ""
        text = f"{item.outcome.value:<12} {item.step.action.title}{why}"
        screen.print(Text(text, style="green" if good else "yellow"), soft_wrap=True)
    for finding, reason in done.waiting:
        screen.print(
            Text(f"not fixed    {finding.code} {finding.message}: {reason}"), soft_wrap=True
        )
    if done.run:
        screen.print(f"Take it back: saas-doctor undo {done.run}")
    screen.print()
    write_report(done.report, "console", None)
