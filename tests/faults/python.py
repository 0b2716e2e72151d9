"""Faults of the interpreter and the environment."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from saas_doctor import platform as platforms
from saas_doctor.facts.interpreter import Pythons
from tests.faults import (
    Copy,
    Fault,
    Healthy,
    Inject,
    append,
    both,
    remove,
    setenv,
    uninstall,
    write,
)
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
    copy.path("backend/.venv/lib/python3.9/site-packages").mkdir(parents=True)


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


def upgraded_away(copy: Copy) -> None:
    """The packages of another minor version than the interpreter's, as after an upgrade of it."""
    (there,) = copy.path("backend/.venv/lib").glob("python3.*")
    there.rename(there.with_name("python3.10"))


def moved(copy: Copy) -> None:
    """Made for another folder, which is gone."""
    _lead_to(copy, f"{copy.root}.old/backend/.venv")


def copied(copy: Copy) -> None:
    """A copy of an environment that is still in its place."""
    other = Path(f"{copy.root}.venv")
    shutil.copytree(copy.path("backend/.venv"), other, symlinks=True)
    _lead_to(copy, str(other))


def _lead_to(copy: Copy, place: str) -> None:
    for script in copy.path("backend/.venv/bin").iterdir():
        if not script.is_symlink():
            text = script.read_bytes()
            script.write_bytes(text.replace(bytes(copy.path("backend/.venv")), place.encode()))


def relocatable(copy: Copy) -> None:
    """As `uv venv --relocatable` writes it."""
    activate = copy.path("backend/.venv/bin/activate")
    text = activate.read_text()
    place = str(copy.path("backend/.venv"))
    assert f"VIRTUAL_ENV='{place}'" in text
    own = '"$(dirname -- "$(dirname -- "$(realpath -- "$SCRIPT_PATH")")")"'
    activate.write_text(text.replace(f"'{place}'", f"''{own}''"))


def home_of_its_python(copy: Copy) -> None:
    home = copy.run("python", "-c", "import sys; print(sys.base_prefix)").stdout.strip()
    file = copy.path("backend/.env")
    file.write_text(f"{file.read_text()}PYTHONHOME={home}\n")


def starts_uvicorn(copy: Copy) -> bool:
    script = copy.path("backend/.venv/bin/uvicorn")
    if not script.exists():
        return False
    shebang = script.read_text().splitlines()[0].removeprefix("#!")
    return shebang == str(copy.path(PYTHON)) and copy.run(str(script), "--version").returncode == 0


def has_pip(copy: Copy) -> bool:
    return copy.run("python", "-m", "pip", "--version").returncode == 0


def shell_environment_at(folder: str, *, make: bool = False) -> Inject:
    """The shell's $VIRTUAL_ENV is a folder beside the platform."""

    def inject(copy: Copy) -> None:
        other = Path(f"{copy.root}{folder}")
        if make:
            subprocess.run([UV, "venv", "-q", other], check=True)
        copy.environ["VIRTUAL_ENV"] = str(other)

    return inject


def active(copy: Copy) -> None:
    copy.environ["VIRTUAL_ENV"] = str(copy.path("backend/.venv"))
    copy.environ["PATH"] = f"{copy.path('backend/.venv/bin')}:{copy.environ['PATH']}"


