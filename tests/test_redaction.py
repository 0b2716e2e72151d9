"""A secret that the platform keeps anywhere is shown nowhere: no format, journal, log or error."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from saas_doctor import baseline, journal, redact, rules, runner
from saas_doctor import platform as platforms
from saas_doctor.actions.files import unified_diff
from saas_doctor.cli.logs import _Printer
from saas_doctor.cli.outputs import FORMATS, Output
from saas_doctor.cli.screen import ask, say, write_reports
from saas_doctor.facts.dotenv import EnvFile
from saas_doctor.known_secrets import secrets_of
from saas_doctor.model import Finding, Place, Undecided
from saas_doctor.platform import Platform
from saas_doctor.redact import MASK, WITHHELD
from saas_doctor.runner import Selection
from saas_doctor.stack import LogLine
from tests.trees import written

LOGIN = b64encode(b"robot:docker-9Login").decode()
PLACES = {
    "the settings file": "dotenv-9Kq",
    "an address there": "a/d@dr#9ess",
    "the same, as it is written there": "a%2Fd%40dr%239ess",
    "another settings file": "two words-9",
    "a setting of Compose": "compose-9env",
    "an address in Compose": "compose9Url",
    "a default in Compose": "compose-9default",
    "a map on one line": "compose-9map",
    "a Compose file that the environment names": "compose-9other",
    "the settings of a service": "service-9env",
    "the configuration": "admin-9Url",
    "a file that Compose names": "env-file-9",
    "a secret's file of Compose": "secret-file-9==",
    "the environment": "environ-9Ment",
    ".pgpass": "pg:pass-9",
    "Postgres' service file": "service-9File",
    "a login of Docker": "docker-9Login",
    "that login, as it is written there": LOGIN,
    "a token of Docker": "docker-9Token",
}
"""Where a secret is kept, and it."""
SHAPES = {
    "a header of a request": "authorization: Basic cGxhbnRlZC0xMQ==",
    "a header with a token": '{"Authorization": "Bearer planted-12"}',
    "an argument of a process": "redis-server --port 1 --password planted-13",
    "the same with a sign": "redis-server --requirepass=planted-14",
    "a statement of SQL": "CREATE ROLE a PASSWORD 'planted''15'",
    "a server's error about one": "syntax error\nLINE 1: CREATE ROLE a PASSWORD 'planted-23\n   ^",
    "an address in a log": "refused: amqp://a:planted16@h",
    "an address whose password has a quote": "DATABASE_URL=postgresql://a:pl'planted24@h:x/d",
    "the same in quotes": """connect("amqp://a:pl'planted25@h", "anna@example.org")""",
    "a scheme without its colon": "postgres//a:planted26@h/d",
    "a scheme with one slash": "+URL=postgresql:/a:planted27@h/d",
    "two schemes": "URL=postgresql://postgres//a:planted28@h/d",
    "an address without a scheme": "-URL=a:planted29@h/d",
    "the same with a port": "found a:planted30@h:5432",
    "a traceback": 'File "x.py", line 1\n    connect(password="planted-17")',
    "a source": '+    SECRET_KEY: str = "planted-18"',
    "a model as JSON": '{"user":"a","api_key":"planted-19"}',
    "a key": "-----BEGIN PRIVATE KEY-----\nplanted20\n-----END PRIVATE KEY-----",
    "a signed token": "got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJoaWRkZW4ifQ.planted21planted21",
    "a list of arguments": """CMD ["redis-server","--requirepass","planted-34", '--token', 'planted-35']""",
    "the user of an address that is a token": "git+https://planted40@h/a and https://planted-41:@h",
    "the same at GitHub": "https://planted-42:x-oauth-basic@github.com/a",
    "a query": "GET https://h/a?x=1&pwd=planted-36&y=2",
    "a key of Amazon": "ASIAplanted000000000",
    "a key of Stripe": "sk_test_planted000000000",
    "a value with a blank": "password=Qw7 9planted",
    "a setting with more behind the quote": 'A_TOKEN="abc"planted',
    "a DSN": "host=h password='planted 22' user=a",
}
"""How one is written that is kept nowhere, with `planted` in it."""


def secrets_in(text: str) -> list[str]:
    """The planted secrets that a text shows, as they are or as JSON or an address writes them."""
    return [
        secret
        for secret in (*PLACES.values(), "planted", "cGxhbnRl")
        if secret in text or json.dumps(secret)[1:-1] in text
    ]


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    home = tmp_path / "home"
    docker = {"auths": {"r.example": {"auth": LOGIN, "identitytoken": "docker-9Token"}}}
    written(
        home,
        {
            ".pgpass": "# host:port\nlocalhost:5432:saas:anna:pg\\:pass-9\n",
            ".pg_service.conf": "[a]\npassword=service-9File\n",
            ".docker/config.json": json.dumps(docker),
        },
    )
    root = tmp_path / "platform"
    written(
        root,
        {
            "backend/.env": "SECRET_KEY=dotenv-9Kq # mine\n"
            "REGISTRY_URL=localhost:8001\nBROKER=amqp://me:a%2Fd%40dr%239ess@mq\n",
            "backend/.env.local": "export STRIPE_API_KEY='two words-9'\n",
            "backend/main.py": "import os, httpx\nfrom dotenv import load_dotenv\nload_dotenv()\n"
            'httpx.get(os.environ["REGISTRY_URL"])\n',
            "docker-compose.yml": "services:\n  db:\n    image: d\n    env_file: more.env\n"
            "    environment:\n      POSTGRES_USER: saas_user\n"
            "      POSTGRES_PASSWORD: compose-9env\n"
            "      URL: postgresql://saas_user:compose9Url@db/saas\n"
            "      AUTH_SECRET: ${AUTH:-compose-9default}\n"
            "  web: {image: w, environment: {WEB_TOKEN: compose-9map, MODE: dev}}\n"
            "secrets:\n  key: {file: ./key.txt}\n  other:\n    file: ./key.txt\n",
            "more.env": "MAIL_PASS=env-file-9\n",
            "ci/other.yml": "services: {x: {image: i, environment: [X_TOKEN=compose-9other]}}\n",
            "services/core/.env.test": "MAIL_SECRET=service-9env\n",
            "saas-doctor.toml": "[database]\nadmin-url = 'postgresql://root:admin-9Url@h/d'\n"
            "[services.core]\ndirectory = 'services/core'\nport = 8002\n",
            "key.txt": "secret-file-9==\n",
        },
    )
    environ = {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "REDIS_PASSWORD": "environ-9Ment",
        "COMPOSE_FILE": "docker-compose.yml:ci/other.yml",
    }
    return platforms.load(root, exact=True, environ=environ)


@pytest.mark.usefixtures("platform")
@pytest.mark.parametrize("place", PLACES)
def test_a_secret_is_known_wherever_it_is_kept(place: str) -> None:
    assert redact.redact(PLACES[place]) == MASK
    redact.forget()
    assert PLACES[place] == redact.redact(PLACES[place])


@pytest.mark.parametrize("shape", SHAPES)
def test_a_secret_is_known_by_what_it_stands_in(shape: str) -> None:
    text = redact.redact(f"before\n{SHAPES[shape]}\nafter")
    assert secrets_in(text) == []
    assert text.startswith("before\n")
    assert text.endswith("\nafter")
    assert MASK in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("SECRET_KEY=abc is known to all", f"SECRET_KEY={MASK} is known to all"),
        ("token=abc in backend/app2.py", f"token={MASK} in backend/app2.py"),
        ("password=abc user=anna1234", f"password={MASK} user=anna1234"),
        ("password=abc host1234567=b", f"password={MASK} host1234567=b"),
        ('f(token="abc", n=2)', f'f(token="{MASK}", n=2)'),
        ("password = 'abc' or 'def'", f"password = '{MASK}' or 'def'"),
        ("--password=abc service1 start", f"--password={MASK} service1 start"),
    ],
)
def test_what_stands_behind_a_secret_is_shown(text: str, shown: str) -> None:
    assert redact.redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "redis:7@sha256:0a1b2c",
        "https://git@github.com/a/b",
        "https://h/a?key=users&passage=2&page=3",
        "PWD=/home/anna",
        "options: '--password', then a word",
        "['--password', '--port', '80']",
        "ASIAN and AKIA",
        "r.example:5000/app:1@sha256:0a1b2c",
        "git+ssh://git@github.com:22/a/b",
        "git@github.com:a/b.git",
        "npm:string-width@4.2.0",
        "backend/app.py:12:3: anna@example.org",
        "http://localhost:3000, http://localhost:5173",
        'connect("http://h:80","anna@example.org")',
        "at 12:30 by anna@example.org/x",
    ],
)
def test_what_only_looks_like_a_login_is_shown(text: str) -> None:
    assert redact.redact(text) == text


ALL = "\n".join((*PLACES.values(), *SHAPES.values()))


def test_no_format_shows_a_secret_of_any_place(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def finds(env: EnvFile) -> object:  # noqa: ARG001
        for text in (ALL, *PLACES.values()):
            more = {"also": text}
            place = Place(text, 1)
            yield Finding(text, text, text, text, text, place, next_step=text, more=more)
        yield Undecided(ALL)

    def dies(env: EnvFile) -> None:  # noqa: ARG001
        raise ValueError(ALL)

    for code, function in (("CFG902", dies), ("CFG903", finds)):
        changed = replace(rules.checks()[code], function=function)
        monkeypatch.setitem(rules.checks(), code, changed)
    summary = platform.root / "summary"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    for ignored in ({}, {"CFG903": f"for now: {ALL}"}):
        report = runner.run(platform, Selection(("CFG902", "CFG903"), ignored))
        assert len(report.findings) == (0 if ignored else len(PLACES) + 1)
        for form in FORMATS:
            write_reports(report, [Output(form)], verbose=True)
            text = capsys.readouterr().out
            assert "CFG90" in text or (ignored and form == "gitlab")
            assert secrets_in(text) == [], form
    assert secrets_in(summary.read_text()) == []
    accepted = baseline.Baseline(platform.root / "accepted.json")
    baseline.write(runner.run(platform, Selection(("CFG903",))), platform, accepted)
    assert "CFG903" in accepted.file.read_text()
    assert secrets_in(accepted.file.read_text()) == []


@pytest.mark.usefixtures("platform")
def test_nothing_that_is_said_or_asked_shows_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y"))
    say(ALL)
    ask(ALL, "yn")
    written = capsys.readouterr()
    assert MASK in written.out
    assert MASK in written.err
    assert secrets_in(written.out + written.err) == []
    assert secrets_in(unified_diff("a", ALL.encode(), ALL.upper().encode())) == []


PEM = [
    "-----BEGIN RSA PRIVATE KEY-----",
    "Proc-Type: 4,ENCRYPTED",
    "",
    *(f"planted{n}ADANBgkqhkiG9w0BAQEFAASC" for n in range(30)),
    "plaQ==",
    "-----END RSA PRIVATE KEY-----",
]


def test_a_change_shows_no_line_of_a_secret_that_begins_outside_of_what_is_shown() -> None:
    redact.know(["one-long-line-9a\nword-9b\ntwo words"])
    kept = ["A=1", "JWT_KEY='", *PEM, "'", "URL=x", 'B="one-long-line-9a', "word-9b", 'two words"']
    old = "\n".join((*kept, *"cdefgh"))
    diff = unified_diff(".env", old.encode(), old.replace("URL=x", "URL=y").encode())
    assert secrets_in(diff) == []
    assert "9a" not in diff
    assert "9b" not in diff
    assert diff.splitlines()[2:] == [
        "@@ -36,7 +36,7 @@", f" {MASK}", f" {MASK}", " '", "-URL=x", "+URL=y",
        f' B="{MASK}', f" {MASK}", f' {MASK}"',
    ]  # fmt: skip


def test_a_changed_secret_is_still_a_change() -> None:
    diff = unified_diff("a", b"SECRET_KEY=planted-1\n", b"SECRET_KEY=planted-2\n")
    assert diff.splitlines()[3:] == [f"-SECRET_KEY={MASK}", f"+SECRET_KEY={MASK}"]


def test_the_lines_of_a_log_show_no_line_of_a_private_key(
    capsys: pytest.CaptureFixture[str],
) -> None:
    printer = _Printer(3)
    for n, text in enumerate([*PEM, "started in 3 s"]):
        for line in (("a", text), ("b", f"2026-01-01 INFO {text}"), ("c", "a plain line")):
            printer.show(LogLine(*line))
        if n == 4:
            printer.show(LogLine("a", "GET /users 200"))
    shown = capsys.readouterr().out
    assert secrets_in(shown) == []
    assert "plaQ" not in shown
    assert "END" not in shown
    assert shown.count("c   | a plain line\n") == len(PEM) + 1
    assert "a   | GET /users 200\n" in shown
    assert shown.endswith(
        "a   | started in 3 s\nb   | 2026-01-01 INFO started in 3 s\nc   | a plain line\n"
    )


def test_a_line_of_a_key_is_known_without_the_lines_before_it() -> None:
    assert redact.redact("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC" * 2) == MASK
    for digest in ("9f86d081" * 8, "9F86D081" * 8, "/some/Folder9/of/a/path" * 2, "A9b" * 30):
        assert redact.redact(digest) == digest


def test_no_title_in_the_journal_shows_one(platform: Platform) -> None:
    kept = journal.Journal.begin(platform)
    kept.write("begin", number=1, kind="EditFile", title=f"edit {ALL}", before={})
    kept.close()
    file = kept.folder / journal.FILE
    assert "edit " in file.read_text()
    assert secrets_in(file.read_text()) == []
    if os.name != "nt":
        assert (kept.folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)


OWN_FAULT = """
import sys, threading
from saas_doctor import runner
from saas_doctor.cli import main
def dies(*_, **__):
    def deeper(password):
        raise KeyError(f"{text}: password={password}")
    if "-v" in sys.argv:
        thread = threading.Thread(target=deeper, args=("planted-1",))
        thread.start()
        thread.join()
    deeper("planted-2")
