"""Which Python a platform wants, and what one that does not fit is called."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.version import Version

from saas_doctor import platform as platforms
from saas_doctor import rules
from saas_doctor.facts import Facts
from saas_doctor.facts.interpreter import Interpreter, WantedPython
from saas_doctor.model import Finding, Severity
from tests.trees import MakeTree, findings


def wanted(root: Path, files: dict[str, str]) -> Facts:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    old = Interpreter(root, ".venv", True, root / "bin/python", Version("3.9.18"))
    return Facts(platforms.load(root, exact=True, environ={}), old)


def verdict(facts: Facts) -> list[Severity]:
    check = rules.checks()["PY101"]
    found = list(check.function(**facts.arguments(check.facts)))
    return [f.severity or check.severity for f in found if isinstance(f, Finding)]


@pytest.mark.parametrize(
    ("files", "specifier", "source"),
    [
        (
            {"pyproject.toml": '[project]\nname = "x"\nrequires-python = ">=3.12"\n'},
            ">=3.12",
            "requires-python in pyproject.toml",
        ),
        (
            {"backend/main.py": "", "backend/pyproject.toml": 'requires-python = "3.12"\n'},
            "==3.12.*",
            "requires-python in backend/pyproject.toml",
        ),
        (
            {
                "setup.py": "from setuptools import setup\nsetup(\n    python_requires='>=3.10',\n)\n"
            },
            ">=3.10",
            "python_requires in setup.py",
        ),
        (
            {"setup.cfg": "[options]\npython_requires = >=3.10, <4  # not 4\n"},
            ">=3.10,<4",
            "python_requires in setup.cfg",
        ),
    ],
)
def test_the_python_that_a_project_file_asks_for_is_wanted(
    tmp_path: Path, files: dict[str, str], specifier: str, source: str
) -> None:
    facts = wanted(tmp_path, files)
    fact = facts.get(WantedPython)
    assert (sorted(str(fact.specifier).split(",")), fact.source) == (
        sorted(specifier.split(",")),
        source,
    )
    assert fact.place
    assert fact.place.path == source.split(" in ")[1]
    assert verdict(facts) == [Severity.ERROR]


@pytest.mark.parametrize("before", ["\n    ", "name='x', "])
def test_an_older_python_that_the_project_file_allows_is_silent(
    tmp_path: Path, before: str
) -> None:
    setup = f"import setuptools\n\nsetuptools.setup({before}python_requires='>=3.7',\n)\n"
    assert verdict(wanted(tmp_path, {"setup.py": setup})) == []


@pytest.mark.parametrize(
    "setup",
    ["", "MINIMUM = '>=3.7'\nsetup(python_requires=MINIMUM)\n", "#  python_requires='>=3'\n"],
)
def test_where_nothing_says_so_an_old_python_is_a_warning(tmp_path: Path, setup: str) -> None:
    assert verdict(wanted(tmp_path, {"setup.py": setup})) == [Severity.WARNING]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("FROM python:3.8\n", []),
        ("ARG PYTHON=3.9\nFROM python:${PYTHON}-slim AS base\nFROM base\n", []),
        ("FROM node:20\nFROM docker.io/library/python:3.9-alpine\n", []),
        ("FROM python:3.10\n", [Severity.WARNING]),
        ("FROM python:3.8 AS build\nFROM python:3.12\n", [Severity.WARNING]),
        ("FROM python:3\n", [Severity.WARNING]),
        ("FROM example/python:3.8\n", [Severity.WARNING]),
    ],
)
def test_an_old_python_that_the_dockerfile_builds_on_is_silent(
    tmp_path: Path, text: str, found: list[Severity]
) -> None:
    assert verdict(wanted(tmp_path, {"Dockerfile": text})) == found


@pytest.mark.parametrize(
    ("name", "text", "sure"),
    [
        ("/saas-doctor.toml", 'environment = "backend/.venv"\n', True),
        ("/README.md", "Then `python3.12 -m venv backend/.venv`.\n", True),
        ("run.sh", "exec .venv/bin/uvicorn main:app\n", True),
        ("/Makefile", "run:\n\tbackend/.venv/bin/python backend/run.py\n", True),
        ("/start.bat", "backend\\.venv\\Scripts\\python backend\\run.py\n", True),
        ("/README.md", "`.venv/bin/activate` of another folder\n", False),
        ("README.md", "At the root: `.venv/bin/python -m pytest backend`\n", False),
        ("Dockerfile", "ENV PATH=/app/.venv/bin:$PATH\nRUN .venv/bin/pip check\n", False),
        ("/README.md", "We use conda; `.venv` is ignored by git.\n", False),
    ],
)
def test_a_missing_environment_is_an_error_where_something_calls_it(
    tree: MakeTree, name: str, text: str, sure: bool
) -> None:
    (found,) = findings(tree({"main.py": "", name: text}), "PY102")
    assert found.severity is (None if sure else Severity.WARNING)
    assert bool(found.place) is sure
