"""How the source calls httpx and starts its servers: what is proven, what is edited, what stays silent."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saas_doctor.edits import apply_edits
from saas_doctor.facts import Facts
from saas_doctor.facts.clients import Clients
from saas_doctor.facts.commandlines import CommandLines, servers
from saas_doctor.facts.module import Module
from saas_doctor.facts.objects import Objects
from saas_doctor.facts.servers import Servers
from saas_doctor.facts.source import Source
from saas_doctor.facts.values import Values
from saas_doctor.facts.variables import Environment
from saas_doctor.model import Severity
from saas_doctor.platform import Platform
from tests.trees import MakeTree, findings, fixed, in_memory, undone

EXAMPLES = settings(max_examples=int(os.environ.get("SD_EXAMPLES", "200")), deadline=None)
NEW, BETWEEN, OLD = "httpx>=0.28\n", "httpx>=0.26,<0.28\n", "httpx<0.26\n"
APP = "from fastapi import FastAPI\n\napp = FastAPI()\n"
MAIN = '\nif __name__ == "__main__":\n    import uvicorn\n\n    uvicorn.run({0})\n'


# httpx and `proxies`.


@pytest.mark.parametrize(
    "text",
    [
        "import httpx\nhttpx.Client(proxies=None)",
        "import httpx as h\nh.AsyncClient(proxies=None)",
        "from httpx import AsyncClient as C\nC(proxies=None)",
        "import httpx\nhttpx.get('http://x', proxies=None)",
        "from httpx import stream\nwith stream('GET', 'http://x', proxies=None): pass",
        "import httpx\nmake = httpx.Client\nmake(proxies=None)",
        "import httpx\nhttpx.Client(**{'proxies': None})",
        "import httpx\nOPTIONS = dict(proxies=None)\nhttpx.Client(**OPTIONS)",
        "import functools, httpx\nfunctools.partial(httpx.Client, proxies=None)",
        "import httpx\nclass C(httpx.Client): ...\nC(proxies=None)",
        "import httpx\nclass C(httpx.Client):\n    def __init__(self): super().__init__(proxies=None)",
    ],
)
def test_a_call_of_httpx_is_known_in_each_of_its_forms(tree: MakeTree, text: str) -> None:
    platform = tree({"app/a.py": text}, NEW)
    assert [f.severity for f in findings(platform, "SRC230")] == [Severity.ERROR]


@pytest.mark.parametrize(
    "text",
    [
        "import requests\nrequests.get('http://x', proxies=None)",
        "from aiohttp import Client\nClient(proxies=None)",
        "class Client:\n    def __init__(self, proxies): ...\nClient(proxies=None)",
        "import httpx\nclass C(httpx.Client):\n    def __init__(self, proxies): super().__init__()\nC(proxies=None)",
        "import httpx\n# httpx.Client(proxies=None)\nTEXT = 'httpx.Client(proxies=None)'",
        "import httpx\nOPTIONS = {'proxies': None}\nOPTIONS.pop('proxies')\nhttpx.Client(**OPTIONS)",
        "import httpx, pytest\ndef test():\n    with pytest.raises(TypeError):\n        httpx.Client(proxies=None)",
        "import httpx\ntry:\n    c = httpx.Client(transport=httpx.HTTPTransport(proxy='x'))\nexcept Exception:\n    c = httpx.Client(proxies='x')",
        "import httpx, inspect\nif 'proxies' in inspect.signature(httpx.Client).parameters:\n    c = httpx.Client(proxies='x')",
        "import httpx\nfrom importlib.metadata import version\nNEW = version('httpx') >= '0.28'\nc = None if NEW else httpx.Client(proxies='x')",
    ],
)
def test_what_is_no_call_of_httpx_or_sees_to_its_version_is_silent(
    tree: MakeTree, text: str
) -> None:
    assert findings(tree({"app/a.py": text}, NEW), "SRC230") == []


@pytest.mark.parametrize(
    ("requirement", "value", "severity"),
    [
        (NEW, "'http://p'", Severity.ERROR),
        ("httpx\n", "None", Severity.WARNING),
        ("httpx>=0.27,<0.29\n", "None", Severity.WARNING),
        (BETWEEN, "None", Severity.INFO),
        (BETWEEN, "{}", Severity.WARNING),
        (BETWEEN, "'http://p'", Severity.WARNING),
        (OLD, "{}", None),
        ("fastapi\n", "{}", None),
    ],
)
def test_proxies_are_as_bad_as_the_version_of_httpx_makes_them(
    tree: MakeTree, requirement: str, value: str, severity: Severity | None
) -> None:
    platform = tree({"app/a.py": f"import httpx\nhttpx.Client(proxies={value})"}, requirement)
    assert [f.severity for f in findings(platform, "SRC230")] == ([severity] if severity else [])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("C(proxies=None)", "C()"),
        ("C( proxies=None )", "C( )"),
        ("C(timeout=5, proxies=None)", "C(timeout=5)"),
        ("C(proxies=None, timeout=5)", "C(timeout=5)"),
        ("C(a=1, proxies=None, timeout=5)", "C(a=1, timeout=5)"),
        ("C(\n    a=1,\n    proxies=None,\n    b=2,\n)", "C(\n    a=1,\n    b=2,\n)"),
        ("C(\r\n    a=1,\r\n    proxies=None\r\n)", "C(\r\n    a=1,\r\n)"),
        ("C(\n    a=1, proxies=None\n)", "C(\n    a=1\n)"),
        (
            "C(\n    a=1,  # first\n    proxies=None,  # why\n)",
            "C(\n    a=1,  # first\n    # why\n)",
        ),
        ("C(a=1, proxies=None,\n  b=2)", "C(a=1,\n  b=2)"),
        ("C(timeout='é', proxies=None)", "C(timeout='é')"),
        ("C(proxies=None  # why\n)", None),
        ("C(proxies=(None), b=1)", None),
    ],
)
def test_proxies_none_is_taken_out_with_its_comma_and_nothing_else(
    tree: MakeTree, before: str, after: str | None
) -> None:
    head = "from httpx import Client as C\n"
    platform = tree({"app/a.py": (head + before).encode()}, NEW)
    written = {"backend/app/a.py": head + after} if after is not None else {}
    assert fixed(platform, "SRC230") == written


def test_two_calls_in_one_function_are_two_findings(tree: MakeTree) -> None:
    text = "import httpx\ndef f():\n    httpx.get('a', proxies=None)\n    httpx.get('b', proxies=None)\n"
    platform = tree({"app/a.py": text}, NEW)
    assert len({f.target for f in findings(platform, "SRC230")}) == 2
    assert "proxies" not in fixed(platform, "SRC230")["backend/app/a.py"]


SERVICES = {
    "app/main.py": APP + "# port=8001\n",
    "registry/main.py": APP + "# port=8002\n",
}


@pytest.mark.parametrize(
    "text",
    [
        "httpx.get('http://localhost:8001/x')",
        "httpx.request('GET', url='http://127.0.0.1')",
        "httpx.post(f'http://registry:8001/{name}')",
        "with httpx.Client() as c:\n    c.get('http://[::1]:8001')",
        "URL = 'http://localhost:8001'\nhttpx.Client(base_url=URL + '/api')",
        "class A:\n    def __init__(self):\n        self.client = httpx.Client()\n        self.url = 'http://registry:8001'\n    def get(self):\n        return self.client.get(f'{self.url}/x')",
        "import os\nhttpx.get(os.getenv('REGISTRY', 'http://localhost:8001') + '/x')",
        "httpx.Client().get('http://localhost')",
    ],
)
def test_a_call_of_a_service_is_known_by_its_address(tree: MakeTree, text: str) -> None:
    platform = tree({**SERVICES, "app/a.py": f"import httpx\n{text}\n"})
    assert [f.target for f in findings(platform, "SRC231")] == ["backend/app/a.py"]


@pytest.mark.parametrize(
    "text",
    [
        "httpx.get('http://localhost.example.com/x')",
        "httpx.get('https://example.com/?next=http://localhost')",
        "httpx.get('http://registry.example.com')",
        "httpx.get('http://localhost:8001', trust_env=False)",
        "httpx.Client(base_url='http://localhost', app=1)",
        "httpx.Client(base_url='http://localhost', proxy='http://p')",
        "def f(url): return httpx.get(url)",
        "def f(url='http://localhost'): return httpx.get(url)",
        "url = 'http://localhost'\nurl = input()\nhttpx.get(url)",
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    url: str = 'http://localhost'\n    def get(self):\n        return httpx.get(self.url)",
        "try:\n    from local import URL\nexcept ImportError:\n    URL = 'http://localhost'\nhttpx.get(URL)",
    ],
)
def test_other_addresses_and_clients_are_no_calls_of_services(tree: MakeTree, text: str) -> None:
    platform = tree({**SERVICES, "app/a.py": f"import httpx\n{text}\n"})
    assert findings(platform, "SRC231") == []


def test_where_a_proxy_is_set_another_check_tells_of_the_calls(tree: MakeTree) -> None:
    text = "import httpx\nhttpx.get('http://localhost:8001/x')\n"
    platform = tree({**SERVICES, "app/a.py": text})
    proxied = Platform(platform.root, platform.config, None, {"HTTP_PROXY": "http://p:1"})
    assert findings(platform, "SRC231")
    assert findings(proxied, "SRC231") == []


# What expressions come to.

SETTINGS = """
from functools import lru_cache
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_file=".env"{prefix})
    size: int = 5
    workers: int = Field(default=2, ge=1)
    share: float | None = 0.5
    debug: bool = False
    url: str

