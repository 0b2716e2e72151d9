"""Every format says what the report says, and is read by what others wrote for it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import html5lib
import pytest
from jsonschema import Draft4Validator, Draft202012Validator
from junitparser import JUnitXml
from lxml import etree
from markdown_it import MarkdownIt
from msgspec.structs import replace

from saas_doctor import rules, runner
from saas_doctor.cli.outputs import FORMATS, refuse_to_overwrite
from saas_doctor.cli.screen import write_report
from saas_doctor.facts.dotenv import EnvFile
from saas_doctor.model import Finding, Place, Report, Severity, Status
from saas_doctor.report import console, github, gitlab, html, junit, markdown, repository, sarif
from saas_doctor.report.printable import printable
from saas_doctor.runner import Selection
from tests import reports
from tests.testbed import chromium
from tests.testbed.chromium import Page
from tests.trees import MakeTree

SCHEMAS = Path(__file__).with_name("schemas")
PROMISED = Path(__file__).parents[1] / "docs/report-1.json"
DOCUMENTS = [form for form in FORMATS if form not in ("console", "json")]
REPORTS: dict[str, Callable[[], Report]] = {
    "nothing": reports.report,
    "some": reports.some,
    "odd": reports.odd,
    "chosen": reports.chosen,
    "many": reports.many,
}
CODE_QUALITY = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "additionalProperties": False,
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "minLength": 1},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "pattern": "^(?!\\./)."},
                    "lines": {
                        "type": "object",
                        "required": ["begin"],
                        "properties": {"begin": {"type": "integer", "minimum": 1}},
                    },
                },
            },
        },
    },
}
"""What GitLab's documentation asks of a code quality report."""


def rendered(form: str, report: Report) -> str:
    text = import_module(f"saas_doctor.report.{form}").render(report)
    assert isinstance(text, str)
    text.encode("utf-8")
    return text


def read_sarif(text: str) -> list[str]:
    """The messages of the results, after the official schema and the references were looked at."""
    log = json.loads(text)
    schema = json.loads((SCHEMAS / "sarif-2.1.0.json").read_text(encoding="utf-8"))
    assert [e.message for e in Draft4Validator(schema).iter_errors(log)] == []
    (run,) = log["runs"]
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["locations"]
    new = [result for result in run["results"] if not result.get("suppressions")]
    return [result["message"]["text"] for result in new]


def read_junit(text: str) -> list[str]:
    """The messages of the failures, after a published schema was looked at."""
    root = etree.fromstring(text.encode("utf-8"))
    etree.XMLSchema(file=str(SCHEMAS / "junit-10.xsd")).assertValid(root)
    suites = JUnitXml.fromstring(text.encode("utf-8"))
    cases = [case for suite in suites for case in suite]
    assert suites.tests == len(cases)
    assert suites.failures == len(root.findall(".//testcase[failure]"))
    return [str(failure.get("message")) for failure in root.iter("failure")]


def read_gitlab(text: str) -> list[str]:
    issues = json.loads(text)
    assert [e.message for e in Draft202012Validator(CODE_QUALITY).iter_errors(issues)] == []
    assert len({issue["fingerprint"] for issue in issues}) == len(issues)
    return [issue["description"] for issue in issues]


def read_html(text: str) -> list[str]:
    page = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)
    return [
        str(article.findtext("h3"))
        for article in page.iter("article")
        if "data-family" in article.attrib
    ]


def read_json(text: str) -> list[str]:
    document = json.loads(text)
    schema = json.loads(PROMISED.read_text(encoding="utf-8"))
    assert [e.message for e in Draft202012Validator(schema).iter_errors(document)] == []
    return [finding["message"] for finding in document["findings"]]


READERS: dict[str, Callable[[str], list[str]]] = {
    "json": read_json,
    "sarif": read_sarif,
    "junit": read_junit,
    "gitlab": read_gitlab,
    "html": read_html,
}


