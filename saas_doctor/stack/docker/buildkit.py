"""Builds that only BuildKit can do: told before the build, and handed to Docker's own command."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping

from saas_doctor.compose.spec import Build
from saas_doctor.stack.docker.context import Context, Unbuildable
from saas_doctor.stack.docker.engine import Engine

_ASK = 20
"""Seconds for a question about versions."""


def needs(context: Context) -> str:
    """What the classic builder does not know, with its place; empty where it can do the build."""
    only = context.dockerfile.buildkit_only
    if only:
        instruction, what = only[0]
        return f"{context.where}:{instruction.line}: {what}"
    build = context.build
    keys = {
        "secrets": build.secrets,
        "ssh": build.ssh,
        "additional_contexts": build.additional_contexts,
        "platforms": build.platforms,
        "cache_to": build.cache_to,
        "no_cache_filter": build.no_cache_filter,
        "entitlements": build.entitlements,
    }
    used = next((key for key, value in keys.items() if value), "")
    return f"build.{used} in the Compose file" if used else ""


def command(engine: Engine, context: Context, what: str) -> tuple[list[str], dict[str, str]]:
    """The command that builds it, and its environment; raises Unbuildable with the way out."""
    if context.build.secrets or context.build.ssh:
        raise Unbuildable(
            f"{what} is not passed on by saas-doctor",
            "build the image with `docker compose build`; `saas-doctor up` then takes it",
        )
    environ = dict(engine.environ)
    version = str(engine.api.version()["Version"])
    if _is_before_23(version) and not context.dockerfile.syntax and context.dockerfile.has_heredocs:
        raise Unbuildable(
            f"{what}: the engine ({version}) knows no heredocs by itself",
            "begin the Dockerfile with the line `# syntax=docker/dockerfile:1`, or take an engine from 23 on",
            "DOCK606",
        )
    if _answer(["docker", "buildx", "version"], environ):
        return ["docker", "buildx", "build", "--load", "--progress=plain"], environ
    client = _answer(["docker", "version", "--format", "{{.Client.Version}}"], environ)
    # The clients before 23 have a BuildKit of their own.
    if client and _is_before_23(client):
        return ["docker", "build", "--progress=plain"], {**environ, "DOCKER_BUILDKIT": "1"}
    has = f"docker {client} is here without it" if client else "there is no docker command here"
    raise Unbuildable(
        f"{what} needs BuildKit, which the engine's own builder is not, and {has}",
        "install the buildx plugin (https://docs.docker.com/build/install-buildx/; "
        "on Debian: apt install docker-buildx), or write the line without it",
        "DOCK606",
    )


def _is_before_23(version: str) -> bool:
    major = version.partition(".")[0]
    return major.isdecimal() and int(major) < 23


def options(
    context: Context,
    tags: tuple[str, ...],
    args: Mapping[str, str | None],
    labels: Mapping[str, str],
) -> Iterator[str]:
    """The options of the command for this build; the context comes last."""
    build: Build = context.build
    yield from ("--file", "-" if build.dockerfile_inline else str(context.path))
    for tag in tags:
        yield from ("--tag", tag)
    for name, value in args.items():
        yield from ("--build-arg", name if value is None else f"{name}={value}")
    for name, text in labels.items():
        yield from ("--label", f"{name}={text}")
    for name, place in build.additional_contexts.items():
        yield from ("--build-context", f"{name}={place}")
    for option, values in (
        ("--cache-from", build.cache_from),
        ("--cache-to", build.cache_to),
        ("--add-host", build.extra_hosts),
        ("--platform", (",".join(build.platforms),) if build.platforms else ()),
        ("--target", (build.target,) if build.target else ()),
        ("--network", (build.network,) if build.network else ()),
    ):
        for value in values:
            yield from (option, value)
    yield str(context.folder)


def _answer(words: list[str], environ: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(
            words, env=dict(environ), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=_ASK, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    # `docker version` fails where the engine does not answer, and tells its own version all the same.
    return done.stdout.strip() if done.returncode == 0 or words[1] == "version" else ""
