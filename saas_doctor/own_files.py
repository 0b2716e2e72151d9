"""Which files of an environment are not proved to be what its maker and its packages put there."""

from __future__ import annotations

import base64
import contextlib
import csv
import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import PackagePath, distributions
from pathlib import Path

_CACHE = "__pycache__"
_PROGRAMS = ("bin", "Scripts")
_MADE = frozenset(
    (
        "activate",
        "activate.bat",
        "activate.csh",
        "activate.fish",
        "activate.nu",
        "activate.ps1",
        "Activate.ps1",
        "activate.xsh",
        "activate_this.py",
        "deactivate.bat",
        "pydoc.bat",
        "_virtualenv.py",
        "_virtualenv.pth",
        ".gitignore",
        ".lock",
        "CACHEDIR.TAG",
    )
)
"""The files that `venv`, virtualenv and uv write, and that stand in no record."""
_INTERPRETER = re.compile(r"(python|pythonw|pypy)\d?(\.\d+)?t?(\.exe)?|𝜋thon")
_MAKING = 2.0
"""Seconds in which all these of one folder are written."""
_START = 4096
"""Bytes among which a program has a zero, and a text has none."""
_PART = 1 << 20
"""Bytes that are read at once: a package's library may be larger than the memory."""


def unproved(environment: Path) -> list[Path]:
    """The files and links in it that can't be made again for sure: what is lost with them is lost.

    Proved are packages' files that have the bytes which their records tell, byte code, and links to
    the interpreter. pyvenv.cfg is left out: it tells how the environment was made.
    """
    recorded = _recorded(environment)
    top = os.fspath(environment)
    return [
        Path(path)
        for path in _below(top)
        if not _is_made_again(path, top)
        and not any(_has_bytes_of(path, file) for file in recorded.get(path, ()))
    ]


def own(environment: Path, found: list[Path]) -> list[Path]:
    """Those of the unproved that are somebody's own; the maker's are, where they came later."""
    places = {environment, *(environment / name for name in _PROGRAMS), *sites(environment)}
    made = {path for path in found if path.name in _MADE and path.parent in places}
    first = {
        folder: min(path.lstat().st_mtime for path in made if path.parent == folder)
        for folder in {path.parent for path in made}
    }
    return [
        path
        for path in found
        if path not in made or path.lstat().st_mtime > first[path.parent] + _MAKING
    ]


def sites(environment: Path) -> list[Path]:
    """The folders of its packages."""
    return [*environment.glob("lib/python3*/site-packages"), environment / "Lib/site-packages"]


def is_byte_code(name: str) -> bool:
    """Also what an interpreter that was killed left half written."""
    return name.endswith((".pyc", ".pyo")) or ".pyc." in name


def _below(folder: str) -> Iterator[str]:
    """The files and links below a folder; no link is followed."""
    for at, folders, files in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(at, name))]
        yield from (os.path.join(at, name) for name in sorted((*files, *links)))


def _recorded(environment: Path) -> dict[str, list[PackagePath]]:
    """What the packages' records tell of each file; one can stand in several."""
    found: dict[str, list[PackagePath]] = defaultdict(list)
    for site in sites(environment):
        for one in distributions(path=[str(site)]):
            with contextlib.suppress(ValueError, csv.Error):  # a record that can't be read
                for file in one.files or ():
                    found[os.path.normpath(os.path.join(site, file))].append(file)
    return found


def _has_bytes_of(path: str, file: PackagePath) -> bool:
    """Whether the file is as its package's record tells; the record itself has no checksum."""
    if file.hash is None:
        return file.name == "RECORD"
    try:
        if file.size is not None and file.size != os.stat(path).st_size:
            return False
        digest = hashlib.new(file.hash.mode)
        with open(path, "rb") as opened:
            while part := opened.read(_PART):
                digest.update(part)
    except (OSError, ValueError):
        return False
    return base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode() == file.hash.value


def _is_made_again(path: str, environment: str) -> bool:
    inside, name = os.path.split(os.path.relpath(path, environment))
    if os.path.basename(inside) == _CACHE:
        return is_byte_code(name)
    if not inside:
        return name == "pyvenv.cfg" or (
            name == "lib64" and os.path.islink(path) and os.readlink(path) == "lib"
        )
    return inside in _PROGRAMS and _is_interpreter(path, name)


def _is_interpreter(path: str, name: str) -> bool:
    """Not a text in its place, nor a link to another one."""
    if not _INTERPRETER.fullmatch(name):
        return False
    if os.path.islink(path):
        beside = os.path.join(os.path.dirname(path), "python")
        return os.path.realpath(path) == os.path.realpath(beside)
    try:
        with open(path, "rb") as file:
            return b"\0" in file.read(_START)
    except OSError:
        return False
