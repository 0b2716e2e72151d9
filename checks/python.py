"""The platform's interpreter and its virtual environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from saas_doctor.facts.dotenv import EnvFile
from saas_doctor.facts.interpreter import Interpreter, WantedPython
from saas_doctor.facts.notes import Notes
from saas_doctor.facts.packages import Installed
from saas_doctor.facts.shell_scripts import ShellPython, ShellScripts, lacks, lies_in
from saas_doctor.model import Finding, Severity
from saas_doctor.platform import Platform
from saas_doctor.rules import check


@check(
    "PY101",
    needs=("PY103",),
    symptoms=(r"requires a different Python: \S+ not in", r"Requires-Python >=3"),
)
def python_does_not_fit(interpreter: Interpreter, wanted: WantedPython) -> Iterator[Finding]:
    """The platform's Python is not one that the platform wants.

    Packages of today are not published for old Pythons, so an install picks old versions or fails.

    **Detected** by asking the environment's own interpreter (`backend/.venv/bin/python`), not the
    shell's. What is wanted comes from `python` in saas-doctor.toml, else from the project file
    (`requires-python`, `python_requires`); where neither says so, it is 3.11 or newer (a warning),
    or what an older `FROM python:3.8` of the platform's own Dockerfile names.
    **Fixed** by making the environment anew with a fitting interpreter found on this machine;
    `undo` puts the old environment back.
    **Silent** about the Python that runs the doctor, and about `$VIRTUAL_ENV`.
    """
    version = interpreter.version
    if version and not wanted.specifier.contains(version, prereleases=True):
        yield Finding(
            f"{interpreter.name} runs Python {version}; the platform wants {wanted.specifier}",
            looked_at=f"{interpreter.python} -c 'import sys; print(sys.version)'",
            found=str(version),
            wanted=f"{wanted.specifier} ({wanted.source})",
            target=interpreter.name,
            place=wanted.place,
            severity=None if wanted.declared else Severity.WARNING,
            next_step="saas-doctor fix --select PY101 makes the environment with a fitting Python",
        )


@check(
    "PY102",
    symptoms=(
        r"No virtual environment found; run `uv venv`",
        r"can't open file .*\.venv",
        r"\.venv/bin/\w+: No such file or directory",
    ),
)
def environment_missing(
    interpreter: Interpreter, wanted: WantedPython, notes: Notes
) -> Iterator[Finding]:
    """The platform has no virtual environment.

    **Detected** by looking for the folder that the configuration names, else the usual one
    (`backend/.venv`, and where Poetry and Pipenv keep theirs). An error where the configuration, a
    README or a script names that folder; else a warning, since the packages may be elsewhere: in
    containers, in conda, in the system's Python.
    **Fixed** by making it with a fitting interpreter found on this machine, and installing the
    requirements; `undo` removes it again, unless packages were added since.
    **Silent** whether or not the environment is activated: services are started by its path.
    """
    if not interpreter.exists:
        place = notes.use_of_environment()
        yield Finding(
            f"there is no virtual environment at {interpreter.name}",
            looked_at=str(interpreter.folder) + (f"; {place} names it" if place else ""),
            found="nothing",
            wanted=f"an environment with Python {wanted.specifier}",
            target=interpreter.name,
            place=place,
            severity=None if place else Severity.WARNING,
            next_step="saas-doctor fix --select PY102 makes it and installs the requirements",
        )


@check(
    "PY103",
    needs=("PY102",),
    symptoms=(
        r"cannot execute: required file not found",
        r"bad interpreter: No such file or directory",
        r"No Python at '",
    ),
)
def environment_broken(interpreter: Interpreter, wanted: WantedPython) -> Iterator[Finding]:
    """The platform's virtual environment does not work.

    Its Python was removed or upgraded away, or a part of it is missing. Where the link leads to
    another minor version by now (3.12 in place of 3.11), that Python looks for its packages in
    another folder and finds none.

    **Detected** by starting its interpreter, isolated and without site packages, and by reading
    `pyvenv.cfg` and the folders in `lib`.
    **Fixed** by making it anew, with a Python of the former minor version where there is a fitting
    one; the old one is kept aside and `undo` puts it back.
    **Silent** when the interpreter answers, from wherever it was made. An environment without pip
    (as `uv venv` makes it) is whole.
    """
    if not interpreter.exists:
        return
    found = interpreter.failure
    if not found and not interpreter.has_config:
        found = f"{interpreter.name}/pyvenv.cfg is not there, so packages go to another Python"
    if not found and interpreter.packages_of_another:
        found = (
            f"its interpreter is Python {interpreter.version} by now, and its packages are in "
            f"lib/{interpreter.packages_of_another}, where that does not look"
        )
    if found:
        yield Finding(
            f"the virtual environment {interpreter.name} is broken",
            looked_at=f"{interpreter.folder} (made with {interpreter.home or 'an unknown Python'})",
            found=found,
            wanted=f"an interpreter that answers (Python {wanted.specifier})",
            target=interpreter.name,
            next_step="saas-doctor fix --select PY103 makes it anew",
        )


@check("PY104", severity=Severity.WARNING, needs=("PY103",), symptoms=(r"No module named pip\b",))
def scripts_call_a_pip_that_is_not_there(
    scripts: ShellScripts, installed: Installed, interpreter: Interpreter
) -> Iterator[Finding]:
    """A script calls the environment's pip, and the environment has none.

    `uv venv` makes environments without pip. `.venv/bin/pip` then is not there, and after
    `activate` a plain `pip` is another Python's: it installs there, and says that all went well.

    **Detected** in Makefiles and shell scripts at the root, in the back end and in `scripts`, where
    they call pip by the environment's path or after activating it.
    **Fixed** by installing pip into the environment; `undo` takes it out again.
    **Silent** about an environment without pip that nothing calls (it is whole), and about scripts
    that make an environment themselves or call uv, Poetry, PDM or Docker.
    """
    calls = [] if installed.get("pip") else list(scripts.calls_of_pip(interpreter.name))
    for call in calls[:1]:
        yield Finding(
            f"{call.place.path} calls `{call.text}`, and {interpreter.name} has no pip",
            looked_at=f"{call.place} and {installed.name}",
            found=f"{len(calls)} call(s) of pip, no pip",
            wanted="pip in the environment, or `uv pip install` in the script",
            target=interpreter.name,
            place=call.place,
            next_step=f"saas-doctor fix --select PY104, or write "
            f"`uv pip install --python {interpreter.name}` in {call.place.path}",
        )


@check(
    "PY105",
    severity=Severity.INFO,
    symptoms=(
        r"Failed to inspect Python interpreter from active virtual environment at `(?P<file>[^`]+)`",
        r"`VIRTUAL_ENV=\S+` does not match the project environment path",
    ),
)
def another_environment_is_active(
    platform: Platform, interpreter: Interpreter
) -> Iterator[Finding]:
    """The shell's `$VIRTUAL_ENV` is not the platform's environment.

    `uv pip install`, and pip after `activate`, install into the one that is active. Where its
    folder is gone (a warning), uv ends in `Failed to inspect Python interpreter`, though the
    prompt looks as if all were well. Services that are started by the environment's path don't
    mind.

    **Detected** by comparing the folders.
    **To mend** it, call `deactivate`, or activate the platform's: no program can do it for a shell.
    **Silent** when no environment is active, or the doctor's own.
    """
    active = platform.environ.get("VIRTUAL_ENV")
    if not active or Path(active).resolve() in (
        Path(sys.prefix).resolve(),
        interpreter.folder.resolve(),
    ):
        return
    there = os.path.isdir(active)
    folder = "Scripts/activate" if os.name == "nt" else "bin/activate"
    yield Finding(
        f"another environment is active in this shell: {active}"
        + ("" if there else ", which is not there"),
        looked_at="$VIRTUAL_ENV",
        found=active + ("" if there else ": no such folder"),
        wanted=f"{interpreter.folder}, or none",
        target="VIRTUAL_ENV",
        severity=None if there else Severity.WARNING,
        next_step=f"source {interpreter.name}/{folder}"
        if interpreter.exists
        else "deactivate, or unset VIRTUAL_ENV",
    )


@check("PY106", severity=Severity.INFO, needs=("PY102",))
def scripts_start_another_python(
    scripts: ShellScripts, shell: ShellPython, interpreter: Interpreter
) -> Iterator[Finding]:
    """A script starts a service with the shell's Python, which lacks the platform's packages.

    It works in a shell where the environment is active, and ends in `No module named 'fastapi'` in
    every other: another terminal, an editor, cron.

    **Detected** where a Makefile or a shell script calls `python run.py`, `python -m uvicorn` or
    `uvicorn` by name alone, and what the PATH of this shell finds there is another Python, which
    has neither of FastAPI and uvicorn.
    **To mend** it, call the environment's Python by its path in the script.
    **Silent** about scripts that activate an environment, set PATH, or call uv, Poetry, PDM or
    Docker, and in a shell where the environment is active.
    """
    for call in scripts.starts_by_shell():
        name = call.text.split()[0]
        python = shell.find(name)
        where = str(python) if python else f"no {name} on PATH"
        if name == "uvicorn":
            if python is not None:
                continue  # some environment's; which, its own first line tells
        elif python and (
            lies_in(python, interpreter.folder)
            or lacks(python, "fastapi", "uvicorn") != ["fastapi", "uvicorn"]
        ):
            continue
        own = f"{interpreter.folder}/bin/{'python' if name != 'uvicorn' else name}"
        yield Finding(
            f"`{call.text}` in {call.place.path} finds {where}, not {interpreter.name}",
            looked_at=f"{call.place} and $PATH",
            found=f"{where}, without fastapi and uvicorn" if python else where,
            wanted=own,
            target=f"{call.place.path}:{name}",
            place=call.place,
            next_step=f"write {own} in place of `{name}` in {call.place.path}",
        )
        return


@check("PY107", severity=Severity.WARNING, needs=("PY103",))
def environment_moved(interpreter: Interpreter) -> Iterator[Finding]:
    """The platform's environment was moved or copied, and its commands lead to the old place.

    `bin/python` still works. But `bin/uvicorn` and the other commands name the old place in their
    first line (`cannot execute: required file not found`, or, where the old one is still there, its
    Python and its packages), and `activate` puts a folder on the PATH that is another one, or none.

    **Detected** by the folder that `bin/activate` names, and by the first lines of the commands.
    **Fixed** by making the environment anew in its place; `undo` puts the moved one back.
    **Silent** about a link to an environment elsewhere, and about relocatable ones.
    """
    if interpreter.python is None or not interpreter.moved:
        return
    commands = interpreter.foreign_commands()
    named = f"{', '.join(commands[:4])}{', ...' if len(commands) > 4 else ''}"
    yield Finding(
        f"{interpreter.name} was made at {interpreter.made_at}, and its commands lead there",
        looked_at=f"{interpreter.folder}/bin/activate and the first lines of its commands",
        found=f"activate leads to {interpreter.made_at}; {len(commands)} command(s) too"
        + (f": {named}" if commands else ""),
        wanted=str(interpreter.folder),
        target=interpreter.name,
        next_step="saas-doctor fix --select PY107 makes it anew; until then, call "
        f"{interpreter.name}/bin/python -m uvicorn",
    )


@check(
    "PY108",
    severity=Severity.WARNING,
    symptoms=(
        r"(?:ModuleNotFoundError: )?No module named 'encodings'",
        r"init_fs_encoding: failed to get the Python codec",
        r"Could not find platform independent libraries <prefix>",
    ),
)
def python_home_leads_elsewhere(
    env: EnvFile, interpreter: Interpreter, platform: Platform
) -> Iterator[Finding]:
    """PYTHONHOME leads the platform's Python to a library that is not its own.

    It then ends before its first line: `ModuleNotFoundError: No module named 'encodings'`. No
    package is missing.

    **Detected** in this shell's environment (an error), and in the settings file: a warning, since
    the services read that when their Python runs already. But a shell that loads the file, an
    editor, or Compose's `env_file` set it before.
    **To mend** it, take the variable away: a Python knows where its library is.
    **Silent** where the folder that it names has the library of the platform's Python.
    """
    setting = env.there.find("PYTHONHOME") if env.there else None
    of_the_shell = platform.environ.get("PYTHONHOME", "")
    for value, place in ((of_the_shell, None), (setting.value if setting else "", setting)):
        if not value or _has_library(value, interpreter):
            continue
        where = str(place.place) if place else "the environment of this shell"
        yield Finding(
            f"PYTHONHOME in {where} leads the platform's Python away from its library",
            looked_at=f"PYTHONHOME in {where}, and the folder that it names",
            found=f"{value}, without the library of Python {interpreter.version or 'there'}",
            wanted="no PYTHONHOME",
            target="PYTHONHOME" if place else "$PYTHONHOME",
            place=place.place if place else None,
            severity=None if place else Severity.ERROR,
            next_step=f"take it out of {env.name}" if place else "unset PYTHONHOME",
        )


def _has_library(home: str, interpreter: Interpreter) -> bool:
    prefix = Path(home.split(os.pathsep)[0])
    version = interpreter.version
    folders = [prefix / "Lib"]
    folders += [prefix / f"lib/python{version.major}.{version.minor}"] if version else []
    return any((folder / "encodings").is_dir() for folder in folders)
