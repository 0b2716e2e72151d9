"""A baseline: what was there before is accepted, what is new fails, whatever moves meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from saas_doctor import baseline, runner
from saas_doctor import platform as platforms
from saas_doctor.baseline import read
from saas_doctor.model import DoctorError, Report, Severity
from saas_doctor.platform import Platform
from saas_doctor.runner import Selection
from tests.trees import MakeTree

DOCTOR = Path(sys.executable).with_name("saas-doctor")
FILE = ".saas-doctor-baseline.json"
OLD = 200
MODEL = """
class {name}(Base):
    __tablename__ = "{name}"
    id = Column(Integer, primary_key=True)
    metadata = Column(JSON)
"""
HEAD = """from sqlalchemy import JSON, Column, Integer
from sqlalchemy.orm import declarative_base
Base = declarative_base()
"""
CONFIG = """
class {name}(BaseModel):
    class Config:
        orm_mode = True
"""

APP = "from fastapi import FastAPI\napp = FastAPI()\n"
USED = {
    "main.py": "import os, httpx\nfrom dotenv import load_dotenv\nload_dotenv()\n"
    'httpx.get(os.environ["REGISTRY_URL"])\n',
    "/docker-compose.yml": "services: {}\n",
}

Check = Callable[..., "Checked"]


class Checked:
    """What an examination with the baseline answered, and what was said of a baseline's writing."""

    def __init__(self, report: Report, said: str = "") -> None:
        self.report = report
        self.said = said
        self.code = report.exit_code(Severity.INFO)
        self.new = [f.target.rpartition(":")[2] for f in report.findings]
        self.old = len(report.baselined)
        self.gone = [one.about for one in report.gone]


def module(*names: str) -> str:
    return HEAD + "".join(MODEL.format(name=n) for n in names)


def configured(*names: str) -> str:
    return "from pydantic import BaseModel\n" + "".join(CONFIG.format(name=n) for n in names)


