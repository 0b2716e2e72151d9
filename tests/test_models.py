"""Pydantic models: what is proven of them, and what of Pydantic 1 stands in them."""

from __future__ import annotations

import ast
import importlib
import os
import re
import warnings
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import PydanticUserError

from saas_doctor import plan as plans
from saas_doctor import platform as platforms
from saas_doctor import rules, runner
from saas_doctor.edits import apply_edits
from saas_doctor.facts import Facts
from saas_doctor.facts.changed import ChangedFields
from saas_doctor.facts.constructs import Construct
from saas_doctor.facts.deprecated import StillTaken
from saas_doctor.facts.model_config import REMOVED, RENAMED, ModelConfigs
from saas_doctor.facts.models import PydanticModels
from saas_doctor.facts.module import dotted_name
from saas_doctor.facts.objects import Objects
from saas_doctor.facts.patterns import searched
from saas_doctor.facts.pydantic_names import GONE
from saas_doctor.facts.refused import Refused
from saas_doctor.facts.source import Source
from saas_doctor.model import Severity
from tests.testbed import big_tree
from tests.trees import MakeTree, findings, fixed, in_memory, undone

EXAMPLES = int(os.environ.get("SD_EXAMPLES", "200"))
IMPORTS = "from typing import Any, ClassVar, List, Optional\nimport pydantic\nfrom pydantic import BaseModel, Field, conlist, conset, constr, root_validator, validator\n"


def facts_of(source: Source) -> tuple[PydanticModels, Objects]:
    return PydanticModels.read(source), Objects.read(source)


def refused_in(text: str) -> tuple[Construct, ...]:
    return Refused(*facts_of(in_memory(text.encode()))).constructs


# SRC202.

ORM = "from pydantic import BaseModel\n\n\nclass User(BaseModel):\n    class Config:\n        orm_mode = True  # ORM\n"
ROW = "from a import User\nclass Row: ...\nclass Admin(User): ...\nrow = Row()\n"


def test_models_of_a_file_that_lack_the_same_are_one_finding(tree: MakeTree) -> None:
    model = "class {0}(BaseModel):\n    class Config:\n        schema_extra = {{}}\n"
    text = "from pydantic import BaseModel\n\n\n" + model.format("A") + model.format("B")
    platform = tree({"a.py": text, "b.py": text})
    one, other = findings(platform, "SRC202")
    assert "`schema_extra` in A, B means" in one.message
    assert one.more["also at"] == "backend/a.py:9:9"
    assert other.place
    assert other.place.path == "backend/b.py"
    assert fixed(platform, "SRC202")["backend/a.py"] == text.replace("schema_", "json_schema_")


def test_a_lock_tells_which_pydantic_the_code_runs_on(tree: MakeTree) -> None:
    files: dict[str, str | bytes] = {
        "/saas-doctor.toml": 'requirements = ["backend/pyproject.toml"]\n',
        "pyproject.toml": '[tool.poetry.dependencies]\npydantic = ">=1.10"\n',
        "a.py": ORM,
    }
    assert len(findings(tree(files), "SRC202")) == 1  # the newest that is allowed
    lock = '[[package]]\nname = "pydantic"\nversion = "1.10.26"\n'
    assert findings(tree({**files, "poetry.lock": lock}), "SRC202") == []


def test_only_the_key_itself_is_changed(tree: MakeTree) -> None:
    text = ORM.replace("\n", "\r\n").replace("    class", "    é: str = 'é'\r\n    class")
    platform = tree({"a.py": text})
    assert fixed(platform, "SRC202")["backend/a.py"] == text.replace("orm_mode", "from_attributes")


@pytest.mark.parametrize(
    "use",
    [
        "User.model_validate(row)",
        "User.from_orm(anything)",
        "Admin.model_validate(row)",
        "def f(row: Row): return User.model_validate(row)",
        "def f(db): return [User.model_validate(r) for r in db.query(Row).all()]",
    ],
)
def test_it_is_an_error_where_objects_are_turned_into_the_model(tree: MakeTree, use: str) -> None:
    (finding,) = findings(tree({"a.py": ORM, "b.py": f"{ROW}{use}\n"}), "SRC202")
    assert finding.severity is Severity.ERROR
    assert "backend/b.py:" in finding.found


@pytest.mark.parametrize(
    "use",
    [
        "User.model_validate({'id': 1})",
        "User.model_validate(anything)",
        "User.model_validate(row, from_attributes=True)",
        "User.model_validate(Admin(id=1))",
        "@app.get('/', response_model=list[User])\ndef f(): return row",
        "@app.get('/')\ndef f() -> User: return row",
        "class User:\n    def g(self): User.model_validate(self)",
        "class Ready(User):\n    model_config = dict(from_attributes=True)\nReady.model_validate(row)",
    ],
)
def test_it_is_a_warning_where_none_is(tree: MakeTree, use: str) -> None:
    found = findings(tree({"a.py": ORM, "b.py": f"{ROW}{use}\n"}), "SRC202")
    assert [f.severity for f in found] == [None]
    assert rules.checks()["SRC202"].severity is Severity.WARNING


