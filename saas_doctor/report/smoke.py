"""The smoke test's steps for a person, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from saas_doctor import __version__
from saas_doctor.report.console import Line
from saas_doctor.smoke.steps import State, Step

_STYLE = {
    State.OK: "green",
    State.FAILED: "bold red",
    State.SKIPPED: "dim",
    State.UNKNOWN: "bold magenta",
}


def lines(step: Step) -> Iterator[Line]:
    """One step: its outcome and time, and of a failed one the end of its output."""
    title = f"{step.part.value}: {step.title}"
    yield [
        (f"{step.state.value:<8}", _STYLE[step.state]),
        (f"{step.seconds:6.2f} s  ", "dim"),
        (title, "bold"),
        (f"  {step.said}" if step.said else "", ""),
    ]
    if step.state is not State.FAILED:
        return
    for text in step.output:
        yield [(f"             | {text}", "dim")]
    if step.next_step:
        code = f"{step.code}  " if step.code else ""
        yield [(f"             {code}", "bold"), (step.next_step, "")]


def summary(steps: Sequence[Step], seconds: float) -> str:
    counts = [
        f"{sum(s.state is state for s in steps)} {state.value}"
        for state in State
        if any(s.state is state for s in steps)
    ]
    return f"{', '.join(counts) or 'nothing to do'}  ({seconds:.1f} s)"


def render(steps: Sequence[Step], directory: str, seconds: float) -> str:
    """The JSON document; durations are whole milliseconds."""
    document = {
        "schema": 1,
        "tool": {"name": "saas-doctor", "version": __version__},
        "platform": {"directory": directory},
        "summary": {
            **{state.value: sum(s.state is state for s in steps) for state in State},
            "duration_ms": round(seconds * 1000),
        },
        "steps": [
            {
                "part": step.part.value,
                "title": step.title,
                "status": step.state.value,
                "said": step.said,
                "duration_ms": round(step.seconds * 1000),
                "code": step.code or None,
                "output": list(step.output),
                "next_step": step.next_step,
            }
            for step in steps
        ],
    }
    return json.dumps(document, ensure_ascii=False, indent=2)


def exit_code(steps: Sequence[Step]) -> int:
    """0 nothing failed; 1 something did; 3 nothing did, but something could not be told."""
    states = {step.state for step in steps}
    return 1 if State.FAILED in states else 3 if State.UNKNOWN in states else 0
