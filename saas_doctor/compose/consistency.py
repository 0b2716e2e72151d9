"""What Compose refuses although every key is allowed: names that lead nowhere, values of no use."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping

from saas_doctor.compose.merge import as_names
from saas_doctor.compose.model import Project, Service
from saas_doctor.compose.nodes import Node, Problem, at
from saas_doctor.compose.values import BadPort, items, port

_DURATION = re.compile(r"[-+]?((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h|d|w))+|[-+]?0")
_DURATIONS = ("interval", "timeout", "start_period", "start_interval")
_SHARED = ("network_mode", "ipc", "pid", "uts", "cgroup")
_SOURCES = {"secrets": ("file", "environment"), "configs": ("file", "environment", "content")}


def inconsistencies(project: Project) -> Iterator[tuple[Service | None, Problem]]:
    """What is wrong, each with the service it is wrong in."""
    for service in project.services.values():
        for problem in _of_service(project, service):
            yield service, problem
    yield from _shared_names(project)
    yield from _cycles(project)
    for section, keys in _SOURCES.items():
        for name, node in project.declared(section).items():
            for problem in _of_source(name, node, section, keys):
                yield None, problem


def _of_service(project: Project, service: Service) -> Iterator[Problem]:
    node, name = service.node, service.name
    if not project.loaded.remote:
        if not any(node.get(key) for key in ("image", "build", "provider")):
            yield at(service.key, f"service {name} has neither `image` nor `build`", name)
        yield from _undefined(project, service)
    build = node.get("build")
    if build and build.string("dockerfile") and build.string("dockerfile_inline"):
        yield at(build, f"service {name} has both `dockerfile` and `dockerfile_inline`")
    networks = node.get("networks")
    if networks and node.get("network_mode") and (networks.items or networks.entries):
        yield at(networks, f"service {name} has both `network_mode` and `networks`")
    if service.known("container_name") and service.replicas > 1:
        yield at(
            node.entries["container_name"].key,
            f"service {name} is to run {service.replicas} times, and can't with one `container_name`",
        )
    yield from _of_values(service)


def _of_values(service: Service) -> Iterator[Problem]:
    """Ports, mounts, health checks and durations that can't be read."""
    node, name = service.node, service.name
    for entry in items(node.get("ports")):
        try:
            port(entry)
        except BadPort as error:
            yield at(
                entry, f"service {name}: the port {entry.text or 'entry'} is not valid: {error}"
            )
    for entry in items(node.get("volumes")):
        if entry.kind == "scalar" and not entry.unset and not entry.is_null:
            parts = re.sub(r"^[A-Za-z]:", "", entry.text).split(":")
            if "" in parts or (len(parts) > 3 and not re.search(r":[A-Za-z]:", entry.text)):
                yield at(entry, f"service {name}: {entry.text} is not SOURCE:TARGET:OPTIONS")
    check = service.healthcheck
    test = check.get("test") if check else None
    if test and test.items and test.items[0].text not in ("CMD", "CMD-SHELL", "NONE"):
        first = test.items[0]
        if not first.unset:
            yield at(
                first, f"service {name}: the list of `test` begins with CMD, CMD-SHELL or NONE"
            )
    times = [(key, check.get(key)) for key in _DURATIONS] if check else []
    for key, time in (*times, ("stop_grace_period", node.get("stop_grace_period"))):
        text = time.text if time and isinstance(time.value, str) and "$" not in time.raw else "0"
        if time and not _DURATION.fullmatch(text):
            yield at(time, f"service {name}: {key} {time.text!r} has no unit that is known", key)


