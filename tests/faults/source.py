"""Faults of source code."""

from __future__ import annotations

from tests.faults import Copy, Fault, Healthy, append, both, remove, replace, write

USER_SCHEMA = "backend/shared/schemas/user.py"
SERVICE_MODEL = "backend/shared/models/service.py"
V2_CONFIG = "    model_config = ConfigDict(from_attributes=True)\n"
V1_CONFIG = "    class Config:\n        orm_mode = True  # for the ORM\n"
RESERVED = '    service_metadata = Column("metadata", JSON, default=dict)'


BASE = """from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    metadata = MetaData()
"""


def serialises_users(copy: Copy) -> bool:
    return copy.imports(
        "from shared.schemas import UserRead as U; from types import SimpleNamespace as N\n"
        "U.model_validate(N(id=1, email='a@example.com'))"
    )


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
MIXIN = """from sqlalchemy import JSON, Column


class Described:
    metadata = Column(JSON, default=dict)
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
    ),
    Fault(
        "SRC201",
        "schemas without marker",
        remove("backend/shared/schemas/__init__.py"),
        works=imports_core,
        target="shared.schemas",
    ),
    Fault("SRC201", "utils alone without marker", remove("backend/shared/utils/__init__.py")),
    Fault(
        "SRC201",
        "an installed package of that name wins",
        shadowed,
        works=imports_models,
        target="shared",
        group="environment",
    ),
    Healthy("SRC201", "no markers at all", no_markers),
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
    Fault(
        "SRC202",
        "orm_mode",
        replace(USER_SCHEMA, V2_CONFIG, V1_CONFIG),
        works=serialises_users,
        target=f"{USER_SCHEMA}:UserRead.orm_mode",
        group="user schema",
    ),
    Fault(
        "SRC202",
        "orm_mode as a keyword",
        replace(USER_SCHEMA, "from_attributes=True", "orm_mode=True"),
        works=serialises_users,
        group="user schema",
    ),
    Healthy(
        "SRC202",
        "a class Config of v2",
        replace(USER_SCHEMA, V2_CONFIG, V1_CONFIG.replace("orm_mode", "from_attributes")),
    ),
    Healthy(
        "SRC202",
        "a configuration for both versions",
        replace(USER_SCHEMA, V2_CONFIG, V1_CONFIG + "        from_attributes = True\n"),
    ),
    Healthy(
        "SRC202",
        "a class Config of something else",
        append(
            "backend/shared/utils/security.py",
            "\n\nclass Job:\n    class Config:\n        orm_mode = True\n",
        ),
    ),
    Healthy(
        "SRC202",
        "pydantic.v1 on purpose",
        write(
            "backend/shared/old.py",
            "from pydantic.v1 import BaseModel\n\n\nclass Old(BaseModel):\n    class Config:\n        orm_mode = True\n",
        ),
    ),
    Fault(
        "SRC204",
        "metadata of a model",
        replace(SERVICE_MODEL, RESERVED, "    metadata = Column(JSON, default=dict)"),
        works=imports_models,
        group="service model",
    ),
    Fault(
        "SRC204",
        "metadata over several lines",
        replace(
            SERVICE_MODEL,
            RESERVED,
            "    metadata = Column(\n        JSON,  # free form\n        default=dict,\n    )",
        ),
        works=imports_models,
        group="service model",
    ),
    Fault(
        "SRC204",
        "metadata mapped and annotated",
        both(
            replace(SERVICE_MODEL, RESERVED, "    metadata: Mapped[dict] = mapped_column(JSON)"),
            replace(
                SERVICE_MODEL,
                "from shared.models.base",
                "from sqlalchemy.orm import Mapped, mapped_column\n\nfrom shared.models.base",
            ),
        ),
        works=imports_models,
        group="service model",
    ),
    Fault(
        "SRC204",
        "metadata of a mixin",
        both(
            write("backend/shared/models/described.py", MIXIN),
            replace(SERVICE_MODEL, RESERVED + "\n", ""),
            replace(SERVICE_MODEL, "class Service(Base)", "class Service(Described, Base)"),
            replace(
                SERVICE_MODEL,
                "from shared.models.base import Base\n",
                "from shared.models.base import Base\nfrom shared.models.described import Described\n",
            ),
        ),
        works=imports_models,
        target="backend/shared/models/described.py:Described",
        group="service model",
    ),
    Healthy("SRC204", "a base with its own MetaData", write("backend/shared/models/base.py", BASE)),
    Healthy(
        "SRC204",
        "a Pydantic field called metadata",
        append(
            "backend/shared/schemas/user.py",
            "\n\nclass Note(BaseModel):\n    metadata: dict[str, str] = {}\n",
        ),
    ),
    Healthy(
        "SRC204",
        "a class that is no model",
        append(
            "backend/shared/utils/security.py",
            "\n\nclass Column: ...\n\n\nclass Sheet:\n    metadata = Column()\n",
        ),
    ),
]
