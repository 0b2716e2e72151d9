"""A repository whose workflow uses the action: run step by step, from the install to the verdict."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft4Validator

from tests.testbed import checkout
from tests.testbed.platforms import ROOT
from tests.testbed.workflow import Action, Inputs, Job, shell
from tests.trees import written

SCHEMA = Path(__file__).parent / "schemas/sarif-2.1.0.json"
WORKFLOW = """on: pull_request
jobs:
  doctor:
    runs-on: ubuntu-latest
    permissions: {contents: read, security-events: write}
    steps:
      - uses: actions/checkout@v6
      - uses: someone/saas-doctor@main
        id: doctor
        with:
          directory: apps/platform
          arguments: --static --timeout 60 --select SRC204,DOCK605,DOCK607
          upload-sarif: true
          sarif: {sarif}
          category: platform
      - run: echo "the tests run"
      - if: always()
        run: echo "it said ${{ steps.doctor.outputs.exit-code }} in ${{ steps.doctor.outputs.sarif }}"
"""
HEALTHY = {
    "backend/requirements.txt": "sqlalchemy>=2\n",
    "backend/models.py": "from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column\n\n\n"
    "class Base(DeclarativeBase):\n    pass\n\n\nclass Item(Base):\n"
    '    __tablename__ = "items"\n    id: Mapped[int] = mapped_column(primary_key=True)\n'
    "    details: Mapped[str]\n",
    "docker/Dockerfile": "FROM python:3.12\nCOPY backend /app\n",
    "docker-compose.yml": "services:\n  one:\n    build: {context: ., dockerfile: docker/Dockerfile}\n"
    '    ports: ["8000:80"]\n  two:\n    image: nginx:1\n    ports: ["8001:80"]\n',
}
FAULTS = {
    "backend/models.py": ("details", "metadata"),
    "docker/Dockerfile": ("COPY backend", "COPY backened"),
    "docker-compose.yml": ("8001:80", "8000:80"),
}


class GitHub:
    """A repository, the machines that run its jobs, and what others' actions were given."""

    def __init__(self, folder: Path) -> None:
        self.repository = folder / "repository"
        self.temp = folder / "temp"
        self.temp.mkdir()
        self.uploaded: list[Any] = []
        self.categories: list[str] = []
        self.read_only = False
        self.cached: set[str] = set()
        self.hits = 0
        self.action = checkout.copied(folder / "action")
        written(self.repository / "apps/platform", HEALTHY)
        workflow = self.repository / ".github/workflows/doctor.yml"
        workflow.parent.mkdir(parents=True)
        # Outside of the workspace, in a folder that is not there.
        self.sarif = self.temp / "reports/doctor.sarif"
        workflow.write_text(WORKFLOW.replace("{sarif}", str(self.sarif)))
        checkout.git(self.repository, "init", "-q")

    def run(self) -> Job:
        actions: dict[str, Action | Path] = {
            "actions/checkout@v6": lambda _: {},
            "actions/setup-python@v6": self._python,
            "actions/cache@v5": self._cache,
            "github/codeql-action/upload-sarif@v4": self._upload,
            "someone/saas-doctor@main": self.action,
        }
        job = Job(self.repository, self.temp, actions, **shell(), PIP_NO_COMPILE="1")
        return job.run(self.repository / ".github/workflows/doctor.yml", "doctor")

    def _python(self, inputs: Inputs) -> dict[str, str]:
        assert inputs["python-version"] == "3.12"
        assert inputs["update-environment"] == "false"
        base = str(getattr(sys, "_base_executable", sys.executable))
        return {"python-version": "3.12.1", "python-path": base}

    def _cache(self, inputs: Inputs) -> dict[str, str]:
        """What is kept under a key is there again: this machine's folder for it was never left."""
        assert Path(inputs["path"]).parent == self.temp
        self.hits += inputs["key"] in self.cached
        self.cached.add(inputs["key"])
        return {}

    def _upload(self, inputs: Inputs) -> dict[str, str]:
        if self.read_only:
            raise PermissionError("Resource not accessible by integration")
        self.categories.append(inputs["category"])
        self.uploaded.append(json.loads((self.repository / inputs["sarif_file"]).read_text()))
        return {}


@pytest.mark.timeout(400)
def test_three_faults_are_annotated_summed_up_uploaded_and_end_the_job(tmp_path: Path) -> None:
    there = GitHub(tmp_path)
    for name, (old, new) in FAULTS.items():
        file = there.repository / "apps/platform" / name
        file.write_text(file.read_text().replace(old, new))
    job = there.run()
    assert job.failed
    shown = re.findall(r"^::(\w+) title=saas-doctor (\w+),file=([^,]+),line=(\d+)", job.log, re.M)
    assert sorted(shown) == [
        ("error", "DOCK605", "apps/platform/docker/Dockerfile", "2"),
        ("error", "DOCK607", "apps/platform/docker-compose.yml", "7"),
        ("warning", "SRC204", "apps/platform/backend/models.py", "11"),
    ]
    assert "the tests run" not in job.log
    assert f"it said 1 in {there.sarif}" in job.log
    (sarif,) = there.uploaded
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert [e.message for e in Draft4Validator(schema).iter_errors(sarif)] == []
    places = [
        (r["ruleId"], r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])
        for r in sarif["runs"][0]["results"]
    ]
    assert sorted(places) == sorted((code, file) for _, code, file, _ in shown)
    assert re.findall(r"^## \w+ (\w+):", job.summary, re.M) == ["DOCK605", "DOCK607", "SRC204"]
    assert job.summary.startswith("# saas-doctor: 2 errors, 1 warning")
    assert there.categories == ["platform"]
    assert "SAAS_DOCTOR" not in job.environ

    # With the rights of a fork's pull request.
    there.read_only = True
    job = there.run()
    assert "Resource not accessible" in job.log
    assert 1 in job.codes  # the verdict, all the same
    there.read_only = False

    # Mended, and on a machine that has the environment from the run before.
    written(there.repository / "apps/platform", HEALTHY)
    job = there.run()
    assert not job.failed, job.log
    assert there.hits == 2
    assert "::" not in job.log
    assert "the tests run" in job.log
    assert f"it said 0 in {there.sarif}" in job.log
    assert there.uploaded[-1]["runs"][0]["results"] == []
    assert job.summary.startswith("# saas-doctor: no finding")


def test_every_action_that_is_used_has_a_version() -> None:
    steps = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"]
    used = [step["uses"] for step in steps if "uses" in step]
    assert len(used) == 3
    assert all(re.fullmatch(r"[\w/.\-]+@v\d+", name) for name in used)