text = sys.argv.pop(1)
runner.run = dies
main()
"""


@pytest.fixture
def doctor(platform: Platform) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *(argv if argv[0] == "-c" else ("-m", "saas_doctor", *argv))],
            cwd=platform.root,
            env={**platform.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    return run


Doctor = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize("option", ["--static", "-v"])
def test_the_doctors_own_fault_is_one_sentence_without_a_secret(
    doctor: Doctor, option: str
) -> None:
    done = doctor("-c", OWN_FAULT, "\n".join(PLACES.values()), "check", option)
    assert done.returncode == 3
    last = done.stderr.splitlines()[-1]
    assert "please report this" in last
    assert "Traceback" not in done.stderr
    assert "deeper < <string>" in last
    assert secrets_in(done.stdout + done.stderr) == []


@pytest.mark.timeout(400)
def test_no_command_shows_one_and_undo_restores_the_bytes(
    platform: Platform, doctor: Doctor
) -> None:
    file = platform.root / "backend/.env"
    before = file.read_bytes()
    select = ("--timeout", "60", "--select", "CFG903")
    said = {}
    for argv, code in (
        (("check", *select), 1),
        (("fix", "--dry-run", *select), 1),
        (("fix", "--diff", *select), 1),
        (("fix", "--yes", *select), 0),
        (("history",), 0),
        (("undo", "--dry-run"), 0),
        (("config",), 0),
        (("explain", "SECRET_KEY=dotenv-9Kq"), 2),
        (("check", "--select", "dotenv-9Kq"), 2),
    ):
        done = doctor(*argv)
        assert done.returncode == code, done.stdout + done.stderr
        said[argv] = done.stdout + done.stderr
    assert file.read_bytes() != before
    # Former bytes lie in a folder and in files that nobody else can read; all else shows nothing.
    state = platform.root / ".saas-doctor"
    for path in state.rglob("*"):
        if path.is_file() and path.parent.name != "kept":
            said[(str(path),)] = path.read_text()
        elif path.is_file() and os.name != "nt":
            assert path.stat().st_mode & 0o077 == 0
    undone = doctor("undo")
    assert undone.returncode == 0, undone.stderr
    assert file.read_bytes() == before
    said[("undo",)] = undone.stdout + undone.stderr
    shown = {argv: secrets_in(text) for argv, text in said.items()}
    assert {argv: found for argv, found in shown.items() if found} == {}
    assert MASK in said[("fix", "--diff", *select)]


def test_the_project_that_is_printed_shows_none_in_a_list_either(
    platform: Platform, doctor: Doctor
) -> None:
    (platform.root / "docker-compose.yml").write_text(
        "services:\n  a:\n    image: i\n    command: [redis-server, --requirepass, planted-31,"
        " postgresql://u:planted-32@h/d, compose-9env, ghp_planted0000000000000000]\n"
        "    environment: {SHOP_SECRET: compose-9env, TYPEFORM_TOKEN: planted-33, MODE: dev}\n"
    )
    done = doctor("config")
    assert done.returncode == 0, done.stderr
    assert secrets_in(done.stdout) == []
    service = json.loads(done.stdout)["services"]["a"]
    assert service["command"] == [
        "redis-server", "--requirepass", MASK, f"postgresql://u:{MASK}@h/d", MASK, MASK
    ]  # fmt: skip
    assert service["environment"]["MODE"] == "dev"
    shown = doctor("config", "--show-secrets").stdout
    assert "planted-31" in shown
    assert "planted-33" in shown


@pytest.mark.parametrize(
    "key", ["TYPEFORM_TOKEN", "NAMECHEAP_API_KEY", "PROFILE_SECRET", "FILE_PASSWORD", "tokenTyped"]
)
def test_a_word_of_another_word_does_not_make_a_secret_less_of_one(key: str) -> None:
    assert redact.holds_secret(key)
    assert redact.redact_tree({key: "planted"}) == {key: MASK}


@pytest.mark.parametrize(
    "key",
    [
        "TOKEN_TYPE",
        "tokenType",
        "SECRET_NAME",
        "PASSWORD_FILE",
        "PASSWORDFILE",
        "accessTokenExpires",
    ],
)
def test_a_word_behind_the_secrets_says_that_only_something_of_it_is_told(key: str) -> None:
    assert not redact.holds_secret(key)
    assert redact.redact_tree({key: "bearer"}) == {key: "bearer"}


# What is masked by its value.


@pytest.mark.parametrize(
    "value",
    ["postgres", "true", "admin", "12345", "5432", "changeme", "x9!", "Database", "${OTHER_1}"],
)
def test_a_plain_word_or_number_is_masked_under_its_key_only(value: str) -> None:
    redact.know([value])
    assert redact.redact(f"the {value} at {value}:1") == f"the {value} at {value}:1"
    assert redact.redact(f"DB_PASSWORD={value}") == f"DB_PASSWORD={MASK}"


@pytest.mark.parametrize(
    "value", ["saas_password", "hunter2", "aB3$xy", "correcthorsebattery", "8" * 12]
)
def test_any_other_value_is_masked_in_the_middle_of_a_word_too(value: str) -> None:
    redact.know([value])
    assert redact.redact(f"x{value}y") == f"x{MASK}y"


def test_a_password_that_is_also_a_name_does_not_hide_the_name(tmp_path: Path) -> None:
    text = "POSTGRES_USER=saas_user\nPOSTGRES_PASSWORD=saas_user\nPOSTGRES_DB=saas_db\nDB_PASSWORD=saas_db\n"
    platform = written(tmp_path, {"backend/.env": text})
    assert redact.redact('role "saas_user" of saas_db') == 'role "saas_user" of saas_db'
    found = list(secrets_of(platform.root, platform.config, {"HOME": str(tmp_path)}))
    assert found == []


def test_keys_that_only_tell_of_a_secret_have_none(tmp_path: Path) -> None:
    text = "ACCESS_TOKEN_EXPIRE_MINUTES=1152011520115\nTOKEN_URL=/api/v1/login\nPASSWORD_FILE=/run/s-1\n"
    written(tmp_path, {"backend/.env": text})
    assert (
        redact.redact("/api/v1/login /run/s-1 1152011520115")
        == "/api/v1/login /run/s-1 1152011520115"
    )


@pytest.mark.parametrize(
    "written", ["a b@c'\"9", "a%20b%40c%27%229", "a+b%40c%27%229", "a b@c'\\\"9", "a b@c\\'\"9"]
)
def test_a_secret_is_masked_as_addresses_json_and_python_write_it(written: str) -> None:
    redact.know(["a b@c'\"9"])
    assert redact.redact(f"<{written}>") == f"<{MASK}>"


def test_a_login_is_masked_as_http_sends_it(tmp_path: Path) -> None:
    written(tmp_path, {"backend/.env": "URL=amqp://me:p%40ss-9@mq\n"})
    assert redact.redact(b64encode(b"me:p@ss-9").decode()) == MASK


def test_a_secret_in_another_ones_beginning_is_masked_whole() -> None:
    redact.know(["key-0001", "key-0001-more"])
    assert redact.redact("key-0001-more key-0001") == f"{MASK} {MASK}"


# It fails closed.


def test_where_secrets_cannot_be_told_nothing_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    redact.know(str(1 / 0) for _ in "x")
    say("SECRET dotenv-9Kq")
    assert capsys.readouterr().out == f"{WITHHELD}\n"
    redact.forget()
    monkeypatch.setattr(redact, "_masked", lambda _: 1 / 0)
    assert redact.redact("dotenv-9Kq") == WITHHELD


@pytest.mark.parametrize(
    "text",
    [
        "password",
        "a.",
        "token=",
        "token: ",
        'token="',
        "://",
        "a://b:",
        '{"password":"\\',
        "eyJ-",
        "PASSWORD '",
    ],
)
def test_no_text_keeps_it_at_work(text: str) -> None:
    redact.know([f"secret-{n}" for n in range(100)])
    began = time.process_time()
    redact.redact(text * 20_000 + "://")
    assert time.process_time() - began < 2
