"""The order in which every format tells the findings: causes first, each with what waits for it."""

from __future__ import annotations

from collections.abc import Iterable

from saas_doctor.model import Finding, Report, Result, Risk, Severity, Status
from saas_doctor.report.printable import one_line

PARTS = {
    "PY": "Python and its environment",
    "PKG": "packages",
    "CFG": "settings (.env)",
    "SRC": "source",
    "NET": "ports and proxies",
    "DB": "Postgres",
    "RED": "Redis",
    "DOCK": "compose file, Dockerfiles",
    "SVC": "services",
    "WEB": "front end",
    "PERF": "performance",
}


_SHOWN = 10


def family(code: str) -> str:
    """The letters of a code, which name a part of the platform."""
    return code.rstrip("0123456789")


def order(finding: Finding) -> tuple[int, str]:
    return (finding.severity.rank if finding.severity else 0, finding.code)


def fix_command(finding: Finding) -> str:
    """The command that mends a finding with a fix; "" for one without."""
    if not finding.fix:
        return ""
    flag = " --allow-destructive" if finding.fix.risk is Risk.DESTRUCTIVE else ""
    return f"saas-doctor fix --select {finding.code}{flag}"


def details(finding: Finding) -> list[tuple[str, str]]:
    """What a person is told of a finding below its message: label and text."""
    told = [(name.replace("_", " "), text) for name, text in finding.evidence.items()]
    if finding.next_step:
        told.append(("next", finding.next_step))
    if finding.fix:
        told.append(("fix", f"{finding.fix.title}  ({fix_command(finding)})"))
    return told


def findings(report: Report) -> list[tuple[Finding, list[Result]]]:
    """The findings, the worst first, each with the checks that wait for it.

    What waits for several findings of one check is told once, with the first of them.
    """
    told: set[str] = set()
    found = []
    for finding in report.findings:
        waiting = [] if finding.code in told else blocked_under(report, finding.code)
        told.add(finding.code)
        found.append((finding, waiting))
    return sorted(found, key=lambda pair: order(pair[0]))


def undecided(report: Report) -> Iterable[list[Result]]:
    """The checks that could not tell, those with one reason together."""
    groups: dict[tuple[bool, str | None], list[Result]] = {}
    for result in report.results:
        if result.status in (Status.UNKNOWN, Status.CRASHED) or result.undecided:
            groups.setdefault((result.status is Status.CRASHED, result.reason), []).append(result)
    return groups.values()


def blocked_under(report: Report, code: str) -> list[Result]:
    """The blocked checks whose root cause is this code."""
    return [
        result
        for result in report.results
        if result.status is Status.BLOCKED and report.causes(result.code)[-1:] == [code]
    ]


def gone(report: Report, shown: int = _SHOWN) -> str:
    """What the baseline accepts and is no longer there, and how it is dropped; "" for nothing.

    `shown`: how many are named.
    """
    if not report.gone:
        return ""
    named = one_line(", ".join(map(str, report.gone[:shown])))
    more = f" and {len(report.gone) - shown} more" if len(report.gone) > shown else ""
    number = count(sum(one.count for one in report.gone), "finding")
    file = one_line(report.baseline)
    return f"{number} of {file} no longer there: {named}{more}; `saas-doctor check --write-baseline` drops them"


def summary(report: Report) -> str:
    """One line: what was found, how many causes, what could not be told, and how long it took."""
    parts = [
        count(report.count_severity(severity), severity.value)
        for severity in Severity
        if report.count_severity(severity)
    ]
    blocked = report.count(Status.BLOCKED)
    head = ", ".join(parts) or "no finding"
    if blocked:
        causes = {report.causes(r.code)[-1] for r in report.results if r.status is Status.BLOCKED}
        head += f"; {count(blocked, 'check')} blocked by {', '.join(sorted(causes))}"
    accepted = len(report.baselined)
    if accepted:
        head += f"; {count(accepted, 'finding')} in the baseline"
    states = ", ".join(_states(report))
    return f"{head}  ({states + '; ' if states else ''}{report.duration:.2f} s)"


def count(number: int, noun: str) -> str:
    plural = noun if number == 1 or noun == "info" else f"{noun}s"
    return f"{number} {plural}"


def _states(report: Report) -> Iterable[str]:
    for status in (Status.OK, Status.UNKNOWN, Status.CRASHED, Status.SKIPPED):
        if report.count(status):
            yield f"{report.count(status)} {status.value}"
