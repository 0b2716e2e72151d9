"""The platform's interpreter and its virtual environment."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.facts.interpreter import Interpreter, WantedPython
from saas_doctor.model import Finding, Severity
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
    (`requires-python`, `python_requires`); where neither says so, it is 3.11 or newer (a warning).
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
def environment_missing(interpreter: Interpreter, wanted: WantedPython) -> Iterator[Finding]:
    """The platform has no virtual environment.

    **Detected** by looking for the folder that the configuration names (`backend/.venv`).
    **Fixed** by making it with a fitting interpreter found on this machine, and installing the
    requirements; `undo` removes it again, unless packages were added since.
    **Silent** whether or not the environment is activated: services are started by its path.
    """
    if not interpreter.exists:
        yield Finding(
            f"there is no virtual environment at {interpreter.name}",
            looked_at=str(interpreter.folder),
            found="nothing",
            wanted=f"an environment with Python {wanted.specifier}",
            target=interpreter.name,
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

    Its Python was removed or upgraded away, or a part of it is missing.

    **Detected** by starting its interpreter, isolated and without site packages, and by reading
    `pyvenv.cfg`.
    **Fixed** by making it anew; the old one is kept aside and `undo` puts it back.
    **Silent** when the interpreter answers, from wherever it was made. An environment without pip
    (as `uv venv` makes it) is whole.
    """
    if not interpreter.exists:
        return
    found = interpreter.failure
    if not found and not interpreter.has_config:
        found = f"{interpreter.name}/pyvenv.cfg is not there, so packages go to another Python"
    if found:
        yield Finding(
            f"the virtual environment {interpreter.name} is broken",
            looked_at=f"{interpreter.folder} (made with {interpreter.home or 'an unknown Python'})",
            found=found,
            wanted=f"an interpreter that answers (Python {wanted.specifier})",
            target=interpreter.name,
            next_step="saas-doctor fix --select PY103 makes it anew",
        )
