"""Merges parts of Compose files by Compose's rules; every value keeps its place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from msgspec.structs import replace

from saas_doctor.compose.nodes import Entry, Node

# Below `services.NAME`, and what is said alike of a network or volume. A list of `K=V` and a map
# are two ways to write the same.
PAIRS = {
    "annotations", "build.additional_contexts", "build.args", "build.labels", "deploy.labels",
    "environment", "labels", "sysctls",
}  # fmt: skip
NAMES = {"models", "networks"}
_REPLACED = {"command", "entrypoint", "healthcheck.test"}
_HOSTS = {"build.extra_hosts", "extra_hosts"}
_LISTS = {"dns", "dns_opt", "dns_search", "env_file", "label_file", "tmpfs"}
_BY_TARGET = {"configs", "devices", "secrets", "volumes"}


def merged(base: Node, over: Node, path: tuple[str, ...] = ()) -> Node:
    """The base with what lies over it."""
    inside = ".".join(path[2:])
    if over.tag == "!override" or inside in _REPLACED or inside.startswith("ulimits."):
        return over
    if inside == "logging" and _differ(base, over, "driver"):
        return over
    form = _form(inside)
    base, over = form(base), form(over)
    if base.kind != over.kind or over.kind == "scalar":
        # A pair without a value is one: it takes away the one that is there.
        return base if over.is_null and not _is_pair(path) else over
    parts = (*(base.parts or (base,)), *(over.parts or (over,)))
    if over.kind == "map":
        return replace(over, entries=_merged_entries(base, over, path), parts=parts)
    if inside == "ipam.config":
        return replace(over, items=_by_subnet(base, over, path), parts=parts)
    items = unique((*base.items, *over.items), _target if inside in _BY_TARGET else _text)
    return replace(over, items=items, parts=parts)


def _is_pair(path: tuple[str, ...]) -> bool:
    return ".".join(path[2:-1]) in PAIRS


def _merged_entries(base: Node, over: Node, path: tuple[str, ...]) -> Mapping[str, Entry]:
    entries = dict(base.entries)
    for name, entry in over.entries.items():
        there = entries.get(name)
        if entry.value.tag == "!reset":
            entries.pop(name, None)
        elif there is None:
            entries[name] = entry
        else:
            value = merged(there.value, entry.value, (*path, name))
            # A service is where it stands first, a value where it was given last.
            key = there.key if value.kind == "map" else entry.key
            entries[name] = Entry(key, value, entry.inherited)
    return MappingProxyType(entries)


def _form(inside: str) -> Callable[[Node], Node]:
    """How the two are written before they are merged."""
    if inside in PAIRS:
        return as_pairs
    if inside in NAMES:
        return as_names
    if inside in _LISTS:
        return as_list
    if inside in _HOSTS:
        return _as_hosts
    if inside == "depends_on":
        return _as_dependencies
    if inside == "gpus":
        return _as_requests
    return as_build if inside == "build" else lambda node: node


def _differ(base: Node, over: Node, key: str) -> bool:
    return "" not in (base.string(key), over.string(key)) and base.string(key) != over.string(key)


def _by_subnet(base: Node, over: Node, path: tuple[str, ...]) -> tuple[Node, ...]:
    """The address pools that lie over others; of the others what is said of the same ones."""
    there = {pool.string("subnet"): pool for pool in base.items}
    return tuple(
        merged(there[pool.string("subnet")], pool, (*path, ""))
        if pool.string("subnet") in there
        else pool
        for pool in over.items
    )


def unique(items: Iterable[Node], key: Callable[[Node], str]) -> tuple[Node, ...]:
    """The items, of those with the same key the last, at the place of the first."""
    found: dict[str, Node] = {}
    for item in items:
        found[key(item)] = item
    return tuple(found.values())


def _text(node: Node) -> str:
    """What a node says, whatever its form."""
    if node.kind == "scalar":
        return node.text
    below = [*map(_text, node.items), *(f"{k}={_text(e.value)}" for k, e in node.entries.items())]
    return f"{node.kind} {below}"


def _target(node: Node) -> str:
    if node.kind == "map":
        return node.string("target") or node.string("source")
    parts = node.text.split(":")
    return parts[1] if len(parts) > 1 else parts[0]


def as_list(node: Node) -> Node:
    if node.kind == "list" or node.is_null:
        return node
    return replace(node, kind="list", items=(node,))


def as_build(node: Node) -> Node:
    """`build: .` as the map that it stands for."""
    if node.kind != "scalar":
        return node
    return _map(node, {"context": Entry(node, node)})


def as_names(node: Node) -> Node:
    """A list of names as a map of them to nothing."""
    if node.kind != "list":
        return node
    nothing = replace(node, kind="scalar", plain=True, items=())
    return _map(
        node,
        {i.text: Entry(i, replace(nothing, start=i.start, end=i.end)) for i in node.items},
    )


def _as_dependencies(node: Node) -> Node:
    """A list of names as the map that it stands for, in which each condition is said."""
    if node.kind != "list":
        return node
    return _map(node, {item.text: Entry(item, _dependency(item)) for item in node.items})


def _dependency(item: Node) -> Node:
    entries = {}
    for key, text in (("condition", "service_started"), ("required", "true")):
        said = replace(item, text=key, raw=key)
        entries[key] = Entry(said, replace(item, text=text, raw=text, plain=True, unset=()))
    return _map(item, entries)


def _as_requests(node: Node) -> Node:
    """`all` as the list of one request for all."""
    if node.kind != "scalar" or node.is_null:
        return node
    return as_list(_map(node, {"count": Entry(replace(node, text="count", raw="count"), node)}))


def _as_hosts(node: Node) -> Node:
    """A map of hosts as a list of `NAME=ADDRESS`."""
    if node.kind != "map":
        return node
    found = []
    for name, entry in node.entries.items():
        for address in as_list(entry.value).items:
            text = f"{name}={address.text}"
            found.append(replace(address, text=text, raw=text, plain=False))
    return replace(node, kind="list", items=tuple(found), entries=MappingProxyType({}))


def as_pairs(node: Node) -> Node:
    """A list of `K=V` as a map; the value's node covers the value alone, where that can be told."""
    if node.kind != "list":
        return node
    entries: dict[str, Entry] = {}
    for item in node.items:
        if item.kind == "scalar":
            key, value = _pair(item)
            entries[key.text] = Entry(key, value)
    return _map(node, entries)


def _pair(item: Node) -> tuple[Node, Node]:
    name, sign, text = item.text.partition("=")
    raw = item.raw.partition("=")[2]
    key = replace(item, text=name, raw=name)
    if not sign:
        return key, replace(item, text="", raw="", plain=True, tag="")
    start, end = item.start, item.end
    quote = 1 if item.source[:1] in ("'", '"') else 0
    if item.source[quote : len(item.source) - quote] == item.raw:
        start, end = start + quote + len(item.raw) - len(raw), end - quote
    # Never plain: what stands behind the sign is text, `no` and `1e3` as well.
    return key, replace(item, start=start, end=end, text=text, raw=raw, plain=False)


def _map(node: Node, entries: Mapping[str, Entry]) -> Node:
    return replace(
        node, kind="map", items=(), entries=MappingProxyType(dict(entries)), parts=(node,)
    )
