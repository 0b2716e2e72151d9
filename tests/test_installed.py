"""What is installed, told from files; and what the installed packages say of each other."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packaging.version import Version

from saas_doctor import rules
from saas_doctor.config import Config
from saas_doctor.facts import Facts
from saas_doctor.facts.interpreter import Interpreter
from saas_doctor.facts.packages import Installed
from saas_doctor.model import Finding, Severity
from saas_doctor.platform import Platform

EXAMPLES = int(os.environ.get("SD_EXAMPLES", "200"))
SITE = ".venv/lib/python3.12/site-packages"


def facts(
    folder: Path,
    requirements: str = "",
    code: str = "import fastapi\n",
    files: tuple[str, ...] = ("requirements.txt",),
) -> Facts:
    (folder / SITE).mkdir(parents=True, exist_ok=True)
    (folder / "requirements.txt").write_text(requirements)
    (folder / "main.py").write_text(code)
    environment = folder / ".venv"
    known = Interpreter(environment, ".venv", True, environment / "bin/python", Version("3.12.1"))
    config = Config(backend=".", source_roots=(".",), environment=".venv", requirements=files)
    return Facts(Platform(folder, config, environ={}), known)


def package(folder: Path, name: str, version: str, *headers: str, **files: str) -> None:
    """Install: metadata, files, and the list of them with their sums."""
    where = folder / SITE / f"{name}-{version}.dist-info"
    where.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *headers]
    (where / "METADATA").write_text("\n".join([*lines, "", "Requires-Dist: not-a-header"]))
    record = []
    for module, text in files.items():
        path = folder / SITE / module / "__init__.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
        record.append(f"{module}/__init__.py,sha256={digest.rstrip(b'=').decode()},1\n")
    (where / "RECORD").write_text("".join(record))


def findings(known: Facts, code: str) -> list[Finding]:
    check = rules.checks()[code]
    found = check.function(**known.arguments(check.facts))
    return [f for f in found if isinstance(f, Finding)]


def installed(folder: Path) -> Installed:
    return facts(folder).get(Installed)


def test_folders_that_a_pth_file_names_are_searched_too(tmp_path: Path) -> None:
    (tmp_path / "elsewhere/redis-5.0.dist-info").mkdir(parents=True)
    (tmp_path / SITE).mkdir(parents=True)
    (tmp_path / SITE / "more.pth").write_text(
        f"import sys\n# no\n{tmp_path / 'elsewhere'}\n/none\n"
    )
    assert [str(p.version) for p in installed(tmp_path).packages.values()] == ["5.0"]


def test_a_project_that_setup_py_linked_is_installed(tmp_path: Path) -> None:
    (tmp_path / "lib/Some_Lib.egg-info").mkdir(parents=True)
    (tmp_path / "lib/Some_Lib.egg-info/PKG-INFO").write_text("Name: Some_Lib\nVersion: 1.2\n\n")
    (tmp_path / SITE).mkdir(parents=True)
    (tmp_path / SITE / "easy-install.pth").write_text(f"{tmp_path / 'lib'}\n")
    assert str(installed(tmp_path).packages["some-lib"].version) == "1.2"


def test_metadata_in_one_file_as_the_system_s_packages_have_it_is_read(tmp_path: Path) -> None:
    (tmp_path / SITE).mkdir(parents=True)
    (tmp_path / SITE / "PyYAML-6.0.egg-info").write_text("Name: PyYAML\nVersion: 6.0\n\ntext")
    assert str(installed(tmp_path).packages["pyyaml"].version) == "6.0"


@pytest.mark.parametrize("last", ["passlib", "libpass"])
def test_of_two_that_bring_a_module_the_one_installed_last_provides_it(
    tmp_path: Path, last: str
) -> None:
    for name in ("passlib", "libpass"):
        package(tmp_path, name, "1.9", passlib=f"# {name}\n")
    (tmp_path / SITE / "passlib/__init__.py").write_text(f"# {last}\n")
    found = installed(tmp_path).provider("passlib")
    assert found
    assert found.name == last


def test_a_module_that_is_nowhere_has_no_provider(tmp_path: Path) -> None:
    package(tmp_path, "other", "1")
    assert installed(tmp_path).provider("passlib") is None


def test_requirements_end_where_the_description_begins(tmp_path: Path) -> None:
    package(tmp_path, "a", "1", "Requires-Dist: b", "Requires-Dist: c; extra == 'x'")
    there = installed(tmp_path).packages["a"]
    assert [r.name for r in there.always] == ["b"]
    assert [r.name for r in there.requires] == ["b", "c"]
    assert [r.name for r in there.always] == ["b"]


def test_what_is_missing_to_a_package_in_use_is_an_error(tmp_path: Path) -> None:
    package(tmp_path, "fastapi", "0.1", "Requires-Dist: starlette>=1", fastapi="")
    package(tmp_path, "starlette", "1.0", "Requires-Dist: anyio")
    package(tmp_path, "aside", "1.0", "Requires-Dist: nothere")
    found = {f.target: f.severity for f in findings(facts(tmp_path), "PKG307")}
    assert found == {"anyio": Severity.ERROR, "nothere": None}


def test_a_version_that_several_exclude_is_one_finding(tmp_path: Path) -> None:
    package(tmp_path, "one", "1", "Requires-Dist: h11<0.10")
    package(tmp_path, "two", "1", "Requires-Dist: h11<0.11")
    package(tmp_path, "h11", "0.14")
    (found,) = findings(facts(tmp_path), "PKG307")
    assert (
        found.message
        == "one 1 requires h11<0.10; two 1 requires h11<0.11, and h11 0.14 is installed"
    )
    assert found.data["install"] == ["h11", "one", "two"]


def test_what_nothing_needs_any_more_is_an_info_without_a_fix(tmp_path: Path) -> None:
    package(tmp_path, "left", "1", "Requires-Dist: h11>=0.15")
    package(tmp_path, "user", "1", "Requires-Dist: h11")
    package(tmp_path, "h11", "0.14")
    (found,) = findings(facts(tmp_path, "user\n"), "PKG307")
    assert (found.severity, found.data["no_fix"]) == (Severity.INFO, True)
    assert found.next_step.startswith("nothing needs left: uninstall it")
    (found,) = findings(facts(tmp_path, "user\nleft\n"), "PKG307")
    assert (found.severity, found.data["no_fix"]) == (None, False)


@pytest.mark.parametrize("requirements", ["h11<0.10\n", "one>=2\n"])
def test_where_a_requirement_itself_is_not_met_its_conflicts_are_not_told(
    tmp_path: Path, requirements: str
) -> None:
    package(tmp_path, "one", "1", "Requires-Dist: h11<0.10")
    package(tmp_path, "h11", "0.14")
    assert findings(facts(tmp_path, requirements), "PKG307") == []


@pytest.mark.parametrize(
    "header",
    [
        "Requires-Dist: h11<0.10; extra == 'old'",
        "Requires-Dist: h11<0.10; sys_platform == 'none'",
        "Requires-Dist: h11<0.10; python_version < '3.12'",
        "Requires-Dist: H11>=0.14.0a1",
        "Requires-Dist: h11 ((<0.10",  # which pip passes over
    ],
)
def test_what_does_not_count_here_is_no_conflict(tmp_path: Path, header: str) -> None:
    package(tmp_path, "one", "1", header)
    package(tmp_path, "h11", "0.14")
    assert findings(facts(tmp_path), "PKG307") == []


def test_extras_of_extras_are_followed_and_circles_end(tmp_path: Path) -> None:
    package(
        tmp_path, "a", "1", "Provides-Extra: all", "Provides-Extra: one",
        "Requires-Dist: a[one]; extra == 'all'", "Requires-Dist: a[all]; extra == 'one'",
        "Requires-Dist: Deep_Down; extra == 'one'", "Requires-Dist: win; extra == 'one' and sys_platform == 'none'",
    )  # fmt: skip
    (found,) = findings(facts(tmp_path, "A[ALL]\n"), "PKG309")
    assert found.found == "no deep-down"


def test_an_extra_that_is_not_there_is_told_with_the_nearest(tmp_path: Path) -> None:
    package(tmp_path, "a", "1", "Provides-Extra: Standard_X")
    (found,) = findings(facts(tmp_path, "a[standart-x]\n"), "PKG309")
    assert "did you mean a[standard-x]?" in found.next_step
    assert findings(facts(tmp_path, "a[standard.x]\n"), "PKG309") == []


def test_what_an_extra_brings_and_a_line_asks_for_is_told_by_the_line(tmp_path: Path) -> None:
    package(tmp_path, "a", "1", "Provides-Extra: x", "Requires-Dist: b; extra == 'x'")
    assert findings(facts(tmp_path, "a[x]\nb\n"), "PKG309") == []


def test_requirements_are_compared_where_both_markers_hold(tmp_path: Path) -> None:
    lines = "a<2; python_version < '3.12'\na>=2; python_version >= '3.12'\na>=3\n"
    assert findings(facts(tmp_path, lines), "PKG308") == []
    (found,) = findings(facts(tmp_path, lines + "a<2.5\n"), "PKG308")
    assert str(found.place) == "requirements.txt:4"


def test_two_extras_may_differ_and_one_and_the_project_may_not(tmp_path: Path) -> None:
    text = (
        '[project]\ndependencies = ["a>=2"]\n[project.optional-dependencies]\n'
        'new = ["b>=2"]\nold = ["b<2"]\n'
    )
    (tmp_path / "pyproject.toml").write_text(text)
    assert findings(facts(tmp_path, files=("pyproject.toml",)), "PKG308") == []


@pytest.mark.parametrize(("version", "told"), [("18.1", 1), ("20.2", 1), ("20.3", 0), ("26.0", 0)])
def test_a_pip_without_a_resolver_is_told(tmp_path: Path, version: str, told: int) -> None:
    package(tmp_path, "pip", version)
    assert len(findings(facts(tmp_path, "a\n"), "PKG312")) == told
    assert findings(facts(tmp_path, ""), "PKG312") == []


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.binary(max_size=200), st.binary(max_size=60))
def test_no_metadata_makes_a_check_fail(tmp_path: Path, metadata: bytes, record: bytes) -> None:
    where = tmp_path / SITE / "fastapi-0.1.dist-info"
    where.mkdir(parents=True, exist_ok=True)
    (where / "METADATA").write_bytes(b"Requires-Dist: " + metadata)
    (where / "RECORD").write_bytes(record)
    known = facts(tmp_path, "fastapi[x]\n")
    for code in ("PKG307", "PKG309", "PKG311"):
        findings(known, code)
