"""A service, network or volume as it is written, in short or long form, made into the canonical one."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from msgspec import Struct
from msgspec.structs import fields, replace

from saas_doctor.compose import scalars, spec
from saas_doctor.compose.merge import as_build, as_list, as_names, as_pairs
from saas_doctor.compose.nodes import Node
from saas_doctor.compose.scalars import Bad
from saas_doctor.compose.short_forms import clean, short_mount, short_ports
from saas_doctor.compose.units import text_of
from saas_doctor.compose.words import NoCommand, split

T = TypeVar("T", bound=Struct)
Values = dict[str, Any]

_REMOTE = ("https://", "http://", "git://", "ssh://", "github.com/", "git@")
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]")
_SETS = {
    "aliases", "cap_add", "cap_drop", "dns", "dns_opt", "dns_search", "expose",
    "link_local_ips", "links", "profiles", "tags", "tmpfs",
}  # fmt: skip
"""Lists in which nothing is twice."""


class Shaper(Struct, frozen=True):
    """Makes parts. `variables`: the shell's and those of `.env`.

    `warn` is told of what Compose reads in another way than it is meant.
    """

    variables: Mapping[str, str]
    warn: Callable[[Node, str], None]

    def part(self, kind: type[T], node: Node) -> T:
        """The part of this kind that a node says; raises Bad."""
        found: Values = {}
        for name, wanted, required in _fields(kind):
            value = node.get(name)
            if value is not None:
                found[name] = self.value(wanted, value)
                if name in _SETS and wanted == spec.Names:
                    found[name] = _unique(found[name], lambda text: text.partition("=")[0])
            elif required:
                found[name] = None
        adjust = _ADJUST.get(kind)
        if adjust:
            adjust(self, node, found)
        return kind(**found)

    def value(self, kind: Any, node: Node) -> Any:
        """A value of one of the types that the spec uses."""
        plain = scalars.PLAIN.get(kind)
        if plain:
            return plain(node)
        make = _MAKE.get(kind)
        if make:
            return make(self, node)
        origin, below = get_origin(kind), get_args(kind)
        if origin in (Union, UnionType):
            return None if node.is_null else self.value(below[0], node)
        if origin is tuple:
            return tuple(self.value(below[0], item) for item in as_list(node).items)
        if origin is not None:
            return {k: self.value(below[1], e.value) for k, e in node.entries.items()}
        return self.part(kind, node)

    def path(self, node: Node, text: str = "") -> str:
        """The absolute path that a node, or this text of it, names."""
        text = text or text_of(node)
        if text.startswith("~"):
            return os.path.normpath(self._home() + "/" + text[1:])
        if text.startswith("/") or os.path.isabs(text) or _WINDOWS.match(text):
            return text
        return os.path.normpath(node.file.folder / text)

    def _home(self) -> str:
        return self.variables.get("HOME") or os.path.expanduser("~")

    def context(self, node: Node) -> str:
        text = text_of(node)
        if "://" in text or text.startswith(("service:", *_REMOTE)):
            return text
        return self.path(node)


@cache
def _fields(kind: type[Struct]) -> tuple[tuple[str, Any, bool], ...]:
    return tuple((f.name, f.type, f.required) for f in fields(kind))


def _unique(items: Iterable[Any], key: Callable[[Any], Any]) -> tuple[Any, ...]:
    """Of those with the same key the last, at the place of the first."""
    return tuple({key(item): item for item in items}.values())


def _command(shaper: Shaper, node: Node) -> tuple[str, ...]:
    if node.kind == "list":
        return scalars.names(node)
    text = text_of(node)
    try:
        words, end = split(text)
    except NoCommand as error:
        raise Bad(node, f"{text!r} is no command: {error}") from None
    if end is not None:
        why = "there is no shell that would know it; write sh -c '...'"
        shaper.warn(node, f"{text[end:]!r} is not run: {why}")
    return words


def _ulimits(shaper: Shaper, node: Node) -> dict[str, int | spec.Ulimit]:
    return {
        name: shaper.part(spec.Ulimit, entry.value)
        if entry.value.kind == "map"
        else scalars.whole(entry.value) or spec.Ulimit()
        for name, entry in node.entries.items()
    }


def _build(shaper: Shaper, node: Node) -> spec.Build:
    return shaper.part(spec.Build, as_build(node))


def _in_build(shaper: Shaper, node: Node, found: Values) -> None:
    context = node.get("context")
    found["context"] = shaper.context(context) if context else str(node.file.folder)
    if not node.get("dockerfile") and not node.get("dockerfile_inline"):
        found["dockerfile"] = "Dockerfile"
    args = found.get("args", {}).items()
    given = {k: shaper.variables.get(k) if v is None else v for k, v in args}
    found["args"] = {k: v for k, v in given.items() if v is not None}
    contexts = node.get("additional_contexts")
    if contexts:
        below = as_pairs(contexts).entries.items()
        found["additional_contexts"] = {k: shaper.context(e.value) for k, e in below}


def _grants(shaper: Shaper, node: Node) -> tuple[spec.Grant, ...]:
    return tuple(
        shaper.part(spec.Grant, item)
        if item.kind == "map"
        else spec.Grant(source=scalars.text(item))
        for item in node.items
    )


def _in_grant(_: Shaper, node: Node, __: Values) -> None:
    _need(node, "source")


def _depends_on(shaper: Shaper, node: Node) -> dict[str, spec.Dependency]:
    return {k: shaper.part(spec.Dependency, e.value) for k, e in as_names(node).entries.items()}


def _in_dependency(_: Shaper, __: Node, found: Values) -> None:
    found["condition"] = found.get("condition") or "service_started"
    if found["required"] is None:
        found["required"] = True


def _by_name(kind: type[Struct]) -> Callable[[Shaper, Node], dict[str, Any]]:
    def make(shaper: Shaper, node: Node) -> dict[str, Any]:
        return {
            name: None if entry.value.is_null else shaper.part(kind, entry.value)
            for name, entry in as_names(node).entries.items()
        }

    return make


def _devices(shaper: Shaper, node: Node) -> tuple[spec.Device, ...]:
    found = []
    for item in node.items:
        if item.kind == "map":
            _need(item, "target")
            found.append(shaper.part(spec.Device, item))
            continue
        parts = text_of(item).split(":")
        if len(parts) > 3:
            raise Bad(item, f"{item.text!r} is not SOURCE:TARGET:PERMISSIONS")
        target = parts[1] if len(parts) > 1 and parts[1] else parts[0]
        permissions = parts[2] if len(parts) > 2 else "rwm"
        found.append(spec.Device(source=parts[0], target=target, permissions=permissions))
    return _unique(found, lambda device: device.target)


def _device_requests(shaper: Shaper, node: Node) -> tuple[spec.DeviceRequest, ...]:
    if node.kind == "scalar":
        return (spec.DeviceRequest(count=-1),)
    return tuple(shaper.part(spec.DeviceRequest, item) for item in node.items)


def _in_device_request(_: Shaper, node: Node, found: Values) -> None:
    both = node.entries.keys() & {"count", "device_ids"}
    if len(both) == 2:
        raise Bad(node, "`count` and `device_ids` can't both be given")
    if not both:
        found["count"] = -1


def _env_files(shaper: Shaper, node: Node) -> tuple[spec.EnvFile, ...]:
    found = [
        shaper.part(spec.EnvFile, item)
        if item.kind == "map"
        else spec.EnvFile(path=shaper.path(item))
        for item in as_list(node).items
    ]
    return _unique(found, lambda file: file.path)


def _in_env_file(shaper: Shaper, node: Node, found: Values) -> None:
    path = node.get("path")
    found["path"] = shaper.path(path) if path else ""


def _ports(shaper: Shaper, node: Node) -> tuple[spec.Port, ...]:
    found: list[spec.Port] = []
    for item in node.items:
        if item.kind == "map":
            found.append(shaper.part(spec.Port, item))
        else:
            found += short_ports(item)
    return _unique(found, lambda p: (p.host_ip or "0.0.0.0", p.published, p.target, p.protocol))


def _in_port(_: Shaper, __: Node, found: Values) -> None:
    found["mode"] = found.get("mode") or "ingress"
    found["protocol"] = found.get("protocol") or "tcp"


def _mounts(shaper: Shaper, node: Node) -> tuple[spec.Mount, ...]:
    found = [
        shaper.part(spec.Mount, item) if item.kind == "map" else short_mount(shaper, item)
        for item in node.items
    ]
    return _unique(found, lambda mount: mount.target)


def _need(node: Node, key: str) -> Node:
    value = node.get(key)
    if value is None:
        raise Bad(node, f"it has no `{key}`")
    return value


def _in_mount(shaper: Shaper, node: Node, found: Values) -> None:
    _need(node, "target")
    found["target"] = clean(found["target"])
    if found.get("type") == "bind":
        found["source"] = shaper.path(_need(node, "source"))


def _in_trigger(shaper: Shaper, node: Node, found: Values) -> None:
    path = _need(node, "path")
    if not path.text:
        raise Bad(path, "`path` is empty")
    if not found.get("target") and found["action"] not in ("rebuild", "restart"):
        raise Bad(node, f"it has no `target`, which {found['action']} needs")
    found["path"] = os.path.realpath(shaper.path(path))
    older = node.get("x-initialSync")
    if older and not found.get("initial_sync"):
        found["initial_sync"] = scalars.truth(older)
    found["exec"] = found["exec"] or spec.Hook(command=None)


def _in_service(shaper: Shaper, node: Node, found: Values) -> None:
    own = found.get("environment", {})
    found["environment"] = {k: shaper.variables.get(k) if v is None else v for k, v in own.items()}
    if found.get("pull_policy") == "if_not_present":
        found["pull_policy"] = "missing"
    secrets = _unique(found.get("secrets", ()), lambda grant: _target(grant, "/run/secrets/"))
    found["secrets"] = tuple(replace(g, target=_target(g, "/run/secrets/")) for g in secrets)
    found["configs"] = _unique(found.get("configs", ()), lambda grant: _target(grant, "/"))
    older = node.get("x-develop")
    if older and not found.get("develop"):
        found["develop"] = shaper.part(spec.Develop, older)
    found["dns"] = tuple(server for server in found.get("dns", ()) if server)
    files = node.get("label_file")
    if files:
        found["label_file"] = tuple(shaper.path(item) for item in as_list(files).items)


def _target(grant: spec.Grant, folder: str) -> str:
    return grant.target or folder + grant.source


def _external(node: Node, found: Values) -> None:
    """`external: {name: X}` is an older form of `external: true` and `name: X`."""
    external = node.get("external")
    if external and external.kind == "map":
        older = external.string("name")
        if older and found.get("name", older) != older:
            raise Bad(external, "it has two names")
        found["name"] = found.get("name") or older


def _in_declared(_: Shaper, node: Node, found: Values) -> None:
    _external(node, found)


def _in_volume(shaper: Shaper, node: Node, found: Values) -> None:
    _external(node, found)
    for key, entry in node.entries.items() if found.get("external") else ():
        if key not in ("name", "external") and not key.startswith("x-"):
            raise Bad(entry.key, f"`{key}` is not for a volume that is external")
    options = node.get("driver_opts")
    device = options.get("device") if options else None
    if device and found.get("driver") == "local" and found["driver_opts"].get("o") == "bind":
        found["driver_opts"]["device"] = shaper.path(device)


def _in_source(shaper: Shaper, node: Node, found: Values) -> None:
    _external(node, found)
    path = node.get("file")
    if path:
        found["file"] = shaper.path(path)


_MAKE: dict[Any, Callable[[Shaper, Node], Any]] = {
    spec.Command: _command,
    spec.Ulimits: _ulimits,
    spec.Build: _build,
    tuple[spec.Grant, ...]: _grants,
    Mapping[str, spec.Dependency]: _depends_on,
    Mapping[str, spec.ServiceNetwork | None]: _by_name(spec.ServiceNetwork),
    Mapping[str, spec.ServiceModel | None]: _by_name(spec.ServiceModel),
    tuple[spec.Device, ...]: _devices,
    tuple[spec.DeviceRequest, ...]: _device_requests,
    tuple[spec.EnvFile, ...]: _env_files,
    tuple[spec.Port, ...]: _ports,
    tuple[spec.Mount, ...]: _mounts,
}
"""How a value of each type that is not plain is read; all others by their parts."""

_ADJUST: dict[type[Struct], Callable[[Shaper, Node, Values], None]] = {
    spec.Build: _in_build,
    spec.Dependency: _in_dependency,
    spec.DeviceRequest: _in_device_request,
    spec.EnvFile: _in_env_file,
    spec.Grant: _in_grant,
    spec.Mount: _in_mount,
    spec.Network: _in_declared,
    spec.Port: _in_port,
    spec.Service: _in_service,
    spec.Source: _in_source,
    spec.Trigger: _in_trigger,
    spec.Volume: _in_volume,
}
"""What a part's values are besides what is written."""
