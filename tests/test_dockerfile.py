"""Dockerfiles and their ignore files as the builder reads them."""

from __future__ import annotations

import os
import textwrap
import uuid
from pathlib import Path

import docker
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saas_doctor.config import Config
from saas_doctor.facts import Facts, dockerignore
from saas_doctor.facts.builds import Builds
from saas_doctor.facts.dockerfile import Dockerfile, expand, parse
from saas_doctor.facts.images import postgres_major, repository, store_of
from saas_doctor.platform import Platform
from tests.testbed.engine import LABEL
from tests.testbed.platforms import PLATFORM

EXAMPLES = settings(max_examples=int(os.environ.get("SD_EXAMPLES", "200")), deadline=None)


def dockerfile(text: str) -> Dockerfile:
    return parse(textwrap.dedent(text).encode())


def told(text: str) -> list[tuple[str, str, int]]:
    found = dockerfile(text)
    assert not found.flaws
    return [(i.name, i.text, i.line) for i in found.instructions]


def test_lines_go_on_over_comments_and_empty_lines() -> None:
    text = """\
        # the base
        from scratch
        RUN one \\
          # not this

          && two \\\t
          && three
        CMD ["a", \\
             "b"]
        """
    assert told(text) == [
        ("FROM", "scratch", 2),
        ("RUN", "one   && two   && three", 3),
        ("CMD", '["a",      "b"]', 8),
    ]
    assert dockerfile(text).instructions[2].words == ("a", "b")


def test_the_escape_sign_can_be_another() -> None:
    text = "# escape=`\nFROM scratch\nRUN dir C:\\\nRUN one `\n  two\n"
    assert [i[1] for i in told(text)] == ["scratch", "dir C:\\", "one   two"]
    assert dockerfile("FROM scratch\n# escape=`\nRUN a \\\nb\n").instructions[1].text == "a b"


def test_texts_are_no_instructions() -> None:
    text = """\
        FROM scratch
        RUN <<EOF cat > /a && <<-"END" cat
        FROM nothing
        EOF
        \tCOPY . .
        \tEND
        COPY --chmod=644 <<one <<'two' /etc/
        1
        one
        2
        two
        RUN a <<< b; echo $((1<<2)) "<<EOF"
        CMD x <<EOF
        """
    found = dockerfile(text)
    assert [(i.name, i.line, [h.body for h in i.heredocs]) for i in found.instructions] == [
        ("FROM", 1, []),
        ("RUN", 2, ["FROM nothing", "\tCOPY . ."]),
        ("COPY", 7, ["1", "2"]),
        ("RUN", 12, []),
        ("CMD", 13, []),
    ]
    assert [what for _, what in found.buildkit_only] == ["RUN <<EOF", "COPY <<one"]
    assert not list(found.sources({}))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("# nothing\n", 1),
        ("RUN a\nFROM b", 1),
        ("ARG A", 1),
        ("ARG A\nFORM b", 2),
        ("FROM a b", 1),
        ("FROM a\nRUN <<A cat\nA\nRUN <<B cat\n", 4),
        ("FROM a AS", 1),
        ("FROM a\nCOPY b", 2),
        ("FROM a\nRUN b \\\nCOPY c d\nEXPOES 80", 4),
        ("FROM a\nRUN <<E\nb", 2),
    ],
)
def test_what_can_not_be_built_is_found_at_its_line(text: str, line: int) -> None:
    assert [flaw.line for flaw in parse(text.encode()).flaws] == [line]


def test_two_texts_without_an_end_begin_at_one_line() -> None:
    flaws = parse(b"FROM a\nRUN <<A <<B cat\nFROM b\n").flaws
    assert [(flaw.line, flaw.message) for flaw in flaws] == [
        (2, "the text <<A has no end"),
        (2, "the text <<B has no end"),
    ]


def test_the_nearest_instruction_is_named() -> None:
    assert parse(b"FORM a").flaws[0].message == "there is no instruction FORM; did you mean FROM?"