def test_calls_of_from_orm_are_named_and_left(tree: MakeTree) -> None:
    (finding,) = findings(
        tree({"a.py": ORM, "b.py": "from a import User\nUser.from_orm(1)\n"}), "SRC202"
    )
    assert finding.more == {"uses not touched": "backend/b.py:2:1"}
    assert "backend/b.py:2:1" in finding.next_step


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("class A(BaseModel):\n    model_config = {'extra': 'allow', 'orm_mode': True}", "'from_attributes': True"),
        ('class A(BaseModel):\n    model_config = {r"orm_mode": True}', ""),
        ("class A(BaseModel):\n    model_config = ConfigDict(orm_mode=True)", "ConfigDict(from_attributes=True)"),
        ("class A(BaseModel):\n    model_config: ConfigDict = dict(orm_mode=True)", "dict(from_attributes=True)"),
        ("class A(BaseModel):\n    model_config = ConfigDict(orm_mode=True, **elsewhere())", ""),
        ("COMMON = dict(orm_mode=True)\nclass A(BaseModel):\n    model_config = ConfigDict(**COMMON)\nclass B(BaseModel):\n    model_config = COMMON", "dict(from_attributes=True)"),
        ("class A(BaseModel):\n    model_config = Base.model_config | {'orm_mode': True}", ""),
        ("class Common:\n    orm_mode = True\nclass A(BaseModel):\n    class Config(Common): ...\nclass B(BaseModel):\n    Config = Common", "    from_attributes = True"),
        ("class A(BaseModel):\n    class Config:\n        @staticmethod\n        def schema_extra(schema, model): ...", "def json_schema_extra(schema, model)"),
    ],
)  # fmt: skip
def test_a_configuration_is_read_in_each_of_its_forms(tree: MakeTree, text: str, fix: str) -> None:
    platform = tree({"a.py": f"from pydantic import BaseModel, ConfigDict\n{text}\n"})
    assert len(findings(platform, "SRC202")) == 1
    assert fix in fixed(platform, "SRC202").get("backend/a.py", "")
    assert bool(fix) == bool(fixed(platform, "SRC202"))


def test_a_configuration_shared_by_modules_is_found_once_where_it_stands(tree: MakeTree) -> None:
    shared = "class OrmConfig:\n    orm_mode = True\n"
    model = "from pydantic import BaseModel\nfrom common import OrmConfig\nclass A(BaseModel):\n    class Config(OrmConfig): ...\n"
    platform = tree({"common.py": shared, "a.py": model, "b.py": model})
    assert [f.target for f in findings(platform, "SRC202")] == [
        "backend/common.py:OrmConfig.orm_mode"
    ]


@pytest.mark.parametrize(
    "text",
    [
        ORM.replace("BaseModel", "Thing"),
        ORM.replace("from pydantic", "from pydantic.v1"),
        "try:\n    from pydantic.v1 import BaseModel\nexcept ImportError:\n    " + ORM.lstrip(),
        ORM + "        from_attributes = True\n",
        ORM.replace("Config", "Meta"),
        "from pydantic import BaseModel\nclass A(BaseModel):\n    model_config = mine(orm_mode=True)\n",
        "from pydantic import BaseModel\nclass A(BaseModel):\n    fields: dict = {}\n",
        "from pydantic import BaseModel\nCOMMON = dict(orm_mode=True)\nclass A(BaseModel):\n    model_config = dict(COMMON, from_attributes=True)\n",
    ],
    ids=["no model", "pydantic.v1", "either", "for both versions", "no Config", "an own function", "a field", "both keys"],
)  # fmt: skip
def test_what_is_no_old_configuration_is_silent(tree: MakeTree, text: str) -> None:
    assert findings(tree({"a.py": text}), "SRC202") == []


@pytest.mark.parametrize(
    ("requirements", "found"),
    [
        ("pydantic>=2", 1),
        ("pydantic", 1),
        ("pydantic==1.10.24", 0),
        ("pydantic<2", 0),
        ("fastapi", 0),
    ],
)
def test_without_an_environment_the_requirement_counts(
    tree: MakeTree, requirements: str, found: int
) -> None:
    assert len(findings(tree({"a.py": ORM}, requirements + "\n"), "SRC202")) == found


def test_a_removed_key_is_named_and_left(tree: MakeTree) -> None:
    platform = tree({"a.py": ORM.replace("orm_mode", "smart_union")})
    assert [f.target for f in findings(platform, "SRC202")] == ["backend/a.py:User.smart_union"]
    assert fixed(platform, "SRC202") == {}


def test_the_keys_are_those_of_pydantic_itself() -> None:
    # Its own table, by its private name: where it moves, this test is to fail and not to be skipped.
    config: Any = importlib.import_module("pydantic._internal._config")
    assert set(RENAMED) == set(config.V2_RENAMED_KEYS)
    assert set(REMOVED) == set(config.V2_REMOVED_KEYS)