@pytest.mark.parametrize("kind", REPORTS)
@pytest.mark.parametrize("form", READERS)
def test_a_format_is_valid_and_has_every_finding(form: str, kind: str) -> None:
    report = REPORTS[kind]()
    told = READERS[form](rendered(form, report))
    assert len(told) == len(report.findings)


@pytest.mark.parametrize("kind", REPORTS)
@pytest.mark.parametrize("form", FORMATS[1:])
def test_no_format_lets_through_what_turns_the_text_or_is_no_text(form: str, kind: str) -> None:
    text = rendered(form, REPORTS[kind]())
    if form == "json":  # has them as escapes, which its readers turn back
        assert not re.search(r"[\x00\x1b\ud800-\udfff]", text)
    else:
        assert not re.search(r"[\x00\x1b\r\u202e\ud800-\udfff\ufffe]", text)


@pytest.mark.parametrize("kind", REPORTS)
@pytest.mark.parametrize("form", FORMATS)
def test_a_report_may_take_the_place_of_a_former_one(form: str, kind: str, tmp_path: Path) -> None:
    write_report(REPORTS[kind](), form, tmp_path / "report")
    refuse_to_overwrite(tmp_path / "report")


@pytest.mark.parametrize("kind", REPORTS)
def test_the_console_has_a_line_for_every_finding(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    report = REPORTS[kind]()
    write_report(report, "console", None)
    lines = capsys.readouterr().out.splitlines()
    codes = tuple(f"{severity.value} {code}  " for severity in Severity for code in rules.checks())
    assert sum(line.startswith(codes) for line in lines) == len(report.findings)
    assert not re.search(r"[\x00\x1b\r\u202e\ud800-\udfff\ufffe]", "".join(lines))


def test_no_format_shows_a_secret(tree: MakeTree, monkeypatch: pytest.MonkeyPatch) -> None:
    """One in a value that is found wrong, one in the text of an error that a check dies of."""

    def dies(env: EnvFile) -> None:  # noqa: ARG001
        raise ValueError("no answer from redis://:hunter3@localhost:6379")

    monkeypatch.setitem(rules.checks(), "CFG902", replace(rules.checks()["CFG902"], function=dies))
    platform = tree(
        {
            ".env": "REGISTRY_URL=htp://me:hunter2@localhost:8001\n",
            "main.py": "import os, httpx\nfrom dotenv import load_dotenv\nload_dotenv()\n"
            'httpx.get(os.environ["REGISTRY_URL"])\n',
        }
    )
    report = runner.run(platform, Selection(("CFG902", "CFG903")))
    assert report.findings
    assert report.count(Status.CRASHED)
    for form in FORMATS[1:]:
        text = rendered(form, report)
        assert "CFG903" in text
        assert "***" in text.replace("\\*", "*") or form == "gitlab"  # has messages only
        assert "hunter" not in text


@pytest.mark.parametrize("form", FORMATS[1:])
def test_a_format_tells_what_is_accepted_gone_and_ignored(form: str) -> None:
    """What is accepted or ignored is no failure, no annotation and no issue anywhere."""
    text = rendered(form, reports.chosen())
    if form == "gitlab":  # has nothing but issues: GitLab itself compares two branches
        assert [issue["description"] for issue in json.loads(text)] == ["a new one"]
        return
    if form == "json":
        document = json.loads(text)
        assert [f["message"] for f in document["findings"]] == ["a new one"]
        assert [f["code"] for f in document["baselined"]] == ["DB501", "DB501", "SRC204"]
        assert [(one["code"], one["count"]) for one in document["gone"]] == [
            ("SRC204", 2),
            ("CFG901", 1),
        ]
        assert document["summary"]["baselined"] == 3
        assert document["ignored"][0]["location"] == {"path": "a.py", "line": 3, "column": None}
        return
    if form != "github":  # its job summary says so, which is Markdown
        assert "legacy" in text
    if form == "junit":
        skipped = etree.fromstring(text.encode()).findall(".//skipped[@type='baseline']")
        assert [one.get("message") for one in skipped] == ["2 findings in the baseline"]
        assert "in the baseline: a message\nignored: " in text
    elif form == "sarif":
        states = [
            (r["ruleId"], r["baselineState"], [s["kind"] for s in r["suppressions"]])
            for r in json.loads(text)["runs"][0]["results"]
        ]
        (further,) = json.loads(text)["runs"][0]["results"][0]["relatedLocations"]
        assert further["physicalLocation"]["artifactLocation"]["uri"] == "a%20b.py"
        old = ("unchanged", ["external"])
        assert states == [("DB501", *old), ("DB501", *old), ("SRC204", "new", []), ("SRC204", *old)]
    else:
        assert len(re.findall("(?m)^::", text)) == (1 if form == "github" else 0)
        assert "3 findings in the baseline" in text
    if form != "junit":
        assert "no longer there" in text


def test_the_console_tells_what_is_accepted_gone_and_ignored() -> None:
    def lines(*, verbose: bool) -> list[str]:
        found = console.render(reports.chosen(), verbose=verbose)
        return [printable("".join(text for text, _ in line)) for line in found]

    told = lines(verbose=False)
    assert [line[:10] for line in told if line.startswith(("gone", "ignored", "accepted"))] == [
        "ignored   ",
        "gone      ",
    ]
    assert "Postgres                    in the baseline  DB501" in told
    assert any(line.startswith("1 error; 3 findings in the baseline  (") for line in told)
    assert len([x for x in lines(verbose=True) if x.startswith("accepted")]) == 3


# SARIF


def results(report: Report) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sarif.document(report)["runs"][0]["results"]
    return found


def test_sarif_names_files_from_the_root_of_the_repository() -> None:
    places = ("backend/a b.py", "/etc/hosts", "C:\\x y", "a:b", "byte\udcff.py")
    report = replace(
        reports.report(SRC204=[reports.finding("SRC204", place=Place(p)) for p in places]),
        repository="apps/platform",
    )
    uris = [
        result["locations"][0]["physicalLocation"]["artifactLocation"] for result in results(report)
    ]
    assert uris == [
        {"uri": "apps/platform/backend/a%20b.py", "uriBaseId": "%SRCROOT%"},
        {"uri": "file:///etc/hosts"},
        {"uri": "file:///C%3A/x%20y"},
        {"uri": "apps/platform/a%3Ab", "uriBaseId": "%SRCROOT%"},
        {"uri": "apps/platform/byte%FF.py", "uriBaseId": "%SRCROOT%"},
    ]


def test_a_finding_without_a_place_is_at_the_platforms_folder() -> None:
    report = reports.report(DB501=[reports.finding("DB501", target="5432")])
    (location,) = results(report)[0]["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": ".", "uriBaseId": "%SRCROOT%"}
    }
    assert location["logicalLocations"] == [{"name": "5432", "kind": "resource"}]


