"""Cases that once made the doctor say something false, lose something, or stop with a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values

from saas_doctor import journal, redact, repair, runner
from saas_doctor import platform as platforms
from saas_doctor.facts import dockerfile
from saas_doctor.facts.dotenv import read_dotenv
from saas_doctor.facts.vite import read_config
from saas_doctor.model import DoctorError, Report, Severity, Status
from saas_doctor.repair import Outcome
from saas_doctor.runner import Selection
from tests.faults import Copy, append, both, replace, uninstall, write
from tests.faults.origins import directly
from tests.test_repair import killed_fix
from tests.test_requirements import read

MakeCopy = Callable[..., Copy]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "backend").mkdir()
    (tmp_path / "docker-compose.yml").write_text("services: {}\n")
    (tmp_path / "backend/.env.example").write_text("HOST=127.0.0.1\nREGISTRY_URL=http://x:8001\n")
    return tmp_path


def examine(root: Path, *codes: str) -> Report:
    return runner.run(platforms.load(root, exact=True, environ={}), Selection(codes), timeout=20)


def mend(copy: Copy, *codes: str) -> repair.Repair:
    platform = platforms.load(copy.root, exact=True, environ=copy.environ)
    return repair.repair(platform, Selection(codes), lambda plan: plan, timeout=20)


@pytest.mark.parametrize("password", ["p#ss", "p/ss", "p[ss", "a?b", "p%40ss"])
def test_a_password_with_signs_is_a_valid_address_and_is_never_shown(
    root: Path, password: str
) -> None:
    url = f"postgresql://me:{password}@localhost:5432/mydb"
    (root / "backend/.env").write_text(f"DATABASE_URL={url}\n")
    assert examine(root, "CFG903").findings == []
    assert password not in redact.redact(f"found {url} there")


def test_prose_with_a_colon_is_no_secret() -> None:
    text = "# Passwords and tokens: passlib 1.7 does not work with bcrypt 5."
    assert redact.redact(text) == text
    assert redact.redact("  SECRET_KEY: abc") == "  SECRET_KEY: ***"


def test_a_continued_line_with_line_ends_of_windows_is_pinned_to_its_end(tmp_path: Path) -> None:
    data = b"bcrypt>=4.0.1,\\\r\n    <6\r\nfastapi\r\n"
    assert read(tmp_path, data).pin("bcrypt", "<5").result == b"bcrypt<5\r\nfastapi\r\n"


def test_the_line_whose_marker_does_not_hold_is_not_the_one_that_is_pinned(tmp_path: Path) -> None:
    data = b'bcrypt; python_version < "3.8"\nbcrypt>=4\n'
    assert read(tmp_path, data).pin("bcrypt", "<5").result.endswith(b"\nbcrypt<5\n")


def test_a_requirement_that_cannot_be_read_is_never_ok(make_copy: MakeCopy) -> None:
    copy = make_copy(False)
    append("backend/requirements.txt", "fastpai>>=1\n")(copy)
    report = examine(copy.root, "PKG301")
    status = {r.code: (r.status, r.reason) for r in report.results}
    assert status["PKG301"][0] is Status.UNKNOWN
    assert "backend/requirements.txt" in (status["PKG301"][1] or "")
    assert report.exit_code(Severity.ERROR) == 3


def test_an_open_quote_is_mended_by_its_own_keys_line_only(root: Path) -> None:
    env = root / "backend/.env"
    env.write_text("HOSTNAME='my-own-machine\nREGISTRY_URL=http://x:8001\n")
    (finding,) = examine(root, "CFG902").findings
    assert finding.fix is None


def test_a_column_named_by_a_constant_is_not_edited(make_copy: MakeCopy) -> None:
    copy = make_copy(False)
    both(
        write("backend/shared/names.py", 'META = "meta_json"\n'),
        replace(
            "backend/shared/models/service.py",
            '    service_metadata = Column("metadata", JSON, default=dict)',
            "    metadata = Column(META, JSON, default=dict)",
        ),
        replace(
            "backend/shared/models/service.py",
            "from shared.models.base",
            "from shared.names import META\nfrom shared.models.base",
        ),
    )(copy)
    (finding,) = [f for f in examine(copy.root, "SRC204").findings if f.code == "SRC204"]
    assert finding.fix is None


def test_a_module_beside_a_folder_of_its_name_is_what_is_imported(make_copy: MakeCopy) -> None:
    copy = make_copy(False)
    both(
        write("backend/shared/helpers.py", "VERSION = 1\n\n\ndef slug(): ...\n"),
        write("backend/shared/helpers/seed.py", "def slug(): ...\n"),
        append("backend/shared/utils/security.py", "\nfrom shared.helpers import slug\n"),
    )(copy)
    assert examine(copy.root, "SRC201").findings == []


def test_an_origin_put_together_from_variables_is_left_to_its_owner(make_copy: MakeCopy) -> None:
    copy = make_copy(False)
    directly(copy)
    env = copy.path("backend/.env")
    line = "PUBLIC=http://localhost\nCORS_ORIGINS=${PUBLIC}:3000\n"
    env.write_text(env.read_text().replace("CORS_ORIGINS=", "OLD=") + line)
    done = mend(copy, "WEB801")
    assert done.done == []
    assert "put together from other variables" in done.waiting[0][1]


@pytest.mark.parametrize(
    "plugin",
    [
        "import { api } from './api.js'\nexport default { plugins: [api()] }\n",
        "export default { plugins: [{ name: 'a', configureServer(s) { s.use('/api') } }] }\n",
    ],
)
def test_a_plugin_that_may_serve_the_api_makes_it_unknown(plugin: str) -> None:
    vite = read_config(Path("vite.config.js"), "vite.config.js", plugin.encode())
    assert "plugin" in vite.unknown


def test_undo_refuses_to_remove_what_was_put_into_the_environment_since(
    make_copy: MakeCopy,
) -> None:
    copy = make_copy()
    uninstall("python-jose")(copy)
    assert mend(copy, "PKG301").done
    mine = copy.path("backend/.venv/pip.conf")
    mine.write_text("[global]\n")
    undone = repair.undo(platforms.load(copy.root, exact=True, environ=copy.environ))
    assert "pip.conf" in undone.refused[0][1]
    assert mine.exists()


def test_a_fix_whose_install_failed_is_taken_back_whole(make_copy: MakeCopy) -> None:
    copy = make_copy()
    both(
        uninstall("email-validator"),
        replace("backend/requirements.txt", "email-validator>=2.1,<3  # EmailStr\n", ""),
        append("backend/requirements.txt", "bcrypt<1\n"),
    )(copy)
    before = copy.path("backend/requirements.txt").read_bytes()
    done = mend(copy, "PKG306")
    assert Outcome.VERIFIED not in {d.outcome for d in done.done}
    assert copy.path("backend/requirements.txt").read_bytes() == before
    assert any(f.code == "PKG306" for f in done.report.findings)


def fixed(root: Path) -> Path:
    """A platform with one fix done; its journal."""
    platform = platforms.load(root, exact=True, environ={})
    repair.repair(platform, Selection(("CFG901",)), lambda plan: plan)
    (file,) = (root / ".saas-doctor/runs").glob("*/journal.jsonl")
    return file


def test_a_torn_journal_is_gone_on_with(root: Path) -> None:
    file = fixed(root)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:2]) + lines[2][:20])
    platform = platforms.load(root, exact=True, environ={})
    assert repair.undo(platform).refused == []
    assert journal.interrupted(platform) is None
    with pytest.raises(DoctorError, match="nothing to undo"):
        repair.undo(platform)


@pytest.mark.parametrize(
    "line",
    [
        "null",
        "[]",
        "{}",
        "5",
        '{"event":"run"}',
        '{"event":"begin"}',
        '{"event":"state","number":99,"state":"x"}',
    ],
)
def test_a_record_that_says_nothing_is_passed_over(root: Path, line: str) -> None:
    file = fixed(root)
    file.write_text(line + "\n" + file.read_text())
    assert len(journal.runs(platforms.load(root, exact=True, environ={}))) == 1


@pytest.mark.parametrize("change", [{"kind": "NoSuchAction"}, {"before": {}}])
def test_an_action_whose_record_cannot_be_used_is_refused(
    root: Path, change: dict[str, Any]
) -> None:
    file = fixed(root)
    records = [json.loads(line) for line in file.read_text().splitlines()]
    records = [r | change if r["event"] == "begin" else r for r in records]
    file.write_text("".join(json.dumps(r) + "\n" for r in records))
    undone = repair.undo(platforms.load(root, exact=True, environ={}))
    assert [reason for _, reason in undone.refused] == ["its record in the journal can't be read"]


def test_a_cut_off_run_that_was_edited_since_does_not_bar_the_next_fix(root: Path) -> None:
    assert killed_fix(root, 2, "after")
    (root / "backend/.env").write_text("MINE=1\n")
    platform = platforms.load(root, exact=True, environ={})
    assert journal.interrupted(platform)
    assert repair.undo(platform).refused
    assert repair.repair(platform, Selection(("CFG901",)), lambda plan: plan).done == []


@pytest.mark.parametrize("name", ["lock", "runs"])
def test_a_state_folder_that_cannot_be_used_ends_in_one_sentence(root: Path, name: str) -> None:
    (root / ".saas-doctor").mkdir()
    wrong = root / ".saas-doctor" / name
    wrong.mkdir() if name == "lock" else wrong.write_text("")
    platform = platforms.load(root, exact=True, environ={})
    with pytest.raises(DoctorError, match=name):
        repair.repair(platform, Selection(("CFG901",)), lambda plan: plan)
    assert not (root / "backend/.env").exists()


BOMB = "A0=0123456789\n" + "".join(f"A{n + 1}=${{A{n}}}${{A{n}}}\n" for n in range(100))


def test_a_settings_file_whose_variables_grow_without_end_is_told_of(root: Path) -> None:
    (root / "backend/.env").write_text(BOMB)
    report = examine(root, "CFG9")
    (result,) = [r for r in report.results if r.code == "CFG901"]
    assert result.status is Status.UNKNOWN
    assert result.reason == (
        "backend/.env: with its variables put into each other, A17 outgrows 2 MB"
    )
    assert report.count(Status.CRASHED) == 0
    assert report.duration < 10


@pytest.mark.parametrize(
    "text",
    [
        BOMB + "B=$A16\n",
        "A=x\nB=" + "${A}" * 50_000 + "\nC=" + "${B}" * 50_000 + "\n",
        "A=" + "${A:-" * 5_000 + "}" * 5_000 + "\n",
        "A=${A:?" + "${A:-" * 5_000 + "}" * 5_000 + "}\n",
    ],
)
def test_an_env_file_of_compose_whose_variables_grow_without_end_is_told_of(
    root: Path, text: str
) -> None:
    (root / ".env").write_text(text)
    (finding,) = examine(root, "DOCK602").findings
    assert "put into each other" in finding.message or "too deep" in finding.message


def test_a_compose_file_whose_variables_grow_without_end_is_told_of(root: Path) -> None:
    (root / ".env").write_text("A=" + "x" * 1_000_000 + "\n")
    text = "services: {}\nx-a: [" + "'${A}'," * 50 + "]\n"
    (root / "docker-compose.yml").write_text(text)
    report = examine(root, "DOCK6")
    assert report.findings == []
    reason = "docker-compose.yml: can't be read (with its variables put in it is too large)"
    assert {r.reason for r in report.results if r.code == "DOCK601"} == {reason}


def test_variables_in_variables_have_the_values_that_python_dotenv_gives(root: Path) -> None:
    text = "A=a\nB=${A}${NOT_SET:-d}\nA=${B}\nC='${A}'\nD=$A\nE\nF=${E}x\n"
    (root / "backend/.env").write_text(text)
    platform = platforms.load(root, exact=True, environ={})
    read_here = read_dotenv(root / "backend/.env", platform)
    assert read_here
    assert {s.key: s.value for s in read_here.settings} == {
        key: value or "" for key, value in dotenv_values(root / "backend/.env").items()
    }


def test_a_dockerfile_whose_variables_grow_without_end_is_not_followed() -> None:
    lines = "".join(f"ENV A{n + 1}=$A{n}$A{n}\n" for n in range(60))
    text = f"FROM python:3.11\nENV A0=0123456789\n{lines}COPY $A60 /x\n"
    (source,) = dockerfile.parse(text.encode()).sources({})
    assert source.path is None


@pytest.mark.parametrize("count", [10, 20, 60])
def test_values_of_the_source_that_grow_without_end_are_not_followed(
    root: Path, count: int
) -> None:
    nine = range(9)
    lines = "a0 = 'http://localhost:3000'\nb0 = ['http://x']\nc0 = 999999999\n" + "".join(
        f"a{n + 1} = f'{''.join(f'{{a{n}}}' for _ in nine)}'\n"
        f"b{n + 1} = [{', '.join(f'*b{n}' for _ in nine)}]\n"
        f"c{n + 1} = {' * '.join(f'c{n}' for _ in nine)}\n"
        for n in range(count)
    )
    (root / "backend/gateway").mkdir()
    (root / "backend/requirements.txt").write_text("fastapi\n")
    (root / "backend/gateway/main.py").write_text(
        "from fastapi import FastAPI\nfrom fastapi.middleware.cors import CORSMiddleware\n"
        f"{lines}app = FastAPI(title=a{count})\n"
        f"app.add_middleware(CORSMiddleware, allow_origins=b{count}, max_age=c{count})\n"
    )
    report = examine(root, "SRC", "WEB", "CFG")
    assert report.count(Status.CRASHED) == 0
    assert report.duration < 10