@lru_cache
def get_settings() -> Settings:
    return Settings()

settings = get_settings()
"""


def values_of(source: Source) -> Values:
    return Values(Objects(source), Environment(None, ".env", {}, loaded=False), None)


def value(tree: MakeTree, expression: str, **files: str | bytes) -> object:
    """What an expression comes to in a module of the platform; `...` where it can't be told."""
    names = {name.replace("__", "/"): text for name, text in files.items()}
    names = {n if "." in n or n.endswith("env") else f"{n}.py": t for n, t in names.items()}
    names = {n.replace("DOT", "."): t for n, t in names.items()}
    platform = tree({"shared/settings.py": SETTINGS.format(prefix=""), **names, "a.py": expression})
    values = Facts(platform).get(Values)
    module = next(m for m in values.source.modules if m.name == "backend/a.py")
    last = module.body[-1]
    assert isinstance(last, ast.Expr)
    known = values.of(module, last.value)
    return known.plain if known.known else ...


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("5 + 2 * 3", 11),
        ("SIZE = 4\nSIZE * 2", 8),
        ("import os\nint(os.getenv('SIZE', '7'))", 7),
        ("import os\nos.environ.get('DEBUG', 'true').lower() in ('1', 'true')", True),
        ("import os\nos.environ['X'] if False else 3", 3),
        ("from shared.settings import settings\nsettings.size", 5),
        ("from shared.settings import get_settings\nget_settings().workers", 2),
        ("from shared import settings as s\ns.settings.size + 1", 6),
        ("from shared.settings import settings\nsettings.share * 2", 1.0),
        ("from shared.settings import settings\nsettings.debug or settings.size > 4", True),
        ("class C:\n    SIZE = 3\nC.SIZE", 3),
        ("class C:\n    def __init__(self):\n        self.size = 3\nC().size", 3),
        ("class C:\n    SIZE = 3\n    if input():\n        SIZE = 4\nC.SIZE", ...),
        ("class C:\n    SIZE = 3\n    TWICE = SIZE * 2\nC.TWICE", 6),
        ("class C:\n    SIZE = 3\nclass D:\n    def __init__(self):\n        self.SIZE = 4\nC.SIZE", 3),
        ("class C:\n    SIZE = 3\n    def __init__(self):\n        self.SIZE = 4\nC().SIZE", ...),
        ("def f():\n    a = a + a\n    return a\nf()", ...),
        ("x = None\n1 if x is None else 2", 1),
        ("-3 < -2.5", True),
        ("from shared.settings import settings\nsettings.url", ...),
        ("from shared.settings import Settings\nSettings(size=1).size", ...),
        ("SIZE = 1\nif input():\n    SIZE = 2\nSIZE", ...),
        ("def f(size=3): ...\nsize", ...),
        ("SIZE = 1\ndef f():\n    global SIZE\n    SIZE = 2\nSIZE", ...),
        ("'x' * 10**9", ...),
        ("10 // 0", ...),
        ("a = b\nb = a\na", ...),
        ("import os\nos.cpu_count() * 2", ...),
    ],
)  # fmt: skip
def test_expressions_come_to_what_is_proven(
    tree: MakeTree, expression: str, expected: object
) -> None:
    assert value(tree, expression) == expected


