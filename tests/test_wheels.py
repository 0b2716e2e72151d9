"""What can be had for a Python, and whether two ranges of versions meet."""

from __future__ import annotations

import itertools
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from saas_doctor import rules
from saas_doctor.config import Config
from saas_doctor.facts import Facts
from saas_doctor.facts.interpreter import Interpreter
from saas_doctor.facts.versions import disjoint
from saas_doctor.facts.wheels import published
from saas_doctor.model import Finding, Severity
from saas_doctor.platform import Platform
from tests.testbed.platforms import UV

EXAMPLES = int(os.environ.get("SD_EXAMPLES", "200"))

numbers = st.lists(st.integers(0, 2), min_size=1, max_size=3).map(
    lambda parts: ".".join(map(str, parts))
)
clauses = st.one_of(
    st.tuples(st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), numbers).map("".join),
    numbers.map(lambda version: f"=={version}.*"),
    numbers.map(lambda version: f"!={version}.*"),
    numbers.filter(lambda version: "." in version).map(lambda version: f"~={version}"),
)
ranges = st.lists(clauses, max_size=3).map(lambda parts: SpecifierSet(",".join(parts)))
GRID = [
    Version(".".join(map(str, parts)) + end)
    for length in (1, 2, 3)
    for parts in itertools.product(range(4), repeat=length)
    for end in ("", ".0.0.0.1")
]


@settings(max_examples=EXAMPLES, deadline=None)
@given(ranges, ranges)
def test_ranges_are_disjoint_where_no_version_is_in_both(
    one: SpecifierSet, other: SpecifierSet
) -> None:
    meet = [v for v in GRID if one.contains(v) and other.contains(v)]
    assert disjoint(one, other) == (not meet)


def test_a_version_compared_as_text_is_never_called_excluded() -> None:
    assert not disjoint(SpecifierSet("===1.0"), SpecifierSet("==2.0"))


@pytest.mark.parametrize(
    ("requirement", "python", "there"),
    [
        ("psycopg2-binary==2.9.9", "3.12", True),
        ("psycopg2-binary==2.9.9", "3.13", False),
        ("pydantic==2.5.3", "3.12", True),
        ("pydantic==2.5.3", "3.13", False),
        ("asyncpg==0.29.0", "3.13", False),
        ("bcrypt==4.1.3", "3.13", True),
        ("greenlet==3.0.1", "3.13", False),
        ("numpy==1.26.4", "3.13", False),
        ("pyyaml==6.0", "3.11", True),
    ],
)
def test_the_table_says_which_pins_have_wheels(requirement: str, python: str, there: bool) -> None:
    name, _, version = requirement.partition("==")
    known = published(name)
    assert known
    wheels = known.with_wheel(Version(python), "linux-x86_64")
    assert wheels is not None
    assert any(wheel.contains(version) for wheel in wheels) == there


@pytest.mark.parametrize(
    ("requirement", "python", "there"),
    [
        ("psycopg2-binary==2.9.9", "3.13", False),
        ("pydantic==2.5.3", "3.13", False),
        ("bcrypt==4.1.3", "3.13", True),
    ],
)
def test_the_package_index_says_so_too(requirement: str, python: str, there: bool) -> None:
    name = requirement.partition("==")[0]
    command = [UV, "pip", "compile", "-q", "--no-deps", "--only-binary", ":all:"]
    if name == "pydantic":  # it is its pydantic-core that has to be had
        command.remove("--no-deps")
    command += ["--python-version", python, "--python-platform", "x86_64-manylinux_2_28", "-"]
    done = subprocess.run(command, input=requirement, text=True, capture_output=True, check=False)
    assert (done.returncode == 0) == there, done.stderr


def findings(
    folder: Path, code: str, requirements: str, python: str, *installed: str
) -> list[Finding]:
    """What a check says of these requirements under a Python in which these are installed."""
    folder.mkdir(exist_ok=True)
    (folder / "requirements.txt").write_text(requirements)
    minor = ".".join(python.split(".")[:2])
    site = folder / f".venv/lib/python{minor}/site-packages"
    site.mkdir(parents=True)
    for text in installed:
        name, version, *headers = text.split("\n")
        (site / f"{name}-{version}.dist-info").mkdir()
        lines = [f"Name: {name}", f"Version: {version}", *headers, "", ""]
        (site / f"{name}-{version}.dist-info/METADATA").write_text("\n".join(lines))
    interpreter = Interpreter(
        folder / ".venv", ".venv", True, folder / ".venv/bin/python", Version(python)
    )
    config = Config(backend=".", environment=".venv", requirements=("requirements.txt",))
    facts = Facts(Platform(folder, config, environ={}), interpreter)
    check = rules.checks()[code]
    found = check.function(**facts.arguments(check.facts))
    return [f for f in found if isinstance(f, Finding)]


