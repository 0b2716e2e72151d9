"""The configuration of a platform: its schema, its file, and one clear sentence for a wrong key."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from saas_doctor.model import DoctorError
from saas_doctor.reading import read_bytes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = "saas-doctor.toml"


class _Table(Struct, frozen=True, rename="kebab", forbid_unknown_fields=True):
    """A table of the file: keys are written with hyphens."""


class ServiceConfig(_Table, frozen=True):
    """One service that the platform runs on this machine.

    `port_variable` and `host_variable` are the keys of the settings that say where it listens.
    """

    directory: str
    port: Annotated[int, Meta(ge=1, le=65535)]
    host: str = "127.0.0.1"
    health: str = "/"
    port_variable: str | None = None
    host_variable: str | None = None

    @property
    def variables(self) -> list[str]:
        return [key for key in (self.port_variable, self.host_variable) if key]


class DatabaseConfig(_Table, frozen=True):
    """`variable` is the key in the .env file; `admin_url` an administrative connection, if any."""

    variable: str = "DATABASE_URL"
    admin_url: str | None = None


class RedisConfig(_Table, frozen=True):
    variable: str = "REDIS_URL"
    optional: bool | None = None


class FrontendConfig(_Table, frozen=True):
    """`origins` are the addresses that developers open in their browser."""

    directory: str = "frontend"
    origins: tuple[str, ...] = ("http://localhost:5173",)
    api: str = "/api"
    gateway: str = "gateway"
    cors_variable: str = "CORS_ORIGINS"


class SmokeConfig(_Table, frozen=True):
    """What the smoke test tries, where it is not to find that out itself: modules, and paths."""

    imports: tuple[str, ...] = ()
    request: str | None = None
    signup: str | None = None
    login: str | None = None
    me: str | None = None


_Reason = Annotated[str, Meta(pattern=r"\S", description="Why it is left out.")]


class Config(_Table, frozen=True):
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
    timeout: Annotated[float, Meta(gt=0)] = 5.0
    fail_on: Literal["error", "warning", "info"] = "error"
    baseline: str = ".saas-doctor-baseline.json"
    services: dict[str, ServiceConfig] = {}
    database: DatabaseConfig | None = None
    redis: RedisConfig | None = None
    frontend: FrontendConfig | None = None
    smoke: SmokeConfig = SmokeConfig()
    ignore: dict[str, _Reason] = {}
    severity: dict[str, Literal["error", "warning", "info"]] = {}


def load(root: Path, file: Path | None = None) -> tuple[dict[str, Any], Path | None]:
    """The configuration's table and its file: `saas-doctor.toml`, else `[tool.saas-doctor]`.

    Raises DoctorError for a named file that is missing, for one that can't be read, whatever is in
    its place, and for TOML that can't be parsed.
    """
    if file is not None:
        # One that was named may be a pipe: `--config <(...)`.
        table = _read(file, read_bytes if os.path.isfile(file) else Path.read_bytes)
        if file.name == "pyproject.toml":
            table = table.get("tool", {}).get("saas-doctor", {})
        return table, file
    own = root / FILE
    if os.path.lexists(own):
        return _read(own), own
    project = root / "pyproject.toml"
    if os.path.isfile(project):
        own_table = _read(project).get("tool", {}).get("saas-doctor")
        if own_table is not None:
            return own_table, project
    return {}, None


def _read(file: Path, read: Callable[[Path], bytes] = read_bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(read(file).decode())
    except FileNotFoundError:
        if os.path.islink(file):
            raise DoctorError(f"{file}: a link that leads nowhere; mend it, or remove it") from None
        raise DoctorError(f"{file}: no such file; `saas-doctor init` writes one") from None
    except OSError as error:
        raise DoctorError(f"{file}: can't be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DoctorError(f"{file}: can't be read as TOML: {error}") from None


def validate(table: dict[str, Any], file: Path | None) -> Config:
    """The table as a Config, or a DoctorError that names the key and the nearest right one."""
    try:
        config = msgspec.convert(table, Config)
    except msgspec.ValidationError as error:
        # A wrong key first: a right one that is missing is often the same mistake.
        wrong = [*_unknown(table, Config), *_unfit(table, Config), str(error)][0]
        raise DoctorError(f"{file or 'configuration'}: {wrong}") from None
    if config.python and not _is_range(config.python):
        wrong = f"`python`: not a range of versions such as >=3.11 (found {config.python!r})"
        raise DoctorError(f"{file or 'configuration'}: {wrong}")
    return config


def _is_range(text: str) -> bool:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        SpecifierSet(text if text[:1] in "<>=!~" else f"=={text}.*")
    except InvalidSpecifier:
        return False
    return True


def _unknown(table: Mapping[str, Any], kind: type[_Table], where: str = "") -> Iterator[str]:
    known = kind.__struct_encode_fields__
    for key, value in table.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"
            yield f"unknown key `{where}{key}`; {hint}"
        for path, inner, inner_kind in _tables(key, value):
            yield from _unknown(inner, inner_kind, f"{where}{path}.")


def _unfit(table: Mapping[str, Any], kind: type[_Table], where: str = "") -> Iterator[str]:
    """What is missing, and the values that their keys can't take."""
    for field in msgspec.structs.fields(kind):
        key = field.encode_name
        if key not in table:
            if field.required:
                yield f"`{where}{key}` is missing"
            continue
        value = table[key]
        inner = [*_tables(key, value)]
        for path, inner_table, inner_kind in inner:
            yield from _unfit(inner_table, inner_kind, f"{where}{path}.")
        kind, parts = field.type, {} if inner else {key: value}
        if get_origin(kind) is dict and isinstance(value, dict) and not inner:
            kind, parts = get_args(kind)[1], {f"{key}.{k}": v for k, v in value.items()}
        for name, part in parts.items():
            try:
                msgspec.convert(part, kind)
            except msgspec.ValidationError as error:
                yield f"`{where}{name}`: {_why_unfit(kind, error)} (found {part!r})"


def _why_unfit(kind: Any, error: Exception) -> str:
    if get_origin(kind) is Literal:
        return f"has to be one of {', '.join(get_args(kind))}"
    if kind == _Reason:
        return "has to be a text that says why, which reports show"
    return str(error).partition(" - at")[0]


_KINDS: dict[str, type[_Table]] = {
    "database": DatabaseConfig,
    "redis": RedisConfig,
    "frontend": FrontendConfig,
    "smoke": SmokeConfig,
}


def _tables(key: str, value: Any) -> Iterator[tuple[str, Mapping[str, Any], type[_Table]]]:
    """The tables in a value, each with its path and kind."""
    if not isinstance(value, dict):
        return
    if key in _KINDS:
        yield key, value, _KINDS[key]
    elif key == "services":
        for name, service in value.items():
            if isinstance(service, dict):
                yield f"{key}.{name}", service, ServiceConfig
