"""The .env file: read as python-dotenv reads it, edited so that all other bytes stay."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import given
from hypothesis import strategies as st

from saas_doctor.config import Config
from saas_doctor.facts.dotenv import Dotenv, parse_dotenv, read_dotenv
from saas_doctor.model import Unreadable
from saas_doctor.platform import Platform


def parse(data: bytes) -> Dotenv:
    return parse_dotenv(Path("x/.env"), ".env", data, data.decode("utf-8-sig"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"A=1\nB=2\n", b"A=new\nB=2\n"),
        (b"export A=1 # why\n", b"export A=new # why\n"),
        (b"A='1'\r\nB=2\r\n", b"A=new\r\nB=2\r\n"),
        (b'A = "one two"  # why\n', b"A = new  # why\n"),
        (b"\xef\xbb\xbfA=1\n", b"\xef\xbb\xbfA=new\n"),
        (b"A=1\nA=2\n", b"A=1\nA=new\n"),
        (b"A=\nB=2\n", b"A=new\nB=2\n"),
        (b"A\nB=2\n", b"A=new\nB=2\n"),
        (b"# \xe4\xbd\xa0\xe5\xa5\xbd\nA=1\n", b"# \xe4\xbd\xa0\xe5\xa5\xbd\nA=new\n"),
        (b"B=2", b"B=2\nA=new\n"),
        (b"B=2\r\n", b"B=2\r\nA=new\r\n"),
        (b"", b"A=new\n"),
    ],
)
def test_setting_a_key_changes_its_value_and_nothing_else(before: bytes, after: bytes) -> None:
    assert parse(before).set("A", "new").result == after


def test_lines_that_python_dotenv_leaves_out_are_named_with_their_line() -> None:
    file = parse(b"A=1\n\nB='open\nC=3\n")
    assert [(place.line, text.splitlines()[0]) for place, text in file.bad] == [(3, "B='open")]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"A=1\r\nB=caf\xe9\n", ".env:2:6: not UTF-8 text (byte 0xe9)"),
        (b"\xef\xbb\xbf# \xc3\xa4\nB=\xff", ".env:2:3: not UTF-8 text (byte 0xff)"),
        ("A=1\n".encode("utf-16"), ".env: it is UTF-16, not UTF-8"),
    ],
)
def test_what_is_not_utf8_is_told_with_its_place(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / ".env").write_bytes(data)
    with pytest.raises(Unreadable) as error:
        read_dotenv(tmp_path / ".env", Platform(tmp_path, Config()))
    assert str(error.value).startswith(said)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_line_after_one_that_can_not_be_read_has_its_own_number(end: str) -> None:
    file = parse(end.join(["A=1", "\0export B", "C=3", ""]).encode())
    assert [place.line for place, _ in file.bad] == [2]
    assert [(s.key, s.place.line) for s in file.settings] == [("A", 1), ("C", 3)]


def test_values_are_interpolated_as_the_services_see_them() -> None:
    assert parse(b"HOST=db\nURL=postgresql://$HOST\nREAL=x://${HOST}/y\n").get("REAL") == "x://db/y"


words = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["C"]), max_size=20)


@given(value=words, other=words)
def test_what_was_set_is_what_python_dotenv_reads(value: str, other: str) -> None:
    file = parse(f"# {other}\nA=1 # note\nB=2\n".encode())
    text = file.set("A", value).result.decode()
    read = dotenv_values(stream=io.StringIO(text, newline=""), interpolate=False)
    assert (read["A"], read["B"]) == (value, "2")


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_fail_and_offsets_hold_what_they_say(data: bytes) -> None:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return
    file = parse_dotenv(Path("x"), "x", data, text)
    for setting in file.settings:
        assert 0 <= setting.start <= setting.end <= len(data)
