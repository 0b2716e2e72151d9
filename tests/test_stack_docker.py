"""`up` and what belongs to it, with the Docker backend on a real engine and beside the real Compose."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from saas_doctor.model import DoctorError
from saas_doctor.stack import Failed, LogLine
from saas_doctor.stack.docker import starting
from saas_doctor.stack.docker.engine import Engine
from tests.testbed import compose, engine
from tests.testbed.ports import free_port, listener
from tests.testbed.stack import LISTENS, Stack, checked, needs, service, stack
from tests.testbed.users import as_user

pytestmark = pytest.mark.xdist_group("docker")


@pytest.fixture
def made(docker_engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    monkeypatch.setattr(starting, "_SETTLES", 0.3)
    with stack(docker_engine, tmp_path) as found:
        yield found


@pytest.fixture
def other(docker_engine: str, tmp_path: Path) -> Iterator[Stack]:
    """Another project, in another folder."""
    folder = tmp_path / "other"
    folder.mkdir()
    with stack(docker_engine, folder) as found:
        yield found


# Up.


def test_up_brings_all_up_in_order_and_a_second_up_changes_nothing(made: Stack) -> None:
    port = free_port()
    made.write(
        {
            "web": service(
                *LISTENS,
                ports=[f"127.0.0.1:{port}:80"],
                depends_on={"db": needs("service_healthy")},
            ),
            "db": service(healthcheck=checked(), volumes=["data:/data"]),
        },
        volumes={"data": {}},
    )
    assert [(c.verb.value, c.kind) for c in made.changes()] == [
        ("create", "network"), ("create", "volume"), ("create", "service"), ("create", "service"),
    ]  # fmt: skip
    assert not made.containers()
    members = {m.service: m for m in made.up()}
    assert (members["db"].state, members["db"].health) == ("running", "healthy")
    assert members["web"].ports == (f"127.0.0.1:{port}->80/tcp",)
    words = [(name, text.split()[0]) for name, text in made.said]
    assert words.index(("db", "healthy")) < words.index(("web", "creating"))
    before = made.containers()
    assert made.verbs() == {"db": "keep", "web": "keep"}
    made.up()
    assert made.containers() == before
    assert made.said == []


def test_a_changed_service_alone_is_made_anew_and_it_is_told_why(made: Stack) -> None:
    services = {"a": service(environment={"MODE": "old"}), "b": service()}
    made.write(services)
    made.up()
    before = made.containers()
    services["a"]["environment"] = {"MODE": "new"}
    made.write(services)
    (change,) = [c for c in made.changes() if c.name == "a"]
    assert (change.verb.value, change.reason) == ("recreate", "changed: environment (MODE)")
    made.up()
    after = made.containers()
    assert after[f"{made.name}-b-1"] == before[f"{made.name}-b-1"]
    assert after[f"{made.name}-a-1"] != before[f"{made.name}-a-1"]
    assert len(after) == 2
    assert made.verbs() == {"a": "keep", "b": "keep"}
    assert made.verbs(recreate=True) == {"a": "recreate", "b": "recreate"}


def test_a_volume_without_name_keeps_its_data_when_its_container_is_made_anew(made: Stack) -> None:
    services = {"db": service(volumes=["/data"])}
    made.write(services)
    made.up()
    made.exec("db", "sh", "-c", "echo kept > /data/file")
    services["db"]["environment"] = {"X": "1"}
    made.write(services)
    made.up()
    assert made.exec("db", "/bin/busybox", "cat", "/data/file") == "kept\n"
    # Unlike with a volume that the file no longer mounts there.
    services["db"]["volumes"] = ["data:/data"]
    made.write(services, volumes={"data": {}})
    made.up()
    assert "No such file" in made.exec("db", "/bin/busybox", "cat", "/data/file")


def test_a_service_gets_what_its_file_says(made: Stack) -> None:
    secret = made.folder / "secret.txt"
    secret.write_text("from a file")
    made.write(
        {
            "app": service(
                environment=["GIVEN=1"],
                hostname="named",
                working_dir="/bin",
                user="1000:1000",
                mem_limit="32m",
                cpus=0.5,
                ulimits={"nofile": {"soft": 100, "hard": 200}},
                sysctls={"net.core.somaxconn": 77},
                cap_drop=["NET_RAW"],
                tmpfs=["/scratch:size=1m"],
                extra_hosts=["elsewhere:10.1.2.3"],
                networks={"default": {"aliases": ["nick"]}, "second": {}},
                secrets=["held", "written"],
                configs=[{"source": "settings", "target": "/etc/settings"}],
                stop_grace_period="2s",
                restart="on-failure:3",
                logging={"driver": "json-file", "options": {"max-size": "1m"}},
            )
        },
        networks={"second": {}},
        secrets={"held": {"file": "./secret.txt"}, "written": {"environment": "SECRET_OF_TEST"}},
        configs={"settings": {"content": "a: 1\n"}},
    )
    (made.folder / ".env").write_text("SECRET_OF_TEST=from the environment\n")
    made.up()
    found = made.inspect("app")
    config, host = found["Config"], found["HostConfig"]
    assert "GIVEN=1" in config["Env"]
    assert (config["Hostname"], config["WorkingDir"], config["User"]) == (
        "named",
        "/bin",
        "1000:1000",
    )
    assert config["StopTimeout"] == 2
    assert (host["Memory"], host["NanoCpus"]) == (32 * 1024 * 1024, 500_000_000)
    assert host["Ulimits"] == [{"Name": "nofile", "Hard": 200, "Soft": 100}]
    assert host["Sysctls"] == {"net.core.somaxconn": "77"}
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert host["LogConfig"]["Config"] == {"max-size": "1m"}
    assert host["ExtraHosts"] == ["elsewhere:10.1.2.3"]
    networks = found["NetworkSettings"]["Networks"]
    assert set(networks) == {f"{made.name}_default", f"{made.name}_second"}
    assert {"app", "nick", f"{made.name}-app-1"} <= set(networks[f"{made.name}_default"]["Aliases"])
    cat = ["/bin/busybox", "cat"]
    assert made.exec("app", *cat, "/run/secrets/held") == "from a file"
    assert made.exec("app", *cat, "/run/secrets/written") == "from the environment"
    assert made.exec("app", *cat, "/etc/settings") == "a: 1\n"


def test_a_job_that_ends_well_is_no_failure_and_those_that_wait_for_it_start_then(
    made: Stack,
) -> None:
    made.write(
        {
            "migrate": service("sh", "-c", "sleep 0.5; echo done"),
            "app": service(depends_on={"migrate": needs("service_completed_successfully")}),
        }
    )
    members = {m.service: m for m in made.up()}
    assert (members["migrate"].state, members["migrate"].exit_code) == ("exited", 0)
    said = [name for name, text in made.said if text.startswith(("finished", "creating"))]
    assert said[-2:] == ["migrate", "app"]


def test_named_services_come_with_what_they_need_or_without_it(made: Stack) -> None:
    made.write({"db": service(), "app": service(depends_on=["db"]), "other": service()})
    made.up("app", deps=False)
    assert set(made.containers()) == {f"{made.name}-app-1"}
    made.up("app")
    assert set(made.containers()) == {f"{made.name}-app-1", f"{made.name}-db-1"}
    assert made.backend().services == ("app", "db", "other")


def test_a_service_of_a_profile_is_no_orphan_and_one_that_left_the_file_is(made: Stack) -> None:
    services = {"app": service(), "debug": service(profiles=["debug"]), "old": service()}
    made.write(services)
    made.up("app", "debug", "old")
    del services["old"]
    made.write(services)
    made.up()
    (word,) = [text for name, text in made.said if "orphans" in text]
    assert f"{made.name}-old-1" in word
    assert "debug" not in word
    made.up(remove_orphans=True)
    assert set(made.containers()) == {f"{made.name}-app-1", f"{made.name}-debug-1"}
    assert {c.kind for c in made.down()} == {"container", "network"}
    assert made.containers() == {}


def test_more_and_fewer_containers_of_one_service(made: Stack) -> None:
    services = {"app": service(deploy={"replicas": 3})}
    made.write(services)
    made.up()
    before = made.containers()
    assert len(before) == 3
    services["app"]["deploy"] = {"replicas": 1}
    made.write(services)
    made.up()
    assert made.containers() == {f"{made.name}-app-1": before[f"{made.name}-app-1"]}


def test_who_depends_on_what_is_made_anew_is_restarted_where_it_asks_for_it(made: Stack) -> None:
    services = {
        "db": service(environment={"X": "1"}),
        "asks": service(depends_on={"db": needs(restart=True)}),
        "keeps": service(depends_on={"db": needs()}),
    }
    made.write(services)
    made.up()
    began = {name: made.inspect(name)["State"]["StartedAt"] for name in services}
    services["db"]["environment"] = {"X": "2"}
    made.write(services)
    reasons = {c.name: (c.verb.value, c.reason) for c in made.changes()}
    assert reasons["asks"] == ("start", "db is made anew")
    assert reasons["keeps"] == ("keep", "it keeps its connections to db, which is made anew")
    made.up()
    assert made.inspect("asks")["State"]["StartedAt"] != began["asks"]
    assert made.inspect("keeps")["State"]["StartedAt"] == began["keeps"]


def test_rollback_takes_back_what_was_made_and_brings_back_what_was_there(made: Stack) -> None:
    services: dict[str, Any] = {"app": service(), "bad": service("sh", "-c", "exit 3")}
    made.write({"app": services["app"]})
    made.up()
    before = made.containers()
    services["app"]["environment"] = {"X": "1"}
    services["bad"]["depends_on"] = ["app"]
    made.write(services, volumes={})
    made.fails(rollback=True)
    assert made.containers() == before
    assert made.inspect("app")["State"]["Running"]
    # Without it, what was started stays.
    made.fails()
    assert set(made.containers()) == {f"{made.name}-app-1", f"{made.name}-bad-1"}
    assert made.containers()[f"{made.name}-app-1"] != before[f"{made.name}-app-1"]


# Beside the real Compose.


def pair(made: Stack) -> None:
    """A project that needs most of what the tools note for each other."""
    path = made.write(
        {
            "db": service(healthcheck=checked(), volumes=["data:/data"], environment={"A": "<&>"}),
            "web": service(
                "sh",
                "-c",
                "echo hello; exec sleep 600",
                depends_on={"db": needs("service_healthy")},
            ),
        },
        volumes={"data": {}},
    )
    # The first Compose knows no `name:` in a file.
    path.write_text(path.read_text().replace(f"name: {made.name}\n", ""))
    (made.folder / ".env").write_text(f"COMPOSE_PROJECT_NAME={made.name}\n")


def left(made: Stack) -> list[str]:
    mine = {"label": f"com.docker.compose.project={made.name}"}
    networks = [network["Name"] for network in made.api.networks(filters=mine)]
    volumes = [volume["Name"] for volume in made.api.volumes(filters=mine)["Volumes"] or ()]
    return [*made.containers(), *networks, *volumes]


OTHER_HASH = "docker-compose 1.29.2 made it, which notes its configuration in another way"


@pytest.mark.parametrize("version", compose.VERSIONS)
def test_compose_knows_our_stack_again_keeps_it_and_takes_it_down(
    made: Stack, version: str
) -> None:
    theirs = partial(made.compose, program=[str(compose.program(version))])
    pair(made)
    made.up()
    before = made.containers()
    listed = theirs("ps")
    assert all(name in listed for name in before)
    assert "healthy" in listed
    assert "hello" in theirs("logs", "web")
    theirs("restart", "-t", "1", "web")
    assert made.containers() == before
    theirs("up", "-d")
    if version.startswith("1."):  # it has a hash of its own, and takes no other's word
        assert len(made.containers()) == len(before)
        assert {c.reason for c in made.changes()} == {OTHER_HASH}
    else:
        assert made.containers() == before
        assert made.verbs() == {"db": "keep", "web": "keep"}
    theirs("down", "-v")
    assert left(made) == []


@pytest.mark.parametrize("version", compose.VERSIONS)
def test_we_know_the_stack_of_compose_again_keep_it_and_take_it_down(
    made: Stack, version: str
) -> None:
    theirs = partial(made.compose, program=[str(compose.program(version))])
    pair(made)
    theirs("up", "-d")
    before = made.containers()
    assert {m.service: m.health for m in made.backend().members()} == {"db": "healthy", "web": ""}
    (line,) = made.backend().logs(["web"], tail=None, since=None, follow=False)
    assert line.text == "hello"
    made.backend().restart(["web"], lambda *_: None)
    if version.startswith("1."):
        assert {c.reason for c in made.changes()} == {OTHER_HASH}
        made.up()
        assert made.verbs() == {"db": "keep", "web": "keep"}
    else:
        assert made.verbs() == {"db": "keep", "web": "keep"}
        made.up()
        assert made.containers() == before
    made.down(volumes=True)
    assert left(made) == []


# What goes wrong.


def test_a_service_that_ends_at_once_is_told_with_its_code_log_and_rule(made: Stack) -> None:
    text = "sqlalchemy.exc.InvalidRequestError: Attribute name 'metadata' is reserved when using the Declarative API."
    made.write(
        {
            "app": service("sh", "-c", f'echo "{text}"; exit 3', healthcheck=checked()),
            "web": service(depends_on={"app": needs("service_healthy")}),
        }
    )
    failure = made.fails()
    assert failure.what == f"app ended with code 3: its log says {text}; web waits for it"
    assert text in failure.evidence
    assert failure.code.startswith(("DB", "SRC"))
    assert failure.code in failure.next_step
    assert f"{made.name}-web-1" not in made.containers()


def test_an_unhealthy_service_is_told_with_its_checks_own_answer(made: Stack) -> None:
    made.write(
        {
            "db": service(healthcheck=checked("echo not ready for you; exit 7", retries=2)),
            "app": service(depends_on={"db": needs("service_healthy")}),
        }
    )
    failure = made.fails()
    assert failure.what == "db is unhealthy: its health check failed 2 times; app waits for it"
    assert "its last answer (code 7): not ready for you" in failure.evidence


def test_the_wait_has_an_end_and_it_is_told_what_was_waited_for(made: Stack) -> None:
    made.write({"db": service(healthcheck=checked("exit 1", retries=1000))})
    failure = made.fails(wait=2)
    assert failure.what == "--wait-timeout 2 s is over: db is not healthy yet"


def test_a_container_without_memory_is_told_as_that(made: Stack) -> None:
    made.write({"app": service("sh", "-c", "x=a; while :; do x=$$x$$x; done", mem_limit="8m")})
    failure = made.fails()
    # The engine does not always hear of it; then it is the limit that makes it likely.
    assert failure.what in (
        "app was ended for want of memory (its limit is 8.4 MB)",
        "app was killed (code 137): for want of memory (its limit is 8.4 MB), or from outside",
    )
    assert "mem_limit" in failure.next_step


def test_a_service_that_is_restarted_again_and_again_is_not_waited_for_till_the_end(
    made: Stack,
) -> None:
    made.write({"app": service("sh", "-c", "exit 4", restart="always")})
    failure = made.fails(wait=60)
    assert failure.what.startswith("app ended with code 4, ")
    assert failure.what.endswith("times restarted")
    assert any("is started again" in text for _, text in made.said)


def test_one_that_comes_up_at_its_second_try_is_up(made: Stack) -> None:
    script = "[ -f /data/tried ] && exec sleep 600; : > /data/tried; exit 1"
    made.write({"app": service("sh", "-c", script, restart="always", volumes=["/data"])})
    (member,) = made.up()
    assert (member.state, member.restarts) == ("running", 1)


def test_a_port_that_a_process_holds_is_told_with_it_before_anything_is_made(made: Stack) -> None:
    port = free_port()
    made.write({"app": service(ports=[f"127.0.0.1:{port}:80"])})
    with listener(port) as pid:
        failure = made.fails()
    assert f"app can't get port 127.0.0.1:{port}: it is held by python" in failure.what
    assert f"pid {pid}" in failure.what
    assert failure.code == "NET409"
    assert made.containers() == {}
    assert made.api.networks(filters={"label": f"com.docker.compose.project={made.name}"}) == []


def test_a_port_that_another_projects_container_holds_is_told_with_it(
    made: Stack, other: Stack
) -> None:
    port = free_port()
    other.write({"db": service(ports=[f"{port}:80"])})
    other.up()
    made.write({"app": service(ports=[f"127.0.0.1:{port}:80"])})
    failure = made.fails()
    assert f"container {other.name}-db-1 of compose project {other.name}" in failure.what
    # Its own ports are no obstacle when a container is made anew.
    other.write({"db": service(ports=[f"{port}:80"], environment={"X": "1"})})
    other.up()


def test_two_services_of_one_file_at_one_port(made: Stack) -> None:
    port = free_port()
    made.write({"a": service(ports=[f"{port}:80"]), "b": service(ports=[f"127.0.0.1:{port}:81"])})
    assert made.fails().code == "DOCK607"


def test_a_name_that_is_taken_is_told_with_its_owner(made: Stack, other: Stack) -> None:
    name = f"{made.name}-named"
    other.write({"db": service(container_name=name)})
    other.up()
    made.write({"app": service(container_name=name)})
    failure = made.fails()
    assert (
        f"the name {name} is taken by container {name} of compose project {other.name}"
        in failure.what
    )


def test_a_project_name_that_another_folder_uses_is_refused(made: Stack, tmp_path: Path) -> None:
    made.write({"app": service()})
    made.up()
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    twin = Stack(made.host, folder, made.name)
    twin.write({"app": service()})
    assert f"the project name {made.name} is taken by the stack in {tmp_path}" in twin.fails().what
    with pytest.raises(Failed):
        twin.down()
    assert made.inspect("app")["State"]["Running"]


@pytest.mark.parametrize(
    ("spec", "what", "step"),
    [
        ({"command": ["no-such-program"]}, "its command is not in the image (no-such-program)", "command"),
        ({"command": ["/etc/hosts"]}, "its command is not executable", "chmod +x"),
        ({"volumes": ["./folder:/bin/busybox"]}, "a folder is mounted on a file", "remove"),
        ({"volumes": [{"type": "bind", "source": "./none", "target": "/x"}]}, "what it mounts from this machine is not there", "make it"),
        ({"image": "saas-doctor-test/none:1", "pull_policy": "never"}, "its image saas-doctor-test/none:1 is not there", "docker pull"),
        ({"image": "saas-doctor-test.invalid/none:1"}, "can't be pulled", "registry"),
        ({"platform": "linux/arm64", "pull_policy": "never"}, "its image is not there for this platform", "platform"),
        ({"deploy": {"resources": {"reservations": {"devices": [{"capabilities": ["gpu"]}]}}}}, "no runtime for the GPU", "NVIDIA"),
    ],
)  # fmt: skip
def test_what_the_engine_refuses_is_told_in_words(
    made: Stack, spec: dict[str, object], what: str, step: str
) -> None:
    (made.folder / "folder").mkdir()
    made.write(
        {
            "app": service(**{"init": False, **spec})
            if "command" not in spec
            else {**service(), "init": False, **spec}
        }
    )
    failure = made.fails()
    assert what in failure.what
    assert step in failure.next_step


def test_what_it_needs_from_outside_and_is_not_there(made: Stack) -> None:
    made.write(
        {"app": service(volumes=["data:/data"])},
        volumes={"data": {"external": True, "name": "sdt-none"}},
    )
    assert made.fails().what == "the external volume sdt-none is not there"
    made.write(
        {"app": service(networks=["far"])}, networks={"far": {"external": True, "name": "sdt-none"}}
    )
    assert made.fails().what == "the external network sdt-none is not there"


def test_waiting_for_the_health_of_one_that_has_no_check(made: Stack) -> None:
    made.write({"db": service(), "app": service(depends_on={"db": needs("service_healthy")})})
    failure = made.fails()
    assert "app waits until db is healthy, and db has no health check" in failure.what
    assert failure.code == "DOCK608"


@pytest.mark.parametrize(
    ("script", "what"),
    [
        ("kill -9 $$$$", "app was killed from outside (code 137)"),
        ("nothing-of-that-name", "app ended with code 127: its command was not found"),
        (
            "/bin/busybox dd if=/dev/zero of=/small/file",
            "app ended with code 1: no space is left where it writes",
        ),
    ],
)
def test_how_it_ended_is_told_by_its_code_and_log(made: Stack, script: str, what: str) -> None:
    made.write({"app": service("sh", "-c", f"{script}; exit $$?", tmpfs=["/small:size=64k"])})
    assert made.fails().what == what


def test_a_range_of_addresses_that_another_network_has(made: Stack, other: Stack) -> None:
    subnet = {"ipam": {"config": [{"subnet": "10.251.7.0/24"}]}}
    other.write({"app": service()}, networks={"default": {**subnet}})
    other.up()
    made.write({"app": service()}, networks={"default": {**subnet}})
    failure = made.fails()
    assert "Pool overlaps" in failure.what
    assert "docker network prune" in failure.next_step


def test_a_slow_health_check_is_told_of(made: Stack) -> None:
    made.write({"app": service(healthcheck=checked(interval="30s"))})
    made.fails(wait=4)
    assert (
        "app",
        "its health check is asked every 30 s, so it takes as long to be up",
    ) in made.said


def test_a_service_of_which_none_is_to_run(made: Stack) -> None:
    needed = {"none": needs("service_healthy")}
    made.write({"none": service(scale=0), "app": service(depends_on=needed)})
    assert [m.service for m in made.up()] == ["app"]
    words = "app is started without none, of which no container is to run (scale: 0)"
    assert ("", words) in made.said


# Images.

DOCKERFILE = f"FROM {engine.IMAGE}\nARG WORD=default\nCOPY file /file\nRUN echo $WORD > /word\nCMD sleep 600\n"


def built(made: Stack, text: str = DOCKERFILE, **more: object) -> None:
    (made.folder / "Dockerfile").write_text(text)
    (made.folder / "file").write_text("first")
    (made.folder / ".dockerignore").write_text("notes\ncompose.yaml\n.saas-doctor\n")
    made.write(
        {"app": {"build": {"context": ".", "args": {"WORD": "given"}, **more}, "init": True}}
    )


def test_an_image_is_built_and_again_when_what_goes_into_it_has_changed(made: Stack) -> None:
    built(made)
    assert [(c.verb.value, c.name) for c in made.changes()][1] == ("build", f"{made.name}-app")
    made.up()
    assert made.exec("app", "/bin/busybox", "cat", "/word") == "given\n"
    log = made.folder / ".saas-doctor/builds/app.log"
    assert "COPY file /file" in log.read_text()
    (made.folder / "notes").write_text("not in the image")
    assert made.verbs() == {"app": "keep"}
    (made.folder / "file").write_text("second")
    image, container = made.changes()
    assert (image.verb.value, image.reason) == (
        "build",
        "its Dockerfile or what goes into it has changed",
    )
    assert container.verb.value == "recreate"
    made.up()
    assert made.exec("app", "/bin/busybox", "cat", "/file") == "second"
    assert [c.verb.value for c in made.changes()] == ["keep"]
    before = made.containers()
    made.up(build=True)
    assert made.containers() == before, "nothing has changed, and all steps come from the cache"


def test_what_two_dockerfiles_begin_with_is_built_once(made: Stack) -> None:
    once = "read line < /proc/sys/kernel/random/uuid; echo $line > /once"
    for name in ("one", "two"):
        text = f"FROM {engine.IMAGE}\nRUN : {made.name}; {once}\nENV WHO={name}\nCMD sleep 600\n"
        (made.folder / name).write_text(text)
    builds = {n: {"build": {"context": ".", "dockerfile": n}, "init": True} for n in ("one", "two")}
    made.write(builds)
    made.up()
    first, second = (made.exec(name, "/bin/busybox", "cat", "/once") for name in builds)
    assert len(first) > 30
    assert first == second


def test_a_step_that_fails_is_told_with_its_line_and_the_end_of_its_log(made: Stack) -> None:
    built(made, DOCKERFILE.replace("CMD", "RUN echo why it failed; exit 9\nCMD"))
    failure = made.fails()
    assert failure.what.startswith(f"app can't be built: {made.folder}/Dockerfile:5: The command")
    assert "why it failed" in failure.evidence
    assert ".saas-doctor/builds/app.log" in failure.next_step
    assert made.containers() == {}


@pytest.mark.parametrize(
    ("text", "what", "code"),
    [
        (DOCKERFILE.replace("COPY file", "COPY nothing"), "Dockerfile:3: COPY failed", "DOCK605"),
        (DOCKERFILE.replace("COPY", "CPOY"), "unknown instruction: CPOY", "DOCK604"),
    ],
)
def test_dockerfiles_that_can_not_be_built(made: Stack, text: str, what: str, code: str) -> None:
    built(made, text)
    failure = made.fails()
    assert what in failure.what
    assert failure.code == code


def test_paths_of_a_build_that_are_not_there(made: Stack) -> None:
    built(made, dockerfile="none/Dockerfile")
    assert "Dockerfile" in made.fails().what
    built(made)
    made.write({"app": {"build": "./none"}})
    assert f"its build context {made.folder}/none is not there" in made.fails().what


def test_what_only_buildkit_builds_is_refused_before_the_build_where_there_is_none(
    made: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    built(made, f"FROM {engine.IMAGE}\nRUN --mount=type=cache,target=/c echo hi\n")
    failure = made.fails()
    assert f"{made.folder}/Dockerfile:2: RUN --mount needs BuildKit" in failure.what
    assert "buildx" in failure.next_step


def test_what_only_buildkit_builds_is_given_to_dockers_own_command(
    made: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")  # where Debian's docker.io has it
    built(
        made,
        f"FROM {engine.IMAGE}\nRUN --mount=type=cache,target=/c echo hi > /word\nCMD sleep 600\n",
    )
    made.up()
    assert made.exec("app", "/bin/busybox", "cat", "/word") == "hi\n"
    assert made.verbs() == {"app": "keep"}


# Ends.


def test_a_container_that_does_not_heed_its_signal_is_told(made: Stack) -> None:
    made.write({"app": service(init=False, stop_grace_period="1s")})
    made.up()
    made.down()
    assert any("did not heed its stop signal" in text for _, text in made.said)


def test_what_others_need_is_told_to_end_when_those_have_ended_and_not_later(made: Stack) -> None:
    slow = service("sh", "-c", "trap 'sleep 1; exit' TERM; while :; do sleep 0.1; done", init=False)
    made.write({"web": {**slow, "depends_on": ["db"]}, "job": service(), "db": service()})
    made.up()
    began = time.time()
    made.down()
    events = made.api.events(
        since=int(began),
        until=int(time.time()) + 1,
        decode=True,
        filters={
            "label": f"com.docker.compose.project={made.name}",
            "event": ["kill", "die", "stop"],
        },
    )
    told = [(e["Action"], e["Actor"]["Attributes"]["com.docker.compose.service"]) for e in events]
    first = {one: told.index(one) for one in reversed(told)}
    assert first["die", "web"] < first["kill", "db"]
    assert first["kill", "job"] < first["die", "web"]
    assert made.containers() == {}


def test_volumes_are_lost_only_where_it_is_said(made: Stack) -> None:
    made.write({"db": service(volumes=["data:/data"])}, volumes={"data": {}})
    made.up()
    made.exec("db", "sh", "-c", "echo 12345 > /data/file")
    made.down()
    assert [c.name for c in made.backend().removals(volumes=True)] == [f"{made.name}_data"]
    made.up()
    assert made.exec("db", "/bin/busybox", "cat", "/data/file") == "12345\n"
    made.down(volumes=True)
    assert made.backend().removals(volumes=True) == []


def test_a_network_that_others_use_is_told_with_them(made: Stack, other: Stack) -> None:
    made.write({"app": service()})
    made.up()
    network = f"{made.name}_default"
    other.write(
        {"app": service(networks=["theirs"])},
        networks={"theirs": {"external": True, "name": network}},
    )
    other.up()
    with pytest.raises(Failed) as failed:
        made.down()
    assert f"the network {network} is still used by {other.name}-app-1" in str(failed.value)
    assert made.containers() == {}
    other.down()
    made.down()
    assert made.api.networks(names=[network]) == []


def test_a_volume_that_others_use_is_told_with_them(made: Stack, other: Stack) -> None:
    made.write({"app": service(volumes=["data:/data"])}, volumes={"data": {}})
    made.up()
    volume = f"{made.name}_data"
    other.write(
        {"app": service(volumes=["theirs:/x"])},
        volumes={"theirs": {"external": True, "name": volume}},
    )
    other.up()
    with pytest.raises(Failed) as failed:
        made.down(volumes=True)
    assert f"the volume {volume} is still used by {other.name}-app-1" in str(failed.value)
    other.down()


def test_restart_goes_by_the_dependencies_and_takes_those_along_that_ask(made: Stack) -> None:
    made.write(
        {
            "db": service(healthcheck=checked()),
            "app": service(depends_on={"db": needs("service_healthy", restart=True)}),
            "other": service(depends_on=["db"]),
        }
    )
    made.up()
    said: list[tuple[str, str]] = []
    members = made.backend(whole=True).restart(["db"], lambda *words: said.append(words))
    assert {m.service for m in members} == {"app", "db"}
    order = [(name, text.split()[0]) for name, text in said]
    assert order[:4] == [
        ("app", "stopping"),
        ("db", "stopping"),
        ("db", "starting"),
        ("db", "healthy"),
    ]
    assert order[4] == ("app", "starting")


def test_logs_are_by_time_and_go_on_where_they_are_followed(made: Stack) -> None:
    made.write(
        {
            "a": service("sh", "-c", "echo a1; sleep 0.4; echo a2; sleep 1; echo a3"),
            "b": service("sh", "-c", "sleep 0.2; echo b1"),
        }
    )
    backend = made.backend()
    made.up(wait=20)

    def read(*services: str, **more: Any) -> list[LogLine]:
        options = {"tail": None, "since": None, "follow": False, **more}
        return list(backend.logs(services, **options))

    followed = read(follow=True)
    assert sorted(line.text for line in followed) == ["a1", "a2", "a3", "b1"]
    lines = read()
    assert sorted(line.text for line in lines) == ["a1", "a2", "a3", "b1"]
    assert [line.at for line in lines] == sorted(line.at for line in lines if line.at)
    (last,) = read("a", tail=1)
    assert last.text == "a3"
    assert read("a", since=last.at) == []


@pytest.mark.parametrize(
    ("variables", "what"),
    [
        ({"DOCKER_HOST": "unix:///nonexistent/docker.sock"}, "DOCKER_HOST=unix:///nonexistent/docker.sock (no such socket)"),
        ({"DOCKER_HOST": "tcp://127.0.0.1:9"}, "DOCKER_HOST=tcp://127.0.0.1:9 (connection refused)"),
        ({"DOCKER_HOST": "nonsense://x"}, "DOCKER_HOST=nonsense://x"),
        ({"DOCKER_HOST": "tcp://127.0.0.1:9", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/none"}, "DOCKER_CERT_PATH is /none"),
    ],
)  # fmt: skip
def test_an_engine_that_can_not_be_reached_is_told_with_what_was_tried(
    variables: dict[str, str], what: str
) -> None:
    with pytest.raises(DoctorError) as told:
        Engine(variables).api.ping()
    assert what in str(told.value)


def test_a_socket_that_nobody_answers_at_and_one_that_is_closed_to_this_user(
    tmp_path: Path,
) -> None:
    stale = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(stale))
    with pytest.raises(DoctorError) as told:
        Engine({"DOCKER_HOST": f"unix://{stale}"}).api.ping()
    assert "connection refused" in str(told.value)


def test_a_script_without_its_first_line_is_told_as_that(made: Stack) -> None:
    script = made.folder / "run"
    script.write_text("echo hi\n")
    script.chmod(0o755)
    made.write({"app": {**service("/run"), "init": False, "volumes": ["./run:/run"]}})
    assert "no script with a first line `#!/bin/sh`" in made.fails().what


def test_settings_of_a_network_that_have_changed_are_told(made: Stack) -> None:
    made.write({"app": service()}, networks={"default": {}})
    made.up()
    made.write({"app": service()}, networks={"default": {"driver_opts": {"com.example": "1"}}})
    made.up()
    assert any("was made with other settings" in text for _, text in made.said)


def test_one_that_was_cut_off_while_it_was_made_anew_is_put_right(made: Stack) -> None:
    made.write({"app": service()})
    made.up()
    name = f"{made.name}-app-1"
    made.api.rename(name, f"0123456789ab_{name}")
    made.api.stop(f"0123456789ab_{name}", timeout=1)
    made.up()
    assert set(made.containers()) == {name}


def test_an_engine_that_this_user_may_not_talk_to(docker_engine: str, open_folder: Path) -> None:
    (open_folder / "compose.yaml").write_text("services: {app: {image: x}}\n")
    doctor = [sys.executable, "-m", "saas_doctor", "ps", "--docker"]
    environ = {**os.environ, "DOCKER_HOST": docker_engine}
    done = as_user(doctor, cwd=open_folder, environ=environ, reads_all=True)
    if os.geteuid() == 0:  # else it is this very user, who may
        assert done.returncode == 2
        assert "this user may not talk to it: sudo usermod -aG docker" in done.stderr
