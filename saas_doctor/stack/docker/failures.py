"""Why a container does not come up: from what the engine answers, its state, its health check and its log."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from saas_doctor.facts.docker import container_of
from saas_doctor.redact import redact, redact_lines
from saas_doctor.report.sizes import in_words
from saas_doctor.stack import Failure
from saas_doctor.stack.docker.engine import Engine
from saas_doctor.stack.docker.marks import Scope

if TYPE_CHECKING:
    from docker.errors import APIError

_LINES = 20
_SHOWN = 160
"""Characters of an error that the sentence shows; the log's end has it whole."""
_KILLED = 137
_HEARS = 1.0
"""Seconds in which the engine hears that a container which was killed had no memory left."""
_ID = re.compile(r"container \"?([0-9a-f]{12,64})\"?")
_PORT = re.compile(r"(?:Bind for |listen \w+ )(\S+?):(\d+)(?: failed|:)")


def refused(engine: Engine, scope: Scope, service: str, error: APIError) -> Failure:
    """What the engine said when a container was to be made or started, in words."""
    text = redact((error.explanation or str(error)).strip())
    what, step, code = _refusal(engine, scope, service, text, error.status_code or 0)
    return Failure(service, f"{service} can't be started: {what}", step, (text,), code)


def not_made(error: APIError) -> Failure:
    """Why a network or a volume can't be made, in words."""
    text = redact((error.explanation or str(error)).strip())
    low = text.lower()
    if "pool overlaps" in low or "non-overlapping" in low:
        step = "docker network prune removes the networks that nobody uses; or correct its `ipam`"
    elif "no space left on device" in low:
        step = "free space: docker system df tells what takes it"
    else:
        step = "correct what the engine names in the Compose file"
    return Failure("", f"a network or volume can't be made: {text.partition(chr(10))[0]}", step)


def _refusal(
    engine: Engine, scope: Scope, service: str, text: str, status: int
) -> tuple[str, str, str]:
    spec = scope.project.services[service]
    low = text.lower()
    if status == 409 and "already in use by container" in text:
        return _name_taken(engine, scope, text)
    if "port is already allocated" in text or "address already in use" in text:
        from saas_doctor.stack.docker.published import owner_of

        found = _PORT.search(text)
        owner = owner_of(engine, int(found[2])) if found else "something else"
        where = f"port {found[2]}" if found else "one of its ports"
        return f"{where} is held by {owner}", "end that, or publish another port", "NET409"
    if "executable file not found" in text or (
        "no such file or directory" in low and "exec" in low
    ):
        words = " ".join(spec.entrypoint or spec.command or ()) or "the image's own"
        return (
            f"its command is not in the image ({words})",
            "correct `command` or `entrypoint` in the Compose file, or install it in the Dockerfile; "
            "of a script that is there, the first line names what is not (or ends in \\r)",
            "",
        )
    if "exec format error" in low:
        return (*not_of_this_machine(engine, scope.image_name(service)), "")
    if "permission denied" in low and "exec" in low:
        return (
            "its command is not executable",
            "chmod +x the script (in the repository too: git update-index --chmod=+x), then build anew",
            "",
        )
    if "not a directory" in low or "are you trying to mount a directory onto a file" in low:
        return (
            "a folder is mounted on a file, or a file on a folder",
            "mostly the file was not there, and the engine made a folder of its name: "
            "remove that, make the file, and run it again",
            "",
        )
    if "bind source path does not exist" in low:
        return "what it mounts from this machine is not there", "make it, or correct the path", ""
    if "no such image" in low or "does not match the specified platform" in low:
        return "its image is not there for this platform", "pull or build it for the platform", ""
    if "could not select device driver" in low:
        return (
            "the engine has no runtime for the GPU that it asks for",
            "install the NVIDIA container toolkit, or take the device reservation out",
            "",
        )
    if "no space left on device" in low:
        return "the engine's disk is full", "free space: docker system df tells what takes it", ""
    if "network" in low and "not found" in low:
        return "its network is gone", "saas-doctor up --force-recreate", ""
    return text.partition("\n")[0], "correct what the engine names in the Compose file", ""


def _name_taken(engine: Engine, scope: Scope, text: str) -> tuple[str, str, str]:
    found = _ID.search(text)
    name = text.partition('"')[2].partition('"')[0].lstrip("/") or "its name"
    rows = engine.api.containers(all=True, filters={"id": found[1]}) if found else []
    owner = str(container_of(rows[0])) if rows else "another container"
    return (
        f"the name {name} is taken by {owner}",
        f"docker rm -f {name} removes that one; or give this one another `container_name`"
        if not rows or container_of(rows[0]).project != scope.name
        else f"docker rm -f {name}, which is a left-over of this project",
        "",
    )