def test_a_setting_is_what_env_says_before_its_default(tree: MakeTree) -> None:
    ask = "from shared.settings import settings\nsettings.{}"
    env: dict[str, str | bytes] = {
        "DOTenv": "SIZE=20\nDEBUG=on\nURL='postgresql://x'\nWORKERS=many\n"
    }
    assert value(tree, ask.format("size"), **env) == 20
    assert value(tree, ask.format("debug"), **env) is True
    assert value(tree, ask.format("url"), **env) == "postgresql://x"
    assert value(tree, ask.format("workers"), **env) is ...


def test_a_setting_with_a_prefix_is_read_by_its_whole_name(tree: MakeTree) -> None:
    ask = "from shared.settings import settings\nsettings.size"
    files: dict[str, str | bytes] = {
        "shared__settings": SETTINGS.format(prefix=", env_prefix='APP_'"),
        "DOTenv": "SIZE=20\nAPP_SIZE=30\n",
    }
    assert value(tree, ask, **files) == 30


def test_what_settings_hold_is_the_same_for_their_own_methods(tree: MakeTree) -> None:
    method = "\n    def look(self):\n        return httpx.get(self.url)\n"
    text = "import httpx\n" + SETTINGS.format(prefix="").replace(
        "    url: str\n", "    url: str = 'http://localhost'\n" + method
    )
    for env, told in (("", 1), ("URL=http://example.com\n", 0)):
        platform = tree({**SERVICES, "app/a.py": text, ".env": env})
        assert len(findings(platform, "SRC231")) == told


