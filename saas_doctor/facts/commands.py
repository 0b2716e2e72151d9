"""Which service a command line starts, and the command that starts a service."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath

from saas_doctor.facts import Fact
from saas_doctor.facts.addresses import Address, Addresses
from saas_doctor.facts.interpreter import python_in
from saas_doctor.facts.running import Process
from saas_doctor.platform import Platform

_PYTHON = re.compile(r"^(python|pythonw|pypy)[\d.]*(\.exe)?$", re.I)
_RUNNER = re.compile(r"^(uvicorn|gunicorn|hypercorn|fastapi|granian|uv|debugpy)(\.exe)?$", re.I)
_APP = re.compile(r"^[A-Za-z_][\w.]*:[\w.()]+$")
_ENTRIES = {"run", "main", "app", "server", "serve", "start", "asgi", "wsgi", "__main__"}
"""How the file that starts a service is called, directly in the service's folder."""


Started = tuple[str, Path]
"""A service's name, and the root of the platform that it was started from."""


def started_service(process: Process, folders: Mapping[str, Path]) -> str | None:
    """The service that this process' own command line starts, or None.

    `folders`: each service's folder, absolute and without links. Only a Python or a known runner
    counts: an editor that has `run.py` open starts nothing.
    """
    for path in _started_files(list(process.command), process):
        for name, folder in folders.items():
            if path == folder or (path.parent == folder and path.stem in _ENTRIES):
                return name
    return None


def started_elsewhere(process: Process, folders: Mapping[str, PurePath]) -> Iterator[Started]:
    """As started_service, in a folder that has the services' relative `folders` as the platform has."""
    for path in _started_files(list(process.command), process):
        for name, folder in folders.items():
            home = path.parent if path.stem in _ENTRIES else path
            for inside in (path, home):
                if inside.parts[-len(folder.parts) :] == folder.parts:
                    yield name, Path(*inside.parts[: -len(folder.parts)])


def _started_files(words: list[str], process: Process) -> Iterator[Path]:
    """The files and packages that a command line may start, in the places it may find them."""
    if not words:
        return
    first, rest = Path(words[0]).name, words[1:]
    if _RUNNER.match(first):
        yield from _targets(rest, process)
    elif _PYTHON.match(first):
        rest = _without_options(rest)
        if rest[:1] == ["-m"] and len(rest) > 1:
            if _RUNNER.match(rest[1].partition(".")[0]):
                yield from _targets(rest[2:], process)
            else:
                yield from _modules(rest[1], _bases(rest, process))
        elif rest and not rest[0].startswith("-"):
            if _RUNNER.match(Path(rest[0]).name):
                yield from _targets(rest[1:], process)
            else:
                yield from (real(base / rest[0]) for base in _bases([], process)[:1])


def _without_options(words: list[str]) -> list[str]:
    """A Python's command line from its `-m`, `-c` or script on."""
    while words and words[0].startswith("-") and words[0] not in ("-m", "-c", "-"):
        words = words[2 if words[0] in ("-X", "-W") else 1 :]
    return words


def _targets(words: list[str], process: Process) -> Iterator[Path]:
    """What a runner's arguments name: `registry.main:app`, `run.py`, `-m registry.run`."""
    bases = _bases(words, process)
    for before, word in zip(["", *words], words, strict=False):
        if word.endswith(".py"):
            yield real(bases[0] / word)
        elif _APP.match(word) or before == "-m":
            yield from _modules(word.partition(":")[0], bases)


def _bases(words: list[str], process: Process) -> list[Path]:
    """The folders in which the command finds modules; its working directory is the first."""
    folder = Path(process.folder or "/nonexistent")
    found = [folder, *(folder / entry for entry in process.search)]
    for at, word in enumerate(words):
        if word in ("--app-dir", "--chdir", "--directory") and at + 1 < len(words):
            found.append(folder / words[at + 1])
        elif word.startswith(("--app-dir=", "--chdir=", "--directory=")):
            found.append(folder / word.partition("=")[2])
    return found


def _modules(dotted: str, bases: list[Path]) -> Iterator[Path]:
    relative = dotted.replace(".", "/")
    for base in bases:
        yield real(base / relative)
        yield real(base / f"{relative}.py")


def real(path: Path) -> Path:
    return Path(os.path.realpath(path))


class Starts(Fact, frozen=True):
    """The commands that start the services, with the platform's own interpreter."""

    commands: Mapping[str, str]

    @classmethod
    def read(cls, platform: Platform, addresses: Addresses) -> Starts:
        python = python_in(platform.path(platform.config.environment))
        return cls({n: start_command(platform, a, python) for n, a in addresses.services.items()})


def start_command(platform: Platform, address: Address, python: Path) -> str:
    """How a developer starts a service, from any folder."""
    words, folder = start_words(platform, address.service, address.host, address.port)
    interpreter = os.path.relpath(python, folder)
    return f"cd {shlex.quote(str(folder))} && {shlex.join([interpreter, *words])}"


def start_words(platform: Platform, service: str, host: str, port: int) -> tuple[list[str], Path]:
    """What the interpreter is told to start a service, and the folder to be in.

    One with a `run.py` takes its address from its own settings.
    """
    folder = platform.path(platform.config.services[service].directory)
    if (folder / "run.py").is_file():
        return ["run.py"], folder
    app, place = "main:app", folder
    if folder.parent == platform.path(platform.config.backend):
        app, place = f"{folder.name}.main:app", folder.parent
    return ["-m", "uvicorn", app, "--host", host, "--port", str(port)], place
