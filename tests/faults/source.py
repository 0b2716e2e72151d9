"""Faults of source files and what they import."""

from __future__ import annotations

from tests.faults import Copy, Fault, Healthy, append, both, remove, write


def imports_models(copy: Copy) -> bool:
    return copy.imports("from shared.models import User, Service")


def imports_core(copy: Copy) -> bool:
    return copy.imports("import core.main")


def latin_1(copy: Copy) -> None:
    copy.path("backend/shared/names.py").write_bytes(b"# coding: latin-1\nNAME = '\xe9'\n")


def no_markers(copy: Copy) -> None:
    """A layout with the file nowhere: everything is imported by its full name."""
    for marker in copy.path("backend").glob("shared/utils/__init__.py"):
        marker.unlink()
    copy.path("backend/shared/__init__.py").unlink()


def shadowed(copy: Copy) -> None:
    """Another package called `shared` in the environment, and the platform's is a mere folder."""
    copy.path("backend/shared/__init__.py").unlink()
    site = next(copy.path("backend/.venv/lib").glob("python3*/site-packages"))
    (site / "shared").mkdir()
    (site / "shared/__init__.py").write_text("")


OPTIONAL = """
try:
    from shared.utils import extras
except ImportError:
    extras = None
"""

ENTRIES = [
    Fault(
        "SRC200", "syntax error", append("backend/gateway/table.py", "def broken(:\n"), fixed=False
    ),
    Fault("SRC200", "binary", write("backend/shared/blob.py", b"\x00\x01\x02"), fixed=False),
    Healthy("SRC200", "another encoding, declared", latin_1),
    Healthy(
        "SRC200", "broken file outside the services", write("scripts/old.py", "print 'hello'\n")
    ),
    Fault(
        "SRC201",
        "models without marker",
        remove("backend/shared/models/__init__.py"),
        works=imports_models,
        target="shared.models",
        group="models",
        at="backend/core/main.py:from shared.models import",
    ),
    Fault(
        "SRC201",
        "schemas without marker",
        remove("backend/shared/schemas/__init__.py"),
        works=imports_core,
        target="shared.schemas",
        at="backend/core/main.py:from shared.schemas import",
    ),
    Fault("SRC201", "utils alone without marker", remove("backend/shared/utils/__init__.py")),
    Fault(
        "SRC201",
        "an installed package of that name wins",
        shadowed,
        works=imports_models,
        target="shared",
        group="environment",
        environment=True,
        at="backend/core/run.py:from shared.config import",
    ),
    Healthy("SRC201", "no markers at all", no_markers),
    Healthy(
        "SRC201",
        "two of several folders without marker",
        both(
            remove("backend/shared/utils/__init__.py"),
            write("backend/shared/mail/letters.py", "WELCOME = 'Hello'\n"),
            append("backend/shared/config.py", "\nfrom shared.mail.letters import WELCOME\n"),
        ),
    ),
    Healthy(
        "SRC201",
        "migrations of a tool that is called as their folder",
        write("backend/alembic/env.py", "from alembic import context, op\n"),
    ),
    Healthy(
        "SRC201",
        "an import that may fail",
        both(
            write("backend/jobs/nightly.py", "JOBS = []\n"),
            append("backend/shared/utils/security.py", OPTIONAL.replace("shared.utils", "jobs")),
        ),
    ),
    Healthy(
        "SRC201",
        "a folder called as a standard package",
        write("backend/queue/worker.py", "from queue import Queue\n"),
    ),
    Healthy("SRC201", "a folder of scripts", write("backend/scripts/seed.py", "print('seed')\n")),
    Healthy(
        "SRC201", "tests without marker", write("backend/tests/unit/test_x.py", "def test(): ...\n")
    ),
]
