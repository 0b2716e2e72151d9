"""Which source files Python can't compile, judged by the platform's own."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct
from packaging.version import Version

from saas_doctor.facts import Fact
from saas_doctor.facts.interpreter import Interpreter, WantedPython
from saas_doctor.facts.module import Module
from saas_doctor.facts.source import Source

BUDGET = 4.0
"""Seconds of compiling; what is left then is told as not examined."""
_LARGE = 300_000

# Said in the oldest Python that may be asked; -S and -I load nothing of the platform's. Each file
# is told of as it is done, so that what was not is known when the time is up.
_ASK = """
import gc, json, sys, warnings
gc.disable()
warnings.simplefilter("ignore")
for path in sys.stdin.buffer.read().decode("utf-8", "surrogateescape").split(chr(0)):
    try:
        with open(path, "rb") as file:
            compile(file.read(), path, "exec", dont_inherit=True)
        answer = None
    except MemoryError:
        answer = ["nested too deep for Python's parser", None, None]
    except Exception as error:
        answer = [getattr(error, "msg", None) or str(error) or type(error).__name__,
                  getattr(error, "lineno", None), getattr(error, "offset", None)]
    print(json.dumps(answer), flush=True)
"""


_OF_ALL = re.compile(
    r"was never closed|^unmatched '|does not match opening parenthesis|^unexpected indent|"
    r"^expected an indented block|^unindent does not match|^inconsistent use of tabs|null bytes"
)
_F_STRING = re.compile(rb"\b[rR]?[fF][rR]?[\"']")


class Broken(Struct, frozen=True):
    """A file that can't be compiled; line and column count from 1, where they are known."""

    module: Module
    text: str
    line: int | None = None
    column: int | None = None


class Syntax(Fact, frozen=True):
    """The platform's source files that its Python can't compile.

    `judge` names the Python that said so: the platform's, or the doctor's where that does not
    answer. `doubtful` are those that a newer one may take. `left` are files that nobody could judge,
    with the reason; `unseen` those that the platform's newer Python takes and the doctor's own does
    not, so that no other check sees them; `too_large` those that are left out for their size, and
    may be imported.
    """

    broken: tuple[Broken, ...]
    judge: str
    left: tuple[Module, ...] = ()
    why_left: str = ""
    doubtful: tuple[Broken, ...] = ()
    unseen: tuple[Module, ...] = ()
    too_large: tuple[str, ...] = ()

    limit = 20.0

    @classmethod
    def read(cls, source: Source, interpreter: Interpreter, wanted: WantedPython) -> Syntax:
        version = interpreter.version
        if version:
            python, judge = interpreter.python, f"Python {version} ({interpreter.name})"
        else:
            python, version = Path(sys.executable), Version(platform.python_version())
            judge = f"Python {version}"
        tag = f"cpython-{version.major}{version.minor}"
        # The newest first: where the time does not do for all, those are the likely ones.
        kept = _Caches()
        waiting = [m for m in source.modules if not _was_compiled(m, tag, kept)]
        # Tables that a program wrote take seconds each, and come last.
        waiting.sort(key=lambda module: (len(module.data) > _LARGE, -_changed(module.path)))
        broken, left = _judged(str(python), waiting)
        why = f"not compiled within {BUDGET:g} s (`python -m compileall` does all, once)"
        own = interpreter.version is not None
        # Of a platform that says that this Python does for it, this Python's word does.
        fits = own or (wanted.declared and wanted.specifier.contains(version, prereleases=True))
        doubtful = () if fits else tuple(b for b in broken if not _holds_for_all(b, version))
        unseen: tuple[Module, ...] = ()
        if own and version.release[:2] > sys.version_info[:2]:
            refused = {b.module.name for b in broken} | {m.name for m in left}
            unseen = tuple(m for m in source.modules if m.tree is None and m.name not in refused)
        sure = tuple(b for b in broken if b not in doubtful)
        why = why if left else ""
        # Nobody misses a script such as get-pip.py, whose name stands in no other module.
        large = tuple(name for name in source.too_large if _may_be_imported(name, source))
        return cls(sure, judge, tuple(left), why, doubtful, unseen, large)