def test_a_setting_that_the_compose_file_gives_too_is_not_told(tree: MakeTree) -> None:
    text = "from shared.settings import settings\nsettings.size"
    platform = tree(
        {
            "shared/settings.py": SETTINGS.format(prefix=""),
            "a.py": text,
            "/compose.yaml": "services: { app: { environment: { SIZE: 9 } } }",
        }
    )
    values = Facts(platform).get(Values)
    module = next(m for m in values.source.modules if m.name == "backend/a.py")
    last = module.body[-1]
    assert isinstance(last, ast.Expr)
    assert not values.everywhere.of(module, last.value).known
    assert values.of(module, last.value).plain == 5


# Commands.


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("uvicorn main:app --workers 4", ["uvicorn main:app --workers 4"]),
        ("cd app && exec poetry run uvicorn main:app", ["uvicorn main:app"]),
        ("A=1 python3.11 -u -m gunicorn main:app", ["gunicorn main:app"]),
        (["sh", "-c", "alembic upgrade head; uvicorn a:b"], ["uvicorn a:b"]),
        (["/app/.venv/bin/uvicorn", "a:b"], ["uvicorn a:b"]),
        ("uv run --no-sync fastapi run --workers 4 app/main.py", ["fastapi run --workers 4 app/main.py"]),
        ("opentelemetry-instrument uvicorn a:b | tee log", ["uvicorn a:b"]),
        ("pip install uvicorn gunicorn", []),
        ("echo uvicorn a:b", []),
        ("pkill -f 'uvicorn a:b'", []),
        ("python run.py --server uvicorn", []),
        ("fastapi --version", []),
        ("uvicorn 'a:b", []),
        ("", []),
        ([], []),
    ],
)  # fmt: skip
def test_servers_are_found_in_commands(command: str | list[str], found: list[str]) -> None:
    assert [" ".join((runner, *words)) for runner, words in servers(command)] == found


