"""Actions on running things: stop a process with its tree, stop a container."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from saas_doctor.actions import Action, Bench, Failed, NotApplied, Record, Refused
from saas_doctor.facts.answers import ask, client
from saas_doctor.facts.docker import connect
from saas_doctor.facts.listeners import listening
from saas_doctor.facts.running import Process, has_prompt
from saas_doctor.model import Risk, Unreadable

if TYPE_CHECKING:
    import psutil
    from docker.models.containers import Container

PATIENCE = 5.0
"""Seconds that a process may take for its own end, before it is killed."""
_SILENCE = 10.0
"""Seconds without an answer before a service of the platform is ended for it: slow is not dead."""
_SAME = 1.0
"""Seconds by which one process' time of birth may differ when it is read again."""
_AGAIN = 4.0
"""Seconds in which a service manager or a supervisor starts again what was ended."""


@dataclass(frozen=True)
class StopProcess(Action):
    """End a process and what it has started: SIGTERM to it, and SIGKILL to what is left after 5 s.

    `pid` and `created` are its identity, looked at again right before. `silent_at`: the address
    for whose silence it is stopped; it is asked once more. `restart` is the command to tell. `port`
    is the one that is to be free then; it fails where somebody has it again.
    """

    pid: int
    created: float
    name: str
    restart: str
    risk: Risk = Risk.DESTRUCTIVE
    silent_at: str = ""
    port: int = 0

    @property
    def title(self) -> str:
        return f"stop {self.name} (pid {self.pid})"

    @property
    def target(self) -> Hashable:
        return self.pid, self.created

    def preview(self) -> str:
        return (
            f"kill {self.pid}  (its whole tree; -9 after {PATIENCE:g} s)\n"
            f"can't be taken back; to start it again: {self.restart}"
        )

    def before(self, bench: Bench) -> Record:  # noqa: ARG002
        import psutil

        top = find(self.pid, self.created)
        if top is None:
            raise NotApplied(f"{self.name} (pid {self.pid}) has ended by now")
        if self.pid in (1, *(p.pid for p in psutil.Process().parents()), psutil.Process().pid):
            raise NotApplied(f"the doctor itself runs inside {self.name} (pid {self.pid})")
        if self.silent_at:
            with client() as http:
                if ask(http, self.silent_at, (_SILENCE,)).problem != "silent":
                    raise NotApplied(f"{self.name} answers at {self.silent_at} by now")
            # What was asked of it may have led it to a breakpoint.
            if any(has_prompt(one.pid) for one in _tree(top)):
                raise NotApplied(f"{self.name} (pid {self.pid}) runs under a debugger by now")
        return {
            "pid": self.pid,
            "created": self.created,
            "name": self.name,
            "restart": self.restart,
            "port": self.port,
        }

    def apply(self, bench: Bench, before: Record) -> Record:  # noqa: ARG002
        import psutil

        top = find(self.pid, self.created)
        if top is None:
            return {}
        try:
            _stop(top)
        except psutil.AccessDenied:
            raise Failed(f"{self.name} (pid {self.pid}) belongs to another user") from None
        again = _again_at(self.port) if self.port else None
        if again:
            starter = again.parent
            by = f", by {starter.name} (pid {starter.pid})" if starter else ""
            raise Failed(
                f"{self.name} (pid {self.pid}) was stopped and is started again{by}: "
                f"{again.name} (pid {again.pid}) holds port {self.port}; stop what starts it"
            )
        return {}

    def verify(self, bench: Bench) -> bool:  # noqa: ARG002
        return find(self.pid, self.created) is None

    @classmethod
    def undo(cls, bench: Bench, before: Record, after: Record | None) -> str | None:  # noqa: ARG003
        if find(before["pid"], before["created"]) is not None:
            return None  # cut off before it was stopped
        if after is None and before.get("port") and _holder(before["port"]):
            return None  # it was started again
        return (
            f"{before['name']} was stopped and can't be brought back; start it: {before['restart']}"
        )