def test_another_front_end_may_know_more() -> None:
    assert not dockerfile("# syntax=example.com/own:1\nINCLUDE all\n").flaws
    assert dockerfile("# syntax = docker/dockerfile:1.7-labs\nINCLUDE all\n").flaws


STAGES = """\
    ARG TAG=3.11
    ARG OTHER
    FROM python:${TAG}-slim AS base
    ENV WHERE=app DIR="$WHERE"
    HEALTHCHECK CMD true

    FROM node:22 as ui
    COPY ui/package.json .

    FROM base AS unused
    COPY unused .

    FROM base
    ARG TAG
    ARG SERVICE
    ARG MORE=$SERVICE
    COPY --from=ui /dist dist
    COPY ${WHERE}/${SERVICE:-main} $DIR 'a b' "$MORE" /app/
    COPY $OTHER $TAG ${NOT#x} /
    RUN --mount=type=bind,source=pyproject.toml,target=x --mount=type=cache,target=/c \\
        --mount=type=bind,from=ui,source=/y,target=y true
    """


def test_sources_are_those_of_the_stages_that_are_needed() -> None:
    found = dockerfile(STAGES)
    assert [s.name for s in found.built()] == ["base", "ui", ""]
    assert [s.name for s in found.built("unused")] == ["base", "unused"]
    assert [s.name for s in found.built("1")] == ["ui"]
    assert [(s.path, s.instruction.line) for s in found.sources({"SERVICE": "core"})] == [
        ("ui/package.json", 8), ("app/core", 18), (None, 18), ("'a", 18), ("b'", 18), ("core", 18),
        (None, 19), ("3.11", 19), (None, 19), ("pyproject.toml", 20),
    ]  # fmt: skip
    assert found.base_image({}) == "python:3.11-slim"
    assert found.base_image({"TAG": "3.12"}) == "python:3.12-slim"
    assert found.base_image({"TAG": None}) is None
    assert found.base_image({}, "ui") == "node:22"
    check = found.health_check()
    assert check
    assert check.text == "CMD true"
    assert found.health_check("ui") is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a", "a"), ("$A/${A}", "1/1"), ("'$A'\"$A\"", "$A1"), ("\\$A", "$A"), ("${A:+b}${E:-c}", "bc"),
        ("$NONE", None), ("${A%x}", None), ("${NONE:-d}", None), ("${A:-${A}}", None),
    ],
)  # fmt: skip
def test_variables_are_put_in_where_they_are_known(text: str, value: str | None) -> None:
    assert expand(text, {"A": "1", "E": "", "NONE": None}) == value


# The ignore file.


@pytest.mark.parametrize(
    ("lines", "out", "kept"),
    [
        ("logs", "logs logs/a logs/a/b", "log logsx x/logs"),
        ("/logs/\n# x\n\n", "logs/a", "x/logs # x"),
        ("*.pyc", "a.pyc", "b/a.pyc"),
        ("**/*.pyc", "a.pyc b/a.pyc b/c/a.pyc", "a.py"),
        ("**/.venv", ".venv a/.venv a/.venv/b", "a.venv .venvs"),
        ("a/**", "a/b a/b/c", "a ab"),
        ("a/**/z", "a/z a/b/z a/b/c/z", "a/zz z"),
        ("a?c", "abc", "ac a/c abbc"),
        ("[a-c]x\n[^a]y", "ax by", "dx ay"),
        ("*\n!src\n!*.toml", "a b/c", "src src/a x.toml"),
        ("src\n!src/a\nsrc/a/b", "src/b src/a/b", "src/a src/a/c"),
        ("./a/../b", "b b/c", "a"),
        ("**/*secret*", "secret a/b/mysecrets", "a/secre"),
        ("\ufeffa", "a", "b"),
        ("a b ", "a&b", "a"),
    ],
)
def test_paths_are_left_out_as_docker_does(lines: str, out: str, kept: str) -> None:
    found = dockerignore.parse(".dockerignore", lines.encode())
    names = {path.replace("&", " "): True for path in out.split()}
    names |= dict.fromkeys(kept.split(), False)
    assert {name: found.by(name) is not None for name in names} == names


