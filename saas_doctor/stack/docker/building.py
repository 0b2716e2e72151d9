"""Builds an image, by the engine's own builder or by Docker's command, and tells why it can't be built."""

from __future__ import annotations

import re
import subprocess
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from saas_doctor.compose.spec import Build
from saas_doctor.redact import redact, redact_lines
from saas_doctor.stack import Failed, Failure, Say
from saas_doctor.stack.docker import buildkit
from saas_doctor.stack.docker.context import Context, Unbuildable
from saas_doctor.stack.docker.engine import Engine
from saas_doctor.stack.docker.images import Image, arguments, inspected, parted, unbuildable
from saas_doctor.stack.docker.marks import CONTEXT, Scope

_STEP = re.compile(r"Step (\d+)/(\d+) : (.*)")
_STAGE = re.compile(r"#\d+ (\[[^\]]*\d/\d+\] .*)")
"""How BuildKit tells of a step: `#5 [stage-0 2/2] RUN ...`."""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_TAIL = 20
_BUILDER_SETS = ("TARGETPLATFORM", "TARGETOS", "TARGETARCH", "TARGETVARIANT")


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
        engine.api.tag(image.name, *parted(tag))
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
        tuple(redact_lines(tail[-_TAIL:])), code,
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
