"""Faults of settings that the code's settings classes can't take."""

from __future__ import annotations

from tests.faults import Copy, Fault, Healthy, Inject, append, both, replace, write
from tests.faults.config import ENV, setting, settings_load

CONFIG = "backend/shared/config.py"
OPTIONS = "backend/core/options.py"
HEAD = """from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, Field, PostgresDsn, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

ENV = Path(__file__).resolve().parents[1] / ".env"


class Mode(str, Enum):
    FAST = "fast"
    SAFE = "safe"


class Limits(BaseModel):
    most: int = 5

"""
MADE = "\n\noptions = Options()\n"
IGNORE = 'model_config = SettingsConfigDict(env_file=ENV, extra="ignore")'


def options(*body: str, made: str = MADE, config: str = IGNORE, env: str = "") -> Inject:
    """A second settings class, which the core service imports, and lines for its file."""
    lines = "".join(f"    {line}\n" for line in (config, *body))
    source = f"{HEAD}\nclass Options(BaseSettings):\n{lines}{made}"
    use = replace(
        "backend/core/main.py",
        "from shared.config import",
        "from core import options  # noqa: F401\nfrom shared.config import",
    )
    return both(write(OPTIONS, source), use, *([append(ENV, env)] if env else []))


def plain(*body: str, load: str = "load_dotenv()", env: str = "") -> Inject:
    """A module that takes variables from the environment by itself."""
    head = ["import os", "", "from dotenv import load_dotenv", "", load]
    use = replace(
        "backend/core/main.py",
        "from shared.config import",
        "from core import options  # noqa: F401\nfrom shared.config import",
    )
    return both(
        write(OPTIONS, "\n".join([*head, *body]) + "\n"), use, *([append(ENV, env)] if env else [])
    )


def options_load(copy: Copy) -> bool:
    return copy.imports("import core.options")


def unset(key: str) -> Inject:
    return setting(key, f"# no {key}")


def in_shell(key: str, value: str) -> Inject:
    def inject(copy: Copy) -> None:
        copy.environ[key] = value

    return inject


def listed(copy: Copy) -> None:
    """CORS_ORIGINS as a list of its own, as FastAPI's middleware takes it."""
    replace(CONFIG, 'CORS_ORIGINS: str = "http://localhost:5173"', "CORS_ORIGINS: list[str] = []")(
        copy
    )
    old = 'return [origin.strip() for origin in self.CORS_ORIGINS.split(",") if origin.strip()]'
    replace(CONFIG, old, "return self.CORS_ORIGINS")(copy)


