"""Reads the platform's secrets where they are kept, so that they are masked wherever they turn up.

Only small files are read, as text: what can't be parsed is still searched. What can't be read is
passed over, since nothing of it can be shown either.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from saas_doctor.compose.files import NAMES, OVERRIDES
from saas_doctor.config import Config
from saas_doctor.reading import read_text
from saas_doctor.redact import basic, holds_secret

_LARGEST = 1_000_000
_QUOTED = r"\"(?:[^\"\\\r\n]|\\.)*\"|'[^'\r\n]*'|(?=[{\[])"
_SETTING = re.compile(
    r"(?:^[ \t]*(?:-[ \t]+)?(?:export[ \t]+)?|(?P<inside>[{,\[][ \t]*))[\"']?(?P<key>[\w.\-]+)[\"']?"
    rf"[ \t]*[:=][ \t]*(?P<value>{_QUOTED}|(?(inside)[^,}}\]\r\n]*|[^\r\n]*))",
    re.M,
)
_NAMES = re.compile(
    r"(?:^|_)(?:user|username|name|db|database|host|hostname|role|schema|domain|bucket|env)$", re.I
)
_ADDRESS = re.compile(r"(?<![a-z0-9+.\-])[a-z][a-z0-9+.\-]*://([^\s:/@'\"]*):([^\s'\"]+)", re.I)
_PLACE = re.compile(r"([\w.\-]*)(?::\d+)?/?([\w\-]*)")
_SECRET_FILE = re.compile(r"^[ \t]*(?:-[ \t]+)?file:[ \t]*[\"']?([^\s\"'#]+)", re.M)
_ENV_FILE = re.compile(
    r"^[ \t]*(?:-[ \t]+)?env_file:[ \t]*\[?[\"']?([^\s\"'#\[\],]+)"
    r"|^[ \t]*-[ \t]+(?:path:[ \t]*)?[\"']?([^\s\"'#:=]*\.?env[\w.\-]*)",
    re.M,
)
_DEFAULT = re.compile(r"\$\{\w+:?[-+=]?([^{}]*)\}?")


def secrets_of(root: Path, config: Config, environ: Mapping[str, str]) -> Iterator[str]:
    """Every secret in the settings files, the Compose files and what they name, the environment,
    `.pgpass` and Docker's configuration; less what is also the name of a user, a database, a host.
    """
    kept = _Kept()
    for key, value in environ.items():
        kept.take(key, value)
    if config.database and config.database.admin_url:
        kept.take("admin_url", config.database.admin_url)
    for file in dict.fromkeys(_files(root, config, environ)):
        text = _read(file)
        kept.search(text)
        for named in _SECRET_FILE.findall(text):
            whole = _read(file.parent / named).strip()
            if "\n" not in whole:
                kept.secrets.add(whole)
        for one, other in _ENV_FILE.findall(text):
            kept.search(_read(file.parent / (one or other)))
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    kept.secrets.update(_postgres(home, environ))
    kept.secrets.update(_docker(home, environ))
    yield from kept.secrets - kept.names


class _Kept:
    """The secrets found so far, and the names that stand beside them."""

    def __init__(self) -> None:
        self.secrets: set[str] = set()
        self.names: set[str] = set()

    def search(self, text: str) -> None:
        for setting in _SETTING.finditer(text):
            self._take(setting["key"], setting["value"], _plain)
        if "://" in text:
            self._take_addresses(text)

    def take(self, key: str, value: str) -> None:
        self._take(key, value, str)
        if "://" in value:
            self._take_addresses(value)

    def _take(self, key: str, written: str, read: Callable[[str], str]) -> None:
        if holds_secret(key):
            value = read(written)
            self.secrets.update((value, value.replace("$$", "$"), *_DEFAULT.findall(value)))
        elif _NAMES.search(key):
            self.names.add(read(written))

    def _take_addresses(self, text: str) -> None:
        for user, rest in _ADDRESS.findall(text):
            password, at, place = rest.rpartition("@")
            if at and (found := _PLACE.match(place)):
                self.names.update((user, found[1], found[2]))
                plain = unquote(password)
                self.secrets.update((password, plain, basic(unquote(user), plain)))


def _files(root: Path, config: Config, environ: Mapping[str, str]) -> Iterator[Path]:
    """The Compose files and the settings files, those for other environments and examples too."""
    chosen = environ.get("COMPOSE_FILE", "").split(
        environ.get("COMPOSE_PATH_SEPARATOR", os.pathsep)
    )
    yield from (root / name for name in (*NAMES, *OVERRIDES, *filter(None, chosen)))
    if config.compose_file:
        yield root / config.compose_file
    yield root / config.env_file
    places = ["", config.backend, os.path.dirname(config.env_file)]
    places += [config.frontend.directory] if config.frontend else []
    places += [service.directory for service in config.services.values()]
    for place in dict.fromkeys(places):
        with contextlib.suppress(OSError):
            yield from (Path(e.path) for e in os.scandir(root / place) if e.name.startswith(".env"))


def _read(path: Path) -> str:
    try:
        return read_text(path, _LARGEST)
    except OSError:
        return ""


def _plain(value: str) -> str:
    """A value as written less its quotes, the comment after it, and YAML's mark before it."""
    value = re.sub(r"^[&!]\S+[ \t]+", "", value.strip())
    if value[:1] in ("'", '"') and value[-1:] == value[:1]:
        return value[1:-1]
    return re.sub(r"[ \t]+#.*", "", value)


def _postgres(home: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """The passwords of `.pgpass` (`host:port:database:user:password`) and of the service file."""
    for line in _read(Path(environ.get("PGPASSFILE") or home / ".pgpass")).splitlines():
        fields = re.split(r"(?<!\\):", line)
        if len(fields) == 5 and not line.startswith("#"):
            yield re.sub(r"\\(.)", r"\1", fields[4])
    service = _read(Path(environ.get("PGSERVICEFILE") or home / ".pg_service.conf"))
    yield from re.findall(r"(?m)^[ \t]*password[ \t]*=[ \t]*(\S+)", service)


def _docker(home: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """What Docker's configuration keeps of registries: logins, their passwords, tokens."""
    folder = Path(environ.get("DOCKER_CONFIG") or home / ".docker")
    try:
        logins: Any = json.loads(_read(folder / "config.json"))["auths"].values()
        entries = [dict(login) for login in logins]
    except (ValueError, KeyError, TypeError, AttributeError):
        return
    for entry in entries:
        for key in ("auth", "password", "identitytoken", "registrytoken"):
            if isinstance(value := entry.get(key), str):
                yield value
                if key == "auth":
                    yield _password(value)


def _password(auth: str) -> str:
    try:
        return b64decode(auth).decode().partition(":")[2]
    except ValueError:
        return ""
