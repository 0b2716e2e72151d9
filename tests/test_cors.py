"""The CORS middleware: what its arguments are worth, and what stands outside of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saas_doctor import rules
from saas_doctor.facts import Facts
from saas_doctor.facts.cors import Cors, CorsMiddleware, matches
from saas_doctor.model import Absent, Finding, Severity
from tests.trees import CONFIG, GATEWAY, MakeTree, gateway_tree, mended, verdict

EXAMPLES = int(os.environ.get("SD_EXAMPLES", "200"))
HEAD = """import os, json
from functools import lru_cache
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from shared.config import settings
"""


@pytest.fixture
def tree(tmp_path: Path) -> MakeTree:
    return lambda files: gateway_tree(tmp_path, files)


def uses(tree: MakeTree, main: str, **more: str) -> list[CorsMiddleware]:
    files = {"backend/gateway/main.py": main, **more}
    return list(Facts(tree(files)).get(Cors).found)


def origins(tree: MakeTree, setup: str, expression: str, **more: str) -> tuple[str, object]:
    """The kind of an expression given as `allow_origins`, and its texts where they are known."""
    main = f"{HEAD}{setup}\napp = FastAPI()\napp.add_middleware(CORSMiddleware, allow_origins={expression})\n"
    (use,) = uses(tree, main, **more)
    value = use.origins
    return value.kind, value.texts if value.kind == "list" else value.text


ENV = {"backend/.env": "CORS_ORIGINS=http://a, http://b\nGATEWAY_PORT=8100\n"}


@pytest.mark.parametrize(
    ("setup", "expression", "expected"),
    [
        ("", "['http://a']", ("list", ["http://a"])),
        ("", "('http://a',)", ("list", ["http://a"])),
        ("", "('http://a')", ("str", "http://a")),
        ("", "'http://a' 'b'", ("str", "http://ab")),
        ("A = ['http://a']", "A", ("list", ["http://a"])),
        ("A = B = ['x']", "B", ("list", ["x"])),
        ("A = ['x']", "[*A, 'y']", ("list", ["x", "y"])),
        ("A = ['x']", "A + ['y']", ("list", ["x", "y"])),
        ("PORT = 3000", "[f'http://a:{PORT}']", ("list", ["http://a:3000"])),
        ("", "settings.CORS_ORIGINS", ("str", "http://a, http://b")),
        ("", "settings.CORS_ORIGINS.split(',')", ("list", ["http://a", " http://b"])),
        ("", "settings.origins", ("list", ["http://a", "http://b"])),
        ("", "list(map(str.strip, settings.CORS_ORIGINS.split(',')))", ("list", ["http://a", "http://b"])),
        ("import shared.config as c", "c.settings.origins", ("list", ["http://a", "http://b"])),
        ("", "os.getenv('UNSET_ORIGINS', 'x,y').split(',')", ("list", ["x", "y"])),
        ("", "os.environ.get('UNSET_ORIGINS') or ['x']", ("list", ["x"])),
        ("", "json.loads('[\"x\"]')", ("list", ["x"])),
        ("def f():\n    return ['x']", "f()", ("list", ["x"])),
        ("def f():\n    a = ['x']\n    return a", "f()", ("list", ["x"])),
        ("@lru_cache\ndef f():\n    return ['x']", "f()", ("list", ["x"])),
        ("class C:\n    A = ['x']", "C.A", ("list", ["x"])),
        ("class C:\n    A = ['x']", "C().A", ("list", ["x"])),
        ("A = 'x' if True else 'y'", "[A]", ("list", ["x"])),
        # Not known, or not as a whole.
        ("A = ['x']\nA.append(f())", "A", ("list", None)),
        ("A = ['x']\nA += f()", "A", ("", None)),
        ("A = ['x']\nA.clear()", "A", ("list", None)),
        ("A = ['x']\nif f():\n    A = ['y']", "A", ("", None)),
        ("A = ['x']\ndef g():\n    global A\n    A = []", "A", ("", None)),
        ("A = A", "A", ("", None)),
        ("A = [*A]", "A", ("list", None)),
        ("", "os.environ['CORS_ORIGINS'].split(',')", ("list", None)),
        ("def f(a):\n    return ['x']", "f(1)", ("", None)),
        ("@other\ndef f():\n    return ['x']", "f()", ("", None)),
        ("def f():\n    if x:\n        return ['x']\n    return ['y']", "f()", ("list", None)),
        ("def f():\n    yield 'x'", "f()", ("", None)),
        ("class C:\n    A = ['x']\nC.A = []", "C.A", ("", None)),
        ("A = ['x']\nimport gateway.main as m\nm.A = []", "A", ("", None)),
        ("", "[o for o in unknown()]", ("list", None)),
        ("", "[o for o in ['x'] if unknown(o)]", ("list", None)),
        ("", "unknown", ("", None)),
        ("", "lambda: 1", ("", None)),
    ],
)  # fmt: skip
def test_what_is_proven_of_an_expression(
    tree: MakeTree, setup: str, expression: str, expected: tuple[str, object]
) -> None:
    assert origins(tree, setup, expression, **ENV) == expected


@pytest.mark.parametrize(
    ("field", "env", "expected"),
    [
        ("CORS: str = 'd'", "", ("str", "d")),
        ("CORS: str", "CORS=e", ("str", "e")),
        ("CORS: str", "cors=e", ("str", "e")),
        ("CORS: str", "", ("str", None)),
        ("CORS: str | None = None", "CORS=e", ("str", "e")),
        ("CORS: Optional[str] = None", "", ("none", None)),
        ("CORS: list[str] = ['d']", "", ("list", ["d"])),
        ("CORS: list[str] = ['d']", 'CORS=["e"]', ("list", ["e"])),
        ("CORS: list[str] = ['d']", "CORS=e,f", ("list", None)),
        ("CORS: List[str] = Field(['d'])", "", ("list", ["d"])),
        ("CORS: set[str] = Field(default={'d'})", "", ("list", ["d"])),
        ("CORS: list[str] = Field(default_factory=lambda: ['d'])", "", ("list", ["d"])),
        ("CORS: str = Field('d', validation_alias='OTHER')", "OTHER=e\nCORS=f", ("str", "e")),
        ("CORS: str = Field('d', alias=name())", "CORS=f", ("str", None)),
        ("CORS: Annotated[list[str], NoDecode] = ['d']", "", ("list", ["d"])),
        ("CORS: Annotated[str, BeforeValidator(f)] = 'd'", "", ("", None)),
        ("CORS: list[str] | str = 'd'", "", ("", None)),
        ("CORS: Literal['d', 'e'] = 'd'", "CORS=e", ("str", "e")),
        ("CORS: Literal['d', 1] = 'd'", "", ("", None)),
        ("CORS: Mode = Mode.D", "", ("str", "d")),
        ("CORS: PlainMode = PlainMode.D", "", ("", None)),
        ("CORS: PositiveInt = 5", "CORS=6", ("number", None)),
        ("CORS: 'list[str]' = ['d']", "", ("list", ["d"])),
        ("CORS: str = 'd'\n    @field_validator('CORS')\n    def f(cls, v): return v.split()", "", ("", None)),
        ("CORS: str = 'd'\n    @field_validator('*')\n    def f(cls, v): return v.split()", "", ("", None)),
        ("CORS: str = 'd'\n    @model_validator(mode='after')\n    def f(self): self.CORS = []", "", ("", None)),
        ("CORS: str = 'd'\n    OTHER: str = 'x'\n    @field_validator('OTHER')\n    def f(cls, v): return v", "", ("str", "d")),
        ("CORS: str = 'd'\n    def __init__(self): object.__setattr__(self, x, y)", "", ("", None)),
    ],
)  # fmt: skip
def test_what_a_setting_holds(
    tree: MakeTree, field: str, env: str, expected: tuple[str, object]
) -> None:
    config = f"""from typing import *
