"""A running process with its ancestors, as the operating system tells of it."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from saas_doctor.processes import MARK, SUPERVISOR
from saas_doctor.redact import MASK, redact

if TYPE_CHECKING:
    import psutil

T = TypeVar("T")


class Process(Struct, frozen=True):
    """A running process; `pid` and `created` (seconds since 1970) together are its identity.

    What this user may not see is empty.
    """

    pid: int
    created: float
    name: str
    command: tuple[str, ...] = ()
    user: str = ""
    folder: str = ""
    status: str = ""
    search: tuple[str, ...] = ()
    """Its PYTHONPATH."""
    parent: Process | None = None
    gone: bool = False
    """Whether its working folder was deleted; a new one may lie in its place."""
    unit: str = ""
    """The system's service that started it, as systemd names it."""
    program: str = ""
    """The path that it was started by, links not followed: of a Python, its environment's."""
    record: str = ""
    """Where the record is of the local stack's member that it is, or keeps running."""
    terminal: str = ""
    """The terminal that is its standard input: somebody may talk with it."""
    prompts: bool = False
    """Whether its Python has loaded what reads lines from a prompt, as pdb does at a breakpoint."""

    @property
    def lineage(self) -> list[Process]:
        """The process, its parent, and so on upwards."""
        found: list[Process] = []
        one: Process | None = self
        while one:
            found.append(one)
            one = one.parent
        return found

    @property
    def shown(self) -> str:
        """The command line with its secrets masked."""
        return masked(self.command) or self.name

    @property
    def since(self) -> str:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.created))

    def __str__(self) -> str:
        user = f", user {self.user}" if self.user else ""
        unit = f", {self.unit}" if self.unit else ""
        return f"{self.name} (pid {self.pid}{user}{unit}, since {self.since}): {self.shown}"


_SECRET_OPTION = re.compile(r"^--?[\w-]*(password|passwd|secret|token|key|auth)[\w-]*$", re.I)


def masked(command: Sequence[str]) -> str:
    """The command line as one text, with its secrets masked (`--token X` as well)."""
    words = [
        MASK if _SECRET_OPTION.match(before) and not word.startswith("-") else word
        for before, word in zip(["", *command], command, strict=False)
    ]
    # Servers that write their own title (redis, postgres) pad it with blanks.
    return redact(" ".join(" ".join(words).split()))


def process_of(pid: int) -> Process | None:
    """The process with its ancestors; None when it has ended."""
    import psutil

    try:
        process = psutil.Process(pid)
        chain = [process, *process.parents()[:12]]
    except psutil.Error:
        return None
    parent: Process | None = None
    for one in reversed(chain):
        parent = _describe(one, parent) or parent
    return parent if parent and parent.pid == pid else None


def _describe(process: psutil.Process, parent: Process | None) -> Process | None:
    import psutil

    try:
        with process.oneshot():
            return Process(
                process.pid,
                process.create_time(),
                process.name(),
                tuple(_allowed(process.cmdline, [])),
                _allowed(process.username, ""),
                _allowed(process.cwd, "") or "",
                str(process.status()),
                tuple(_search_path(process)),
                parent,
                _works_in_deleted(process.pid),
                _unit(process.pid),
                _program(process),
                _record(process),
                _terminal(process),
                has_prompt(process.pid),
            )
    except psutil.Error:
        return None


def _allowed(ask: Callable[[], T], otherwise: T) -> T:
    """What the process says, or this where the user may not know."""
    import psutil

    try:
        return ask()
    except (psutil.AccessDenied, psutil.ZombieProcess, KeyError, OSError):
        return otherwise


def _search_path(process: psutil.Process) -> list[str]:
    none: dict[str, str] = {}
    text = _allowed(process.environ, none).get("PYTHONPATH", "")
    return [part for part in text.split(os.pathsep) if part]


def _program(process: psutil.Process) -> str:
    none: dict[str, str] = {}
    nothing: list[str] = []
    word = next(iter(_allowed(process.cmdline, nothing)), "")
    if os.path.dirname(word):
        return os.path.normpath(os.path.join(_allowed(process.cwd, "") or "", word))
    path = _allowed(process.environ, none).get("PATH")
    return (shutil.which(word, path=path) if word and path else None) or ""


def _record(process: psutil.Process) -> str:
    none: dict[str, str] = {}
    nothing: list[str] = []
    words = _allowed(process.cmdline, nothing)
    # What writes its own title (redis) writes over its environment; its supervisor does not.
    named = words[words.index(SUPERVISOR) + 1 :][:1] if SUPERVISOR in words else []
    return named[0] if named else _allowed(process.environ, none).get(MARK, "")


def _terminal(process: psutil.Process) -> str:
    try:
        name = os.readlink(f"/proc/{process.pid}/fd/0")
    except FileNotFoundError:  # no Linux: the terminal that it was started from
        none: str | None = None
        return (_allowed(process.terminal, none) if hasattr(process, "terminal") else "") or ""
    except OSError:
        return ""
    # One whose window was closed is nobody's any more.
    gone = name.endswith(" (deleted)")
    return name if name.startswith(("/dev/pts/", "/dev/tty")) and not gone else ""


_READLINE = re.compile(rb"/readline\.[^/\n]*\.so$", re.M)


def has_prompt(pid: int) -> bool:
    """Whether a Python has loaded what reads lines from a prompt: on Linux, where that is a file."""
    try:
        return bool(_READLINE.search(Path(f"/proc/{pid}/maps").read_bytes()))
    except OSError:
        return False


def _works_in_deleted(pid: int) -> bool:
    """On Linux: whether its folder was deleted, also where one of the same name is there again."""
    try:
        return os.readlink(f"/proc/{pid}/cwd").endswith(" (deleted)")
    except OSError:
        return False


_UNIT = re.compile(r"/system\.slice/(?:[^/\n]+\.slice/)*([^/\n]+\.service)$", re.M)


def _unit(pid: int) -> str:
    """On Linux: the service of the system that it runs in."""
    try:
        found = _UNIT.search(Path(f"/proc/{pid}/cgroup").read_text())
    except OSError:
        return ""
    return found.group(1) if found else ""