# Objects.


def test_a_name_stands_for_what_made_it_where_nothing_else_did() -> None:
    text = """
from sqlalchemy import select
class M:
    def method(self): mark(self, "one")
    @classmethod
    def other(cls): mark(cls, None)
def f(a: M, b: "M | None", c: list[M], d: M = Depends(x), *rest: M):
    mark(a, "one"); mark(b, "one"); mark(c, "many"); mark(d, None); mark(rest, None)
    x = None
    if a: x = M.model_validate(1)
    mark(x, "one"); mark(x or M(), "one"); mark(x.copy(), "one"); mark(x.unknown(), None)
    y = M(); y = 3
    mark(y, None)
    q = db.query(M)
    q = q.filter(1)
    mark(q, "query"); mark(q.first(), "one"); mark(q.all()[0], "one"); mark(q.all()[1:], None)
    for i in q.all(): mark(i, "one")
    [mark(j, "one") for j in c]
    mark(db.execute(select(M)).scalars().all(), "many"); mark(db.get(M, 1), "one")
    mark([M(), M()], "many"); mark({}, None); mark(select(M.id, M), None)
    with M() as w: mark(w, None)
def g(M): mark(M(), None)
"""
    source = in_memory(text.encode())
    objects = Objects.read(source)
    seen = 0
    for scope in source.modules[0].scopes:
        for node in scope.nodes:
            if isinstance(node, ast.Call) and dotted_name(node.func) == "mark":
                thing = objects.thing(scope, node.args[0])
                assert ast.literal_eval(node.args[1]) == (thing and thing.kind), ast.unparse(node)
                seen += 1
    assert seen == 25


# SRC210.

REFUSED = {
    "from pydantic import BaseSettings": "BaseSettings",
    "from pydantic.main import ModelMetaclass": "ModelMetaclass",
    "class S(pydantic.BaseSettings): ...": "BaseSettings",
    "from pydantic import errors\nraise errors.MissingError()": "MissingError",
    "class M(BaseModel):\n    a: str = Field(regex='^a')": "regex",
    "class M(BaseModel):\n    a: str = Field('x', const=True)": "const",
    "class M(BaseModel):\n    a: list = Field([], unique_items=True)": "unique_items",
    "A = constr(regex='^a')": "regex",
    "A = conlist(str, min_items=1)": "min_items",
    "class M(BaseModel):\n    @root_validator\n    def f(cls, v): return v": "root_validator",
    "class M(BaseModel):\n    @root_validator()\n    def f(cls, v): return v": "root_validator",
    "class M(BaseModel):\n    @root_validator(pre=False)\n    def f(cls, v): return v": "root_validator",
    "class M(BaseModel):\n    a: int\n    @validator('a')\n    def f(cls, v, field): return v": "validator",
    "class M(BaseModel):\n    a: int\n    @validator('a', pre=True)\n    def f(cls, v, *, config): return v": "validator",
    "def g(v, field): return v\nclass M(BaseModel):\n    a: int\n    _g = validator('a', allow_reuse=True)(g)": "validator",
    "class M(BaseModel):\n    model_config = {'extra': 'forbid'}\n    class Config:\n        title = 'M'": "Config",
    "class M(BaseModel):\n    class Config(BaseModel.Config):\n        title = 'M'": "Config",
    "class B(BaseModel):\n    a: int = 1\nclass M(B):\n    class Config(B.Config):\n        title = 'M'": "Config",
    "class C: ...\nclass M(BaseModel):\n    Config = C": "Config",
    "class M(BaseModel):\n    a = 1": "annotation",
    "class M(BaseModel):\n    a = Field(1)": "annotation",
    "class B(BaseModel):\n    a: int = 1\nclass M(B):\n    a = 2": "annotation",
    "class M(BaseModel):\n    __root__: List[str]": "__root__",
    "class M(BaseModel, allow_mutation=False): ...": "allow_mutation",
    "class M(BaseModel):\n    a: int\nM(a=1).json(indent=2)": "json",
    "class M(BaseModel):\n    a: int\nM.parse_obj({'a': 1}).json(ensure_ascii=False)": "json",
    "class M(BaseModel):\n    a: int\nM(a=1).dict(skip_defaults=True)": "dict",
    "class M(BaseModel):\n    a: int\nM.update_forward_refs(X=int)": "update_forward_refs",
    "pydantic.PostgresDsn.build(scheme='postgresql', user='a', host='h')": "build",
}  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_refused_is_found_and_is_really_refused(text: str) -> None:
    assert [c.kind for c in refused_in(IMPORTS + text + "\n")] == [REFUSED[text]]
    with pytest.raises((TypeError, ImportError, AttributeError, PydanticUserError)):
        run(IMPORTS + text + "\n")


def run(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(text, "m.py", "exec"), {"__name__": "m"})