def test_commands_are_found_in_each_kind_of_file(tree: MakeTree) -> None:
    platform = tree(
        {
            "Dockerfile": "FROM a AS dev\nCMD uvicorn \\\n# why\n  a:dev\nFROM b\nENTRYPOINT [\"uvicorn\"]\nCMD [\"a:app\"]\n",
            "/Procfile": "web: uvicorn a:proc\n",
            "/Makefile": "run:\n\t@uvicorn a:make \\\n\t\t--workers 2\n# uvicorn a:no\n",
            "/package.json": '{"name": "x", "scripts": {\n "dev": "uvicorn a:package"}}',
            "/scripts/start.sh": "#!/bin/sh\n# uvicorn a:no\nexec uvicorn a:script\n",
            "/compose.yaml": "services:\n  x: { command: [uvicorn, 'a:compose'], deploy: { replicas: 3 } }\n"
            "  y: { build: backend, scale: 2 }\n",
        }
    )  # fmt: skip
    found = {
        (str(c.place), c.text.split()[1], c.replicas)
        for c in Facts(platform).get(CommandLines).found
    }
    assert found == {
        ("backend/Dockerfile:2", "a:dev", 2),
        ("backend/Dockerfile:7", "a:app", 2),
        ("Procfile:1", "a:proc", 1),
        ("Makefile:2", "a:make", 1),
        ("package.json:2", "a:package", 1),
        ("scripts/start.sh:3", "a:script", 1),
        ("compose.yaml:2:17", "a:compose", 3),
    }


@EXAMPLES
@given(st.text(alphabet="uvicorn a:b-w4\"'\\\n&|;()$`{}#=\t", max_size=60))
def test_no_command_is_too_odd_to_be_read(text: str) -> None:
    list(servers(text))
    list(servers(text.split()))


