"""Configuration: found from files, read from a file, and one sentence for what is wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from msgspec.structs import asdict

from saas_doctor import platform as platforms
from saas_doctor.config import validate
from saas_doctor.initial import configuration_text
from saas_doctor.model import DoctorError
from saas_doctor.schema import schema

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def tree(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


SERVICE = "from fastapi import FastAPI\napp = FastAPI()\n"


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"pyton": ">=3.11"}, r"unknown key `pyton`; did you mean `python`\?"),
        (
            {"services": {"a": {"directory": "a", "prot": 1}}},
            r"`services\.a\.prot`; did you mean `port`\?",
        ),
        ({"frontend": {"orgins": []}}, r"`frontend\.orgins`; did you mean `origins`\?"),
        ({"services": {"a": {"port": 1}}}, r"`services\.a\.directory` is missing"),
        ({"services": {"a": {"directory": "a", "port": 70000}}}, r"`services\.a\.port`.*70000"),
        ({"python": "three"}, r"`python`: not a range of versions such as >=3\.11.*'three'"),
        ({"timeout": "soon"}, r"`timeout`.*'soon'"),
        (
            {"severity": {"SRC": "error", "DB": "fatal"}},
            r": `severity\.DB`: has to be one of error, warning, info \(found 'fatal'\)$",
        ),
        (
            {"fail-on": "warn"},
            r"`fail-on`: has to be one of error, warning, info \(found 'warn'\)$",
        ),
        ({"ignore": {"SRC204": " "}}, r"`ignore\.SRC204`: has to be a text that says why.*' '"),
        ({"ignore": {"SRC204": 5}}, r"`ignore\.SRC204`: has to be a text that says why.*5"),
        ({"services": {"a": 5}}, r"`services\.a`: Expected `object`, got `int` \(found 5\)"),
    ],
)
def test_a_wrong_key_or_value_is_named_in_one_sentence(
    table: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(DoctorError, match=sentence):
        validate(table, Path("saas-doctor.toml"))


def test_services_and_ports_are_found_from_the_code_the_settings_and_the_compose_file(
    tmp_path: Path,
) -> None:
    tree(
        tmp_path,
        **{
            "docker-compose.yml": 'services:\n  gateway:\n    ports: ["127.0.0.1:8080:8000"]\n',
            "backend/gateway/main.py": SERVICE,
            "backend/billing/main.py": SERVICE,
            "backend/billing/run.py": 'uvicorn.run("main:app", port=8010)\n',
            "backend/core/main.py": SERVICE,
            "backend/shared/config.py": "class Settings:\n    CORE_PORT: int = 8002\n",
            "backend/.env": "CORE_PORT=9002\n",
            "examples/plugins/demo-service/main.py": SERVICE,
        },
    )
    services = platforms.load(tmp_path, environ={}).config.services
    assert {name: service.port for name, service in services.items()} == {
        "gateway": 8080,
        "billing": 8010,
        "core": 9002,
        "demo-service": 8003,
    }


@pytest.mark.parametrize(
    ("files", "host", "variable"),
    [
        (
            {"core/run.py": 'uvicorn.run("core.main:app", host=settings.HOST)\n'},
            "127.0.0.1",
            "HOST",
        ),
        ({"core/run.py": "uvicorn.run(app, host=get_settings().core_host)\n"}, "127.0.0.1", None),
        (
            {"core/run.py": 'import uvicorn\nhost = os.getenv("CORE_HOST")\n'},
            "127.0.0.1",
            "CORE_HOST",
        ),
        (
            {
                "shared/serve.py": 'import uvicorn\np.add_argument("--host", default=settings.HOST)\n',
                "shared/config.py": 'class Settings:\n    HOST: str = "::1"\n',
            },
            "::1",
            "HOST",
        ),
        ({"core/run.py": 'uvicorn.run("main:app", host="127.0.0.2", port=1)\n'}, "127.0.0.2", None),
        ({"core/run.py": 'uvicorn.run("main:app", host="0.0.0.0")\n'}, "127.0.0.1", None),
        ({"core/run.py": "uvicorn.run(app)\nRedis(host=settings.REDIS_HOST)\n"}, "127.0.0.1", None),
        ({"shared/mail.py": "smtplib.SMTP(host=settings.HOST)\n"}, "127.0.0.1", None),
    ],
)
def test_the_host_of_a_service_is_found_in_the_code_that_starts_it(
    files: dict[str, str], host: str, variable: str | None, tmp_path: Path
) -> None:
    inside = {f"backend/{name}": text for name, text in files.items()}
    tree(tmp_path, **{"docker-compose.yml": "", "backend/core/main.py": SERVICE, **inside})
    service = platforms.load(tmp_path, environ={}).config.services["core"]
    assert (service.host, service.host_variable) == (host, variable)


def test_what_the_file_says_wins_over_what_was_found(tmp_path: Path) -> None:
    tree(
        tmp_path,
        **{
            "backend/gateway/main.py": SERVICE,
            "saas-doctor.toml": '[services.web]\ndirectory = "backend/gateway"\nport = 1234\n',
        },
    )
    config = platforms.load(tmp_path, environ={}).config
    assert {name: service.port for name, service in config.services.items()} == {"web": 1234}


def test_the_table_may_stand_in_pyproject(tmp_path: Path) -> None:
    tree(tmp_path, **{"pyproject.toml": '[tool.saas-doctor]\npython = ">=3.12"\n'})
    assert platforms.load(tmp_path, environ={}).config.python == ">=3.12"


def test_the_platform_is_found_from_a_folder_inside_it(tmp_path: Path) -> None:
    tree(tmp_path, **{"docker-compose.yml": "", "backend/core/main.py": SERVICE})
    assert platforms.load(tmp_path / "backend/core", environ={}).root == tmp_path


def test_a_folder_that_is_no_platform_is_refused_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(DoctorError, match=r"no platform here or above.*saas-doctor init"):
        platforms.load(tmp_path)


def test_broken_toml_is_named_with_its_line(tmp_path: Path) -> None:
    tree(tmp_path, **{"saas-doctor.toml": "python = \n"})
    with pytest.raises(DoctorError, match=r"saas-doctor\.toml: can't be read as TOML: .*line 1"):
        platforms.load(tmp_path)


def test_what_init_writes_changes_nothing(tmp_path: Path) -> None:
    tree(
        tmp_path,
        **{
            "docker-compose.yml": "services: {}\n",
            "backend/core/main.py": SERVICE,
            "backend/.env.example": "DATABASE_URL=postgresql://u:p@h/d\nREDIS_URL=redis://h\n",
            "frontend/vite.config.js": "export default {}\n",
        },
    )
    found = platforms.load(tmp_path, environ={}).config
    (tmp_path / "saas-doctor.toml").write_text(configuration_text(found, exists_in(tmp_path)))
    assert platforms.load(tmp_path, environ={}).config == found


def exists_in(root: Path) -> Callable[[str], bool]:
    return lambda path: (root / path).exists()


def test_init_writes_down_what_it_found_and_suggests_the_rest(tmp_path: Path) -> None:
    tree(
        tmp_path,
        **{
            "pyproject.toml": REQUIRES,
            "app/main.py": SERVICE,
            ".env.example": "DATABASE_URL=postgresql://u:p@h/d\n",
        },
    )
    found = platforms.load(tmp_path, environ={}).config
    text = configuration_text(found, exists_in(tmp_path))
    said = tomllib.loads(text)
    assert said["backend"] == "."
    assert said["env-example"] == ".env.example"
    assert said["database"] == {}
    assert not {"python", "environment", "env-file", "timeout", "logs"} & said.keys()
    for line in ('# python = ">=3.11"', '# environment = ".venv"', '# variable = "DATABASE_URL"'):
        assert line in text.splitlines()


# Layouts: what is found, by what is there.

REQUIRES = '[project]\nname = "shop"\ndependencies = ["fastapi"]\n'
LAYOUTS: dict[str, tuple[dict[str, str], dict[str, object]]] = {
    "the usual shape": (
        {"backend/requirements.txt": "fastapi\n", "backend/core/main.py": SERVICE},
        {"backend": "backend", "source_roots": ("backend",), "environment": "backend/.venv"},
    ),
    "app/ at the root": (
        {"pyproject.toml": REQUIRES, "app/main.py": SERVICE, ".env.example": ""},
        {"backend": ".", "source_roots": (".",), "env_file": ".env", "environment": ".venv"},
    ),
    "src/ at the root": (
        {"pyproject.toml": REQUIRES, "src/shop/main.py": SERVICE},
        {"backend": ".", "source_roots": ("src", ".")},
    ),
    "a package called src": (
        {
            "pyproject.toml": REQUIRES,
            "src/__init__.py": "",
            "src/main.py": SERVICE + "from src.models import Book\n",
        },
        {"source_roots": (".",)},
    ),
    "one project under another name": (
        {"server/pyproject.toml": REQUIRES, "clients/package.json": "{}"},
        {
            "backend": "server",
            "source_roots": ("server",),
            "requirements": ("server/pyproject.toml",),
        },
    ),
    "several services, each a project": (
        {
            "compose.yaml": "services: {}\n",
            "services/users/requirements.txt": "fastapi\n",
            "services/users/app/main.py": SERVICE,
            "services/orders/pyproject.toml": REQUIRES,
            "services/orders/src/orders/main.py": SERVICE,
        },
        {
            "backend": ".",
            "source_roots": (".", "services/orders/src", "services/orders", "services/users"),
        },
    ),
    "a module called setup is no project": (
        {"pyproject.toml": REQUIRES, "src/app/core/setup.py": "def make_app(): ...\n"},
        {"source_roots": ("src", ".")},
    ),
    "requirements inside a package": (
        {
            "pyproject.toml": REQUIRES,
            "app/__init__.py": "",
            "app/mail/__init__.py": "",
            "app/mail/requirements.txt": "aiosmtplib\n",
        },
        {"source_roots": (".",)},
    ),
    "left-over Python in backend/": (
        {"requirements.txt": "fastapi\n", "app/main.py": SERVICE, "backend/old.py": ""},
        {"backend": "."},
    ),
    "the settings at the root": (
        {"backend/requirements.txt": "fastapi\n", ".env.example": "A=1\n"},
        {"env_file": ".env", "env_example": ".env.example"},
    ),
    "the compose file in the back end": (
        {"backend/requirements.txt": "fastapi\n", "backend/docker-compose.yml": ""},
        {"compose_file": "backend/docker-compose.yml"},
    ),
    "a front end further down": (
        {"pyproject.toml": REQUIRES, "src/shop/static/ui/vite.config.ts": "export default {}"},
        {"frontend": "src/shop/static/ui"},
    ),
    "two front ends: none is sure": (
        {"pyproject.toml": REQUIRES, "a/vite.config.ts": "", "b/vite.config.ts": ""},
        {"frontend": None},
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_found_by_what_is_there(name: str, tmp_path: Path) -> None:
    files, expected = LAYOUTS[name]
    config = platforms.load(tree(tmp_path, **files), named=True, environ={}).config
    found = {**asdict(config), "frontend": config.frontend and config.frontend.directory}
    assert {key: found[key] for key in expected} == expected


def test_a_project_that_requires_fastapi_is_found_from_a_folder_inside_it(tmp_path: Path) -> None:
    tree(tmp_path, **{"shop/pyproject.toml": REQUIRES, "shop/app/main.py": SERVICE})
    assert platforms.load(tmp_path / "shop/app", environ={}).root == tmp_path / "shop"


def test_a_named_folder_may_look_like_little(tmp_path: Path) -> None:
    tree(tmp_path, **{"users/app/main.py": SERVICE})
    assert platforms.load(tmp_path, named=True, environ={}).root == tmp_path
    with pytest.raises(DoctorError, match="no platform here"):
        platforms.load(tmp_path, environ={})


def test_the_environment_that_poetry_keeps_in_the_home_is_found(tmp_path: Path) -> None:
    kept = tmp_path / "home/.cache/pypoetry/virtualenvs/shop-AbCd1234-py3.12"
    kept.mkdir(parents=True)
    text = '[tool.poetry]\nname = "Shop"\n[tool.poetry.dependencies]\nfastapi = "*"\n'
    tree(tmp_path / "shop", **{"pyproject.toml": text})
    environ = {"HOME": str(tmp_path / "home")}
    assert platforms.load(tmp_path / "shop", environ=environ).config.environment == str(kept)


EVERYTHING = """
python = ">=3.11"
fail-on = "warning"
baseline = "ci/accepted.json"
[services.billing]
directory = "services/billing"
port = 8010
[database]
admin-url = "postgresql://postgres@localhost/postgres"
[redis]
optional = true
[ignore]
"SRC2:backend/legacy/**" = "replaced in spring"
[severity]
SRC221 = "error"
"""


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("", True),
        (EVERYTHING, True),
        ('pyton = ">=3.11"', False),
        ("timeout = 0", False),
        ('[severity]\nSRC221 = "bad"', False),
        ("[ignore]\nSRC221 = 1", False),
        ('[ignore]\nSRC221 = ""', False),
        ("[services.a]\nport = 1", False),
        ('[services.a]\ndirectory = "a"\nport = 70000', False),
        ('[redis]\noptional = "yes"', False),
    ],
)
def test_the_schema_takes_what_the_doctor_takes(text: str, right: bool) -> None:
    Draft202012Validator.check_schema(schema())
    table = tomllib.loads(text)
    assert Draft202012Validator(schema()).is_valid(table) == right
    if right:
        validate(table, None)
    else:
        with pytest.raises(DoctorError):
            validate(table, None)