def doctor(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(DOCTOR), *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Examines as `check --select` does, and with `write` as `--write-baseline`."""

    def go(*, write: bool = False, select: str = "SRC204", file: Path | None = None) -> Checked:
        platform = platforms.load(tmp_path, exact=True, environ={"HOME": str(Path.home())})
        before = baseline.read(platform, file, must_exist=not write)
        chosen = Selection(tuple(select.split(",")), live=False, baseline=None if write else before)
        report = runner.run(platform, chosen, timeout=60)
        if not write:
            return Checked(report)
        after = baseline.write(report, platform, before)
        report = baseline.applied(report, platform, after)
        return Checked(report, baseline.told(report, platform, before, after))

    return go


@pytest.fixture
def legacy(tree: MakeTree, tmp_path: Path, check: Check) -> Path:
    """Twenty modules of ten old findings each, all in the baseline."""
    names = [[f"M{file}x{n}" for n in range(10)] for file in range(OLD // 10)]
    tree({f"old/m{n}.py": module(*found) for n, found in enumerate(names)})
    assert check().code == 1
    written = check(write=True)
    assert (written.code, written.new, written.old) == (0, [], OLD)
    assert f"{FILE}: {OLD} findings accepted" in written.said
    return tmp_path / "backend/old"


def edit(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


def test_old_findings_are_accepted_and_a_new_one_fails(legacy: Path, check: Check) -> None:
    again = check()
    assert (again.code, again.new, again.old, again.gone) == (0, [], OLD, [])
    (legacy / "new.py").write_text(module("New"))
    assert (check().code, check().new, check().old) == (1, ["New"], OLD)


def test_what_was_mended_is_told_as_gone_and_dropped_when_written_anew(
    legacy: Path, check: Check, tmp_path: Path
) -> None:
    edit(legacy / "m3.py", MODEL.format(name="M3x4"), "")
    told = check()
    assert (told.code, told.new, told.old, told.gone) == (0, [], OLD - 1, ["M3x4"])
    plain = doctor("check", "-C", str(tmp_path), "--static", "--select", "SRC204")
    assert plain.returncode == 0
    line = "gone       1 finding of .saas-doctor-baseline.json no longer there: SRC204 "
    assert f"{line}backend/old/m3.py M3x4; `saas-doctor check --write-baseline` " in plain.stdout
    assert f"\nno finding; {OLD - 1} findings in the baseline" in plain.stdout
    assert "(0 places more, 1 fewer)" in check(write=True).said
    assert check().gone == []
    # It is new when it comes back.
    (legacy / "m3.py").write_text((legacy / "m3.py").read_text() + MODEL.format(name="M3x4"))
    assert check().new == ["M3x4"]


def test_it_is_right_after_lines_moved_and_files_were_renamed(
    legacy: Path, check: Check, tmp_path: Path
) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", *words], cwd=tmp_path, check=True)

    git("init", "-q")
    git("add", ".")
    edit(legacy / "m1.py", "Base = ", "import os\n\n# three\n# lines\nBase = ")
    edit(legacy / "m2.py", "    metadata =", "    # moved\n    metadata  =")
    git("mv", "backend/old", "backend/older")
    git("mv", "backend/older/m5.py", "backend/older/deep.py")
    older = legacy.with_name("older")
    (older / "m6.py").rename(older / "flat.py")
    (tmp_path / "backend/apart").mkdir()
    (older / "m7.py").rename(tmp_path / "backend/apart/m7.py")
    text = (older / "flat.py").read_text()
    (older / "flat.py").write_text(text + MODEL.format(name="Other"))
    told = check()
    assert (told.new, told.gone) == (["Other"], [])
    assert told.old == OLD


def test_renamed_files_are_known_by_their_lines_where_names_are_the_same(
    tree: MakeTree, check: Check, tmp_path: Path
) -> None:
    backend = tmp_path / "backend"
    tree({f"{name}.py": module("T") for name in "abc"})
    check(write=True)
    (backend / "a.py").rename(backend / "x.py")
    (backend / "b.py").rename(backend / "y.py")
    told = check()
    assert (told.new, told.old, told.gone) == ([], 3, [])
    (backend / "copy.py").write_text(module("T"))
    told = check()
    assert (told.new, told.old, told.gone) == (["T"], 3, [])
    # A file that is still there was not renamed: what was mended in it is gone.
    edit(backend / "c.py", MODEL.format(name="T"), "")
    told = check()
    assert (told.new, told.old, told.gone) == (["T"], 2, ["T"])


def test_a_class_that_moves_to_another_module_stays_accepted(legacy: Path, check: Check) -> None:
    text = MODEL.format(name="M3x4")
    edit(legacy / "m3.py", text, "")
    (legacy / "m4.py").write_text((legacy / "m4.py").read_text() + text)
    told = check()
    assert (told.code, told.new, told.old, told.gone) == (0, [], OLD, [])


def test_what_is_mended_in_one_file_accepts_no_other_of_its_name_elsewhere(
    tree: MakeTree, check: Check, tmp_path: Path
) -> None:
    tree({"shared/__init__.py": "", "a.py": "from shared.missing import a\n", "b.py": ""})
    check(write=True, select="SRC205")
    (tmp_path / "backend/a.py").write_text("")
    (tmp_path / "backend/b.py").write_text("from shared.missing import b\n")
    told = check(select="SRC205")
    assert (told.code, len(told.new), told.old, len(told.gone)) == (1, 1, 0, 1)


@pytest.mark.parametrize("other", [HEAD + "".join(f"x{n} = {n}\n" for n in range(9)), module("C")])
def test_a_deleted_file_accepts_nothing_in_a_file_that_is_another(
    tree: MakeTree, check: Check, tmp_path: Path, other: str
) -> None:
    """Others have the same lines, too: renamed is only what has its text and was not known before."""
    tree({"a.py": module("A"), "b.py": other})
    check(write=True)
    (tmp_path / "backend/a.py").unlink()
    (tmp_path / "backend/b.py").write_text(other + MODEL.format(name="B"))
    told = check()
    assert (told.new, told.gone) == (["B"], ["A"])


def test_findings_that_nothing_tells_apart_are_counted(
    tree: MakeTree, check: Check, tmp_path: Path
) -> None:
    tree({"a.py": module("A", "A")})
    check(write=True)
    (entry,) = json.loads((tmp_path / FILE).read_text())["findings"]
    assert (entry["about"], entry["count"], len(entry["lines"])) == ("A", 2, 2)
    (tmp_path / "backend/a.py").write_text(module("A", "A", "A"))
    assert (len(check().new), check().old) == (1, 2)
    (tmp_path / "backend/a.py").write_text(module("A"))
    assert (check().old, check().gone) == (1, ["A"])


def test_a_further_place_of_a_finding_makes_it_new(
    tree: MakeTree, check: Check, tmp_path: Path
) -> None:
    """Such a finding tells all places of a file, and has the first one's name."""
    tree({"a.py": configured("B", "C")})

    def now(*names: str) -> tuple[int, int, list[str]]:
        (tmp_path / "backend/a.py").write_text(configured(*names))
        told = check(select="SRC202")
        return len(told.new), told.old, told.gone

    check(write=True, select="SRC202")
    assert now("B", "C") == (0, 1, [])
    assert now("B", "C", "D") == (1, 0, [])
    assert now("A", "B", "C") == (1, 0, [])
    assert now("C") == (0, 1, ["B.orm_mode"])
    check(write=True, select="SRC202")
    assert now("B", "C") == (1, 0, [])


def test_what_becomes_graver_is_new_and_not_gone(
    tree: MakeTree, check: Check, tmp_path: Path
) -> None:
    """A module that nothing runs may import what is not there; one that a service runs may not."""
    tree(
        {
            "shared/__init__.py": "",
            "core/__init__.py": "",
            "core/jobs.py": "from shared.missing import a\n",
            "core/main.py": APP,
        }
    )
    severity = check(write=True, select="SRC205").report.baselined[0].severity
    before = (tmp_path / FILE).read_text()
    (tmp_path / "backend/core/main.py").write_text("import core.jobs\n" + APP)
    told = check(select="SRC205")
    assert (severity, told.report.findings[0].severity) == (Severity.WARNING, Severity.ERROR)
    assert (told.code, len(told.new), told.old, told.gone) == (1, 1, 0, [])
    check(write=True, select="SRC205")
    assert check(select="SRC205").code == 0
    # What has become slighter is still accepted, and so is all of a baseline that tells no severity.
    (tmp_path / "backend/core/main.py").write_text(APP)
    assert (check(select="SRC205").old, check(select="SRC205").gone) == (1, [])
    (tmp_path / "backend/core/main.py").write_text("import core.jobs\n" + APP)
    (tmp_path / FILE).write_text(before.replace(', "severity": "warning"', ""))
    assert (check(select="SRC205").old, check(select="SRC205").gone) == (1, [])


def test_two_services_on_one_port_are_another_finding_than_other_two(
    tree: MakeTree, check: Check, tmp_path: Path
) -> None:
    names = ("alpha", "beta", "gamma")
    files = {f"{name}/{file}.py": APP for name in names for file in ("main", "run")}

    def ports(*numbers: int) -> str:
        pairs = zip(names, numbers, strict=True)
        return "".join(f"{name.upper()}_PORT={port}\n" for name, port in pairs)

    tree({**files, ".env": ports(8001, 8002, 8001)})
    assert check(write=True, select="NET404").old == 1
    (tmp_path / "backend/.env").write_text(ports(8001, 8002, 8002))
    told = check(select="NET404")
    assert (told.code, told.old, len(told.gone)) == (1, 0, 1)


def test_what_was_accepted_of_a_check_that_does_not_look_is_neither_gone_nor_dropped(
    legacy: Path, check: Check
) -> None:
    (legacy / "m1.py").unlink()
    assert check(select="CFG903").gone == []
    assert "(0 places more, 0 fewer)" in check(write=True, select="CFG903").said
    assert len(check().gone) == 10


@pytest.mark.parametrize("spoilt", ["class\n", "    indented = 1\n", "x = '\\0'\0"])
def test_what_lies_in_a_file_that_can_not_be_parsed_is_neither_gone_nor_dropped(
    legacy: Path, check: Check, spoilt: str
) -> None:
    whole = (legacy / "m7.py").read_text()
    (legacy / "m7.py").write_text(whole + spoilt)
    edit(legacy / "m3.py", MODEL.format(name="M3x4"), "")
    assert check().gone == ["M3x4"]
    assert "(0 places more, 1 fewer)" in check(write=True).said
    (legacy / "m7.py").write_text(whole)
    told = check()
    assert (told.new, told.old, told.gone) == ([], OLD - 1, [])
    (legacy / "m7.py").unlink()
    assert len(check().gone) == 10


def test_nothing_of_the_source_is_gone_while_a_new_file_of_it_can_not_be_compiled(
    tree: MakeTree, check: Check, tmp_path: Path
) -> None:
    """The address in `.env` is wrong because of what `main.py` does with it."""
    tree(
        {**USED, ".env": "REGISTRY_URL=localhost:8001\n", "old.py": "class\n", "a.py": module("A")}
    )
    environment = tmp_path / "backend/.venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    assert check(write=True, select="SRC,CFG903").old == 3
    edit(tmp_path / "backend/a.py", MODEL.format(name="A"), "")
    assert check(select="SRC,CFG903").gone == ["A"]
    main = tmp_path / "backend/main.py"
    main.write_text(USED["main.py"] + "class\n")
    told = check(select="SRC,CFG903")
    assert ("CFG903" in {f.code for f in told.report.baselined}, told.gone) == (False, [])
    main.write_text(USED["main.py"])
    assert check(select="SRC,CFG903").gone == ["A"]


def test_what_is_ignored_for_one_run_stays_accepted_when_the_file_is_written(
    tree: MakeTree, tmp_path: Path
) -> None:
    tree({"a.py": module("A", "B")})
    words = ("check", "-C", str(tmp_path), "--static", "--select", "SRC204")
    doctor(*words, "--write-baseline")
    (tmp_path / "backend/b.py").write_text(module("C"))
    edit(tmp_path / "backend/a.py", MODEL.format(name="B"), "")
    said = doctor(*words, "--ignore", "SRC", "--write-baseline").stderr
    assert "0 findings accepted, 1 kept that this run did not look at or left out (0 p" in said
    told = doctor(*words)
    assert "`metadata` of A" not in told.stdout
    assert "`metadata` of C" in told.stdout


def test_a_cause_that_is_accepted_still_blocks_what_needs_it(tree: MakeTree, check: Check) -> None:
    tree({".env.example": "A=b\n", "/docker-compose.yml": "services: {}\n"})
    check(write=True, select="CFG902")
    told = check(select="CFG902")
    assert {r.code: r.status.value for r in told.report.results} == {
        "CFG901": "failed",
        "CFG902": "blocked",
    }
    assert (told.code, told.old) == (0, 1)


def test_the_file_is_stable_and_holds_no_secret_and_no_path_of_this_machine(
    tree: MakeTree, check: Check, tmp_path: Path
) -> None:
    tree(
        {
            **USED,
            ".env": "REGISTRY_URL=htp://me:hunter2@localhost:8001\nSESSION hunter3\n",
            "b.py": module("B", "A"),
        }
    )
    check(write=True, select="SRC")
    text = (tmp_path / FILE).read_text()
    assert "hunter" not in text
    assert str(tmp_path) not in text
    about = [one["about"] for one in json.loads(text)["findings"]]
    assert about.index("A") < about.index("B")
    check(write=True, select="SRC")
    assert (tmp_path / FILE).read_text() == text


def test_a_mark_of_a_settings_line_does_not_depend_on_its_value(
    tree: MakeTree, check: Check, tmp_path: Path
) -> None:
    """Else a short secret could be guessed from it."""
    marks, files = [], []
    for port in ("8001", "8002"):
        wrong = f"REGISTRY_URL=localhost:{port}\nOTHER={port}\n"
        tree({**USED, ".env": wrong})
        check(write=True, select="CFG903")
        document = json.loads((tmp_path / FILE).read_text())
        marks += [one["lines"] for one in document["findings"]]
        files += [document["files"]]
    assert len(marks) == 2
    assert marks[0] == marks[1]
    assert list(files[0]) == ["backend/.env"]
    assert files[0] == files[1]


def test_the_command_writes_the_file_and_then_fails_on_what_is_new_alone(
    tree: MakeTree, tmp_path: Path
) -> None:
    tree({"a.py": module("A")})
    words = ("check", "-C", str(tmp_path), "--static", "--select", "SRC204")
    written = doctor(*words, "--write-baseline")
    assert written.returncode == 0
    assert written.stderr == f"wrote {tmp_path / FILE}: 1 finding accepted\n"
    (tmp_path / "backend/b.py").write_text(module("B"))
    told = doctor(*words)
    assert told.returncode == 1
    assert "`metadata` of B" in told.stdout
    assert "`metadata` of A" not in told.stdout
    assert f"accepted   SRC204 {'backend/a.py'}:" in doctor(*words, "-v").stdout


def test_another_file_is_named_by_option_and_by_configuration(
    tree: MakeTree, check: Check, tmp_path: Path
) -> None:
    tree({"a.py": module("A")})
    other = tmp_path / "ci/accepted.json"
    other.parent.mkdir()
    check(write=True, file=other)
    assert check().code == 1
    assert check(file=other).code == 0
    (tmp_path / "saas-doctor.toml").write_text('baseline = "ci/accepted.json"\n')
    assert check().code == 0


def test_one_that_the_configuration_names_and_is_not_there_is_told(
    tree: MakeTree, tmp_path: Path
) -> None:
    tree({"a.py": module("A"), "/saas-doctor.toml": 'baseline = "ci/old.json"\n'})
    words = ("check", "-C", str(tmp_path), "--static", "--select", "SRC204")
    note = "ci/old.json: no such file, which `baseline`"
    assert note in doctor(*words).stdout
    (tmp_path / "ci").mkdir()
    assert note not in doctor(*words, "--write-baseline").stdout
    assert note not in doctor(*words).stdout
    (tmp_path / "saas-doctor.toml").write_text("")
    assert "no such file" not in doctor(*words).stdout


def test_of_many_that_are_gone_the_console_names_a_few(legacy: Path, tmp_path: Path) -> None:
    (legacy / "m3.py").unlink()
    words = ("check", "-C", str(tmp_path), "--static", "--select", "SRC204")
    told = doctor(*words).stdout
    assert "gone       10 findings" in told
    assert "M3x2 and 7 more; `saas-doctor check --write-baseline` drops them" in told
    assert told.count("M3x") == 3
    assert doctor(*words, "-v").stdout.count("M3x") == 10


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{\n<<<<<<< HEAD\n", f"/{FILE}, or --theirs), then check --write-baseline"),
        (
            '{"schema": 1,',
            f"/{FILE}): written anew, it would accept",
        ),
        (
            '{"schema": 2, "more": []}',
            "its schema is 2, and this saas-doctor knows 1; take the",
        ),
        ('{"schema": 1, "findings": [{"code": 5, "about": ""}]}', "$.findings[0].code"),
        ("[" * 100_000, "no baseline: "),
        (
            '{"schema": 1, "findings": [{"code": "SRC204", "about": "", "count": 100000000000}]}',
            "it counts more than 100000 findings",
        ),
        ("\udcff", "no baseline: "),
    ],
)
def test_a_file_that_is_no_baseline_is_refused_in_one_sentence(
    tree: MakeTree, tmp_path: Path, text: str, said: str
) -> None:
    platform = tree({})
    (tmp_path / FILE).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DoctorError, match=r"^[^\n]+$") as error:
        read(platform)
    assert said in str(error.value)
    with pytest.raises(DoctorError):  # nor is it written over
        read(platform, must_exist=False)