@EXAMPLES
@given(data=st.data())
def test_files_with_changed_bytes_are_read_too(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("changed")
    texts = {
        "Dockerfile": b'FROM a\nENTRYPOINT ["uvicorn"]\nCMD ["a:app", "--workers", "4"]\n',
        "package.json": b'{"scripts": {"dev": "uvicorn a:b --reload"}}',
        "Makefile": b"run:\n\tuvicorn a:b \\\n\t--reload\n",
        "compose.yaml": b"services:\n  x:\n    command: uvicorn a:b\n    deploy: {replicas: 2}\n",
    }
    for name, text in texts.items():
        changed = bytearray(text)
        for _ in range(data.draw(st.integers(0, 3))):
            changed[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
        (root / name).write_bytes(bytes(changed))
    from saas_doctor import platform as platforms

    Facts(platforms.load(root, exact=True, environ={})).get(CommandLines)


# uvicorn.run.


def run_of(tree: MakeTree, files: dict[str, str | bytes], code: str) -> list[str]:
    return [str(f.place) for f in findings(tree(files), code)]


@pytest.mark.parametrize(
    ("files", "string"),
    [
        ({"main.py": APP + MAIN.format("app, reload=True")}, "main:app"),
        ({"svc/main.py": APP + MAIN.format("app, reload=True")}, "main:app"),
        ({"main.py": APP + MAIN.format("app) if 0 else uvicorn.run(app, reload=True")}, "main:app"),
        (
            {"svc/main.py": "import models\n" + APP + MAIN.format("app, reload=True"), "svc/models.py": ""},
            "main:app",
        ),
        (
            {
                "app/main.py": "from app.models import X\n" + APP + MAIN.format("app=app, workers=2"),
                "app/models.py": "X = 1",
            },
            "app.main:app",
        ),
        (
            {
                "svc/main.py": APP,
                "svc/run.py": "import uvicorn\nfrom svc.main import app as api\ndef main():\n"
                "    uvicorn.run(api, reload=True)\nif __name__ == '__main__':\n    main()\n",
            },
            "svc.main:app",
        ),
        (
            {
                "svc/main.py": APP,
                "run.py": "import uvicorn\nimport svc.main\nif __name__ == '__main__':\n"
                "    uvicorn.run(svc.main.app, reload=True)\n",
            },
            "svc.main:app",
        ),
    ],
)  # fmt: skip
def test_the_import_string_is_written_where_the_imports_prove_it(
    tree: MakeTree, files: dict[str, str | bytes], string: str
) -> None:
    written = fixed(tree(files), "SRC240")
    assert len(written) == 1
    (text,) = written.values()
    assert f'"{string}"' in text
    ast.parse(text)


@pytest.mark.parametrize(
    "files",
    [
        {"svc/__init__.py": "", "svc/main.py": APP + MAIN.format("app, reload=True")},
        {"svc/main.py": "from . import models\n" + APP + MAIN.format("app, reload=True"), "svc/models.py": ""},
        {"main.py": APP + "import uvicorn\nuvicorn.run(app, reload=True)\n"},
        {"main.py": APP + MAIN.format("app, reload=True").replace("    uv", "    app.title = 'x'\n    uv")},
        {"main.py": APP + MAIN.format("app, reload=True").replace("    uv", "    prepare(app)\n    uv")},
        {"main.py": APP + "def main():\n    global STATE\n    STATE = 1\n    import uvicorn\n    uvicorn.run(app, reload=True)\nif __name__ == '__main__':\n    main()\n"},
        {"main.py": "from fastapi import FastAPI\n" + MAIN.format("FastAPI(), reload=True")},
        {"main.py": "from fastapi import FastAPI\ndef main():\n    import uvicorn\n    app = FastAPI()\n    uvicorn.run(app, reload=True)\nif __name__ == '__main__':\n    main()\n"},
    ],
)  # fmt: skip
def test_an_object_that_another_process_could_not_import_alike_is_found_and_not_edited(
    tree: MakeTree, files: dict[str, str | bytes]
) -> None:
    platform = tree(files)
    assert len(findings(platform, "SRC240")) == 1
    assert fixed(platform, "SRC240") == {}


@pytest.mark.parametrize(
    "text",
    [
        APP + MAIN.format("app"),
        APP + MAIN.format("app, workers=1, reload=False"),
        APP + MAIN.format("'main:app', workers=4, reload=True"),
        APP + MAIN.format("app, reload=unknown()"),
        APP + MAIN.format("app, **options()"),
        "import uvicorn\ndef serve(app):\n    uvicorn.run(app, reload=True)\n",
        "import uvicorn\nfrom elsewhere import app\nuvicorn.run(app, reload=True)\n",
        "class uvicorn:\n    def run(*a, **k): ...\n" + APP + "uvicorn.run(app, reload=True)\n",
        APP + "import subprocess\nsubprocess.run(app, reload=True)\n# uvicorn\n",
    ],
)
def test_what_may_well_start_is_silent(tree: MakeTree, text: str) -> None:
    assert run_of(tree, {"main.py": text}, "SRC240") == []


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("uvicorn main:app --reload --workers 2", True),
        ("uvicorn --reload --workers=2 main:app", True),
        ("uvicorn main:app --reload --workers ${WORKERS:-4}", True),
        ("fastapi run --reload --workers 2", True),
        ("uvicorn main:app --reload --workers ${WORKERS}", False),
        ("uvicorn main:app --reload --workers 1", False),
        ("uvicorn main:app --workers 2", False),
        ("gunicorn main:app --reload -w4", False),
        ("hypercorn main:app --reload -w 4", False),
    ],
)
def test_workers_beside_reloading_are_told_of_uvicorn_only(
    tree: MakeTree, command: str, *, found: bool
) -> None:
    platform = tree({"main.py": APP, "/Procfile": f"web: {command}\n"})
    assert bool(findings(platform, "SRC241")) == found