def _may_be_imported(name: str, source: Source) -> bool:
    path = Path(name)
    module = path.parent.name if path.name == "__init__.py" else path.stem
    return module.isidentifier() and bool(source.mentioning(module))


def _holds_for_all(broken: Broken, version: Version) -> bool:
    """Whether no newer Python takes it either: blocks and brackets are as they always were.

    Up to 3.11 what stands in the braces of an f-string was no part of the grammar.
    """
    told = version.release >= (3, 12) or not _F_STRING.search(broken.module.data)
    return told and bool(_OF_ALL.search(broken.text))


def _judged(python: str, modules: list[Module]) -> tuple[list[Broken], list[Module]]:
    """What this interpreter can't compile, and what it gave no answer about in time."""
    if not modules:
        return [], []
    deadline = time.monotonic() + BUDGET
    # Another process is worth its start for some hundred files.
    count = max(1, min(os.cpu_count() or 1, 4, len(modules) // 200))
    hands = [modules[number::count] for number in range(count)]
    broken: list[Broken] = []
    left: list[Module] = []
    with ThreadPoolExecutor(count) as pool:
        for hand, answers in zip(
            hands, pool.map(lambda h: _ask(python, h, deadline), hands), strict=True
        ):
            broken += [Broken(m, *a) for m, a in zip(hand, answers, strict=False) if a is not None]
            left += hand[len(answers) :]
    return sorted(broken, key=lambda b: b.module.name), left


Answer = tuple[str, "int | None", "int | None"]


def _ask(python: str, modules: list[Module], deadline: float) -> list[Answer | None]:
    """The answers about the first of these files: all, or as many as there was time for.

    A file that ends Python itself ends no other's examination.
    """
    found: list[Answer | None] = []
    while len(found) < len(modules):
        answers, died = _ask_once(python, modules[len(found) :], deadline)
        found += answers
        if not died or len(found) == len(modules):
            break
        found.append(("Python itself crashes on it", None, None))
    return found


def _ask_once(
    python: str, modules: list[Module], deadline: float
) -> tuple[list[Answer | None], bool]:
    """The answers that one process gives, and whether it died of the next file."""
    try:
        process = subprocess.Popen(
            [python, "-I", "-S", "-c", _ASK],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return [], False
    late = False
    paths = "\0".join(str(module.path) for module in modules)
    try:
        output, _ = process.communicate(os.fsencode(paths), max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        late = True
        process.kill()
        output, _ = process.communicate()
    lines = output.splitlines()
    whole = lines if output.endswith(b"\n") else lines[:-1]
    answers = [json.loads(line) for line in whole]
    died = process.returncode < 0 and not late
    return [tuple(answer) if answer else None for answer in answers], died


def _changed(path: Path) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


class _Caches(dict[str, frozenset[str]]):
    """The files in the `__pycache__` of a folder: most have none, and each is looked at once."""

    def __missing__(self, folder: str) -> frozenset[str]:
        try:
            names = frozenset(os.listdir(f"{folder}/__pycache__"))
        except OSError:
            names = frozenset()
        return self.setdefault(folder, names)


def _was_compiled(module: Module, tag: str, kept: _Caches) -> bool:
    """Whether the platform's Python has compiled the file as it is now, by its cache beside it."""
    folder, _, name = str(module.path).rpartition(os.sep)
    cache = f"{name[:-3]}.{tag}.pyc"
    if cache not in kept[folder]:
        return False
    try:
        with open(f"{folder}/__pycache__/{cache}", "rb") as file:
            head = file.read(16)
    except OSError:
        return False
    if len(head) < 16 or head[4:8] != b"\0\0\0\0":  # told apart by its hash, not by its time
        return False
    seconds = int.from_bytes(head[8:12], "little")
    size = int.from_bytes(head[12:16], "little")
    return seconds == int(_changed(module.path)) & 0xFFFFFFFF and size == len(module.data)