def test_sarif_tells_what_could_not_be_told_and_what_was_ignored() -> None:
    (invocation,) = sarif.document(reports.some())["runs"][0]["invocations"]
    assert invocation["executionSuccessful"] is False
    told = {(n["level"], n["message"]["text"]) for n in invocation["toolExecutionNotifications"]}
    assert told == {
        ("warning", "RED501: not told: timed out"),
        ("error", "SRC201: not told: ValueError: no; please report this"),
        ("note", "NET401: ignored: port 8000 is taken (the other team's)"),
        ("warning", "WEB801: not told: half of it"),
    }


def test_a_rule_has_the_page_of_its_check() -> None:
    rules = sarif.document(reports.some())["runs"][0]["tool"]["driver"]["rules"]
    (rule,) = (rule for rule in rules if rule["id"] == "DB501")
    assert "**Detected**" in rule["help"]["markdown"]
    assert rule["defaultConfiguration"] == {"level": "error"}


def marks(*findings: Finding) -> list[str]:
    return repository.fingerprints(findings)


def test_a_fingerprint_stays_when_lines_move() -> None:
    for target in ("", "backend/a.py:3:1:users", "users"):
        before, after = (
            reports.finding(
                "SRC204", target=target.replace("3", str(n)), place=Place("backend/a.py", n, 1)
            )
            for n in (3, 44)
        )
        assert marks(before) == marks(after)


