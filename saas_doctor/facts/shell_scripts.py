"""The platform's own shell scripts and Makefiles: which Python their lines call."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.interpreter import ask_version
from saas_doctor.model import Place, Unreadable
from saas_doctor.platform import Platform
from saas_doctor.reading import read_bytes

_NAMES = ("Makefile", "makefile", "GNUmakefile", "justfile", "Justfile", "*.sh")
_DOCKER = ("*Dockerfile*", "*compose*.y*ml")
_MAXIMUM = 200_000
# What makes an environment, or runs things in one that it finds by itself.
_OWN_WAY = re.compile(
    rb"-m\s+venv|virtualenv|ensurepip|\buv\s|\b(?:poetry|pdm|pipenv|hatch|conda|docker)\b"
)
_ACTIVATES = re.compile(rb"(?:^|[\s;&])(?:source|\.)\s+\S*bin/activate|\bPATH\s*[:?+]?=", re.M)
_START = re.compile(
    rb"(?:^|&&|\|\||;|\bexec\b)[ \t]*[@-]*(?P<call>"
    rb"python3?[ \t]+(?:[\w./-]*/)?run\.py\b|python3?[ \t]+-m[ \t]+uvicorn\b|uvicorn[ \t]+[\w.]+:\w+)",
    re.M,
)
_PIP = re.compile(
    rb"(?:^|&&|\|\||;)[ \t]*[@-]*(?P<call>(?:python3?[ \t]+-m[ \t]+)?pip3?[ \t]+\w+)", re.M
)


class Call(Struct, frozen=True):
    """A command in a script, and where it stands."""

    text: str
    place: Place


class ShellScripts(Fact, frozen=True):
    """The shell scripts and Makefiles at the root, in the back end and in `scripts`.

    Those that make an environment, or call by a tool that has its own, are left out, and those that
    run in a container: a Dockerfile or a compose file names them.
    """

    texts: tuple[tuple[str, bytes], ...]

    @classmethod
    def read(cls, platform: Platform) -> ShellScripts:
        backend = platform.path(platform.config.backend)
        folders = (platform.root, backend, platform.root / "scripts", backend / "scripts")
        found: dict[str, bytes] = {}
        for folder in dict.fromkeys(folders):
            for path in sorted(path for name in _NAMES for path in folder.glob(name)):
                try:
                    found[platform.relative(path)] = _commands(read_bytes(path, _MAXIMUM))
                except OSError:
                    continue  # nothing is concluded from a script that isn't read
        containers = b"".join(_containers(platform))
        return cls(
            tuple(
                (name, data)
                for name, data in found.items()
                if not _OWN_WAY.search(data)
                and os.fsencode(name.rpartition("/")[2]) not in containers
            )
        )

    def calls_of_pip(self, environment: str) -> Iterator[Call]:
        """The calls of an environment's own pip: by its path, or after `activate`."""
        name = re.escape(environment.rpartition("/")[2].encode())
        path = rb"(?<![\w./-])(?:[\w.-]+/|\.\./|/)*%s/bin/" % name
        call = re.compile(rb"(?P<call>%s(?:pip3?|python3?[ \t]+-m[ \t]+pip)\b)" % path)
        yield from _calls(call, self.texts)
        activate = re.compile(rb"(?:^|[\s;&])(?:source|\.)\s+\S*%s/bin/activate" % name, re.M)
        yield from _calls(_PIP, [(n, d) for n, d in self.texts if activate.search(d)])

    def starts_by_shell(self) -> Iterator[Call]:
        """The starts of a service with whichever Python the shell finds."""
        yield from _calls(_START, [(n, d) for n, d in self.texts if not _ACTIVATES.search(d)])


def _containers(platform: Platform) -> Iterator[bytes]:
    """The texts of Dockerfiles and compose files in the usual places."""
    backend = platform.path(platform.config.backend)
    folders = dict.fromkeys((platform.root, backend, platform.root / "docker"))
    for path in (path for folder in folders for name in _DOCKER for path in folder.glob(name)):
        with suppress(OSError):
            yield read_bytes(path, _MAXIMUM)


def _calls(pattern: re.Pattern[bytes], texts: Iterable[tuple[str, bytes]]) -> Iterator[Call]:
    for name, data in texts:
        for found in pattern.finditer(data):
            line = data.count(b"\n", 0, found.start("call")) + 1
            yield Call(found["call"].decode("utf-8", "replace"), Place(name, line))


_TEXTS = re.compile(
    rb"(?:^|(?<=\s))#[^\n]*"  # comments
    rb"|^[ \t]*[@-]*(?:echo|printf)\b[^\n]*"
    rb"|<<-?[ \t]*['\"]?(?P<end>\w+)['\"]?[^\n]*\n(?:[^\n]*\n)*?[ \t]*(?P=end)[ \t]*$",
    re.M,
)


def _commands(data: bytes) -> bytes:
    """The lines of a script without what is only told: comments, what is printed, texts."""
    return _TEXTS.sub(lambda found: b"\n" * found.group().count(b"\n"), data)


class ShellPython(Fact, frozen=True):
    """The Python that the shell finds under a name, by its PATH."""

    search: str

    @classmethod
    def read(cls, platform: Platform) -> ShellPython:
        return cls(platform.environ.get("PATH", ""))

    def find(self, name: str) -> Path | None:
        found = shutil.which(name, path=self.search)
        return Path(found) if found else None


_LACKS = "import importlib.util as u, sys; print(*[n for n in sys.argv[1:] if not u.find_spec(n)])"


def lacks(python: Path, *modules: str) -> list[str] | None:
    """Which of these modules a Python has not; None where it does not answer."""
    try:
        if ask_version(python)[0] is None:
            return None
        done = subprocess.run(
            [str(python), "-I", "-c", _LACKS, *modules],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=2.5,
            text=True,
            check=True,
        )
    except (OSError, subprocess.SubprocessError, Unreadable):
        return None
    return done.stdout.split()


def lies_in(python: Path, environment: Path) -> bool:
    """Whether an interpreter, as it is called, is an environment's."""
    return os.path.realpath(python.parent.parent) == os.path.realpath(environment)
