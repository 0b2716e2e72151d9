"""Requirement files: read as pip reads them, edited so that all other bytes stay."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas_doctor.config import Config
from saas_doctor.facts.requirements import Requirements
from saas_doctor.model import Absent
from saas_doctor.platform import Platform


def read(folder: Path, data: bytes, **others: bytes) -> Requirements:
    (folder / "requirements.txt").write_bytes(data)
    for name, content in others.items():
        (folder / f"{name}.txt").write_bytes(content)
    return Requirements.read(
        Platform(folder, Config(requirements=("requirements.txt",)), environ={})
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"bcrypt==5.0.0\n", b"bcrypt<5\n"),
        (b"bcrypt\n", b"bcrypt<5\n"),
        (b"  bcrypt >= 4, <6  # hash \n", b"  bcrypt<5  # hash \n"),
        (
            b"Bcrypt[typecheck]==5.0.0 ; python_version > '3.8'\n",
            b"Bcrypt[typecheck]<5 ; python_version > '3.8'\n",
        ),
        (b"a==1\r\nbcrypt==5.0.0\r\n", b"a==1\r\nbcrypt<5\r\n"),
        (b"a==1", b"a==1\nbcrypt<5\n"),
        (b"\xef\xbb\xbfbcrypt==5.0.0\n", b"\xef\xbb\xbfbcrypt<5\n"),
        (
            b"# \xe4\xbd\xa0\nbcrypt==5.0.0 # \xe4\xbd\xa0\n",
            b"# \xe4\xbd\xa0\nbcrypt<5 # \xe4\xbd\xa0\n",
        ),
    ],
)
def test_pinning_changes_the_versions_and_nothing_else(
    tmp_path: Path, before: bytes, after: bytes
) -> None:
    assert read(tmp_path, before).pin("bcrypt", "<5").result == after


def test_included_files_are_read_and_keep_their_own_places(tmp_path: Path) -> None:
    found = read(tmp_path, b"-r more.txt\nfastapi\n", more=b"# c\nuvicorn[standard]>=0.30\n")
    assert [(line.name, str(line.place)) for line in found.lines] == [
        ("fastapi", "requirements.txt:2"),
        ("uvicorn", "more.txt:2"),
    ]


def test_files_that_include_each_other_end(tmp_path: Path) -> None:
    found = read(tmp_path, b"-r more.txt\na\n", more=b"-r requirements.txt\nb\n")
    assert [line.name for line in found.lines] == ["a", "b"]


def test_options_addresses_and_comments_are_no_requirements(tmp_path: Path) -> None:
    data = b"--index-url https://x.invalid/simple\n-e .\n./wheel.whl\n# bcrypt==5\na==1 \\\n  --hash=sha256:00\n"
    assert [line.name for line in read(tmp_path, data).lines] == ["a"]


def test_a_line_that_is_no_requirement_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, b"fast api==1\nuvicorn\n")
    assert [place.line for place, _ in found.bad] == [1]
    assert [line.name for line in found.lines] == ["uvicorn"]


def test_without_a_file_there_are_no_requirements_and_nothing_to_add_to(tmp_path: Path) -> None:
    found = Requirements.read(Platform(tmp_path, Config(requirements=("none.txt",)), environ={}))
    assert found.lines == ()
    with pytest.raises(Absent, match=r"no requirements file"):
        found.pin("bcrypt", "<5")


@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_fail(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp()
    for line in read(folder, data).lines:
        assert line.requirement.name.encode() in data[line.start : line.end]
