"""The containers of the Compose file: their ports, what they wait for, their data."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator

from saas_doctor.actions.files import EditFile
from saas_doctor.compose.edit import inserted_after, replaced
from saas_doctor.compose.model import HEALTHY, Service
from saas_doctor.compose.nodes import Node
from saas_doctor.compose.values import items
from saas_doctor.facts.builds import Builds
from saas_doctor.facts.compose import Compose
from saas_doctor.facts.images import checks_no_health, store_of
from saas_doctor.facts.volumes import Clusters
from saas_doctor.model import Finding, Place, Severity, Undecided
from saas_doctor.rules import check

_ANYWHERE = {"", "0.0.0.0", "::"}
_SEXAGESIMAL = re.compile(r"[1-9][0-9_]*(:[0-5]?[0-9])+")


@check(
    "DOCK607",
    needs=("DOCK601",),
    symptoms=(
        r"Bind for \S+:(?P<port>\d+) failed: port is already allocated",
        r"failed to bind host port (?:for )?\S+:(?P<port>\d+)",
    ),
)
def port_published_twice(compose: Compose) -> Iterator[Finding]:
    """Two entries of the Compose file publish the same port of this machine.

    The first container gets it, the second does not start: `port is already allocated`.

    **Detected** in `ports` of the services that `docker compose up` starts, ranges counted out.
    **To mend** it, publish one of them at another port, or not at all: containers reach each other
    without.
    **Silent** where the protocols or the addresses differ, for a range out of which Docker takes a
    free port, for services that only profiles start, and for those in the machine's own network.
    """
    taken = [
        (service, port, number)
        for service in compose.services.values()
        if service.active and not service.network_mode
        for port in service.ports
        for number in port.numbers
    ]
    told: set[tuple[int, int]] = set()
    for one, other in itertools.combinations(taken, 2):
        (first, a, number), (second, b, again) = one, other
        pair = (id(a.node), id(b.node))
        if number != again or a.protocol != b.protocol or pair in told or a.node is b.node:
            continue
        if a.host != b.host and not {a.host, b.host} & _ANYWHERE:
            continue
        told.add(pair)
        yield Finding(
            f"port {number} of this machine is published twice: by {first.name} and {second.name}",
            looked_at=f"{a.node.place}, {b.node.place}",
            found=f"{a.node.text or number} and {b.node.text or number}",
            wanted="a port of its own for each",
            target=f"{number}/{a.protocol} {second.name}",
            place=b.node.place,
            next_step=f"publish {second.name} at another port in {b.node.place}",
        )


@check(
    "DOCK608",
    needs=("DOCK601", "DOCK602"),
    symptoms=(
        r"container (?P<container>\S+) has no healthcheck configured",
        r"for (?P<service>\S+)\s+(?:Container|Service) .* (?:has no healthcheck|No such healthcheck)",
    ),
)
def waits_for_no_health_check(compose: Compose, builds: Builds) -> Iterator[Finding]:
    """A service waits until another is healthy, and nothing checks that one's health.

    Compose then gives up: `dependency failed to start: container ... has no healthcheck
    configured`.

    **Detected** where `condition: service_healthy` names a service without a `healthcheck`, and
    with an image that is known to have none: Docker's official ones, or one that is built here on
    such a one without a HEALTHCHECK; and where the check is taken away (`disable: true`, `NONE`).
    **Fixed** for Postgres, Redis, Valkey and RabbitMQ: their own question whether they are ready is
    added as health check; `undo` takes it out. For others, add the question that fits.
    **Silent** about images whose own health check is not known, and about `required: false`.
    """
    done: set[str] = set()
    for service in compose.services.values():
        for dependency in service.depends_on.values():
            other = compose.services.get(dependency.name)
            if dependency.condition != HEALTHY or not dependency.required or other is None:
                continue
            reason = _unchecked(other, builds)
            if not reason or other.name in done:
                continue
            done.add(other.name)
            store = store_of(other.image)
            question = store.health if store and other.healthcheck is None else ()
            edit = _health_check(other, question) if question else None
            yield Finding(
                f"{service.name} waits until {other.name} is healthy, and {reason}",
                looked_at=f"{dependency.node.place}, {other.place}",
                found=reason,
                wanted=f"a `healthcheck` for {other.name}",
                target=other.name,
                place=dependency.node.place,
                next_step="saas-doctor fix --select DOCK608 adds one"
                if edit
                else f"add a `healthcheck` to {other.name} ({other.place}), "
                "or wait with `condition: service_started`",
                severity=None if service.active else Severity.WARNING,
                data={"no_fix": edit is None, "edit": edit},
            )


def _health_check(service: Service, question: tuple[str, ...]) -> EditFile | None:
    lines = [
        "healthcheck:",
        f"  test: {json.dumps(question)}",
        "  interval: 5s",
        "  timeout: 5s",
        "  retries: 20",
    ]
    return inserted_after(service.node, "image", lines, f"a health check for {service.name}")


def _unchecked(service: Service, builds: Builds) -> str:
    """Why the service is surely never healthy; empty where it may be."""
    if service.health_is_checked is False:
        return (
            f"its health check is taken away ({service.healthcheck and service.healthcheck.place})"
        )
    if service.health_is_checked or "$" in service.image:
        return ""
    build = builds.of(service.name)
    if build is None:
        known = service.known("image")
        return f"the image {known} checks no health" if known and checks_no_health(known) else ""
    if build.dockerfile is None or build.dockerfile.flaws:
        return ""
    instruction = build.dockerfile.health_check(build.build.target)
    if instruction:
        is_none = instruction.text.upper() == "NONE"
        return f"{build.name}:{instruction.line} takes its health check away" if is_none else ""
    base = build.dockerfile.base_image(build.build.args, build.build.target)
    if base and base not in build.build.contexts and checks_no_health(base):
        return f"neither it nor {build.name} (on {base}) has a health check"
    return ""


@check(
    "DOCK611",
    needs=("DOCK601",),
    symptoms=(
        r"database files are incompatible with server",
        r"initialized by PostgreSQL version (?P<old>\d+), which is not compatible with this version (?P<new>\d+)",
        r"in 18\+, these Docker images are configured to store database data",
        r"there appears to be PostgreSQL data in",
    ),
)
def image_does_not_fit_its_data(clusters: Clusters) -> Iterator[Finding | Undecided]:
    """The Postgres image can't use the data that is there, or the place it is mounted at.

    A server reads only data of its own major version. Images from 18 on keep it in
    `/var/lib/postgresql/18/docker`, and refuse to start where something is mounted at
    `/var/lib/postgresql/data`.

    **Detected** in PG_VERSION of a folder of this machine that is mounted for the data, against the
    image's tag; and from the mount and the tag alone for images from 18 on, where PGDATA is not set.
    **To mend** it, go back to the image of the data's version, or dump with the old one and load
    into the new one; for 18 mount at `/var/lib/postgresql`.
    **Silent** about named volumes (but for 18's mount), about tags that tell no version, images that
    are not made as the official one, and a folder that is empty or not there yet.
    """
    for cluster in clusters.clusters:
        service, image = cluster.service, cluster.service.image
        if cluster.closed:
            yield Undecided(
                f"{cluster.shown}: can't be read, so the version of its data is not known"
            )
        elif cluster.version:
            yield Finding(
                f"{service.name} is {image}, and its data in {cluster.shown} is of version {cluster.version}",
                looked_at=f"{cluster.shown}/PG_VERSION, {cluster.mount.node.place}",
                found=f"version {cluster.version}",
                wanted=f"version {cluster.major}",
                target=service.name,
                place=_image_place(service),
                next_step=f"use an image of version {cluster.version} in {_image_place(service)}, dump the "
                f"data with it, and load it into {image} with an empty folder",
            )
        else:
            yield Finding(
                f"{image} does not start with a mount at {cluster.mount.target}",
                looked_at=str(cluster.mount.node.place),
                found=cluster.mount.target,
                wanted="a mount at /var/lib/postgresql, or an image below 18",
                target=service.name,
                place=cluster.mount.node.place,
                next_step=f"mount at /var/lib/postgresql in {cluster.mount.node.place}; data of an older "
                "version has to be dumped first, with its own image",
            )


def _image_place(service: Service) -> Place:
    image = service.node.get("image")
    return image.place if image else service.place


@check("DOCK612", severity=Severity.WARNING, needs=("DOCK601",))
def port_is_a_number_to_base_60(compose: Compose) -> Iterator[Finding]:
    """A port without quotes is one number for YAML 1.1: `22:22` is 1342.

    It is so where the number behind the colon is below 60. The old `docker-compose` (version 1) and
    everything else that reads YAML 1.1 then publishes another port; `docker compose` reads it as
    it stands there.

    **Detected** in `ports`.
    **Fixed** by quotes around it; `undo` takes them away.
    **Silent** about ports in quotes, and about numbers from 60 on.
    """
    done: set[int] = set()
    for service in compose.services.values():
        for node in items(service.node.get("ports")):
            if node.plain and _SEXAGESIMAL.fullmatch(node.source) and id(node) not in done:
                done.add(id(node))
                yield _base_60(service, node)


def _base_60(service: Service, node: Node) -> Finding:
    number = 0
    for part in node.source.replace("_", "").split(":"):
        number = number * 60 + int(part)
    quoted = f'"{node.source}"'
    edit = replaced(
        node.file, node.start, node.end, quoted, f"quotes around {node.source}", wanted=node.source
    )
    return Finding(
        f"the port {node.source} of {service.name} is {number} for YAML 1.1",
        looked_at=str(node.place),
        found=node.source,
        wanted=quoted,
        target=str(node.place),
        place=node.place,
        next_step="saas-doctor fix --select DOCK612",
        data={"no_fix": edit is None, "edit": edit},
    )
