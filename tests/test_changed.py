"""`check --changed`: what a change can have broken is examined, and nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest

from saas_doctor import changes, rules, runner
from saas_doctor import platform as platforms
from saas_doctor.facts import is_live
from saas_doctor.facts.git import SettingsInGit
from saas_doctor.model import DoctorError, Report, Status, Unreadable
from saas_doctor.runner import Selection
from tests.faults import Copy, Fault, all_of
from tests.trees import MakeTree

DOCTOR = Path(sys.executable).with_name("saas-doctor")
UNCHANGED = "nothing that it reads has changed since"
WRONG = """from sqlalchemy import JSON, Column, Integer
from sqlalchemy.orm import declarative_base
Base = declarative_base()
class T(Base):
    __tablename__ = "t"
    id = Column(Integer, primary_key=True)
    metadata = Column(JSON)
"""
FILES = {
    "main.py": "import os\n\nprint(os.sep)\n",
    "other.py": "",
    "requirements.txt": "sqlalchemy>=2,<2.1\n",
    ".env.example": "A=b\n",
    "/docker-compose.yml": "services:\n  db:\n    image: postgres:16\n",
    "/README.md": "# It\n",
    "/.gitignore": ".env\n",
}

Changed = Callable[..., Report]


def git(root: Path, *words: str) -> None:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "core.hooksPath=/dev/null")
    subprocess.run(["git", *who, *words], cwd=root, check=True, capture_output=True)


def commit(root: Path) -> None:
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A", "-f", ".")
    git(root, "commit", "-q", "-m", "all")


def examined(
    root: Path,
    revision: str | None = "HEAD",
    *select: str,
    environ: dict[str, str] | None = None,
) -> Report:
    environ = environ or {"PATH": os.environ["PATH"]}
    platform = platforms.load(root, exact=True, environ=environ)
    found = changes.since(platform, revision)
    return changes.examined(
        platform, found, lambda: runner.run(platform, Selection(select, live=False), timeout=60)
    )


def looked(report: Report) -> set[str]:
    return {r.code for r in report.results if not (r.reason or "").startswith(UNCHANGED)}


@pytest.fixture
def root(tree: MakeTree, tmp_path: Path) -> Path:
    tree(FILES)
    commit(tmp_path)
    return tmp_path


def test_without_a_change_nothing_is_examined(root: Path) -> None:
    report = examined(root)
    assert looked(report) == set()
    assert {r.status for r in report.results} == {Status.SKIPPED}
    assert report.notes == ("nothing of the platform has changed since HEAD",)


def test_a_clean_tree_without_a_revision_is_examined_whole(root: Path) -> None:
    """In CI nothing differs from the last commit: that must not pass for nothing wrong."""
    (root / "backend/wrong.py").write_text(WRONG)
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "wrong")
    (root / "coverage.xml").write_text("left by another job\n")
    report = examined(root, None)
    assert {"SRC204", "DOCK601", "CFG901"} <= looked(report)
    assert [f.code for f in report.findings if f.code == "SRC204"] == ["SRC204"]
    (note,) = report.notes
    assert note.endswith("everything is examined; name the branch: --changed REV")
    (root / "coverage.xml").unlink()
    (root / "backend/main.py").write_text("x = 1\n")
    assert "DOCK601" not in looked(examined(root, None))


def test_before_the_first_commit_everything_is_new(tree: MakeTree, tmp_path: Path) -> None:
    tree({**FILES, "wrong.py": WRONG})
    git(tmp_path, "init", "-q", "-b", "main")
    for revision in (None, "HEAD"):
        report = examined(tmp_path, revision)
        assert "SRC204" in {f.code for f in report.findings}
        assert report.notes == ("git has no commit yet: everything is examined",)


def test_pre_commit_names_the_revision_that_it_compares_with(root: Path) -> None:
    git(root, "checkout", "-q", "-b", "feature")
    (root / "backend/main.py").write_text("x = 1\n")
    git(root, "commit", "-q", "-a", "-m", "mine")
    environ = {"PATH": os.environ["PATH"], "PRE_COMMIT_FROM_REF": "main"}
    codes = looked(examined(root, None, environ=environ))
    assert "SRC200" in codes
    assert "DOCK601" not in codes
    assert looked(examined(root, "HEAD", environ=environ)) == set()


@pytest.mark.parametrize(
    ("file", "concerned", "not_concerned"),
    [
        ("backend/main.py", {"SRC200", "SRC204"}, {"DOCK601", "DOCK602"}),
        ("docker-compose.yml", {"DOCK601", "DOCK602"}, {"SRC200", "SRC204"}),
        ("backend/requirements.txt", {"SRC204"}, {"SRC200", "DOCK601"}),
        ("notes/odd.bin", set(), {"SRC200", "DOCK601", "CFG901"}),
    ],
)
def test_the_checks_that_read_a_changed_file_are_examined(
    root: Path, file: str, concerned: set[str], not_concerned: set[str]
) -> None:
    (root / file).parent.mkdir(exist_ok=True)
    with (root / file).open("a") as opened:
        opened.write("# changed\n")
    codes = looked(examined(root))
    assert concerned <= codes
    assert not not_concerned & codes


def test_a_file_that_went_concerns_those_that_looked_into_its_folder(root: Path) -> None:
    (root / "backend/.env.example").unlink()
    assert "CFG901" in looked(examined(root))
    (root / "backend/.env.example").write_text("A=b\n")
    (root / "backend/other.py").unlink()
    assert "SRC205" in looked(examined(root))


def test_a_new_file_counts_before_git_knows_it(root: Path) -> None:
    (root / "backend/new.py").write_text(WRONG)
    report = examined(root)
    there = [f for f in report.findings if f.place and f.place.path == "backend/new.py"]
    assert [f.code for f in there] == ["SRC204"]


def test_the_configuration_concerns_every_check(root: Path) -> None:
    (root / "saas-doctor.toml").write_text("timeout = 50\n")
    assert {"SRC204", "DOCK601", "CFG901"} <= looked(examined(root))


def test_what_git_reads_for_a_check_counts_as_well(root: Path) -> None:
    """Whether a settings file is left out of the repository is asked of git."""
    (root / "backend/.env").write_text("A=b\n")
    assert looked(examined(root)) == set()
    (root / ".gitignore").write_text(".env\n# more\n")
    assert "CFG911" in looked(examined(root))


def test_a_cause_is_told_with_the_check_that_waits_for_it(root: Path) -> None:
    compose = root / "docker-compose.yml"
    compose.write_text("services: [\n")
    git(root, "commit", "-q", "-a", "-m", "broken")
    (root / "backend/main.py").write_text("x = 1\n")
    report = examined(root)
    for result in report.results:
        if result.status is Status.BLOCKED:
            assert set(report.causes(result.code)) <= looked(report)


def test_a_branch_is_compared_with_where_it_left_the_other(root: Path) -> None:
    git(root, "checkout", "-q", "-b", "feature")
    (root / "backend/main.py").write_text("x = 1\n")
    git(root, "commit", "-q", "-a", "-m", "mine")
    git(root, "checkout", "-q", "main")
    (root / "docker-compose.yml").write_text("services: {}\n")
    git(root, "commit", "-q", "-a", "-m", "theirs")
    git(root, "checkout", "-q", "feature")
    codes = looked(examined(root, "main"))
    assert "SRC200" in codes
    assert "DOCK601" not in codes
    assert looked(examined(root)) == set()


@pytest.mark.parametrize("revision", ["nowhere", "--output=x", "HEAD~99", "", "a\0b"])
def test_an_unknown_revision_is_refused_in_one_sentence(root: Path, revision: str) -> None:
    with pytest.raises(DoctorError, match=r"^[^\n]+$"):
        examined(root, revision)
    assert not (root / "x").exists()


def test_without_a_repository_or_git_the_way_out_is_named(tree: MakeTree, tmp_path: Path) -> None:
    tree(FILES)
    with pytest.raises(DoctorError, match="in no git repository"):
        examined(tmp_path)
    with pytest.raises(DoctorError, match="not installed here; leave it out"):
        examined(tmp_path, environ={"PATH": str(tmp_path)})


def test_a_repository_of_another_user_is_told_as_that_with_the_way_out(root: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
    trusted = rf"git config --global --add safe\.directory {re.escape(str(root))}"
    with pytest.raises(DoctorError, match=f"belongs to another user; to trust it: {trusted}"):
        examined(root, environ=environ)
    (root / "backend/.env").write_text("A=b\n")
    with pytest.raises(Unreadable, match=trusted):
        SettingsInGit.read(platforms.load(root, exact=True, environ=environ))


def test_a_git_dir_that_is_none_is_named(root: Path) -> None:
    (root / "backend/.env").write_text("A=b\n")
    environ = {"PATH": os.environ["PATH"], "GIT_DIR": "/nowhere"}
    said = "GIT_DIR is set, and /nowhere is no git repository; unset GIT_DIR"
    with pytest.raises(DoctorError, match=said):
        examined(root, environ=environ)
    with pytest.raises(Unreadable, match=said):
        SettingsInGit.read(platforms.load(root, exact=True, environ=environ))


def in_a_folder(top: Path) -> Path:
    """A repository whose platform is in a folder of it."""
    root = top / "apps/shop"
    for name, text in FILES.items():
        file = root / (name[1:] if name[0] == "/" else f"backend/{name}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    commit(top)
    return root


def test_a_platform_in_a_folder_of_its_repository_sees_its_own_changes(tmp_path: Path) -> None:
    root = in_a_folder(tmp_path)
    (tmp_path / "elsewhere.py").write_text(WRONG)
    assert looked(examined(root)) == set()
    (root / "backend/naïve name.py").write_text(WRONG)
    assert "SRC204" in {f.code for f in examined(root).findings}


def test_a_file_counts_by_whatever_link_it_is_read(root: Path) -> None:
    """Links to a file, to a link and to a folder: what they lead to changes, or where they lead."""
    (root / "parts").mkdir()
    (root / "backend/main.py").rename(root / "parts/main.txt")
    (root / "backend/main.py").symlink_to("middle.txt")
    (root / "backend/middle.txt").symlink_to("../parts/main.txt")
    (root / "parts/base.txt").write_text("sqlalchemy>=2\n")
    (root / "backend/more").symlink_to("../parts")
    (root / "backend/requirements.txt").write_text("-r more/base.txt\n")
    (root / "backend/loop.py").symlink_to("loop.py")
    commit(root)
    assert looked(examined(root)) == set()
    for file, code in (("parts/main.txt", "SRC200"), ("parts/base.txt", "SRC204")):
        with (root / file).open("a") as opened:
            opened.write("# changed\n")
        assert code in looked(examined(root)), file
        git(root, "checkout", "-q", "--", ".")
    for link, code in (("backend/middle.txt", "SRC200"), ("backend/more", "SRC204")):
        target = (root / link).resolve()
        (root / link).unlink()
        (root / link).symlink_to(target)
        assert code in looked(examined(root)), link
        git(root, "checkout", "-q", "--", ".")


def test_a_file_of_the_repository_beside_the_platform_counts_where_it_is_read(
    tmp_path: Path,
) -> None:
    root = tmp_path / "shop"
    for name, text in FILES.items():
        file = root / (name[1:] if name[0] == "/" else f"backend/{name}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / "common").mkdir()
    (tmp_path / "common/base.txt").write_text("redis>=5\n")
    (root / "backend/requirements.txt").write_text("-r ../../common/base.txt\nredis>=5\n")
    commit(tmp_path)
    (tmp_path / "common/base.txt").write_text("redis<2\n")
    assert "PKG308" in {f.code for f in examined(root).findings}
    git(tmp_path, "commit", "-q", "-a", "-m", "broken")
    assert examined(root, "HEAD^").findings
    assert not examined(root).findings


def test_a_submodule_that_changed_concerns_what_reads_in_it(root: Path, tmp_path: Path) -> None:
    inner = tmp_path.parent / f"{tmp_path.name}-inner"
    inner.mkdir()
    (inner / "requirements.txt").write_text("redis>=5\n")
    commit(inner)
    git(root, "-c", "protocol.file.allow=always", "submodule", "add", str(inner), "backend/common")
    (root / "backend/requirements.txt").write_text("-r common/requirements.txt\nredis>=5\n")
    commit(root)
    assert looked(examined(root)) == set()
    (root / "backend/common/requirements.txt").write_text("redis<2\n")
    assert "PKG308" in {f.code for f in examined(root).findings}
    git(root / "backend/common", "commit", "-q", "-a", "-m", "broken")
    report = examined(root)
    assert "PKG308" in {f.code for f in report.findings}
    assert "DOCK601" not in looked(report)


SERVICE = "from fastapi import FastAPI\napp = FastAPI()\n"
PORTS = {
    **{f"{name}/{file}.py": SERVICE for name in ("core", "gateway") for file in ("main", "run")},
    "shared/config.py": "class Settings:\n    CORE_PORT: int = 8002\n    GATEWAY_PORT: int = 8000\n",
    ".env.example": "A=b\n",
    "/docker-compose.yml": "services: {}\n",
}


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("shared/config.py", PORTS["shared/config.py"].replace("8002", "8000")),
        (".env.example", "CORE_PORT=8000\n"),
    ],
)
def test_what_the_platform_is_discovered_by_concerns_every_check(
    tree: MakeTree, tmp_path: Path, file: str, text: str
) -> None:
    tree(PORTS)
    commit(tmp_path)
    (tmp_path / "backend" / file).write_text(text)
    report = examined(tmp_path)
    assert "NET404" in {f.code for f in report.findings}
    assert (
        "the platform's services, ports or files have changed since HEAD: every" in report.notes[0]
    )
    # What tells the same as before concerns those that read it.
    same = PORTS[file] + "# changed\n"
    (tmp_path / "backend" / file).write_text(same)
    assert "DOCK601" not in looked(examined(tmp_path))


def test_a_port_in_a_submodule_concerns_every_check(tree: MakeTree, tmp_path: Path) -> None:
    inner = tmp_path.parent / f"{tmp_path.name}-inner"
    inner.mkdir()
    (inner / "config.py").write_text(PORTS["shared/config.py"])
    commit(inner)
    tree({name: text for name, text in PORTS.items() if name != "shared/config.py"})
    commit(tmp_path)
    git(
        tmp_path,
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "add",
        str(inner),
        "backend/shared",
    )
    commit(tmp_path)
    file = tmp_path / "backend/shared/config.py"
    file.write_text(file.read_text().replace("8002", "8000"))
    assert "NET404" in {f.code for f in examined(tmp_path).findings}


def test_a_configuration_counts_by_whatever_name(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def everything(named: str | None = None) -> bool:
        environ = {"PATH": os.environ["PATH"]}
        platform = platforms.load(root, Path(named) if named else None, exact=True, environ=environ)
        return "toml has changed since HEAD" in changes.since(platform, "HEAD").everything

    (root / "conf").mkdir()
    file = root / "conf/doctor.toml"
    file.write_text("timeout = 50\n")
    (root / "saas-doctor.toml").symlink_to("conf/doctor.toml")
    commit(root)
    monkeypatch.chdir(root / "conf")
    assert not everything()
    file.write_text("timeout = 51\n")
    assert everything()
    assert everything("doctor.toml")
    git(root, "checkout", "-q", "--", ".")
    (root / "saas-doctor.toml").unlink()
    assert everything()


def test_the_baseline_concerns_every_check(root: Path) -> None:
    (root / "backend/new.py").write_text(WRONG)
    words = ("check", "-C", str(root), "--static", "--select", "SRC204")
    run = partial(subprocess.run, capture_output=True, timeout=100, check=False)
    run([str(DOCTOR), *words, "--write-baseline"])
    commit(root)
    (root / ".saas-doctor-baseline.json").write_text('{"schema": 1, "findings": []}\n')
    assert run([str(DOCTOR), *words, "--changed"]).returncode == 1


def test_a_hook_in_a_linked_work_tree_sees_the_changes_of_its_folder(tmp_path: Path) -> None:
    """Git tells its hooks there where the repository is, and not where the tree begins."""
    in_a_folder(tmp_path / "one")
    git(tmp_path / "one", "worktree", "add", "-q", "../two")
    root = tmp_path / "two/apps/shop"
    (root / "backend/main.py").write_text("x = 1\n")
    environ = {"PATH": os.environ["PATH"], "GIT_DIR": str(tmp_path / "one/.git/worktrees/two")}
    codes = looked(examined(root, None, environ=environ))
    assert "SRC200" in codes
    assert "DOCK601" not in codes


def test_the_command_takes_a_revision_and_refuses_what_does_not_fit(root: Path) -> None:
    def check(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(DOCTOR), "check", "-C", str(root), "--static", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    (root / "backend/new.py").write_text(WRONG)
    found = check("--changed", "HEAD", "--select", "SRC204")
    assert (found.returncode, "SRC204" in found.stdout) == (1, True)
    for words, said in (
        (("--changed", ""), "the revision is empty (a variable that is not set?)"),
        (("--changed", "nowhere"), "git knows no revision nowhere"),
        (("--changed", "--write-baseline"), "exclude each other"),
        (("--changed", "--watch"), "exclude each other"),
        (("backend",), "name the platform with -C"),
    ):
        done = check(*words)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr


def _static() -> list[Fault]:
    """A fault of files for each code that is about files."""
    faults: dict[str, Fault] = {}
    for fault in all_of(Fault):
        kinds = rules.checks()[fault.code].facts.values()
        if not (any(map(is_live, kinds)) or fault.environment or fault.docker):
            faults.setdefault(fault.code, fault)
    return [fault for code, fault in faults.items() if not code.startswith(("PY", "PKG", "CFG920"))]


@pytest.mark.timeout(900)
def test_whatever_a_fault_breaks_is_examined(make_copy: Callable[..., Copy]) -> None:
    """Of each code that is about files, one fault: the change it makes leads to its check."""
    copy = make_copy(False)
    with (copy.root / ".gitignore").open("a") as file:
        file.write("/backend/.venv\n")
    git(copy.root, "init", "-q", "-b", "main")
    git(copy.root, "add", "-A")
    git(copy.root, "add", "-f", "backend/.env")
    git(copy.root, "commit", "-q", "-m", "healthy")
    missed = []
    for fault in _static():
        with fault.inject(copy) or nullcontext():
            platform = platforms.load(copy.root, exact=True, environ=copy.environ)
            of_files = changes.since(platform).files
            report = examined(copy.root, "HEAD", fault.code, environ=copy.environ)
        if of_files and fault.code not in {f.code for f in report.findings}:
            missed.append(str(fault))
        git(copy.root, "reset", "-q", "--hard")
        git(copy.root, "clean", "-q", "-f", "-d")
    assert missed == []
