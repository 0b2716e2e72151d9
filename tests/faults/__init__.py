"""The table of faults and healthy look-alikes: one entry a fault, in a module a family.

A fault is injected into a fresh copy of the reference platform, found (and nothing else), planned,
fixed, verified and undone to the same bytes. A look-alike is injected and must stay silent.
"""

from __future__ import annotations

import importlib
import pkgutil
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.testbed.postgres import Cluster


@dataclass
class Copy:
    """A copy of the reference platform with its own environment, database and ports."""

    root: Path
    environ: dict[str, str]
    ports: dict[str, int]
    cluster: Cluster
    database: str
    role: str
    password: str
    redis_url: str
    extras: dict[str, Any] = field(default_factory=dict)

    def path(self, relative: str) -> Path:
        return self.root / relative

    @property
    def python(self) -> Path:
        return self.root / "backend/.venv/bin/python"

    def run(
        self, *argv: str, cwd: str = "backend", limit: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the platform; `python` means the platform's interpreter."""
        words = [str(self.python) if word == "python" else word for word in argv]
        return subprocess.run(
            words,
            cwd=self.root / cwd,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )

    def imports(self, statement: str) -> bool:
        """Whether the platform's interpreter can run this in `backend`."""
        return self.run("python", "-c", statement).returncode == 0


Inject = Callable[[Copy], "AbstractContextManager[None] | None"]
"""Breaks the copy. One that starts a process or a server returns a context that ends it."""


@dataclass(frozen=True)
class Fault:
    """A way to break the platform that one check, and its declared dependents, report.

    `also`: further codes that may be reported with it. `works`: what the fault breaks, a question
    to the copy that is False while it is broken and True after the fix. `fixed`: whether
    `fix --yes` is to mend it (False where there is no fix, or only a destructive one).
    `left`: codes that may be reported of it when it is mended. `group`: faults of one group can't
    be combined with each other (same file and place, ...).
    """

    code: str
    name: str
    inject: Inject
    also: tuple[str, ...] = ()
    works: Callable[[Copy], bool] | None = None
    fixed: bool = True
    left: tuple[str, ...] = ()
    target: str = ""
    group: str = ""
    against: tuple[str, ...] = ()
    """Codes whose faults can't be injected beside it: what they change is gone."""
    environment: bool = False
    """Whether it changes the copy's environment, where its code alone does not tell so."""
    at: str = ""
    """Where the failing thing stands, `path:text of the line`, where that is no line of the injection's.

    The path may be a pattern.
    """
    docker: bool = False
    """Whether it needs a Docker engine, which the copy's DOCKER_HOST then names."""

    def __str__(self) -> str:
        return f"{self.code}-{self.name}".replace(" ", "-")


@dataclass(frozen=True)
class Healthy:
    """Something that looks like the fault of this code and is none."""

    code: str
    name: str
    inject: Inject
    environment: bool = False
    docker: bool = False
    database: bool = False
    """Whether what it starts needs one, where its code is about files."""

    def __str__(self) -> str:
        return f"{self.code}-{self.name}".replace(" ", "-")


def all_of(kind: type[Any]) -> list[Any]:
    """Every entry of a kind in this package's modules; nothing is registered by hand."""
    return [entry for entries in _entries() for entry in entries if isinstance(entry, kind)]


def _entries() -> Iterator[list[Any]]:
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        yield getattr(module, "ENTRIES", [])


# What most entries are made of. Each returns an injection.


def replace(path: str, old: str, new: str) -> Inject:
    """Change text in a file; fails where the old text is not there once."""

    def inject(copy: Copy) -> None:
        file = copy.path(path)
        text = file.read_bytes().decode()
        assert text.count(old) == 1, f"{path}: {old!r} stands {text.count(old)} times"
        file.write_bytes(text.replace(old, new).encode())

    return inject


def write(path: str, text: str | bytes) -> Inject:
    """Write a file, with its folder."""

    def inject(copy: Copy) -> None:
        file = copy.path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)

    return inject


def append(path: str, text: str) -> Inject:
    def inject(copy: Copy) -> None:
        with copy.path(path).open("ab") as file:
            file.write(text.encode())

    return inject


def remove(path: str) -> Inject:
    """Remove a file or a folder."""

    def inject(copy: Copy) -> None:
        target = copy.path(path)
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        else:
            target.unlink()

    return inject


def install(*requirements: str) -> Inject:
    """Install into the copy's environment without its dependencies."""

    def inject(copy: Copy) -> None:
        uv = shutil.which("uv", path=copy.environ["PATH"])
        assert uv, "the test environment has uv"
        done = copy.run(
            uv, "pip", "install", "-q", "--no-deps", "-p", str(copy.python), *requirements
        )
        assert done.returncode == 0, done.stderr

    return inject


def uninstall(*names: str) -> Inject:
    def inject(copy: Copy) -> None:
        uv = shutil.which("uv", path=copy.environ["PATH"])
        assert uv, "the test environment has uv"
        done = copy.run(uv, "pip", "uninstall", "-q", "-p", str(copy.python), *names)
        assert done.returncode == 0, done.stderr

    return inject


def setenv(**values: str) -> Inject:
    """Set variables in the shell that the doctor is called from."""

    def inject(copy: Copy) -> None:
        copy.environ.update(values)

    return inject


def sql(*statements: str, database: str = "postgres") -> Inject:
    """Run SQL as the superuser; `{role}` and `{database}` stand for the copy's own."""

    def inject(copy: Copy) -> None:
        for statement in statements:
            text = statement.format(role=copy.role, database=copy.database)
            copy.cluster.sql(text, database=database.format(database=copy.database))

    return inject


def both(*injections: Inject) -> Inject:
    """Several injections, one after another (none of them a context)."""

    def inject(copy: Copy) -> None:
        for one in injections:
            assert one(copy) is None

    return inject
