"""The hook, installed and run by the real pre-commit from a repository of this project."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.testbed import checkout
from tests.trees import written

PRE_COMMIT = Path(sys.executable).with_name("pre-commit")
WRONG = {
    "backend/requirements.txt": "httpx\npython-dotenv\n",
    "backend/.env": "REGISTRY_URL=localhost:8001\n",
    "backend/main.py": "import os, httpx\nfrom dotenv import load_dotenv\nload_dotenv()\n"
    'httpx.get(os.environ["REGISTRY_URL"])\n',
    "docker-compose.yml": "services: {}\n",
}
CONFIGURATION = """repos:
  - repo: {repository}
    rev: {commit}
    hooks:
      - id: saas-doctor
        args: [--timeout, "60", --select, "CFG903,DB502", -v{more}]
"""


@pytest.mark.timeout(400)
def test_a_commit_is_refused_until_what_is_found_is_mended(tmp_path: Path) -> None:
    ours = checkout.copied(tmp_path / "ours")
    commit = checkout.committed(ours)
    platform = tmp_path / "platform"
    written(platform, WRONG)

    def configured(more: str) -> None:
        text = CONFIGURATION.format(repository=ours, commit=commit, more=more)
        (platform / ".pre-commit-config.yaml").write_text(text)

    configured("")
    checkout.git(platform, "init", "-q")

    def run(*argv: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv,
            cwd=platform,
            env=checkout.environment(tmp_path / "pre-commit"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=380,
            check=False,
        )

    installed = run(PRE_COMMIT, "install")
    assert installed.returncode == 0, installed.stdout
    run("git", "add", "--all")
    refused = run("git", "commit", "-m", "first")
    assert refused.returncode == 1, refused.stderr
    assert "saas-doctor....................................................." in refused.stderr
    assert "- exit code: 1" in refused.stderr
    assert "error CFG903  REGISTRY_URL is not a valid address" in refused.stderr
    assert "asks running things (--static)" in refused.stderr

    (platform / "backend/.env").write_text("REGISTRY_URL=http://localhost:8001\n")
    run("git", "add", "--all")
    passed = run("git", "commit", "-m", "mended")
    assert passed.returncode == 0, passed.stderr
    assert "Passed" in passed.stderr

    (platform / "notes.md").write_text("what only people read\n")
    run("git", "add", "--all")
    skipped = run("git", "commit", "-m", "notes")
    assert skipped.returncode == 0, skipped.stderr
    assert "(no files to check)Skipped" in skipped.stderr

    # In CI, where nothing differs from the last commit.
    configured(", --changed")
    (platform / "backend/.env").write_text(WRONG["backend/.env"])
    run("git", "add", "--all")
    run("git", "commit", "--no-verify", "-m", "wrong again")
    whole = run(PRE_COMMIT, "run", "--all-files")
    assert whole.returncode == 1, whole.stdout
    assert "has changed since HEAD: everything is examined" in whole.stdout
    pushed = run(PRE_COMMIT, "run", "--from-ref", "HEAD~1", "--to-ref", "HEAD")
    assert pushed.returncode == 1, pushed.stdout
    assert "everything is examined" not in pushed.stdout
    configured(", --changed  ")
    run("git", "commit", "--no-verify", "--all", "-m", "something else")
    other = run(PRE_COMMIT, "run", "--from-ref", "HEAD~1", "--to-ref", "HEAD")
    assert other.returncode == 0, other.stdout
    assert "Passed" in other.stdout
