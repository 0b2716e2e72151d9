"""The platform's compose file and the Dockerfiles that it names, as far as files tell."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from saas_doctor.compose.nodes import Node
from saas_doctor.facts.compose import Compose, ComposeText, Port, Service
from saas_doctor.facts.images import Images
from saas_doctor.model import Finding, Place, Severity
from saas_doctor.rules import check


@check(
    "DOCK601",
    symptoms=(
        r"yaml: (line (?P<line>\d+): )?.*(did not find expected|mapping values are not allowed)",
        r"ERROR: yaml\.(parser|scanner)\.\w+Error",
    ),
)
def compose_file_is_not_yaml(compose: ComposeText) -> Iterator[Finding]:
    """The compose file can't be parsed.

    Nothing that Compose does works, and what the doctor would find in it (ports, services) is not
    known.

    **Detected** by a YAML parser; what the file says is not judged.
    **Silent** about Compose's own tags, anchors and merges, and where there is no compose file.
    """
    if compose.error:
        yield Finding(
            f"{compose.name} can't be parsed: {compose.error}",
            looked_at=compose.name,
            found=compose.error,
            wanted="YAML",
            target=compose.name,
            place=compose.place,
            next_step=f"correct {compose.place}",
        )


TOP_KEYS = {
    "configs", "include", "models", "name", "networks", "secrets", "services", "version", "volumes",
}  # fmt: skip
SERVICE_KEYS = {
    "annotations", "attach", "blkio_config", "build", "cap_add", "cap_drop", "cgroup",
    "cgroup_parent", "command", "configs", "container_name", "cpu_count", "cpu_percent",
    "cpu_period", "cpu_quota", "cpu_rt_period", "cpu_rt_runtime", "cpu_shares", "cpus", "cpuset",
    "credential_spec", "depends_on", "deploy", "develop", "device_cgroup_rules", "devices", "dns",
    "dns_opt", "dns_search", "domainname", "driver_opts", "entrypoint", "env_file", "environment",
    "expose", "extends", "external_links", "extra_hosts", "gpus", "group_add", "healthcheck",
    "hostname", "image", "init", "ipc", "isolation", "label_file", "labels", "links", "logging",
    "mac_address", "mem_limit", "mem_reservation", "mem_swappiness", "memswap_limit", "models",
    "network_mode", "networks", "oom_kill_disable", "oom_score_adj", "pid", "pids_limit",
    "platform", "ports", "post_start", "pre_stop", "privileged", "profiles", "provider",
    "pull_policy", "read_only", "restart", "runtime", "scale", "secrets", "security_opt",
    "shm_size", "stdin_open", "stop_grace_period", "stop_signal", "storage_opt", "sysctls",
    "tmpfs", "tty", "ulimits", "use_api_socket", "user", "userns_mode", "uts", "volume_driver",
    "volumes", "volumes_from", "working_dir",
}  # fmt: skip


@check(
    "DOCK602",
    needs=("DOCK601",),
    symptoms=(
        r"Additional property (?P<key>\w+) is not allowed",
        r"Unsupported config option for services\.(?P<service>\w+): '(?P<key>\w+)'",
        r"depends on undefined service",
        r"has neither an image nor a build context specified",
    ),
)
def compose_file_not_valid(compose: Compose) -> Iterator[Finding]:
    """The compose file is YAML, and Compose refuses it.

    **Detected**: a key that is nearly one of Compose's, a service with neither image nor build, one
    that waits for a service that is not there, a key that stands there twice, an alias of nothing.
    **To mend**, correct the line; the nearest right name is named.
    **Silent** about `x-...` keys, the old `version`, and keys that are near to none; what other
    files may add (`extends`, `include`, an override file) is not missed.
    """
    for problem in compose.problems:
        message = f"{compose.name}: {problem.message}"
        yield _invalid(message, problem.place, problem.key or "the line", "each key once")
    yield from _near_misses(TOP_KEYS, compose, compose.root)
    for service in compose.services.values():
        yield from _near_misses(SERVICE_KEYS, compose, service.node)
        if not compose.whole:
            continue
        if not any(service.node.get(key) for key in ("image", "build", "provider")):
            message = f"service {service.name} has neither an image nor a build"
            yield _invalid(message, service.node.place, service.name, "`image` or `build`")
        for other, (_, node) in service.depends_on.items():
            if other not in compose.services and not node.unset:
                near = difflib.get_close_matches(other, compose.services, n=1)
                message = f"service {service.name} depends on {other}, which is not there"
                wanted = near[0] if near else "a service of the file"
                yield _invalid(message, node.place, f"{service.name}:{other}", wanted)


def _near_misses(known: set[str], compose: Compose, node: Node) -> Iterator[Finding]:
    for key in node.entries:
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.75)
        if key not in known and near and not key.startswith("x-"):
            place = node.entries[key].key.place
            yield _invalid(f"{compose.name}: `{key}` is no key of Compose", place, key, near[0])


def _invalid(message: str, place: Place, target: str, wanted: str) -> Finding:
    return Finding(
        message,
        looked_at=str(place),
        found=target,
        wanted=wanted,
        target=target,
        place=place,
        next_step=f"correct {place}: {wanted}",
    )


@check(
    "DOCK604",
    needs=("DOCK601",),
    symptoms=(
        r"Cannot locate specified Dockerfile",
        r"unable to prepare context: (unable to evaluate symlinks in Dockerfile path|path)",
        r"failed to read dockerfile: open (?P<file>\S+): no such file",
        r"dockerfile parse error|unknown instruction: (?P<word>\w+)",
        r"Couldn't find env file|env file \S+ not found",
    ),
)
def build_file_missing(compose: Compose, images: Images) -> Iterator[Finding]:
    """A Dockerfile, a build context or an env file that the compose file names is not there.

    **Detected** where the path is written out; a Dockerfile also has to begin with `FROM` (or
    `ARG`) and to hold instructions that exist.
    **To mend**, correct the path in the compose file, or the line in the Dockerfile.
    **Silent** about paths that hold variables without a value, contexts at an address, and env
    files with `required: false`. An env file called `.env...` is a warning: it is to be made first
    (the one of the settings is CFG901's).
    """
    yield from _env_files(compose, images)
    for service in compose.services.values():
        build = service.build
        if build is None:
            continue
        if not build.context.is_dir():
            what = images.relative(build.context)
            message = f"the build context {what} of {service.name} is missing"
            yield _missing(message, build.node.place, what)
        elif not build.dockerfile.is_file():
            what = images.relative(build.dockerfile)
            message = f"the Dockerfile {what} of {service.name} is missing"
            yield _missing(message, build.node.place, what)
    for image in images.of(compose):
        wrong = image.wrong
        if wrong:
            place = Place(image.name, wrong[0])
            yield _missing(f"{image.name} can't be built: {wrong[1]}", place, image.name)


def _env_files(compose: Compose, images: Images) -> Iterator[Finding]:
    """The env files that are not there, each once; a warning for those that git seldom keeps."""
    users: dict[Path, list[tuple[str, Place]]] = {}
    for service in compose.services.values():
        for node, path, needed in service.env_files:
            if needed and not path.exists() and path != images.settings_file:
                users.setdefault(path, []).append((service.name, node.place))
    for path, found in users.items():
        what, names = images.relative(path), ", ".join(name for name, _ in found)
        message = f"the env file {what} of {names} is missing"
        severity = Severity.WARNING if path.name.startswith(".env") else None
        yield _missing(message, found[0][1], what, severity)


def _missing(message: str, place: Place, target: str, severity: Severity | None = None) -> Finding:
    return Finding(
        message,
        looked_at=str(place),
        found=f"no usable {target}",
        wanted=target,
        target=target,
        place=place,
        severity=severity,
        next_step=f"correct {place}",
    )


@check(
    "DOCK605",
    needs=("DOCK604",),
    symptoms=(
        r"COPY failed: file not found in build context",
        r"failed to (compute cache key|calculate checksum).*: \"?(?P<file>[^\s\":]+)\"?: not found",
        r"forbidden path outside the build context",
    ),
)
def copied_file_missing(compose: Compose, images: Images) -> Iterator[Finding]:
    """A Dockerfile copies what is not in the build context.

    Paths of `COPY` begin at the context that the compose file names, not at the Dockerfile.

    **Detected** for sources that are written out: not there (in exactly these letters), left out by
    `.dockerignore`, or outside of the context (`../x`).
    **To mend**, correct the path, the context or `.dockerignore`.
    **Silent** about `--from`, addresses, heredocs, variables, and patterns that match something.
    """
    for image in images.of(compose):
        for copied, why in image.not_there:
            place = Place(image.name, copied.line)
            yield Finding(
                f"{image.name} copies {copied.source}, which {why}",
                looked_at=f"{place}; context {image.context_name}",
                found=copied.source,
                wanted=f"a path below {image.context_name}",
                target=f"{image.name}:{copied.source}",
                place=place,
                next_step=f"correct {place}, or the build context in {compose.name}",
            )


@check(
    "DOCK607",
    needs=("DOCK601",),
    symptoms=(r"Bind for \S+ failed: port is already allocated", r"port is already allocated"),
)
def port_published_twice(compose: Compose) -> Iterator[Finding]:
    """Two services of the compose file publish the same port of this machine.

    The second one does not start: `port is already allocated`.

    **Detected** for written numbers and ranges, on the same or on all addresses.
    **To mend**, give one of them another port (the left number).
    **Silent** for different protocols, addresses that do not meet, and services that are started
    by different profiles only.
    """
    seen: list[tuple[Service, Port]] = []
    for service in compose.services.values():
        for port in service.ports:
            other = next((s for s in seen if _clash(s, (service, port))), None)
            if port.published and other:
                yield Finding(
                    f"port {port.published} is published by {other[0].name} and {service.name}",
                    looked_at=f"{other[1].node.place}; {port.node.place}",
                    found=port.node.source,
                    wanted="another port on the left",
                    target=str(port.published),
                    place=port.node.place,
                    next_step=f"give {service.name} another port at {port.node.place}",
                )
            seen.append((service, port))


def _clash(one: tuple[Service, Port], other: tuple[Service, Port]) -> bool:
    (a, p), (b, q) = one, other
    everywhere = {"", "0.0.0.0", "::"}
    meet = p.address == q.address or bool({p.address, q.address} & everywhere)
    apart = bool(a.profiles and b.profiles and not a.profiles & b.profiles)
    same = p.published == q.published and p.protocol == q.protocol
    return a is not b and same and p.published is not None and meet and not apart


@check(
    "DOCK608",
    needs=("DOCK601",),
    symptoms=(r"has no healthcheck configured",),
)
def waits_without_a_health_check(compose: Compose, images: Images) -> Iterator[Finding]:
    """A service waits until another is healthy, which has no health check.

    `docker compose up` ends with `has no healthcheck configured`.

    **Detected** where neither the compose file nor the Dockerfile has one, and the image is built
    here or is known to bring none (Postgres, Redis, ...).
    **To mend**, add a `healthcheck`, or wait for `service_started`.
    **Silent** where other files may add one, and about images that are not known.
    """
    if not compose.whole:
        return
    for service in compose.services.values():
        for name, (condition, node) in service.depends_on.items():
            other = compose.services.get(name)
            if condition != "service_healthy" or other is None or images.may_be_healthy(other):
                continue
            yield Finding(
                f"{service.name} waits until {name} is healthy, and {name} has no health check",
                looked_at=f"{node.place}; {other.node.place}",
                found="condition: service_healthy",
                wanted=f"a healthcheck of {name}",
                target=f"{service.name}:{name}",
                place=node.place,
                next_step=f"add a `healthcheck` to {name} in {compose.name}",
            )


# What the browser or a caller from outside uses is meant for this machine.
_FOR_OUTSIDE = re.compile(
    r"(?:^|_)(?:VITE|NEXT|REACT|NUXT|PUBLIC|ORIGINS?|CORS|FRONTEND|REDIRECT|CALLBACK|BROWSER"
    r"|EXTERNAL|DOMAIN|HOSTS|WEB|SITE|BASE_URL|APP_URL|SERVER_URL|ROOT_URL)(?:_|$)",
    re.I,
)
_LOCAL = {"localhost", "127.0.0.1", "::1"}


@check(
    "DOCK609",
    severity=Severity.WARNING,
    needs=("DOCK601",),
    symptoms=(r"Connect call failed \('127\.0\.0\.1', (?P<port>\d+)\)",),
)
def localhost_between_containers(compose: Compose) -> Iterator[Finding]:
    """A container is given an address of `localhost` for what another container serves.

    In a container `localhost` is the container itself. The other one is reached by its name and the
    port that it listens on inside, not the published one.

    **Detected** in the `environment` of services, for addresses whose port another service of the
    file publishes or listens on.
    **To mend**, write the service's name and its own port.
    **Silent** with `network_mode: host`, and for variables that a browser uses (`VITE_...`, origins,
    callbacks).
    """
    for service in compose.services.values():
        if service.node.get("network_mode"):
            continue
        for key, node in service.environment.items():
            found = _address(service.value(key))
            if found is None or found[0] not in _LOCAL or _FOR_OUTSIDE.search(key):
                continue
            other = _serving(compose, found[1])
            if other is None or other[0].name == service.name:
                continue
            wanted = f"{other[0].name}:{other[1]}"
            yield Finding(
                f"{key} of {service.name} leads to the container itself, not to {other[0].name}",
                looked_at=str(node.place),
                found=f"{found[0]}:{found[1]}",
                wanted=wanted,
                target=f"{service.name}:{key}",
                place=node.place,
                next_step=f"write {wanted} at {node.place}",
            )


@check(
    "DOCK610",
    severity=Severity.WARNING,
    needs=("DOCK601",),
)
def published_port_between_containers(compose: Compose) -> Iterator[Finding]:
    """A container calls another by its name, at the port that is published on this machine.

    Between containers the port is the one on the right of the mapping: `"18001:8001"` is reached
    at `registry:8001`.

    **Detected** in the `environment` of services, where the port is one that the other publishes
    under and none that it maps to or exposes.
    **To mend**, write the container's own port.
    **Silent** where both numbers are the same.
    """
    for service in compose.services.values():
        for key, node in service.environment.items():
            found = _address(service.value(key))
            other = compose.services.get(found[0]) if found else None
            if found is None or other is None:
                continue
            inner = {p.target for p in other.ports} | {
                int(i.text) for i in _items(other, "expose") if i.text.isdigit()
            }
            mapped = next((p for p in other.ports if p.published == found[1]), None)
            if mapped is None or found[1] in inner:
                continue
            yield Finding(
                f"{key} of {service.name} names the published port of {other.name}",
                looked_at=f"{node.place}; {mapped.node.place}",
                found=f"{found[0]}:{found[1]}",
                wanted=f"{other.name}:{mapped.target}",
                target=f"{service.name}:{key}",
                place=node.place,
                next_step=f"write {other.name}:{mapped.target} at {node.place}",
            )


def _items(service: Service, key: str) -> Sequence[Node]:
    found = service.node.get(key)
    return found.items if found else ()


def _address(value: str) -> tuple[str, int] | None:
    """Host and port of an address; None for anything else."""
    if "://" not in value or any(c.isspace() for c in value):
        return None
    try:
        url = urlsplit("x://" + value.partition("://")[2].rpartition("@")[2])
        return (url.hostname, url.port) if url.hostname and url.port else None
    except ValueError:
        return None


def _serving(compose: Compose, port: int) -> tuple[Service, int] | None:
    """The one service that serves a port, by the published number or its own, and its own number."""
    found = {
        s.name: (s, p.target)
        for s in compose.services.values()
        for p in s.ports
        if p.target and port in (p.published, p.target)
    }
    return next(iter(found.values())) if len(found) == 1 else None


@check("DOCK612", severity=Severity.WARNING, needs=("DOCK601",))
def port_read_as_a_number(compose: Compose) -> Iterator[Finding]:
    """An unquoted port mapping is read by YAML as a number in base 60.

    `22:22` means 1342 to every YAML 1.1 reader, docker-compose 1 among them.

    **Detected** for unquoted mappings whose right number is below 60.
    **Fixed** by quotes around it; `undo` restores the bytes.
    **Silent** for larger numbers, which no reader takes so, and for quoted ones.
    """
    for service in compose.services.values():
        for item in _items(service, "ports"):
            if (
                item.kind == "scalar"
                and item.plain
                and re.fullmatch(r"\d+(:[0-5]?\d)+", item.source)
            ):
                yield Finding(
                    f"{item.source} is read as the number {_base_60(item.source)}",
                    looked_at=str(item.place),
                    found=item.source,
                    wanted=f'"{item.source}"',
                    target=f"{service.name}:{item.source}",
                    place=item.place,
                    next_step="saas-doctor fix --select DOCK612 quotes it",
                    data={"node": item},
                )


def _base_60(text: str) -> int:
    number = 0
    for part in text.split(":"):
        number = number * 60 + int(part)
    return number
