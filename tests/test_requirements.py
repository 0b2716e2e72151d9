"""Requirement files: read as pip reads them, edited so that all other bytes stay."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saas_doctor.actions import Conflict
from saas_doctor.config import Config
from saas_doctor.edits import apply_edits
from saas_doctor.facts import pyproject
from saas_doctor.facts.requirements import Requirements
from saas_doctor.model import Absent
from saas_doctor.platform import Platform

EXAMPLES = int(os.environ.get("SD_EXAMPLES", "200"))


def read(folder: Path, data: bytes, **others: bytes) -> Requirements:
    (folder / "requirements.txt").write_bytes(data)
    for name, content in others.items():
        (folder / f"{name}.txt").write_bytes(content)
    config = Config(requirements=("requirements.txt",))
    return Requirements.read(Platform(folder, config, environ={"VERSION": "1.5"}))


def project(folder: Path, data: bytes) -> Requirements:
    (folder / "pyproject.toml").write_bytes(data)
    config = Config(requirements=("pyproject.toml",))
    return Requirements.read(Platform(folder, config, environ={}))


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
    ((place, why),) = found.bad
    assert place.line == 1
    assert why.startswith("'fast api==1': ")
    assert found.partial == ""
    assert [line.name for line in found.lines] == ["uvicorn"]


def test_without_a_file_there_are_no_requirements_and_nothing_to_add_to(tmp_path: Path) -> None:
    found = Requirements.read(Platform(tmp_path, Config(requirements=("none.txt",)), environ={}))
    assert found.lines == ()
    with pytest.raises(Absent, match=r"no requirements file"):
        found.pin("bcrypt", "<5")


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_fail(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp()
    for line in read(folder, data).lines:
        assert line.requirement.name.encode() in data[line.start : line.end]


def asked(found: Requirements) -> list[str]:
    return [str(line.requirement) for line in found.lines]


def test_a_constraint_only_constrains(tmp_path: Path) -> None:
    found = read(tmp_path, b"-c limits.txt\nredis>=5\n", limits=b"redis<6\ncelery<5\n")
    assert asked(found) == ["redis>=5"]
    (line,) = found.lines
    assert str(found.allowed(line)) == "<6,>=5"


def test_a_requirement_file_that_a_constraint_file_names_asks_for_packages(tmp_path: Path) -> None:
    found = read(tmp_path, b"--constraint=limits.txt\n", limits=b"-r more.txt\n", more=b"redis\n")
    assert asked(found) == ["redis"]


def test_a_file_that_is_not_there_is_told_at_the_line_that_names_it(tmp_path: Path) -> None:
    found = read(tmp_path, b"fastapi\n-r none.txt\n")
    assert [(str(place), why) for place, why in found.bad] == [
        ("requirements.txt:2", "none.txt is not there")
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"a==1  # b\\\nc\n", ["a==1"]),  # a comment runs over the joined line
        (b"# a \\\nb==2\n", ["b==2"]),  # but a line of comment is not joined
        (b"a \\\n  >=1, \\\r\n  <2\n", ["a<2,>=1"]),
        (b"a==${VERSION}\n", ["a==1.5"]),
        (b"a @ https://x.invalid/a.whl#sha256=0\n", ["a @ https://x.invalid/a.whl#sha256=0"]),
        (b"git+https://x.invalid/a#egg=a\n./a\n../a[x]\na.whl\nfile:///a\nC:\\a\nx/y\n", []),
        (b"a==1 --hash=sha256:0 --config-settings x=y\n", ["a==1"]),
        (b"-i https://x.invalid\n--no-binary=:all:\n-f wheels\na\n", ["a"]),
        ("a==1\nb==2\n".encode("utf-16"), ["a==1", "b==2"]),
        (b"\xef\xbb\xbf# a\nb==2\n", ["b==2"]),
        (b"\xef\xbb\xbf-r ./\\\nrequirements.txt\nb==2\n", ["b==2"]),
        (b"fast\\\napi==1.\\\r\n0\n", ["fastapi==1.0"]),
        (b"a==${VER\\\nSION}\n", ["a==1.5"]),
        (b"a==1 \\", ["a==1"]),
        ("a\fb\u2028c\x0bd\n".encode(), ["a", "b", "c", "d"]),
        ("a==1\u00a0# c\n".encode(), ["a==1"]),
        (b"a==1;\nb ; \n", ["a==1", "b"]),
        (b"a -\n- b\n-\n", ["a"]),
        (b"git+https://x.invalid/a @ b\n", []),
        (b"# \xe9 in another encoding\na==1\n", ["a==1"]),
    ],
)
def test_lines_are_read_as_pip_reads_them(tmp_path: Path, line: bytes, expected: list[str]) -> None:
    found = read(tmp_path, line)
    assert asked(found) == expected
    assert found.bad == ()


def test_a_line_with_a_variable_of_another_shell_is_not_told(tmp_path: Path) -> None:
    found = read(tmp_path, b"a\nb==${NOT_SET_HERE}\n")
    assert found.bad == ()
    assert found.partial == "requirements.txt:2: ${NOT_SET_HERE} is not set in this shell"


def test_a_word_that_stands_on_two_lines_is_not_edited(tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="two lines"):
        read(tmp_path, b"bcr\\\nypt==5\n").pin("bcrypt", "<5")


def test_places_behind_odd_ends_of_lines_are_those_of_an_editor(tmp_path: Path) -> None:
    data = b"\xef\xbb\xbfa\fb\r\n\xc3\xa4 \r\nbcrypt==5\n"
    found = read(tmp_path, data)
    assert str(found.place("bcrypt")) == "requirements.txt:3"
    assert found.pin("bcrypt", "<5").result == data.replace(b"==5", b"<5")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"bcrypt==${VERSION}\n", "variables"),
        ("bcrypt==5\n".encode("utf-16"), "UTF-16"),
        (b"bcrypt @ https://x.invalid/b.whl\n", "address"),
        (b"bcrypt==5 --hash=sha256:00\n", "hash"),
        (b"passlib==1.7.4 --hash=sha256:00\n", "hash"),
        (
            b"#\n# This file is autogenerated by pip-compile with Python 3.11\n"
            b"# by the following command:\n#\n#    pip-compile requirements.in\n#\nbcrypt==5\n",
            r"\(pip-compile requirements.in\)",
        ),
        (
            b"# This file was autogenerated by uv via the following command:\n"
            b"#    uv pip compile requirements.in -o requirements.txt\nbcrypt==5\n",
            r"\(uv pip compile requirements.in",
        ),
    ],
)
def test_what_can_not_be_edited_in_its_place_waits_with_the_reason(
    tmp_path: Path, data: bytes, reason: str
) -> None:
    with pytest.raises(Conflict, match=reason):
        read(tmp_path, data).pin("bcrypt", "<5")


def test_a_folder_that_is_installed_brings_its_own_requirements(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/pyproject.toml").write_text(
        '[project]\nname = "lib"\ndependencies = ["redis"]\n'
        '[project.optional-dependencies]\nmail = ["email-validator"]\ntest = ["pytest"]\n'
    )
    found = read(tmp_path, b"-e ./lib[mail]\n")
    assert asked(found) == ["redis", "email-validator"]
    assert [line.name for line in found.optional] == ["pytest"]


STANDARD = b"""\
[project]
name = "p"
dependencies = [
    "fastapi>=0.115", # "not": this
    'bcrypt[x] == 5 ; python_version > "3"',
]
optional-dependencies.dev = ["pytest"]

