"""Settings classes, judged as pydantic-settings itself judges them."""

from __future__ import annotations

import ast
import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saas_doctor.facts import Facts
from saas_doctor.facts.filepaths import file_path
from saas_doctor.facts.module import Module
from saas_doctor.facts.setting_sources import SettingSources
from saas_doctor.facts.setting_types import refusal, setting_type
from saas_doctor.facts.settings_classes import SettingsClasses
from saas_doctor.facts.source import Source
from saas_doctor.model import Severity
from tests.testbed.platforms import template_environment
from tests.trees import MakeTree, findings

EXAMPLES = int(os.environ.get("SD_EXAMPLES", "200"))

TYPES = """
import datetime
import enum
import pathlib
import uuid
from typing import Annotated, Any, Dict, List, Literal, Mapping, Optional, Sequence, Union

from pydantic import (
    AmqpDsn, AnyHttpUrl, AnyUrl, BaseModel, EmailStr, Field, HttpUrl, MongoDsn, PositiveInt,
    PostgresDsn, RedisDsn, SecretStr,
)
from pydantic_settings import BaseSettings, NoDecode


class Color(str, enum.Enum):
    RED = "red"
    BLUE = "blue"


class Letter(enum.Enum):
    A = "a"


class Word(enum.StrEnum):
    ONE = enum.auto()


class Part(BaseModel):
    x: int = 1


Level = Literal["DEBUG", "INFO"]
"""
ANNOTATIONS = [
    *("int", "float", "bool", "str", "Optional[int]", "int | None", "Optional[bool]", "'int'"),
    *("list[str]", "List[int]", "Optional[list[str]]", "set[str]", "tuple[str, ...]", "dict"),
    *("frozenset[str]", "Sequence[str]", "Dict[str, Any]", "Mapping[str, str]", "Optional[dict]"),
    *("list[str] | str", "Union[int, str]", "Union[int, None, float]", "List[AnyHttpUrl]"),
    *("Literal['a', 'b']", "Optional[Literal['a']]", "Level", "Color", "Letter", "Word"),
    *("Part", "Optional[Part]", "Annotated[int, Field(gt=-100)]", "Annotated[list[str], NoDecode]"),
    *("Annotated[list[str], Field(max_length=100)]", "Optional[Annotated[list[str], NoDecode]]"),
    *("AnyUrl", "AnyHttpUrl", "HttpUrl", "Optional[AnyHttpUrl]", "PostgresDsn", "RedisDsn"),
    *("AmqpDsn", "MongoDsn", "datetime.timedelta", "uuid.UUID", "pathlib.Path", "SecretStr"),
    *("PositiveInt", "EmailStr"),
]
TEXTS = [
    *("", "5", "5.0", "5.5", " 5 ", "1_000", "+5", "0x10", "1e3", "x", "5,0", "inf", "1e400", "-0"),
    *("true", "TRUE", "yes", " true ", "on", "null", "None", "a", "A", "red", "RED", "one", "ONE"),
    *("[]", "{}", '["a"]', "[1]", '{"a":1}', "a,b", "['a']", '"a"', "NaN", "[", "*", "DEBUG"),
    *("http://a", "http://", "HTTP://A", "localhost:8000", "//a", "ftp://a", "http://a b", "a@b"),
    *("a@b.co", "@b.co", "Bob <a@b.co>", "http://[::1]:80", "http://u:p/w@h", "http://h:"),
    *("postgresql://u:p@h/d", "postgresql+asyncpg://h/d", "postgres://h", "postgresql:///d"),
    *("postgresql://u:p/w@h/d", "postgresql://u:p#w@h/d", "postgresql://a:1,b:2/d", "mysql://h/d"),
    *("redis://", "rediss://h", "unix://x", "redis://:p/w@h", "redis://:p?w@h", "amqp://"),
    *("mongodb://h", "mongodb+srv://h", "mongodb://a:1,b:2/d", "PT5S", "00:00:05", "P1D", "1 day"),
    *("12345678123456781234567812345678", "urn:uuid:12345678-1234-5678-1234-567812345678"),
]
RUN = """
import json, os, sys
source, annotations, texts = json.load(sys.stdin)
names = {"__name__": "settings"}
exec(source, names)
for annotation in annotations:
    exec(f"class Options(BaseSettings):\\n    VALUE: {annotation}\\n", names)
    taken = []
    for text in texts:
        os.environ["VALUE"] = text
        try:
            names["Options"]()
            taken.append(text)
        except Exception:
            pass
    print(json.dumps(taken))
"""


