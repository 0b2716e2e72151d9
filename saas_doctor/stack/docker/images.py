"""The images that the services run: which are pulled or built, why, and doing it with its progress."""

from __future__ import annotations

import re
import subprocess
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from msgspec import Struct

from saas_doctor.compose.spec import Build
from saas_doctor.redact import redact
from saas_doctor.stack import Failed, Failure, Say, Verb
from saas_doctor.stack.docker import buildkit
from saas_doctor.stack.docker.context import Context, Unbuildable
from saas_doctor.stack.docker.engine import Engine
from saas_doctor.stack.docker.marks import CONTEXT, Scope

_STEP = re.compile(r"Step (\d+)/(\d+) : (.*)")
_STAGE = re.compile(r"#\d+ (\[[^\]]*\d/\d+\] .*)")
"""How BuildKit tells of a step: `#5 [stage-0 2/2] RUN ...`."""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_TAIL = 20
_TELL = 5.0
"""Seconds between two words about the progress of one pull."""
_AGES = {"daily": 86_400.0, "weekly": 604_800.0}
_BUILDER_SETS = ("TARGETPLATFORM", "TARGETOS", "TARGETARCH", "TARGETVARIANT")


class Image(Struct, frozen=True):
    """An image that services run. `identity` is that of the one that is there, or empty.

    `verb` is KEEP, PULL or BUILD; `digest` that of what it would be built from.
    """

    name: str
    services: tuple[str, ...]
    identity: str = ""
    verb: Verb = Verb.KEEP
    reason: str = ""
    digest: str = ""


def wanted(
    engine: Engine, scope: Scope, services: Iterable[str], *, build: bool
) -> dict[str, Image]:
    """What is to be done for the images of these services, by the images' names; raises Failed."""
    users: dict[str, list[str]] = {}
    for service in services:
        users.setdefault(scope.image_name(service), []).append(service)
    return {
        name: _wanted(engine, scope, name, tuple(names), build=build)
        for name, names in users.items()
    }


def _wanted(
    engine: Engine, scope: Scope, name: str, services: tuple[str, ...], *, build: bool
) -> Image:
    specs = scope.project.services
    builder = next((s for s in services if specs[s].build), "")
    there = inspected(engine, name)
    identity = there["Id"] if there else ""
    policy = next((specs[s].pull_policy for s in services if specs[s].pull_policy), "")
    if not builder:
        verb, reason = _pulled(there, policy, services[0], name)
        return Image(name, services, identity, verb, reason)
    try:
        context = Context.of(specs[builder].build or Build())
        digest = context.digest(arguments(context.build))
    except (Unbuildable, OSError) as error:
        if there and not build:
            return Image(name, services, identity)  # it can be run, if not made again
        raise Failed([unbuildable(builder, error)]) from None
    labelled = ((there or {}).get("Config") or {}).get("Labels") or {}
    made_of = labelled.get(CONTEXT, "")
    if there is None:
        reason = "it is not there"
    elif build or policy == "build":
        reason = "asked for"
    elif made_of and made_of != digest:
        reason = "its Dockerfile or what goes into it has changed"
    else:
        return Image(name, services, identity, digest=digest)
    return Image(name, services, identity, Verb.BUILD, reason, digest)


def _pulled(
    there: Mapping[str, Any] | None, policy: str, service: str, name: str
) -> tuple[Verb, str]:
    if there is None:
        if policy == "never":
            raise Failed(
                [
                    Failure(
                        service,
                        f"{service} can't run: its image {name} is not there, and pull_policy is never",
                        f"docker pull {name}, or take `pull_policy: never` out of the Compose file",
                    )
                ]
            )
        return Verb.PULL, "it is not there"
    if policy == "always":
        return Verb.PULL, "pull_policy is always"
    if policy in _AGES:
        from saas_doctor.stack.docker.found import moment

        tagged = moment(str((there.get("Metadata") or {}).get("LastTagTime") or ""))
        if tagged is None or time.time() - tagged.timestamp() > _AGES[policy]:
            return Verb.PULL, f"pull_policy is {policy}"
    return Verb.KEEP, ""


def origin(scope: Scope, image: Image) -> str:
    """Where an image comes from: builds of one context have their steps up to the first RUN in common.

    What they run first is mostly the installation of packages, the longest step of all.
    """
    spec = next((b for s in image.services if (b := scope.project.services[s].build)), None)
    if image.verb is not Verb.BUILD or spec is None:
        return image.name
    steps = [f"{i.name} {i.text}" for i in Context.of(spec).dockerfile.instructions]
    until = next((at for at, step in enumerate(steps, 1) if step.startswith("RUN ")), len(steps))
    return "\0".join((spec.context, *steps[:until]))


