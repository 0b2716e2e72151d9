"""Faults of what the platform's modules import from each other."""

from __future__ import annotations

from collections.abc import Callable

from tests.faults import Copy, Fault, Healthy, Inject, append, both, remove, replace, write

RUN = "backend/registry/run.py"
PLUGIN_RUN = "examples/plugins/demo-service/run.py"
INSERT = "sys.path.insert(0, str(Path(__file__).resolve().parents[1]))\n"
MAIN = "backend/core/main.py"
MODELS = "backend/shared/models/__init__.py"
SCHEMAS = "backend/shared/schemas/__init__.py"
REGISTRATION = "from shared.utils.registration import registered\n"


def runs(path: str) -> Callable[[Copy], bool]:
    """Whether the script can be started: far enough to say what it takes."""
    folder, _, name = path.rpartition("/")
    return lambda copy: copy.run("python", name, "--help", cwd=folder).returncode == 0


def imports(statement: str) -> Callable[[Copy], bool]:
    return lambda copy: copy.imports(statement)


def renamed(old: str, new: str) -> Inject:
    def inject(copy: Copy) -> None:
        copy.path(old).rename(copy.path(new))

    return inject


def everywhere(path: str, old: str, new: str) -> Inject:
    """Change a text wherever it stands in a file."""

    def inject(copy: Copy) -> None:
        text = copy.path(path).read_text()
        assert old in text
        copy.path(path).write_text(text.replace(old, new))

    return inject


def started_as_modules(copy: Copy) -> None:
    """All that says how the services are started says so by their full names."""
    for name in ("README.md", "docker/Dockerfile.backend"):
        file = copy.path(name)
        text = file.read_text().replace("backend/${SERVICE}/run.py", "-m ${SERVICE}.run")
        for service in ("registry", "gateway", "core"):
            text = text.replace(f"backend/{service}/run.py", f"-m {service}.run")
        file.write_text(text)


def linked(copy: Copy) -> None:
    """The shared package is linked into the plugin's folder."""
    plugin = copy.path("examples/plugins/demo-service")
    (plugin / "shared").symlink_to("../../../backend/shared", target_is_directory=True)


LEFT_TO_UVICORN = """\
import uvicorn

if __name__ == "__main__":
    uvicorn.run("main:app", port=8001)
"""


def app_is_found(copy: Copy) -> bool:
    """Whether the app that run.py names to uvicorn can be imported there; no server is started."""
    load = (
        "import runpy, uvicorn; from importlib import import_module\n"
        "uvicorn.run = lambda app, port: import_module(app.partition(':')[0])\n"
        "runpy.run_path('run.py', run_name='__main__')"
    )
    return copy.run("python", "-c", load, cwd="backend/registry").returncode == 0


def collects(copy: Copy) -> bool:
    return copy.run(".venv/bin/pytest", "--collect-only", "-q").returncode == 0


def below_the_imports(copy: Copy) -> None:
    """What a tool does that sorts all imports to the top."""
    file = copy.path(RUN)
    text = file.read_text().replace(INSERT, "")
    file.write_text(text.replace("\nif __name__", f"\n{INSERT}\nif __name__"))


OTHER_WAYS_TO_SAY_IT = """\
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
BACKEND = os.path.normpath(os.path.join(HERE, ".."))
if BACKEND not in sys.path:
    sys.path.insert(0, BACKEND)

from shared.config import get_settings  # noqa: E402
from shared.serve import serve  # noqa: E402

if __name__ == "__main__":
    serve("registry", get_settings().REGISTRY_PORT, "registry.main:app")
"""
FROM_A_LIST = OTHER_WAYS_TO_SAY_IT.replace(
    "if BACKEND not in sys.path:\n    sys.path.insert(0, BACKEND)\n",
    "for folder in (BACKEND, HERE):\n    sys.path.append(folder)\n",
)
OPTIONAL = """
try:
    from shared.metrics import count
except ImportError:
    def count() -> None: ...


if False:
    from shared.metrics import more


def later() -> None:
    from shared.metrics import late
"""
MANY_BINDINGS = """
import sys
from contextlib import suppress

if sys.version_info >= (3, 11):
    NEW = True
else:
    OLD = NEW = False
try:
    FIRST, (SECOND, *REST) = 1, (2, 3)
except ValueError:
    pass
with suppress(OSError), open(__file__) as HANDLE:
    pass
for NUMBER in range(3):
    LAST = NUMBER


def start() -> None:
    global COUNT
    COUNT = 1


start()


@(DECORATED := lambda f: f)
def decorated() -> None: ...


match sys.argv:
    case [PROGRAM, *_]:
        pass
    case _:
        PROGRAM = ""
"""
USES = (
    "from shared.many import COUNT, DECORATED, FIRST, HANDLE, LAST, NEW, NUMBER, PROGRAM, REST, "
    "SECOND\n"
)
LAZY = """

def __getattr__(name: str) -> object:
    if name == "Invoice":
        return Service
    raise AttributeError(name)
"""

