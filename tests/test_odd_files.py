"""Odd names, kinds, sizes and places of files: told of, never waited for, never written through."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from saas_doctor import plan, reading, repair, rules, runner
from saas_doctor import platform as platforms
from saas_doctor.actions import Action, Bench, NotApplied, Refused
from saas_doctor.actions.files import CreateFile, EditFile
from saas_doctor.edits import Edit
from saas_doctor.facts import Facts, syntax
from saas_doctor.facts.dotenv import EnvFile
from saas_doctor.facts.source import MAXIMUM
from saas_doctor.model import DoctorError, Finding, Report, Severity, Status
from saas_doctor.platform import Platform
from saas_doctor.runner import Selection
from tests.trees import MakeTree, findings, source_of

OLD = "from pydantic import BaseSettings\n"
"""What SRC210 finds and mends."""
FILES = (
    "backend/.env",
    "backend/.env.example",
    "backend/requirements.txt",
    "backend/pyproject.toml",
    "backend/uv.lock",
    "backend/app/main.py",
    "backend/Dockerfile",
    "docker-compose.yml",
    ".dockerignore",
    ".env",
    ".gitignore",
    "Makefile",
    "frontend/.env",
    "frontend/package.json",
    "frontend/src/api.ts",
    "frontend/vite.config.ts",
    "logs/app.log",
    "pyproject.toml",
    "saas-doctor.toml",
    "scripts/start.sh",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("backend/app", "frontend/src", "logs", "scripts"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "docker-compose.yml").write_text("services: {}\n")
    (tmp_path / "backend/requirements.txt").write_text(
        "fastapi\npydantic>=2\npydantic-settings\nsqlalchemy>=2\n"
    )
    (tmp_path / "backend/app/main.py").write_text("from fastapi import FastAPI\napp = FastAPI()\n")
    return tmp_path


def load(root: Path) -> Platform:
    return platforms.load(root, exact=True, environ={"PATH": os.environ["PATH"]})


def examine(root: Path, *codes: str) -> Report:
    return runner.run(load(root), Selection(codes, live=False), timeout=30)


def mend(root: Path) -> repair.Repair:
    return repair.repair(load(root), Selection(("SRC210",), live=False), lambda plan: plan)


def doctor(root: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    """The doctor's command, with what it writes as bytes."""
    return subprocess.run(
        [sys.executable, "-m", "saas_doctor", words[0], "-C", root, *words[1:]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**os.environ, **environ},
        timeout=60,
        check=False,
    )


# Reading.


def pipe(path: Path) -> None:
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # an address may have a hundred characters
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(here)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    path.mkdir()


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2_000_000_000)


KINDS = (pipe, a_socket, endless, folder, loop, huge)


@pytest.mark.parametrize("make", KINDS)
def test_what_is_no_file_of_a_usual_size_is_refused_at_once(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "x")
    with pytest.raises(OSError, match=r"not a file|directory|symbolic links|larger than 8 MB"):
        reading.read_bytes(tmp_path / "x")


def test_a_file_is_read_whole_up_to_the_limit_and_in_part_where_asked(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"ab\r\n" * 50_000)
    assert reading.read_bytes(file, 200_000) == file.read_bytes()
    assert reading.read_head(file, 3) == b"ab\r"
    assert reading.read_text(file) == file.read_text()
    with pytest.raises(OSError, match="larger than 199999 bytes"):
        reading.read_bytes(file, 199_999)


def test_a_name_that_no_file_can_have_is_that_of_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        reading.read_bytes(tmp_path / "a\0b")


def test_what_has_no_size_beforehand_is_read_to_its_end() -> None:
    assert reading.read_bytes("/proc/self/status").startswith(b"Name:")


def test_a_file_linked_to_the_null_device_is_empty(tmp_path: Path) -> None:
    (tmp_path / "x").symlink_to(os.devnull)
    assert reading.read_bytes(tmp_path / "x") == b""


