"""Ports and mounts in their short forms: HOST:PUBLISHED:TARGET/PROTOCOL and SOURCE:TARGET:OPTIONS."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from msgspec.structs import replace

from saas_doctor.compose import spec
from saas_doctor.compose.nodes import Node
from saas_doctor.compose.scalars import Bad
from saas_doctor.compose.units import text_of
from saas_doctor.compose.values import BadPort, port

if TYPE_CHECKING:
    from saas_doctor.compose.shapes import Shaper

_PROPAGATION = {"rprivate", "private", "rshared", "shared", "rslave", "slave"}


def short_ports(node: Node) -> list[spec.Port]:
    """The ports that a text names: none, one, or a range; raises Bad."""
    try:
        known = port(replace(node, text=text_of(node), unset=()))
    except BadPort as error:
        raise Bad(node, f"the port {node.text} is not valid: {error}") from None
    if known is None:
        return []
    found = []
    for target in range(known.target.first, known.target.last + 1):
        published = known.published_for(target)
        text = str(published) if published is not None else str(known.published or "")
        found.append(
            spec.Port(
                mode="ingress",
                host_ip=known.host,
                target=target,
                published=text,
                protocol=known.protocol,
            )
        )
    return sorted(found, key=lambda one: str(one.target))


def short_mount(shaper: Shaper, node: Node) -> spec.Mount:
    """The mount that a text names; raises Bad."""
    text = text_of(node)
    if len(text) in (1, 2):
        return spec.Mount(type="volume", target=clean(text))
    parts = [""]
    for sign in text:
        # A letter and a colon are a Windows drive, wherever they stand.
        if sign == ":" and not (len(parts[-1]) == 1 and parts[-1].isalpha()):
            parts.append("")
        else:
            parts[-1] += sign
    if re.match("[A-Za-z]:/", parts[0]) and len(parts) == 1:
        shaper.warn(node, f"{text!r} is read as a Windows drive: give the volume a longer name")
    if "" in parts or len(parts) > 3:
        raise Bad(node, f"{text!r} is not SOURCE:TARGET:OPTIONS")
    source, target = ("", parts[0]) if len(parts) == 1 else (parts[0], parts[1])
    options = parts[2].split(",") if len(parts) > 2 else []
    is_bind = source[:1] in tuple("./~") or bool(re.match(r"\\\\|[^\W\d_]:", source))
    propagation = [option for option in options if option in _PROPAGATION]
    labels = [option for option in options if option in ("z", "Z")]
    read_only = [option for option in options if option in ("ro", "rw")][-1:] == ["ro"]
    bind = spec.Bind(
        selinux=labels[-1] if labels else "", propagation=propagation[-1] if propagation else ""
    )
    volume = spec.VolumeOptions(nocopy=True) if "nocopy" in options else None
    return spec.Mount(
        type="bind" if is_bind else "volume",
        source=shaper.path(node, source) if is_bind else source,
        target=clean(target),
        read_only=read_only,
        bind=bind if is_bind or propagation or labels else None,
        volume=volume if is_bind else volume or spec.VolumeOptions(),
    )


def clean(target: str) -> str:
    return re.sub("^//+", "/", posixpath.normpath(target)) if target else ""