# State in memory.

ROUTES = """
@app.post("/x/{{name}}")
def write(name: str, value: str):
    {write}

@app.get("/x/{{name}}")
def read(name: str):
    return {read}
"""
TWO = {"/Procfile": "web: uvicorn app.main:app --workers 2\n"}


@pytest.mark.parametrize(
    ("head", "write", "read"),
    [
        ("names = {}", "names[name] = value", "names[name]"),
        ("names: dict[str, str] = dict()", "names.update({name: value})", "names.get(name)"),
        ("names = []", "names.append(value)", "list(names)"),
        ("from collections import defaultdict\nnames = defaultdict(list)", "names[name].append(value)", "names"),
        ("names = {}\ndef _keep(n, v): names[n] = v", "_keep(name, value)", "len(names)"),
        (
            "class Table:\n    def __init__(self):\n        self.names = {}\n    def add(self, n, v):\n"
            "        self.names[n] = v\n    def get(self, n):\n        return self.names.get(n)\ntable = Table()",
            "table.add(name, value)",
            "table.get(name)",
        ),
    ],
)  # fmt: skip
def test_state_in_memory_is_found_through_functions_and_instances(
    tree: MakeTree, head: str, write: str, read: str
) -> None:
    text = APP + head + ROUTES.format(write=write, read=read)
    platform = tree({"app/main.py": text, **TWO})
    assert [f.severity for f in findings(platform, "SRC242")] == [None]


def test_state_of_a_router_that_the_application_imports_is_found(tree: MakeTree) -> None:
    platform = tree(
        {
            "app/main.py": APP + "from app import routes\napp.include_router(routes.app)\n",
            "app/routes.py": "from fastapi import APIRouter\nfrom app.store import names\napp = APIRouter()\n"
            + ROUTES.format(write="names[name] = value", read="names[name]"),
            "app/store.py": "names = {}\n",
            "app/other.py": "own = {}\n"
            + APP
            + ROUTES.format(write="own[name] = value", read="own[name]"),
            **TWO,
        }
    )
    (finding,) = findings(platform, "SRC242")
    assert "names (backend/app/store.py:1:9)" in finding.more["kept in memory"]
    assert "own" not in finding.more["kept in memory"]


@pytest.mark.parametrize(
    ("head", "write", "read"),
    [
        ("names = {}", "names.clear()", "names.setdefault(name, load(name))"),
        ("cache = {}", "cache[name] = value", "cache.get(name)"),
        ("names = {'a': 1}", "return names", "names"),
        ("names = {}", "names = {}\n    names[name] = value", "names"),
        ("names = Redis()", "names[name] = value", "names[name]"),
        ("hits = {}", "hits[name] = 1", "0"),
    ],
)
def test_what_each_worker_may_have_of_its_own_is_silent(
    tree: MakeTree, head: str, write: str, read: str
) -> None:
    text = APP + head + ROUTES.format(write=write, read=read)
    assert run_of(tree, {"app/main.py": text, **TWO}, "SRC242") == []


# Import strings.


def string_of(tree: MakeTree, string: str, files: dict[str, str | bytes]) -> list[str]:
    script = f"import uvicorn\nuvicorn.run({string!r})\n"
    return [f.wanted for f in findings(tree({"svc/run.py": script, **files}), "SRC243")]


@pytest.mark.parametrize(
    ("string", "wanted"),
    [
        ("main:application", '"main:app"'),
        ("svc.main:application", '"svc.main:app"'),
        ("main.py:app", '"main:app"'),
        ("svc/main:app", '"svc.main:app"'),
        ("svc.mian:app", "the application's import string"),
        ("main", '"main:app"'),
        ("main:", '"main:app"'),
        ("mian", "the application's import string"),
        ("main:app()", '"main:app"'),
    ],
)
def test_an_import_string_that_leads_nowhere_is_told_with_what_was_meant(
    tree: MakeTree, string: str, wanted: str
) -> None:
    assert string_of(tree, string, {"svc/main.py": APP}) == [wanted]