[dependency-groups]
lint = ["ruff", {include-group = "dev"}]

[tool.uv]
dev-dependencies = ["mypy"]
"""
POETRY = b"""\
[tool.poetry]
name = "p"

[tool.poetry.dependencies]
python = "^3.11"
fastapi = {version = "^0.115", extras = ["standard"]}
Bcrypt = "^5.0"  # newest
here = {path = "../here"}
either = "^1 || ^3"
mail = {version = "*", optional = true}
two = [{version = "1.*", python = "<3.12"}, {version = "~2.4", python = ">=3.12"}]

[tool.poetry.dependencies.sub]
version = "1.2"

[tool.poetry.group.dev.dependencies]
pytest = "^8"
"""


def test_a_project_file_is_read_as_requirements_with_their_lines(tmp_path: Path) -> None:
    found = project(tmp_path, STANDARD)
    assert [(line.name, line.place.line) for line in found.lines] == [("fastapi", 4), ("bcrypt", 5)]
    assert [(line.name, line.group, line.place.line) for line in found.optional] == [
        ("pytest", "extra dev", 7),
        ("ruff", "group lint", 10),
        ("mypy", "group dev", 13),
    ]


def test_poetry_s_table_is_read_as_requirements_with_their_lines(tmp_path: Path) -> None:
    found = project(tmp_path, POETRY)
    assert [(str(line.requirement), line.place.line) for line in found.lines] == [
        ("fastapi[standard]<0.116,>=0.115", 6),
        ("Bcrypt<6,>=5.0", 7),
        ("here", None),
        ("either", 9),
        ('two==1.*; python_full_version < "3.12"', 11),
        ('two<2.5,>=2.4; python_full_version >= "3.12"', 11),
        ("sub==1.2", 14),
    ]
    assert [line.name for line in found.optional] == ["mail", "pytest"]


def test_a_dynamic_project_names_its_requirement_files(tmp_path: Path) -> None:
    (tmp_path / "base.txt").write_bytes(b"redis\n")
    data = b'[project]\nname = "p"\ndynamic = ["dependencies"]\n[tool.setuptools.dynamic]\ndependencies = {file = ["base.txt"]}\n'
    assert asked(project(tmp_path, data)) == ["redis"]


def test_a_project_file_that_is_no_toml_is_not_all_read(tmp_path: Path) -> None:
    found = project(tmp_path, b"[project\n")
    assert found.lines == ()
    assert found.partial.startswith("pyproject.toml: ")


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (STANDARD, STANDARD.replace(b"[x] == 5 ;", b"[x]<5 ;")),
        (POETRY, POETRY.replace(b'Bcrypt = "^5.0"', b'Bcrypt = "<5"')),
        (
            STANDARD.replace(b"\n", b"\r\n"),
            STANDARD.replace(b"[x] == 5 ;", b"[x]<5 ;").replace(b"\n", b"\r\n"),
        ),
    ],
)
def test_pinning_in_a_project_file_changes_the_versions_and_nothing_else(
    tmp_path: Path, before: bytes, expected: bytes
) -> None:
    assert project(tmp_path, before).pin("bcrypt", "<5").result == expected


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (b'[project]\ndependencies = ["a"]\n', b'[project]\ndependencies = ["a", "x<5"]\n'),
        (
            b'[project]\ndependencies = [\n  "a"  # one\n]\n',
            b'[project]\ndependencies = [\n  "a",  # one\n  "x<5",\n]\n',
        ),
        (
            b"[project]\r\ndependencies = [\r\n\t'a', # one\r\n]\r\n",
            b"[project]\r\ndependencies = [\r\n\t'a', # one\r\n\t'x<5',\r\n]\r\n",
        ),
        (POETRY, POETRY.replace(b'either = "^1 || ^3"\n', b'either = "^1 || ^3"\nx = "<5"\n')),
    ],
)
def test_adding_to_a_project_file_takes_its_form(
    tmp_path: Path, before: bytes, expected: bytes
) -> None:
    assert project(tmp_path, before).add("x<5").result == expected


def test_two_requirements_are_added_to_a_project_file_at_once(tmp_path: Path) -> None:
    found = project(tmp_path, b'[project]\ndependencies = [\n  "a"\n]\n')
    both = found.add("x<5").merge(found.add("y"))
    assert sorted(asked(project(tmp_path, both.result))) == ["a", "x<5", "y"]


def test_where_nothing_shows_the_form_nothing_is_added(tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="by hand"):
        project(tmp_path, b"[project]\ndependencies = []\n").add("x")


def test_what_a_lock_file_holds_is_changed_by_its_own_tool(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").write_bytes(
        b'version = 1\n\n[[package]]\nname = "bcrypt"\nversion = "5.0.0"\nsource = { }\n'
        b'\n[[package]]\nname = "two"\nversion = "1"\n\n[[package]]\nname = "two"\nversion = "2"\n'
    )
    found = project(tmp_path, STANDARD)
    assert found.lock
    assert (str(found.lock.version("Bcrypt")), found.lock.version("two")) == ("5.0.0", None)
    assert found.lock.lines["bcrypt"] == 5
    with pytest.raises(Conflict, match=r"uv\.lock locks the versions: uv add 'bcrypt<5'"):
        found.pin("bcrypt", "<5")


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        ("^1.2.3", ">=1.2.3,<2"),
        ("^0.2.3", ">=0.2.3,<0.3"),
        ("^0.0.3", ">=0.0.3,<0.0.4"),
        ("^0", ">=0,<1"),
        ("~1.2.3", ">=1.2.3,<1.3"),
        ("~1", ">=1,<2"),
        ("1.2.*", "==1.2.*"),
        ("1.2", "==1.2"),
        (">= 1.2 <2", ">=1.2,<2"),
        ("*", ""),
        ("^1 || ^2", None),
        ("latest", None),
    ],
)
def test_poetry_s_constraints_are_said_in_pip_s_words(
    constraint: str, expected: str | None
) -> None:
    assert pyproject.pep440(constraint) == expected


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.sampled_from([STANDARD, POETRY]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 8), st.binary(max_size=5)), max_size=3),
    st.sampled_from(["bcrypt", "fastapi", "new"]),
)
def test_no_mutation_of_a_project_file_makes_the_reader_fail_or_an_edit_wrong(
    tmp_path: Path, data: bytes, changes: list[tuple[int, int, bytes]], name: str
) -> None:
    for at, cut, text in changes:
        data = data[:at] + text + data[at + cut :]
    found = project(tmp_path, data)
    try:
        action = found.pin(name, "<5")
    except (Conflict, Absent):
        return
    again = project(tmp_path, action.result)
    line = again.find(name)
    assert line
    assert str(line.requirement.specifier) == "<5"
    assert len(again.lines) == len(found.lines) + (found.find(name) is None)
    others = [str(line.requirement) for line in found.lines if line.name != name]
    assert [str(line.requirement) for line in again.lines if line.name != name] == others
    assert apply_edits(data, action.edits) == action.result
