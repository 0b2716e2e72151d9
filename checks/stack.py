"""The platform's containers as they stand on the engine: ended, unhealthy, looping, old, another's."""

from __future__ import annotations

import time
from collections.abc import Iterator

from saas_doctor.facts.containers import OwnContainer
from saas_doctor.facts.image_age import ImageAge
from saas_doctor.facts.own_stack import OwnStack, has_failed, is_looping
from saas_doctor.model import Finding, Severity
from saas_doctor.redact import redact
from saas_doctor.report.sizes import in_words
from saas_doctor.rules import check
from saas_doctor.symptoms import pointed_to

_NEEDS = ("DOCK601", "DOCK602", "DOCK620", "DOCK621")
_SHOWN = 300
"""Characters of an output that a finding shows."""


@check(
    "DOCK624",
    needs=_NEEDS,
    symptoms=(
        r"(?P<name>\S+) exited with code (?!0\b)\d+",
        r"container (?P<name>\S+) exited \((?!0\))\d+\)",
        r"service \"(?P<name>[^\"]+)\" didn't complete successfully: exit (?!0)\d+",
    ),
)
def container_ended(stack: OwnStack) -> Iterator[Finding]:
    """A container of the platform has ended with an error, or could not be started.

    **Detected** by what the engine tells of it: its exit code, whether the machine's or its own
    memory ran out (`OOMKilled`), why it could not be started; its log's last error is the reason.
    **Fixed**, where it ended with a code of its own, by starting it once more, as what it needed may
    be there by now. It counts as fixed when it is healthy, or still runs after some seconds; else it
    is stopped again, and the reason has to be mended. `undo` stops it.
    **Silent** about one that was done (code 0), or was told to end (`docker stop`: 0, 137, 143), that
    was never started, that ended with the engine, whose port is served by something else now, that
    only a profile starts, and about one-off containers (`run`).
    """
    for service, container in stack.members:
        if not has_failed(container) or stack.served_otherwise(service):
            continue
        yield _ended(stack, container)


def _ended(stack: OwnStack, container: OwnContainer) -> Finding:
    condition, code = container.condition, container.exit_code
    log = "" if container.state == "created" else stack.error(container)
    reason = redact(condition.error or log)
    points_to = pointed_to(reason) if reason else ""
    data: dict[str, str] = {}
    if condition.out_of_memory:
        most = (
            f" (its limit is {in_words(condition.memory_limit)})" if condition.memory_limit else ""
        )
        what = f"was ended for want of memory{most}"
        step = f"raise mem_limit of {container.service} in the Compose file, or let it use less"
    elif container.state == "created":
        what, step = "could not be started", "mend that, then saas-doctor up"
    else:
        what = f"ended with code {code}"
        step = (
            f"see saas-doctor logs {container.service}; saas-doctor fix --select DOCK624 starts it"
        )
        data = {"identity": container.identity, "name": container.name}
    if points_to and points_to != "DOCK624":
        step = f"see {points_to} (saas-doctor explain {points_to}); {step}"
    return Finding(
        f"{container.name} {what}" + (f": {_short(reason)}" if reason else ""),
        looked_at=f"docker inspect {container.name}",
        found=f"{container.state}, code {code}",
        wanted="running, or done with code 0",
        target=container.service,
        next_step=step,
        data=data,
        more={"log": reason} if reason else {},
    )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."


@check(
    "DOCK625",
    needs=_NEEDS,
    symptoms=(
        r"container (?P<name>\S+) is unhealthy",
        r"dependency failed to start: container (?P<name>\S+)",
    ),
)
def container_unhealthy(stack: OwnStack) -> Iterator[Finding]:
    """A container of the platform runs, and its health check fails.

    What waits for it with `condition: service_healthy` is not started.

    **Detected** by the engine, which asks the health check; its command and its last answer are
    shown, as Compose does not.
    **To mend** it, make the check pass: `docker exec` runs it by hand. If the program only hangs,
    `saas-doctor restart SERVICE`; if it needs longer to come up, raise `start_period`.
    **Silent** while it is only starting, and about one-off containers.
    """
    for _, container in stack.members:
        condition = container.condition
        if container.state != "running" or condition.health != "unhealthy":
            continue
        command, answer = (redact(text) for text in condition.probe)
        yield Finding(
            f"{container.name} is unhealthy: its health check failed {condition.failing} times",
            looked_at=f"docker inspect {container.name}",
            found=f"{_short(answer)}",
            wanted=f"code 0 of {command}",
            target=container.service,
            next_step=f"make it pass (docker exec {container.name} ... runs it by hand), or, if the "
            f"program hangs: saas-doctor restart {container.service}",
            more={"log": error} if (error := redact(stack.error(container))) else {},
        )