def test_the_line_that_counts_is_named() -> None:
    found = dockerignore.parse(".dockerignore", b"# x\r\n*.log\r\n!keep.log\r\n")
    line = found.by("a.log")
    assert line
    assert (line.line, line.text) == (2, "*.log")
    assert found.by("keep.log") is None


@pytest.mark.parametrize("text", ["[a", "a[", "!", "a\\"])
def test_a_pattern_that_docker_refuses_makes_the_file_invalid(text: str) -> None:
    assert not dockerignore.parse(".dockerignore", text.encode()).valid


def test_a_folder_is_there_while_something_in_it_is(tmp_path: Path) -> None:
    (tmp_path / "src/deep").mkdir(parents=True)
    (tmp_path / "src/deep/a.py").touch()
    kept = dockerignore.parse(".dockerignore", b"src\n!**/*.py\n")
    assert kept.leaves_out(tmp_path, "src") is None
    assert dockerignore.parse(".dockerignore", b"src\n!**/*.js\n").leaves_out(tmp_path, "src")


# Contexts.


def builds(root: Path, files: dict[str, str], text: str = "services: {a: {build: .}}\n") -> Builds:
    for name, content in {"compose.yaml": text, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return Facts(Platform(root, Config(compose_file="compose.yaml"), environ={})).get(Builds)


CONTEXTS = {
    "there": ("COPY a.txt /", "", True),
    "a folder": ("COPY src /src", "", True),
    "from the root": ("COPY /src/b.txt /", "", True),
    "not there": ("COPY c.txt /", "", False),
    "not there in JSON": ('ADD ["c.txt", "/"]', "", False),
    "one of two": ("COPY a.txt c.txt /", "", False),
    "left out": ("COPY a.txt /", "*.txt\n", False),
    "taken back in": ("COPY a.txt /", "*.txt\n!a.*\n", True),
    "deep": ("COPY src/b.txt /", "*.txt\n", True),
    "left out deep": ("COPY src/b.txt /", "**/*.txt\n", False),
    "a folder left out": ("COPY src /src", "src\n", False),
    "a folder of which a file is back": ("COPY src /src", "src\n!src/b.txt\n", True),
    "a folder without its files": ("COPY src /src", "src/*\n", True),
    "all": ("COPY . /", "src\n", True),
    "another spelling": ("COPY A.txt /", "", False),
    "an argument": ("ARG NAME=a\nCOPY ${NAME}.txt /", "", True),
    "an argument of none": ("ARG NAME=c\nCOPY ${NAME}.txt /", "", False),
    "with a wildcard": ("COPY *.txt /", "", True),
    "a comment between": ("COPY a.txt \\\n# c.txt\n /", "", True),
}


@pytest.mark.xdist_group("docker")
def test_the_real_builder_finds_and_misses_the_same(docker_engine: str, tmp_path: Path) -> None:
    """The classic one: it tells a missing path as BuildKit does."""
    client = docker.DockerClient(base_url=docker_engine)
    own = f"{LABEL}-{uuid.uuid4().hex}"  # what another test builds just now is not to be removed
    theirs: dict[str, bool] = {}
    ours: dict[str, bool] = {}
    for name, (line, ignored, _) in CONTEXTS.items():
        root = tmp_path / name
        files = {"Dockerfile": f"FROM scratch\n{line}\n", "a.txt": "", "src/b.txt": ""}
        if ignored:
            files[".dockerignore"] = ignored
        ours[name] = not builds(root, files).builds[0].lost
        try:
            client.images.build(
                path=str(root), labels={LABEL: "1", own: "1"}, rm=True, forcerm=True
            )
            theirs[name] = True
        except docker.errors.BuildError:
            theirs[name] = False
    client.images.prune({"label": own})
    client.close()
    assert ours == {name: good for name, (_, _, good) in CONTEXTS.items()}
    assert theirs == ours


def test_what_is_nearly_it_is_named(tmp_path: Path) -> None:
    files = {"Dockerfile": "FROM scratch\nCOPY requirments.txt SRC/a /\n", "requirements.txt": ""}
    found = builds(tmp_path, {**files, "src/a": ""}).builds[0].lost
    assert [(lost.path, lost.near) for lost in found] == [
        ("requirments.txt", "requirements.txt"),
        ("SRC/a", "src/a"),
    ]


def test_a_path_outside_is_told_as_such(tmp_path: Path) -> None:
    files = {
        "app/Dockerfile": "FROM scratch\nCOPY ../shared ../own /\n",
        "shared/a": "",
        "app/own": "",
    }
    (lost,) = builds(tmp_path, files, "services: {a: {build: app}}\n").builds[0].lost
    assert (lost.path, lost.outside) == ("shared", "../shared")


def test_the_ignore_file_of_the_dockerfile_goes_before(tmp_path: Path) -> None:
    files = {
        "Dockerfile": "FROM scratch\nCOPY a b /\n", "a": "", "b": "",
        ".dockerignore": "a\n", "Dockerfile.dockerignore": "b\n",
    }  # fmt: skip
    (lost,) = builds(tmp_path, files).builds[0].lost
    assert lost.path == "b"


@pytest.mark.parametrize(
    ("image", "name", "store", "major"),
    [
        ("postgres:16.4-alpine", "postgres", "Postgres", 16),
        ("docker.io/library/postgres:17@sha256:ab", "postgres", "Postgres", 17),
        ("localhost:5000/postgres:16", "localhost:5000/postgres", None, None),
        ("postgres", "postgres", "Postgres", None),
        ("postgres:latest", "postgres", "Postgres", None),
        ("pgvector/pgvector:0.8.0-pg17", "pgvector/pgvector", "Postgres", 17),
        ("postgis/postgis:16-3.5", "postgis/postgis", "Postgres", 16),
        ("redis:7", "redis", "Redis", None),
    ],
)
def test_images_are_known_by_their_names(
    image: str, name: str, store: str | None, major: int | None
) -> None:
    found = store_of(image)
    assert (repository(image), found.name if found else None) == (name, store)
    assert postgres_major(image) == major


# Bytes that nobody wrote.

BYTES = (PLATFORM / "docker/Dockerfile.plugin").read_bytes() + textwrap.dedent(STAGES).encode()
SIGNS = [b"\\\n", b"<<E ", b"\nE\n", b"--from=", b"[", b'"', b"'", b"$", b"${", b"\xff", b"\x00", b"\r",
         b"# escape=`\n", b"FROM ", b"COPY ", b"\n\n", b"#", b"--mount=", b"ARG "]  # fmt: skip


@EXAMPLES
@given(
    st.lists(
        st.tuples(st.integers(0, 10_000), st.integers(0, 9), st.sampled_from(SIGNS)), max_size=6
    )
)
def test_a_dockerfile_of_other_bytes_is_read(changes: list[tuple[int, int, bytes]]) -> None:
    data = BYTES
    for at, length, sign in changes:
        at %= len(data)
        data = data[:at] + sign + data[at + length :]
    found = parse(data)
    lines = data.count(b"\n") + 1
    assert all(1 <= i.line <= lines for i in found.instructions)
    assert all(1 <= flaw.line <= lines for flaw in found.flaws)
    for stage in found.stages:
        assert stage in found.final(stage.name) or not stage.name
    _ = (
        list(found.sources({"SERVICE": "x"})),
        found.health_check(),
        found.base_image({}),
        found.buildkit_only,
    )


@EXAMPLES
@given(st.binary(max_size=60), st.text(st.sampled_from("ab/.*[]!"), max_size=20))
def test_any_bytes_are_an_ignore_file(data: bytes, path: str) -> None:
    found = dockerignore.parse(".dockerignore", data + b"\n**/*a*b*a*\n")
    line = found.by(path)
    assert line is None or line.line <= data.count(b"\n") + 2


def test_many_stars_do_not_take_for_ever() -> None:
    found = dockerignore.parse(".dockerignore", b"*a" * 60 + b"\n" + b"**/" * 60 + b"x\n")
    assert found.by("a" * 200 + "/" + "b/" * 50) is not None