@pytest.mark.parametrize(
    ("requirement", "severity"),
    [
        ("psycopg2-binary==2.9.9", Severity.ERROR),
        ("pydantic~=2.5.0", Severity.ERROR),
        ("sqlalchemy>=2.0.10,<2.0.30", Severity.ERROR),
        ("pydantic==1.10.13", Severity.ERROR),
        ("pyyaml==6.0.1", None),
        ("numpy<2", None),
    ],
)
def test_what_python_3_13_has_no_wheel_for_is_told(
    tmp_path: Path, requirement: str, severity: Severity | None
) -> None:
    (found,) = findings(tmp_path, "PKG310", requirement, "3.13.0")
    assert found.severity is severity
    assert "3.12" in found.next_step


@pytest.mark.parametrize(
    "requirement",
    [
        "psycopg2-binary>=2.9.9",
        "psycopg2-binary==2.9.*",
        "psycopg2-binary==2.999",  # newer than the table
        "psycopg2-binary",
        "pydantic==2.12.5",
        "sqlalchemy==1.4.54",
        "sqlalchemy~=2.0",
        "sqlalchemy==2.0.0b3",
        "bcrypt==4.0.1",
        "somethingelse==1",
        "numpy==1.26.4; python_version < '3.13'",
        "asyncpg @ https://x.invalid/asyncpg-0.29.0.tar.gz",
    ],
)
def test_what_can_be_had_for_python_3_13_is_silent(tmp_path: Path, requirement: str) -> None:
    assert findings(tmp_path, "PKG310", requirement, "3.13.0") == []


def test_what_was_built_already_is_silent(tmp_path: Path) -> None:
    there = "asyncpg\n0.29.0"
    assert findings(tmp_path, "PKG310", "asyncpg==0.29.0", "3.13.0", there) == []


def test_a_sqlalchemy_that_dies_is_told_also_where_it_is_installed(tmp_path: Path) -> None:
    (found,) = findings(tmp_path, "PKG310", "sqlalchemy>=2", "3.13.0", "sqlalchemy\n2.0.23")
    assert "import sqlalchemy" in found.message
    assert found.data["versions"] == ">=2.0.31,<2.1"


def test_a_newer_major_version_is_not_chosen_for_anybody(tmp_path: Path) -> None:
    (found,) = findings(tmp_path, "PKG310", "numpy>=1.23.4,<2.0", "3.13.0")
    assert found.data["no_fix"]
    assert "3.12" in found.next_step


def test_a_constraint_can_exclude_what_has_a_wheel(tmp_path: Path) -> None:
    (tmp_path / "limits.txt").write_text("psycopg2-binary<2.9.10\n")
    found = findings(tmp_path, "PKG310", "psycopg2-binary>=2.9\n-c limits.txt\n", "3.13.0")
    assert [f.target for f in found] == ["psycopg2-binary"]


@pytest.mark.parametrize(
    ("requirement", "python"),
    [("fastapi==0.165.0", "3.10.1"), ("numpy==1.21.3", "3.11.1"), ("sqlalchemy>=2.1", "3.10.1")],
)
def test_a_pin_that_is_not_for_this_python_is_told(
    tmp_path: Path, requirement: str, python: str
) -> None:
    (found,) = findings(tmp_path, "PKG311", requirement, python)
    assert "make the environment with Python" in found.next_step
    assert findings(tmp_path / "more", "PKG310", requirement, python) == []


@pytest.mark.parametrize(
    "requirement",
    ["fastapi>=0.100", "fastapi==0.162.5", "sqlalchemy", "numpy>=1.21.3", "fastapi==9"],
)
def test_a_range_that_holds_a_version_for_this_python_is_silent(
    tmp_path: Path, requirement: str
) -> None:
    assert findings(tmp_path, "PKG311", requirement, "3.10.1") == []


def test_an_installed_package_for_another_python_is_told(tmp_path: Path) -> None:
    there = "redis\n5.0\nRequires-Python: <3.9"
    (found,) = findings(tmp_path, "PKG311", "redis", "3.12.0", there)
    assert (found.severity, found.wanted) == (Severity.WARNING, "<3.9")
