"""The compose file as a tree of YAML nodes, each with its place: read once for those that look into it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from saas_doctor.facts import Fact
from saas_doctor.model import Place
from saas_doctor.platform import Platform

_MAXIMUM = 1_000_000


@dataclass(frozen=True)
class ComposeTree(Fact):
    """The compose file's services as YAML nodes; none where there is no such file, or no YAML."""

    name: str = ""
    folder: Path = Path()
    data: bytes = b""

    @classmethod
    def read(cls, platform: Platform) -> ComposeTree:
        name = platform.config.compose_file
        if not name:
            return cls()
        path = platform.path(name)
        try:
            data = path.read_bytes() if path.stat().st_size <= _MAXIMUM else b""
        except OSError:
            data = b""  # a check of the compose file says so
        return cls(name, path.parent, data)

    @cached_property
    def services(self) -> tuple[tuple[str, Any], ...]:
        """The services by name; parsed when they are asked for, since a YAML parser takes its time."""
        import yaml

        try:
            root = yaml.compose(self.data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
            return ()  # a check of the compose file says so
        return tuple(pairs(entry(root, "services")))

    def place(self, node: Any) -> Place:
        return Place(self.name, node.start_mark.line + 1, node.start_mark.column + 1)


def pairs(node: Any) -> Iterator[tuple[str, Any]]:
    """A mapping's own keys and values."""
    found = node.value if getattr(node, "id", "") == "mapping" else []
    yield from ((str(key.value), value) for key, value in found)


def entry(node: Any, key: str) -> Any:
    """What a mapping has under a key, or one that is merged into it (`<<: *service`); else None."""
    for name, value in pairs(node):
        if name == key:
            return value
    for name, merged in pairs(node):
        for one in merged.value if getattr(merged, "id", "") == "sequence" else [merged]:
            for inner, value in pairs(one) if name == "<<" else ():
                if inner == key:
                    return value
    return None


def scalar(node: Any) -> str:
    """A scalar as it is written; nothing of another node."""
    return str(node.value).replace("$$", "$") if getattr(node, "id", "") == "scalar" else ""


def command(node: Any) -> str | list[str]:
    """A command: a text for a shell, or a list of words."""
    if getattr(node, "id", "") != "sequence":
        return scalar(node)
    return [scalar(word) for word in node.value]