def module_of(text: str) -> tuple[Source, Module]:
    module = Module(
        Path("/p/app/config.py"), "app/config.py", "app.config", text.encode(), Path("/p")
    )
    return Source((module,), (Path("/p"),)), module


def run(code: str, given: object, cwd: Path | None = None) -> str:
    python = template_environment() / "bin/python"
    done = subprocess.run(
        [python, "-W", "ignore", "-c", code],
        input=json.dumps(given),
        cwd=cwd,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def test_every_text_that_is_called_refused_is_refused_by_pydantic_settings() -> None:
    source, module = module_of(TYPES)
    answers = run(RUN, [TYPES, ANNOTATIONS, TEXTS]).splitlines()
    agreed = 0
    for annotation, answer in zip(ANNOTATIONS, answers, strict=True):
        taken = json.loads(answer)
        told = setting_type(source, module, ast.parse(annotation, mode="eval").body)
        for text in TEXTS:
            why = refusal(text, told)
            assert not (why and text in taken), (annotation, text, why)
            agreed += bool(why)
    assert agreed > 2000  # and not by saying nothing


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    annotation=st.sampled_from(ANNOTATIONS) | st.text("intlsrdcO[]|,'\". ", max_size=20),
    text=st.text(max_size=30) | st.text('0159.eE+-_[]{}",:/@?#', max_size=12),
)
def test_no_annotation_and_no_text_make_the_judge_fail(annotation: str, text: str) -> None:
    source, module = module_of(TYPES)
    try:
        node = ast.parse(annotation, mode="eval").body
    except (SyntaxError, ValueError):
        return
    refusal(text, setting_type(source, module, node))


# Whole classes with their files.

HEAD = """from typing import Annotated, Any, Optional
from pathlib import Path
from pydantic import AliasChoices, AliasPath, Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
HERE = Path(__file__).parent
"""
# What stands in the class and in its file, and which of the codes 904, 905, 906 is due.
CLASSES: dict[str, tuple[str, str, str]] = {
    "nothing wrong": ("a: str", "A=1", ""),
    "missing": ("a: str", "B=1", "904 905"),
    "a key too many": ("a: str = ''", "B=1", "905"),
    "a key too many, empty": ("a: str = ''", "B=\nC\n", ""),
    "ignored later": ("a: str = ''\nmodel_config['extra'] = 'ignore'", "B=1", ""),
    "allowed": ("a: str = ''", "B=1", ""),
    "prefixed": ("a: str", "P_A=1", ""),
    "prefix forgotten": ("a: str", "A=1", "904"),
    "prefixed, one too many": ("a: str", "P_A=1\nP_B=1", "905"),
    "case": ("a: str", "A=1", "904 905"),
    "alias": ("a: str = Field(alias='Z')", "Z=1", ""),
    "alias, the name given": ("a: str = Field(validation_alias='Z')", "A=1", "904 905"),
    "one of two": ("a: str = Field(validation_alias=AliasChoices('Y', 'Z'))", "Z=1", ""),
    "described": ("a: Annotated[str, Field(min_length=1)] = Field(..., max_length=3)", "X=", "904"),
    "described, with a default": ("a: str = Field('x', description='y')", "X=", ""),
    "made by a factory": ("a: list[str] = Field(default_factory=list)", "X=", ""),
    "optional and required": ("a: Optional[str]", "X=", "904"),
    "too long": ("a: str = Field(max_length=3)", "A=1234", "906"),
    "bounds": ("a: int = Field(ge=1, lt=5)", "A=5", "906"),
    "within bounds": ("a: int = Field(ge=1, lt=5)", "A=1", ""),
    "empty and passed over": ("a: int = 1", "A=", ""),
    "empty, passed over and required": ("a: int", "A=", "904"),
    "nested": ("a: dict[str, str]", "A__X=1", ""),
    "nested, and another": ("a: dict[str, str]", "A__X=1\nB__X=1", "905"),
    "quoted annotation": ("a: 'int'", "A=x", "906"),
    "the last of two": ("a: int", "A=x\nA=1", ""),
    "put in": ("a: int", "B=\nA=1${B}", ""),
    "private": ("_a: int\nb: str = ''", "B=1", ""),
}
CONFIGS = {
    "allowed": "extra='allow'",
    "prefixed": "env_prefix='P_'",
    "prefix forgotten": "env_prefix='P_', extra='ignore'",
    "prefixed, one too many": "env_prefix='P_'",
    "case": "case_sensitive=True",
    "empty and passed over": "env_ignore_empty=True",
    "empty, passed over and required": "env_ignore_empty=True",
    "nested": "env_nested_delimiter='__'",
    "nested, and another": "env_nested_delimiter='__'",
}
LOAD = """
import importlib, json, sys
sys.path.insert(0, "backend")
try:
    importlib.import_module("app.config")
    print("fine")
except Exception as error:
    kinds = {e["type"] for e in error.errors()} if hasattr(error, "errors") else {type(error).__name__}
    print(*sorted(kinds))
"""


