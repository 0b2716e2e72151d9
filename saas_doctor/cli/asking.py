"""Shows a plan and gets the agreement to it, in whole or to some of its steps."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from saas_doctor.report.printable import one_line

if TYPE_CHECKING:
    from saas_doctor.plan import Plan, Step
    from saas_doctor.report.console import Line


class Asker:
    """Shows each round's plan and gets the agreement."""

    def __init__(self, *, yes: bool) -> None:
        self.yes = yes
        self.asked = False

    def agree(self, plan: Plan) -> Plan:
        from saas_doctor.cli.screen import ask, say, show

        self.asked = True
        show(plan_lines(plan))
        if self.yes:
            return plan
        if not sys.stdin.isatty():
            say("Not applied: no terminal to ask on; agree with --yes.")
            return plan.without(plan.steps, "not agreed to")
        answer = ask("Apply? [y]es all, [o]ne by one, [N]o", "yon")
        if answer == "y":
            return plan
        if answer == "o":
            refused = [s for s in plan.steps if ask(f"{s.action.title}? [y/N]", "yn") != "y"]
            return plan.without(refused, "not agreed to")
        return plan.without(plan.steps, "not agreed to")


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
