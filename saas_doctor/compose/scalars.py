"""Texts, numbers, times and lists of texts as they are written, made into the canonical ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from saas_doctor.compose import spec
from saas_doctor.compose.merge import as_list, as_pairs
from saas_doctor.compose.nodes import Node
from saas_doctor.compose.units import duration, nanoseconds, single, size, text_of

_TRUE, _FALSE = {"true", "y", "yes", "on"}, {"false", "n", "no", "off"}


class Bad(Exception):
    """A value that Compose refuses."""

    def __init__(self, node: Node, message: str) -> None:
        super().__init__(message)
        self.node = node


def text(node: Node) -> str:
    if node.kind != "scalar":
        raise Bad(node, f"it must be text, and is a {node.kind}")
    return text_of(node)


def whole(node: Node) -> int:
    try:
        return int(text_of(node))
    except ValueError:
        raise Bad(node, f"{node.text!r} is no whole number") from None


def truth(node: Node) -> bool:
    text = node.text.lower()
    if text not in _TRUE | _FALSE:
        raise Bad(node, f"{node.text!r} is neither true nor false")
    return text in _TRUE


def _number(node: Node) -> int | float:
    try:
        return single(float(node.text))
    except (ValueError, OverflowError):
        raise Bad(node, f"{node.text!r} is no number") from None


def _count(node: Node) -> int:
    return -1 if node.text.lower() == "all" else whole(node)


def _bytes(node: Node) -> str:
    if isinstance(node.value, float):
        raise Bad(node, f"{node.text} has no unit, and is no whole number of bytes")
    try:
        return str(size(text_of(node)) or "")
    except ValueError as error:
        raise Bad(node, str(error)) from None


def _duration(node: Node) -> str:
    try:
        return duration(nanoseconds(text_of(node)))
    except ValueError as error:
        raise Bad(node, str(error)) from None


def _pause(node: Node) -> str:
    found = _duration(node)
    return "" if found == "0s" else found


def _mode(node: Node) -> str:
    try:
        value = node.value if isinstance(node.value, int) else int(node.text, 8)
    except ValueError:
        raise Bad(node, f"{node.text!r} is no octal mode") from None
    return f"0{value:o}"


def names(node: Node) -> tuple[str, ...]:
    if node.kind == "map":
        return tuple(node.entries)
    return tuple(text(item) for item in as_list(node).items)


def _pairs(node: Node) -> dict[str, str]:
    return {k: text(e.value) for k, e in as_pairs(node).entries.items()}


def _variables(node: Node) -> dict[str, str | None]:
    for item in node.items:
        name = item.text.partition("=")[0]
        if name[-1:].isspace():
            raise Bad(item, f"{name!r} ends with a blank")
    return {
        k: None if e.value.is_null else text(e.value) for k, e in as_pairs(node).entries.items()
    }


def _external(node: Node) -> bool:
    """A map is an older form, with the name in it."""
    return node.kind == "map" or truth(node)


def _test(node: Node) -> tuple[str, ...]:
    return names(node) if node.kind == "list" else ("CMD-SHELL", text_of(node))


def _hosts(node: Node) -> tuple[str, ...]:
    found: dict[str, list[str]] = {}
    if node.kind == "map":
        for name, entry in node.entries.items():
            found[name] = list(names(entry.value))
    for item in as_list(node).items if node.kind != "map" else ():
        name, sign, address = text_of(item).partition("=")
        if not sign:
            name, sign, address = text_of(item).partition(":")
        if not sign:
            raise Bad(item, f"{item.text!r} names no address")
        found.setdefault(name, []).extend(address.split(","))
    for name in found:
        if not name or ":" in name or "=" in name:
            raise Bad(node, f"{name!r} is no host name")
    return tuple(sorted(f"{name}={_bare(ip)}" for name, ips in found.items() for ip in ips))


def _bare(address: str) -> str:
    """An address without the brackets of IPv6."""
    inside = re.fullmatch(r"\[(.+)\]", address)
    return inside[1] if inside else address


PLAIN: dict[Any, Callable[[Node], Any]] = {
    str: text,
    int: whole,
    bool: truth,
    spec.Number: _number,
    spec.Count: _count,
    spec.Bytes: _bytes,
    spec.Duration: _duration,
    spec.Pause: _pause,
    spec.Mode: _mode,
    spec.Shown: text,
    spec.External: _external,
    spec.Names: names,
    spec.Pairs: _pairs,
    spec.Variables: _variables,
    spec.Test: _test,
    spec.Hosts: _hosts,
}
"""How a value of each of the plain types is read; raises Bad."""
