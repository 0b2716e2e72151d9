"""Faults of SQLAlchemy models."""

from __future__ import annotations

from tests.faults import (
    Copy,
    Fault,
    Healthy,
    Inject,
    append,
    both,
    install,
    replace,
    uninstall,
    write,
)

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


ASYNCIO = "from sqlalchemy.ext.asyncio import AsyncSession\n\nprint(AsyncSession)\n"
EXTRA = "backend/shared/models/extra.py"
IMPORTS = """from sqlalchemy import JSON, Column, Integer, MetaData
from sqlalchemy.orm import declared_attr, registry, relationship

from shared.models.base import Base


"""


def extra(text: str) -> Inject:
    """A module of further models."""
    return write(EXTRA, IMPORTS + text)


def note(body: str, bases: str = "Base") -> str:
    """A further model."""
    return (
        f"class Note({bases}):\n    __tablename__ = 'notes'\n"
        f"    id = Column(Integer, primary_key=True)\n    {body}\n"
    )


def imports_models(copy: Copy) -> bool:
    return copy.imports("from shared.models import User, Service")


def imports_extra(copy: Copy) -> bool:
    return copy.imports("import shared.models.extra")


def stores_metadata(copy: Copy) -> bool:
    return copy.imports(
        "from core.new import new; assert new({'a': 1}).service_metadata == {'a': 1}"
    )


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
    Fault(
        "SRC204",
        "metadata by another name for Column",
        both(
            replace(SERVICE_MODEL, RESERVED, "    metadata = C(JSON, default=dict)"),
            replace(SERVICE_MODEL, "import JSON, Column,", "import JSON, Column, Column as C,"),
        ),
        works=imports_models,
        target=f"{SERVICE_MODEL}:Service",
        group="service model",
    ),
    Fault(
        "SRC204",
        "metadata of an abstract base",
        extra(
            "class Described(Base):\n    __abstract__ = True\n    metadata = Column(JSON)\n\n\n"
            + note("", "Described")
        ),
        works=imports_extra,
        target=f"{EXTRA}:Described",
        group="extra",
    ),
    Fault(
        "SRC204",
        "metadata in a quoted annotation",
        both(
            replace(SERVICE_MODEL, RESERVED, '    metadata: "Mapped[dict]" = mapped_column(JSON)'),
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
        "metadata in a branch",
        extra(note("if True:\n        metadata = Column(JSON)")),
        works=imports_extra,
        fixed=False,
    ),
    Fault(
        "SRC204",
        "a property called metadata",
        extra(note("@property\n    def metadata(self) -> int:\n        return 1")),
        works=imports_extra,
        fixed=False,
    ),
    Fault(
        "SRC204",
        "a declared attribute called metadata",
        extra(note("@declared_attr\n    def metadata(cls):\n        return Column(JSON)")),
        works=imports_extra,
        fixed=False,
    ),
    Fault(
        "SRC204",
        "a relationship called metadata",
        extra(note("metadata = relationship('User')")),
        works=imports_extra,
        fixed=False,
    ),
    Fault(
        "SRC204",
        "a mixin that the base hides",
        extra("class Described:\n    metadata = Column(JSON)\n\n\n" + note("", "Base, Described")),
        works=lambda copy: copy.imports(
            "from shared.models.extra import Note; assert 'metadata' in Note.__table__.c"
        ),
        fixed=False,
        target=f"{EXTRA}:Described",
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
    Healthy(
        "SRC204",
        "an abstract base that nothing derives from",
        extra("class Described(Base):\n    __abstract__ = True\n    metadata = Column(JSON)\n"),
    ),
    Healthy(
        "SRC204",
        "a declared attribute that is a MetaData",
        extra(note("@declared_attr\n    def metadata(cls):\n        return MetaData()")),
    ),
    Healthy(
        "SRC204",
        "a property of a class that is mapped to a table of its own",
        extra(
            "from sqlalchemy import Table\n\n\nclass Note(Base):\n"
            "    __table__ = Table('notes', Base.metadata, Column('id', Integer, primary_key=True))\n\n"
            "    @property\n    def metadata(self) -> int:\n        return 1\n"
        ),
    ),
    Healthy(
        "SRC204", "an underscore behind it", extra(note("metadata_ = Column('metadata', JSON)"))
    ),
    Healthy("SRC204", "a registry before 2.1", extra(note("registry = Column(JSON)"))),
    Healthy("SRC204", "a column called query", extra(note("query = Column(JSON)"))),
    Healthy(
        "SRC204",
        "a local variable of a method",
        extra(
            note("def f(self) -> object:\n        metadata = Column(JSON)\n        return metadata")
        ),
    ),
    Healthy(
        "SRC204",
        "a mixin's mere annotation",
        extra(
            "from sqlalchemy.orm import Mapped\n\n\nclass Described:\n    metadata: Mapped[dict]\n\n\n"
            + note("", "Described, Base")
        ),
    ),
    Healthy(
        "SRC204",
        "a base with a registry of its own",
        write(
            "backend/shared/models/base.py",
            "from sqlalchemy.orm import DeclarativeBase, registry\n\nreg = registry()\n\n\n"
            "class Base(DeclarativeBase):\n    registry = reg\n    metadata = reg.metadata\n",
        ),
    ),
    Fault(
        "SRC220",
        "a keyword of the old name",
        write(
            "backend/core/new.py",
            "from shared.models import Service\n\n\ndef new(given: dict) -> Service:\n"
            "    return Service(name='x', metadata=given)\n",
        ),
        works=stores_metadata,
        fixed=False,
        target=f"{SERVICE_MODEL}:Service",
    ),
    Fault(
        "SRC220",
        "an attribute that is set by the old name",
        write(
            "backend/core/new.py",
            "from shared.models import Service\n\n\ndef new(given: dict) -> Service:\n"
            "    service = Service(name='x')\n    service.metadata = given\n    return service\n",
        ),
        works=stores_metadata,
        fixed=False,
    ),
    Fault(
        "SRC220",
        "a query by the old name",
        write(
            "backend/core/new.py",
            "from sqlalchemy import select\n\nfrom shared.models import Service\n\n"
            "QUERY = select(Service).where(Service.metadata == {})\n",
        ),
        works=lambda copy: copy.imports(
            "from core.new import QUERY; assert 'false' not in str(QUERY)"
        ),
        fixed=False,
    ),
    Fault(
        "SRC220",
        "a schema that reads the old name",
        replace(
            "backend/shared/schemas/service.py",
            '    metadata: dict[str, Any] = Field(validation_alias="service_metadata")',
            "    metadata: dict[str, Any]",
        ),
        works=lambda copy: copy.imports(
            "from shared.models import Service; from shared.schemas import ServiceRead\n"
            "ServiceRead.model_validate(Service(name='x', service_metadata={}))"
        ),
        fixed=False,
    ),
    Healthy(
        "SRC220",
        "SQLAlchemy's own object",
        write(
            "backend/core/new.py",
            "from shared.models import Base, Service\n\nTABLES = Service.metadata.tables\n"
            "TARGET = Base.metadata\nSAME = Service.metadata is Base.metadata\n",
        ),
    ),
    Healthy(
        "SRC220",
        "another class of that name",
        write(
            "backend/core/new.py",
            "class Service:\n    def __init__(self, metadata: dict) -> None:\n        self.metadata = metadata\n\n\n"
            "S = Service(metadata={})\nprint(S.metadata)\n",
        ),
    ),
    Healthy(
        "SRC220",
        "a model that takes the old name itself",
        replace(
            SERVICE_MODEL,
            RESERVED,
            RESERVED
            + "\n\n    def __init__(self, metadata: dict | None = None, **kwargs: object) -> None:\n"
            "        super().__init__(service_metadata=metadata, **kwargs)\n\n\n"
            "X = Service(name='x', metadata={})",
        ),
    ),
    Healthy(
        "SRC220",
        "rows that can't be told",
        write(
            "backend/core/new.py",
            "def show(row: object, rows: list) -> None:\n    print(row.metadata, rows[0].metadata)\n",
        ),
    ),
    Fault(
        "SRC221",
        "SQLAlchemy 2.1 without greenlet",
        both(
            replace("backend/requirements.txt", "sqlalchemy>=2.0.31,<2.1", "sqlalchemy>=2.1,<2.2"),
            write("backend/core/new.py", ASYNCIO),
            install("sqlalchemy>=2.1,<2.2"),
            uninstall("greenlet"),
        ),
        works=lambda copy: copy.imports("import core.new"),
        target="greenlet",
        also=("CFG909",),  # `postgresql://` means another driver there
        environment=True,
        against=("PY101", "PY102", "PY103"),
    ),
    Healthy("SRC221", "asyncio before 2.1", write("backend/core/new.py", ASYNCIO)),
    Healthy(
        "SRC221",
        "2.1 with its extra",
        both(
            replace(
                "backend/requirements.txt", "sqlalchemy>=2.0.31,<2.1", "sqlalchemy[asyncio]>=2.0.31"
            ),
            write("backend/core/new.py", ASYNCIO),
        ),
    ),
]