def inspected(engine: Engine, name: str) -> Mapping[str, Any] | None:
    """What the engine tells of an image; None where it is not there."""
    import docker

    try:
        found: Mapping[str, Any] = engine.api.inspect_image(name)
    except docker.errors.ImageNotFound:
        return None
    return found


def arguments(build: Build) -> dict[str, str | None]:
    """The build's arguments; one without a value is left to the Dockerfile."""
    return {name: value for name, value in build.args.items() if value is not None}


def unbuildable(service: str, error: Exception) -> Failure:
    step, code = "make it readable", "DOCK604"
    if isinstance(error, Unbuildable):
        step, code = error.next_step, error.code
    return Failure(service, f"{service} can't be built: {error}", step, code=code)


def pull(engine: Engine, image: Image, platform: str, say: Say) -> str:
    """Pull an image and give its id; raises Failed."""
    import docker

    name = image.services[0]
    say(name, f"pulling {image.name}")
    repository, tag = _parted(image.name)
    layers: dict[str, tuple[int, int]] = {}
    told = time.monotonic()
    try:
        for item in engine.api.pull(
            repository, tag=tag, stream=True, decode=True, platform=platform or None
        ):
            if "error" in item:
                raise Failed([_not_pulled(image, str(item["error"]))])
            detail = item.get("progressDetail") or {}
            if detail.get("total"):
                layers[item["id"]] = (int(detail.get("current", 0)), int(detail["total"]))
            if layers and time.monotonic() - told > _TELL:
                told = time.monotonic()
                done, total = (sum(sizes) for sizes in zip(*layers.values(), strict=True))
                say(name, f"pulling {image.name}: {100 * done // total} %")
    except docker.errors.APIError as error:
        if image.identity:
            say(name, f"{image.name} could not be pulled, the one that is here is taken")
            return image.identity
        raise Failed([_not_pulled(image, error.explanation or str(error))]) from None
    found = inspected(engine, image.name)
    return str(found["Id"]) if found else ""


def _parted(name: str) -> tuple[str, str | None]:
    if "@" in name:
        return name, None
    from docker.utils import parse_repository_tag

    repository, tag = parse_repository_tag(name)
    return repository, tag or "latest"


def _not_pulled(image: Image, text: str) -> Failure:
    service = image.services[0]
    if "not found" in text or "manifest unknown" in text or "does not exist" in text:
        step = f"correct `image: {image.name}` in the Compose file (docker login, if it is a private one)"
    elif "unauthorized" in text or "denied" in text:
        step = "docker login to its registry, or correct the name"
    elif "no matching manifest" in text or "platform" in text:
        step = "take an image that is made for this machine's architecture, or set `platform`"
    else:
        step = "look at the network, the engine's proxy and the registry; then run it again"
    return Failure(
        service,
        f"{service} can't run: its image {image.name} can't be pulled",
        step,
        (redact(text),),
    )


def build(
    engine: Engine,
    scope: Scope,
    image: Image,
    say: Say,
    log: Path,
    *,
    no_cache: bool = False,
) -> str:
    """Build an image, its log kept in that file, and give its id; raises Failed."""
    service = next(s for s in image.services if scope.project.services[s].build)
    spec = scope.project.services[service].build or Build()
    say(service, f"building {image.name}" + (f": {image.reason}" if image.reason else ""))
    try:
        context = Context.of(spec)
        labels = {**spec.labels, **scope.image_labels(service), CONTEXT: image.digest}
        with log.open("w", encoding="utf-8", buffering=1) as file:
            if what := buildkit.needs(context):
                words, variables = buildkit.command(engine, context, what)
                extra = ["--no-cache"] if no_cache or spec.no_cache else []
                extra += ["--pull"] if spec.pull else []
                tags = (image.name, *spec.tags)
                words += [*extra, *buildkit.options(context, tags, arguments(spec), labels)]
                _by_command(service, context, words, variables, say, file)
            else:
                lines = _classic(engine, image, context, labels, no_cache=no_cache)
                _by_engine(service, context, lines, say, file)
    except Unbuildable as error:
        raise Failed([unbuildable(service, error)]) from None
    except OSError as error:
        raise Failed([unbuildable(service, error)]) from None
    found = inspected(engine, image.name)
    if found is None:
        raise Failed(
            [Failure(service, f"{service}: the build made no image {image.name}", f"see {log}")]
        )
    for tag in spec.tags:
        engine.api.tag(image.name, *_parted(tag))
    return str(found["Id"])


