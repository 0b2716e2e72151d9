"""Findings that are left out on purpose: by a comment, by the configuration; and severities."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from saas_doctor import baseline, rules, runner
from saas_doctor.baseline import Baseline
from saas_doctor.facts.comments import comments, has_comments
from saas_doctor.facts.ignores import Outcome
from saas_doctor.facts.source import Source
from saas_doctor.model import DoctorError, Report, Severity, Status
from saas_doctor.platform import Platform
from saas_doctor.runner import Selection
from tests.trees import MakeTree, findings

IGNORE = "# saas-doctor: ignore[SRC204]"
HEAD = """from sqlalchemy import JSON, Column, Integer
from sqlalchemy.orm import declarative_base
Base = declarative_base()
"""
MODEL = """
class T(Base):
    __tablename__ = "t"
    id = Column(Integer, primary_key=True)
"""


def model(body: str) -> str:
    return f"{HEAD}{MODEL}{body}\n"


def examined(platform: Platform, *select: str, ignore: dict[str, str] | None = None) -> Report:
    chosen = Selection(select or ("SRC204", "CFG920"), ignore or platform.config.ignore, live=False)
    return runner.run(platform, chosen, timeout=60)


def found(report: Report) -> list[str]:
    return [finding.code for finding in report.findings]


def ignored(report: Report) -> list[tuple[str, str]]:
    return [(f.code, reason) for result in report.results for f, reason in result.ignored]


# Where a comment is, and what it stands beside.


@pytest.mark.parametrize(
    ("body", "counts"),
    [
        (f"    metadata = Column(JSON)  {IGNORE}", True),
        (f"    metadata = Column(JSON)  # noqa: A003  {IGNORE}", True),
        ("    metadata = Column(JSON)  # saas-doctor: ignore[PKG301, SRC204]", True),
        ("    metadata = Column(JSON)  # saas-doctor: ignore[src2]", True),
        ("    metadata = Column(JSON)  #saas-doctor:ignore[SRC204]-- old", True),
        ("    metadata = Column(JSON)  # saas-doctor: ignore[SRC204] it is old", True),
        ("    metadata = Column(JSON)  # saas-doctor: ignore [SRC204]: old", True),
        (f"    {IGNORE}\n    metadata = Column(JSON)", True),
        (f"    {IGNORE}\n\n    # of JSON\n    metadata = Column(JSON)", True),
        (f"    metadata = Column(\n        JSON,  {IGNORE}\n    )", True),
        (f"    metadata = Column(\n        {IGNORE}\n        JSON,\n    )", True),
        (f"    metadata = Column(JSON)\n    {IGNORE}", False),
        (f"    metadata = Column(JSON)\n    other = 1  {IGNORE}", False),
        (f'    metadata = Column(JSON, doc="x  {IGNORE}")', False),
        (f'    metadata = Column(JSON, doc="""\n{IGNORE}\n""")', False),
        ("    metadata = Column(JSON)  # saas-doctor: ignore[SRC205]", False),
        ("    metadata = Column(JSON)  # saas-doctor: ignore", False),
        ("    metadata = Column(JSON)  # write `# saas-doctor: ignore[SRC204]` here", False),
        (f"    metadata = Column(JSON)  # not so: {IGNORE[2:]}", False),
    ],
)
def test_a_comment_ignores_at_its_line_and_its_statement(
    tree: MakeTree, body: str, counts: bool
) -> None:
    report = examined(tree({"a.py": model(body)}), "SRC204")
    assert (found(report), len(ignored(report))) == (([], 1) if counts else (["SRC204"], 0))


def test_the_reason_is_shown_and_holds_no_secret(tree: MakeTree) -> None:
    lines = ("a = 1", f"metadata = Column(JSON)  {IGNORE} -- see redis://me:hunter2@here")
    report = examined(tree({"a.py": model("\n".join(f"    {line}" for line in lines))}))
    assert ignored(report) == [("SRC204", "see redis://me:***@here")]
    report = examined(tree({"a.py": model(f"    metadata = Column(JSON)  {IGNORE}")}))
    assert ignored(report) == [("SRC204", "a comment at backend/a.py:8")]
    for parted in (" -- old", " old", ": old", " - old  # noqa", " — old "):
        report = examined(tree({"a.py": model(f"    metadata = Column(JSON)  {IGNORE}{parted}")}))
        assert ignored(report) == [("SRC204", "old")]


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("a.py", "@route  # 1\n@other(\n  1)\ndef f(\n  a): # 2\n    pass # 3\n", [[1, 5], [1, 5], [6]]),
        ("a.py", "x = (1,\n  # 1\n 2)\nif x: # 2\n  y = '''\n# no\n''' # 3\n# 4", [[1, 3], [4], [5, 7], []]),
        ("a.py", "x = 1 # 1\ny = (\n", [[1, 1]]),
        ("a.yml", "# 1\na: b # 2\nc: 'x # no'\nd: |\n  # no\n  e # no\nf: g#no\n", [[2], [2]]),
        ("a.yaml", 'a: "x\n# unclosed', []),
        ("a.toml", "a = 'x # no' # 1\nb = '''\n# no\n'''\n# 2\n\nc = \"\\\"# no\"\n", [[1], [7]]),
        (".env", "A='b # no' # 1\n# 2\nB=c#no\n", [[1], [3]]),
        (".env.local", 'A="b\n# no\n" # 1\n', [[3]]),
        ("requirements.txt", "# 1\n# 2\n\nfastapi  # 3\nx @ git+https://a#no\n", [[4], [4], [4]]),
        ("Dockerfile", "# 1\nRUN echo # no\n", [[2]]),
        ("Dockerfile.web", "RUN a\n# 1", [[2]]),
        ("vite.config.js", "// 1\nx('http://no') // 2\n/* 3 */ y()\n", [[2], [2], [3]]),
        ("a.tsx", "const a = `// no`; // 1\n", [[1]]),
        ("a.vue", "<script>\nlet a // 1\n</script>\n", [[2]]),
        ("a.sh", "echo '# no' # 1\n", [[1]]),
    ],
)  # fmt: skip
def test_comments_are_told_from_strings_in_every_kind_of_file(
    name: str, text: str, lines: list[list[int]]
) -> None:
    assert has_comments(name)
    known = sorted(comments(name, text.encode()), key=lambda c: c.line)
    assert not any("no" in comment.text for comment in known)
    told = [sorted({c.lines.start, c.lines.stop - 1}) if c.lines else [] for c in known]
    assert told == [sorted(set(pair)) for pair in lines]


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({".env": "REGISTRY_URL=localhost:8001  # saas-doctor: ignore[CFG903]\n"}, "CFG903"),
        ({".env": "# saas-doctor: ignore[CFG903]\nREGISTRY_URL=localhost:8001\n"}, "CFG903"),
        (
            {"/docker-compose.yml": "services:\n  a:\n    {image: x, ports: [1:a]}  # saas-doctor: ignore[DOCK]\n"},
            "DOCK602",
        ),
    ],
)  # fmt: skip
def test_a_comment_counts_in_settings_and_compose_files(
    tree: MakeTree, files: dict[str, str], code: str
) -> None:
    used = 'import os, httpx\nfrom dotenv import load_dotenv\nload_dotenv()\nhttpx.get(os.environ["REGISTRY_URL"])\n'
    there = {"main.py": used, ".env": "", "/docker-compose.yml": "services: {}\n"}
    plain = {n: t.replace("saas-doctor:", "") for n, t in files.items()}
    assert found(examined(tree({**there, **plain}), code)) == [code]
    report = examined(tree({**there, **files}), code)
    assert (found(report), [c for c, _ in ignored(report)]) == ([], [code])


def test_of_a_finding_in_several_places_each_has_to_be_ignored(tree: MakeTree) -> None:
    def configured(first: str, second: str) -> Report:
        text = "from pydantic import BaseModel\n" + "".join(
            f"class {name}(BaseModel):\n    class Config:\n        orm_mode = True{comment}\n"
            for name, comment in (("A", first), ("B", second))
        )
        return examined(tree({"a.py": text}), "SRC202", "CFG920")

    comment = "  # saas-doctor: ignore[SRC202]"
    assert found(configured(comment, "")) == ["SRC202"]  # and the comment has something to ignore
    assert found(configured(comment, comment)) == []


# By the configuration.


@pytest.mark.parametrize(
    ("pattern", "counts"),
    [
        ("SRC204", True),
        ("SRC2:legacy/*", False),
        ("SRC2:backend/legacy/**", True),
        ("SRC204:*/a.py", True),
        ("src204:backend/legacy/a.py:T", True),
        ("SRC204:backend/legacy", True),
        ("SRC204:backend/legacy/", True),
        ("SRC204:./backend/legacy", True),
        ("SRC204:./backend/legacy/a.py", True),
        ("SRC204:back*/leg*", True),
        ("SRC204:./", True),
        ("SRC204:backend/leg", False),
        ("SRC204:backend/legacy/a", False),
        ("SRC204:backend/legacy/a.py/", False),
        ("SRC204:legacy", False),
        ("SRC204:end/legacy", False),
        ("SRC204:/backend/legacy", False),
        ("SRC205:backend/legacy/**", False),
    ],
)
def test_a_pattern_names_a_target_or_the_files_of_a_folder(
    tree: MakeTree, pattern: str, counts: bool
) -> None:
    platform = tree({"legacy/a.py": model("    metadata = Column(JSON)")})
    report = examined(platform, "SRC204", ignore={pattern: "legacy"})
    assert ignored(report) == ([("SRC204", "legacy")] if counts else [])


def test_a_severity_is_given_by_the_longest_beginning_of_the_code(tree: MakeTree) -> None:
    table = '[severity]\nSRC = "info"\nSRC204 = "warning"\nSRC20 = "error"\n'
    platform = tree({"/saas-doctor.toml": table, "a.py": model("    metadata = Column(JSON)")})
    assert [f.severity for f in examined(platform, "SRC204").findings] == [Severity.WARNING]


@pytest.mark.parametrize("table", ['[severity]\nSRX = "info"\n', '[severity]\nSRC204 = "bad"\n'])
def test_a_wrong_severity_is_an_error_of_the_configuration(tree: MakeTree, table: str) -> None:
    with pytest.raises(DoctorError, match=r"SRX|severity"):
        examined(tree({"/saas-doctor.toml": table, "a.py": ""}))


@pytest.mark.parametrize("table", ["ignore", "severity"])
def test_a_code_of_the_configuration_that_no_check_has_is_told_with_its_line(
    tree: MakeTree, table: str
) -> None:
    text = f'[{table}]\nNOPE1 = "error"\n'
    step = r"saas-doctor.toml:2: no check is called NOPE1; `saas-doctor explain` lists them$"
    with pytest.raises(DoctorError, match=step):
        examined(tree({"/saas-doctor.toml": text, "a.py": ""}))


def test_such_a_code_of_the_command_line_as_well(tree: MakeTree) -> None:
    with pytest.raises(DoctorError, match=r"^--ignore: no check is called NOPE1; "):
        examined(tree({"a.py": ""}), ignore={"NOPE1:8000": "--ignore"})


# What has nothing to ignore.


@pytest.mark.parametrize(
    ("comment", "said"),
    [
        ("# saas-doctor: ignore[SRC204]", "the comment that ignores SRC204 has nothing to ignore"),
        ("# saas-doctor: ignore[src204]", "the comment that ignores src204 has nothing to ignore"),
        *(
            (
                f"# {wrong}",
                "a comment ignores nothing, since it is not written as saas-doctor: ignore[CODE]",
            )
            for wrong in (
                "saas-doctor: ignore",
                "saas-doctor: ignore[]",
                "saas-doctor: ignore[SRC204",
                "saas-doctor: ignore(SRC204)",
                "saas-doctor: ignore SRC204 -- old",
                "saas-doctor: ignores[SRC204]",
                "saas-doctor: Ignore[SRC204]",
                "saas-doctor: ignored SRC204",
                "saas_doctor: ignore[SRC204]",
            )
        ),
        ("# saas-doctor: it ignores [SRC204]", ""),
        ("# saas-doctor: ignores what git ignores", ""),
        ("# saas-doctor ignore[SRC204]", ""),
        ("# how saas-doctor: ignore[SRC204 works", ""),
        ("# saas-doctor: ignore[src999]", "no check is called src999, which a comment ignores"),
        ("# saas-doctor: ignore[SRC999]", "no check is called SRC999, which a comment ignores"),
        ("# saas-doctor: ignore[PKG301]", ""),
        ("# saas-doctor: ignore[SRC]", ""),
    ],
)
def test_a_comment_that_ignores_nothing_is_told_when_its_checks_have_looked(
    tree: MakeTree, comment: str, said: str
) -> None:
    report = examined(tree({"a.py": f"x = 1  {comment}\n"}))
    assert [f.message for f in report.findings] == ([said] if said else [])
    assert [str(f.place) for f in report.findings] == (["backend/a.py:1:8"] if said else [])


def test_of_several_codes_the_idle_one_is_named(tree: MakeTree) -> None:
    body = "    metadata = Column(JSON)  # saas-doctor: ignore[SRC204, SRC200]"
    report = examined(tree({"a.py": model(body)}), "SRC204", "SRC200", "CFG920")
    (told,) = report.findings
    assert told.message == "the comment that ignores SRC200 has nothing to ignore"
    assert told.next_step.startswith("take SRC200 out")


def test_an_entry_that_ignores_nothing_is_told_with_its_line(tree: MakeTree) -> None:
    table = '[severity]\nSRC204 = "info"\n[ignore]\n"SRC204:*/a.py" = "old"\nSRC204 = "any"\n'
    table += '"SRC204:*/b.py" = "older"\n"NET401" = "ours"\n'
    files = {"/saas-doctor.toml": table, "a.py": model("    metadata = Column(JSON)")}
    (told,) = examined(tree(files)).findings
    assert (told.target, str(told.place)) == ("SRC204:*/b.py", "saas-doctor.toml:6")
    files["/saas-doctor.toml"] = '[severity]\nSRC205 = "info"\n[ignore]\nSRC205 = "none"\n'
    (told,) = examined(tree(files), "SRC205", "CFG920").findings
    assert (told.target, str(told.place)) == ("SRC205", "saas-doctor.toml:4")


def test_it_is_silent_about_what_runs_which_differs_between_machines(tree: MakeTree) -> None:
    """One table serves a team: the proxy on port 8000 is not on everybody's machine today."""
    table = '[ignore]\n"NET401:8000" = "our proxy"\n"SRC204" = "old"\n'
    platform = tree({"/saas-doctor.toml": table})
    outcome = Outcome(frozenset({"NET401", "SRC204"}), ())
    assert [f.target for f in findings(platform, "CFG920", outcome)] == ["SRC204"]


