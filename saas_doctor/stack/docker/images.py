"""The images that the services run: which are pulled or built and why, and pulling them with its progress."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from saas_doctor.compose.spec import Build
from saas_doctor.redact import redact
from saas_doctor.stack import Failed, Failure, Say, Verb
from saas_doctor.stack.docker.context import Context, Unbuildable
from saas_doctor.stack.docker.engine import Engine
from saas_doctor.stack.docker.marks import CONTEXT, Scope

_TELL = 5.0
"""Seconds between two words about the progress of one pull."""
_AGES = {"daily": 86_400.0, "weekly": 604_800.0}


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
    repository, tag = parted(image.name)
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


def parted(name: str) -> tuple[str, str | None]:
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
