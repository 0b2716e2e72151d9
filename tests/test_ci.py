"""What is given to CI services, run as they run it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.trees import MakeTree

ROOT = Path(__file__).resolve().parent.parent
DOCTOR = Path(sys.executable).with_name("saas-doctor")
WRONG = {
    ".env": "REGISTRY_URL=localhost:8001\n",
    "main.py": "import os, httpx\nfrom dotenv import load_dotenv\nload_dotenv()\n"
    'httpx.get(os.environ["REGISTRY_URL"])\n',
    "/docker-compose.yml": "services: {}\n",
}


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def bash(script: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """A step as GitHub's `shell: bash` runs it."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def action_steps() -> dict[str, dict[str, Any]]:
    return {step["name"]: step for step in read("action.yml")["runs"]["steps"] if "name" in step}


def examined(folder: Path, arguments: str, sarif: str = "out.sarif") -> tuple[str, dict[str, str]]:
    """What the action's examination says, and its outputs."""
    done = bash(
        action_steps()["Examine the platform"]["run"],
        folder,
        BIN=str(DOCTOR.parent),
        DIRECTORY=".",
        ARGUMENTS=arguments,
        SARIF=sarif,
        GITHUB_OUTPUT=str(folder / "output"),
        GITHUB_STEP_SUMMARY=str(folder / "summary"),
    )
    assert done.returncode == 0, done.stderr
    lines = (folder / "output").read_text().splitlines()
    return done.stdout, {name: value for name, _, value in (x.partition("=") for x in lines)}


@pytest.mark.parametrize(("value", "code"), [("localhost:8001", 1), ("http://localhost:8001", 0)])
def test_the_action_annotates_and_ends_as_the_check_did(
    tree: MakeTree, tmp_path: Path, value: str, code: int
) -> None:
    tree({**WRONG, ".env": f"REGISTRY_URL={value}\n"})
    text, outputs = examined(tmp_path, "--static --select CFG903", "reports/out.sarif")
    assert ("::error title=saas-doctor CFG903,file=backend/.env," in text) == bool(code)
    assert outputs == {"exit-code": str(code), "written": "true"}
    sarif = json.loads((tmp_path / "reports/out.sarif").read_text())
    assert len(sarif["runs"][0]["results"]) == code
    assert (tmp_path / "summary").read_text().startswith("# saas-doctor: ")
    verdict = action_steps()["The verdict"]["run"]
    assert bash(verdict, tmp_path, CODE=str(code)).returncode == code


def test_the_actions_arguments_are_quoted_as_in_a_shell_and_expanded_by_nobody(
    tree: MakeTree, tmp_path: Path
) -> None:
    tree(WRONG)
    (tmp_path / "my settings.toml").write_text('[ignore]\n"CFG903" = "for now"\n')
    (tmp_path / "shlex.py").write_text("raise SystemExit(99)\n")
    quoted = "--static\n--select CFG903 --config 'my settings.toml'"
    assert examined(tmp_path, quoted)[1]["exit-code"] == "0"
    for words in ("$(touch made)", "; touch made", "`touch made`", "CFG903 *"):
        text, outputs = examined(tmp_path, f"--static --select {words}")
        assert (outputs["exit-code"], text) == ("2", "")
    assert not (tmp_path / "made").exists()
    text, outputs = examined(tmp_path, "--static --select 'CFG903", "none.sarif")
    assert text == "::error title=saas-doctor::the input arguments: No closing quotation\n"
    assert outputs["exit-code"] == "2"


def test_the_file_of_a_run_before_is_not_uploaded_after_wrong_use(
    tree: MakeTree, tmp_path: Path
) -> None:
    tree(WRONG)
    assert "written" in examined(tmp_path, "--static --select CFG903")[1]
    (tmp_path / "output").unlink()
    assert examined(tmp_path, "--nonsense")[1] == {"exit-code": "2"}
    assert (tmp_path / "out.sarif").exists()


def test_the_actions_cache_is_another_for_other_sources(tmp_path: Path) -> None:
    keys = []
    for name, text in (("a", "1"), ("b", "1"), ("c", "2")):
        for part in ("saas_doctor", "checks", "fixes"):
            (tmp_path / name / part).mkdir(parents=True)
        (tmp_path / name / "pyproject.toml").write_text("")
        (tmp_path / name / "checks/a b.py").write_text(text)
        output = tmp_path / f"output-{name}"
        environ = {"GITHUB_ACTION_PATH": str(tmp_path / name), "GITHUB_OUTPUT": str(output)}
        done = bash(action_steps()["The sources' hash"]["run"], tmp_path, **environ)
        assert done.returncode == 0, done.stderr
        keys.append(output.read_text())
    assert keys[0] == keys[1] != keys[2]
    assert re.fullmatch(r"hash=[0-9a-f]{40}\n", keys[0])


def test_the_action_takes_no_text_of_its_caller_as_shell() -> None:
    for step in action_steps().values():
        assert "${{" not in step.get("run", "")


def gitlab(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """The job's script, with the user's variables and, over them, those of the job; no installation."""
    job = read("templates/gitlab-ci.yml")["saas-doctor"]
    lines = [line for line in job["script"] if "venv " not in line and "/pip " not in line]
    script = "\n".join(lines).replace("/tmp/saas-doctor/bin/saas-doctor", str(DOCTOR))
    return bash(script, folder, GITLAB_CI="true", **{**variables, **job["variables"]})


def test_the_job_for_gitlab_writes_both_reports(tree: MakeTree, tmp_path: Path) -> None:
    tree(WRONG)
    (tmp_path / "apps").mkdir()
    platform = (tmp_path / "backend").rename(tmp_path / "apps/backend").parent
    (tmp_path / "docker-compose.yml").rename(platform / "docker-compose.yml")
    done = gitlab(
        tmp_path,
        SAAS_DOCTOR_PACKAGE="here.whl",
        SAAS_DOCTOR_DIRECTORY="apps",
        SAAS_DOCTOR_ARGUMENTS="--static --select CFG903",
    )
    assert done.returncode == 1, done.stderr
    assert "error CFG903" in done.stdout
    for file in read("templates/gitlab-ci.yml")["saas-doctor"]["artifacts"]["reports"].values():
        assert "CFG903" in (tmp_path / file).read_text()


def test_the_job_for_gitlab_installs_nothing_that_nobody_named(
    tree: MakeTree, tmp_path: Path
) -> None:
    tree(WRONG)
    done = gitlab(tmp_path)
    assert done.returncode != 0
    assert done.stderr.endswith(
        "SAAS_DOCTOR_PACKAGE: name what pip installs, an address of git or a wheel, "
        "in the variables of this job\n"
    )


def test_the_job_for_gitlab_examines_everything_where_there_is_no_merge_request(
    tree: MakeTree, tmp_path: Path
) -> None:
    """Its revision is then empty, as GitLab fills it in."""
    tree(WRONG)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    arguments = "--static --select CFG903 --changed "
    done = gitlab(tmp_path, SAAS_DOCTOR_PACKAGE="a.whl", SAAS_DOCTOR_ARGUMENTS=arguments)
    assert done.returncode == 1, done.stderr
    assert "error CFG903" in done.stdout


def test_the_hook_for_pre_commit_reads_files_only(tree: MakeTree, tmp_path: Path) -> None:
    tree(WRONG)
    (hook,) = read(".pre-commit-hooks.yaml")
    _, *argv = shlex.split(hook["entry"])
    done = subprocess.run(
        [DOCTOR, *argv, "--select", "CFG903,DB502"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 1
    assert "not examined: asks running things (--static)" in done.stdout