@check("DOCK626", needs=_NEEDS, symptoms=(r"Restarting \((?P<code>\d+)\)", r"is restarting, wait"))
def container_restarts(stack: OwnStack) -> Iterator[Finding]:
    """A container of the platform ends and is started again, over and over.

    Its restart policy hides the error: it looks as if it ran.

    **Detected** by the number of restarts that the engine counts (three at least) while it waits for
    the next one, or has just begun to run again; its log's last error is the reason.
    **To mend** it, mend what its log says.
    **Silent** about one that has run for a while since it was started last.
    """
    for _, container in stack.members:
        if not is_looping(container):
            continue
        condition = container.condition
        error = redact(stack.error(container))
        points_to = pointed_to(error) if error else ""
        memory = ", for want of memory" if condition.out_of_memory else ""
        step = f"mend what its log says: saas-doctor logs {container.service}"
        yield Finding(
            f"{container.name} ends again and again (code {container.exit_code}{memory})"
            + (f": {_short(error)}" if error else ""),
            looked_at=f"docker inspect {container.name}",
            found=f"{container.state}, restarted {condition.restarts} times",
            wanted="one that keeps running",
            target=container.service,
            next_step=f"see {points_to} (saas-doctor explain {points_to}); {step}"
            if points_to
            else step,
            more={"log": error} if error else {},
        )


@check("DOCK627", severity=Severity.WARNING, needs=_NEEDS)
def container_is_old(images: ImageAge) -> Iterator[Finding]:
    """A container of the platform runs an older image than the code, or than its image's name.

    What was changed since is not what runs: an error that is mended stays, a new route answers 404.

    **Detected** by bytes: the files of code that the Dockerfile copies and that were changed since
    the image was built are read in the container as well. And by the image's name, which means
    another image than the container was made from, since it was built or pulled anew.
    **To mend** it, `saas-doctor up --build SERVICE` (`saas-doctor up` for one that is built already).
    **Silent** where the code is mounted into the container, where a file was only touched or lies as
    it was built, about what `.dockerignore` leaves out, and about what a build stage makes of the code.
    """
    for old in images.old:
        container, name = old.container, old.container.condition.image_name
        if old.files:
            more = f" and {len(old.files) - 1} more" if len(old.files) > 1 else ""
            what = f"was built before {old.files[0]}{more} changed"
            step = f"saas-doctor up --build {container.service}"
        else:
            what = f"is not what {name} means by now"
            step = f"saas-doctor up {container.service}"
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(old.built))
        yield Finding(
            f"{container.name} runs an old image: it {what}",
            looked_at=f"{container.name} and its image {name}",
            found=f"an image of {since}",
            wanted=", ".join(old.files) + " as in the platform" if old.files else f"that of {name}",
            target=container.service,
            next_step=step,
        )


@check(
    "DOCK628",
    severity=Severity.WARNING,
    needs=_NEEDS,
    symptoms=(
        r"Found orphan containers \(\[?(?P<names>[^\])]+)",
        r"the project name (?P<name>\S+) is taken by the stack in",
    ),
)
def project_name_taken(stack: OwnStack) -> Iterator[Finding]:
    """The stack of another folder has the same project name.

    Compose takes its containers for those of this file: `up` makes them anew with this one's
    settings, and `down -v` removes them with their data.

    **Detected** by the label with the folder, on the containers of this project's name.
    **To mend** it, name this one otherwise: `COMPOSE_PROJECT_NAME` in its `.env`, or `name:` in the
    Compose file.
    **Silent** about containers of a folder that is not there any more.
    """
    if not stack.strangers:
        return
    folders = sorted({stranger.folder for stranger in stack.strangers})
    names = ", ".join(sorted(stranger.name for stranger in stack.strangers)[:3])
    yield Finding(
        f"the project name {stack.name} is that of the stack in {', '.join(folders)} as well",
        looked_at=f"containers of project {stack.name}",
        found=names,
        wanted="a name of its own",
        target=stack.name,
        next_step=f"write COMPOSE_PROJECT_NAME={stack.name}2 (or another name) into "
        f"{stack.compose.project.folder / '.env'}",
    )
