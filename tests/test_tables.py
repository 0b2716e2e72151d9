"""SQLAlchemy models: reserved names, the rename of an attribute, and what the rename leaves behind."""

from __future__ import annotations

import ast
import os
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from saas_doctor import plan as plans
from saas_doctor import runner
from saas_doctor.edits import apply_edits
from saas_doctor.facts import Facts
from saas_doctor.facts.interpreter import Interpreter
from saas_doctor.facts.models import PydanticModels
from saas_doctor.facts.objects import Objects
from saas_doctor.facts.residues import Residues
from saas_doctor.facts.tables import Tables
from saas_doctor.model import Finding, Severity
from saas_doctor.platform import Platform
from tests.testbed import platforms
from tests.trees import MakeTree, findings, fixed, in_memory, undone

EXAMPLES = int(os.environ.get("SD_EXAMPLES", "200"))

# SRC204.

BASE = "from sqlalchemy import JSON, Column\nfrom sqlalchemy.orm import DeclarativeBase, mapped_column, Mapped\n\n\nclass Base(DeclarativeBase): ...\n\n\n"
MODEL = BASE + "class HTTPService(Base):\n    {0}\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("metadata = Column(JSON)", 'http_service_metadata = Column("metadata", JSON)'),
        ("metadata = Column()", 'http_service_metadata = Column("metadata")'),
        ("metadata = Column('metadata', JSON)", "http_service_metadata = Column('metadata', JSON)"),
        ("metadata = Column('meta', JSON)", "http_service_metadata = Column('meta', JSON)"),
        ("metadata = Column(JSON, name='meta')", "http_service_metadata = Column(JSON, name='meta')"),
        ("metadata: Mapped[dict] = mapped_column(JSON)", 'http_service_metadata: Mapped[dict] = mapped_column("metadata", JSON)'),
        ("metadata=Column( JSON )  # note", 'http_service_metadata=Column("metadata", JSON )  # note'),
        ("metadata = Column(\n        JSON,\n    )", 'http_service_metadata = Column("metadata",\n        JSON,\n    )'),
        ("metadata = Column(JSON)\n    alias = by(metadata)", 'http_service_metadata = Column("metadata", JSON)\n    alias = by(http_service_metadata)'),
    ],
)  # fmt: skip
def test_the_attribute_is_renamed_and_the_column_kept(tree: MakeTree, old: str, new: str) -> None:
    platform = tree({"a.py": MODEL.format(old)})
    after = MODEL.format(new)
    assert fixed(platform, "SRC204")["backend/a.py"] == after
    ast.parse(after)


@pytest.mark.parametrize(
    "form",
    [
        "metadata = relationship('Other')",
        "metadata: Mapped[dict]",
        "metadata = Column(*PARTS)",
        "metadata = Column(JSON, **OPTIONS)",
        "metadata = Column(f'{x}', JSON)",
        "__tablename__ = 'a'\n    @property\n    def metadata(self): ...",
        "@declared_attr\n    def metadata(cls): return Column(JSON)",
        "metadata = Column(JSON)\n    http_service_metadata = Column(JSON)",
    ],
)
def test_a_form_that_does_not_tell_its_column_is_left(tree: MakeTree, form: str) -> None:
    platform = tree({"a.py": MODEL.format(form)})
    (finding,) = findings(platform, "SRC204")
    assert finding.data["no_fix"]
    assert "http_service_metadata" in finding.next_step