TAKEN = {
    "from pydantic.v1 import BaseSettings",
    "from pydantic.fields import FieldInfo",
    "class M(BaseModel):\n    a: str = Field(regex=None)",
    "class M(BaseModel):\n    a: str = Field('x', const=None)",
    "class M(BaseModel):\n    @root_validator(pre=True)\n    def f(cls, v): return v",
    "class M(BaseModel):\n    @root_validator(skip_on_failure=True)\n    def f(cls, v): return v",
    "class M(BaseModel):\n    a: int\n    @validator('a')\n    def f(cls, v, values, **kwargs): return v",
    "class M(BaseModel):\n    model_config = pydantic.ConfigDict()\n    class Config:\n        title = 'M'",
    "class B(BaseModel):\n    class Config:\n        title = 'B'\nclass M(B):\n    class Config(B.Config):\n        extra = 'forbid'",
    "class M(BaseModel):\n    _a = 1\n    __b = 2\n    a: ClassVar = 3",
    "class M(BaseModel):\n    def f(self): ...\n    g = f\n    h = lambda self: 1\n    i = property(lambda self: 1)",
    "class M(BaseModel):\n    a = 1\n    del a",
    "class M(BaseModel):\n    model_config = {'ignored_types': (int,)}\n    a = 1",
    "class B(BaseModel):\n    a: ClassVar[int] = 1\nclass M(B):\n    a = 2",
    "class M(BaseModel):\n    a: int\n    a = 1",
    "class M(BaseModel):\n    a: int = 1\nM().json(exclude={'a'}, by_alias=True)",
    "class M(BaseModel):\n    a: int = 1\n    def json(self, **kwargs): ...\nM().json(indent=2)",
    "class M(BaseModel, frozen=True): ...",
    "class M(BaseModel):\n    def __init_subclass__(cls, orm_mode=False, **kwargs): ...\nclass N(M, orm_mode=True): ...",
    "class Answer:\n    def json(self, **kwargs): ...\nAnswer().json(indent=2)",
    "class Enumerated:\n    a = 1\n    class Config:\n        title = 'x'",
    "try:\n    from pydantic import BaseSettings\nexcept ImportError:\n    BaseSettings = object",
    "import contextlib\nwith contextlib.suppress(TypeError):\n    constr(regex='a')",
    "if pydantic.VERSION.startswith('1'):\n    from pydantic import BaseSettings",
    "if hasattr(BaseModel, 'model_dump'): pass\nelse: from pydantic import BaseSettings",
}  # fmt: skip


@pytest.mark.parametrize("text", sorted(TAKEN))
def test_what_is_taken_is_silent_and_really_taken(text: str) -> None:
    assert refused_in(IMPORTS + text + "\n") == ()
    run(IMPORTS + text + "\n")


@pytest.mark.parametrize(
    "text",
    [
        "from fastapi import Query\ndef f(q: str = Query(regex='a')): ...",
        "from mine import Field\nx = Field(regex='a', const=True)",
        "from sqlmodel import SQLModel, Field\nclass A(SQLModel):\n    a: str = Field(regex='a')",
        "from thirdparty import Base\nclass A(Base):\n    a = 1",
        "from pydantic import BaseModel\nfrom thirdparty import Mixin\nclass A(Mixin, BaseModel):\n    a = 1",
        "from pydantic import BaseModel\nfrom thirdparty import Meta\nclass A(BaseModel, metaclass=Meta):\n    a = 1",
        "from pydantic import BaseModel\nimport httpx\nhttpx.get('/').json(indent=2)",
        "from pydantic import BaseModel\nclass A(BaseModel): ...\ndef f(a: A = Depends(get)): a.json(indent=2)",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pydantic import BaseSettings",
        "import pytest\nfrom pydantic import constr\ndef test_it():\n    with pytest.raises(TypeError):\n        constr(regex='a')",
        "import pytest\nfrom pydantic import constr\n@pytest.mark.skipif(True, reason='2')\ndef test_it():\n    constr(regex='a')",
    ],
)  # fmt: skip
def test_what_only_looks_like_it_is_silent(text: str) -> None:
    assert refused_in(text + "\n") == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("class M(BaseModel):\n    a: str = Field(regex=r'^a+$')  # é", "class M(BaseModel):\n    a: str = Field(pattern=r'^a+$')  # é"),
        ("A = constr(regex='a+')", "A = constr(pattern='^a+')"),
        ('A = constr(regex="a|b", max_length=3)', 'A = constr(pattern="^(?:a|b)", max_length=3)'),
        ("A = constr(regex='''a''')", "A = constr(pattern='''^a''')"),
        ("A = constr(regex=('a'\n  'b'))", "A = constr(pattern=('^a'\n  'b'))"),
        ("NAME = '^a'\nA = constr(regex=NAME)", "NAME = '^a'\nA = constr(pattern=NAME)"),
        ("A = conlist(str, min_items=1, max_items=2)", "A = conlist(str, min_length=1, max_length=2)"),
        ("class M(BaseModel):\n    @root_validator\n    def f(cls, v): return v", "class M(BaseModel):\n    @root_validator(skip_on_failure=True)\n    def f(cls, v): return v"),
        ("class M(BaseModel):\n    @pydantic.root_validator( )\n    def f(cls, v): return v", "class M(BaseModel):\n    @pydantic.root_validator(skip_on_failure=True )\n    def f(cls, v): return v"),
        ("class M(BaseModel):\n    @root_validator(allow_reuse=True)\n    def f(cls, v): return v", "class M(BaseModel):\n    @root_validator(skip_on_failure=True, allow_reuse=True)\n    def f(cls, v): return v"),
        ("class M(BaseModel):\n    @root_validator(skip_on_failure=False)\n    def f(cls, v): return v", "class M(BaseModel):\n    @root_validator(skip_on_failure=True)\n    def f(cls, v): return v"),
        ("class M(BaseModel, validate_all=True): ...", "class M(BaseModel, validate_default=True): ..."),
    ],
)  # fmt: skip
def test_what_means_the_same_is_rewritten_and_then_taken(
    tree: MakeTree, old: str, new: str
) -> None:
    platform = tree({"a.py": f"{IMPORTS}{old}\n"})
    assert fixed(platform, "SRC210") == {"backend/a.py": f"{IMPORTS}{new}\n"}
    assert refused_in(f"{IMPORTS}{new}\n") == ()
    run(f"{IMPORTS}{new}\n")


