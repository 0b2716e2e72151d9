"""Step one: the platform's own interpreter imports what every service needs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from saas_doctor.discovery import is_left_out
from saas_doctor.facts.interpreter import python_in
from saas_doctor.platform import Platform
from saas_doctor.processes import Running
from saas_doctor.smoke.steps import Part, Step, StepFailed, StepSkipped, step

_MOST = 80
_NO_BASE = {"alembic", "migrations", "scripts", "test", "tests", "versions"}
_SCRIPT = """
import importlib, json, sys, traceback
found = {}
for name in sys.argv[2:]:
    module, _, wanted = name.partition(":")
    try:
        loaded = importlib.import_module(module)
        if wanted:
            getattr(loaded, wanted)
    except BaseException as error:
        found[name] = traceback.format_exc()
with open(sys.argv[1], "w", encoding="utf-8") as file:
    json.dump(found, file)
"""


def imports(platform: Platform, scratch: Path, limit: float) -> Iterator[Step]:
    """Import the base modules in one process; a step for each different error."""
    failures: list[tuple[str, list[str]]] = []
    with step(Part.IMPORTS, "base imports") as clock:
        names = list(platform.config.smoke.imports) or list(base_modules(platform))
        if not names:
            raise StepSkipped(
                "no package beside the services' own (`imports` in [smoke] names some)"
            )
        failures += _failures(platform, names, scratch, limit)
        clock.said = f"{len(names)} modules: {_shown(names)}"
        if failures:
            raise _not_imported(*failures[0])
    assert clock.step
    yield clock.step
    for failure in failures[1:]:
        with step(Part.IMPORTS, "base imports") as clock:
            raise _not_imported(*failure)
        assert clock.step
        yield clock.step


def _not_imported(text: str, names: list[str]) -> StepFailed:
    lines = text.splitlines()
    return StepFailed(f"{_shown(names)} can't be imported: {lines[-1]}", lines[-1], lines)


def _shown(names: list[str]) -> str:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more


def _failures(
    platform: Platform, names: list[str], scratch: Path, limit: float
) -> list[tuple[str, list[str]]]:
    """The tracebacks, each with the modules that end in the same error."""
    python = python_in(platform.path(platform.config.environment))
    result = scratch / "imports.json"
    environ = {k: v for k, v in platform.environ.items() if k != "PYTHONSAFEPATH"}
    folder = platform.path(platform.config.source_roots[0])
    process = Running(
        [str(python), "-c", _SCRIPT, str(result), *names],
        folder,
        {**environ, "PYTHONDONTWRITEBYTECODE": "1"},
        scratch / "imports.log",
    )
    try:
        ended = process.wait(limit)
    finally:
        process.stop()
    if ended is None:
        raise StepFailed.of(f"not finished within {limit:g} s", process.tail)
    if ended != 0 or not result.is_file():
        raise StepFailed.of(f"the interpreter ended with {ended}", process.tail)
    groups: dict[str, tuple[str, list[str]]] = {}
    for name, text in json.loads(result.read_text(encoding="utf-8")).items():
        groups.setdefault(text.strip().splitlines()[-1], (text.strip(), []))[1].append(name)
    return list(groups.values())


def base_modules(platform: Platform) -> Iterator[str]:
    """The packages beside the services', with the modules right inside of them."""
    services = {
        os.path.realpath(platform.path(s.directory)) for s in platform.config.services.values()
    }
    root = platform.path(platform.config.source_roots[0])
    count = 0
    for folder in _folders(root):
        inside = {os.path.realpath(folder), *(os.path.realpath(f) for f in _folders(folder))}
        if folder.name in _NO_BASE or inside & services or not _is_package(folder):
            continue
        for name in (folder.name, *(f"{folder.name}.{child}" for child in _children(folder))):
            count += 1
            if count <= _MOST:
                yield name


def _folders(folder: Path) -> list[Path]:
    try:
        found = sorted(f for f in folder.iterdir() if f.is_dir() and f.name.isidentifier())
    except OSError:
        return []
    return [f for f in found if not is_left_out(str(f))]


def _is_package(folder: Path) -> bool:
    return any(folder.glob("*.py")) or any((f / "__init__.py").is_file() for f in _folders(folder))


def _children(folder: Path) -> Iterator[str]:
    for file in sorted(folder.glob("*.py")):
        if file.stem.isidentifier() and not re.match(r"__\w+__$|conftest|test_|run$", file.stem):
            yield file.stem
    for child in _folders(folder):
        if child.name not in _NO_BASE and _is_package(child):
            yield child.name