HEAD = """from sqlalchemy import JSON, Column, Integer, MetaData, String, Table
from sqlalchemy import Column as C
from sqlalchemy.orm import DeclarativeBase, Mapped, declarative_base, declared_attr, deferred
from sqlalchemy.orm import mapped_column, registry, relationship
class Base(DeclarativeBase):
    type_annotation_map = {dict: JSON}
"""
TABLE = (
    "class A(Base):\n    __tablename__ = 'a'\n    id = Column(Integer, primary_key=True)\n    {0}\n"
)
MIXIN = "class Mixin:\n    {0}\n" + TABLE.replace("A(Base)", "A(Mixin, Base)").format("")
REFUSED = [
    TABLE.format("metadata = Column(JSON)"),
    TABLE.format("metadata = C(JSON)"),
    TABLE.format("metadata = other = Column(JSON)").replace("metadata = other", "metadata"),
    TABLE.format("metadata: Mapped[dict]"),
    TABLE.format("metadata: 'Mapped[dict]' = mapped_column(JSON)"),
    TABLE.format("metadata = deferred(Column(JSON))"),
    TABLE.format("metadata = relationship('A')"),
    TABLE.format("metadata = {}"),
    TABLE.format("metadata: dict = {}"),
    TABLE.format("@property\n    def metadata(self): return 1"),
    TABLE.format("def metadata(self): return 1"),
    TABLE.format("@declared_attr\n    def metadata(cls): return Column(JSON)"),
    TABLE.format("if True:\n        metadata = Column(JSON)"),
    MIXIN.format("metadata = Column(JSON)"),
    MIXIN.format("metadata: Mapped[dict] = mapped_column(JSON)"),
    MIXIN.format("@property\n    def metadata(self): return 1"),
    "class B(Base):\n    __abstract__ = True\n    metadata = Column(JSON)\n" + TABLE.replace("A(Base)", "A(B)").format(""),
    "class B(DeclarativeBase):\n    metadata = Column(JSON)\n",
    "reg = registry()\n@reg.mapped\nclass A:\n    __tablename__ = 'a'\n    id = Column(Integer, primary_key=True)\n    metadata = Column(JSON)\n",
]  # fmt: skip
TAKEN = [
    TABLE.format("metadata = MetaData()"),
    TABLE.format("metadata = None"),
    TABLE.format("@declared_attr\n    def metadata(cls): return MetaData()"),
    TABLE.format("service_metadata = Column('metadata', JSON)"),
    TABLE.format("registry = Column(JSON)"),
    TABLE.format("query = Column(JSON)"),
    TABLE.format("def f(self):\n        metadata = Column(JSON)"),
    MIXIN.format("metadata: Mapped[dict]"),
    "class B(Base):\n    __abstract__ = True\n    metadata = Column(JSON)\n",
    "class Plain:\n    metadata = Column(JSON)\n",
    "class A(Base):\n    __table__ = Table('a', Base.metadata, Column('id', Integer, primary_key=True))\n    @property\n    def metadata(self): return 1\n",
    "class X:\n    metadata = Column(JSON)\nB = declarative_base(cls=X)\nclass A(B):\n    __tablename__ = 'a'\n    id = Column(Integer, primary_key=True)\n",
    TABLE.format("kind = Column(String)\n    __mapper_args__ = {'polymorphic_on': 'kind'}") + "class D(A):\n    __mapper_args__ = {'polymorphic_identity': 'd'}\n    @property\n    def metadata(self): return 1\n",
]  # fmt: skip
_RUN = """
import json, sys, warnings
warnings.simplefilter("ignore")
for text in json.load(sys.stdin):
    try:
        exec(compile(text, "m.py", "exec"), {"__name__": "m" + str(abs(hash(text)))})
        print("ok")
    except Exception as error:
        print(type(error).__name__)
"""


@pytest.fixture(scope="module")
def verdicts() -> dict[str, str]:
    """What SQLAlchemy 2.0 itself says of each text: `ok`, or the kind of its error."""
    import json

    python = platforms.template_environment() / "bin/python"
    texts = [HEAD + text for text in (*REFUSED, *TAKEN)]
    done = subprocess.run(
        [python, "-c", _RUN], input=json.dumps(texts), capture_output=True, text=True, check=True
    )
    return dict(zip((*REFUSED, *TAKEN), done.stdout.split(), strict=True))


@pytest.mark.parametrize("text", REFUSED)
def test_what_sqlalchemy_refuses_is_found(
    tree: MakeTree, verdicts: dict[str, str], text: str
) -> None:
    assert verdicts[text] != "ok"
    (finding,) = findings(tree({"a.py": HEAD + text}), "SRC204")
    branch = "if True" in text
    assert finding.severity is (Severity.WARNING if branch else None)


