"""Faults of versions that can't be had for the platform's Python."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.faults import Copy, Fault, Healthy, append, both, replace
from tests.faults.packages import imports_core, metadata
from tests.testbed.platforms import UV
from tests.testbed.pythons import python_for

REQUIREMENTS = "backend/requirements.txt"
PSYCOPG = "psycopg2-binary>=2.9.10,<3"


def wheels(copy: Copy) -> bool:
    """Whether all that is asked for can be had without compiling."""
    command = ("uv", "pip", "compile", "-q", "--only-binary", ":all:", "-p", str(copy.python))
    return copy.run(*command, "requirements.txt").returncode == 0


def on_python_313(copy: Copy) -> None:
    """The environment anew with Python 3.13."""
    folder = copy.path("backend/.venv")
    shutil.rmtree(folder)
    commands: tuple[list[str | Path], ...] = (
        [UV, "venv", "-q", "--seed", "-p", python_for("3.13"), folder],
        [UV, "pip", "install", "-q", "-p", copy.python, "-r", copy.path(REQUIREMENTS)],
    )
    for command in commands:
        subprocess.run(command, check=True, env=copy.environ)


ENTRIES = [
    Fault(
        "PKG310",
        "a pin of before this Python",
        replace(REQUIREMENTS, PSYCOPG, "psycopg2-binary==2.9.3  # works for me"),
        also=("PKG302",),
        works=wheels,
        target="psycopg2-binary",
        # The environment made anew compiles what the pin asks for.
        against=("PY101", "PY102", "PY103"),
    ),
    Fault(
        "PKG310",
        "SQLAlchemy 2.0.23 on Python 3.13",
        both(replace(REQUIREMENTS, "sqlalchemy>=2.0.31,<2.1", "sqlalchemy==2.0.23"), on_python_313),
        works=imports_core,
        target="sqlalchemy",
        group="environment",
    ),
    Healthy(
        "PKG310", "a range that reaches one", replace(REQUIREMENTS, PSYCOPG, "psycopg2-binary~=2.9")
    ),
    Healthy(
        "PKG310",
        "a pin for another Python",
        append(REQUIREMENTS, 'numpy==1.19.5; python_version < "3.10"\n'),
    ),
    Healthy("PKG310", "today's requirements on Python 3.13", on_python_313),
    Fault(
        "PKG311",
        "a pin of before this Python",
        append(REQUIREMENTS, "numpy==1.21.3\n"),
        also=("PKG301",),
        works=wheels,
        fixed=False,
        target="numpy",
    ),
    Fault(
        "PKG311",
        "installed, and for another Python",
        metadata("redis", lambda t: t.replace("Requires-Python: >=3", "Requires-Python: <3.9,>=3")),
        fixed=False,
        target="redis",
        at="backend/requirements.txt:redis>=",
    ),
    Healthy(
        "PKG311",
        "an upper bound that holds",
        metadata("redis", lambda t: t.replace("Requires-Python: >=3", "Requires-Python: <4,>=3")),
    ),
    Healthy(
        "PKG311",
        "a marker for the Python that it is for",
        append(REQUIREMENTS, 'numpy==1.21.3; python_version < "3.11"\n'),
    ),
]