def _again_at(port: int) -> Process | None:
    """What listens on a port within some seconds, which was free just now."""
    deadline = time.monotonic() + _AGAIN
    while (found := _holder(port)) is None and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def _holder(port: int) -> Process | None:
    """What this user can see listening on a port."""
    try:
        return next((one.process for one in listening({port})[0] if one.process), None)
    except Unreadable:
        return None


def find(pid: int, created: float) -> psutil.Process | None:
    """The process with this identity, while it lives; a number may belong to another by now."""
    import psutil

    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - created) < _SAME
        return process if same and _lives(process) else None
    except psutil.NoSuchProcess:
        return None


def _lives(process: psutil.Process) -> bool:
    """Whether it still runs; a zombie is over, only its parent has not looked yet."""
    import psutil

    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _stop(top: psutil.Process) -> None:
    """End the tree; raises Failed where something of it stays."""
    import psutil

    tree = _tree(top)
    with contextlib.suppress(psutil.NoSuchProcess):
        stopped = top.status() == psutil.STATUS_STOPPED
        top.terminate()
        if stopped:  # by Ctrl-Z: it hears nothing until it is woken
            top.resume()
    left = _wait(tree, PATIENCE)
    # What was started meanwhile is of the tree too.
    left = list({p.pid: p for one in left for p in _tree(one)}.values())
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    left = _wait(left, PATIENCE)
    if left:
        raise Failed(f"pid {', '.join(str(p.pid) for p in left)} does not end, not even by SIGKILL")


def _tree(top: psutil.Process) -> list[psutil.Process]:
    import psutil

    try:
        return [top, *top.children(recursive=True)]
    except psutil.NoSuchProcess:
        return [top]


def _wait(processes: list[psutil.Process], limit: float) -> list[psutil.Process]:
    """Those that still live after the limit (seconds), or as soon as none does."""
    deadline = time.monotonic() + limit
    left = [p for p in processes if _lives(p)]
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = [p for p in left if _lives(p)]
    return left


@dataclass(frozen=True)
class StopContainer(Action):
    """Stop a container, as `docker stop` does; undo starts it again."""

    identity: str
    name: str

    risk = Risk.DESTRUCTIVE

    @property
    def title(self) -> str:
        return f"stop {self.name}"

    @property
    def target(self) -> Hashable:
        return self.identity

    def preview(self) -> str:
        return f"docker stop {self.identity[:12]}  ({self.name})"

    def before(self, bench: Bench) -> Record:
        with container(bench, self.identity) as found:
            if found is None or found.status != "running":
                raise NotApplied(f"{self.name} does not run any more")
            if found.attrs["HostConfig"].get("AutoRemove"):
                raise NotApplied(f"{self.name} is removed for good when it is stopped (--rm)")
        return {"identity": self.identity, "name": self.name}

    def apply(self, bench: Bench, before: Record) -> Record:  # noqa: ARG002
        with container(bench, self.identity) as found:
            if found is not None:
                found.stop()
        return {}

    def verify(self, bench: Bench) -> bool:
        with container(bench, self.identity) as found:
            return found is not None and found.status != "running"

    @classmethod
    def undo(cls, bench: Bench, before: Record, after: Record | None) -> str | None:  # noqa: ARG003
        with container(bench, before["identity"]) as found:
            if found is None:
                raise Refused(f"{before['name']} was removed since")
            if found.status != "running":
                found.start()
        return None


@contextlib.contextmanager
def container(bench: Bench, identity: str) -> Iterator[Container | None]:
    """The container as it is now, None where there is none; the engine's refusals are Failed."""
    import docker
    import requests

    try:
        engine = connect(bench.platform.environ)
    except Unreadable as reason:
        raise Failed(str(reason)) from None
    # Stopping may take the ten seconds that a container has for its own end.
    engine.api.timeout = 30
    try:
        try:
            found = engine.containers.get(identity)
        except docker.errors.NotFound:
            found = None
        yield found
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise Failed(f"Docker: {error}") from None
    finally:
        engine.close()