def test_it_is_silent_about_a_check_whose_cause_is_ignored(tree: MakeTree) -> None:
    """It runs, but on nothing: in CI, say, there is no `.env`, and that this is so is ignored."""
    table = '[ignore]\n"CFG901" = "made later"\n"CFG906" = "old"\n'
    code = "from pydantic_settings import BaseSettings\nclass Settings(BaseSettings):\n    A: int = 1\n"
    files = {"/saas-doctor.toml": table, ".env.example": "A=1\n", "main.py": code}
    report = examined(tree(files), "CFG906", "CFG920")
    status = {result.code: result.status for result in report.results}
    assert (status["CFG901"], status["CFG906"]) == (Status.OK, Status.OK)
    assert ([c for c, _ in ignored(report)], found(report)) == (["CFG901"], [])


def test_it_is_silent_while_source_can_not_be_compiled(tree: MakeTree, tmp_path: Path) -> None:
    table = '[ignore]\n"SRC204:backend/a.py" = "old"\n"SRC204:backend/b.py" = "old"\n'
    files = {"/saas-doctor.toml": table, "b.py": "x = (\n"}
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", tmp_path / "backend/.venv"], check=True
    )
    assert found(examined(tree(files), "SRC200", "SRC204", "CFG920")) == ["SRC200"]
    (tmp_path / "backend/b.py").write_text("x = 1\n")
    report = examined(tree({}), "SRC200", "SRC204", "CFG920")
    assert found(report) == ["CFG920", "CFG920"]