@pytest.mark.parametrize(
    "text",
    [
        "A = constr(regex='(?=a)b')",
        "A = constr(regex=r'(a)\\1')",
        "A = constr(regex=f'{1}')",
        "A = constr(regex=made())",
        "NAME = 'a'\nA = constr(regex=NAME)",
        "class M(BaseModel):\n    a: str = Field('x', const=True)",
        "class M(BaseModel):\n    __root__: List[str]",
    ],
)
def test_what_may_mean_something_else_is_left(tree: MakeTree, text: str) -> None:
    platform = tree({"a.py": f"{IMPORTS}{text}\n"})
    assert len(findings(platform, "SRC210")) == 1
    assert fixed(platform, "SRC210") == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("from pydantic import BaseSettings  # é", "from pydantic_settings import BaseSettings  # é"),
        ("from pydantic.env_settings import BaseSettings as S", "from pydantic_settings import BaseSettings as S"),
        ("from pydantic import BaseModel, BaseSettings", "from pydantic import BaseModel\nfrom pydantic_settings import BaseSettings"),
        ("from pydantic import BaseSettings, BaseModel  # x", "from pydantic import BaseModel  # x\nfrom pydantic_settings import BaseSettings"),
        ("from pydantic import (A, BaseSettings as S, B)", "from pydantic import (A, B)\nfrom pydantic_settings import BaseSettings as S"),
        ("from pydantic import (\n    A,  # a\n    BaseSettings,\n    B,\n)", "from pydantic import (\n    A,  # a\n    B,\n)\nfrom pydantic_settings import BaseSettings"),
        ("from pydantic import (\n    A,\n    BaseSettings,  # s\n)", "from pydantic import (\n    A,\n      # s\n)\nfrom pydantic_settings import BaseSettings"),
        ("from pydantic import (\n    A, BaseSettings\n)", "from pydantic import (\n    A\n)\nfrom pydantic_settings import BaseSettings"),
        ("def f():\n    from pydantic import A, BaseSettings; x = 1", "def f():\n    from pydantic import A; x = 1\n    from pydantic_settings import BaseSettings"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("newline", ["\n", "\r\n", ""], ids=["LF", "CRLF", "no end"])
def test_settings_are_imported_from_their_new_home(
    tree: MakeTree, old: str, new: str, newline: str
) -> None:
    end, newline = newline, newline or "\n"
    old, new = (text.replace("\n", newline) + end for text in (old, new))
    platform = tree({"a.py": old}, "pydantic>=2\npydantic-settings\n")
    assert fixed(platform, "SRC210") == {"backend/a.py": new}
    ast.parse(new)


def test_where_the_settings_package_is_not_required_it_is_required(tree: MakeTree) -> None:
    platform = tree({"a.py": "from pydantic import BaseSettings\n"})
    assert fixed(platform, "SRC210") == {
        "backend/a.py": "from pydantic_settings import BaseSettings\n",
        "backend/requirements.txt": "pydantic>=2\nsqlalchemy>=2,<2.1\npydantic-settings>=2.7,<3\n",
    }


def test_two_of_one_name_are_two_targets(tree: MakeTree) -> None:
    text = f"{IMPORTS}A = constr(regex='a')\nA = constr(regex='b')\n"
    assert [f.target for f in findings(tree({"a.py": text}), "SRC210")] == [
        "backend/a.py:A:regex",
        "backend/a.py:A:regex#2",
    ]


def test_the_names_that_are_gone_are_gone_from_pydantic_itself() -> None:
    for home, names in GONE.items():
        for name in names:
            with pytest.raises(ImportError):
                run(f"from {home} import {name}")


@pytest.mark.parametrize(
    ("name", "severity"),
    [("a.py", None), ("tests/a.py", Severity.WARNING), ("docs/a.py", Severity.WARNING)],
)
def test_what_no_service_runs_is_a_warning(
    tree: MakeTree, name: str, severity: Severity | None
) -> None:
    platform = tree({name: "from pydantic import BaseSettings\n\n\nclass S(BaseSettings): ...\n"})
    assert [f.severity for f in findings(platform, "SRC210")] == [severity]


PHONE = (
    "class Phone(str):\n"
    "    @classmethod\n    def __get_validators__(cls): yield cls\n"
    "    @classmethod\n    def __modify_schema__(cls, schema): schema.update(type='string')\n\n\n"
)


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        (PHONE + "class M(BaseModel):\n    phone: Phone\n", True),
        (PHONE + "class M(BaseModel):\n    phones: Optional[List[Phone]] = None\n", True),
        (PHONE + "class Mobile(Phone): ...\n\n\nclass M(BaseModel):\n    phone: Mobile\n", True),
        (
            "class M(BaseModel):\n    @classmethod\n    def __modify_schema__(cls, schema): ...\n",
            True,
        ),
        (PHONE, False),
        (PHONE + "class M(BaseModel):\n    phone: ClassVar[Phone] = Phone('1')\n", False),
        (PHONE + "class M:\n    phone: Phone\n", False),
        (
            PHONE.rstrip()
            + "\n    @classmethod\n    def __get_pydantic_json_schema__(cls, *_): ...\n"
            "\n\nclass M(BaseModel):\n    phone: Phone\n",
            False,
        ),
    ],
)
def test_a_fields_type_with_a_schema_of_pydantic_1_is_refused(text: str, refused: bool) -> None:
    found = refused_in(f"{IMPORTS}\n\n{text}")
    assert ["__modify_schema__"] * refused == [c.kind for c in found]
    assert not (refused and "." in found[0].where)


