"""JUnit XML: a suite for each part of the platform, a test case for each check.

Every finding is a failure of its check; what could not be told, or crashed, is an error; what was
skipped, waits for another check, or finds what a baseline accepts alone, is skipped. A suite counts test cases, not findings.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from saas_doctor.model import Finding, Report, Result, Status
from saas_doctor.report import outline
from saas_doctor.report.printable import printable


def render(report: Report) -> str:
    root = Element("testsuites", name="saas-doctor")
    _count(root, report.results, report.duration)
    for prefix, name in outline.PARTS.items():
        results = [r for r in report.results if outline.family(r.code) == prefix]
        if not results:
            continue
        suite = SubElement(root, "testsuite", name=name)
        _count(suite, results, sum(r.duration for r in results))
        suite.set("skipped", str(sum(_skipped(r) for r in results)))
        for result in results:
            _case(suite, result)
    indent(root)
    # Other signs than ASCII's as references: right in whatever encoding it is written.
    text = tostring(root, encoding="us-ascii", xml_declaration=False).decode("ascii")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _count(suite: Element, results: Iterable[Result], seconds: float) -> None:
    results = list(results)
    suite.set("tests", str(len(results)))
    suite.set("failures", str(sum(bool(r.findings) for r in results)))
    suite.set("errors", str(sum(not r.findings and _untold(r) for r in results)))
    suite.set("time", f"{seconds:.3f}")


def _untold(result: Result) -> bool:
    return result.undecided or result.status in (Status.UNKNOWN, Status.CRASHED)


def _skipped(result: Result) -> bool:
    """Whether it says nothing: not examined, or all that it found is in the baseline."""
    if result.status in (Status.SKIPPED, Status.BLOCKED):
        return True
    return bool(result.baselined) and not result.findings and not _untold(result)


def _case(suite: Element, result: Result) -> None:
    case = SubElement(suite, "testcase", name=f"{result.code} {printable(result.title)}")
    case.set("classname", f"saas-doctor.{outline.family(result.code)}")
    case.set("time", f"{result.duration:.3f}")
    for finding in result.findings:
        _failure(case, finding)
    reason = printable(result.reason or "")
    if _untold(result):
        kind = Status.CRASHED if result.status is Status.CRASHED else Status.UNKNOWN
        SubElement(case, "error", type=kind.value, message=reason).text = reason
    elif _skipped(result):
        accepted = len(result.baselined)
        why = f"{outline.count(accepted, 'finding')} in the baseline" if accepted else reason
        kind_of = "baseline" if accepted else result.status.value
        SubElement(case, "skipped", type=kind_of, message=why)
    told = [f"in the baseline: {f.message}" for f in result.baselined]
    told += [f"ignored: {f.message} ({reason})" for f, reason in result.ignored]
    if told:
        SubElement(case, "system-out").text = printable("\n".join(told))


def _failure(case: Element, finding: Finding) -> None:
    kind = finding.severity.value if finding.severity else "error"
    failure = SubElement(case, "failure", type=kind, message=printable(finding.message))
    lines = [f"at: {finding.place}"] if finding.place else []
    lines += [f"{label}: {text}" for label, text in outline.details(finding)]
    failure.text = printable("\n".join(lines))