from pydantic import *
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from enum import Enum
from typing import Annotated, List, Literal, Optional
from pydantic import BeforeValidator, Field, PositiveInt, field_validator, model_validator


class Mode(str, Enum):
    D = 'd'


class PlainMode(Enum):
    D = 'd'


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_file=".env")
    {field}


settings = Settings()
"""
    more = {"backend/shared/config.py": config, "backend/.env": f"{env}\nGATEWAY_PORT=8100\n"}
    assert origins(tree, "", "settings.CORS", **more) == expected


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        ("SettingsConfigDict(env_file='.env', env_prefix='APP_')", "prefixed"),
        ("SettingsConfigDict(env_file='.env')", "plain"),
        ("{'env_file': '.env'}", "plain"),
        ("SettingsConfigDict()", "default"),
        ("SettingsConfigDict(env_file=None)", "default"),
        ("SettingsConfigDict(env_file='../other.env')", None),
        ("SettingsConfigDict(env_file=FILE)", None),
        ("SettingsConfigDict(env_file='.env', env_prefix=PREFIX)", None),
        ("SettingsConfigDict(env_file='.env', case_sensitive=True)", "default"),
    ],
)
def test_the_settings_file_counts_where_it_is_read(
    tree: MakeTree, configuration: str, expected: str | None
) -> None:
    config = CONFIG.replace("SettingsConfigDict(env_file='.env')", configuration)
    config = CONFIG.replace('SettingsConfigDict(env_file=".env")', configuration)
    config = config.replace('CORS_ORIGINS: str = ""', 'CORS: str = "default"')
    env = "cors=plain\nAPP_CORS=prefixed\nGATEWAY_PORT=8100\n"
    more = {"backend/shared/config.py": config, "backend/.env": env}
    assert origins(tree, "", "settings.CORS", **more) == ("str", expected)


def test_which_of_two_settings_files_is_read_is_not_guessed(tree: MakeTree) -> None:
    more = {"backend/.env": "CORS_ORIGINS=x\nGATEWAY_PORT=8100\n", ".env": "CORS_ORIGINS=y\n"}
    assert origins(tree, "", "settings.CORS_ORIGINS", **more) == ("str", None)


@pytest.mark.parametrize(
    ("main", "count"),
    [
        ("app.add_middleware(CORSMiddleware, allow_origins=['x'])", 1),
        ("app.add_middleware(middleware_class=CORSMiddleware, allow_origins=['x'])", 1),
        ("app.add_middleware(CORSMiddleware, ['x'])", 1),
        ("app = FastAPI(middleware=[Middleware(CORSMiddleware, allow_origins=['x'])])", 1),
        ("app = CORSMiddleware(app, allow_origins=['x'])", 1),
        ("app = CORSMiddleware(app=app, allow_origins=['x'])", 1),
        ("def create():\n    app.add_middleware(CORSMiddleware, allow_origins=['x'])", 1),
        ("app.add_middleware(cors.CORSMiddleware, allow_origins=['x'])", 1),
        ("# app.add_middleware(CORSMiddleware)", 0),
        ("app.add_middleware(Other, allow_origins=['x'])", 0),
        ("class Mine(CORSMiddleware): pass\napp.add_middleware(Mine, allow_origins=['x'])", 0),
    ],
)
def test_each_way_of_adding_it_is_found(tree: MakeTree, main: str, count: int) -> None:
    head = HEAD + "from starlette.middleware import Middleware, cors\n"
    found = uses(tree, head + main)
    assert [use.origins.texts for use in found] == [["x"]] * count


def test_one_of_another_package_or_in_a_test_is_not_found(tree: MakeTree) -> None:
    own = "class CORSMiddleware: pass\napp.add_middleware(CORSMiddleware, allow_origins='x')\n"
    assert uses(tree, own) == []
    assert uses(tree, "", **{"backend/tests/test_a.py": GATEWAY}) == []


@pytest.mark.parametrize(
    ("pattern", "origin", "expected"),
    [
        (r"http://localhost(:\d+)?", "http://localhost:5173", True),
        (r"http://localhost", "http://localhost:5173", False),
        ("(", "http://a", None),
        ("(a+)+b", "a" * 60, None),
        ("(?:(?:a*)*)*", "a" * 60, None),
        (None, "http://a", None),
    ],
)
def test_a_pattern_takes_an_origin_as_a_whole(
    pattern: str | None, origin: str, expected: bool | None
) -> None:
    assert matches(pattern, origin) is expected


# WEB807.


@pytest.mark.parametrize(
    ("argument", "severity"),
    [
        ("allow_origins='http://a'", None),
        ("allow_methods='GET'", None),
        ("allow_methods='GET, DELETE'", Severity.ERROR),
        ("allow_headers='Content-Type'", None),
        ("allow_headers='Authorization'", Severity.ERROR),
        ("allow_origins=settings.CORS_ORIGINS", None),
        ("allow_origins=','.join(settings.origins)", None),
    ],
)
def test_a_text_is_told(tree: MakeTree, argument: str, severity: Severity | None) -> None:
    main = GATEWAY.replace("allow_origins=settings.origins", argument)
    files = {"backend/gateway/main.py": main, "backend/.env": "CORS_ORIGINS=http://a\n"}
    (finding,) = verdict(tree(files), "WEB807")
    assert finding.severity is severity


@pytest.mark.parametrize(
    "argument",
    [
        "allow_origins='*'",
        "allow_methods='*'",
        "allow_origins=''",
        "allow_origins=['http://a']",
        "allow_origins=unknown()",
        "allow_origins=settings.origins",
        "**options",
    ],
)
def test_what_is_no_text_or_means_the_same_is_silent(tree: MakeTree, argument: str) -> None:
    main = GATEWAY.replace("allow_origins=settings.origins", argument)
    assert verdict(tree({"backend/gateway/main.py": main}), "WEB807") == []


@pytest.mark.parametrize(
    ("argument", "env", "after"),
    [
        ("'http://a'", "", '["http://a"]'),
        ("('http://a, http://b')", "", '(["http://a", "http://b"])'),
        ("settings.CORS_ORIGINS", "http://a,http://b", 'settings.CORS_ORIGINS.split(",")'),
        ("settings.CORS_ORIGINS", "http://a, http://b", None),
        ("settings.CORS_ORIGINS", '["http://a"]', None),
        ("settings.CORS_ORIGINS", "a", None),
        ("f'{settings.CORS_ORIGINS}'", "http://a", None),
    ],
)
def test_a_list_is_made_of_it_where_that_is_sure(
    tree: MakeTree, argument: str, env: str, after: str | None
) -> None:
    main = GATEWAY.replace("settings.origins", argument).replace("\n", "\r\n")
    files = {"backend/gateway/main.py": main, "backend/.env": f"CORS_ORIGINS={env}\n"}
    platform = tree(files)
    if after is None:
        assert verdict(platform, "WEB807")[0].data["no_fix"]
        return
    (action,) = mended(platform, "WEB807")
    assert action.result.decode() == main.replace(argument, after)


# WEB808.


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("allow_origins=['*'], allow_credentials=True", True),
        ("['*'], ['*'], ['*'], True", True),
        ("allow_origin_regex='.*', allow_credentials=True", True),
        ("allow_origin_regex='https?://.*', allow_credentials=True", True),
        ("allow_origin_regex='^http(s)?://.+', allow_credentials=True", False),
        ("allow_origins=['*']", False),
        ("allow_origins=['*'], allow_credentials=flag()", False),
        ("allow_origins=unknown(), allow_credentials=True", False),
        ("allow_origins=['https://*.a'], allow_credentials=True", False),
        ("allow_origin_regex='https://.*\\\\.a', allow_credentials=True", False),
    ],
)
def test_everybody_with_credentials(tree: MakeTree, arguments: str, told: bool) -> None:
    main = GATEWAY.replace("allow_origins=settings.origins", arguments)
    assert len(verdict(tree({"backend/gateway/main.py": main}), "WEB808")) == told


def test_several_apps_are_one_finding(tree: MakeTree) -> None:
    main = GATEWAY.replace(
        "allow_origins=settings.origins", "allow_origins=['*'], allow_credentials=True"
    )
    names = [f"backend/{name}/main.py" for name in ("gateway", "orders", "users")]
    (finding,) = verdict(tree(dict.fromkeys(names, main)), "WEB808")
    assert "in 3 apps" in finding.message
    assert finding.target == "allow_origins"
    assert all(name in finding.next_step for name in names)


def test_it_is_told_once_for_an_app(tree: MakeTree) -> None:
    add = "app.add_middleware(CORSMiddleware, allow_origins=['*'], allow_credentials=True)\n"
    assert len(verdict(tree({"backend/gateway/main.py": GATEWAY + add * 2}), "WEB808")) == 1


# WEB810.

REFUSE = """from starlette.responses import JSONResponse
from starlette import status
class Guard:
    async def __call__(self, scope, receive, send):
        {}
