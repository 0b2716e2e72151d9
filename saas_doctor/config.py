"""The configuration of a platform: its schema, its file, and one clear sentence for a wrong key."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from saas_doctor.model import DoctorError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = "saas-doctor.toml"


def _kebab(name: str) -> str:
    return name.replace("_", "-")


class _Table(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=_kebab, populate_by_name=True
    )


class ServiceConfig(_Table):
    """One service that the platform runs on this machine."""

    directory: str
    port: int = Field(ge=1, le=65535)
    host: str = "127.0.0.1"
    health: str = "/"
    port_variable: str | None = None


class DatabaseConfig(_Table):
    """`variable` is the key in the .env file; `admin_url` an administrative connection, if any."""

    variable: str = "DATABASE_URL"
    admin_url: str | None = None


class RedisConfig(_Table):
    variable: str = "REDIS_URL"
    optional: bool | None = None


class FrontendConfig(_Table):
    """`origins` are the addresses that developers open in their browser."""

    directory: str = "frontend"
    origins: tuple[str, ...] = ("http://localhost:5173",)
    api: str = "/api"
    gateway: str = "gateway"
    cors_variable: str = "CORS_ORIGINS"


class SmokeConfig(_Table):
    """What the smoke test tries, where it is not to find that out itself: modules, and paths."""

    imports: tuple[str, ...] = ()
    request: str | None = None
    signup: str | None = None
    login: str | None = None
    me: str | None = None


class Config(_Table):
    """All that is known of a platform without looking at it; every path is relative to it."""

    python: str | None = None
    backend: str = "backend"
    source_roots: tuple[str, ...] = ("backend",)
    environment: str = "backend/.venv"
    requirements: tuple[str, ...] = ("backend/requirements.txt",)
    env_file: str = "backend/.env"
    env_example: str = "backend/.env.example"
    compose_file: str | None = None
    logs: str = "logs/{service}.log"
    timeout: float = Field(default=5.0, gt=0)
    fail_on: Literal["error", "warning", "info"] = "error"
    services: dict[str, ServiceConfig] = Field(default_factory=dict)
    database: DatabaseConfig | None = None
    redis: RedisConfig | None = None
    frontend: FrontendConfig | None = None
    smoke: SmokeConfig = SmokeConfig()
    ignore: dict[str, str] = Field(default_factory=dict)

    @field_validator("python")
    @classmethod
    def _is_a_range(cls, value: str | None) -> str | None:
        from packaging.specifiers import InvalidSpecifier, SpecifierSet

        if value:
            try:
                SpecifierSet(value if value[:1] in "<>=!~" else f"=={value}.*")
            except InvalidSpecifier:
                raise ValueError("not a range of versions such as >=3.11") from None
        return value


def load(root: Path, file: Path | None = None) -> tuple[dict[str, Any], Path | None]:
    """The configuration's table and its file: `saas-doctor.toml`, else `[tool.saas-doctor]`.

    Raises DoctorError for a named file that is missing or for TOML that can't be parsed.
    """
    if file is not None:
        table = _read(file)
        if file.name == "pyproject.toml":
            table = table.get("tool", {}).get("saas-doctor", {})
        return table, file
    own = root / FILE
    if own.is_file():
        return _read(own), own
    project = root / "pyproject.toml"
    if project.is_file():
        own_table = _read(project).get("tool", {}).get("saas-doctor")
        if own_table is not None:
            return own_table, project
    return {}, None


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DoctorError(f"{file}: no such file; `saas-doctor init` writes one") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise DoctorError(f"{file}: can't be read as TOML: {error}") from None


def validate(table: dict[str, Any], file: Path | None) -> Config:
    """The table as a Config, or a DoctorError that names the key and the nearest right one."""
    try:
        return Config.model_validate(table)
    except ValidationError as error:
        # A wrong key first: a right one that is missing is often the same mistake.
        first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
        raise DoctorError(f"{file or 'configuration'}: {_sentence(first)}") from None


def _sentence(error: Any) -> str:
    where = [str(part) for part in error["loc"]]
    key = ".".join(where)
    if error["type"] == "extra_forbidden":
        known = _known_keys(where[:-1])
        near = difflib.get_close_matches(where[-1], known, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"
        return f"unknown key `{key}`; {hint}"
    if error["type"] == "missing":
        return f"`{key}` is missing"
    message = error["msg"].removeprefix("Value error, ")
    return f"`{key}`: {message} (found {error['input']!r})"


def _known_keys(parents: list[str]) -> list[str]:
    model: type[_Table] = Config
    for parent in parents:
        field = next((f for n, f in model.model_fields.items() if _kebab(n) == parent), None)
        if field is None:
            continue  # the name of a service: its table's keys are the service's
        kinds = [k for k in _Table.__subclasses__() if k.__name__ in str(field.annotation)]
        model = kinds[0] if kinds else model
    return [_kebab(name) for name in model.model_fields]
