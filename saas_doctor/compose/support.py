"""The keys of a Compose file that `up` can't honour: refused, or left out where that changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from saas_doctor.compose.nodes import Entry, Node, Problem, at

_HOOK = "run it in the entrypoint, or as a service of its own that others wait for with service_completed_successfully"
_WINDOWS = "leave it out: it is for Windows containers alone"
_COMPOSE = "leave it out, or use docker compose for this project"
_BUILD = "build the image with `docker buildx build`, and name it with `image`"
_MACHINE = "there is one machine"
_ENGINE = "the engine itself decides when it restarts a container"
_FILE = "take it from a `file`"

REFUSED = {
    "provider": "start what it provides by its own program, and leave the service out",
    "models": "run the model as a service, and give its address in `environment`",
    "pre_start": _HOOK,
    "post_start": _HOOK,
    "pre_stop": _HOOK,
    "credential_spec": _WINDOWS,
    "isolation": _WINDOWS,
    "cpu_count": _WINDOWS,
    "cpu_percent": _WINDOWS,
    "use_api_socket": "mount /var/run/docker.sock with `volumes`",
    "blkio_config": _COMPOSE,
    "cgroup": _COMPOSE,
    "cgroup_parent": _COMPOSE,
    "cpu_rt_period": _COMPOSE,
    "cpu_rt_runtime": _COMPOSE,
    "device_cgroup_rules": _COMPOSE,
    "storage_opt": _COMPOSE,
    "networks.*.gw_priority": _COMPOSE,
    "networks.*.interface_name": _COMPOSE,
    "volumes.*.bind.recursive": _COMPOSE,
    "volumes.*.image": _COMPOSE,
    "volumes.*.volume.subpath": "mount the whole volume, and choose the folder in the command",
    "build.additional_contexts": _BUILD,
    "build.entitlements": _BUILD,
    "build.isolation": _WINDOWS,
    "build.no_cache_filter": _BUILD,
    "build.platforms": _BUILD,
    "build.privileged": _BUILD,
    "build.secrets": _BUILD,
    "build.ssh": _BUILD,
}
"""Of a service; with the way out."""

IGNORED = {
    "attach": "it is about the log that `docker compose up` follows",
    "build.cache_to": "the build's cache stays on this machine",
    "build.provenance": "it is for images that are pushed",
    "build.sbom": "it is for images that are pushed",
    "deploy.endpoint_mode": _MACHINE,
    "deploy.labels": "they are for a swarm's services, not for containers",
    "deploy.placement": _MACHINE,
    "deploy.resources.*.generic_resources": _MACHINE,
    "deploy.restart_policy.delay": _ENGINE,
    "deploy.restart_policy.window": _ENGINE,
    "deploy.rollback_config": _MACHINE,
    "deploy.update_config": _MACHINE,
    "develop": "it is for `docker compose watch`",
    "ports.*.app_protocol": "it is a hint for other programs",
    "ports.*.name": "it is a hint for other programs",
    "volumes.*.consistency": "no engine of today reads it",
}
"""Of a service; with the reason why it makes no difference."""

_MODES = ("", "replicated")
_MOUNTS = ("", "bind", "volume", "tmpfs")


def refused(name: str, service: Node) -> Iterator[Problem]:
    """The keys of a service without which it would not be what its file says."""
    for path, way_out in REFUSED.items():
        for entry in _found(service, path.split(".")):
            yield at(
                entry.key,
                f"services.{name}.{path}: `saas-doctor up` doesn't do `{entry.key.text}`; {way_out}",
                entry.key.text,
            )
    for path, known, way_out in (
        ("deploy.mode", _MODES, "use `replicas`"),
        ("volumes.*.type", _MOUNTS, "use bind, volume or tmpfs"),
    ):
        for entry in _found(service, path.split(".")):
            if entry.value.text not in known:
                text = entry.value.text
                yield at(
                    entry.value,
                    f"services.{name}.{path}: `saas-doctor up` doesn't do {text!r}; {way_out}",
                    text,
                )


def ignored(name: str, service: Node) -> Iterator[Problem]:
    """The keys of a service that it is brought up without."""
    for path, reason in IGNORED.items():
        for entry in _found(service, path.split(".")):
            yield at(entry.key, f"services.{name}.{path} is left out: {reason}", entry.key.text)


_SOURCE = {"external": _FILE, "driver": _FILE, "template_driver": _FILE}
_REFUSED_BESIDE = {
    "configs": _SOURCE,
    "networks": {"enable_ipv4": "leave it out: containers reach each other by IPv4"},
    "secrets": _SOURCE,
}


def refused_beside(section: str, name: str, node: Node) -> Iterator[Problem]:
    """The keys of a network, secret or config without which it would not be what its file says."""
    for key, way_out in _REFUSED_BESIDE.get(section, {}).items():
        entry = node.entries.get(key)
        given = entry.value.text.lower() if entry else ""
        if entry and given != ("true" if section == "networks" else "false"):
            yield at(
                entry.key, f"{section}.{name}: `saas-doctor up` doesn't do `{key}`; {way_out}", key
            )


def _found(node: Node, parts: list[str]) -> Iterator[Entry]:
    first, *rest = parts
    if first == "*":
        below = [*node.items, *(entry.value for entry in node.entries.values())]
        for item in below:
            yield from _found(item, rest)
        return
    value = node.get(first)
    if value is None:
        return
    if rest:
        yield from _found(value, rest)
    else:
        yield node.entries[first]


def obsolete(root: Node) -> Mapping[str, str]:
    """The top-level keys that say nothing any more, with the reason."""
    return {"version": "Compose has long ceased to read it"} if root.get("version") else {}