"""


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("return JSONResponse({}, 401)", True),
        ("return JSONResponse({}, status_code=status.HTTP_403_FORBIDDEN)", True),
        ("await JSONResponse({}, status_code=429)(scope, receive, send)", True),
        ("answer = JSONResponse({}, 400); await answer(scope, receive, send)", True),
        ("return JSONResponse({}, status_code=503)", False),
        ("return JSONResponse({})", False),
        ("return JSONResponse({}, status_code=code)", False),
        ("return other.JSONResponse({}, 401)", False),
        ("JSONResponse({}, 401)", False),
        ("return JSONResponse({}, 401, headers=cors_headers(scope))", False),
    ],
)
def test_only_a_middleware_that_is_proven_to_refuse_is_told(
    tree: MakeTree, answer: str, told: bool
) -> None:
    main = REFUSE.replace("{}", answer, 1).replace("({}, ", "({}, ") + GATEWAY
    main += "app.add_middleware(Guard)\n"
    assert len(verdict(tree({"backend/gateway/main.py": main}), "WEB810")) == told


def test_the_order_is_that_of_the_text_or_of_the_list(tree: MakeTree) -> None:
    guard = REFUSE.replace("{}", "return JSONResponse({}, 401)", 1) + HEAD
    guard += "from fastapi.middleware import Middleware\n"
    one, two = "Middleware(CORSMiddleware, allow_origins=['x'])", "Middleware(Guard)"
    for order, told in (((one, two), 0), ((two, one), 1)):
        main = f"{guard}app = FastAPI(middleware=[{', '.join(order)}])\n"
        assert len(verdict(tree({"backend/gateway/main.py": main}), "WEB810")) == told
    cors, add = "app.add_middleware(CORSMiddleware)\n", "app.add_middleware(Guard)\n"
    for text, told in ((add + cors, 0), (cors + add, 1), (cors + add + cors, 0)):
        assert len(verdict(tree({"backend/gateway/main.py": guard + text}), "WEB810")) == told
    for other in ("other.add_middleware(Guard)\n", "def f(app):\n    app.add_middleware(Guard)\n"):
        main = guard + cors + other
        assert verdict(tree({"backend/gateway/main.py": main}), "WEB810") == []


def test_a_known_package_refuses_too(tree: MakeTree) -> None:
    main = GATEWAY + "from slowapi.middleware import SlowAPIMiddleware\n"
    main += "app.add_middleware(SlowAPIMiddleware)\nfrom slowapi import Limiter\n"
    limiter = "app.state.limiter = Limiter(key_func=str, default_limits=['5/minute'])\n"
    (finding,) = verdict(tree({"backend/gateway/main.py": main + limiter}), "WEB810")
    assert finding.target == "backend/gateway/main.py:SlowAPIMiddleware"
    # Without limits by default, it is the decorated routes that refuse: inside.
    limiter = "app.state.limiter = Limiter(key_func=str)\n"
    assert verdict(tree({"backend/gateway/main.py": main + limiter}), "WEB810") == []


# Properties.


@given(data=st.data())
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_mutation_of_the_source_makes_a_check_crash(tmp_path: Path, data: st.DataObject) -> None:
    files: dict[str, bytes] = {}
    for name, text in (("gateway/main.py", GATEWAY), ("shared/config.py", CONFIG)):
        mutated = bytearray(text.encode())
        for _ in range(data.draw(st.integers(0, 4))):
            at = data.draw(st.integers(0, len(mutated)))
            cut = data.draw(st.integers(0, 6))
            piece = data.draw(
                st.sampled_from(
                    [
                        b"",
                        b"*",
                        b"(",
                        b"'",
                        b"\n",
                        b"settings",
                        b".origins",
                        b"[]",
                        b"\xff",
                        b"=",
                        b"None,",
                        b"app.",
                    ]
                )
            )
            mutated[at : at + cut] = piece
        files[f"backend/{name}"] = bytes(mutated)
    facts = Facts(gateway_tree(tmp_path, files))
    for code in ("WEB806", "WEB807", "WEB808", "WEB810"):
        check = rules.checks()[code]
        try:
            found = list(check.function(**facts.arguments(check.facts)))
        except Absent:
            continue
        assert all(isinstance(f, Finding) for f in found)