INSTALL = "install:\n\tbackend/.venv/bin/pip install -r backend/requirements.txt\n"
RUN = "run:\n\tcd backend/core && python run.py\n"

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
        against=("PKG", "NET403", "PY104", "PY107"),
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
    Healthy(
        "PY101",
        "newer than the platform's own Dockerfile builds on",
        write("Dockerfile", "FROM python:3.8-slim\n"),
    ),
    Fault(
        "PY102",
        "no environment",
        remove("backend/.venv"),
        works=imports_core,
        group=ENV,
        at="README.md:python3.11 -m venv backend/.venv",
    ),
    Healthy("PY102", "an environment that is not activated", setenv(VIRTUAL_ENV="")),
    Fault("PY103", "its Python is gone", dangling, group=ENV),
    Fault("PY103", "no pyvenv.cfg", remove("backend/.venv/pyvenv.cfg"), group=ENV),
    Fault("PY103", "a file in its place", a_file_in_its_place, works=imports_core, group=ENV),
    Fault(
        "PY103",
        "another minor version behind the link",
        upgraded_away,
        works=imports_core,
        group=ENV,
    ),
    Healthy("PY103", "no pip, as uv makes it", uninstall("pip")),
    Healthy("PY103", "a link to an environment elsewhere", linked_environment),
    Fault(
        "PY104",
        "a Makefile calls a pip that is not there",
        both(uninstall("pip"), write("Makefile", INSTALL)),
        works=has_pip,
        group=ENV,
    ),
    Fault(
        "PY104",
        "pip after activate is another Python's",
        both(
            uninstall("pip"),
            write(
                "scripts/setup.sh",
                "set -e\nsource backend/.venv/bin/activate\npip install -r backend/requirements.txt\n",
            ),
        ),
        works=has_pip,
        group=ENV,
    ),
    Healthy("PY104", "a Makefile calls a pip that is there", write("Makefile", INSTALL)),
    Healthy(
        "PY104",
        "the script makes its environment",
        both(
            uninstall("pip"),
            write("setup.sh", "python3 -m venv backend/.venv\nbackend/.venv/bin/pip install x\n"),
        ),
    ),
    Healthy(
        "PY104",
        "uv's own pip, and a comment",
        both(
            uninstall("pip"),
            write(
                "setup.sh",
                "# backend/.venv/bin/pip install x\nuv pip install -p backend/.venv/bin/python x\n",
            ),
        ),
    ),
    Fault(
        "PY105",
        "a stale VIRTUAL_ENV",
        setenv(VIRTUAL_ENV="/nonexistent"),
        fixed=False,
        target="VIRTUAL_ENV",
    ),
    Fault(
        "PY105",
        "another environment is active",
        shell_environment_at(".other", make=True),
        fixed=False,
    ),
    Healthy("PY105", "the platform's own is active", active),
    Healthy("PY105", "the doctor's own is active", setenv(VIRTUAL_ENV=sys.prefix)),
    Fault(
        "PY106",
        "a Makefile starts the shell's Python",
        write("Makefile", RUN),
        fixed=False,
        target="Makefile:python",
    ),
    Fault(
        "PY106",
        "no uvicorn on PATH",
        write("start.sh", "cd backend\nuvicorn core.main:app &\n"),
        fixed=False,
    ),
    Healthy("PY106", "in a shell where it is active", both(active, write("Makefile", RUN))),
    Healthy(
        "PY106",
        "a script that activates",
        write("start.sh", ". backend/.venv/bin/activate\ncd backend/core\npython run.py\n"),
    ),
    Healthy(
        "PY106",
        "a start that is only told of",
        write(
            "help.sh",
            'echo "Run: cd backend && uvicorn core.main:app"\n'
            "cat <<'END'\npython run.py\nEND\n# uvicorn core.main:app\n",
        ),
    ),
    Healthy(
        "PY106",
        "a script that runs in a container",
        both(
            write("start.sh", "uvicorn core.main:app\n"),
            append("docker/Dockerfile.backend", "# CMD ./start.sh\n"),
        ),
    ),
    Healthy(
        "PY106",
        "the environment's Python by its path",
        write("Makefile", "run:\n\tcd backend/core && ../.venv/bin/python run.py\n"),
    ),
    Fault("PY107", "moved", moved, works=starts_uvicorn, group=ENV),
    Fault("PY107", "a copy of one that is still there", copied, works=starts_uvicorn, group=ENV),
    Healthy("PY107", "relocatable", relocatable),
    Fault(
        "PY108",
        "in the settings",
        append("backend/.env", "PYTHONHOME=/nowhere\n"),
        fixed=False,
        target="PYTHONHOME",
    ),
    Healthy("PY108", "its own library", home_of_its_python),
    Healthy("PY107", "a link to an environment elsewhere", linked_environment),
]
