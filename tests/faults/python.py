"""Faults of the interpreter and the environment."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from saas_doctor import platform as platforms
from saas_doctor.facts.interpreter import Pythons
from tests.faults import Copy, Fault, Healthy, remove, setenv, uninstall, write
from tests.testbed.platforms import UV

PYTHON = "backend/.venv/bin/python"

# Named a fake: what an old interpreter would answer, where the machine has none.
STUB = "#!/bin/sh\necho 3.9.18\n"


def imports_core(copy: Copy) -> bool:
    return copy.path(PYTHON).exists() and copy.imports("import core.main")


def old_environment(copy: Copy) -> None:
    """An environment made with a Python below 3.11 of this machine."""
    found = Pythons.read(platforms.load(copy.root, exact=True, environ=copy.environ)).found
    old = [path for path, version in found if version.release[:2] < (3, 11)]
    folder = copy.path("backend/.venv")
    if old:
        shutil.rmtree(folder)
        subprocess.run([UV, "venv", "-q", "-p", old[0], folder], check=True)
        return
    stub = copy.path(PYTHON)
    stub.unlink()
    stub.write_text(STUB)
    stub.chmod(0o755)


def dangling(copy: Copy) -> None:
    link = copy.path(PYTHON)
    link.unlink()
    link.symlink_to("/nonexistent/python3.11")


def a_file_in_its_place(copy: Copy) -> None:
    shutil.rmtree(copy.path("backend/.venv"))
    copy.path("backend/.venv").write_text("")


def linked_environment(copy: Copy) -> None:
    """The environment lies elsewhere, a link leads there."""
    there = copy.path("backend/.venv")
    elsewhere = Path(f"{copy.root}.venv")
    there.rename(elsewhere)
    there.symlink_to(elsewhere)


ENV = "environment"

ENTRIES = [
    Fault(
        "PY101",
        "made with an old Python",
        old_environment,
        also=("PKG301",),
        works=imports_core,
        group=ENV,
        # A new environment, in which nothing is installed: what was wrong in the old one is gone.
        against=("PKG301", "PKG302", "PKG303", "PKG304", "PKG305", "PKG306", "NET403"),
    ),
    Fault(
        "PY101",
        "the configuration wants another",
        write("saas-doctor.toml", 'python = "<3.11"\n'),
        fixed=False,
    ),
    Healthy(
        "PY101",
        "requires-python that fits",
        write(
            "pyproject.toml", '[project]\nname = "p"\nversion = "1"\nrequires-python = ">=3.10"\n'
        ),
    ),
    Fault("PY102", "no environment", remove("backend/.venv"), works=imports_core, group=ENV),
    Healthy("PY102", "a stale VIRTUAL_ENV of the shell", setenv(VIRTUAL_ENV="/nonexistent")),
    Fault("PY103", "its Python is gone", dangling, group=ENV),
    Fault("PY103", "no pyvenv.cfg", remove("backend/.venv/pyvenv.cfg"), group=ENV),
    Fault("PY103", "a file in its place", a_file_in_its_place, works=imports_core, group=ENV),
    Healthy("PY103", "no pip, as uv makes it", uninstall("pip")),
    Healthy("PY103", "a link to an environment elsewhere", linked_environment),
]