@pytest.mark.parametrize("text", TAKEN)
def test_what_sqlalchemy_takes_is_silent(
    tree: MakeTree, verdicts: dict[str, str], text: str
) -> None:
    assert verdicts[text] == "ok"
    assert findings(tree({"a.py": HEAD + text}), "SRC204") == []


def test_a_mixin_after_the_base_is_passed_over_by_sqlalchemy(tree: MakeTree) -> None:
    text = HEAD + MIXIN.format("metadata = Column(JSON)").replace("Mixin, Base", "Base, Mixin")
    platform = tree({"a.py": text})
    (finding,) = findings(platform, "SRC204")
    assert finding.severity is Severity.WARNING
    assert "the table of A lacks the column" in finding.message
    assert fixed(platform, "SRC204") == {}


@pytest.mark.parametrize(
    "text",
    [
        MODEL.format("metadata: ClassVar[MetaData] = mine()"),
        "from mine import Base\nclass A(Base):\n    metadata = Column(JSON)\n",
        BASE + "def Column(): ...\nclass A(Base):\n    metadata = Column()\n",
        "from sqlmodel import SQLModel\nclass A(SQLModel):\n    metadata: dict = {}\n",
        BASE + "from typing import TYPE_CHECKING\nclass A(Base):\n    if TYPE_CHECKING:\n        metadata = Column(JSON)\n",
    ],
)  # fmt: skip
def test_what_is_not_reserved_is_silent(tree: MakeTree, text: str) -> None:
    assert findings(tree({"a.py": text}), "SRC204") == []


@pytest.mark.parametrize(
    "text",
    [
        "class A(SQLModel, table=True):\n    metadata: dict = Field(sa_column=Column(JSON))",
        "class B(SQLModel):\n    metadata: str\nclass A(B, table=True): ...",
    ],
)
def test_a_table_of_sqlmodel_has_the_same_names_reserved(tree: MakeTree, text: str) -> None:
    platform = tree({"a.py": f"from sqlmodel import SQLModel, Field, Column, JSON\n{text}\n"})
    assert len(findings(platform, "SRC204")) == 1
    assert fixed(platform, "SRC204") == {}


def test_a_mixin_is_one_where_a_model_derives_from_it(tree: MakeTree) -> None:
    mixin = "from sqlalchemy import Column\n\n\nclass Extra:\n    metadata = Column(JSON)\n"
    model = BASE + "from mixins import Extra\n\n\nclass A(Extra, Base): ...\n"
    platform = tree({"mixins.py": mixin, "a.py": model})
    assert [f.target for f in findings(platform, "SRC204")] == ["backend/mixins.py:Extra"]


@pytest.mark.parametrize(
    ("requirements", "severity"),
    [("sqlalchemy==2.0.40", None), ("sqlalchemy==2.1.9", Severity.WARNING)],
)
def test_from_sqlalchemy_2_1_on_it_warns(
    tree: MakeTree, requirements: str, severity: Severity | None
) -> None:
    platform = tree({"a.py": MODEL.format("metadata = Column(JSON)")}, requirements + "\n")
    assert [f.severity for f in findings(platform, "SRC204")] == [severity]


def test_from_sqlalchemy_2_1_on_nothing_is_renamed_and_registry_is_told(tree: MakeTree) -> None:
    model = MODEL.format("metadata = Column(JSON)\n    registry = Column(JSON)")
    platform = tree({"a.py": model}, "sqlalchemy==2.1.9\n")
    targets = [f.target for f in findings(platform, "SRC204")]
    assert targets == ["backend/a.py:HTTPService", "backend/a.py:HTTPService.registry"]
    assert fixed(platform, "SRC204") == {}


def test_the_registry_of_a_base_is_its_own(tree: MakeTree) -> None:
    base = "from sqlalchemy.orm import DeclarativeBase, registry\nclass Base(DeclarativeBase):\n    registry = registry()\n"
    assert findings(tree({"a.py": base}, "sqlalchemy==2.1.9\n"), "SRC204") == []


