"""Faults of Pydantic models."""

from __future__ import annotations

from tests.faults import Copy, Fault, Healthy, Inject, append, both, replace, uninstall, write

CONFIG = "backend/shared/config.py"
LEGACY = "backend/shared/schemas/legacy.py"
REQUIREMENTS = "backend/requirements.txt"
SERVICE_SCHEMA = "backend/shared/schemas/service.py"
USER_SCHEMA = "backend/shared/schemas/user.py"
V2_CONFIG = "    model_config = ConfigDict(from_attributes=True)\n"
V1_CONFIG = "    class Config:\n        orm_mode = True  # for the ORM\n"
HEAD = """from typing import Any, ClassVar, List, Optional

from pydantic import BaseModel, ConfigDict, Field, conlist, constr, root_validator, validator


"""


def legacy(text: str) -> Inject:
    """A module of schemas that were written for Pydantic 1."""
    return write(LEGACY, HEAD + text)


def imports_legacy(copy: Copy) -> bool:
    return copy.imports("import shared.schemas.legacy")


def runs_legacy(copy: Copy) -> bool:
    return copy.imports("from shared.schemas.legacy import run; run()")


def imports_settings(copy: Copy) -> bool:
    return copy.imports("from shared.config import get_settings; get_settings()")


def serialises_users(copy: Copy) -> bool:
    return copy.imports(
        "from shared.schemas import UserRead as U; from types import SimpleNamespace as N\n"
        "U.model_validate(N(id=1, email='a@example.com'))"
    )


def reads_objects(copy: Copy) -> bool:
    return copy.imports(
        "from shared.schemas.legacy import M; from types import SimpleNamespace as N\n"
        "M.model_validate(N(a=1))"
    )


