"""Faults of imports between the platform's modules."""

from __future__ import annotations

from tests.faults import Copy, Fault, Healthy, append, both, remove, replace, write

MODELS = "backend/shared/models/__init__.py"
RUN = "backend/registry/run.py"
ON_THE_PATH = """# python puts this folder on the path, but the packages lie one above.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

"""
SECURITY = "backend/shared/utils/security.py"


def imports_models(copy: Copy) -> bool:
    return copy.imports("from shared.models import User, Service")


def imports_core(copy: Copy) -> bool:
    return copy.imports("import core.main")


def registry_runs(copy: Copy) -> bool:
    """Whether `python run.py` finds its imports; no server is started."""
    return copy.run("python", "run.py", "--help", cwd="backend/registry").returncode == 0


def old_style(copy: Copy) -> None:
    """A run.py that forgets the path, and leaves its main.py to uvicorn."""
    copy.path(RUN).write_text(
        "import sys\n\nfrom shared.config import get_settings\n\n"
        "if __name__ == '__main__' and '--help' not in sys.argv:\n"
        "    import uvicorn\n\n    uvicorn.run('main:app', port=get_settings().REGISTRY_PORT)\n"
    )


EMPTY_PACKAGE = write(MODELS, '"""The tables."""\n')
CIRCLE = both(
    append(
        SECURITY,
        "\nfrom shared.utils.rights import may  # noqa\n\n\ndef allowed(name: str) -> bool:\n    return may(name)\n",
    ),
    write(
        "backend/shared/utils/rights.py",
        "from shared.utils.security import allowed\n\n\ndef may(name: str) -> bool:\n    return name != 'x'\n",
    ),
)
LATER = both(
    append(SECURITY, "\nfrom shared.utils.rights import may  # noqa\n"),
    write(
        "backend/shared/utils/rights.py",
        "def may(name: str) -> bool:\n    from shared.utils.security import hash_password\n\n"
        "    return bool(hash_password(name))\n",
    ),
)
WORKING_CIRCLE = both(
    append(SECURITY, "\nimport shared.utils.rights  # noqa\n"),
    write(
        "backend/shared/utils/rights.py",
        "from shared.utils.security import hash_password\n\n\ndef may(name: str) -> str:\n    return hash_password(name)\n",
    ),
)
MADE = """
def __getattr__(name: str) -> str:
    return name
"""

