"""Shows a plan and gets the agreement to it, in whole or to some of its steps."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from saas_doctor.report.printable import one_line

if TYPE_CHECKING:
    from pathlib import Path

    from saas_doctor.plan import Plan, Step
    from saas_doctor.report.console import Line
    from saas_doctor.saved_plan import SavedPlan


_HELP = """\
  y  apply all of it; saas-doctor undo takes it back
  o  ask for each step; what needs one that is left out is left out as well
  n  apply nothing
The steps are safe, or change running things and packages, as the brackets say; destructive ones
are only planned with --allow-destructive."""


class Asker:
    """Shows each round's plan and gets the agreement; `command` is the one that asks."""

    def __init__(self, *, yes: bool, command: str) -> None:
        self.yes, self.command = yes, command
        self.asked = False

    def agree(self, plan: Plan) -> Plan:
        from saas_doctor.cli.screen import ask, say, show

        self.asked = True
        show(plan_lines(plan))
        if self.yes:
            return plan
        if not sys.stdin.isatty():
            say(f"Not applied: no terminal to ask on; agree with {self.command} --yes")
            return plan.without(plan.steps, "not agreed to")
        while (answer := ask("Apply? [y]es all, [o]ne by one, [N]o, [?] help", "yon?")) == "?":
            say(_HELP, error=True)
        if answer == "y":
            return plan
        if answer == "o":
            refused = [s for s in plan.steps if ask(f"{s.action.title}? [y/N]", "yn") != "y"]
            return plan.without(refused, "not agreed to")
        return plan.without(plan.steps, "not agreed to")


class Agreed:
    """Agrees to what a saved plan holds, and to nothing that comes up later."""

    def __init__(self, saved: SavedPlan, file: Path) -> None:
        self.saved, self.file = saved, file
        self.asked = False

    def agree(self, plan: Plan) -> Plan:
        from saas_doctor import saved_plan
        from saas_doctor.cli.screen import show

        if self.asked:
            return plan.without(plan.steps, f"not in {self.file}")
        self.asked = True
        kept = saved_plan.the_same(plan, self.saved, self.file)
        show(plan_lines(kept))
        return kept


def plan_lines(plan: Plan) -> Iterator[Line]:
    """Every action with its risk, the findings it is for, and its diff, SQL or command."""
    for number, step in enumerate(plan.steps, 1):
        yield from _step_lines(number, step)
    for finding, reason in plan.waiting:
        yield [(f"not planned: {finding.code} {one_line(finding.message)}: {reason}", "yellow")]


def _step_lines(number: int, step: Step) -> Iterator[Line]:
    yield [
        (
            f"{number}. {one_line(step.action.title)}  [{step.action.risk.value}; {step.codes}]",
            "bold",
        )
    ]
    for line in step.action.preview().splitlines():
        yield [(f"     {line}", {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], ""))]
