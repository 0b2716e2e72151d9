"""The commands that the platform's files start servers by: Dockerfiles, compose, scripts and the like."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from saas_doctor.compose.values import command
from saas_doctor.facts import Fact
from saas_doctor.facts.compose import Compose
from saas_doctor.model import Place
from saas_doctor.platform import Platform
from saas_doctor.reading import read_bytes

_RUNNERS = ("uvicorn", "gunicorn", "hypercorn", "fastapi")
_MAXIMUM = 1_000_000
_STARTERS = {"exec", "nohup", "time", "sudo", "env", "tini", "dumb-init", "command", "--"}
_INSTRUMENTS = {"opentelemetry-instrument", "ddtrace-run", "newrelic-admin", "run-program"}
_MANAGERS = {"uv", "poetry", "pipenv", "pdm", "hatch", "rye", "pixi"}
_SHELLS = {"sh", "bash", "ash", "dash", "zsh"}
_PYTHON = re.compile(r"python[\d.]*(\.exe)?")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_MAKE_VARIABLE = re.compile(r"\$\((\w+)\)")


class CommandLine(Struct, frozen=True):
    """A server's command: `runner` with its `words`, where it stands, and the folder of that file.

    `service`: the compose service that runs it, `replicas` of them.
    """

    runner: str
    words: tuple[str, ...]
    place: Place
    folder: Path
    service: str = ""
    replicas: int = 1

    @property
    def text(self) -> str:
        return " ".join((self.runner, *self.words))


class CommandLines(Fact, frozen=True):
    """The servers' commands in the platform's files."""

    found: tuple[CommandLine, ...]

    @classmethod
    def read(cls, platform: Platform, compose: Compose) -> CommandLines:
        files = list(_in_files(platform))
        if b"replicas" in compose.data or b"scale" in compose.data:
            containers = _containers(platform, compose)
            files = [replace(f, replicas=containers.get(f.place.path, 1)) for f in files]
        return cls((*files, *_in_compose(compose)))


def _in_files(platform: Platform) -> Iterator[CommandLine]:
    root, backend = platform.root, platform.path(platform.config.backend)
    services = [platform.path(s.directory) for s in platform.config.services.values()]
    roots = map(platform.path, platform.config.source_roots)
    folders = list(dict.fromkeys([root, backend, root / "docker", *roots, *services]))
    for folder in folders:
        for path in sorted(folder.glob("*Dockerfile*")):
            yield from _of_file(platform, path, _dockerfile)
    for folder in dict.fromkeys([root, backend]):
        yield from _of_file(platform, folder / "Procfile", _procfile)
        yield from _of_file(platform, folder / "Makefile", _makefile)
        yield from _of_file(platform, folder / "package.json", _package)
        for path in sorted([*folder.glob("*.sh"), *(folder / "scripts").glob("*.sh")]):
            yield from _of_file(platform, path, _lines)


Command = tuple[int, "str | Sequence[str]"]
"""A line number, and the command there: a text for a shell, or words."""


def _of_file(platform: Platform, path: Path, read: Any) -> Iterator[CommandLine]:
    data = _read(path)
    if _mentions_runner(data):
        for line, text in read(data):
            place = Place(platform.relative(path), line)
            for runner, arguments in servers(text):
                yield CommandLine(runner, tuple(arguments), place, path.parent)


def _mentions_runner(data: bytes) -> bool:
    return any(runner.encode() in data for runner in _RUNNERS)


def _read(path: Path) -> bytes:
    try:
        return read_bytes(path, _MAXIMUM)
    except OSError:
        return b""  # nothing is concluded from what can't be read


# The files' forms. Each yields commands with their lines.


def _lines(data: bytes) -> Iterator[Command]:
    """The lines of a shell script, joined over trailing backslashes, comments left out."""
    held, first = "", 0
    for number, raw in enumerate(data.splitlines(), 1):
        line = raw.decode("utf-8", "replace")
        if line.lstrip().startswith("#"):
            continue  # in a Dockerfile also between joined lines
        first = first or number
        if line.endswith("\\"):
            held += line[:-1] + " "
            continue
        yield first, held + line
        held, first = "", 0
    if held:
        yield first, held


def _makefile(data: bytes) -> Iterator[Command]:
    for line, text in _lines(data):
        assert isinstance(text, str)
        if text.startswith("\t"):
            yield line, _MAKE_VARIABLE.sub(r"${\1}", text.lstrip("\t @-+")).replace("$$", "$")


def _procfile(data: bytes) -> Iterator[Command]:
    for line, text in _lines(data):
        assert isinstance(text, str)
        yield line, text.partition(":")[2]


def _package(data: bytes) -> Iterator[Command]:
    try:
        scripts = json.loads(data).get("scripts", {})
        pairs = list(scripts.items())
    except (ValueError, AttributeError, RecursionError):
        return
    for name, script in pairs:
        at = data.find(json.dumps(name).encode(), max(0, data.find(b'"scripts"')))
        if isinstance(script, str):
            yield len(data[: max(0, at) + 1].splitlines()), script


def _dockerfile(data: bytes) -> Iterator[Command]:
    """What each stage starts: its last CMD, after its last ENTRYPOINT where both are lists."""
    entrypoint: Command | None = None
    cmd: Command | None = None
    for line, text in [*_lines(data), (0, "FROM end")]:
        assert isinstance(text, str)
        instruction, _, rest = text.strip().partition(" ")
        if instruction.upper() == "FROM":
            yield from _started(entrypoint, cmd)
            entrypoint = cmd = None
        elif instruction.upper() == "CMD":
            cmd = line, _list_or_text(rest)
        elif instruction.upper() == "ENTRYPOINT":
            entrypoint = line, _list_or_text(rest)


def _started(entrypoint: Command | None, cmd: Command | None) -> Iterator[Command]:
    if entrypoint and cmd and not isinstance(entrypoint[1], str) and not isinstance(cmd[1], str):
        yield cmd[0], [*entrypoint[1], *cmd[1]]
        # A script as the entry point may well run what it is given.
        yield cmd
    elif entrypoint and isinstance(entrypoint[1], str):
        yield entrypoint
    else:
        yield from (one for one in (entrypoint, cmd) if one)


def _list_or_text(text: str) -> str | list[str]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return [str(word) for word in found] if isinstance(found, list) else text


def _in_compose(compose: Compose) -> Iterator[CommandLine]:
    """The compose file's own `command` and `entrypoint`, with the number of containers."""
    if not _mentions_runner(compose.data):
        return
    for name, service in compose.known_services.items():
        for key in ("entrypoint", "command"):
            node = service.node.get(key)
            if node is None:
                continue
            for runner, arguments in servers(command(node)):
                words, folder = tuple(arguments), node.file.path.parent
                yield CommandLine(runner, words, node.place, folder, name, service.replicas)