def test_uses_that_fail_silently_are_named(tree: MakeTree) -> None:
    uses = """from a import HTTPService
HTTPService(metadata={})
select(HTTPService).filter_by(metadata={})
row.metadata
getattr(row, "metadata")
Base.metadata.create_all()
"""
    schema = """from pydantic import BaseModel, ConfigDict
class Read(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    metadata: dict
class Other(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    metadata: dict = Field(validation_alias="http_service_metadata")
"""
    platform = tree({"a.py": MODEL.format("metadata = Column(JSON)"), "b.py": uses, "c.py": schema})
    (finding,) = findings(platform, "SRC204")
    places = finding.more["uses not touched"].split(", ")
    assert {p.rpartition(":")[0] for p in places} == {
        "backend/b.py:2", "backend/b.py:3", "backend/b.py:4", "backend/b.py:5", "backend/c.py:4",
    }  # fmt: skip


def test_a_file_whose_columns_are_not_bytes_is_left(tree: MakeTree) -> None:
    # Valid UTF-8 that says it is Latin-1: the syntax tree counts each letter twice.
    text = "# coding: latin-1\n" + MODEL.format("x = 'é'; metadata = Column(JSON)")
    platform = tree({"a.py": text + "f(1)\n"})
    plan = plans.make(completed(platform, "SRC204"), Facts(platform))
    assert plan.steps == []
    assert "by hand" in plan.waiting[0][1]


def completed(platform: Platform, code: str) -> list[Finding]:
    selection = runner.Selection(select=(code,), live=False)
    return runner.run(platform, selection, timeout=20).findings


# SRC220.

RENAMED = BASE + "class Service(Base):\n    service_metadata = Column('metadata', JSON)\n"
SCHEMA = "from pydantic import BaseModel, Field\nclass Read(BaseModel):\n    metadata: dict{0}\n"


@pytest.mark.parametrize(
    ("use", "line"),
    [
        ("Service(metadata={})", 4),
        ("db.query(Service).filter(Service.metadata == {})", 4),
        ("select(Service).order_by(Service.metadata)", 4),
        ("db.query(Service).filter_by(metadata={})", 4),
        ("def f(s: Service): return s.metadata", 4),
        ("s = db.get(Service, 1)\ns.metadata = {}", 5),
        ("for s in db.scalars(select(Service)):\n    print(s.metadata['a'])", 5),
        ("def f(data: Read): return Service(**data.model_dump())", 4),
        ("class Own(Service): ...\nOwn(metadata={})", 5),
    ],
)
def test_a_residue_is_found_at_its_place(tree: MakeTree, use: str, line: int) -> None:
    text = f"from a import Service\nfrom c import Read\nfrom sqlalchemy import select\n{use}\n"
    platform = tree({"a.py": RENAMED, "b.py": text, "c.py": SCHEMA.format("")})
    (finding,) = findings(platform, "SRC220")
    assert finding.place
    assert (finding.place.path, finding.place.line) == ("backend/b.py", line)
    assert finding.target == "backend/a.py:Service"


@pytest.mark.parametrize(
    "use",
    [
        "Read.model_validate(db.get(Service, 1))",
        "@app.get('/', response_model=list[Read])\ndef f(db): return db.query(Service).all()",
        "@app.get('/')\ndef f(db) -> Read:\n    service = Service()\n    return service",
    ],
)
def test_a_schema_that_reads_the_old_name_is_found(tree: MakeTree, use: str) -> None:
    text = f"from a import Service\nfrom c import Read\n{use}\n"
    platform = tree({"a.py": RENAMED, "b.py": text, "c.py": SCHEMA.format("")})
    (finding,) = findings(platform, "SRC220")
    assert str(finding.place) == "backend/c.py:3:5"
    aliased = SCHEMA.format(" = Field(validation_alias='service_metadata')")
    assert findings(tree({"c.py": aliased}), "SRC220") == []


