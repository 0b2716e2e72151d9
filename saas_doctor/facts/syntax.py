"""Which source files Python can't compile, judged by the platform's Python where it differs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from saas_doctor.facts import Fact
from saas_doctor.facts.interpreter import Interpreter
from saas_doctor.facts.source import Module, Source
from saas_doctor.syntax import compiling

BUDGET = 2.5
"""Seconds of compiling; what is left then is told as not examined."""

# Said in the oldest Python that may be asked; -S and -I load nothing of the platform's.
_ASK = """
import json, sys, warnings
warnings.simplefilter("ignore")
for path in sys.argv[1:]:
    try:
        with open(path, "rb") as file:
            compile(file.read(), path, "exec", dont_inherit=True)
    except Exception as error:
        print(json.dumps([path, getattr(error, "msg", None) or str(error),
                          getattr(error, "lineno", None), getattr(error, "offset", None)]))
print("done")
"""


@dataclass(frozen=True)
class Broken:
    """A file that can't be compiled; line and column count from 1, where they are known."""

    module: Module
    text: str
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True)
class Syntax(Fact):
    """The platform's source files that its Python can't compile.

    `judge` names the Python that said so; `left` are files that nobody could judge, with the reason.
    """

    broken: tuple[Broken, ...]
    judge: str
    left: tuple[Module, ...] = ()
    why_left: str = ""

    limit = 20.0

    @classmethod
    def read(cls, source: Source, interpreter: Interpreter) -> Syntax:
        own = sys.version_info[:2]
        there = interpreter.version.release[:2] if interpreter.version else own
        deadline = time.monotonic() + BUDGET
        tag = f"{sys.implementation.cache_tag.partition('-')[0]}-{there[0]}{there[1]}"
        # The newest first: where the time does not do for all, those are the likely ones.
        waiting = [m for m in source.modules if not _was_compiled(m, tag)]
        waiting.sort(key=lambda module: -_changed(module.path))
        if there < own:
            # The doctor's newer Python takes what the platform's does not: only that one can tell.
            return _asked(interpreter, waiting, deadline)
        broken: list[Broken] = []
        for number, module in enumerate(waiting):
            if time.monotonic() > deadline:
                why = f"not compiled within {BUDGET:g} s (`python -m compileall` does all, once)"
                return cls(tuple(broken), _own(), tuple(waiting[number:]), why)
            broken += _compile(module)
        if there > own and broken:
            return _asked(interpreter, [b.module for b in broken], deadline + 1)
        return cls(tuple(broken), _own())


def _own() -> str:
    return f"Python {sys.version_info.major}.{sys.version_info.minor}"


def _compile(module: Module) -> Iterator[Broken]:
    try:
        with compiling():
            compile(module.data, module.name, "exec", dont_inherit=True)
    except SyntaxError as error:
        yield Broken(module, error.msg or str(error), error.lineno, error.offset)
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        yield Broken(module, str(error) or type(error).__name__)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _was_compiled(module: Module, tag: str) -> bool:
    """Whether the platform's Python has compiled the file as it is now, by its cache beside it."""
    cached = module.path.parent / "__pycache__" / f"{module.path.stem}.{tag}.pyc"
    try:
        with cached.open("rb") as file:
            head = file.read(16)
    except OSError:
        return False
    if len(head) < 16 or head[4:8] != b"\0\0\0\0":  # told apart by its hash, not by its time
        return False
    seconds = int.from_bytes(head[8:12], "little")
    size = int.from_bytes(head[12:16], "little")
    return seconds == int(_changed(module.path)) & 0xFFFFFFFF and size == len(module.data)


def _asked(interpreter: Interpreter, modules: Sequence[Module], deadline: float) -> Syntax:
    """What the platform's interpreter itself makes of these files."""
    judge = f"Python {interpreter.version} ({interpreter.name})"
    by_path = {str(module.path): module for module in modules}
    paths = list(by_path)
    broken: list[Broken] = []
    for first in range(0, len(paths), 500):  # a command line has a limit
        answer = _ask(interpreter.python, paths[first : first + 500], deadline - time.monotonic())
        if answer is None:
            left = tuple(by_path[path] for path in paths[first:])
            return Syntax(tuple(broken), judge, left, f"{judge} gave no answer within its limit")
        broken += [Broken(by_path[path], text, line, at) for path, text, line, at in answer]
    return Syntax(tuple(broken), judge)


def _ask(
    python: Path | None, paths: list[str], limit: float
) -> list[tuple[str, str, int | None, int | None]] | None:
    if python is None or limit <= 0:
        return None
    try:
        done = subprocess.run(
            [str(python), "-I", "-S", "-c", _ASK, *paths],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit,
            check=False,
        )
    except (subprocess.TimeoutExpired, OSError):
        return None
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    if not lines or lines[-1] != "done":
        return None
    return [tuple(json.loads(line)) for line in lines[:-1]]
