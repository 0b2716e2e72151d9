"""Whose a process is: the platform's, another checkout's of it, or a stranger's."""

from __future__ import annotations

import os
import re
from functools import cached_property
from pathlib import Path, PurePath
from urllib.parse import unquote

from msgspec import Struct

from saas_doctor.facts.addresses import FRONTEND
from saas_doctor.facts.checkouts import origin_of
from saas_doctor.facts.commands import is_foreign, real, started_elsewhere, started_service
from saas_doctor.facts.docker import Container
from saas_doctor.facts.listeners import Listener
from saas_doctor.facts.running import Process
from saas_doctor.platform import STATE, Platform

_SPAWNED = re.compile(r"multiprocessing\.(spawn|forkserver|resource_tracker)")
# What takes over the children of a process that has ended.
_REAPERS = re.compile(r"^(systemd|init|launchd|tini|dumb-init|docker-init|catatonit|upstart)")
_NODE = re.compile(r"^(node|npm|npx|pnpm|yarn|bun|deno|vite|esbuild|MainThread)", re.I)


class Holder(Struct, frozen=True):
    """What listens on a port: a process with the listeners it has there, or a container.

    The process of a service is the uppermost that belongs to it: a supervisor starts workers.
    `service` is the platform's service that it is (or the name of what else its local stack runs),
    `""` for a process that the platform started and nobody can tell for which service; None for a
    stranger. `stale` says why it is a left-over, `checkout` is the folder of another copy of the
    platform that it runs for, `near` what of a process that looks like a stranger's is the
    platform's: then it may be its own. `stack` is the folder of the platform whose local stack
    starts it again when it ends.
    """

    listeners: tuple[Listener, ...] = ()
    process: Process | None = None
    container: Container | None = None
    service: str | None = None
    stale: str = ""
    checkout: str = ""
    near: str = ""
    stack: str = ""

    def __str__(self) -> str:
        where = ", ".join(str(listener) for listener in self.listeners)
        what = str(self.container or self.process or "a process that this user can't see")
        return f"{what}, at {where}" if where else what


def _stack_of(process: Process) -> tuple[Path | None, str]:
    """The platform whose local stack keeps a process running, and the member's name there."""
    for one in process.lineage:
        record = Path(one.record)
        if record.parts[-3:-1] == (STATE, "local"):
            return record.parents[2], unquote(record.stem)
    return None, ""


class Owners:
    """Tells whose a process or a container is."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.root = real(platform.root)
        config = platform.config
        self.folders = {n: real(platform.path(s.directory)) for n, s in config.services.items()}
        self.relative = {
            name: PurePath(service.directory)
            for name, service in config.services.items()
            if PurePath(service.directory).parts
        }

    def holder(self, listeners: list[Listener]) -> Holder:
        process = listeners[0].process
        if process is None:
            return Holder(tuple(listeners))
        service, top = self._belongs(process)
        stack, member = _stack_of(process)
        if service is None and stack and real(stack) == self.root:
            service = member
        kept = str(stack or "")
        if service is not None:
            stale = self._stale(process, top)
            return Holder(tuple(listeners), top, None, service, stale, stack=kept)
        checkout = self._checkout(process)
        if checkout or stack:
            return Holder(tuple(listeners), process, checkout=str(checkout or ""), stack=kept)
        return Holder(tuple(listeners), process, near=self._near(process))

    def is_own(self, container: Container) -> bool:
        compose = self.platform.config.compose_file
        folders = {self.root, *([real(self.platform.path(compose)).parent] if compose else [])}
        return bool(container.folder) and real(Path(container.folder)) in folders

    def other_checkout(self, container: Container) -> str:
        """The folder of another copy of the platform whose compose project it is of."""
        alike = bool(container.folder) and self._is_alike(Path(container.folder))
        return container.folder if alike else ""

    def is_frontend(self, process: Process) -> bool:
        """Whether it is the dev server: it runs in the front end's folder, or is Node's in the root."""
        frontend = self.platform.config.frontend
        folder = real(self.platform.path(frontend.directory)) if frontend else None
        for one in process.lineage:
            place = real(Path(one.folder)) if one.folder else None
            if place and folder and (place == folder or folder in place.parents):
                return folder != self.root or bool(_NODE.match(one.name))
            if place == self.root and _NODE.match(one.name):
                return True
        return False

    def _belongs(self, process: Process) -> tuple[str | None, Process]:
        """The service a process runs for (`""`: one that can't be told), and its tree's top."""
        service: str | None = None
        top = process
        for one in process.lineage:
            found = started_service(one, self.folders)
            if found is not None and service in (None, "", found):
                service, top = found, one
        if service is None and self.platform.config.frontend and self.is_frontend(process):
            return FRONTEND, process
        if service is None and self._is_orphan(process):
            # Its supervisor was killed: only the folder it works in is left to tell.
            folder = real(Path(process.folder))
            named = [n for n, f in self.folders.items() if folder == f or f in folder.parents]
            service = named[0] if named else ""
        return service, top

    def _is_orphan(self, process: Process) -> bool:
        spawned = any(_SPAWNED.search(word) for word in process.command)
        return spawned and self._inside(process.folder)

    def _inside(self, folder: str) -> bool:
        """Whether a folder lies in the platform; a checkout of another may lie inside this one."""
        place = real(Path(folder)) if folder else Path("/")
        inside = [f for f in (place, *place.parents) if f == self.root or self.root in f.parents]
        return bool(inside) and not any((f / ".git").exists() for f in inside if f != self.root)

    def _near(self, process: Process) -> str:
        """What a process that names no service has of the platform; nothing for Python's own servers."""
        if is_foreign(process):
            return ""
        if self._inside(process.folder):
            return f"works in {process.folder}"
        if self._inside(os.path.dirname(process.program)):
            return f"is run by {process.program}"
        return ""

    def _stale(self, process: Process, top: Process) -> str:
        if top.gone:
            return f"the folder that it runs in was deleted ({top.folder})"
        if any(_SPAWNED.search(word) for word in process.command) and top is process:
            parent = process.parent
            if parent is None or parent.pid == 1 or _REAPERS.match(parent.name):
                return "the supervisor that started it has ended"
        return ""

    def _checkout(self, process: Process) -> Path | None:
        """The root of another copy of the platform that a process runs for."""
        for one in process.lineage:
            for _, root in started_elsewhere(one, self.relative):
                if root != self.root and self._is_alike(root, gone=one.gone):
                    return root
        folder = Path(process.folder) if process.folder else None
        if folder and any(_SPAWNED.search(word) for word in process.command):
            above = (real(folder), *real(folder).parents)
            return next((f for f in above if f != self.root and self._is_alike(f)), None)
        return None

    def _is_alike(self, root: Path, *, gone: bool = False) -> bool:
        """Whether a folder holds the same platform: its repository, or all of its services."""
        if self._origin and origin_of(root) == self._origin:
            return True
        several = len(self.relative) > 1
        if gone and not root.exists():
            return several and any(len(f.parts) > 1 for f in self.relative.values())
        return several and all((root / folder).is_dir() for folder in self.relative.values())

    @cached_property
    def _origin(self) -> str:
        return origin_of(self.root)