def test_it_is_silent_in_a_file_that_can_not_be_parsed(tree: MakeTree) -> None:
    body = f"    metadata = Column(JSON)  {IGNORE}"
    assert found(examined(tree({"a.py": f"{model(body)}class\n"}))) == []


def test_it_is_silent_about_a_check_that_could_not_look(
    tree: MakeTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(source: Source) -> None:  # noqa: ARG001
        raise ValueError

    known = rules.checks()
    monkeypatch.setitem(known, "SRC204", replace(known["SRC204"], function=dies))
    report = examined(tree({"a.py": f"x = 1  {IGNORE}\n"}))
    assert {r.code: r.status for r in report.results} == {
        "CFG920": Status.OK,
        "SRC204": Status.CRASHED,
    }


def test_what_is_ignored_and_in_the_baseline_is_not_gone(tree: MakeTree, tmp_path: Path) -> None:
    platform = tree({"a.py": model("    metadata = Column(JSON)")})
    file = tmp_path / "baseline.json"
    accepted = baseline.write(examined(platform), platform, Baseline(file))
    assert len(accepted.entries) == 1
    platform = tree({"a.py": model(f"    metadata = Column(JSON)  {IGNORE}")})
    report = baseline.applied(examined(platform), platform, accepted)
    assert (found(report), report.baselined, report.gone) == ([], [], ())


def test_of_a_key_that_stands_twice_the_line_that_is_told_counts(tree: MakeTree) -> None:
    def told(first: str, second: str) -> list[str]:
        files = {".env": f"A=1{first}\nA=2{second}\n", "/docker-compose.yml": "services: {}\n"}
        return found(examined(tree(files), "CFG907", "CFG920"))

    comment = "  # saas-doctor: ignore[CFG907]"
    assert told("", "") == ["CFG907"]
    assert told("", comment) == []
    assert told(comment, "") == ["CFG907", "CFG920"]