def ended(engine: Engine, service: str, identity: str, waiting: str) -> Failure:
    """A container that has ended, or is unhealthy: which code, what its check and its log say."""
    import docker

    try:
        found = _settled(engine, identity)
    except docker.errors.NotFound:
        return Failure(
            service, f"{service}: its container was removed by somebody else", "run it again"
        )
    lines = log_tail(engine, identity)
    what, step, evidence = _state(service, found)
    error, code = _error(lines)
    if any("exec format error" in line for line in lines):
        why, step = not_of_this_machine(engine, found["Image"])
        what = f"{what}: {why}"
    elif any("No space left on device" in line for line in lines):
        what = f"{what}: no space is left where it writes"
    elif error and not found["State"].get("Running"):
        what = f"{what}: its log says {error[:_SHOWN]}{'...' if len(error) > _SHOWN else ''}"
    if code:
        step = f"see {code} (saas-doctor explain {code})"
    return Failure(service, f"{what}{waiting}", step, (*evidence, *lines), code)


def _settled(engine: Engine, identity: str) -> Mapping[str, Any]:
    """Its state, once the engine can know why: it hears of a want of memory at times after the end."""
    deadline = time.monotonic() + _HEARS
    while True:
        found: Mapping[str, Any] = engine.api.inspect_container(identity)
        state = found["State"]
        if state.get("ExitCode") != _KILLED or state.get("OOMKilled") or state.get("Running"):
            return found
        if time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def _state(service: str, found: Mapping[str, Any]) -> tuple[str, str, list[str]]:
    state = found["State"]
    code = int(state.get("ExitCode") or 0)
    logs = f"saas-doctor logs {service}"
    limit = found["HostConfig"].get("Memory") or 0
    most = f" (its limit is {in_words(limit)})" if limit else ""
    more = "raise `mem_limit` (or deploy.resources.limits.memory), or let it use less"
    if state.get("OOMKilled"):
        return f"{service} was ended for want of memory{most}", more, []
    health = state.get("Health") or {}
    if state.get("Running") and health.get("Status") in ("unhealthy", "starting"):
        return _health(service, found, health)
    count = int(found.get("RestartCount") or 0)
    again = f", {count} times restarted" if count else ""
    if code == _KILLED and limit:
        return (
            f"{service} was killed (code 137){again}: for want of memory{most}, or from outside",
            more,
            [],
        )
    if code == _KILLED:
        return f"{service} was killed from outside (code 137){again}", logs, []
    if code in (126, 127):
        return (
            f"{service} ended with code {code}{again}: its command was not "
            + ("found" if code == 127 else "executable"),
            "correct `command` or `entrypoint`, or the image",
            [],
        )
    return f"{service} ended with code {code}{again}", f"mend what its log says ({logs})", []


def _health(
    service: str, found: Mapping[str, Any], health: Mapping[str, Any]
) -> tuple[str, str, list[str]]:
    check = found["Config"].get("Healthcheck") or {}
    command = redact(" ".join(check.get("Test") or ()))
    evidence = [f"health check: {command}"]
    runs = health.get("Log") or ()
    if runs:
        last = runs[-1]
        output = redact(str(last.get("Output", "")).strip())
        evidence.append(
            f"its last answer (code {last.get('ExitCode')}): {output[:500] or 'nothing'}"
        )
    state = health.get("Status")
    if state == "starting":
        return (
            f"{service} is not healthy yet",
            f"raise --wait-timeout, or see saas-doctor logs {service}",
            evidence,
        )
    failing = int(health.get("FailingStreak") or 0)
    step = (
        f"make its health check pass (docker exec {found['Name'].lstrip('/')} runs it by hand); "
        "if it only needs longer, raise `start_period`"
    )
    return f"{service} is unhealthy: its health check failed {failing} times", step, evidence


def log_tail(engine: Engine, identity: str, lines: int = _LINES) -> list[str]:
    """The last lines that a container wrote, secrets masked."""
    import docker

    try:
        data = engine.api.logs(identity, tail=lines, stdout=True, stderr=True)
    except docker.errors.APIError:
        return []
    text: str = bytes(data)[-65_536:].decode("utf-8", "replace")
    return redact_lines(line.rstrip() for line in text.splitlines() if line.strip())


def _error(lines: list[str]) -> tuple[str, str]:
    """The log's last error, and the rule that it points to."""
    from saas_doctor.facts.logs import Tail, plain
    from saas_doctor.symptoms import pointed_to

    error = Tail("", plain(lines)).error
    return error, pointed_to(error) if error else ""


def not_of_this_machine(engine: Engine, image: str) -> tuple[str, str]:
    """Why the machine does not know the program's form, and what to do."""
    made_for = str(engine.api.inspect_image(image).get("Architecture"))
    machine = str(engine.api.version()["Arch"])
    if made_for == machine:
        return (
            "its command is no program of this machine, and no script with a first line `#!/bin/sh`",
            "give the script its first line, without \\r at its end",
        )
    return (
        f"its image is made for {made_for}, this engine runs {machine}",
        "build or pull the image for this machine, or set `platform`",
    )