ENTRIES = [
    Fault(
        "SRC202",
        "orm_mode",
        replace(USER_SCHEMA, V2_CONFIG, V1_CONFIG),
        works=serialises_users,
        left=("SRC211",),
        target=f"{USER_SCHEMA}:UserRead.orm_mode",
        group="user schema",
    ),
    Healthy(
        "SRC202",
        "a configuration for either version",
        both(
            replace(
                USER_SCHEMA,
                V2_CONFIG,
                "    if PYDANTIC_V2:\n        model_config = ConfigDict(from_attributes=True)\n"
                "    else:\n\n        class Config:\n            orm_mode = True\n",
            ),
            replace(
                USER_SCHEMA,
                "EmailStr, Field\n",
                "EmailStr, Field\nfrom pydantic.version import VERSION\n\n"
                "PYDANTIC_V2 = VERSION.startswith('2.')\n",
            ),
        ),
    ),
    *(
        Healthy(
            "SRC202",
            f"a model for Pydantic 1 {name}",
            append(
                USER_SCHEMA,
                f"\n{head}\n    class OldUser(BaseModel):\n        id: int\n\n        class Config:\n"
                "            orm_mode = True\n\n    def old(user):\n        return OldUser.from_orm(user)\n",
            ),
        )
        for name, head in {
            "by its version": "import pydantic\n\nif pydantic.VERSION.startswith('1.'):",
            "by the parts of its version": "import pydantic\n\nV = tuple(pydantic.VERSION.split('.'))\n\n"
            "if V >= ('2',):\n    pass\nelse:",
            "by a flag": "from pydantic.version import VERSION\n\nIS_V2 = VERSION[0] == '2'\n\nif not IS_V2:",
            "by an import": "try:\n    from pydantic import field_validator\nexcept ImportError:",
            "by the metadata": "from importlib.metadata import version\n\n"
            "if version('pydantic').startswith('1.'):",
        }.items()
    ),
    Fault(
        "SRC202",
        "orm_mode as a keyword",
        replace(USER_SCHEMA, "from_attributes=True", "orm_mode=True"),
        works=serialises_users,
        group="user schema",
    ),
    Fault(
        "SRC202",
        "orm_mode in a dictionary",
        replace(USER_SCHEMA, "ConfigDict(from_attributes=True)", '{"orm_mode": True}'),
        works=serialises_users,
        group="user schema",
    ),
    Fault(
        "SRC202",
        "orm_mode of a class that configurations share",
        legacy(
            "class OrmConfig:\n    orm_mode = True\n\n\n"
            "class M(BaseModel):\n    a: int\n\n    class Config(OrmConfig):\n        title = 'M'\n"
        ),
        works=reads_objects,
        left=("SRC211",),
        target=f"{LEGACY}:OrmConfig.orm_mode",
        group="legacy",
    ),
    Fault(
        "SRC202",
        "a schema_extra function",
        legacy(
            "class M(BaseModel):\n    class Config:\n        @staticmethod\n"
            "        def schema_extra(schema: dict[str, Any]) -> None:\n"
            "            schema['x'] = 1\n\n\n"
            "def run() -> None:\n    assert M.model_json_schema()['x'] == 1\n"
        ),
        works=runs_legacy,
        left=("SRC211",),
        group="legacy",
    ),
    Fault(
        "SRC202",
        "a key that is gone",
        legacy(
            "class M(BaseModel):\n    a: int = 1\n    model_config = ConfigDict(allow_mutation=False)\n"
        ),
        fixed=False,
        target=f"{LEGACY}:M.allow_mutation",
    ),
    Healthy(
        "SRC202",
        "the new key in a dictionary",
        replace(USER_SCHEMA, "ConfigDict(from_attributes=True)", '{"from_attributes": True}'),
    ),
    Healthy(
        "SRC202",
        "both keys, for either version",
        replace(USER_SCHEMA, "from_attributes=True", "orm_mode=True, from_attributes=True"),
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
    Healthy(
        "SRC202",
        "either Pydantic, whichever there is",
        write(
            "backend/shared/old.py",
            "try:\n    from pydantic.v1 import BaseModel\nexcept ImportError:\n    from pydantic import BaseModel\n\n\n"
            "class Old(BaseModel):\n    class Config:\n        orm_mode = True\n",
        ),
    ),
    Healthy(
        "SRC202",
        "a field called as an old key",
        legacy(
            "class M(BaseModel):\n    fields: dict[str, str] = {}\n    orm_mode: bool = False\n"
        ),
    ),
    Fault(
        "SRC210",
        "BaseSettings from pydantic",
        replace(
            CONFIG,
            "from pydantic_settings import BaseSettings, SettingsConfigDict",
            "from pydantic import BaseSettings\nfrom pydantic_settings import SettingsConfigDict",
        ),
        works=imports_settings,
        target=f"{CONFIG}:module:BaseSettings",
        group="config",
    ),
    Fault(
        "SRC210",
        "BaseSettings and no package for it",
        both(
            replace(
                CONFIG,
                "from pydantic_settings import BaseSettings, SettingsConfigDict",
                "from pydantic import AnyUrl, BaseSettings  # settings",
            ),
            replace(
                CONFIG,
                '    model_config = SettingsConfigDict(env_file=BACKEND / ".env", extra="ignore")\n',
                '    class Config:\n        env_file = BACKEND / ".env"\n        extra = "ignore"\n',
            ),
            replace(REQUIREMENTS, "pydantic-settings>=2.7,<3\n", ""),
            uninstall("pydantic-settings"),
        ),
        also=("SRC211",),
        works=imports_settings,
        left=("SRC211",),
        group="config",
        environment=True,
    ),
    Fault(
        "SRC210",
        "Field with regex",
        replace(SERVICE_SCHEMA, "pattern=", "regex="),
        works=lambda copy: copy.imports("import shared.schemas"),
        target=f"{SERVICE_SCHEMA}:ServiceRegister.name:regex",
        group="service schema",
    ),
    Fault(
        "SRC210",
        "constr with a regex that begins anywhere",
        legacy(
            "class M(BaseModel):\n    a: constr(regex='b')\n\n\n"
            "def run() -> None:\n    try:\n        M(a='ab')\n    except ValueError:\n        return\n"
            "    raise AssertionError\n"
        ),
        works=runs_legacy,
        group="legacy",
    ),
    Fault(
        "SRC210",
        "conlist with min_items",
        legacy("class M(BaseModel):\n    a: conlist(str, min_items=1, max_items=3)  # few\n"),
        works=imports_legacy,
        group="legacy",
    ),
    Fault(
        "SRC210",
        "a bare root_validator",
        legacy(
            "class M(BaseModel):\n    a: int = 1\n\n    @root_validator\n"
            "    def check(cls, values):\n        return values\n"
        ),
        works=imports_legacy,
        left=("SRC211",),
        group="legacy",
    ),
    Fault(
        "SRC210",
        "an old key in the head of a class",
        legacy("class M(BaseModel, orm_mode=True):\n    a: int\n"),
        works=reads_objects,
        group="legacy",
    ),
    Fault(
        "SRC210",
        "Field with const",
        legacy("class M(BaseModel):\n    a: str = Field('x', const=True)\n"),
        works=imports_legacy,
        fixed=False,
    ),
    Fault(
        "SRC210",
        "a regex that looks ahead",
        legacy("class M(BaseModel):\n    a: str = Field('b', regex='(?!a)b')\n"),
        works=imports_legacy,
        fixed=False,
    ),
    Fault(
        "SRC210",
        "a validator that takes field",
        legacy(
            "class M(BaseModel):\n    a: int\n\n    @validator('a')\n"
            "    def check(cls, v, field):\n        return v\n"
        ),
        works=imports_legacy,
        fixed=False,
        target=f"{LEGACY}:M.check:validator",
    ),
    Fault(
        "SRC210",
        "both kinds of configuration",
        replace(
            USER_SCHEMA, V2_CONFIG, V2_CONFIG + "\n    class Config:\n        title = 'User'\n"
        ),
        works=serialises_users,
        fixed=False,
    ),
    Fault(
        "SRC210",
        "a configuration that derives from one that is not there",
        legacy("class M(BaseModel):\n    class Config(BaseModel.Config):\n        title = 'M'\n"),
        also=("SRC211",),
        works=imports_legacy,
        fixed=False,
    ),
    Fault(
        "SRC210",
        "a field without an annotation",
        replace(USER_SCHEMA, 'token_type: str = "bearer"', 'token_type = "bearer"'),
        works=lambda copy: copy.imports("import shared.schemas"),
        fixed=False,
        target=f"{USER_SCHEMA}:Token.token_type:annotation",
    ),
    Fault(
        "SRC210",
        "a root field",
        legacy("class M(BaseModel):\n    __root__: List[str]\n"),
        works=imports_legacy,
        fixed=False,
    ),
    Fault(
        "SRC210",
        "json with an indent",
        legacy(
            "class M(BaseModel):\n    a: int = 1\n\n\ndef run() -> str:\n    return M().json(indent=2)\n"
        ),
        works=runs_legacy,
        fixed=False,
    ),
    Fault(
        "SRC210",
        "a name that is gone",
        write(LEGACY, "from pydantic.main import ModelMetaclass\n\nMeta = ModelMetaclass\n"),
        works=imports_legacy,
        fixed=False,
    ),
    Healthy(
        "SRC210",
        "FastAPI's own regex",
        write(
            LEGACY,
            "from fastapi import Query\nfrom pydantic import BaseModel\n\n\n"
            "class M(BaseModel):\n    a: int\n\n\ndef f(q: str = Query(regex='a')) -> str:\n    return q\n",
        ),
    ),
    Healthy(
        "SRC210",
        "BaseSettings of pydantic.v1",
        write(LEGACY, "from pydantic.v1 import BaseSettings, Field\n\nX = Field(regex='a')\n"),
    ),
    Healthy(
        "SRC210",
        "BaseSettings from wherever it is",
        write(
            LEGACY,
            "try:\n    from pydantic_settings import BaseSettings\n"
            "except ImportError:\n    from pydantic import BaseSettings\n",
        ),
    ),
    Healthy(
        "SRC210",
        "what only type checkers see",
        write(
            LEGACY,
            "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from pydantic.fields import ModelField\n",
        ),
    ),
    Healthy(
        "SRC210",
        "a branch for either version",
        write(
            LEGACY,
            "import pydantic\n\nif pydantic.VERSION.startswith('1.'):\n    from pydantic import BaseSettings\n"
            "else:\n    from pydantic_settings import BaseSettings\n",
        ),
    ),
    Healthy(
        "SRC210",
        "a response's json",
        legacy(
            "class Answer:\n    def json(self, **kwargs: Any) -> str:\n        return ''\n\n\n"
            "def run(answer: Answer) -> str:\n    return answer.json(indent=2)\n"
        ),
    ),
    Healthy(
        "SRC210",
        "a model with a json of its own",
        legacy(
            "class M(BaseModel):\n    def json(self, **kwargs: Any) -> str:\n        return ''\n\n\n"
            "def run() -> str:\n    return M().json(indent=2)\n"
        ),
    ),
    Healthy(
        "SRC210",
        "what needs no annotation",
        legacy(
            "class M(BaseModel):\n    _kept = 1\n    LIMIT: ClassVar = 3\n\n    def f(self) -> int:\n"
            "        return 1\n\n    g = f\n    h = property(f)\n\n    class Inner:\n        a = 1\n"
        ),
    ),
    Healthy(
        "SRC210",
        "a class variable that was declared above",
        legacy(
            "class B(BaseModel):\n    kind: ClassVar[str] = 'b'\n\n\nclass M(B):\n    kind = 'm'\n"
        ),
    ),
    Healthy(
        "SRC210",
        "types that the configuration lets stand",
        legacy(
            "class M(BaseModel):\n    model_config = ConfigDict(ignored_types=(int,))\n    a = 1\n"
        ),
    ),
    Healthy(
        "SRC210",
        "a base that is not the platform's",
        write(
            LEGACY,
            "from fastapi.openapi.models import BaseModelWithConfig\n\n\n"
            "class M(BaseModelWithConfig):\n    a = 1\n\n    class Config(BaseModelWithConfig.Config):\n        x = 1\n",
        ),
    ),
    Healthy(
        "SRC210",
        "an enumeration, a plain class, a dataclass",
        legacy(
            "from dataclasses import dataclass\nfrom enum import Enum\n\n\nclass E(str, Enum):\n    a = 'a'\n\n\n"
            "class C:\n    a = 1\n    __root__ = 2\n\n\n@dataclass\nclass D:\n    a = 1\n"
        ),
    ),
    Healthy(
        "SRC210",
        "a failure that is expected",
        legacy(
            "import contextlib\n\nwith contextlib.suppress(TypeError):\n    constr(regex='a')\n"
        ),
    ),
    Healthy(
        "SRC210",
        "a validator of the package of that name",
        legacy(
            "def validator(f):\n    return f\n\n\n@validator\ndef check(v, field):\n    return v\n"
        ),
    ),
    Healthy(
        "SRC210",
        "a module that asks which methods there are",
        legacy(
            "class M(BaseModel):\n    a: int = 1\n\n\ndef run(m: M) -> str:\n"
            "    if hasattr(m, 'model_dump_json'):\n        return m.model_dump_json(indent=2)\n"
            "    return m.json(indent=2)\n"
        ),
    ),
    Healthy(
        "SRC210",
        "a Field of one's own",
        write(
            LEGACY,
            "def Field(**kwargs: object) -> object:\n    return kwargs\n\n\nX = Field(regex='a', const=True)\n",
        ),
    ),
    Fault(
        "SRC211",
        "a class Config of v2",
        replace(USER_SCHEMA, V2_CONFIG, V1_CONFIG.replace("orm_mode", "from_attributes")),
        fixed=False,
        target="class Config",
    ),
    Fault(
        "SRC211",
        "validators that work",
        legacy(
            "class M(BaseModel):\n    a: int\n    b: int\n\n    @validator('a')\n    def one(cls, v):\n"
            "        return v\n\n    @validator('b', pre=True)\n    def two(cls, v, values):\n        return v\n"
        ),
        fixed=False,
        target="@validator",
    ),
    Fault(
        "SRC211",
        "a model's dict",
        replace("backend/shared/utils/registration.py", "service.model_dump()", "service.dict()"),
        fixed=False,
        target=".dict()",
    ),
    Fault(
        "SRC211",
        "Field with an example",
        replace(SERVICE_SCHEMA, "Field(pattern=", 'Field(example="core", pattern='),
        fixed=False,
        target="Field(example=)",
    ),
    Healthy(
        "SRC211",
        "other objects' methods",
        append(
            "backend/shared/utils/security.py",
            "\n\ndef _f(answer: object, kept: dict) -> object:\n    answer.dict(), answer.json()\n    return kept.copy()\n",
        ),
    ),
    Healthy(
        "SRC211",
        "a model's own dict",
        legacy(
            "class M(BaseModel):\n    def dict(self) -> int:\n        return 1\n\n\nX = M().dict()\n"
        ),
    ),
    Healthy(
        "SRC211",
        "pydantic.v1's validators",
        write(
            LEGACY,
            "from pydantic.v1 import BaseModel, validator\n\n\nclass M(BaseModel):\n    a: int\n\n"
            "    @validator('a')\n    def f(cls, v):\n        return v\n",
        ),
    ),
    Healthy(
        "SRC211",
        "a class Config of no model",
        legacy("class Job:\n    class Config:\n        title = 'x'\n"),
    ),
    Fault(
        "SRC212",
        "optional fields of v1",
        write(
            LEGACY,
            "from typing import Optional\n\nfrom pydantic import BaseModel, validator\n\n\nclass M(BaseModel):\n    a: int\n    note: Optional[str]\n\n    @validator('a')\n"
            "    def f(cls, v):\n        return v\n\n\ndef run() -> M:\n    return M(a=1)\n",
        ),
        also=("SRC211",),
        works=runs_legacy,
        fixed=False,
        target=f"{LEGACY}:M",
    ),
    Fault(
        "SRC212",
        "a setting from another variable",
        both(
            replace(
                CONFIG,
                "from pydantic_settings import",
                "from pydantic import Field\nfrom pydantic_settings import",
            ),
            replace(
                CONFIG,
                "    REDIS_URL: str | None = None\n",
                '    REDIS_URL: str | None = Field(None, env="CACHE_URL")\n',
            ),
        ),
        also=("SRC211",),
        works=lambda copy: copy.imports(
            "import os; os.environ.pop('REDIS_URL', None); os.environ['CACHE_URL'] = 'x'\n"
            "from shared.config import Settings; assert Settings(_env_file=None, DATABASE_URL='', SECRET_KEY='').REDIS_URL == 'x'"
        ),
        fixed=False,
        target=f"{CONFIG}:Settings.REDIS_URL",
    ),
    Fault(
        "SRC212",
        "a number for a text",
        write(
            LEGACY,
            "from pydantic import BaseModel, validator\n\n\nclass M(BaseModel):\n    a: str\n\n"
            "    @validator('a')\n    def f(cls, v):\n        return v\n\n\n"
            "def run() -> M:\n    return M(a=1)\n",
        ),
        also=("SRC211",),
        works=runs_legacy,
        fixed=False,
        target=f"{LEGACY}:M.a",
    ),
    Healthy(
        "SRC212",
        "a text that a function makes",
        append(
            "backend/shared/utils/security.py",
            "\n\ndef _token(make: object) -> object:\n    from shared.schemas import Token\n\n"
            "    return Token(access_token=make(1))\n",
        ),
    ),
    Healthy(
        "SRC212",
        "fields that are to be given, and may be None",
        replace(USER_SCHEMA, "    id: int\n", "    id: int\n    name: str | None\n"),
    ),
    Healthy(
        "SRC212",
        "a setting by an alias",
        both(
            replace(
                CONFIG,
                "from pydantic_settings import",
                "from pydantic import Field\nfrom pydantic_settings import",
            ),
            replace(
                CONFIG,
                "    REDIS_URL: str | None = None\n",
                '    REDIS_URL: str | None = Field(None, validation_alias="REDIS_URL")\n',
            ),
        ),
    ),
]