@pytest.mark.parametrize(
    "use",
    [
        "Service.metadata.create_all(engine)",
        "target_metadata = Service.metadata",
        "Service.metadata.tables['a']",
        "Service(service_metadata={})",
        "row.metadata",
        "def f(s: Service = Depends(get)): return s.metadata",
        "other(metadata={})",
        "def f(data: Read): return Service(**data.model_dump(exclude={'metadata'}))",
        "s = Service()\ns = s.other\ns.metadata",
        "def Service(**k): ...\nService(metadata={})",
        "def f(Service): Service(metadata={})",
        "assert Service.metadata is Base.metadata",
    ],
)
def test_what_is_no_residue_is_silent(tree: MakeTree, use: str) -> None:
    text = f"from a import Service\nfrom c import Read\n{use}\n".replace(
        "from a import Service\nfrom c import Read\ndef Service", "from c import Read\ndef Service"
    )
    platform = tree({"a.py": RENAMED, "b.py": text, "c.py": SCHEMA.format("")})
    assert findings(platform, "SRC220") == []


@pytest.mark.parametrize(
    "model",
    [
        BASE + "class Service(Base):\n    metadata = Column('metadata', JSON)\n",
        RENAMED + "    def __init__(self, metadata): ...\n",
        RENAMED.replace("DeclarativeBase", "MappedAsDataclass, DeclarativeBase"),
        "class Column: ...\nclass Service:\n    x = Column('metadata')\n",
    ],
    ids=["still called so", "a constructor of its own", "a dataclass", "no model"],
)
def test_a_model_that_answers_for_itself_is_silent(tree: MakeTree, model: str) -> None:
    use = "from a import Service\nService(metadata={})\n"
    assert findings(tree({"a.py": model, "b.py": use}), "SRC220") == []


# SRC221.

ASYNC = "from sqlalchemy.ext.asyncio import create_async_engine\n"


@pytest.mark.parametrize(
    ("requirements", "text", "severity"),
    [
        ("sqlalchemy==2.1.9", ASYNC, Severity.WARNING),
        ("sqlalchemy", "import sqlalchemy.ext.asyncio as a", Severity.WARNING),
        ("sqlalchemy<2.1", ASYNC, None),
        ("sqlalchemy[asyncio]", ASYNC, None),
        ("sqlalchemy\ngreenlet", ASYNC, None),
        ("sqlalchemy\nplaywright", ASYNC, None),
        ("sqlalchemy", "try:\n    " + ASYNC + "except ImportError: ...", None),
        ("sqlalchemy", "from sqlalchemy import create_engine", None),
    ],
)
def test_greenlet_is_asked_for_where_nothing_else_does(
    tree: MakeTree, requirements: str, text: str, severity: Severity | None
) -> None:
    platform = tree({"a.py": text}, requirements + "\n")
    assert [f.severity for f in findings(platform, "SRC221")] == ([severity] if severity else [])
    after = fixed(platform, "SRC221").get("backend/requirements.txt", "")
    assert after == (f"{requirements}\ngreenlet>=3.1,<4\n" if severity else "")


@pytest.mark.parametrize(
    ("installed", "severity"),
    [
        (("SQLAlchemy-2.1.9",), [None]),
        (("SQLAlchemy-2.1.9", "greenlet-3.2.0"), []),
        (("SQLAlchemy-2.0.58", "greenlet-3.2.0"), [Severity.INFO]),
    ],
)
def test_what_is_installed_counts_first(
    tree: MakeTree, installed: tuple[str, ...], severity: list[Severity | None]
) -> None:
    platform = tree({"a.py": ASYNC}, "sqlalchemy\n")
    site = platform.path("backend/.venv/lib/python3.11/site-packages")
    for name in installed:
        (site / f"{name}.dist-info").mkdir(parents=True)
    folder = platform.path("backend/.venv")
    interpreter = Interpreter(
        folder, "backend/.venv", True, folder / "bin/python", Version("3.11.4")
    )
    assert [f.severity for f in findings(platform, "SRC221", interpreter)] == severity