ENTRIES = [
    Fault(
        "SRC203",
        "run.py without the path",
        replace(RUN, ON_THE_PATH, ""),
        works=registry_runs,
        target=RUN,
        group="registry run",
        # Without an environment it is not told what is installed there.
        against=("PY101", "PY102", "PY103"),
    ),
    Fault(
        "SRC203",
        "run.py that leaves main.py to uvicorn",
        old_style,
        works=registry_runs,
        group="registry run",
        against=("PY101", "PY102", "PY103"),
    ),
    Healthy(
        "SRC203",
        "started as a module",
        both(
            replace(RUN, ON_THE_PATH, ""),
            append("README.md", "\nStart it: `cd backend && python -m registry.run`\n"),
        ),
    ),
    Healthy(
        "SRC203",
        "the path in the environment",
        both(
            replace(RUN, ON_THE_PATH, ""),
            write(
                "scripts/start.sh", "export PYTHONPATH=backend\npython backend/registry/run.py\n"
            ),
        ),
    ),
    Healthy("SRC203", "a script that imports nothing of the platform", write(RUN, "import sys\n")),
    Fault(
        "SRC205",
        "a module misspelt",
        replace(
            "backend/core/main.py", "from shared.database import", "from shared.databse import"
        ),
        works=imports_core,
        fixed=False,
        target="shared.databse",
    ),
    Fault(
        "SRC205",
        "a module removed",
        remove("backend/shared/utils/security.py"),
        works=imports_core,
        fixed=False,
        target="shared.utils.security",
    ),
    Fault(
        "SRC205",
        "a relative import of nothing",
        append("backend/gateway/main.py", "\nfrom .tabel import rows  # noqa\n"),
        fixed=False,
        target="gateway.tabel",
    ),
    Healthy(
        "SRC205",
        "a module that a build makes",
        append("backend/shared/config.py", "\nfrom shared._version import version  # noqa\n"),
    ),
    Healthy(
        "SRC205",
        "a module that git is told to pass over",
        both(
            write(".gitignore", "backend/shared/local.py\n"),
            append("backend/shared/config.py", "\nfrom shared.local import OVERRIDES  # noqa\n"),
        ),
    ),
    Healthy(
        "SRC205",
        "an import that may fail",
        append(
            "backend/shared/config.py",
            "\ntry:\n    from shared.extra import MORE\nexcept ImportError:\n    MORE = None\n",
        ),
    ),
    Healthy(
        "SRC205",
        "an import in a docstring",
        append("backend/shared/config.py", '\nEXAMPLE = """\nfrom shared.nowhere import x\n"""\n'),
    ),
    Healthy(
        "SRC205",
        "a package of its own in a folder of its own",
        both(
            write("backend/jobs/shared/tasks.py", "ALL = []\n"),
            write("backend/jobs/shared/__init__.py", ""),
            write("backend/jobs/work.py", "from shared.tasks import ALL\n"),
        ),
    ),
    Fault(
        "SRC206",
        "an empty package",
        EMPTY_PACKAGE,
        works=imports_models,
        target="shared.models.User",
        group="models",
    ),
    Fault(
        "SRC206",
        "one name not passed on",
        both(
            replace(MODELS, "from shared.models.user import User\n", ""),
            replace(MODELS, '"Service", "User"]', '"Service"]'),
        ),
        works=imports_models,
        target="shared.models.User",
        group="models",
    ),
    Fault(
        "SRC206",
        "a name misspelt",
        replace(
            "backend/core/main.py",
            "import Base, Service, User",
            "import Base, Service, Usr as User",
        ),
        works=imports_core,
        fixed=False,
        target="shared.models.Usr",
    ),
    Healthy("SRC206", "names made while running", both(EMPTY_PACKAGE, append(MODELS, MADE))),
    Healthy(
        "SRC206",
        "everything passed on",
        write(
            MODELS,
            "from shared.models.base import *\nfrom shared.models.service import *\nfrom shared.models.user import *\n",
        ),
    ),
    Healthy(
        "SRC206",
        "a name bound by a branch",
        append(
            "backend/shared/config.py",
            "\nif True:\n    for LEVEL in ('a', 'b'):\n        pass\nelse:\n    LEVEL = ''\n\n\n"
            "def level() -> str:\n    from shared.config import LEVEL as found\n\n    return found\n",
        ),
    ),
    Healthy(
        "SRC206",
        "a name bound inside a decorator",
        append(
            "backend/shared/config.py",
            "\n\ndef named(text: str):\n    return lambda f: f\n\n\n@named(TITLE := 'x')\ndef titled() -> str:\n"
            "    from shared.config import TITLE as found\n\n    return found\n",
        ),
    ),
    Healthy(
        "SRC206",
        "a module of the package",
        append("backend/gateway/main.py", "\nfrom shared.utils import security  # noqa\n"),
    ),
    Fault(
        "SRC207",
        "logging.py beside run.py",
        write("backend/registry/logging.py", "LEVEL = 'info'\n"),
        works=registry_runs,
        fixed=False,
        target="backend/registry/logging.py",
    ),
    Fault(
        "SRC207",
        "email.py in the back end",
        write("backend/email.py", "SENDER = 'noreply@example.com'\n"),
        works=imports_core,
        fixed=False,
        target="backend/email.py",
    ),
    Healthy("SRC207", "inside a package", write("backend/shared/utils/types.py", "Name = str\n")),
    Healthy("SRC207", "loaded before", write("backend/registry/abc.py", "LETTERS = 'abc'\n")),
    Healthy("SRC207", "needed by nobody", write("backend/registry/wave.py", "HIGH = 3\n")),
    Fault(
        "SRC208",
        "two modules that need each other",
        CIRCLE,
        works=imports_core,
        fixed=False,
        target="backend/shared/utils/rights.py:allowed",
    ),
    Healthy("SRC208", "an import inside a function", LATER),
    Healthy("SRC208", "a circle that works in this order", WORKING_CIRCLE),
    Healthy(
        "SRC208",
        "a circle for type checkers",
        append(
            SECURITY,
            "\nfrom typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from core.main import app  # noqa\n",
        ),
    ),
    Fault(
        "SRC209",
        "a module in capital letters",
        replace(
            "backend/core/main.py", "from shared.database import", "from shared.Database import"
        ),
        works=imports_core,
        target="shared.Database",
    ),
    Fault(
        "SRC209",
        "a package in capital letters",
        append(
            "backend/gateway/main.py", "\nfrom shared.Utils.security import hash_password  # noqa\n"
        ),
        target="shared.Utils.security",
    ),
    Healthy(
        "SRC209",
        "two modules that differ in case",
        both(
            write("backend/shared/Database.py", "URL = ''\n"),
            append("backend/gateway/main.py", "\nfrom shared.Database import URL  # noqa\n"),
        ),
    ),
    Healthy(
        "SRC209",
        "a class called as its module",
        both(
            write("backend/shared/Clock.py", "class Clock: ...\n"),
            append("backend/gateway/main.py", "\nfrom shared.Clock import Clock  # noqa\n"),
        ),
    ),
]