@pytest.mark.parametrize("make", [pipe, a_socket, endless, folder, loop])
def test_a_platform_of_which_no_file_is_one_is_examined_to_the_end(
    root: Path, make: Callable[[Path], None]
) -> None:
    for name in FILES:
        if name != "saas-doctor.toml":
            (root / name).unlink(missing_ok=True)
            make(root / name)
    report = examine(root)
    assert report.count(Status.CRASHED) == 0
    assert report.duration < 20
    assert not any("not finished within" in (r.reason or "") for r in report.results)
    status = {r.code: (r.status, r.reason or "") for r in report.results}
    assert status["CFG901"][0] is Status.UNKNOWN
    assert status["CFG901"][1].startswith("backend/.env: can't be read")


def dangling(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (dangling, "a link that leads nowhere; mend it, or remove it"),
        (loop, "can't be read: Too many levels of symbolic links"),
        (pipe, "can't be read: it is a named pipe, not a file"),
        (a_socket, "can't be read: it is a socket, not a file"),
        (endless, "can't be read: it is a device, not a file"),
        (folder, "can't be read: Is a directory"),
    ],
)
def test_a_configuration_that_is_no_file_is_not_called_none(
    root: Path, make: Callable[[Path], None], said: str
) -> None:
    make(root / "saas-doctor.toml")
    done = doctor(root / "backend", "check", "--static")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode() == f"saas-doctor: {root}/saas-doctor.toml: {said}\n"


def test_files_without_an_end_are_told_of(root: Path) -> None:
    for name in FILES:
        if name not in ("pyproject.toml", "saas-doctor.toml"):
            huge(root / name)
    report = examine(root)
    assert report.count(Status.CRASHED) == 0
    reasons = {r.code: r.reason for r in report.results}
    assert reasons["CFG901"] == "backend/.env: can't be read (larger than 500000 bytes)"
    assert reasons["DOCK601"] == "docker-compose.yml: can't be read (larger than 5 MB)"
    huge(root / "saas-doctor.toml")
    with pytest.raises(DoctorError, match=r"saas-doctor\.toml: can't be read: larger than 8 MB$"):
        load(root)


# Folders and files that are closed, or gone meanwhile.