def _classic(
    engine: Engine, image: Image, context: Context, labels: Mapping[str, str], *, no_cache: bool
) -> Iterator[Mapping[str, Any]]:
    spec = context.build
    archive, name = context.archive()
    args = dict(arguments(spec))
    declared = {
        word.partition("=")[0]
        for i in context.dockerfile.instructions
        if i.name == "ARG"
        for word in i.words
    }
    if declared & set(_BUILDER_SETS):
        # The classic builder leaves these empty, and says nothing of it.
        version = engine.api.version()
        known = {"TARGETOS": version["Os"], "TARGETARCH": version["Arch"], "TARGETVARIANT": ""}
        known["TARGETPLATFORM"] = f"{version['Os']}/{version['Arch']}"
        args = {**{key: known[key] for key in _BUILDER_SETS if key in declared}, **args}
    hosts = dict(entry.replace("=", ":", 1).split(":", 1) for entry in spec.extra_hosts)
    with archive:
        yield from engine.api.build(
            fileobj=archive,
            custom_context=True,
            dockerfile=name,
            tag=image.name,
            labels=dict(labels),
            buildargs=args,
            nocache=no_cache or spec.no_cache,
            pull=spec.pull,
            rm=True,
            forcerm=True,
            decode=True,
            target=spec.target or None,
            network_mode=spec.network or None,
            cache_from=list(spec.cache_from) or None,
            extra_hosts=hosts or None,
            shmsize=int(spec.shm_size) if spec.shm_size else None,
            isolation=spec.isolation or None,
        )


def _by_engine(
    service: str,
    context: Context,
    answers: Iterator[Mapping[str, Any]],
    say: Say,
    log: TextIO,
) -> None:
    """Follow the classic builder; raises Failed with the step, its line and the end of the log."""
    import docker

    step: re.Match[str] | None = None
    tail: list[str] = []
    problem = ""
    count = len(context.dockerfile.instructions)
    try:
        for answer in answers:
            text = str(answer.get("stream") or answer.get("status") or "")
            problem = str(answer.get("error") or problem)
            log.write(text if text.endswith("\n") or "stream" in answer else f"{text}\n")
            for line in filter(None, map(str.rstrip, _COLOUR.sub("", text).splitlines())):
                if found := _STEP.match(line):
                    step, tail = found, []
                    # Behind the Dockerfile's own steps come those for the labels.
                    if int(found[1]) <= count:
                        say(service, f"step {found[1]}/{count}: {redact(found[3])[:100]}")
                tail.append(line)
    except docker.errors.APIError as error:
        problem = error.explanation or str(error)
    if problem:
        log.write(f"{problem}\n")
        raise Failed([_not_built(service, context, step, problem, tail, log.name)])


def _not_built(
    service: str,
    context: Context,
    step: re.Match[str] | None,
    problem: str,
    tail: list[str],
    log: str,
) -> Failure:
    where = context.where
    if step and int(step[1]) <= len(context.dockerfile.instructions):
        where = f"{where}:{context.dockerfile.instructions[int(step[1]) - 1].line}"
    from saas_doctor.symptoms import pointed_to

    what = f"{service} can't be built: {where}: {redact(problem.strip().splitlines()[0])}"
    seen = "\n".join((*tail, problem))
    code = pointed_to(seen)
    if "COPY failed" in problem or "ADD failed" in problem:
        code, advice = (
            "DOCK605",
            f"put it into the context {context.folder}, or let .dockerignore have it",
        )
    elif "pull access denied" in problem or "manifest" in problem or "no such host" in problem:
        advice = "look at the name behind FROM, at the network and the registry"
    elif "parse error" in problem:
        advice = f"correct {where}"
    elif "no space left on device" in seen.lower():
        advice = "free space on the engine's disk: docker system df tells what takes it"
    else:
        advice = "mend the step that failed"
    return Failure(
        service, what, f"{advice}; the whole log is in {log}",
        tuple(redact(line) for line in tail[-_TAIL:]), code,
    )  # fmt: skip


_COMMANDS: set[subprocess.Popen[str]] = set()


def end_commands() -> None:
    """End the builds by Docker's own command, which would outlive this program."""
    for process in tuple(_COMMANDS):
        process.kill()


def _by_command(
    service: str,
    context: Context,
    words: list[str],
    variables: Mapping[str, str],
    say: Say,
    log: TextIO,
) -> None:
    """Build with Docker's own command; an inline Dockerfile goes in by its standard input."""
    process = subprocess.Popen(
        words,
        env=dict(variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    _COMMANDS.add(process)
    tail: deque[str] = deque(maxlen=_TAIL)
    problem = f"{' '.join(words[:2])} failed"
    with process:
        if process.stdin and context.build.dockerfile_inline:
            process.stdin.write(context.build.dockerfile_inline)
        if process.stdin:
            process.stdin.close()
        for line in process.stdout or ():
            log.write(line)
            tail.append(line.rstrip())
            if found := _STAGE.match(line):
                say(service, redact(found[1])[:100])
            if line.startswith("ERROR: "):
                problem = line.removeprefix("ERROR: ")
    _COMMANDS.discard(process)
    if process.returncode:
        raise Failed([_not_built(service, context, None, problem, list(tail), log.name)])
