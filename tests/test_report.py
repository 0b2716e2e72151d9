"""What a person is shown of a report."""

from __future__ import annotations

from saas_doctor.model import Finding, Report, Result, Severity, Status
from saas_doctor.report import console


def shown(finding: Finding, *, verbose: bool = False) -> str:
    result = Result(finding.code, "a title", Status.FAILED, findings=(finding,))
    report = Report(directory="/platform", python="", results=(result,), duration=0.1)
    lines = console.render(report, verbose=verbose)
    return "\n".join("".join(text for text, _ in line) for line in lines)


def lacking(names: str) -> Finding:
    return Finding(
        "packages are missing",
        looked_at="uv.lock",
        found=names,
        wanted="all of them",
        target="uv.lock",
        code="PKG301",
        severity=Severity.ERROR,
    )


def test_a_long_list_shows_its_first_items_and_the_number_of_the_others() -> None:
    text = shown(lacking(", ".join(f"package-{n:02}" for n in range(46))))
    assert "package-24 and 21 more (all: -v)" in text
    assert "package-25" not in text


def test_a_long_list_is_whole_with_v() -> None:
    names = ", ".join(f"package-{n:02}" for n in range(46))
    assert names in shown(lacking(names), verbose=True)


def test_a_long_text_that_is_no_list_is_whole() -> None:
    assert "x" * 400 in shown(lacking("x" * 400))