def _undefined(project: Project, service: Service) -> Iterator[Problem]:
    """The names that a service gives of things that the file does not declare."""
    name, services = service.name, project.services
    declared = {"default": None, **project.declared("networks")}
    networks = service.node.get("networks")
    keys = (e.key for e in as_names(networks).entries.values()) if networks else ()
    yield from _missing(name, "network", keys, declared)
    named = [m.node for m in service.volumes if m.kind == "volume" and m.source]
    sources = {id(m.node): m.source for m in service.volumes}
    for node in named:
        source = sources[id(node)]
        where = node.get("source") or node if node.kind == "map" else node
        yield from _missing(name, "volume", [where], project.declared("volumes"), source)
    for section, kind in (("secrets", "secret"), ("configs", "config")):
        entries = [*items(service.node.get(section))]
        build = service.node.get("build")
        entries += items(build.get(section)) if build and section == "secrets" else ()
        found = (e.get("source") if e.kind == "map" else e for e in entries)
        yield from _missing(name, kind, (f for f in found if f), project.declared(section))
    yield from _missing_services(service, services)


def _missing(
    service: str, kind: str, nodes: Iterable[Node], declared: Mapping[str, object], text: str = ""
) -> Iterator[Problem]:
    for node in nodes:
        wanted = text or node.text
        if wanted and wanted not in declared and not node.unset:
            near = (difflib.get_close_matches(wanted, [*declared], n=1) or [""])[0]
            hint = f"; did you mean {near}?" if near else ""
            yield at(
                node,
                f"service {service} uses the {kind} {wanted}, which is not declared{hint}",
                wanted,
            )


def _missing_services(service: Service, services: Mapping[str, Service]) -> Iterator[Problem]:
    for wanted, node, required in needed(service):
        found = services.get(wanted)
        if found is None:
            others = [name for name in services if name != service.name]
            near = (difflib.get_close_matches(wanted, others, n=1) or [""])[0]
            hint = f"; did you mean {near}?" if near else ""
            yield at(
                node, f"service {service.name} needs {wanted}, and there is no such service{hint}"
            )
        elif required and service.enabled and not found.enabled:
            profiles = ", ".join(sorted(found.profiles))
            yield at(
                node,
                f"service {service.name} needs {wanted}, which is only there with the profile {profiles}",
            )


def needed(service: Service) -> Iterator[tuple[str, Node, bool]]:
    """The services that a service can't be without, where they are named, and whether they must be."""
    for dependency in service.depends_on.values():
        yield dependency.name, dependency.node, dependency.required
    for node in items(service.node.get("links")):
        if not node.unset:
            yield node.text.partition(":")[0], node, True
    for key in _SHARED:
        shared = service.node.get(key)
        if shared and shared.text.startswith("service:") and not shared.unset:
            yield shared.text.removeprefix("service:"), shared, True
    for node in items(service.node.get("volumes_from")):
        if not node.text.startswith("container:") and not node.unset:
            yield node.text.partition(":")[0], node, True


def _shared_names(project: Project) -> Iterator[tuple[Service, Problem]]:
    owners: dict[str, Service] = {}
    for service in project.services.values():
        name = service.known("container_name")
        if name and service.active:
            other = owners.setdefault(name, service)
            if other is not service:
                node = service.node.entries["container_name"].key
                yield (
                    service,
                    at(
                        node, f"{other.name} and {service.name} are both to be the container {name}"
                    ),
                )


def _cycles(project: Project) -> Iterator[tuple[Service, Problem]]:
    """One problem for each ring of services that wait for each other."""
    services = project.services
    after = {s.name: {w: n for w, n, _ in needed(s) if w in services} for s in services.values()}
    done: set[str] = set()
    for start in services:
        path = [] if start in done else [start]
        left = [iter(after[start])]
        while path:
            name = next(left[-1], None)
            if name is None:
                done.add(path.pop())
                left.pop()
            elif name in path:
                ring = " -> ".join([*path[path.index(name) :], name])
                node = after[path[-1]][name]
                yield services[path[-1]], at(node, f"these services wait for each other: {ring}")
            elif name not in done:
                path.append(name)
                left.append(iter(after[name]))


def _of_source(name: str, node: Node, section: str, keys: tuple[str, ...]) -> Iterator[Problem]:
    given = [key for key in keys if node.get(key)]
    external = node.get("external")
    if node.kind != "map" or (external and external.text.lower() != "false"):
        return
    if section == "configs" and (external or node.get("driver")):
        return
    if len(given) != 1:
        words = " or ".join(f"`{key}`" for key in keys)
        yield at(node, f"{section}.{name} must have one of {words}", name)
