"""What `up` would do: which networks, volumes, images and containers are made, made anew, kept, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct

from saas_doctor.compose.hashes import config_hash
from saas_doctor.compose.spec import Project, Service
from saas_doctor.stack import Change, Failed, Failure, Options, Verb
from saas_doctor.stack.docker.create import networks, shares_with
from saas_doctor.stack.docker.engine import Engine
from saas_doctor.stack.docker.found import Existing, Row
from saas_doctor.stack.docker.images import Image
from saas_doctor.stack.docker.marks import KEYS, MADE_BY, SETTINGS, VERSION, Scope, settings

_UNCOUNTED = {"build", "pull_policy", "scale", "depends_on", "profiles"}


class Step(Struct, frozen=True):
    """What happens to one container of a service; `row` is the one that is there."""

    service: str
    number: int
    verb: Verb
    reason: str = ""
    row: Row | None = None


class Plan(Struct, frozen=True):
    """All that `up` would do. `networks` and `volumes` are the keys of those that are made."""

    services: tuple[str, ...]
    networks: tuple[str, ...]
    volumes: tuple[str, ...]
    images: Mapping[str, Image]
    steps: tuple[Step, ...]
    orphans: tuple[Row, ...] = ()
    """Those that are removed."""

    def of(self, service: str) -> list[Step]:
        return [step for step in self.steps if step.service == service]

    def changes(self, scope: Scope) -> Iterator[Change]:
        for key in self.networks:
            yield Change(Verb.CREATE, "network", scope.project.networks[key].name)
        for key in self.volumes:
            yield Change(Verb.CREATE, "volume", scope.project.volumes[key].name)
        for image in self.images.values():
            if image.verb is not Verb.KEEP:
                yield Change(image.verb, "image", image.name, image.reason)
        for step in self.steps:
            several = scope.project.services[step.service].replicas > 1
            name = f"{step.service} ({step.number})" if several else step.service
            yield Change(step.verb, "service", name, step.reason)
        for row in self.orphans:
            yield Change(Verb.REMOVE, "container", row.name, "it is an orphan")


def chosen(project: Project, options: Options) -> tuple[str, ...]:
    """The services that are meant, and without --no-deps what they need, in an order to start them in.

    Raises Failed for a name that is none, and for a circle of dependencies.
    """
    for name in options.services:
        if name not in project.services:
            known = ", ".join(sorted(project.services))
            raise Failed(
                [Failure(name, f"there is no service {name}", f"the services are {known}")]
            )
    found: dict[str, None] = {}

    def add(name: str, over: tuple[str, ...]) -> None:
        if name in over:
            circle = " -> ".join((*over[over.index(name) :], name))
            raise Failed(
                [
                    Failure(
                        name, f"the services wait for each other: {circle}", "cut one `depends_on`"
                    )
                ]
            )
        if name in found:
            return
        if options.deps:
            for need in needed(project, name):
                add(need, (*over, name))
        found[name] = None

    for name in options.services or project.services:
        add(name, ())
    return tuple(found)


def needed(project: Project, service: str) -> list[str]:
    """The services that have to be there before this one: named ones, and those it is bound to."""
    spec = project.services[service]
    linked = {link.partition(":")[0] for link in spec.links}
    names = (*spec.depends_on, *sorted(linked | shares_with(spec)))
    return [name for name in dict.fromkeys(names) if name in project.services]


def make(
    engine: Engine,
    scope: Scope,
    existing: Existing,
    services: tuple[str, ...],
    images: Mapping[str, Image],
    options: Options,
) -> Plan:
    """The plan for these services and their images, as they are now; raises Failed."""
    project = scope.project
    specs = [project.services[name] for name in services]
    steps: list[Step] = []
    renewed: set[str] = set()
    named = set(options.services or services)
    for service in services:
        image = images[scope.image_name(service)]
        found = list(
            _steps(
                engine,
                scope,
                existing,
                service,
                image,
                renewed,
                force=options.recreate and service in named,
            )
        )
        if any(step.verb in (Verb.CREATE, Verb.RECREATE) for step in found):
            renewed.add(service)
        steps += found
    return Plan(
        services,
        tuple(_missing_networks(project, specs, existing)),
        tuple(_missing_volumes(project, specs, existing)),
        images,
        tuple(steps),
        tuple(existing.orphans(scope)) if options.remove_orphans else (),
    )


def _missing_networks(
    project: Project, specs: Iterable[Service], existing: Existing
) -> Iterator[str]:
    for key in dict.fromkeys(key for spec in specs for key in networks(spec)):
        network = project.networks[key]
        if network.name in existing.networks:
            continue
        if network.external:
            raise Failed(
                [
                    Failure(
                        "",
                        f"the external network {network.name} is not there",
                        f"docker network create {network.name}, or take `external` out",
                    )
                ]
            )
        yield key


def _missing_volumes(
    project: Project, specs: Iterable[Service], existing: Existing
) -> Iterator[str]:
    used = (m.source for spec in specs for m in spec.volumes if m.type == "volume")
    for key in dict.fromkeys(key for key in used if key in project.volumes):
        volume = project.volumes[key]
        if volume.name in existing.volumes:
            continue
        if volume.external:
            raise Failed(
                [
                    Failure(
                        "",
                        f"the external volume {volume.name} is not there",
                        f"docker volume create {volume.name}, or take `external` out",
                    )
                ]
            )
        yield key


def _steps(
    engine: Engine,
    scope: Scope,
    existing: Existing,
    service: str,
    image: Image,
    renewed: set[str],
    *,
    force: bool,
) -> Iterator[Step]:
    spec = scope.project.services[service]
    by_number: dict[int, Row] = {}
    for row in existing.of(service):
        if row.number in by_number:
            yield Step(
                service, row.number, Verb.REMOVE, "there are two of it", by_number[row.number]
            )
        by_number[row.number] = row
    for number in range(1, spec.replicas + 1):
        there = by_number.pop(number, None)
        if there is None:
            yield Step(service, number, Verb.CREATE)
            continue
        reason = (
            "asked for"
            if force
            else _outdated(engine, scope, existing, there, spec, image, renewed)
        )
        if reason:
            yield Step(service, number, Verb.RECREATE, reason, there)
        elif there.state == "running":
            yield _kept(service, number, there, spec, renewed)
        else:
            yield Step(service, number, Verb.START, _stopped(there), there)
    for number, row in by_number.items():
        yield Step(service, number, Verb.REMOVE, f"there are to be {spec.replicas}", row)


def _kept(service: str, number: int, row: Row, spec: Service, renewed: set[str]) -> Step:
    """A container that is as it should be; what it depends on may be made anew under it."""
    fresh = [name for name in spec.depends_on if name in renewed]
    if again := [name for name in fresh if spec.depends_on[name].restart]:
        return Step(service, number, Verb.START, f"{again[0]} is made anew", row)
    reason = f"it keeps its connections to {fresh[0]}, which is made anew" if fresh else ""
    return Step(service, number, Verb.KEEP, reason, row)


def with_dependents(project: Project, services: Iterable[str]) -> tuple[str, ...]:
    """These, and those that ask to be restarted with them (`depends_on: {x: {restart: true}}`)."""
    found = dict.fromkeys(services)
    size = -1
    while len(found) != size:
        size = len(found)
        for name, spec in project.services.items():
            if any(need.restart and other in found for other, need in spec.depends_on.items()):
                found[name] = None
    return tuple(found)


def notes(scope: Scope, existing: Existing) -> Iterator[str]:
    """What is done in another way than the file may seem to say."""
    services = scope.project.services
    for name, spec in services.items():
        for need in spec.depends_on:
            if need in services and not services[need].replicas:
                yield f"{name} is started without {need}, of which no container is to run (scale: 0)"
    for network in scope.project.networks.values():
        there = existing.networks.get(network.name, {})
        noted = (there.get("Labels") or {}).get(SETTINGS)
        if noted and noted != settings(network):
            yield (
                f"the network {network.name} was made with other settings: it gets the new ones by "
                "saas-doctor down, then up"
            )
    for volume in scope.project.volumes.values():
        there = existing.volumes.get(volume.name, {})
        noted = (there.get("Labels") or {}).get(SETTINGS)
        if noted and noted != settings(volume):
            yield (
                f"the volume {volume.name} was made with other settings, and keeps them with its "
                f"data: docker volume rm {volume.name} drops both"
            )


def unsupported(project: Project, service: str) -> Iterator[Failure]:
    """What Compose does and `up` does not: told, never passed over."""
    spec = project.services[service]
    keys = {
        "provider": spec.provider,
        "models": spec.models,
        "pre_start": spec.pre_start,
        "post_start": spec.post_start,
        "pre_stop": spec.pre_stop,
        "credential_spec": spec.credential_spec,
        "use_api_socket": spec.use_api_socket,
        "secrets (external)": any(project.secrets[g.source].external for g in spec.secrets),
        "configs (external)": any(project.configs[g.source].external for g in spec.configs),
    }
    for key, value in keys.items():
        if value:
            yield Failure(
                service,
                f"{service} uses `{key}`, which saas-doctor up does not do",
                f"take it out, or bring this service up with `docker compose up {service}`",
            )


def _stopped(row: Row) -> str:
    if row.state == "exited" and row.exit_code == 0:
        return "it has ended, and runs again"
    return (
        f"it is {row.state}" if row.state != "exited" else f"it has ended with code {row.exit_code}"
    )


def _outdated(
    engine: Engine,
    scope: Scope,
    existing: Existing,
    row: Row,
    spec: Service,
    image: Image,
    renewed: set[str],
) -> str:
    """Why a container is not what its service says; empty where it is."""
    if row.hashed != config_hash(spec):
        return _difference(engine, row, spec)
    if image.verb is not Verb.KEEP:
        return "its image is made anew" if image.identity else "its image is not there"
    if (row.made_from or row.image) != image.identity:
        return "its image has changed"
    if row.state == "dead":
        return "it is dead"
    if bound := sorted(shares_with(spec) & renewed):
        return f"it is bound to {bound[0]}, which is made anew"
    for key in networks(spec):
        name = scope.project.networks[key].name
        there = existing.networks.get(name)
        if there is None or row.networks.get(name) not in ("", there["Id"]):
            return f"it is not in the network {name}"
    return ""


def keys_text(spec: Service) -> str:
    """A short digest of each key that counts, for the label by which a change is explained."""
    return " ".join(f"{key}:{digest}" for key, digest in _keys(spec).items())


def _keys(spec: Service) -> dict[str, str]:
    given = msgspec.to_builtins(spec)
    return {
        key: sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()[:8]
        for key, value in sorted(given.items())
        if key not in _UNCOUNTED and value is not None
    }


def _difference(engine: Engine, row: Row, spec: Service) -> str:
    """What has changed since the container was made."""
    noted = row.labels.get(KEYS)
    if noted is None:
        version = row.labels.get(VERSION, "")
        by = row.labels.get(MADE_BY)
        if by is None and version.startswith("1."):
            return f"docker-compose {version} made it, which notes its configuration in another way"
        return "its configuration has changed since Compose made it"
    before = dict(part.split(":", 1) for part in noted.split() if ":" in part)
    now = _keys(spec)
    changed = [key for key in sorted({*before, *now}) if before.get(key) != now.get(key)]
    if not changed:
        return "its configuration was noted in another way"
    told = [
        f"{key} ({names})" if (names := _variables(engine, row, spec, key)) else key
        for key in changed
    ]
    return f"changed: {', '.join(told)}"


def _variables(engine: Engine, row: Row, spec: Service, key: str) -> str:
    """The names of the variables that are new or other; what was taken out can't be told from the image's."""
    if key != "environment":
        return ""
    found: Mapping[str, Any] = engine.api.inspect_container(row.identity)
    old = dict(entry.partition("=")[::2] for entry in found["Config"].get("Env") or ())
    changed = [name for name, value in spec.environment.items() if old.get(name) != value]
    return ", ".join(changed[:3]) + (", ..." if len(changed) > 3 else "")