def files_of(name: str) -> dict[str, str | bytes]:
    body, env, _ = CLASSES[name]
    config = f"SettingsConfigDict(env_file=HERE.parent / '.env', {CONFIGS.get(name, '')})"
    lines = [f"model_config = {config}", *body.splitlines()]
    text = HEAD + "class Options(BaseSettings):\n" + "".join(f"    {line}\n" for line in lines)
    return {
        "app/__init__.py": "",
        "app/config.py": text + "\noptions = Options()\n",
        "app/main.py": "from fastapi import FastAPI\nfrom app.config import options\napp = FastAPI()\n",
        ".env": env + "\n",
    }


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_is_judged_as_it_is_when_it_is_made(name: str, tree: MakeTree) -> None:
    platform = tree(files_of(name))
    due = set(CLASSES[name][2].split())
    found = {code[3:] for code in ("CFG904", "CFG905", "CFG906") if findings(platform, code)}
    assert found == due
    said = run(LOAD, None, platform.root).split()
    assert (said == ["fine"]) == (not due), said
    # All that is wrong is said at once, unless a text can't even be decoded.
    assert ("missing" in said) == ("904" in due)
    assert ("extra_forbidden" in said) == ("905" in due)


START = "import os\nimport subprocess\nfrom pathlib import Path\n"


@pytest.mark.parametrize(
    ("statement", "sets"),
    [
        ('os.environ["TOKEN"] = "x"', True),
        ('os.environ.setdefault("TOKEN", "x")', True),
        ('os.putenv("TOKEN", "x")', True),
        ('os.environ.update({\n    "TOKEN": "x",\n})', True),
        ('os.environ.update(TOKEN="x")', True),
        ('os.environ |= {"TOKEN": "x"}', True),
        ("os.environ.update(read())", True),
        ("for key, value in read():\n    os.environ[key] = value", True),
        ('subprocess.run(["x"], env={**os.environ, "TOKEN": "x"})', True),
        ('subprocess.run(["x"], env=dict(os.environ, TOKEN="x"))', True),
        ('env = os.environ.copy()\nenv["TOKEN"] = "x"', True),
        ("from dotenv import load_dotenv\nload_dotenv(Path(__file__).parent / 'other.env')", True),
        ("from dotenv import load_dotenv\nload_dotenv(os.environ['WHERE'])", True),
        ('os.environ[f"{Path().name}EN"] = "x"', True),
        ('os.environ[f"{Path().name}_PORT"] = "x"', False),
        ('os.environ["OTHER"] = "TOKEN"', False),
        ('print(os.environ["TOKEN"])', False),
        ('os.environ.pop("TOKEN", None)', False),
        ('os.environ.update({"OTHER": "x"})', False),
        ('table = {}\ntable["TOKEN"] = "x"', False),
    ],
)
def test_what_the_code_puts_into_the_environment_is_set(
    statement: str, sets: bool, tree: MakeTree
) -> None:
    config = "model_config = SettingsConfigDict(env_file=HERE.parent / '.env')"
    files: dict[str, str | bytes] = {
        "app/config.py": f"{HEAD}class Options(BaseSettings):\n    {config}\n    TOKEN: str\n"
        "\noptions = Options()\n",
        "app/main.py": "from fastapi import FastAPI\nfrom app.config import options\napp = FastAPI()\n",
        "app/run.py": f"{START}{statement}\n",
        "app/other.env": "TOKEN=x\n",
        ".env": "A=1\n",
    }
    assert bool(findings(tree(files), "CFG904")) != sets


