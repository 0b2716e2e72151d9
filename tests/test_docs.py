"""The documentation is fresh, and every check has what its user needs."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from saas_doctor import rules, schema
from saas_doctor.report.outline import PARTS, family

ROOT = Path(__file__).resolve().parent.parent


def test_the_pages_are_those_that_the_docstrings_make() -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    there = {path.name: path.read_text() for path in (ROOT / "docs/codes").glob("*.md")}
    assert there == module.pages(), "run: python docs/generate.py"
    assert module.SCHEMA.read_text() == schema.text(), "run: python docs/generate.py"


@pytest.mark.parametrize("code", sorted(rules.checks()))
def test_a_check_says_how_it_is_detected_fixed_and_when_it_is_silent(code: str) -> None:
    document = rules.checks()[code].document
    assert document.partition("\n")[0].endswith(".")
    assert "**Detected**" in document
    assert "**Silent**" in document
    assert code not in rules.fixes() or "**Fixed**" in document


@pytest.mark.parametrize("code", sorted(rules.checks()))
def test_needs_and_fixes_name_checks_that_exist(code: str) -> None:
    assert set(rules.checks()[code].needs) <= set(rules.checks())
    assert set(rules.fixes()) <= set(rules.checks())


def test_every_code_belongs_to_a_part_that_reports_name() -> None:
    assert {family(code) for code in rules.checks()} == set(PARTS)