def test_a_fingerprint_tells_findings_apart() -> None:
    base = reports.finding("SRC204", place=Place("a.py", 1), target="x")
    others = [
        replace(base, code="SRC205"),
        replace(base, place=Place("b.py", 1)),
        replace(base, target="y"),
        replace(base, target="", message="other"),
        replace(base, place=Place("a.py", 9)),
    ]
    assert len(set(marks(base, *others))) == 6
    ports = [reports.finding("NET401", target=f"127.0.0.1:{n}") for n in (8000, 8001)]
    assert marks(ports[0]) != marks(ports[1])


# JUnit


def test_every_verdict_has_its_form_in_junit() -> None:
    root = etree.fromstring(junit.render(reports.some()).encode())
    cases = {str(case.get("name")).split()[0]: case for case in root.iter("testcase")}
    shapes = {
        code: [(part.tag, part.get("type")) for part in cases[code]]
        for code in (
            "DB501",
            "DB502",
            "CFG901",
            "RED501",
            "SRC201",
            "SVC701",
            "NET401",
            "WEB801",
            "DB503",
        )
    }
    assert shapes == {
        "DB501": [("failure", "error"), ("failure", "error")],
        "DB502": [("skipped", "blocked")],
        "CFG901": [("failure", "warning")],
        "RED501": [("error", "unknown")],
        "SRC201": [("error", "crashed")],
        "SVC701": [("skipped", "skipped")],
        "NET401": [("system-out", None)],
        "WEB801": [("failure", "error"), ("error", "unknown")],
        "DB503": [],
    }
    assert (root.get("failures"), root.get("errors")) == ("4", "2")
    assert "at: backend/.env:3:1\n" in str(cases["DB501"][0].text)


# GitHub


def commands(report: Report) -> list[tuple[str, dict[str, str], str]]:
    """The annotations, read as GitHub's runner reads the lines of a log."""
    found = []
    for line in github.render(report).splitlines():
        match = re.fullmatch(r"::(\w+) (.*?)::(.*)", line)
        if match:
            listed = (p.partition("=") for p in match[2].split(","))
            properties = {name: unescaped(value, ":,") for name, _, value in listed}
            found.append((match[1], properties, unescaped(match[3], "")))
        else:
            assert not line.startswith("::")
    return found


def unescaped(text: str, more: str) -> str:
    for sign in f"\r\n{more}%":
        text = text.replace(f"%{ord(sign):02X}", sign)
    return text


def test_an_annotation_names_the_place_and_says_everything() -> None:
    first, *_ = commands(replace(reports.some(), repository="apps/p"))
    level, properties, message = first
    assert level == "error"
    assert properties == {
        "title": "saas-doctor DB501",
        "file": "apps/p/backend/.env",
        "line": "3",
        "col": "1",
    }
    assert message.startswith("a message\nlooked at: here\n")
    assert "saas-doctor fix --select DB501 --allow-destructive" in message
    assert message.endswith("\nblocked: DB502")


def test_an_annotation_can_hold_any_path_and_starts_no_other_command() -> None:
    report = reports.odd()
    found = commands(report)
    assert len(found) == len(report.findings) + 1  # and the check that crashed
    files = [properties.get("file") for _, properties, _ in found]
    assert {"a b/c d.py", "line\nend.py", "a:b,c%d.py", "你好/ü.py"} <= set(files)
    assert all(level == "error" for level, _, _ in found)


def test_what_could_not_be_told_is_a_warning_and_what_crashed_an_error() -> None:
    found = [(level, p["title"], text) for level, p, text in commands(reports.some())]
    assert ("warning", "saas-doctor RED501", "could not tell: timed out") in found
    assert any(level == "error" and title == "saas-doctor SRC201" for level, title, _ in found)


