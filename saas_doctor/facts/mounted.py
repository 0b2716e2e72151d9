"""What a container is given from this machine beside its image's words: configurations, and its start scripts."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from saas_doctor.compose.model import Service
from saas_doctor.facts.builds import ServiceBuild

_MAXIMUM = 200_000
_SCRIPT = re.compile(r"[\w./-]+\.sh\b")


def configurations(service: Service) -> Iterator[bytes]:
    """The texts of the files that are mounted one by one, or as a folder below `/etc`."""
    for mount in service.volumes:
        if mount.path is None:
            continue
        found = [mount.path]
        if mount.path.is_dir():
            found = _inside(mount.path) if mount.target.startswith("/etc") else []
        for path in found:
            if (text := _read(path)) is not None:
                yield text


def scripts(build: ServiceBuild) -> Iterator[bytes]:
    """The shell scripts of the context that the Dockerfile, or the service itself, starts."""
    context, dockerfile = build.build.context, build.dockerfile
    if context is None or dockerfile is None:
        return
    started = [
        instruction.text
        for stage in dockerfile.final(build.build.target)
        for instruction in stage.instructions
        if instruction.name in ("CMD", "ENTRYPOINT")
    ]
    own = [node.source for k in ("command", "entrypoint") if (node := build.service.node.get(k))]
    for name in dict.fromkeys(n for text in [*started, *own] for n in _SCRIPT.findall(text)):
        last = name.rpartition("/")[2]
        for path in (context / name.lstrip("./"), context / last, *context.glob(f"*/{last}")):
            if (text := _read(path)) is not None:
                yield text
                break


def _inside(folder: Path) -> list[Path]:
    try:
        return sorted(Path(entry.path) for entry in os.scandir(folder))
    except OSError:
        return []


def _read(path: Path) -> bytes | None:
    try:
        if path.is_file() and path.stat().st_size <= _MAXIMUM:
            return path.read_bytes()
    except OSError:
        pass
    return None