@pytest.mark.parametrize(
    ("string", "files"),
    [
        ("main:app", {"svc/main.py": APP}),
        ("svc.main:app", {"svc/main.py": APP}),
        ("backend.svc.main:app", {"svc/main.py": APP}),
        ("main:app.sub", {"svc/main.py": APP}),
        ("main:other", {"svc/main.py": "from x import *\n"}),
        ("main:other", {"svc/main.py": "def __getattr__(name): ...\n"}),
        ("main:other", {"svc/main.py": "globals()['other'] = 1\n"}),
        ("main:other", {"svc/main.py": "try:\n    other = 1\nexcept Exception: ...\n"}),
        ("main:other", {"svc/main.py": APP, "main.py": "other = 1\n"}),
        ("main:other", {"svc/main.py": "x = (\n"}),
        ("svc:main", {"svc/__init__.py": "", "svc/main.py": APP}),
        ("uvicorn_app.main:app", {}),
        ("json:app", {}),
        ("{{name}}.main:app", {}),
    ],
)
def test_an_import_string_that_may_lead_somewhere_is_silent(
    tree: MakeTree, string: str, files: dict[str, str | bytes]
) -> None:
    assert string_of(tree, string, files) == []


def test_a_command_is_judged_only_where_one_module_can_be_meant(tree: MakeTree) -> None:
    command: dict[str, str | bytes] = {"/Procfile": "web: uvicorn main:application\n"}
    assert run_of(tree, {"svc/main.py": APP, **command}, "SRC243") == ["Procfile:1"]
    assert run_of(tree, {"svc/main.py": APP, "two/main.py": APP, **command}, "SRC243") == []


def test_a_main_beside_the_command_that_is_not_in_the_index_is_the_one_meant(
    tree: MakeTree,
) -> None:
    files: dict[str, str | bytes] = {
        "svc/main.py": APP,
        "/main.py": "application = 1\n",
        "/Procfile": "web: uvicorn main:application\n",
    }
    assert run_of(tree, files, "SRC243") == []


# Edits, and speed.

CALLS = (
    b"import httpx, functools\nOPTIONS = {'proxies': None}\n\n"
    b"async def f():\n    async with httpx.AsyncClient(\n        timeout=5,  # s\n        proxies=None,  # no\n"
    b"    ) as c:\n        await c.get('http://localhost:8001')\nhttpx.get('x', proxies=None)\n"
    b"functools.partial(httpx.Client, proxies={})\nhttpx.Client(**OPTIONS)\n"
)


@EXAMPLES
@given(data=st.data())
def test_source_with_changed_bytes_raises_nothing_and_its_edits_can_be_undone(
    data: st.DataObject,
) -> None:
    changed = bytearray(CALLS)
    for _ in range(data.draw(st.integers(0, 4))):
        changed[data.draw(st.integers(0, len(CALLS) - 1))] = data.draw(st.integers(0, 255))
    source = in_memory(bytes(changed))
    for argument in Clients(source).proxies:
        assert b"proxies" in changed
        assert undone(bytes(changed), argument.edits) == changed
        assert len(apply_edits(bytes(changed), argument.edits)) <= len(changed)
    values = values_of(source)
    for start in Servers(source, values, CommandLines(())).starts:
        assert start.module


def test_ten_thousand_files_cost_a_moment_where_nothing_is_wrong() -> None:
    import time

    text = b"import os\nimport httpx\n\n\ndef f(a):\n    return os.path.join(a, 'x')\n" * 5
    root = Path("/nowhere")
    modules = tuple(
        Module(root / f"p{n % 100}/m{n}.py", f"p{n % 100}/m{n}.py", f"p{n % 100}.m{n}", text, root)
        for n in range(10_000)
    )
    source = Source(modules, (root,))
    began = time.process_time()
    assert Clients(source).proxies == ()
    assert Servers(source, values_of(source), CommandLines(())).starts == ()
    assert time.process_time() - began < 1