def test_more_annotations_than_github_shows_are_counted() -> None:
    text = github.render(reports.many())
    assert text.count("::error ") == github.SHOWN
    assert "\nand 9990 errors more, in the job summary\n" in text


def test_the_log_tells_the_notes_and_none_is_a_command() -> None:
    noted = replace(reports.report(), notes=("nothing has changed", "a\n::error::b"))
    assert commands(noted) == []
    assert github.render(noted).startswith("note: nothing has changed\nnote: a")


# Markdown


def test_markdown_keeps_what_was_found_as_it_is() -> None:
    text = markdown.render(reports.some())
    assert "## error DB501: a message\n\n- at: `backend/.env:3:1`\n" in text
    assert "- found: \n\n  ```\n  a\n  b\n  ```\n" in text
    assert "- blocked: DB502\n" in text
    assert "## unknown RED501\n\n- because: `timed out`\n" in text
    assert "- NET401 port 8000 is taken (the other team's)" in text.replace("\\", "")


def test_markdown_gives_no_sign_of_a_message_a_meaning() -> None:
    text = markdown.render(reports.report(DB501=[reports.finding("DB501", "<b> *x* [a](b) `c")]))
    assert r"## error DB501: \<b\> \*x\* \[a\]\(b\) \`c" in text


@pytest.mark.parametrize("kind", REPORTS)
def test_markdown_reads_as_one_heading_for_each_finding(kind: str) -> None:
    report = REPORTS[kind]()
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown.render(report))
    inner = [child for token in tokens for child in token.children or ()]
    headings = [b.content for a, b in pairwise(tokens) if a.type == "heading_open"]
    assert len([h for h in headings if h.startswith(("error", "warning", "info"))]) == len(
        report.findings
    )
    meant = {token.type for token in (*tokens, *inner)}
    assert not meant & {"html_block", "html_inline", "link_open", "image", "em_open", "table_open"}


def test_markdown_stays_within_what_a_job_summary_takes() -> None:
    text = markdown.render(reports.many(), limit=github.SUMMARY)
    assert len(text.encode()) <= github.SUMMARY
    assert re.search(r"And \d+ more, which don't fit here\.", text)
    assert len(markdown.render(reports.many()).encode()) > github.SUMMARY


# GitLab


def test_gitlab_is_told_the_severity_in_its_words() -> None:
    issues = json.loads(gitlab.render(reports.some()))
    assert {(i["check_name"], i["severity"]) for i in issues} >= {
        ("DB501", "critical"),
        ("CFG901", "minor"),
        ("PY101", "info"),
    }


# HTML


def test_html_asks_for_nothing_from_anywhere() -> None:
    page = html5lib.parse(html.render(reports.odd()), namespaceHTMLElements=False)
    for element in page.iter():
        assert element.tag not in ("link", "img", "iframe", "object")
        assert not {"src", "style"} & set(element.attrib)
        assert not [name for name in element.attrib if name.startswith("on")]
        assert element.get("href", "#").startswith("#")


def test_every_severity_that_is_there_can_be_filtered() -> None:
    page = html5lib.parse(html.render(reports.some()), namespaceHTMLElements=False)
    boxes = {(i.get("name"), i.get("value")) for i in page.iter("input")}
    assert {("severity", s.value) for s in Severity} <= boxes
    assert {value for name, value in boxes if name == "family"} == {"DB", "CFG", "PY", "WEB"}


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Callable[[Report], Page]]:
    """Opens a report in a real browser."""
    with chromium.page(tmp_path / "profile") as page:

        def show(report: Report) -> Page:
            file = tmp_path / "report.html"
            file.write_text(html.render(report), encoding="utf-8")
            page.open(file.as_uri())
            return page

        yield show


Show = Callable[[Report], Page]
VISIBLE = "[...document.querySelectorAll('article')].filter(a => a.offsetHeight).length"