ENTRIES = [
    Fault(
        "CFG904",
        "a required setting that the example has",
        both(
            replace(CONFIG, "SERVICE_EXPIRY: float = 30.0", "SERVICE_EXPIRY: float"),
            unset("SERVICE_EXPIRY"),
        ),
        works=settings_load,
        target=f"{CONFIG}:Settings",
        against=("CFG901",),
    ),
    Fault(
        "CFG904",
        "one that the compose file names too",
        unset("DATABASE_URL"),
        works=settings_load,
        target=f"{CONFIG}:Settings:here",
        against=(
            *("CFG901", "CFG903", "CFG908", "CFG909", "CFG910"),
            *(f"DB50{number}" for number in range(1, 6)),
        ),
        at="backend/shared/config.py:DATABASE_URL: str",
    ),
    Fault(
        "CFG904",
        "a required setting that nothing names",
        replace(CONFIG, "    SECRET_KEY: str\n", "    SECRET_KEY: str\n    MAIL_TOKEN: str\n"),
        works=settings_load,
        fixed=False,
        target=f"{CONFIG}:Settings:own",
    ),
    Fault(
        "CFG904",
        "a prefix before the name",
        options(
            "HOST: str",
            config='model_config = SettingsConfigDict(env_file=ENV, env_prefix="MAIL_", extra="ignore")',
        ),
        works=options_load,
        fixed=False,
        target=f"{OPTIONS}:Options:own",
    ),
    Fault(
        "CFG904",
        "an alias that replaces the name",
        options('HOST: str = Field(alias="MAIL_HOST")'),
        works=options_load,
        fixed=False,
    ),
    Fault(
        "CFG904",
        "a variable that the code takes by itself",
        plain('TOKEN = os.environ["MAIL_TOKEN"]'),
        works=options_load,
        fixed=False,
        target=f"{OPTIONS}:MAIL_TOKEN",
    ),
    Healthy(
        "CFG904",
        "variables that the code does without",
        plain(
            'TOKEN = os.environ.get("MAIL_TOKEN")',
            'if "MAIL_HOST" in os.environ:',
            '    HOST = os.environ["MAIL_HOST"]',
            "try:",
            '    PORT = os.environ["MAIL_PORT"]',
            "except KeyError:",
            "    PORT = None",
        ),
    ),
    Healthy("CFG904", "one that the file has", plain('URL = os.environ["REGISTRY_URL"]')),
    Healthy(
        "CFG904",
        "the environment of somebody else",
        plain('TOKEN = os.environ["MAIL_TOKEN"]', load=""),
    ),
    Healthy("CFG904", "a default in the code", unset("SERVICE_EXPIRY")),
    Healthy("CFG904", "set in the shell", both(options("TOKEN: str"), in_shell("TOKEN", "x"))),
    Healthy(
        "CFG904",
        "named by the compose file",
        both(
            options("MAIL_TOKEN: str"),
            replace(
                "docker-compose.yml",
                "      ADVERTISED_HOST: core\n",
                "      ADVERTISED_HOST: core\n      MAIL_TOKEN: ${MAIL_TOKEN}\n",
            ),
        ),
    ),
    Healthy(
        "CFG904",
        "set by the code before the settings are made",
        both(
            options("MAIL_TOKEN: str"),
            write(
                "backend/core/start.py",
                'import os\n\nos.environ.update(\n    {\n        "MAIL_TOKEN": "x",\n    }\n)\n',
            ),
        ),
    ),
    Healthy(
        "CFG904",
        "given to what run.py starts",
        both(
            options("MAIL_TOKEN: str"),
            write(
                "backend/start.py",
                "import os\nimport subprocess\nimport sys\n\n"
                'child_env = {**os.environ, "MAIL_TOKEN": "x"}\n'
                'subprocess.run([sys.executable, "core/run.py"], env=child_env, check=False)\n',
            ),
        ),
    ),
    Healthy(
        "CFG904",
        "a loader of one's own",
        both(
            plain('TOKEN = os.environ["MAIL_TOKEN"]'),
            write(
                "backend/core/load.py",
                "import os\nfrom pathlib import Path\n\n\ndef load(file: Path) -> None:\n"
                '    for key, _, value in (line.partition("=") for line in file.open()):\n'
                "        os.environ[key] = value\n",
            ),
        ),
    ),
    Healthy(
        "CFG904",
        "one of several aliases is set",
        options('TOKEN: str = Field(validation_alias=AliasChoices("MAIL_TOKEN", "SECRET_KEY"))'),
    ),
    Healthy("CFG904", "another case of the letters", options("secret_key: str")),
    Healthy("CFG904", "a class that nothing makes", options("MAIL_TOKEN: str", made="\n")),
    Healthy(
        "CFG904",
        "made in one case only",
        options("MAIL_TOKEN: str", made='\n\nif ENV.name == "live":\n    options = Options()\n'),
    ),
    Healthy(
        "CFG904", "made with the value", options("X_TOKEN: str", made='\n\nOptions(X_TOKEN="x")\n')
    ),
    Healthy(
        "CFG904",
        "a validator that fills it in",
        options(
            "MAIL_TOKEN: str",
            '@model_validator(mode="before")',
            "@classmethod",
            "def _fill(cls, values: Any) -> Any:",
            '    return {"MAIL_TOKEN": "x", **values}',
        ),
    ),
    Healthy(
        "CFG904",
        "a file name that is computed",
        options(
            "MAIL_TOKEN: str",
            config='model_config = SettingsConfigDict(env_file=f"{ENV}.{ENV.name}", extra="ignore")',
            made="\n\ndef load() -> Options:\n    return Options()\n",
        ),
    ),
    Healthy(
        "CFG904",
        "parts of a nested model",
        options(
            "LIMITS: Limits",
            config="model_config = SettingsConfigDict("
            'env_file=ENV, extra="ignore", env_nested_delimiter="__")',
            env="LIMITS__MOST=7\n",
        ),
    ),
    Fault(
        "CFG905",
        "a key for another program",
        both(
            replace(CONFIG, ', extra="ignore")', ")"),
            append(ENV, "COMPOSE_PROJECT_NAME=saas\n"),
        ),
        works=settings_load,
        fixed=False,
        target=f"{CONFIG}:Settings",
    ),
    Fault(
        "CFG905",
        "a second class that knows fewer keys",
        options("HOST: str", config="model_config = SettingsConfigDict(env_file=ENV)"),
        works=options_load,
        fixed=False,
        target=f"{OPTIONS}:Options",
    ),
    Fault(
        "CFG905",
        "the old form of the configuration",
        options("HOST: str", config="class Config:\n        env_file = ENV"),
        also=("SRC211",),
        works=options_load,
        fixed=False,
    ),
    Healthy("CFG905", "allowed by the configuration", append(ENV, "COMPOSE_PROJECT_NAME=saas\n")),
    Healthy(
        "CFG905",
        "a key without a value",
        both(replace(CONFIG, ', extra="ignore")', ")"), append(ENV, "COMPOSE_PROJECT_NAME=\nX\n")),
    ),
    Healthy(
        "CFG905",
        "a variable of the shell",
        both(replace(CONFIG, ', extra="ignore")', ")"), in_shell("COMPOSE_PROJECT_NAME", "saas")),
    ),
    Healthy(
        "CFG905",
        "a class that reads no file",
        options("HOST: str", config="model_config = SettingsConfigDict()", env="HOST=127.0.0.1\n"),
    ),
    Healthy(
        "CFG905",
        "allowed by the base",
        options(
            "HOST: str",
            made="\n\nclass More(Options):\n    model_config = SettingsConfigDict(title='x')\n"
            "\n\nmore = More()\n",
        ),
    ),
    Fault(
        "CFG906",
        "origins with commas where a list is meant",
        listed,
        works=settings_load,
        target="CORS_ORIGINS",
        group="cors",
        against=("CFG901", "SRC210", "WEB801", "WEB806", "WEB807", "WEB808"),
        at="backend/.env:CORS_ORIGINS=",
    ),
    Fault(
        "CFG906",
        "hosts with commas",
        options("MAIL_HOSTS: list[str] = []", env="MAIL_HOSTS=a.example, b.example  # two\n"),
        works=options_load,
        target="MAIL_HOSTS",
        against=("SRC209",),
    ),
    Fault(
        "CFG906",
        "a number with a letter",
        setting("SERVICE_EXPIRY", "SERVICE_EXPIRY=30s"),
        works=settings_load,
        fixed=False,
        target="SERVICE_EXPIRY",
    ),
    Fault(
        "CFG906",
        "an empty number",
        options("WORKERS: int | None = None", env="WORKERS=\n"),
        works=options_load,
        fixed=False,
        target="WORKERS",
    ),
    Fault(
        "CFG906",
        "neither true nor false",
        options("DEBUG: bool = False", env="DEBUG=debug\n"),
        works=options_load,
        fixed=False,
        target="DEBUG",
    ),
    Fault(
        "CFG906",
        "a choice in other letters",
        options('LEVEL: Literal["info", "debug"] = "info"', env="LEVEL=INFO\n"),
        works=options_load,
        fixed=False,
        target="LEVEL",
    ),
    Fault(
        "CFG906",
        "the name of an enumeration's member",
        options("MODE: Mode = Mode.FAST", env="MODE=FAST\n"),
        works=options_load,
        fixed=False,
    ),
    Fault(
        "CFG906",
        "shorter than it may be",
        options('MAIL_WORD: str = Field("", min_length=16)', env="MAIL_WORD=short\n"),
        works=options_load,
        fixed=False,
    ),
    Fault(
        "CFG906",
        "an address with a slash in its password",
        options("REPORTS: PostgresDsn | None = None", env="REPORTS=postgresql://u:p/w@h/d\n"),
        works=options_load,
        fixed=False,
        target="REPORTS",
    ),
    Fault(
        "CFG906",
        "from the shell",
        both(options("WORKERS: int = 2", env="WORKERS=2\n"), in_shell("WORKERS", "two")),
        works=options_load,
        fixed=False,
        target="WORKERS",
    ),
    Fault(
        "CFG906",
        "a number that the code makes by itself",
        plain('WORKERS = int(os.getenv("WORKERS", "2"))', env="WORKERS=2.5\n"),
        works=options_load,
        fixed=False,
        target="WORKERS",
    ),
    Healthy(
        "CFG906",
        "a number with blanks, by the code itself",
        plain('WORKERS = int(os.getenv("WORKERS", "2"))', env='WORKERS=" 1_0 "\n'),
    ),
    Healthy(
        "CFG906",
        "a list as JSON",
        options("MAIL_HOSTS: list[str] = []", env='MAIL_HOSTS=["a.example","b.example"]\n'),
    ),
    Healthy(
        "CFG906",
        "commas that a validator splits, not decoded",
        options(
            "MAIL_HOSTS: Annotated[list[str], NoDecode] = []",
            '@field_validator("MAIL_HOSTS", mode="before")',
            "@classmethod",
            "def _split(cls, value: Any) -> Any:",
            '    return value.split(",") if isinstance(value, str) else value',
            env="MAIL_HOSTS=a.example,b.example\n",
        ),
    ),
    Healthy(
        "CFG906",
        "a union with a text",
        options("MAIL_HOSTS: list[str] | str = []", env="MAIL_HOSTS=a.example,b.example\n"),
    ),
    Healthy(
        "CFG906", "a number with blanks", options("WORKERS: int = 2", env='WORKERS=" 1_000 "\n')
    ),
    Healthy("CFG906", "true in other words", options("DEBUG: bool = False", env="DEBUG=Yes\n")),
    Healthy(
        "CFG906",
        "the shell's value before a bad one",
        both(options("WORKERS: int = 2", env="WORKERS=two\n"), in_shell("WORKERS", "2")),
    ),
    Healthy(
        "CFG906",
        "an empty value that is passed over",
        options(
            "WORKERS: int = 2",
            config="model_config = SettingsConfigDict("
            'env_file=ENV, extra="ignore", env_ignore_empty=True)',
            env="WORKERS=\n",
        ),
    ),
    Healthy(
        "CFG906",
        "a validator before the check",
        options(
            "WORKERS: int = 2",
            '@field_validator("WORKERS", mode="before")',
            "@classmethod",
            "def _count(cls, value: Any) -> Any:",
            '    return {"many": 9}.get(value, value)',
            env="WORKERS=many\n",
        ),
    ),
    Healthy(
        "CFG906",
        "a value that is put in",
        options("WORKERS: int = 2", env="COUNT=2\nWORKERS=${COUNT}\n"),
    ),
]