def test_a_folder_is_no_baseline(tree: MakeTree, tmp_path: Path) -> None:
    with pytest.raises(DoctorError, match=r"ci: a folder, .*name a file in it"):
        read(tree({"/ci/a": ""}), tmp_path / "ci")


def test_a_byte_order_mark_is_no_harm(tree: MakeTree, check: Check, tmp_path: Path) -> None:
    tree({"a.py": module("A")})
    check(write=True)
    (tmp_path / FILE).write_bytes(b"\xef\xbb\xbf" + (tmp_path / FILE).read_bytes())
    assert (check().new, check().old) == ([], 1)


def test_an_entry_that_a_merge_left_twice_accepts_no_finding_more(
    tree: MakeTree, check: Check, tmp_path: Path
) -> None:
    tree({"a.py": module("A")})
    check(write=True)
    document = json.loads((tmp_path / FILE).read_text())
    (entry,) = document["findings"]
    both = {**entry, "lines": ["0" * 8]}  # the other side had changed its line
    (tmp_path / FILE).write_text(json.dumps({**document, "findings": [both, entry]}))
    (tmp_path / "backend/a.py").write_text(module("A", "A"))
    told = check()
    assert (told.new, told.old, told.gone) == (["A"], 1, [])


def test_a_named_file_must_be_there(tree: MakeTree, tmp_path: Path) -> None:
    platform: Platform = tree({})
    assert read(platform).entries == ()
    with pytest.raises(DoctorError, match="add --write-baseline"):
        read(platform, tmp_path / "none.json")


def test_fix_leaves_what_is_accepted_unless_its_code_is_named(
    tree: MakeTree, check: Check, tmp_path: Path
) -> None:
    tree({"a.py": module("A")})
    check(write=True)
    (tmp_path / "backend/b.py").write_text(module("B"))

    def plan(*options: str) -> str:
        return doctor("fix", "-C", str(tmp_path), "--diff", "--ignore", "PY,PKG", *options).stdout

    assert "b.py" in plan()
    assert "a.py" not in plan()
    assert "a.py" in plan("--select", "SRC204")