@pytest.mark.timeout(400)
@pytest.mark.parametrize("kind", REPORTS)
def test_a_browser_shows_every_finding_and_has_no_complaint(shown: Show, kind: str) -> None:
    report = REPORTS[kind]()
    page = shown(report)
    number = len(report.findings)
    said = page.value("document.getElementById('shown').textContent")
    assert said == f"{number} of {number} findings are shown."
    assert page.value(f"document.forms[0].hidden || {VISIBLE} >= {number}")
    assert page.complaints() == []
    asked = [e for e in page.events if e.get("method") == "Network.requestWillBeSent"]
    assert len(asked) == 1  # the page itself


@pytest.mark.timeout(400)
def test_the_page_is_filtered_by_keyboard(shown: Show) -> None:
    page = shown(reports.some())
    before = page.value(VISIBLE)
    page.press("Tab")  # the link to the findings
    assert page.value("document.activeElement.className") == "skip"
    page.press("Tab")
    assert page.value("document.activeElement.value") == "error"
    page.press(" ")
    assert page.value(VISIBLE) == before - 3
    assert page.value("document.getElementById('shown').textContent") == (
        "2 of 5 findings are shown."
    )
    page.press(" ")
    assert page.value(VISIBLE) == before


REACHED = "[...document.querySelectorAll('a[href], input, [tabindex=\"0\"]')]"


@pytest.mark.timeout(400)
def test_every_control_is_reached_by_tab_in_its_order_and_seen(shown: Show) -> None:
    page = shown(reports.some())
    number = page.value(f"{REACHED}.length")
    assert number > 10
    for at in range(number):
        page.press("Tab")
        assert page.value(f"{REACHED}.indexOf(document.activeElement)") == at
        seen = "(e => [e.getBoundingClientRect().width > 0, getComputedStyle(e).outlineStyle])"
        assert page.value(f"{seen}(document.activeElement)") == [True, "solid"]
    page.press("Tab")
    assert page.value(f"{REACHED}.indexOf(document.activeElement)") in (-1, 0)


@pytest.mark.timeout(400)
def test_the_page_fits_a_narrow_screen(shown: Show) -> None:
    page = shown(reports.odd())
    page.call(
        "Emulation.setDeviceMetricsOverride",
        width=320,
        height=600,
        deviceScaleFactor=1,
        mobile=True,
    )
    assert page.value("document.documentElement.scrollWidth") == 320


@pytest.mark.timeout(400)
def test_the_page_is_legible_in_the_light_in_the_dark_and_on_paper(shown: Show) -> None:
    """Every text has the contrast that WCAG asks for (4.5 to 1)."""
    page = shown(reports.some())
    media: list[tuple[str, dict[str, str]]] = [
        ("", {"prefers_color_scheme": "light"}),
        ("", {"prefers_color_scheme": "dark"}),
        ("print", {"prefers_color_scheme": "dark"}),
    ]
    grounds = []
    for kind, features in media:
        page.media(kind, **features)
        ground, worst = page.value(CONTRAST)
        assert worst >= 4.5, (kind, features)
        grounds.append(ground)
    assert grounds == ["rgb(255, 255, 255)", "rgb(22, 24, 28)", "rgb(255, 255, 255)"]
    assert page.value("getComputedStyle(document.getElementById('filter')).display") == "none"


CONTRAST = """(() => {
  const light = colour => {
    const [r, g, b] = colour.match(/\\d+/g).map(n => n / 255)
      .map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    return .2126 * r + .7152 * g + .0722 * b
  }
  const ground = getComputedStyle(document.body).backgroundColor, base = light(ground)
  const ratios = [...document.querySelectorAll("body *")]
    .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
    .filter(e => e.offsetHeight)
    .map(e => light(getComputedStyle(e).color))
    .map(l => (Math.max(l, base) + .05) / (Math.min(l, base) + .05))
  return [ground, Math.min(...ratios)]
})()"""
