"""In CI a fresh checkout has neither an environment nor settings, and is examined all the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.test_cli import doctor
from tests.testbed import platforms


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    platforms.copy_files(tmp_path / "platform")
    return tmp_path / "platform"


@pytest.mark.parametrize("ci", ["", "true"], ids=["on a machine", "in CI"])
def test_what_only_a_developers_machine_has_is_missed_there_alone(checkout: Path, ci: str) -> None:
    done = doctor("check", "--static", "--timeout", "30", "--format", "json", cwd=checkout, CI=ci)
    report = json.loads(done.stdout)
    found = sorted(finding["code"] for finding in report["findings"])
    unknown = [c["code"] for c in report["checks"] if c["status"] in ("unknown", "blocked")]
    if ci:
        assert (done.returncode, found, unknown) == (0, [], [])
    else:
        assert (done.returncode, found) == (1, ["CFG901", "PY102"])
        assert "PKG301" in unknown


def test_a_layout_that_has_no_init_files_passes_in_ci(checkout: Path) -> None:
    for marker in (checkout / "backend").rglob("__init__.py"):
        if "import" not in marker.read_text():  # names come from the others
            marker.unlink()
    done = doctor("check", "--static", "--timeout", "30", "--format", "json", cwd=checkout, CI="1")
    told = {c["code"]: c["status"] for c in json.loads(done.stdout)["checks"]}
    assert (done.returncode, told["SRC201"]) == (0, "skipped")


def test_a_fault_fails_in_ci_without_an_environment(checkout: Path) -> None:
    (checkout / "backend/core/broken.py").write_text("x = (\n")
    done = doctor("check", "--static", "--timeout", "30", cwd=checkout, CI="true")
    assert done.returncode == 1
    assert "backend/core/broken.py can't be compiled: '(' was never closed" in done.stdout


def test_who_names_the_code_is_told_in_ci_too(checkout: Path) -> None:
    assert doctor("check", "--static", "--select", "PY102", cwd=checkout, CI="1").returncode == 1
    assert doctor("check", "--static", "--select", "PY", cwd=checkout, CI="1").returncode == 0


@pytest.mark.parametrize("report", ["json", "sarif", "junit", "html", "markdown", "github"])
def test_a_report_in_the_tree_changes_no_verdict(checkout: Path, report: str) -> None:
    config = checkout / "frontend/vite.config.js"
    config.write_text(config.read_text().replace("8000", "9777"))
    words = ("check", "--static", "--select", "WEB811", "--format", f"{report}=report")
    for _ in range(2):
        assert doctor(*words, cwd=checkout).returncode == 1
    assert (checkout / "report").exists()


def test_what_was_accepted_in_the_settings_of_a_machine_is_not_gone(checkout: Path) -> None:
    example = (checkout / "backend/.env.example").read_text()
    env = checkout / "backend/.env"
    env.write_text(example.replace("REGISTRY_PORT=8001", "REGISTRY_PORT=8002"))
    words = ("check", "--static", "--timeout", "30", "--select", "NET404")
    doctor(*words, "--write-baseline", cwd=checkout)
    accepted = (checkout / ".saas-doctor-baseline.json").read_text()
    assert '"path": "backend/.env"' in accepted
    env.unlink()
    assert "gone" not in doctor(*words, cwd=checkout, CI="true").stdout
    doctor(*words, "--write-baseline", cwd=checkout, CI="true")
    assert (checkout / ".saas-doctor-baseline.json").read_text() == accepted
