"""Why a service fails, as the end of its log tells."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from saas_doctor import platform as platforms
from saas_doctor.facts.containers import Containers
from saas_doctor.facts.logs import Logs, Tail, log_name, tail_of
from saas_doctor.reasons import Reason, reason
from saas_doctor.symptoms import pointed_to

TRACEBACK = """Traceback (most recent call last):
  File "/srv/backend/core/run.py", line 9, in <module>
    from core.main import app
ModuleNotFoundError: No module named '{}'
"""
STARTED = "INFO:     Started server process [7]\n"
FINISHED = "INFO:     Finished server process [7]\n"
BIND = (
    STARTED + "INFO:     Application startup complete.\n"
    "ERROR:    [Errno 98] error while attempting to bind on address ('127.0.0.1', 8002): "
    "address already in use\nINFO:     Waiting for application shutdown.\n"
    "INFO:     Application shutdown complete.\n"
)
CHAIN = """psycopg2.OperationalError: connection to server at "127.0.0.1", port 5432 failed: Connection refused
\tIs the server running on that host and accepting TCP/IP connections?


The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "x.py", line 1, in <module>
sqlalchemy.exc.OperationalError: (psycopg2.OperationalError) connection to server at "127.0.0.1", port 5432 failed: Connection refused
\tIs the server running on that host and accepting TCP/IP connections?

(Background on this error at: https://sqlalche.me/e/20/e3q8)
ERROR:    Application startup failed. Exiting.
"""


def tail(text: str) -> Tail:
    return Tail("logs/core.log", tuple(text.splitlines()))


def written(folder: Path, text: str) -> Tail:
    (folder / "core.log").write_text(text)
    found = tail_of(folder / "core.log", "core.log")
    assert found
    return found


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (TRACEBACK.format("jose"), "ModuleNotFoundError: No module named 'jose'"),
        (STARTED + FINISHED + TRACEBACK.format("jose"), "ModuleNotFoundError: No module named 'jose'"),
        (TRACEBACK.format("jose") + STARTED, ""),
        (TRACEBACK.format("jose") + STARTED + FINISHED, ""),
        (BIND, "ERROR:    [Errno 98] error while"),
        (STARTED + CHAIN, "sqlalchemy.exc.OperationalError: (psycopg2.OperationalError) connection"),
        (STARTED + "asyncio.exceptions.CancelledError\nKeyboardInterrupt\n", ""),
        (STARTED + 'INFO:     127.0.0.1:5 - "GET /error HTTP/1.1" 200 OK\n', ""),
        ("WARNING: no cache for 5 s: Error 111 connecting to 127.0.0.1:6379.\n", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_the_last_error_of_the_last_run_is_found(text: str, error: str) -> None:
    found = tail(text).error
    assert found.startswith(" ".join(error.split()))
    assert bool(found) == bool(error)


def test_the_lines_after_an_error_that_are_indented_belong_to_it() -> None:
    assert tail(CHAIN).error.endswith("accepting TCP/IP connections?")


def test_times_and_colours_before_a_line_are_left_out(tmp_path: Path) -> None:
    lines = "2026-11-30 10:11:12,345 ERROR uvicorn.error: \x1b[31m[Errno 98] in use\x1b[0m\n"
    assert written(tmp_path, lines).error == "ERROR uvicorn.error: [Errno 98] in use"


def test_of_a_log_of_two_gigabytes_only_the_end_is_read(tmp_path: Path) -> None:
    log = tmp_path / "core.log"
    with log.open("wb") as file:
        file.truncate(2 * 1024**3)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + TRACEBACK.format("jose").encode())
    began = time.monotonic()
    found = tail_of(log, "core.log")
    assert time.monotonic() - began < 0.5
    assert found
    assert found.error == "ModuleNotFoundError: No module named 'jose'"


def test_a_log_of_one_endless_line_and_bytes_of_no_text_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"\xff\xfe" * 200_000)
    found = tail_of(tmp_path / "a.log", "a.log")
    assert found
    assert found.error == ""


def test_a_pipe_or_a_folder_in_place_of_a_log_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.log")
    (tmp_path / "folder.log").mkdir()
    assert tail_of(tmp_path / "pipe.log", "") is None
    assert tail_of(tmp_path / "folder.log", "") is None
    assert tail_of(tmp_path / "missing.log", "") is None


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("logs/{service}.log", "logs/core.log"),
        ("var/log", "var/log/core.log"),
        ("/var/log/{service}/out.txt", "/var/log/core/out.txt"),
    ],
)
def test_the_configuration_says_where_logs_are(tmp_path: Path, pattern: str, name: str) -> None:
    (tmp_path / "saas-doctor.toml").write_text(f'logs = "{pattern}"\n')
    assert log_name(platforms.load(tmp_path, exact=True, environ={}), "core") == name


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("ModuleNotFoundError: No module named 'jose'", "PKG301"),
        ("ModuleNotFoundError: No module named 'shared'", "SRC203"),
        ("ModuleNotFoundError: No module named 'encodings'", "PY108"),
        ("ERROR: [Errno 98] error while attempting to bind on address ('127.0.0.1', 8000): address already in use", "NET401"),
        ("sqlalchemy.exc.OperationalError: (x) connection to server at \"::1\", port 5432 failed: Connection refused", "DB501"),
        ("redis.exceptions.ConnectionError: Error 111 connecting to redis:6379. Connection refused.", "RED501"),
        ("httpx.ConnectError: [Errno -2] Name or service not known", "NET408"),
        ("sqlalchemy.exc.InvalidRequestError: Attribute name 'metadata' is reserved when", "SRC204"),
        ('FATAL:  password authentication failed for user "saas_user"', "DB503"),
        ("all is well", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_an_errors_text_points_to_the_check_that_knows_most_of_it(text: str, code: str) -> None:
    assert pointed_to(text, own=("shared", "core")) == code


def test_a_code_can_be_left_out() -> None:
    assert pointed_to("500 Internal Server Error") == "SVC702"
    assert pointed_to("500 Internal Server Error", besides=("SVC702",)) == ""


def of(found: Tail | None) -> Reason | None:
    logs = cast(Logs, SimpleNamespace(of=lambda _: found, own=frozenset({"shared"})))
    return reason(logs, "core")


def test_the_reason_names_the_code_and_what_to_see_first() -> None:
    why = of(tail(TRACEBACK.format("jose")))
    assert why
    assert why.words == ": its log says ModuleNotFoundError: No module named 'jose' (PKG301)"
    assert why.before("start it") == "see PKG301 (saas-doctor explain PKG301), then start it"


def test_what_is_older_than_a_day_or_holds_a_secret_is_not_shown() -> None:
    lines = tuple(TRACEBACK.format("jose").splitlines())
    assert of(Tail("logs/core.log", lines, written=time.time() - 2 * 24 * 3600)) is None
    secret = of(tail("ValueError: postgresql://user:topsecret@host/db\n"))
    assert secret
    assert "topsecret" not in secret.words
    assert of(None) is None
    assert of(tail("INFO: fine\n")) is None


def test_a_platform_without_logs_has_none(tmp_path: Path) -> None:
    platform = platforms.load(tmp_path, exact=True, environ={})
    logs = Logs.read(platform, Containers(platform))
    assert logs.of("core") is None