def test_a_value_that_the_code_replaces_is_not_judged(tree: MakeTree) -> None:
    files = files_of("the last of two") | {".env": "A=x\n"}
    assert findings(tree(files), "CFG906")
    files["app/run.py"] = 'import os\n\nos.environ["A"] = "1"\n'
    assert not findings(tree(files), "CFG906")


def options_of(tree: MakeTree, text: str, **more: str) -> tuple[SettingsClasses, SettingSources]:
    files: dict[str, str | bytes] = {"app/config.py": HEAD + text, ".env": "A=1\n", **more}
    facts = Facts(tree(files))
    return facts.get(SettingsClasses), facts.get(SettingSources)


@pytest.mark.parametrize(
    ("body", "doubt"),
    [
        ("    model_config = SettingsConfigDict(**OTHERS)", "elsewhere"),
        ("    model_config = SettingsConfigDict(env_prefix=PREFIX)", "env_prefix"),
        ("    model_config = SettingsConfigDict(alias_generator=str.upper)", "alias_generator"),
        ("    def __init__(self) -> None:\n        super().__init__()", "__init__"),
        ("    @classmethod\n    def settings_customise_sources(cls): ...", "settings_customise"),
        ("    if HERE:\n        a: int", "body"),
    ],
)
def test_a_class_that_may_read_otherwise_is_not_judged(
    body: str, doubt: str, tree: MakeTree
) -> None:
    classes, _ = options_of(tree, f"class Options(BaseSettings):\n{body}\n")
    assert doubt in classes.found[0].doubt


def test_bases_of_other_packages_and_decorators_leave_doubt(tree: MakeTree) -> None:
    text = "from other import Mixin\nclass A(Mixin, BaseSettings):\n    a: int\n"
    classes, _ = options_of(tree, f"{text}@Mixin.wrap\nclass B(BaseSettings):\n    a: int\n")
    assert all(cls.doubt for cls in classes.found)


def test_fields_of_bases_are_inherited_and_replaced(tree: MakeTree) -> None:
    base = "from pydantic_settings import BaseSettings\nclass Base(BaseSettings):\n    a: int\n    b: int\n"
    text = "from app.base import Base\nclass Options(Base):\n    a: str = 'x'\n    c: int\n"
    classes, _ = options_of(tree, text, **{"app/base.py": base})
    options = next(cls for cls in classes.found if cls.name == "Options")
    assert {f.name: f.required for f in options.fields} == {"a": False, "b": True, "c": True}


@pytest.mark.parametrize(
    ("expression", "path"),
    [
        ('".env"', ".env"),
        ('Path(__file__).parent / ".env"', "/p/app/.env"),
        ('Path(__file__).resolve().parents[1].joinpath("x", ".env")', "/p/x/.env"),
        (
            'os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".env")',
            "/p/app/../.env",
        ),
        ('f"{HERE}/.env"', None),
        ('os.getenv("FILE", ".env")', None),
        ("NAMED", "/p/app/named.env"),
        ("TWICE", None),
        ("Path(__file__).parents[9]", None),
    ],
)
def test_paths_are_worked_out_or_left(expression: str, path: str | None) -> None:
    head = (
        "import os\nfrom pathlib import Path\nHERE = Path(__file__).parent\n"
        'NAMED = HERE / "named.env"\nTWICE = "a"\nTWICE = "b"\n'
    )
    source, module = module_of(head)
    found = file_path(source, module, ast.parse(expression, mode="eval").body)
    assert (None if found is None else found.as_posix()) == path


def test_two_folders_that_it_may_start_in_are_two_views(tree: MakeTree) -> None:
    text = "class Options(BaseSettings):\n    model_config = SettingsConfigDict(env_file='.env')\n    a: int\n"
    classes, sources = options_of(tree, text, **{"/.env": "A=2\n"})
    texts = [view.text(["A"]) for view in sources.views(classes.found[0])]
    assert sorted(t.value for t in texts if t) == ["1", "2"]


def test_a_value_that_is_bad_in_one_of_two_files_is_no_finding(tree: MakeTree) -> None:
    body = "class Options(BaseSettings):\n    model_config = SettingsConfigDict(env_file='.env')\n"
    files: dict[str, str | bytes] = {
        "app/config.py": HEAD + body + "    a: int\noptions = Options()\n",
        "app/main.py": "from app.config import options\n",
        ".env": "A=x\n",
    }
    assert findings(tree(files), "CFG906")
    assert not findings(tree({**files, "/.env": "A=2\n"}), "CFG906")


