"""Faults of SQLAlchemy models."""

from __future__ import annotations

from tests.faults import Copy, Fault, Healthy, append, both, replace, write

SERVICE_MODEL = "backend/shared/models/service.py"
RESERVED = '    service_metadata = Column("metadata", JSON, default=dict)'
BASE = """from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    metadata = MetaData()
"""
MIXIN = """from sqlalchemy import JSON, Column


class Described:
    metadata = Column(JSON, default=dict)
"""


def imports_models(copy: Copy) -> bool:
    return copy.imports("from shared.models import User, Service")


ENTRIES = [
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
