"""Plans: the ordered actions for many findings, merged and free of duplicates."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, field

from saas_doctor import rules
from saas_doctor.actions import Action, Conflict
from saas_doctor.actions.files import EditFile
from saas_doctor.facts import Facts
from saas_doctor.model import Absent, Finding, Risk, Severity, Unreadable


class Step(Struct):
    """One action, the findings it is for, and the steps of the same fixes that come before it."""

    action: Action
    findings: list[Finding]
    needs: list[Step] = field(default_factory=list)

    @property
    def codes(self) -> str:
        return ", ".join(dict.fromkeys(finding.code for finding in self.findings))


class Plan(Struct):
    """What will be done, in order; and which findings wait, with the reason."""

    steps: list[Step] = field(default_factory=list)
    waiting: list[tuple[Finding, str]] = field(default_factory=list)

    @property
    def findings(self) -> list[Finding]:
        return list({f.key: f for step in self.steps for f in step.findings}.values())

    def without(self, refused: Iterable[Step], reason: str) -> Plan:
        """The plan less these steps and all steps of the findings they were for."""
        out = {f.key for step in refused for f in step.findings}
        kept: list[Step] = []
        for step in self.steps:
            findings = [f for f in step.findings if f.key not in out]
            # A merged step may still serve others only when nothing of it is for what went out.
            if len(findings) == len(step.findings):
                kept.append(step)
            else:
                out |= {f.key for f in step.findings}
        if len(kept) < len(self.steps):
            kept = [s for s in kept if not any(f.key in out for f in s.findings)]
        waiting = [(f, reason) for f in self.findings if f.key in out]
        return Plan(kept, self.waiting + waiting)


def make(
    findings: Iterable[Finding],
    facts: Facts,
    *,
    allow: Risk = Risk.CHANGES,
    slightest: Severity = Severity.INFO,
) -> Plan:
    """The plan for these findings, with no action above the risk `allow`.

    What matters less than `slightest` is left as it is.
    """
    plan = Plan()
    for finding in findings:
        if finding.severity and finding.severity.rank > slightest.rank:
            continue
        fix = rules.fixes().get(finding.code)
        if fix is None or finding.fix is None:
            continue
        actions, refused = _actions(fix, finding, facts, allow)
        if refused and fix.code in rules.other_fixes():
            other, why = _actions(rules.other_fixes()[fix.code], finding, facts, allow)
            actions, refused = other, f"{refused}; {why}" if why else ""
        if refused:
            plan.waiting.append((finding, refused))
            continue
        try:
            _add(plan, finding, actions)
        except Conflict as conflict:
            plan.waiting.append((finding, f"later: {conflict}"))
    plan.steps.sort(key=lambda step: step.action.order)
    return plan


def _actions(
    fix: rules.Fix, finding: Finding, facts: Facts, allow: Risk
) -> tuple[list[Action], str]:
    """What a fix would do, and why it can't or may not be done."""
    try:
        actions = list(fix.function(finding, **facts.arguments(fix.facts)))
    except (Unreadable, Absent, Conflict) as reason:
        return [], str(reason)
    except Exception as error:  # one fix that breaks off leaves the others to be done
        return [], f"{type(error).__name__}: {error}"
    worst = max((action.risk for action in actions), key=lambda r: r.rank, default=Risk.SAFE)
    if worst.rank <= allow.rank:
        return actions, ""
    named = "; ".join(a.title for a in actions if a.risk.rank > allow.rank)
    return actions, f"would {named}: {worst.value}, needs --allow-destructive"


def rehearse(plan: Plan, facts: Facts) -> Plan:
    """The plan with what its actions can tell beforehand; what can't succeed waits.

    Asks installers, which takes its time: for plans that somebody is to see.
    """
    edits = [step.action for step in plan.steps if isinstance(step.action, EditFile)]
    edited = {action.path: action.result for action in edits}
    for step in plan.steps:
        try:
            step.action = step.action.rehearsed(facts, edited)
        except Conflict as conflict:
            # Less its edits, what is left may do: it is rehearsed as it then is.
            return rehearse(plan.without([step], str(conflict)), facts)
    return plan


def _add(plan: Plan, finding: Finding, actions: list[Action]) -> None:
    """Add a fix's actions, merging those on a target that the plan already changes."""
    steps = list(plan.steps)
    merged: list[tuple[Step, Action]] = []
    own: list[Step] = []
    for action in actions:
        there = next((s for s in steps if _same_target(s.action, action)), None)
        if there is None:
            there = Step(action, [])
            steps.append(there)
        else:
            # Tried on all before any is taken: a conflict must leave the plan as it was.
            merged.append((there, there.action.merge(action)))
        own.append(there)
    for step, action in merged:
        step.action = action
    for index, step in enumerate(own):
        if finding not in step.findings:
            step.findings.append(finding)
        step.needs += [s for s in own[:index] if s not in step.needs and s is not step]
    plan.steps = steps


def _same_target(one: Action, other: Action) -> bool:
    return type(one) is type(other) and one.target == other.target