source_text = st.text("abBaseSettings(): =\n\"'[]|,.#@{}", max_size=60)


@settings(max_examples=EXAMPLES, deadline=None)
@given(extra=source_text, at=st.integers(0, 400))
def test_no_mutated_class_makes_the_reader_fail(extra: str, at: int) -> None:
    text = (
        HEAD + "class Options(BaseSettings):\n    a: int = Field(ge=1)\n    b: 'list[str]' = []\n"
    )
    source, _ = module_of(text[:at] + extra + text[at:])
    for cls in SettingsClasses(source, True).found:
        assert cls.fields is not None


NEEDS = (
    "from pydantic_settings import BaseSettings, SettingsConfigDict\n\n\n"
    "class Settings(BaseSettings):\n"
    "    model_config = SettingsConfigDict(env_file='.env')\n"
    "    {field}\n\n\n"
    "settings = Settings()\n"
)
LOADED = "import os\nfrom dotenv import load_dotenv\n\nload_dotenv()\n"
USES_IT = "from settings import settings\n"


@pytest.mark.parametrize("environment", [True, False])
@pytest.mark.parametrize("where", ["/docker-compose.yml", "/Dockerfile", "/start.sh"])
def test_what_only_containers_set_is_missing_where_services_start_without_them(
    tree: MakeTree, where: str, environment: bool
) -> None:
    text = "services: {a: {image: a, environment: {QUEUE: jobs}}}\n"
    files: dict[str, str | bytes] = {
        "settings.py": NEEDS.format(field="queue: str"),
        "main.py": USES_IT,
        ".env": "OTHER=1\n",
        ".env.example": "QUEUE=jobs\n",
        where: text if "compose" in where else "ENV QUEUE=jobs\n",
    }
    if environment:
        files[".venv/pyvenv.cfg"] = "version = 3.12.1\n"
    (found,) = findings(tree(files), "CFG904")
    native = environment and "start" not in where
    assert found.severity is (None if native else Severity.WARNING)


@pytest.mark.parametrize(
    ("files", "required"),
    [
        ({"settings.py": NEEDS.format(field="queue: str")}, "QUEUE"),
        ({"settings.py": NEEDS.format(field="queue: str = 'jobs'")}, ""),
        ({"settings.py": NEEDS.format(field="other: str")}, ""),  # the example would not help
        ({"settings.py": NEEDS.format(field="queue: str").replace("= Settings()", "= 1")}, ""),
        ({"settings.py": LOADED + "settings = os.environ['QUEUE']\n"}, "QUEUE"),
        ({"settings.py": LOADED + "settings = os.getenv('QUEUE')\n"}, ""),
        ({"settings.py": "import os\n\nsettings = os.environ['QUEUE']\n"}, ""),  # not by the file
        (
            {
                "settings.py": NEEDS.format(field="queue: str"),
                "Dockerfile": "FROM python:3.12\nENV QUEUE=jobs\n",
            },
            "",
        ),
    ],
)
def test_a_missing_file_is_an_error_where_the_code_requires_what_it_would_set(
    tree: MakeTree, files: dict[str, str | bytes], required: str
) -> None:
    platform = tree({"main.py": USES_IT, ".env.example": "QUEUE=jobs\n", **files})
    (found,) = findings(platform, "CFG901")
    assert found.severity is (None if required else Severity.WARNING)
    assert found.message.endswith(f"requires {required}" if required else "is missing")


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("class S(BaseSettings):\n    A: str = 'x'\n", False),
        (
            "class S(BaseSettings):\n    A: str = 'x'\n    model_config = {'env_file': '.env'}\n",
            True,
        ),
        ("from dotenv import load_dotenv\nload_dotenv()\n", True),
    ],
)
def test_a_missing_file_that_only_containers_get_an_example_of_is_told_where_code_reads_it(
    tree: MakeTree, code: str, told: bool
) -> None:
    platform = tree(
        {
            "app/main.py": f"from pydantic_settings import BaseSettings\n{code}",
            "/backend/.env.example": "A=1\n",
            "/compose.yaml": "services:\n  a: {image: x, env_file: backend/.env.example}\n",
        },
        "pydantic-settings\n",
    )
    assert bool(findings(platform, "CFG901")) is told