@pytest.mark.parametrize(
    ("locked", "severities"),
    [
        ("sqlalchemy==2.0.44 greenlet==3.2.4", []),  # the next installation brings both
        ("sqlalchemy==2.1.3 greenlet==3.2.4", []),
        ("sqlalchemy==2.1.3", [Severity.WARNING]),
    ],
)
def test_a_lock_counts_before_what_is_required(
    tree: MakeTree, locked: str, severities: list[Severity]
) -> None:
    packages = [part.split("==") for part in locked.split()]
    lock = "".join(f'[[package]]\nname = "{n}"\nversion = "{v}"\n\n' for n, v in packages)
    project = '[project]\nname = "p"\nversion = "1"\ndependencies = ["sqlalchemy>=2.0"]\n'
    files: dict[str, str | bytes] = {
        "/saas-doctor.toml": 'requirements = ["backend/pyproject.toml"]\n',
        "pyproject.toml": project,
        "uv.lock": lock,
        "a.py": ASYNC,
    }
    found = findings(tree(files), "SRC221")
    assert [f.severity for f in found] == severities
    assert all("sqlalchemy 2.1.3 (backend/uv.lock:3)" in f.evidence["looked_at"] for f in found)


# Properties.

_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
_COMMENT = _TEXT.map(lambda t: "".join(c for c in t if c.isprintable()))
_PARTS = st.lists(
    st.sampled_from(["JSON", "nullable=True", "default=dict", "ForeignKey('é.id')"]),
    unique=True,
    max_size=3,
)


@given(
    comment=_COMMENT,
    parts=_PARTS,
    newline=st.sampled_from(["\n", "\r\n"]),
    mark=st.booleans(),
    broken=st.booleans(),
)
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_renamed_attribute_parses_and_can_be_taken_back(
    comment: str, parts: list[str], newline: str, mark: bool, broken: bool
) -> None:
    parts.sort(key=lambda part: "=" in part)
    inner = (
        newline.join(["", *(f"        {p},  # {comment}" for p in parts), "    "])
        if broken
        else ", ".join(parts)
    )
    text = (
        MODEL.format(f"é = '{len(comment)}é'; metadata = Column({inner})  # {comment}").replace(
            "\n", newline
        )
        if not broken
        else MODEL.replace("\n", newline).format(
            f"é = 'é'; metadata = Column({inner})  # {comment}"
        )
    )
    data = (b"\xef\xbb\xbf" if mark else b"") + text.encode()
    (found,) = Tables.read(in_memory(data)).reserved
    after = apply_edits(data, found.edits)
    tree = ast.parse(after)
    model = next(
        n for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name == "HTTPService"
    )
    line = model.body[-1]
    assert isinstance(line, ast.Assign)
    assert isinstance(line.value, ast.Call)
    assert [ast.unparse(t) for t in line.targets] == ["http_service_metadata"]
    assert ast.unparse(line.value.args[0]) == "'metadata'"
    assert len(line.value.args) + len(line.value.keywords) == len(parts) + 1
    assert Tables.read(in_memory(after)).reserved == ()
    assert undone(data, found.edits) == data


@given(data=st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_no_mutation_of_the_bytes_makes_a_fact_crash(data: st.DataObject) -> None:
    whole = HEAD + data.draw(st.sampled_from([*REFUSED, *TAKEN, RENAMED])) + ASYNC
    text = bytearray((whole + "Service(metadata={})\n" + SCHEMA.format("")).encode())
    for _ in range(data.draw(st.integers(0, 6))):
        at = data.draw(st.integers(0, len(text)))
        text[at : at + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=4))
    source = in_memory(bytes(text))
    tables = Tables.read(source)
    for found in (*tables.reserved, *tables.registries):
        assert undone(bytes(text), found.edits) == bytes(text)
    residues = Residues(tables, PydanticModels.read(source), Objects.read(source))
    assert len(residues.found) < 3
    assert tables.asyncio is None or tables.asyncio.path