# SRC211 and SRC212.


def test_what_is_deprecated_is_told_once_for_each_kind(tree: MakeTree) -> None:
    text = f"""{IMPORTS}
class A(BaseModel):
    a: int
    b: List[int] = Field([], min_items=1)
    @validator('a')
    def f(cls, v): return v
    @validator('b')
    def g(cls, v): return v
    class Config:
        title = 'A'
def f(a: A, rows: dict):
    a.dict(); a.copy(); rows.copy(); A.parse_obj(rows); A.__fields__
"""
    files: dict[str, str | bytes] = {"a.py": text, "b.py": text}
    found = {f.target: f for f in findings(tree(files), "SRC211")}
    kinds = {".copy()", ".dict()", ".parse_obj()", "@validator", "Field(min_items=)", "__fields__", "class Config"}  # fmt: skip
    assert set(found) == kinds
    validators = found["@validator"]
    assert "4 places in 2 files" in validators.message
    assert validators.found.endswith(
        "backend/a.py:8:6, backend/a.py:10:6, backend/b.py:8:6, backend/b.py:10:6"
    )


@pytest.mark.parametrize(
    "text",
    [
        "import httpx\ndef f(r: httpx.Response, d: dict): r.json(); d.copy(); x.dict()",
        "from pydantic.v1 import validator, BaseModel\nclass A(BaseModel):\n    class Config: title = 'A'",
        "from pydantic import BaseModel\nclass A(BaseModel):\n    def dict(self): return {}\nA().dict()",
        "from pydantic import BaseModel, Field\nclass A(BaseModel):\n    a: int = Field(1, ge=0, json_schema_extra={})",
        "class Config: ...\nclass Job:\n    class Config: ...",
    ],
)
def test_what_is_not_deprecated_is_silent(tree: MakeTree, text: str) -> None:
    assert findings(tree({"a.py": text + "\n"}), "SRC211") == []


OLD_STYLE = "from typing import Any, List, Optional, Union\nfrom pydantic import BaseModel, Field, validator\nclass Old(BaseModel):\n    a: int\n    @validator('a')\n    def f(cls, v): return v\nclass A(BaseModel):\n    {}\n"


@pytest.mark.parametrize(
    "field",
    ["a: Optional[int]", "a: int | None", "a: 'Optional[int]'", "a: Union[int, None]", "a: Any", "a: Optional[int] = Field(description='x')"],
)  # fmt: skip
def test_an_optional_field_without_a_default_is_told_in_old_code(
    tree: MakeTree, field: str
) -> None:
    (finding,) = findings(tree({"a.py": OLD_STYLE.format(field)}), "SRC212")
    assert finding.target == "backend/a.py:A"


