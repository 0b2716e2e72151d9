"""The parts of a service in their short and long forms: ports, mounts, env files, builds."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct, field

from saas_doctor.compose.files import REMOTE
from saas_doctor.compose.merge import as_list, as_pairs
from saas_doctor.compose.nodes import Node


class Range(Struct, frozen=True):
    """Port numbers, the last included."""

    first: int
    last: int

    def __contains__(self, port: int) -> bool:
        return self.first <= port <= self.last

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


class Port(Struct, frozen=True):
    """One entry of `ports`. `published` is None where the engine chooses a port of this machine."""

    node: Node
    target: Range
    published: Range | None = None
    host: str = ""
    protocol: str = "tcp"

    def published_for(self, target: int) -> int | None:
        """The port of this machine that leads to a port of the container, where it is fixed."""
        if self.published is None or target not in self.target:
            return None
        if len(self.published) != len(self.target):
            return None  # any free one of a range
        return self.published.first + target - self.target.first

    @property
    def numbers(self) -> list[int]:
        """The ports of this machine that it surely takes."""
        inside = range(self.target.first, self.target.last + 1)
        return [number for target in inside if (number := self.published_for(target))]


class BadPort(Exception):
    """A port that Compose refuses."""


class EnvFile(Struct, frozen=True):
    """One entry of `env_file`."""

    path: Path
    node: Node
    required: bool = True
    raw: bool = False


class Build(Struct, frozen=True):
    """How a service's image is built; `context` is None where it is no folder of this machine."""

    node: Node
    context: Path | None
    dockerfile: Path | None
    """None where it is written in the Compose file itself, or lies elsewhere."""
    inline: str = ""
    target: str = ""
    args: Mapping[str, str | None] = field(default_factory=dict)
    contexts: frozenset[str] = frozenset()


class Mount(Struct, frozen=True):
    """One entry of `volumes`; `source` is empty for an anonymous volume."""

    node: Node
    kind: str
    source: str
    target: str
    read_only: bool = False
    path: Path | None = None
    """The folder or file of this machine, for a bind mount."""


def items(node: Node | None) -> tuple[Node, ...]:
    """The items of a list, or the one that stands for it, that are no lists or maps of the wrong kind."""
    if node is None:
        return ()
    return tuple(as_list(node).items) if node.kind != "map" else ()


_NUMBERS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")
_PROTOCOLS = ("tcp", "udp", "sctp")


def range_of(text: str) -> Range:
    """`80` or `80-90`; raises BadPort."""
    found = _NUMBERS.fullmatch(text)
    if not found:
        raise BadPort(f"{text!r} is no port")
    numbers = Range(int(found[1]), int(found[2] or found[1]))
    if numbers.last > 65535 or numbers.first > numbers.last:
        raise BadPort(f"{text!r} is no port")
    return numbers


def range_or_none(text: str) -> Range | None:
    try:
        return range_of(text)
    except BadPort:
        return None


def port_or_none(node: Node) -> Port | None:
    try:
        return port(node)
    except BadPort:
        return None


def port(node: Node) -> Port | None:
    """One entry of `ports`; None where a part of it is not known. Raises BadPort."""
    if node.kind == "list":
        return None
    if node.kind == "map":
        parts = [node.get(key) for key in ("target", "published", "host_ip", "protocol")]
        if any(part and (part.unset or part.kind != "scalar") for part in parts):
            return None
        target, published, host, protocol = (part.text if part else "" for part in parts)
        if not target:
            raise BadPort("it has no target")
        if host and not _is_address(host):
            raise BadPort(f"{host!r} is no IP address")
    else:
        if node.unset or node.is_null:
            return None
        host, published, target, protocol = _split(node.text)
    if protocol.lower() not in ("", *_PROTOCOLS):
        raise BadPort(f"{protocol!r} is no protocol")
    inside, outside = range_of(target), range_of(published) if published else None
    if outside and len(outside) != len(inside) > 1:
        raise BadPort(f"{published} and {target} are not as many ports")
    return Port(node, inside, outside, host.strip("[]"), protocol.lower() or "tcp")


def _split(text: str) -> tuple[str, str, str, str]:
    """The address, published port, target and protocol of the short form."""
    numbers, _, protocol = text.partition("/")
    *before, target = numbers.split(":")
    if not target:
        raise BadPort("it names no port of the container")
    published = before.pop() if before else ""
    host = ":".join(before)
    if host and not _is_address(host.strip("[]")):
        raise BadPort(f"{host!r} is no IP address")
    return host, published, target, protocol


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def env_files(node: Node | None) -> Iterator[EnvFile]:
    for item in items(node):
        path = item.get("path") if item.kind == "map" else item
        if path is not None and path.text and not path.unset and path.kind == "scalar":
            yield EnvFile(
                resolved(path),
                path,
                item.string("required").lower() != "false",
                item.string("format") == "raw",
            )


def resolved(node: Node) -> Path:
    """The path that a node names, from where its file's paths begin."""
    return Path(os.path.normpath(node.file.folder / os.path.expanduser(node.text)))


def build_of(node: Node, written: Node, variables: Mapping[str, str]) -> Build | None:
    if node.kind != "map":
        return None
    context = node.get("context")
    folder: Path | None
    if context is None:
        folder = node.file.folder
    elif context.unset or REMOTE.search(context.text) or context.kind != "scalar":
        folder = None
    else:
        folder = resolved(context)
    dockerfile, inline = node.get("dockerfile"), node.string("dockerfile_inline")
    path: Path | None = None
    if folder and not inline and not (dockerfile and dockerfile.unset):
        path = Path(os.path.normpath(folder / (dockerfile.text if dockerfile else "Dockerfile")))
    args: dict[str, str | None] = {}
    given, contexts = node.get("args"), node.get("additional_contexts")
    for name, entry in (as_pairs(given).entries if given else {}).items():
        value = entry.value
        args[name] = variables.get(name) if value.is_null else None if value.unset else value.text
    return Build(
        written,
        folder,
        path,
        inline,
        node.string("target"),
        args,
        frozenset(as_pairs(contexts).entries if contexts else ()),
    )


def mount(node: Node) -> Mount | None:
    """One entry of `volumes`; None where a part of it is not known."""
    if node.kind == "map":
        source, target = node.get("source"), node.string("target")
        if (source and source.unset) or node.string("type") == "":
            return None
        kind, text = node.string("type"), source.text if source else ""
        read_only = node.string("read_only").lower() == "true"
        return Mount(node, kind, text, target, read_only, _bound(node, kind, text))
    if node.kind != "scalar" or node.unset:
        return None
    # A letter and a colon are a Windows drive.
    drive = re.match(r"[A-Za-z]:", node.text)
    parts = node.text[drive.end() if drive else 0 :].split(":")
    parts[0] = (drive[0] if drive else "") + parts[0]
    if len(parts) == 1:
        return Mount(node, "volume", "", parts[0])
    kind = "bind" if drive or parts[0][:1] in ("/", ".", "~", "\\") else "volume"
    read_only = len(parts) > 2 and "ro" in parts[2].split(",")
    return Mount(node, kind, parts[0], parts[1], read_only, _bound(node, kind, parts[0]))


def _bound(node: Node, kind: str, source: str) -> Path | None:
    if kind != "bind" or not source:
        return None
    return Path(os.path.normpath(node.file.folder / os.path.expanduser(source)))


def command(node: Node | None) -> str | list[str]:
    """A command as it is written: a text for a shell, or words."""
    if node is None:
        return ""
    words = [word.raw.replace("$$", "$") for word in items(node) if word.kind == "scalar"]
    return words if node.kind == "list" else "".join(words)