ENTRIES = [
    Fault(
        "SRC203",
        "run.py without the folder above",
        replace(RUN, INSERT, ""),
        works=runs(RUN),
        target=RUN,
        group="registry run",
        at="backend/registry/run.py:from shared.config import",
    ),
    Fault(
        "SRC203",
        "the folder above put on the path after the imports",
        below_the_imports,
        works=runs(RUN),
        target=RUN,
        group="registry run",
        at="backend/registry/run.py:from shared.config import",
    ),
    Fault(
        "SRC203",
        "the wrong folder put on the path",
        replace(RUN, "parents[1]", "parents[0]"),
        works=runs(RUN),
        target=RUN,
        group="registry run",
        at="backend/registry/run.py:from shared.config import",
    ),
    Fault(
        "SRC203",
        "a plugin that misses the back end",
        replace(PLUGIN_RUN, "HERE.parents[2]", "HERE.parents[1]"),
        works=runs(PLUGIN_RUN),
        target=PLUGIN_RUN,
        at="examples/plugins/demo-service/run.py:from shared.config import",
    ),
    Fault(
        "SRC203",
        "run.py that leaves main.py to uvicorn",
        write(RUN, LEFT_TO_UVICORN),
        works=app_is_found,
        target=RUN,
        group="registry run",
        at="backend/registry/main.py:from shared.config import",
    ),
    Fault(
        "SRC203",
        "a relative import in a script",
        replace(RUN, "from shared.serve import", "from ..shared.serve import"),
        works=runs(RUN),
        target=RUN,
        group="registry run",
        fixed=False,
    ),
    Fault(
        "SRC205",
        "a module that is nowhere",
        replace(MAIN, "shared.utils.registration", "shared.utils.registrations"),
        works=imports("import core.main"),
        target=f"{MAIN}:shared.utils.registrations",
        fixed=False,
    ),
    Fault(
        "SRC205",
        "a module removed",
        remove("backend/shared/utils/security.py"),
        works=imports("import core.main"),
        target=f"{MAIN}:shared.utils.security",
        fixed=False,
        at="backend/core/main.py:from shared.utils.security import",
    ),
    Fault(
        "SRC205",
        "a relative module that is nowhere",
        append("backend/gateway/table.py", "\nfrom .metric import count\n"),
        works=imports("import gateway.table"),
        fixed=False,
    ),
    Fault(
        "SRC205",
        "a bare pytest without a conftest",
        both(
            remove("backend/conftest.py"),
            replace("README.md", ".venv/bin/python -m pytest", ".venv/bin/pytest"),
        ),
        works=collects,
        target="pytest:backend",
        fixed=False,
        at="backend/tests/test_platform.py:from core.main import",
    ),
    Healthy("SRC203", "the path told in other words", write(RUN, OTHER_WAYS_TO_SAY_IT)),
    Healthy("SRC203", "a path that is computed", write(RUN, FROM_A_LIST)),
    Healthy(
        "SRC203",
        "services that are started as modules",
        both(started_as_modules, replace(RUN, INSERT, "")),
    ),
    Healthy(
        "SRC203",
        "PYTHONPATH set in the image",
        both(
            replace(RUN, INSERT, ""),
            replace(
                "docker/Dockerfile.backend", "ENV SERVICE", "ENV PYTHONPATH=/app/backend SERVICE"
            ),
        ),
    ),
    Healthy(
        "SRC203",
        "PYTHONPATH set in a script",
        both(
            replace(RUN, INSERT, ""),
            write(
                "scripts/start.sh",
                "export PYTHONPATH=backend\nbackend/.venv/bin/python backend/registry/run.py\n",
            ),
        ),
    ),
    Healthy("SRC203", "a script that imports nothing of the platform", write(RUN, "import sys\n")),
    Healthy("SRC205", "modules that may not be there", append(MAIN, OPTIONAL)),
    Healthy(
        "SRC205",
        "a module that git ignores",
        both(
            append(".gitignore", "local_*.py\n"),
            append(MAIN, "\nfrom shared.local_settings import URL  # noqa\n"),
        ),
    ),
    Healthy(
        "SRC205",
        "a module that a build makes",
        append("backend/shared/config.py", "\nfrom shared._version import version  # noqa\n"),
    ),
    Healthy(
        "SRC205",
        "an import in a text",
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
    Healthy(
        "SRC205",
        "a package that is to be installed",
        append(MAIN, "\nimport stripe\nfrom billing.models import Invoice\n"),
    ),
    Healthy(
        "SRC203",
        "a shared package that is linked",
        both(linked, replace(PLUGIN_RUN, "HERE.parents[2]", "HERE.parents[1]")),
    ),
    Healthy(
        "SRC205",
        "tests that are run by python -m",
        remove("backend/conftest.py"),
    ),
    Fault(
        "SRC206",
        "a re-export taken out",
        replace(MODELS, "from shared.models.service import Service\n", ""),
        works=imports("from shared.models import Service, User"),
        target=f"{MODELS}:Service",
        group="models",
        at="backend/core/main.py:from shared.models import",
    ),
    Fault(
        "SRC206",
        "an empty package file",
        write(SCHEMAS, b""),
        works=imports("import core.main, registry.main"),
        group="schemas",
        at="backend/core/main.py:from shared.schemas import",
    ),
    Fault(
        "SRC206",
        "a name that neither is imported nor listed any more",
        both(
            replace(MODELS, "from shared.models.user import User\n", ""),
            replace(MODELS, '"Service", "User"]', '"Service"]'),
        ),
        works=imports("from shared.models import Service, User"),
        target=f"{MODELS}:User",
        group="models",
        at="backend/core/main.py:from shared.models import",
    ),
    Fault(
        "SRC206",
        "a function renamed in one place only",
        replace("backend/shared/utils/security.py", "def read_token", "def decode_token"),
        works=imports("import core.main"),
        target="backend/shared/utils/security.py:read_token",
        fixed=False,
        at="backend/core/main.py:from shared.utils.security import",
    ),
    Fault(
        "SRC206",
        "a name imported for type checkers alone",
        both(
            append(
                "backend/shared/database.py",
                "\nfrom typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from shared.models import Base\n",
            ),
            append("backend/gateway/table.py", "\nfrom shared.database import Base  # noqa\n"),
        ),
        works=imports("import gateway.table"),
        fixed=False,
    ),
    Healthy(
        "SRC206",
        "names bound in every other way",
        both(write("backend/shared/many.py", MANY_BINDINGS), append(MAIN, "\n" + USES)),
    ),
    Healthy(
        "SRC206",
        "a package with __getattr__",
        both(append(MODELS, LAZY), append(MAIN, "\nfrom shared.models import Invoice\n")),
    ),
    Healthy(
        "SRC206",
        "everything of an installed package",
        both(
            write("backend/shared/web.py", "from fastapi import *\n"),
            append(MAIN, "\nfrom shared.web import APIRouter\n"),
        ),
    ),
    Healthy(
        "SRC206", "a module of the package", append(MAIN, "\nfrom shared.models import base\n")
    ),
    Healthy(
        "SRC206",
        "everything of its own modules passed on",
        write(
            MODELS,
            "from shared.models.base import *\nfrom shared.models.service import *\nfrom shared.models.user import *\n",
        ),
    ),
    Healthy(
        "SRC206",
        "a name that is set from elsewhere",
        both(
            append(
                "backend/shared/config.py",
                "\n\nimport shared.database\n\nshared.database.READY = True\n",
            ),
            append(MAIN, "\nfrom shared.database import READY\n"),
        ),
    ),
    Healthy(
        "SRC206",
        "a name that may be missing",
        append(
            MAIN,
            "\ntry:\n    from shared.models import Invoice\nexcept ImportError:\n    Invoice = None\n",
        ),
    ),
    Fault(
        "SRC207",
        "logging.py beside run.py",
        write("backend/registry/logging.py", "def setup() -> None: ...\n"),
        works=runs(RUN),
        target="backend/registry/logging.py",
        fixed=False,
    ),
    Fault(
        "SRC207",
        "redis.py in the back end",
        write("backend/redis.py", "import redis\n\nclient = redis.from_url('redis://127.0.0.1')\n"),
        works=imports("import gateway.main"),
        target="backend/redis.py",
        fixed=False,
    ),
    Fault(
        "SRC207",
        "a package called email",
        write("backend/email/__init__.py", "def send(to: str) -> None: ...\n"),
        works=runs("backend/core/run.py"),
        target="backend/email/__init__.py",
        fixed=False,
    ),
    Healthy(
        "SRC207",
        "a module that Python has loaded before",
        write("backend/registry/abc.py", "LETTERS = 'abc'\n"),
    ),
    Healthy(
        "SRC207",
        "logging.py in a package",
        both(
            write("backend/shared/logging.py", "import logging\n\nlog = logging.getLogger('x')\n"),
            append(MAIN, "\nfrom shared.logging import log\n"),
        ),
    ),
    Healthy(
        "SRC207",
        "a module that nothing needs of the standard library",
        write("backend/registry/turtle.py", "def walk() -> None: ...\n"),
    ),
    Healthy(
        "SRC207",
        "a local module of an installed one's name that nobody imports",
        write("backend/registry/jose.py", "def sign() -> None: ...\n"),
    ),
    Healthy(
        "SRC207",
        "a folder of files called as an installed package",
        write("backend/redis/dump.py", "print('dump')\n"),
    ),
    Fault(
        "SRC208",
        "settings and database import each other",
        replace(
            "backend/shared/config.py",
            "\n\nclass ",
            "\nfrom shared.database import get_engine  # noqa\n\n\nclass ",
        ),
        works=imports("import core.main"),
        group="circle",
        fixed=False,
        at="backend/shared/database.py:from shared.config import",
    ),
    Fault(
        "SRC208",
        "a table that imports from its own package",
        replace(
            "backend/shared/models/service.py",
            "from shared.models.base import Base\n",
            "from shared.models.base import Base\nfrom shared.models import User  # noqa\n",
        ),
        works=imports("import core.main"),
        target="backend/shared/models/service.py:shared.models.User",
        group="models",
        fixed=False,
    ),
    Healthy(
        "SRC208",
        "a circle through a function",
        append(
            "backend/shared/config.py",
            "\n\ndef engine() -> object:\n    from shared.database import get_engine\n\n    return get_engine()\n",
        ),
    ),
    Healthy(
        "SRC208",
        "a circle of modules, not of names",
        append(
            "backend/shared/config.py",
            "\nimport shared.database  # noqa\nimport shared.database as database  # noqa\nfrom shared import database  # noqa\n",
        ),
    ),
    Healthy(
        "SRC208",
        "a circle that closes after the name is defined",
        append("backend/shared/config.py", "\nfrom shared.database import get_engine  # noqa\n"),
    ),
    Healthy(
        "SRC208",
        "a circle for type checkers alone",
        replace(
            "backend/shared/config.py",
            "\n\nclass ",
            "\nTYPE_CHECKING = False\nif TYPE_CHECKING:\n    from shared.database import get_engine\n\n\nclass ",
        ),
    ),
    Fault(
        "SRC209",
        "an import in other letters",
        replace(MAIN, "from shared.config import", "from Shared.Config import"),
        works=imports("import core.main"),
        target=f"{MAIN}:Shared.Config",
    ),
    Fault(
        "SRC209",
        "a package in capital letters",
        append(
            "backend/gateway/main.py", "\nfrom shared.Utils.security import hash_password  # noqa\n"
        ),
        works=imports("import gateway.main"),
    ),
    Fault(
        "SRC209",
        "a file in other letters",
        renamed("backend/gateway/table.py", "backend/gateway/Table.py"),
        works=imports("import gateway.main"),
        at="backend/gateway/main.py:from gateway.table import",
    ),
    Fault(
        "SRC209",
        "a module of a package in other letters",
        both(
            write("backend/shared/models/audit.py", "WHAT = 1\n"),
            append(MAIN, "\nfrom shared.models import Base as _b, Audit  # noqa\n"),
        ),
        works=imports("import core.main"),
        fixed=False,
    ),
    Healthy(
        "SRC209",
        "a class called as its module",
        both(
            write("backend/shared/invoice.py", "class Invoice: ...\n"),
            append("backend/shared/__init__.py", "\nfrom shared.invoice import Invoice\n"),
            append(
                MAIN, "\nfrom shared import Invoice\nfrom shared.invoice import Invoice as I2\n"
            ),
        ),
    ),
    Healthy(
        "SRC209",
        "a module that is called as its class",
        both(
            write("backend/shared/Clock.py", "class Clock: ...\n"),
            append("backend/gateway/main.py", "\nfrom shared.Clock import Clock  # noqa\n"),
        ),
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
        "an installed package called as a local module in other letters",
        both(
            write("backend/pil.py", "Image = None\n"),
            append(
                MAIN, "\ntry:\n    from PIL import Image\nexcept ImportError:\n    Image = None\n"
            ),
        ),
    ),
]
