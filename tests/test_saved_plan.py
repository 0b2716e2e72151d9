"""A saved plan is applied as it was shown, or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.test_cli import doctor

BEFORE = "REGISTRY_URL=localhost:8001\n"
AFTER = "REGISTRY_URL=http://localhost:8001\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    platform = tmp_path / "platform"
    (platform / "backend").mkdir(parents=True)
    (platform / "docker-compose.yml").write_text("services: {}\n")
    (platform / "backend/.env").write_text(BEFORE)
    (platform / "backend/main.py").write_text(
        "import os\nimport httpx\nfrom dotenv import load_dotenv\nload_dotenv()\n"
        'httpx.get(os.environ["REGISTRY_URL"])\n'
    )
    return platform


@pytest.fixture
def plan(root: Path) -> Path:
    """The plan for the address without its scheme, saved."""
    file = root.parent / "plan.json"
    done = doctor("fix", "--select", "CFG", "--plan", file, cwd=root)
    assert done.returncode == 1
    assert "+REGISTRY_URL=http://localhost:8001" in done.stdout
    assert f"saas-doctor fix --apply {file}" in done.stderr
    return file


def settings(root: Path) -> str:
    return (root / "backend/.env").read_text()


def test_a_saved_plan_changes_nothing_until_it_is_applied(root: Path, plan: Path) -> None:
    assert settings(root) == BEFORE
    assert not (root / ".saas-doctor").exists()
    done = doctor("fix", "--apply", plan, cwd=root)
    assert done.returncode == 0, done.stderr
    assert "verified     edit backend/.env: REGISTRY_URL" in done.stdout
    assert settings(root) == AFTER
    assert doctor("undo", cwd=root).returncode == 0
    assert settings(root) == BEFORE


@pytest.mark.parametrize(
    "now", ["REGISTRY_URL=localhost:8009\n", f"NEW=1\n{BEFORE}", AFTER], ids=str.strip
)
def test_a_plan_for_a_world_that_has_changed_is_refused_as_a_whole(
    root: Path, plan: Path, now: str
) -> None:
    (root / "backend/.env").write_text(now)
    done = doctor("fix", "--apply", plan, cwd=root)
    assert done.returncode == 2
    assert "the platform has changed since: `edit backend/.env" in done.stderr
    assert settings(root) == now


def test_applied_twice_it_is_refused_the_second_time(root: Path, plan: Path) -> None:
    assert doctor("fix", "--apply", plan, cwd=root).returncode == 0
    again = doctor("fix", "--apply", plan, cwd=root)
    assert again.returncode == 2
    assert "is not to be done now" in again.stderr
    assert settings(root) == AFTER


def test_what_came_up_since_is_left_for_a_new_plan(root: Path, plan: Path) -> None:
    (root / "backend/.env.example").write_text("REGISTRY_URL=http://localhost:8001\nNEW_KEY=\n")
    code = root / "backend/main.py"
    code.write_text(code.read_text() + 'os.environ["NEW_KEY"]\n')
    (root / "backend/app.py").write_text(
        "from fastapi import FastAPI\n"
        "from fastapi.middleware.cors import CORSMiddleware\n"
        "app = FastAPI()\n"
        'app.add_middleware(CORSMiddleware, allow_origins=["http://localhost:5173/"])\n'
    )
    before = (root / "backend/app.py").read_text()
    done = doctor("fix", "--apply", plan, cwd=root)
    assert "verified     edit backend/.env: REGISTRY_URL" in done.stdout, done.stderr
    assert (root / "backend/app.py").read_text() == before


def test_a_step_taken_out_of_the_file_is_not_done(root: Path, plan: Path) -> None:
    document = json.loads(plan.read_text())
    document["steps"] = []
    plan.write_text(json.dumps(document))
    done = doctor("fix", "--apply", plan, cwd=root)
    assert done.returncode == 1
    assert settings(root) == BEFORE


def test_a_password_is_not_in_a_saved_plan(root: Path) -> None:
    secret = "hunter2-pa55"
    (root / "backend/.env").write_text(f"DATABASE_PASSWORD={secret}\n{BEFORE}")
    file = root.parent / "plan.json"
    doctor("fix", "--select", "CFG", "--plan", file, cwd=root)
    assert "REGISTRY_URL" in file.read_text()
    assert secret not in file.read_text()


def test_what_is_destructive_needs_its_own_agreement_again(root: Path, plan: Path) -> None:
    document = json.loads(plan.read_text())
    document["steps"][0] |= {"risk": "destructive", "title": "stop postgres (pid 1)"}
    plan.write_text(json.dumps(document))
    done = doctor("fix", "--apply", plan, cwd=root)
    assert done.returncode == 2
    assert "would stop postgres (pid 1): destructive, needs --allow-destructive" in done.stderr


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "can't be read: No such file"),
        ("{", "no plan: "),
        ("[]", "no plan: "),
        ('{"directory": "/elsewhere"}', "is a plan for /elsewhere, and this is "),
        ('{"directory": "/elsewhere", "schema": 2}', "its schema is 2, and this"),
    ],
)
def test_a_file_that_is_no_plan_of_this_platform_ends_in_one_sentence(
    root: Path, text: str | None, sentence: str
) -> None:
    file = root.parent / "other.json"
    if text is not None:
        file.write_text(text)
    done = doctor("fix", "--apply", file, cwd=root)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_apply_excludes_what_chooses_or_only_shows(root: Path, plan: Path) -> None:
    for words in (["--select", "CFG"], ["--dry-run"], ["--diff"], ["--plan", plan]):
        done = doctor("fix", "--apply", plan, *words, cwd=root)
        assert done.returncode == 2, words
    unwritable = doctor("fix", "--plan", root / "no/such/plan.json", cwd=root)
    assert unwritable.returncode == 2
    assert "can't write the plan" in unwritable.stderr
