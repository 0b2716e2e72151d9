"""The command line: exit codes, what goes where, and what is not loaded."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from saas_doctor import runner
from saas_doctor.cli import main
from saas_doctor.cli.outputs import FORMATS

HEAVY = {"docker", "redis", "psycopg", "httpx", "pydantic", "yaml", "psutil", "tree_sitter", "rich"}


def doctor(*argv: str | Path, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **environ}
    return subprocess.run(
        [sys.executable, "-m", "saas_doctor", *map(str, argv)],
        cwd=cwd,
        env=clean,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "backend").mkdir()
    (tmp_path / "docker-compose.yml").write_text("services: {}\n")
    (tmp_path / "backend/.env.example").write_text("REGISTRY_URL=http://localhost:8001\n")
    (tmp_path / "backend/.env").write_text("REGISTRY_URL=http://localhost:8001\n")
    return tmp_path


@pytest.fixture
def broken(root: Path) -> Path:
    (root / "backend/.env").write_text("REGISTRY_URL=localhost:8001\n")
    (root / "backend/main.py").write_text(
        "import os\nimport httpx\nfrom dotenv import load_dotenv\nload_dotenv()\n"
        'httpx.get(os.environ["REGISTRY_URL"])\n'
    )
    return root


WRONG, CLOSED = "REGISTRY_URL=localhost:8001\n", "\xff\xfe\0"
OUTCOMES: dict[str, tuple[int, str, tuple[str, ...]]] = {
    "nothing wrong": (0, "REGISTRY_URL=http://localhost:8001\n", ()),
    "a finding": (1, WRONG, ()),
    "a finding below the limit": (0, "OTHER=1\nOTHER=2\n", ()),
    "the same at the limit": (1, "OTHER=1\nOTHER=2\n", ("--fail-on", "info")),
    "a finding that is ignored": (0, WRONG, ("--ignore", "CFG903")),
    "one that is ignored by its target": (0, WRONG, ("--ignore", "CFG903:REGISTRY*")),
    "a file that can't be read": (3, CLOSED, ()),
    "the same, where that is allowed": (0, CLOSED, ("--allow-unknown",)),
    "no such code": (2, WRONG, ("--ignore", "NONE1")),
    "two that exclude each other": (2, WRONG, ("--static", "--live")),
    "no such option": (2, WRONG, ("--nonsense",)),
    "a fault of its own": (3, WRONG, ()),
    "Ctrl-C": (130, WRONG, ()),
}


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("form", [*FORMATS, "auto"])
def test_the_exit_code_is_the_same_in_every_format(
    broken: Path,
    form: str,
    outcome: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, settings, options = OUTCOMES[outcome]
    (broken / "backend/.env").write_bytes(settings.encode("latin-1"))
    faults = {"a fault of its own": ValueError, "Ctrl-C": KeyboardInterrupt}
    if outcome in faults:
        monkeypatch.setattr(runner, "run", raising(faults[outcome]))
    argv = [
        "check",
        "-C",
        str(broken),
        "--timeout",
        "60",
        "--select",
        "CFG",
        "--format",
        form,
        *options,
    ]
    monkeypatch.setattr(sys, "argv", ["saas-doctor", *argv])
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == code
    # A document, or a sentence that says why there is none; who ended it needs none.
    written = capsys.readouterr()
    assert bool(written.out) == (code != 2 and outcome not in faults)
    assert bool(written.err) == (code == 2 or outcome == "a fault of its own")


def raising(error: type[BaseException]) -> Callable[..., None]:
    def run(*_: object, **__: object) -> None:
        raise error

    return run


def test_json_is_one_document_on_standard_output_and_nothing_else(broken: Path) -> None:
    done = doctor("check", "--select", "CFG", "--format", "json", cwd=broken)
    document = json.loads(done.stdout)
    (finding,) = document["findings"]
    assert document["schema"] == 1
    assert finding["code"] == "CFG903"
    assert finding["location"] == {"path": "backend/.env", "line": 1, "column": None}
    assert set(finding["evidence"]) >= {"looked_at", "found", "wanted"}
    assert finding["fix"]["risk"] == "safe"
    assert done.stderr == ""


def test_one_run_writes_several_formats_and_one_to_standard_output(broken: Path) -> None:
    formats = ("--format", "sarif=out.sarif", "--format", "json", "--format", "html=out page.html")
    done = doctor("check", "--select", "CFG", *formats, cwd=broken)
    (finding,) = json.loads(done.stdout)["findings"]
    (run,) = json.loads((broken / "out.sarif").read_text())["runs"]
    assert [r["ruleId"] for r in run["results"]] == [finding["code"]] == ["CFG903"]
    assert "CFG903" in (broken / "out page.html").read_text()
    assert (done.returncode, done.stderr) == (1, "")


def test_what_has_a_file_leaves_standard_output_empty(broken: Path) -> None:
    for argv in (("--format", "json=a.json"), ("--format", "json", "--output", "b.json")):
        assert doctor("check", "--select", "CFG", *argv, cwd=broken).stdout == ""
    a, b = (json.loads((broken / name).read_text()) for name in ("a.json", "b.json"))
    assert a["findings"] == b["findings"] != []


def test_a_dash_is_standard_output(broken: Path) -> None:
    for argv in (("--format", "json=-"), ("--format", "json", "--output", "-")):
        done = doctor("check", "--select", "CFG", *argv, cwd=broken)
        assert json.loads(done.stdout)["findings"]
    assert not (broken / "-").exists()


def test_the_folder_of_a_report_and_of_a_baseline_is_made(broken: Path) -> None:
    check = ("check", "--select", "CFG")
    for _ in range(2):  # the second time in place of the first
        done = doctor(*check, "--format", "sarif=a/b/out.sarif", cwd=broken)
        assert (done.returncode, done.stderr) == (1, "")
    assert json.loads((broken / "a/b/out.sarif").read_text())["runs"]
    written = doctor(*check, "--write-baseline", "c/d.json", cwd=broken)
    assert written.returncode == 0
    assert json.loads((broken / "c/d.json").read_text())["findings"]


def test_a_file_that_is_no_former_report_is_not_overwritten(broken: Path) -> None:
    mine = {
        "saas-doctor.toml": '#:schema ./saas-doctor.schema.json\nsource-roots = ["."]\n',
        ".pre-commit-config.yaml": "hooks:\n  - id: saas-doctor\n",
        "package.json": '{\n  "name": "shop",\n  "version": "1.0.0"\n}\n',
        "README.md": "# Shop\n\nAsk `saas-doctor`.\n",
    }
    for name, text in mine.items():
        (broken / name).write_text(text)
        refused = doctor("check", "--select", "CFG", "--format", f"json={name}", cwd=broken)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert (broken / name).read_text() == text


def test_a_summary_that_cannot_be_written_changes_no_verdict(broken: Path) -> None:
    summary = str(broken / "no/such/summary.md")
    check = ("check", "--select", "CFG", "--format", "github")
    done = doctor(*check, cwd=broken, GITHUB_STEP_SUMMARY=summary)
    assert done.returncode == 1
    assert done.stdout.startswith("::error ")
    assert done.stderr.startswith(f"note: {summary}: can't write the report: ")


def test_the_summary_is_written_once_for_several_reports(broken: Path) -> None:
    summary = broken / "summary.md"
    formats = ("--format", "github", "--format", "github=annotations.txt")
    doctor("check", "--select", "CFG", *formats, cwd=broken, GITHUB_STEP_SUMMARY=str(summary))
    assert summary.read_text().count("# saas-doctor: ") == 1


def test_one_report_that_fails_costs_no_other(broken: Path) -> None:
    formats = ("--format", "json=/dev/full", "--format", "html=out.html", "--format", "console")
    done = doctor("check", "--select", "CFG", *formats, cwd=broken)
    assert done.returncode == 2
    assert (
        done.stderr == "saas-doctor: /dev/full: can't write the report: No space left on device\n"
    )
    assert "error CFG903" in done.stdout
    assert "CFG903" in (broken / "out.html").read_text()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("--format console >&-", 1, ""),
        ("--format console >&- 2>&- <&-", 1, ""),
        ("--format json >&-", 1, ""),
        (
            "--format console > /dev/full",
            2,
            "saas-doctor: the output: No space left on device; make room there and call this again\n",
        ),
    ],
)
def test_a_standard_output_that_takes_nothing_ends_in_no_traceback(
    broken: Path, words: str, code: int, said: str
) -> None:
    command = f"{sys.executable} -m saas_doctor check --select CFG --format html=x.html {words}"
    done = subprocess.run(
        ["sh", "-c", command], cwd=broken, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (code, said)
    assert "CFG903" in (broken / "x.html").read_text()


def test_a_revision_may_stand_behind_a_sign(broken: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=broken, check=True)
    done = doctor("check", "--select", "CFG", "--changed=HEAD", cwd=broken)
    assert (done.returncode, done.stderr) == (1, "")
    done = doctor("check", "--select", "CFG", "--changed=nowhere", cwd=broken)
    assert (done.returncode, "no revision nowhere" in done.stderr) == (2, True)


def test_auto_is_what_the_place_understands(broken: Path) -> None:
    check = ("check", "--select", "CFG", "--format", "auto")
    assert "::error title=saas-doctor CFG903,file=backend/.env,line=1::" in (
        doctor(*check, cwd=broken, GITHUB_ACTIONS="true").stdout
    )
    for environ in ({}, {"GITLAB_CI": "true"}):
        assert doctor(*check, cwd=broken, **environ).stdout.startswith("error CFG903  ")


def test_github_gets_the_job_summary_below_what_it_holds(broken: Path) -> None:
    summary = broken / "summary.md"
    summary.write_text("before\n")
    check = ("check", "--select", "CFG", "--format", "github")
    doctor(*check, cwd=broken, GITHUB_STEP_SUMMARY=str(summary))
    assert summary.read_text().startswith("before\n# saas-doctor: 1 error")
    assert "## error CFG903: " in summary.read_text()


def test_files_are_named_from_the_root_of_the_repository(broken: Path) -> None:
    shutil.copytree(broken, broken / "apps/platform")
    subprocess.run(["git", "init", "-q"], cwd=broken, check=True)
    check = ("check", "-C", "apps/platform", "--select", "CFG903", "--format")
    annotation = doctor(*check, "github", cwd=broken).stdout
    assert ",file=apps/platform/backend/.env,line=1::" in annotation
    (issue,) = json.loads(doctor(*check, "gitlab", cwd=broken).stdout)
    assert issue["location"] == {"path": "apps/platform/backend/.env", "lines": {"begin": 1}}


def test_a_pipe_gets_plain_text(broken: Path) -> None:
    done = doctor("check", "--select", "CFG", cwd=broken)
    assert "\x1b" not in done.stdout
    assert "error CFG903" in done.stdout
    assert "backend/.env:1" in done.stdout


def test_the_console_names_the_platform_where_it_is_another_folder(broken: Path) -> None:
    check = ("check", "--select", "CFG")
    named = f"platform                    {broken}"
    for argv, cwd in (((), broken / "backend"), (("-C", broken), broken.parent)):
        lines = doctor(*check, *argv, cwd=cwd).stdout.splitlines()
        assert lines[lines.index(named) + 1].startswith("settings (.env)")
    assert named not in doctor(*check, cwd=broken).stdout.splitlines()


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (("check", "-C", "nowhere"), "not a directory"),
        (("check", "--config", "none.toml"), "no such file"),
        (("check", "--select", "XX9"), "no check is called XX9"),
        (("check", "--static", "--live"), "exclude each other"),
        (("explain", "XX9"), "no check is called XX9"),
        (("undo",), "nothing to undo"),
        (("check", "--output", "docker-compose.yml/x"), "can't make its folder"),
        (("check", "--output", "backend"), "this is a folder; name a file in it"),
        (("check", "--format", "json=docker-compose.yml"), "no former report; name another file"),
        (("check", "--write-baseline=docker-compose.yml/x"), "Not a directory"),
        (("check", "--changed="), "the revision is empty"),
        (("check", "--format", "sarif="), "the name of the file is missing"),
        (("check", "--format", "xml"), "there are console, json, junit"),
        (("check", "--format", "json", "--format", "sarif"), "two formats go to standard output"),
        (("check", "--format", "json=a", "--format", "sarif=a"), "two formats go to a"),
        (("check", "--format", "json=a", "--output", "b"), "every --format names its own file"),
        (("check", "--format", "json", "--output", "-", "--format", "html=-"), "standard output"),
        (
            ("check", "--format", "json", "--watch"),
            "leave out --format and --output",
        ),
    ],
)
def test_wrong_use_ends_in_one_sentence_and_exit_code_2(
    root: Path, argv: tuple[str, ...], sentence: str
) -> None:
    done = doctor(*argv, cwd=root)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_fix_without_a_terminal_and_without_yes_changes_nothing(broken: Path) -> None:
    done = doctor("fix", "--select", "CFG", cwd=broken)
    assert done.returncode == 1
    assert "agree with saas-doctor fix --yes" in done.stdout
    assert (broken / "backend/.env").read_text() == "REGISTRY_URL=localhost:8001\n"


def test_a_question_mark_tells_what_the_answers_do_and_asks_again(broken: Path) -> None:
    terminal = pexpect.spawn(
        sys.executable,
        ["-m", "saas_doctor", "fix", "--select", "CFG"],
        cwd=str(broken),
        timeout=60,
        encoding="utf-8",
    )
    terminal.expect(r"\[\?\] help")
    terminal.sendline("?")
    terminal.expect("o  ask for each step")
    terminal.expect(r"Apply\? ")
    terminal.sendline("y")
    terminal.expect("verified")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert "REGISTRY_URL=http://localhost:8001" in (broken / "backend/.env").read_text()


def test_dry_run_and_diff_show_the_plan_and_change_nothing(broken: Path) -> None:
    for flag in ("--dry-run", "--diff"):
        done = doctor("fix", "--select", "CFG", flag, cwd=broken)
        assert "+REGISTRY_URL=http://localhost:8001" in done.stdout
        assert not (broken / ".saas-doctor").exists()
    assert (broken / "backend/.env").read_text() == "REGISTRY_URL=localhost:8001\n"


def test_what_breaks_nothing_is_mended_only_where_it_is_named(root: Path) -> None:
    for name in ("__init__.py", "paid/__init__.py", "paid/a.py", "open/b.py"):
        file = root / "backend/shop" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    (root / "backend/main.py").write_text("import shop.paid.a\nimport shop.open.b\n")
    marker = root / "backend/shop/open/__init__.py"

    done = doctor("fix", "--yes", "--timeout", "20", "--ignore", "PY,NET,DOCK", cwd=root)
    assert not marker.exists()
    assert "saas-doctor fix --select SRC201 mends it" in done.stdout
    done = doctor("fix", "--yes", "--select", "SRC201", cwd=root)
    assert marker.exists()


def test_fix_history_and_undo(broken: Path) -> None:
    fixed = doctor("fix", "--yes", "--select", "CFG", cwd=broken)
    assert fixed.returncode == 0
    assert "verified     edit backend/.env: REGISTRY_URL" in fixed.stdout
    assert "can be undone" in doctor("history", cwd=broken).stdout
    undone = doctor("undo", cwd=broken)
    assert undone.returncode == 0
    assert "1 taken back, 0 refused" in undone.stdout
    assert (broken / "backend/.env").read_text() == "REGISTRY_URL=localhost:8001\n"
    assert "undone" in doctor("history", cwd=broken).stdout


def test_check_never_writes(broken: Path) -> None:
    before = sorted(path for path in broken.rglob("*"))
    doctor("check", "--select", "CFG", cwd=broken)
    assert sorted(path for path in broken.rglob("*")) == before


@pytest.mark.parametrize("argv", [["--help"], ["--version"], ["check", "--help"]])
def test_help_and_version_load_nothing_heavy(argv: list[str]) -> None:
    script = (
        "import sys; from saas_doctor.cli import command_line\n"
        f"try: command_line({argv!r})({argv!r})\nexcept SystemExit: pass\n"
        "print(sorted(m for m in sys.modules if '.' not in m or m.startswith('saas_doctor')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(eval(done.stdout.strip().splitlines()[-1]))
    assert not loaded & HEAVY - ({"pydantic"} if argv == ["check", "--help"] else set())
    assert not any(name.startswith(("saas_doctor.checks", "saas_doctor.fixes")) for name in loaded)


def test_every_code_is_explained(root: Path) -> None:
    listed = doctor("explain", cwd=root).stdout
    assert "CFG901" in listed
    page = doctor("explain", "cfg901", cwd=root).stdout
    assert page.startswith("CFG901: The settings file `.env` is missing.")
    assert "Fix: Make the settings file from the example (safe)" in page


def test_init_writes_the_schema_beside_its_file_for_editors(root: Path) -> None:
    assert doctor("init", "--schema", cwd=root).returncode == 0
    first, _, rest = (root / "saas-doctor.toml").read_text().partition("\n")
    assert first.startswith("#:schema ./")
    assert json.loads((root / first.removeprefix("#:schema ./")).read_text())["properties"][
        "ignore"
    ]
    assert rest.strip()
    assert doctor("check", "--static", "--select", "CFG920", cwd=root).returncode == 0


def test_init_writes_a_file_that_check_takes(root: Path) -> None:
    assert doctor("init", cwd=root).returncode == 0
    assert doctor("init", cwd=root).returncode == 2
    assert doctor("check", "--select", "CFG", cwd=root).returncode == 0


def test_init_writes_the_schema_alone_beside_a_file_that_is_there(root: Path) -> None:
    own = "# ours\ntimeout = 9.0\n"
    (root / "saas-doctor.toml").write_text(own)
    done = doctor("init", "--schema", cwd=root)
    assert (done.returncode, done.stderr) == (0, "")
    assert "begins with: #:schema ./saas-doctor.schema.json\n" in done.stdout
    assert (root / "saas-doctor.toml").read_text() == own
    assert json.loads((root / "saas-doctor.schema.json").read_text())["properties"]["timeout"]
    (root / "saas-doctor.toml").write_text(f"#:schema ./saas-doctor.schema.json\n{own}")
    assert "begins with" not in doctor("init", "--schema", cwd=root).stdout


def test_init_keeps_the_file_that_it_is_forced_to_replace(root: Path) -> None:
    file, first = root / "saas-doctor.toml", root / "saas-doctor.toml.bak"
    file.write_text("# one\n")
    file.chmod(0o600)
    assert "and keeps it as saas-doctor.toml.bak\n" in doctor("init", cwd=root).stderr
    assert f"kept the former one as {first}\n" in doctor("init", "--force", cwd=root).stdout
    assert (first.read_text(), first.stat().st_mode & 0o777) == ("# one\n", 0o600)
    assert "kept" not in doctor("init", "--force", cwd=root).stdout  # it is the same
    file.write_text("# two\n")
    doctor("init", "--force", cwd=root)
    assert (first.read_text(), Path(f"{first}1").read_text()) == ("# one\n", "# two\n")


def test_init_puts_no_other_configuration_out_of_effect(root: Path) -> None:
    (root / "pyproject.toml").write_text("[tool.saas-doctor]\ntimeout = 9.0\n")
    for option in ("--force", "--schema"):
        done = doctor("init", option, cwd=root)
        assert (done.returncode, done.stdout) == (2, "")
        assert "pyproject.toml holds [tool.saas-doctor], which a saas-doctor.toml" in done.stderr
    assert not [*root.glob("saas-doctor*")]


def test_a_second_undo_asks_before_it_goes_on_to_the_run_before(broken: Path) -> None:
    env = broken / "backend/.env"
    first = env.read_text()
    for _ in range(2):
        env.write_text(first)
        assert doctor("fix", "--yes", "--select", "CFG903", cwd=broken).returncode == 0
    assert doctor("undo", cwd=broken).returncode == 0
    older = doctor("undo", cwd=broken)
    assert older.returncode == 2
    assert "The newest run is taken back already. The one before," in older.stderr
    assert "edit backend/.env: REGISTRY_URL" in older.stderr
    name = older.stderr.split()[-1]
    assert f"saas-doctor undo {name}" in older.stderr
    for answer, said in ((b"n\n", "nothing was taken back"), (b"y\n", f"run {name}: ")):
        keyboard, terminal = pty.openpty()
        os.write(keyboard, answer)
        done = subprocess.run(
            [sys.executable, "-m", "saas_doctor", "undo"],
            cwd=broken,
            stdin=terminal,
            capture_output=True,
            text=True,
            check=False,
        )
        os.close(keyboard)
        os.close(terminal)
        assert said in done.stdout + done.stderr


def test_an_older_run_is_taken_back_by_yes(broken: Path) -> None:
    env = broken / "backend/.env"
    first = env.read_text()
    doctor("fix", "--yes", "--select", "CFG903", cwd=broken)
    mended = env.read_text()
    env.write_text(first)
    doctor("fix", "--yes", "--select", "CFG903", cwd=broken)
    assert doctor("undo", cwd=broken).returncode == 0
    env.write_text(mended)
    assert doctor("undo", "--yes", cwd=broken).returncode == 0
    assert env.read_text() == first


def test_nothing_to_fix_tells_what_could_not_be_told(root: Path) -> None:
    (root / "backend/main.py").write_text("x = = 1\n")  # there is no environment to judge it
    for words in (["--yes"], ["--dry-run"]):
        done = doctor("fix", *words, "--select", "SRC200", cwd=root)
        assert done.returncode == 3
        assert "Nothing found to fix; could not tell: SRC200." in done.stdout


def test_placeholders_of_a_settings_file_that_was_made_are_told(root: Path) -> None:
    (root / "backend/.env").unlink()
    (root / "backend/.env.example").write_text("A=1\nSECRET_KEY=change-me\nURL=http://exchange/\n")
    done = doctor("fix", "--yes", "--select", "CFG901", cwd=root)
    assert "1. create backend/.env with placeholders for SECRET_KEY  [" in done.stdout
    assert "to do        backend/.env: write values of your own for SECRET_KEY\n" in done.stdout


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("AttributeError: module 'bcrypt' has no attribute '__about__'", "PKG304"),
        ('FATAL:  role "saas_user" does not exist', "DB502"),
        ("Traceback (most recent call last):\n" + '  File "x.py", line 1, in f\n' * 200
         + "Attribute name 'metadata' is reserved when using the Declarative API.", "SRC204"),
    ],
)  # fmt: skip
def test_an_error_text_leads_to_the_page_that_knows_it(text: str, code: str) -> None:
    for argument, piped in ((text, None), ("-", text)):
        done = subprocess.run(
            [sys.executable, "-m", "saas_doctor", "explain", argument],
            input=piped,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0
        assert done.stderr.strip().endswith(f"is it so here? saas-doctor check --select {code}")
        assert done.stdout.startswith(f"{code}: ")


def test_an_error_text_that_no_check_knows_is_told_so() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "saas_doctor", "explain", "the cat sat on it"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "no check knows this text" in done.stderr


@pytest.mark.parametrize("before", [0, 5_000, 3_000_000])
@pytest.mark.parametrize("after", [0, 5_000])
def test_of_a_long_log_the_end_is_explained(root: Path, before: int, after: int) -> None:
    """An error that is long over stands at its beginning."""
    old = 'FATAL:  role "saas" does not exist\n' if before > 10_000 else ""
    log = old + "INFO: all is well\n" * (before // 18)
    log += 'FATAL:  database "saas" does not exist\n' + "INFO: still here\n" * (after // 17)
    done = subprocess.run(
        [sys.executable, "-m", "saas_doctor", "explain", "-"],
        cwd=root,
        input=log,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("DB504")
    assert "saas-doctor check --select DB504" in done.stderr