@pytest.mark.parametrize(
    "text",
    [
        OLD_STYLE.format("a: Optional[int] = None"),
        OLD_STYLE.format("a: Optional[int] = Field(...)"),
        OLD_STYLE.format("a: List[Optional[int]]"),
        OLD_STYLE.format("_a: Optional[int]"),
        OLD_STYLE.format("a: Optional[int]").replace("    @validator('a')\n", ""),
        OLD_STYLE.format("a: Optional[int]") + "    class Config:\n        from_attributes = True\n",
        OLD_STYLE.format("a: Optional[int]") + "    class Config:\n        orm_mode = True\n",
        OLD_STYLE.format("a: Optional[int]").replace("pydantic", "pydantic.v1"),
    ],
    ids=["a default", "demanded", "in a list", "private", "no sign of v1", "a sign of v2", "made of objects", "pydantic.v1"],
)  # fmt: skip
def test_an_optional_field_that_may_well_be_meant_is_silent(tree: MakeTree, text: str) -> None:
    assert findings(tree({"a.py": text}), "SRC212") == []


@pytest.mark.parametrize(
    ("field", "use", "found"),
    [
        ("a: str", "A(a=1)", 1),
        ("a: Optional[str] = None", "A(a=-1.5)", 1),
        ("a: str", "A(a=True)\nA(a=2)", 1),
        ("a: str", "A(a='1')", 0),
        ("a: str", "A(a=number)", 0),
        ("a: int", "A(a=1)", 0),
        ("a: str\n    @validator('a', pre=True)\n    def t(cls, v): return str(v)", "A(a=1)", 0),
        ("a: str", "import pytest\nwith pytest.raises(ValueError): A(a=1)", 0),
        ("a: str", "def A(**k): ...\nA(a=1)", 0),
    ],
)
def test_a_number_for_a_text_is_an_error_in_old_code(
    tree: MakeTree, field: str, use: str, found: int
) -> None:
    files: dict[str, str | bytes] = {"a.py": OLD_STYLE.format(field)}
    old = "" if use.startswith("def A") else "from a import A\n"
    errors = findings(tree({**files, "b.py": f"{old}{use}\n"}), "SRC212")
    assert [f.severity for f in errors] == [Severity.ERROR] * found


SETTINGS = "from pydantic import Field\nfrom pydantic_settings import BaseSettings, SettingsConfigDict\nclass Settings(BaseSettings):\n    {}\n"


@pytest.mark.parametrize(
    "body",
    [
        "url: str = Field('x', env='DB_URL')",
        "url: str = Field('x', env=['URL', 'DB_URL'])",
        "url: str = Field('x', env='URL')\n    model_config = SettingsConfigDict(env_prefix='APP_')",
    ],
)
def test_a_variable_that_is_no_longer_read_is_told(tree: MakeTree, body: str) -> None:
    (finding,) = findings(tree({"a.py": SETTINGS.format(body)}), "SRC212")
    assert finding.target == "backend/a.py:Settings.url"
    assert "URL" in finding.message


@pytest.mark.parametrize(
    "body",
    [
        "url: str = Field('x', env='URL')",
        "url: str = Field('x', env='APP_URL')\n    class Config:\n        env_prefix = 'app_'",
        "url: str = Field('x', env='DB_URL', validation_alias='DB_URL')",
        "url: str = Field('x', env=NAME)",
        "url: str = Field('x', env='DB_URL')\n    model_config = SettingsConfigDict(**common())",
        "url: str = Field('x', env='DB_URL')\n    @classmethod\n    def settings_customise_sources(cls, *a, **k): ...",
    ],
)
def test_a_variable_that_is_still_read_or_may_be_is_silent(tree: MakeTree, body: str) -> None:
    assert findings(tree({"a.py": SETTINGS.format(body)}), "SRC212") == []


# PKG305's signs.


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("from pydantic import field_validator", "field_validator"),
        ("from pydantic.functional_validators import AfterValidator", "pydantic.functional_validators"),
        ("from pydantic import BaseModel\nclass A(BaseModel): ...\nA.model_validate({})", "model_validate"),
        ("from pydantic import BaseModel\nclass A(BaseModel): ...\ndef f(a: A): a.model_dump()", "model_dump"),
        ("from pydantic import BaseModel\nclass A(BaseModel): ...\ndef f(a): a.model_dump()", ""),
        ("from pydantic import BaseModel\nclass A(BaseModel):\n    def model_dump(self): ...\nA().model_dump()", ""),
        ("from sqlmodel import SQLModel\nclass A(SQLModel): ...\nA.model_validate({})", ""),
        ("from pydantic import BaseModel\nclass A(BaseModel): ...\nif v2:\n    A.model_validate({})", ""),
    ],
)  # fmt: skip
def test_signs_of_pydantic_2(text: str, name: str) -> None:
    sign = PydanticModels.read(in_memory(text.encode())).sign_of_v2
    assert (sign[1] if sign else "") == name


# Properties.

_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
_COMMENT = _TEXT.map(lambda t: "".join(c for c in t if c.isprintable()))
_ATOMS = [
    *("a", "b", "[a-z]", "[^a]", "[]a]", "[a\\]]", "\\d", "\\w", "\\.", "\\-", "\\/", "\\_", "(a|b)"),
    *("(?:a|b)", "(?P<n>a)", "|", "*", "+", "?", "{2}", "{2,}", "{,3}", "{", "}", "^", "$", ".", "\\b"),
    *("(?=a)", "(?!a)", "\\1", "(", ")", "[", "]", "&&", "--", " ", "\\Z", "\\A", "\\<", "é", "(?i)", "++"),
]  # fmt: skip


