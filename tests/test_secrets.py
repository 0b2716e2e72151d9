"""Secrets in the settings files: in git, readable by others, known to all; and configured paths."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from saas_doctor import platform as platforms
from saas_doctor import repair
from saas_doctor.actions.files import ChangeMode
from saas_doctor.facts.access import Access
from saas_doctor.facts.dotenv import parse_dotenv
from saas_doctor.model import Absent
from saas_doctor.repair import Outcome
from saas_doctor.runner import Selection
from tests.trees import MakeTree, findings

KEY = "SECRET_KEY=9f86d081884c7d659a2feaa0c55ad015\n"


def git(root: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=root, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        (KEY, True),
        ("STRIPE_API_KEY=sk_live_51H8xYzAbCdEf\n", True),
        ("DATABASE_URL=postgresql://saas:qX9vT2mB7wLz4@db/saas\n", True),
        ("DATABASE_URL=postgresql://postgres:postgres@db/saas\n", False),
        ("SECRET_KEY=changethis\n", False),
        ("SECRET_KEY=\n", False),
        ("ACCESS_TOKEN_EXPIRE_MINUTES=11520\n", False),
        ("TOKENIZER=meta-llama-3-8b-it\n", False),
        ("TOKEN_URL=/api/v1/login42/x\n", False),
        ("VITE_API_KEY=9f86d081884c7d659a2f\n", False),
        ("PASSWORD=${OTHER_PASSWORD_2}x1234\n", False),
    ],
)
def test_a_secret_is_one_by_its_name_and_its_value(line: str, secret: bool, tree: MakeTree) -> None:
    platform = tree({".env": line})
    git(platform.root, "init", "-q")
    git(platform.root, "add", "-f", "backend/.env")
    assert bool(findings(platform, "CFG911")) == secret


def test_every_settings_file_is_asked_about_and_no_example(tree: MakeTree) -> None:
    names = (".env", ".env.local", ".env.production", ".env.example", ".env.test", "env.txt")
    platform = tree({f"/{name}": KEY for name in names})
    git(platform.root, "init", "-q")
    git(platform.root, "add", "-f", ".env.production", ".env.example")
    found = {f.target: f.severity for f in findings(platform, "CFG911")}
    assert set(found) == {".env", ".env.local", ".env.production"}
    (platform.root / ".gitignore").write_text(".env*\n")
    assert [f.target for f in findings(platform, "CFG911")] == [".env.production"]


def test_no_git_and_no_repository_are_no_fault(tree: MakeTree) -> None:
    with pytest.raises(Absent):
        findings(tree({".env": KEY}), "CFG911")


@pytest.mark.parametrize(
    ("mode", "reached", "people", "severity"),
    [
        (0o644, True, (), "info"),
        (0o604, True, ("anna",), "warning"),
        (0o640, True, ("anna",), None),
        (0o644, False, ("anna",), None),
    ],
)
def test_a_file_that_all_can_read_matters_by_who_there_is(
    mode: int, reached: bool, people: tuple[str, ...], severity: str | None, tree: MakeTree
) -> None:
    platform = tree({".env": KEY})
    file = parse_dotenv(platform.root / "backend/.env", "backend/.env", KEY.encode(), KEY)
    found = findings(platform, "CFG913", Access(file, mode, reached, people))
    assert [(f.severity or "info") for f in found] == ([severity] if severity else [])


def open_platform(folder: Path) -> platforms.Platform:
    (folder / "backend").mkdir()
    (folder / "backend/.env").write_text(KEY)
    (folder / "backend/.env").chmod(0o664)
    return platforms.load(folder, exact=True, environ={})


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.skipif(os.name == "nt", reason="no permission bits on Windows")
def test_the_right_is_taken_away_and_given_back(open_folder: Path) -> None:
    platform = open_platform(open_folder)
    file = platform.root / "backend/.env"
    done = repair.repair(platform, Selection(select=("CFG913",)), lambda plan: plan)
    assert [d.outcome for d in done.done] == [Outcome.VERIFIED]
    assert mode_of(file) == 0o660
    assert repair.repair(platform, Selection(select=("CFG913",)), lambda plan: plan).done == []
    assert repair.undo(platform).refused == []
    assert mode_of(file) == 0o664


@pytest.mark.skipif(os.name == "nt", reason="no permission bits on Windows")
def test_a_mode_that_was_changed_since_is_not_taken_back(open_folder: Path) -> None:
    platform = open_platform(open_folder)
    file = platform.root / "backend/.env"
    repair.repair(platform, Selection(select=("CFG913",)), lambda plan: plan)
    file.chmod(0o600)
    assert len(repair.undo(platform).refused) == 1
    assert mode_of(file) == 0o600


def test_a_change_of_mode_says_both_in_its_preview() -> None:
    action = ChangeMode(Path("/x/.env"), ".env", 0o644, 0o640)
    assert action.preview() == "chmod 640 .env  (now 644)"


@pytest.mark.parametrize(
    ("value", "known"),
    [
        *((value, True) for value in ("", "secret", "changeme", "your-secret-key", "<key>", "xxx")),
        *((value, True) for value in ("CHANGE_ME_MIN_32_CHARS", "supersecretkey", "123456789")),
        *((value, False) for value in ("change-me-in-dev", "local-secret", "9f86d081884c7d65")),
        *((value, False) for value in ("secretary", "yellow", "a-key-of-my-own")),
    ],
)
def test_a_key_that_everybody_knows_is_told_from_one_of_ones_own(
    value: str, known: bool, tree: MakeTree
) -> None:
    platform = tree({".env": f"SECRET_KEY={value}\n", "app.py": "secret_key = 1\n"})
    assert bool(findings(platform, "CFG912")) == known


CONFIGURATION = """# where things are
backend = "backend"
compose-file = "compose.yml"
requirements = ["backend/requirements.txt", "backend/requirement-dev.txt"]