def _containers(platform: Platform, compose: Compose) -> dict[str, int]:
    """How many containers run what a Dockerfile starts, by its name."""
    found: dict[str, int] = {}
    for service in compose.known_services.values():
        if service.build and service.build.dockerfile and not service.node.get("command"):
            name = platform.relative(service.build.dockerfile)
            found[name] = found.get(name, 0) + service.replicas
    return found


# Commands.


def servers(started: str | Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """The servers that a command starts: the runner's name and its arguments."""
    for words in _segments(started) if isinstance(started, str) else [list(started)]:
        if len(words) > 2 and Path(words[0]).name in _SHELLS and words[1].endswith("c"):
            yield from servers(words[2])
        else:
            found = _server(words)
            yield from [found] if found else []


def _segments(text: str) -> Iterator[list[str]]:
    """A shell's line cut at its operators; nothing of one that can't be read."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars="();<>|&\n")
    lexer.whitespace, lexer.whitespace_split = " \t\r", True
    words: list[str] = []
    try:
        for word in lexer:
            if word and set(word) <= set("();|&\n"):
                yield words
                words = []
            else:
                words.append(word)
    except ValueError:  # a quote that is not closed
        return
    yield words


def _server(words: list[str]) -> tuple[str, list[str]] | None:
    """The runner that a command's words begin with, after what only starts it."""
    words = list(words)
    while words:
        word = Path(words.pop(0)).name
        if word in _RUNNERS:
            if word == "fastapi" and words[:1] not in (["run"], ["dev"]):
                return None
            return word, words
        if _ASSIGNMENT.match(word):
            continue
        if word in _MANAGERS:
            words = _after_options(words)
            if words[:1] != ["run"]:
                return None
            words = _after_options(words[1:])
        elif _PYTHON.fullmatch(word):
            while words and words[0].startswith("-") and words[0] != "-m":
                words.pop(0)
            if words[:1] != ["-m"]:
                return None
            words.pop(0)
        elif word in _STARTERS | _INSTRUMENTS:
            words = _after_options(words)
        else:
            return None
    return None


def _after_options(words: list[str]) -> list[str]:
    while words and words[0].startswith("-") and words[0] != "--":
        words = words[1:]
    return words