@given(atoms=st.lists(st.sampled_from(_ATOMS), min_size=1, max_size=6), text=st.text("ab1.-_é ", max_size=4))  # fmt: skip
@settings(max_examples=max(EXAMPLES, 500), deadline=None)
def test_a_pattern_finds_what_the_regex_matched(atoms: list[str], text: str) -> None:
    from pydantic import StringConstraints, TypeAdapter, ValidationError

    regex = "".join(atoms)
    around = searched(regex)
    if around is None:
        return
    pattern: Any = StringConstraints(pattern=f"{around[0]}{regex}{around[1]}")
    adapter: Any = TypeAdapter(Annotated[str, pattern])
    try:
        adapter.validate_python(text)
        found = True
    except ValidationError:
        found = False
    assert found is bool(re.match(regex, text))


@given(
    keys=st.lists(st.sampled_from(sorted(RENAMED)), min_size=1, max_size=4, unique=True),
    comment=_COMMENT,
    newline=st.sampled_from(["\n", "\r\n"]),
    form=st.sampled_from(["class", "call", "dict"]),
)
@settings(max_examples=min(EXAMPLES, 500), deadline=None)
def test_renamed_keys_parse_and_are_found_no_more(
    keys: list[str], comment: str, newline: str, form: str
) -> None:
    head = f"from pydantic import BaseModel, ConfigDict\n\n\nclass A(BaseModel):\n    # {comment}\n"
    lines = [f"        {key} = (1, 'é')  # {comment}\n" for key in keys]
    body = "    class Config:\n" + "".join(lines)
    if form == "call":
        body = "    model_config = ConfigDict(é=1, " + ", ".join(f"{k}='é'" for k in keys) + ")\n"
    elif form == "dict":
        body = "    model_config = {'é': 1, " + ", ".join(f"'{k}': 'é'" for k in keys) + "}\n"
    data = (head + body).replace("\n", newline).encode()
    found = ModelConfigs(*facts_of(in_memory(data))).old_keys
    assert [key.old for key in found] == keys
    edits = tuple(k.edit for k in found if k.edit)
    after = apply_edits(data, edits)
    ast.parse(after)
    assert ModelConfigs(*facts_of(in_memory(after))).old_keys == ()
    assert undone(data, edits) == data


ALL = (IMPORTS + "\n".join([*(t for t in REFUSED), *sorted(TAKEN)]) + "\n").encode()


@given(data=st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_no_mutation_of_the_bytes_makes_a_fact_crash(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(ALL) - 400))
    text = bytearray(IMPORTS.encode() + ALL[ALL.index(b"\n", start) + 1 :][:1500])
    for _ in range(data.draw(st.integers(0, 5))):
        at = data.draw(st.integers(0, len(text)))
        text[at : at + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=4))
    models, objects = facts_of(in_memory(bytes(text)))
    refused = Refused(models, objects)
    for construct in refused.constructs:
        assert undone(bytes(text), construct.edits) == bytes(text)
    StillTaken(models, objects, refused).kinds  # noqa: B018
    configs = ModelConfigs(models, objects)
    assert len(configs.old_keys) < 9
    changed = ChangedFields(models, configs)
    assert len(changed.optional + changed.numbers + changed.variables) < 9
    assert models.email_field is None


def test_a_file_in_another_encoding_is_left(tree: MakeTree) -> None:
    text = f"# coding: latin-1\n{IMPORTS}x = 'é'; A = constr(regex='^a')\n"
    platform = tree({"a.py": text})
    selection = runner.Selection(select=("SRC210",), live=False)
    found = runner.run(platform, selection, timeout=20).findings
    plan = plans.make(found, Facts(platform))
    assert plan.steps == []
    assert "by hand" in plan.waiting[0][1]


def test_places_are_of_the_construct_itself(tree: MakeTree) -> None:
    text = f"{IMPORTS}\n\nclass A(BaseModel):\n    a: str = Field(\n        regex='^a',\n    )\n"
    (finding,) = findings(tree({"a.py": text}), "SRC210")
    assert str(finding.place) == "backend/a.py:8:9"
    assert Path("backend/a.py").name in finding.looked_at


def test_a_large_tree_of_models_of_today_is_not_parsed(tmp_path: Path) -> None:
    platform = platforms.load(big_tree.make(tmp_path / "tree", 60), exact=True, environ={})
    facts = Facts(platform)
    models, objects = facts.get(PydanticModels), facts.get(Objects)
    refused, configs = Refused(models, objects), ModelConfigs(models, objects)
    changed = ChangedFields(models, configs)
    found = (*refused.constructs, *configs.old_keys, *changed.optional, *changed.variables)
    assert (*found, *StillTaken(models, objects, refused).kinds) == ()
    parsed = [m.name for m in models.source.modules if "parsed" in m.__dict__]
    assert len(models.source.modules) > 60
    assert parsed == []