[services.core]
directory = "backend/cors"
port = 8002

[frontend]
directory = "web"
"""


def test_each_configured_path_that_is_missing_is_told_with_the_nearest(tree: MakeTree) -> None:
    platform = tree(
        {
            "/saas-doctor.toml": CONFIGURATION,
            "/compose.yaml": "services: {}\n",
            "core/main.py": "",
            "requirements-dev.txt": "",
        }
    )
    found = {
        f.target: (f.place.line if f.place else 0, f.wanted) for f in findings(platform, "CFG915")
    }
    assert found == {
        "compose-file": (3, "compose.yaml"),
        "requirements": (4, "backend/requirements-dev.txt"),
        "services.core.directory": (7, "backend/core"),
        "frontend.directory": (11, "a path that is there"),
    }


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("CORE_PORT=70000", True),
        ("CORE_PORT=-1", False),
        ("CORE_PORT=65535", False),
        ("CORE_PORT=0", False),
        ("CORE_PORT=tcp://10.0.0.1:80", False),
        ("REPORT=70000", False),
        ("OTHER_PORT=70000", False),
        ("CORE_PORT=70000\nCORE_PORT=8002", False),
    ],
)
def test_a_port_is_a_number_that_there_is(line: str, wrong: bool, tree: MakeTree) -> None:
    code = "import os\nimport socket\nfrom dotenv import load_dotenv\nload_dotenv()\nREPORT = 2\n"
    code += 'server = socket.create_server(("127.0.0.1", int(os.environ["CORE_PORT"])))\n'
    platform = tree({".env": f"{line}\n", "app.py": code})
    assert bool(findings(platform, "CFG914")) == wrong


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("SECRET_KEY Zx93kfQ1vvA", "SECRET_KEY with no = behind it"),
        ("SECRET KEY=Zx93kfQ1vvA", "no KEY=value"),
        ("Zx93kfQ1vvA Zx93kfQ1vvA", "no KEY=value"),
        ('A_TOKEN="abc"Zx93kfQ1vvA', "A_TOKEN= with a value that can't be read"),
        ("export A_TOKEN='Zx93kfQ1vvA", "A_TOKEN= with a value that can't be read"),
    ],
)
def test_a_line_that_cannot_be_read_shows_its_key_at_most(
    line: str, told: str, tree: MakeTree
) -> None:
    (found,) = findings(tree({".env": f"{line}\n", ".env.example": ""}), "CFG902")
    assert found.found == f"{told} (the line is not shown: it may be secret)"
    shown = f"{found.message} {found.target} {found.next_step} {found.wanted} {found.looked_at}"
    assert "Zx93" not in shown