class Closed:
    """Stands in for a folder that another user keeps to himself, which root may enter all the same."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.inside = f"{folder}{os.sep}"
        self.folder = str(folder)
        for name in ("stat", "lstat", "open"):
            monkeypatch.setattr(os, name, self.closed(getattr(os, name)))
        for name in ("scandir", "listdir"):
            monkeypatch.setattr(os, name, self.closed(getattr(os, name), own=True))

    def closed(
        self, function: Callable[..., object], *, own: bool = False
    ) -> Callable[..., object]:
        def wrapped(path: object = ".", *more: object, **named: object) -> object:
            text = str(path)
            if text.startswith(self.inside) or (own and text == self.folder):
                raise PermissionError(13, "Permission denied", text)
            return function(path, *more, **named)

        return wrapped


@pytest.mark.parametrize(
    "name", ["backend", "backend/app", "backend/pgdata", "frontend", "scripts"]
)
def test_a_closed_folder_ends_no_run(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (root / name).mkdir(exist_ok=True)
    with monkeypatch.context() as patch:
        Closed(patch, root / name)
        report = examine(root)
    assert report.count(Status.CRASHED) == 0
    if name.startswith("backend/"):
        reasons = {r.code: r.reason for r in report.results}
        assert reasons["SRC204"] == f"{name}: can't be read"


def test_front_end_source_that_is_closed_is_not_called_good(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "frontend/vite.config.ts").write_text("export default {}\n")
    with monkeypatch.context() as patch:
        Closed(patch, root / "frontend/src")
        report = examine(root, "WEB804")
    (result,) = [r for r in report.results if r.code == "WEB804"]
    assert result.status is not Status.OK
    assert "frontend/src" in (result.reason or "")


def test_a_front_end_that_is_closed_is_not_called_none(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "frontend/vite.config.ts").write_text("export default {}\n")
    with monkeypatch.context() as patch:
        Closed(patch, root / "frontend")
        report = examine(root, "WEB")
    told = {r.code: (r.status, r.reason) for r in report.results}
    reason = "frontend/package.json: can't be read (Permission denied)"
    assert told["WEB801"] == told["WEB804"] == (Status.UNKNOWN, reason)


def test_a_closed_folder_elsewhere_is_no_front_end(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "data/postgres").mkdir(parents=True)
    with monkeypatch.context() as patch:
        Closed(patch, root / "data/postgres")
        assert load(root).config.frontend is None


@pytest.mark.parametrize("name", ["Dockerfile", ".dockerignore"])
@pytest.mark.parametrize("reason", ["Permission denied", "larger than 1 MB"])
def test_a_build_that_cannot_be_read_is_not_called_good(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str, reason: str
) -> None:
    (root / "docker-compose.yml").write_text("services: {app: {build: backend}}\n")
    (root / "backend/Dockerfile").write_text("FROM scratch\nCOPY app /app\n")
    assert examine(root, "DOCK604", "DOCK605").exit_code(Severity.ERROR) == 0
    huge(root / "backend" / name)
    with monkeypatch.context() as patch:
        if reason == "Permission denied":
            Closed(patch, root / "backend" / name).inside = str(root / "backend" / name)
        results = examine(root, "DOCK604", "DOCK605", "DOCK606").results
    told = {
        (r.status, r.reason) for r in results if r.code.startswith("DOCK60") and r.code > "DOCK603"
    }
    assert told == {(Status.UNKNOWN, f"backend/{name}: can't be read ({reason})")}


def test_a_check_whose_file_is_gone_meanwhile_is_unknown(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(env: EnvFile) -> Iterator[Finding]:
        raise FileNotFoundError(2, "No such file or directory", str(env.path.with_name("gone.py")))

    check = replace(rules.checks()["CFG901"], function=gone)
    monkeypatch.setitem(rules.checks(), "CFG901", check)
    (result,) = [r for r in examine(root, "CFG901").results if r.code == "CFG901"]
    assert result.status is Status.UNKNOWN
    assert result.reason == "backend/gone.py: can't be read (No such file or directory)"


# Names.

ODD = (b"caf\xe9", b"a\nb", b"two words", b"\x1b[31mred", "\u202etxt".encode())
"""Names that are no UTF-8, of two lines, of two words, that colour a screen, that turn its direction."""


def odd_files(root: Path) -> list[bytes]:
    made = []
    for word in ODD:
        inside = os.path.join(os.fsencode(root), b"backend/app", word)
        os.mkdir(inside)
        for name in (word + b".py", b"main.py"):
            made.append(os.path.join(inside, name))
            with open(made[-1], "wb") as file:
                file.write(b"from pydantic import BaseSettings\nfrom app.gone import x\n")
        for name in (word + b".sh", word + b".Dockerfile", b".env." + word, word + b".yml"):
            with open(os.path.join(os.fsencode(root), name), "wb") as file:
                file.write(b"FOO=1\n. .venv/bin/activate\nuvicorn app.main:app --port 8001\n")
    return made


def test_files_of_any_name_are_examined_mended_and_brought_back(root: Path) -> None:
    made = odd_files(root)
    before = [Path(os.fsdecode(name)).read_bytes() for name in made]
    report = doctor(root, "check", "--format", "json", "--select", "SRC,CFG,DOCK,PERF", "--static")
    document = json.loads(report.stdout.decode("utf-8"))
    assert document["summary"]["crashed"] == 0, document
    found = {f["location"]["path"] for f in document["findings"] if f["code"] == "SRC210"}
    relative = {os.path.relpath(os.fsdecode(name), root) for name in made}
    assert found == relative
    done = doctor(root, "fix", "--yes", "--select", "SRC210")
    assert b"Traceback" not in done.stderr, done.stderr
    after = [Path(os.fsdecode(name)).read_bytes() for name in made]
    assert all(b"from pydantic_settings import" in data for data in after), done.stdout
    assert doctor(root, "history").returncode == 0
    assert doctor(root, "undo").returncode == 0
    assert [Path(os.fsdecode(name)).read_bytes() for name in made] == before


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_no_name_changes_the_screen_or_ends_the_run(root: Path, encoding: str) -> None:
    odd_files(root)
    words = ("check", "--select", "SRC210", "--static")
    done = doctor(root, *words, PYTHONIOENCODING=encoding)
    text = done.stdout.decode(encoding)
    assert done.returncode == 1, done.stderr
    assert "\x1b" not in text
    assert "\u202e" not in text
    for line in ("caf\\xe9.py", "a\\nb.py", "\\x1b[31mred.py", "\\u202etxt.py"):
        assert line in text


def test_a_report_in_a_file_holds_names_that_are_no_utf8(root: Path, tmp_path: Path) -> None:
    odd_files(root)
    for form in ("json", "console"):
        file = tmp_path / f"report.{form}"
        words = ("--format", form, "--output", str(file), "--select", "SRC210")
        assert doctor(root, "check", *words).returncode == 1
        assert "main.py" in file.read_text(encoding="utf-8")


def test_a_file_of_the_longest_name_is_edited_and_brought_back(root: Path) -> None:
    file = root / "backend/app" / ("n" * 252 + ".py")
    file.write_text(OLD)
    done = mend(root)
    assert [d.outcome.value for d in done.done] == ["verified"]
    repair.undo(load(root))
    assert file.read_text() == OLD


# Links that lead out.


@pytest.fixture
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outside")


def test_nothing_is_edited_through_a_link_out_of_the_platform(root: Path, outside: Path) -> None:
    (outside / "mine.py").write_text(OLD)
    (root / "backend/app/old.py").symlink_to(outside / "mine.py")
    done = mend(root)
    assert done.done == []
    assert "leads out of the platform by a link" in done.waiting[0][1]
    assert (outside / "mine.py").read_text() == OLD


def test_a_file_is_not_parted_from_its_other_name(root: Path, outside: Path) -> None:
    path = root / "backend/app/old.py"
    path.write_text(OLD)
    os.link(path, outside / "other.py")
    done = mend(root)
    assert done.done == []
    assert "backend/app/old.py has 1 other name by hard links" in done.waiting[0][1]
    assert path.samefile(outside / "other.py")
    assert path.read_text() == OLD

    (outside / "other.py").unlink()
    assert mend(root).done
    mended = path.read_text()
    os.link(path, outside / "other.py")
    undone = repair.undo(load(root))
    assert "its former bytes are in .saas-doctor/runs/" in undone.refused[0][1]
    assert (path.read_text(), (outside / "other.py").read_text()) == (mended, mended)


@pytest.mark.skipif(sys.platform != "linux", reason="Python knows them on Linux only")
def test_a_files_extended_attributes_stay(root: Path) -> None:
    path = root / "backend/app/old.py"
    path.write_text(OLD)
    os.setxattr(path, "user.mine", b"1")
    assert mend(root).done
    assert os.getxattr(path, "user.mine") == b"1"
    assert repair.undo(load(root)).refused == []
    assert os.getxattr(path, "user.mine") == b"1"


def test_nothing_is_created_through_a_link_out_of_the_platform(root: Path, outside: Path) -> None:
    (root / "linked").symlink_to(outside)
    bench = Bench(load(root), Facts(load(root)), root / "run")
    with pytest.raises(NotApplied, match="leads out of the platform"):
        CreateFile(root / "linked/new", "linked/new", b"x").before(bench)
    (root / "dangling").symlink_to(outside / "not-there")
    with pytest.raises(NotApplied, match="leads out of the platform"):
        CreateFile(root / "dangling", "dangling", b"x").before(bench)


def test_undo_writes_through_no_link_that_was_made_since(root: Path, outside: Path) -> None:
    (root / "backend/app/old.py").write_text(OLD)
    done = mend(root)
    assert done.done
    mended = (root / "backend/app/old.py").read_bytes()
    (outside / "mine.py").write_bytes(mended)
    (root / "backend/app/old.py").unlink()
    (root / "backend/app/old.py").symlink_to(outside / "mine.py")
    undone = repair.undo(load(root))
    assert "leads out of the platform" in undone.refused[0][1]
    assert (outside / "mine.py").read_bytes() == mended


def test_undo_removes_nothing_behind_a_link(root: Path, outside: Path) -> None:
    (outside / "new").write_bytes(b"x")
    (root / "linked").symlink_to(outside)
    before = {"path": str(root / "linked/new"), "name": "linked/new", "after": ""}
    bench = Bench(load(root), Facts(load(root)), root / "run")
    with pytest.raises(Refused, match="leads out of the platform"):
        CreateFile.undo(bench, before, None)
    assert (outside / "new").exists()


def test_a_platform_that_is_itself_behind_a_link_is_mended(root: Path, outside: Path) -> None:
    (root / "backend/app/old.py").write_text(OLD)
    (outside / "link").symlink_to(root)
    done = repair.repair(
        load(outside / "link"), Selection(("SRC210",), live=False), lambda plan: plan
    )
    assert [d.outcome.value for d in done.done] == ["verified"]


@pytest.mark.parametrize("name", ["", ".gitignore", "lock", "runs"])
def test_the_journal_is_kept_in_no_folder_behind_a_link(
    root: Path, outside: Path, name: str
) -> None:
    (outside / "theirs").write_text("important")
    state = root / ".saas-doctor"
    if name:
        state.mkdir()
    (state / name).symlink_to(outside if name in ("", "runs") else outside / "theirs")
    with pytest.raises(DoctorError, match="is a link; remove it"):
        mend(root)
    assert [p.name for p in outside.iterdir()] == ["theirs"]
    assert (outside / "theirs").read_text() == "important"


# What others wrote.


@pytest.mark.parametrize(
    "files",
    [
        {"app/third_party/lib/a.py": OLD},
        {"vendor/a.py": OLD},
        {"_vendor/lib/a.py": OLD},
        {"libs/pyvenv.cfg": "", "libs/lib/python3.11/a.py": OLD},
        {"runtime/conda-meta/history": "", "runtime/a.py": OLD},
        {"package/dep/a.py": OLD, "package/dep-1.0.dist-info/METADATA": ""},
        {"tools/theirs/.git": "gitdir: ../../.git/modules/theirs\n", "tools/theirs/a.py": OLD},
        {
            "theirs/.git/HEAD": "",
            "theirs/pyproject.toml": "[project]\nname='x'\n",
            "theirs/a.py": OLD,
        },
    ],
)
def test_what_others_wrote_is_not_judged(tree: MakeTree, files: dict[str, str | bytes]) -> None:
    platform = tree({"app/main.py": "", **files})
    assert [m.name for m in source_of(platform).modules] == ["backend/app/main.py"]


def test_what_is_imported_of_others_is_there(tree: MakeTree) -> None:
    platform = tree(
        {
            "app/main.py": "from third_party.lib import a\nimport vendor.b\nfrom app.vendor import c\n",
            "app/vendor/c.py": "",
            "third_party/lib/a.py": "",
            "vendor/b.py": "",
        }
    )
    assert findings(platform, "SRC205") == []
    assert findings(platform, "SRC206") == []


def test_a_service_in_a_repository_of_its_own_is_the_platforms(tree: MakeTree) -> None:
    service = "from fastapi import FastAPI\nfrom pydantic import BaseSettings\napp = FastAPI()\n# --port 8105\n"
    platform = tree(
        {
            "app/main.py": "",
            "/services/billing/main.py": service,
            "/services/billing/.git": "gitdir: x",
        }
    )
    assert "services/billing/main.py" in [m.name for m in source_of(platform).modules]


# Links to folders.


def names(root: Path) -> list[str]:
    return sorted(module.name for module in source_of(load(root)).modules)


def test_a_package_behind_a_link_is_examined_by_the_name_it_is_imported_by(root: Path) -> None:
    (root / "libs/shared").mkdir(parents=True)
    (root / "libs/shared/models.py").write_text(OLD)
    (root / "backend/shared").symlink_to("../libs/shared")
    (root / "backend/app/main.py").write_text("from shared.models import BaseSettings\n")
    report = examine(root, "SRC")
    assert [(f.code, str(f.place)) for f in report.findings] == [
        ("SRC210", "backend/shared/models.py:1:22")
    ]
    assert [d.outcome.value for d in mend(root).done] == ["verified"]
    assert (root / "backend/shared").is_symlink()
    assert "pydantic_settings" in (root / "libs/shared/models.py").read_text()


def test_a_package_behind_a_link_is_in_the_repository_around_the_platform(tmp_path: Path) -> None:
    root = tmp_path / "apps/platform"
    (root / "backend/app").mkdir(parents=True)
    (root / "backend/app/main.py").touch()
    (tmp_path / "libs/shared").mkdir(parents=True)
    (tmp_path / "libs/shared/a.py").touch()
    (root / "backend/shared").symlink_to(tmp_path / "libs/shared")
    assert names(root) == ["backend/app/main.py"]
    (tmp_path / ".git").mkdir()
    assert names(root) == ["backend/app/main.py", "backend/shared/a.py"]


def test_each_folder_is_examined_once_by_the_name_of_its_own_place(root: Path) -> None:
    (root / "backend/a").symlink_to("app")  # before the folder itself, by its name
    (root / "backend/app/again").symlink_to("..")
    (root / "backend/app/up").symlink_to("../..")
    (root / "backend/app/myself").symlink_to("myself")
    (root / "libs").mkdir()
    (root / "libs/a.py").touch()
    (root / "libs/round").symlink_to("../libs")
    for name in ("one", "two"):
        (root / f"backend/{name}").symlink_to("../libs")
    assert names(root) == ["backend/app/main.py", "backend/one/a.py"]


@pytest.mark.parametrize("place", [".venv/lib/theirs", "vendor/theirs", "sub/module"])
def test_a_link_to_what_others_wrote_is_not_followed(root: Path, place: str) -> None:
    (root / place).mkdir(parents=True)
    (root / place / "a.py").write_text(OLD)
    if place == "sub/module":
        (root / place / ".git").write_text("gitdir: ../../.git/modules/module\n")
    (root / "backend/theirs").symlink_to(root / place)
    assert names(root) == ["backend/app/main.py"]


def test_a_root_behind_a_link_is_examined_wherever_it_leads(root: Path, outside: Path) -> None:
    (outside / "a.py").touch()
    (root / "backend/core").symlink_to(outside)
    assert names(root) == ["backend/app/main.py"]
    (root / "saas-doctor.toml").write_text('source-roots = ["backend", "backend/core"]\n')
    assert names(root) == ["backend/app/main.py", "backend/core/a.py"]


# Source that no parser likes.


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"x = 1\0\n", "null bytes"),
        ("x = 1\n".encode("utf-16"), "null bytes|utf-8"),
        (b"# -*- coding: klingon -*-\n", "unknown encoding"),
        (b"# -*- coding: rot13 -*-\n", "not a text encoding"),
        (b"\xef\xbb\xbf# -*- coding: latin-1 -*-\n", "BOM"),
        (b"x = '\xff'\n", "utf-8"),
        (b"x = " + b"(" * 10_000 + b")" * 10_000, "too many nested"),
        (b"x = " + b"-" * 50_000 + b"1\n", "nested too deep|recursion"),
        (b"x = " + b"+".join([b"1"] * 50_000), "recursion"),
        (b"if 1:\n pass\n" + b"elif 1:\n pass\n" * 20_000, "nested too deep|recursion"),
    ],
    ids=lambda value: str(value)[
        :40
    ],  # a test's name stands in its environment, which has no place for that much
)
def test_source_that_cannot_be_parsed_is_the_only_thing_told(
    root: Path, data: bytes, said: str
) -> None:
    (root / "backend/app/odd.py").write_bytes(data)
    platform = load(root)
    told = Facts(platform).get(syntax.Syntax)
    (broken,) = (*told.broken, *told.doubtful)
    assert broken.module.name == "backend/app/odd.py"
    assert re.search(said, broken.text), broken.text
    report = examine(root)
    assert report.count(Status.CRASHED) == 0
    assert {f.code for f in report.findings} <= {"PY102", "SRC200"}


def test_a_file_of_one_endless_line_is_left_out_and_told_of_once(root: Path) -> None:
    (root / "backend/app/data.py").write_bytes(b"X = [" + b"1," * MAXIMUM + b"]\n")
    (root / "backend/app/uses.py").write_text("from app.data import X\nimport app.data\n")
    report = examine(root)
    assert report.count(Status.CRASHED) == 0
    assert {f.code for f in report.findings} <= {"PY102"}
    told = {r.code: r.reason for r in report.results if "data.py" in (r.reason or "")}
    assert told == {"SRC200": "backend/app/data.py: larger than 2 MB, no check looks at it"}
    assert report.exit_code(Severity.ERROR) != 0


def test_a_huge_script_that_nothing_imports_is_left_out_without_a_word(root: Path) -> None:
    (root / "backend/app/get-pip.py").write_bytes(b"X = [" + b"1," * MAXIMUM + b"]\n")
    (root / "backend/app/get_poetry.py").write_bytes(b"X = [" + b"1," * MAXIMUM + b"]\n")
    assert "SRC200" not in {r.code for r in examine(root).results if r.reason and r.undecided}


def test_a_file_that_ends_python_itself_ends_no_others_examination(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash = "if path.endswith('b.py'): import os; os.kill(os.getpid(), 11)\n    "
    monkeypatch.setattr(syntax, "_ASK", syntax._ASK.replace("try:", f"{crash}try:", 1))
    for name in "abc":
        (root / f"backend/app/{name}.py").write_text("(\n")
    found = Facts(load(root)).get(syntax.Syntax)
    told = {b.module.path.name: b.text for b in (*found.broken, *found.doubtful)}
    assert sorted(told) == ["a.py", "b.py", "c.py"]
    assert told["b.py"] == "Python itself crashes on it"


def test_deep_source_makes_a_check_unknown_and_no_crash(root: Path) -> None:
    deep = "a" + ".b()" * 900
    (root / "backend/app/deep.py").write_text(
        "from pydantic import BaseSettings\nfrom fastapi import FastAPI\nfrom sqlalchemy import Column\n"
        f"x = {deep}\napp = FastAPI(title={deep})\n\n\nclass S(BaseSettings):\n    x: str = {deep}\n\n"
        f"    class Config:\n        env_file = {deep}\n"
    )
    assert examine(root).count(Status.CRASHED) == 0


def test_the_link_that_emacs_makes_beside_an_open_file_is_no_source(root: Path) -> None:
    (root / "backend/app/.#main.py").symlink_to("me@machine.123:456")
    assert source_of(load(root)).partial == ""


# Plans.


def test_a_fix_that_breaks_off_leaves_the_others_to_be_done(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "backend/app/old.py").write_text(OLD)
    (root / "backend/app/model.py").write_text(
        "from pydantic import BaseModel\n\n\nclass M(BaseModel):\n    class Config:\n        orm_mode = True\n"
    )

    def broken(_: Finding) -> Iterator[Action]:
        raise ValueError("nobody foresaw it")

    fix = replace(rules.fixes()["SRC202"], function=broken)
    monkeypatch.setitem(rules.fixes(), "SRC202", fix)
    platform = load(root)
    facts = Facts(platform)
    report = runner.run(platform, Selection(("SRC202", "SRC210"), live=False), facts=facts)
    made = plan.make(report.findings, facts)
    assert [type(step.action) for step in made.steps] == [EditFile]
    assert [why for _, why in made.waiting] == ["ValueError: nobody foresaw it"]


def test_an_action_that_breaks_off_is_taken_back(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> dict[str, object]:
        raise UnicodeEncodeError("utf-8", "\udce9", 0, 1, "surrogates not allowed")

    monkeypatch.setattr(EditFile, "apply", broken)
    (root / "backend/app/old.py").write_text(OLD)
    done = mend(root)
    assert [d.outcome.value for d in done.done] == ["failed"]
    assert "please report this" in done.done[0].reason
    assert (root / "backend/app/old.py").read_text() == OLD


def test_an_edit_of_a_file_that_is_a_pipe_by_now_is_not_applied(root: Path) -> None:
    edit = EditFile(root / "backend/.env", "backend/.env", b"A=1", (Edit(0, 1, b"X"),))
    os.mkfifo(root / "backend/.env")
    with pytest.raises(OSError, match="named pipe"):
        edit.before(Bench(load(root), Facts(load(root)), root / "run"))
