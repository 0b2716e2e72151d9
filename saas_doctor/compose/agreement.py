"""What Compose refuses of a service whose every value is valid: two that contradict each other."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.compose.nodes import Node, Problem, at
from saas_doctor.compose.spec import Service


def contradictions(name: str, service: Service, node: Node) -> Iterator[Problem]:
    for key, other in _twice(service):
        yield at(
            node.get(key) or node,
            f"services.{name}.{key} and services.{name}.{other} are not the same: give one of them",
            key,
        )
    if not (service.image or service.build or service.provider):
        yield at(
            node.get("image") or node, f"services.{name} has neither `image` nor `build`", "image"
        )
    if service.replicas < 0:
        yield at(
            node.get("scale") or node.get("deploy") or node,
            f"services.{name} can't run fewer than 0 times",
        )
    mounted: set[str] = set()
    for target in (
        *(t.partition(":")[0] for t in service.tmpfs),
        *(m.target for m in service.volumes),
    ):
        if target in mounted:
            place = node.get("volumes") or node.get("tmpfs") or node
            yield at(place, f"services.{name} mounts two things at {target}", target)
        mounted.add(target)
    build = service.build
    if build and build.platforms and service.platform not in ("", *build.platforms):
        yield at(
            node.get("platform") or node,
            f"services.{name}.platform {service.platform} is not one of build.platforms",
        )


def _twice(service: Service) -> Iterator[tuple[str, str]]:
    """The keys that stand in the service and below `deploy`, and differ."""
    deploy = service.deploy
    if deploy is None:
        return
    if None not in (service.scale, deploy.replicas) and service.scale != deploy.replicas:
        yield "scale", "deploy.replicas"
    limits, reserved = deploy.resources.limits, deploy.resources.reservations
    if limits:
        if service.cpus and service.cpus != limits.cpus:
            yield "cpus", "deploy.resources.limits.cpus"
        if service.mem_limit and service.mem_limit != limits.memory:
            yield "mem_limit", "deploy.resources.limits.memory"
        if service.pids_limit and service.pids_limit != limits.pids:
            yield "pids_limit", "deploy.resources.limits.pids"
    if reserved and service.mem_reservation and service.mem_reservation != reserved.memory:
        yield "mem_reservation", "deploy.resources.reservations.memory"
