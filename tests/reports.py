"""Reports made by hand for what the formats must bear; their codes are those of real checks."""

from __future__ import annotations

from msgspec.structs import replace

from saas_doctor import rules
from saas_doctor.model import (
    Accepted,
    Finding,
    FixSummary,
    Place,
    Report,
    Result,
    Risk,
    Severity,
    Status,
)

ODD = "naïve 你好 🩺 \u202e\x1b[31m\r\x00\ufffe\udcff <b>&amp;</b> ]]> `` ``` | :: % , \"'\\"
"""Signs that some format gives a meaning to, or that it can't hold."""


def finding(code: str, message: str = "a message", **more: object) -> Finding:
    known = {
        "looked_at": "here",
        "found": "this",
        "wanted": "that",
        "severity": Severity.ERROR,
        "code": code,
        **more,
    }
    return Finding(message, **known)  # type: ignore[arg-type]


def report(**of: list[Finding] | Result) -> Report:
    """A run of all checks: a check named by its code with the findings or the verdict given."""
    results = []
    for code, check in rules.checks().items():
        given = of.get(code, [])
        if isinstance(given, list):
            status = Status.FAILED if given else Status.OK
            given = Result(code, check.title, status, tuple(given), duration=0.01)
        results.append(given)
    return Report("/platform", "backend/.venv/bin/python", tuple(results), 1.25)


def verdict(code: str, status: Status, reason: str = "", **more: object) -> Result:
    title = rules.checks()[code].title
    return Result(code, title, status, reason=reason or None, **more)  # type: ignore[arg-type]


def some() -> Report:
    """Every severity and every verdict."""
    fix = FixSummary("Make the role", Risk.DESTRUCTIVE)
    ignored = ((finding("NET401", "port 8000 is taken"), "the other team's"),)
    return report(
        DB501=[
            finding("DB501", place=Place("backend/.env", 3, 1), next_step="start it", fix=fix),
            finding("DB501", "another", target="5433"),
        ],
        DB502=verdict("DB502", Status.BLOCKED, "DB501 failed", blocked_by="DB501"),
        CFG901=[finding("CFG901", severity=Severity.WARNING, found="a\nb", more={"by": "me"})],
        PY101=[finding("PY101", severity=Severity.INFO, place=Place("/etc/python", 1))],
        RED501=verdict("RED501", Status.UNKNOWN, "timed out"),
        SRC201=verdict("SRC201", Status.CRASHED, "ValueError: no; please report this"),
        SVC701=verdict("SVC701", Status.SKIPPED, "asks running things (--static)"),
        NET401=verdict("NET401", Status.OK, ignored=ignored),
        WEB801=Result(
            "WEB801",
            "title",
            Status.FAILED,
            (finding("WEB801"),),
            reason="half of it",
            undecided=True,
        ),
    )


def chosen() -> Report:
    """A baseline accepts two findings and one that is gone; one is new, one is ignored."""
    old = (
        finding("DB501", place=Place("backend/.env", 3), also=(Place("a b.py", 2, 4),)),
        finding("DB501", ODD),
    )
    ignored = ((finding("SRC204", ODD, place=Place("a.py", 3)), f"legacy {ODD}"),)
    made = report(
        DB501=verdict("DB501", Status.FAILED, baselined=old),
        SRC204=Result(
            "SRC204",
            "title",
            Status.FAILED,
            (finding("SRC204", "a new one", place=Place("a.py", 9)),),
            ignored,
            (finding("SRC204", place=Place("a.py", 1)),),
        ),
    )
    gone = (Accepted("SRC204", ODD, "line\nend.py", 2), Accepted("CFG901", ".env"))
    return replace(made, baseline="backend/accepted\udcff.json", gone=gone)


def odd() -> Report:
    """Findings whose every text and path holds what may break a format."""
    paths = (
        "a b/c d.py",
        "line\nend.py",
        "a:b,c%d.py",
        "你好/ü.py",
        "byte\udcff.py",
        "C:\\x\\y.py",
    )
    texts = {"found": ODD + "\n" + ODD, "wanted": "", "next_step": ODD, "target": ODD}
    return report(
        SRC204=[finding("SRC204", ODD, place=Place(path, 2, 3), **texts) for path in paths],
        SRC201=verdict("SRC201", Status.CRASHED, ODD),
        DB501=[finding("DB501", f"::error::{ODD}\n::error::second line", **texts)],
    )


def many(number: int = 10_000) -> Report:
    return report(
        SRC204=[
            finding("SRC204", f"finding {n}", place=Place(f"backend/file{n % 100}.py", n + 1))
            for n in range(number)
        ]
    )
