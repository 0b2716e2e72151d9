"""Reads the platform's secrets where they are kept, so that they are masked wherever they turn up.

Settings and Compose files are read as Compose reads them, and searched as text besides: so what can't
be parsed is known too. What can't be read is passed over, since nothing of it can be shown either.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import re
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice, pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from saas_doctor.compose.files import ENV_FILES, NAMES, OVERRIDES
from saas_doctor.compose.nodes import Broken, File, Node, read
from saas_doctor.compose.variables import NotValid, Variable, lookup_in, read_env, substitute
from saas_doctor.config import Config
from saas_doctor.reading import LARGEST, read_head
from saas_doctor.redact import (
    QUERY,
    REDIS_CLI,
    basic,
    holds_secret,
    is_option,
    logins,
    looks_secret,
)

_PARSED = 1_000_000
"""Characters that are parsed; all are searched."""
_LARGEST_SECRET = 65_536
_MOST = 200
"""Compose files, files that one names, lines of a settings file that can't be read."""
_QUOTED = r"\"(?:[^\"\\\r\n]|\\.)*\"|'[^'\r\n]*'|(?=[{\[])"
_SETTING = re.compile(
    r"(?:^[ \t]*(?:-[ \t]+)?(?:export[ \t]+)?|(?P<inside>[{,\[][ \t]*))[\"']?(?P<key>[\w.\-]+)[\"']?"
    rf"[ \t]*[:=][ \t]*(?P<value>{_QUOTED}|(?(inside)[^,}}\]\r\n]*|[^\r\n]*))",
    re.M,
)
_WELL_FORMED = re.compile(
    r"\s*(?:#.*|(?:export\s+)?[\w.\-]+\s*(?:[=:]\s*(?:(?:\"[^\"]*\"|'[^']*')\s*(?:#.*)?|[^\"'].*)?)?)"
)
_WORD = re.compile(r"(?:[A-Z]?[a-z]+|[A-Z]+)(?:[_\-.](?:[A-Z]+|[a-z]+|\d+))*")
_NAMES = re.compile(
    r"(?:^|_)(?:user|username|name|db|database|host|hostname|role|schema|domain|bucket|env)$", re.I
)
_PLACE = re.compile(r"([\w.\-]*)(?::\d+)?/?([\w\-]*)")
_ADDRESS = re.compile(r"ur[il]$|dsn$|address$", re.I)
_LOGIN = re.compile(r"^(?:[^\s:/@]*:?/{1,3})?[^\s:/@]*:([^\n]+)@")
"""In a value that is an address: its password may hold blanks."""
_PAIR = re.compile(r"(?:^|[?&;\s])([\w\-]+)=('(?:[^'\\]|\\.)*'|[^\s&;#\"']+)")
_SECRET_FILE = re.compile(r"(?:^|[{,])[ \t]*(?:-[ \t]+)?file:[ \t]*[\"']?([^\s\"'#,}]+)", re.M)
_ENV_FILES = re.compile(
    r"(?:^|[{,])[ \t]*(?:-[ \t]+)?env_file:([^\n]*(?:\n[ \t]*(?:-|path:|required:|format:)[^\n]*)*)",
    re.M,
)
_DEFAULT = re.compile(r"\$\{\w+:?[-+=]((?:[^{}$]|\$(?!\{))*)\}?")


def secrets_of(
    root: Path, config: Config, environ: Mapping[str, str], compose: Iterable[Path] = ()
) -> Iterator[str]:
    """Every secret in the settings files, the Compose files (these besides) and what they name, the
    environment, `.pgpass` and Docker's configuration; less what is also the name of a user, a
    database, a host.
    """
    kept = _Kept(root, environ)
    for key, value in environ.items():
        kept.take(key, value)
    if config.database and config.database.admin_url:
        kept.take("admin_url", config.database.admin_url)
    for file in _settings_files(root, config, environ):
        kept.settings(file)
    for file in (*_compose_files(root, config, environ), *compose):
        kept.compose(file)
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    kept.secrets.update(_postgres(home, environ))
    kept.secrets.update(_docker(home, environ))
    yield from kept.secrets - kept.names


class _Kept:
    """The secrets found so far, and the names that stand beside them."""

    def __init__(self, root: Path, environ: Mapping[str, str]) -> None:
        self.secrets: set[str] = set()
        self.names: set[str] = set()
        self._root = root
        self._environ = environ
        self._variables: dict[str, str] = {}
        self._seen: set[Path] = set()
        self._left = _MOST

    def settings(self, file: Path) -> None:
        """Take what a settings file holds."""
        if not (text := self._new(file)):
            return
        # One reader lets the environment go before the file's own values, another the file's own.
        for environ in (self._environ, {}) if "$" in text else ({},):
            for variable in self._read(text[:_PARSED], environ):
                self.take(variable.key, variable.value)
                self._variables.setdefault(variable.key, variable.value)
        self._search(text)
        for line in text.splitlines() if looks_secret(text) else ():
            if looks_secret(line) and not _WELL_FORMED.fullmatch(line):
                words = re.split(r"[\s=:'\"]+", line)
                self.secrets.update(word for word in words if not _WORD.fullmatch(word))

    def _read(self, text: str, environ: Mapping[str, str]) -> Iterator[Variable]:
        """The variables of a settings file, those behind a line that can't be read too."""
        before = dict(self._variables)
        for _ in range(_MOST):
            end = len(text)
            try:
                found = read_env(text, environ.get, before=before)
            except NotValid as error:
                end = error.index
                found = read_env(text[:end], environ.get, before=before)
            yield from found
            if end == len(text):
                return
            before |= {variable.key: variable.value for variable in found}
            text = text[end:].partition("\n")[2]

    def compose(self, file: Path) -> None:
        """Take what a Compose file and the files that it names hold."""
        self._left -= 1
        if self._left < 0 or not (text := self._new(file)):
            return
        self._search(text)
        for named in _first(_SECRET_FILE.findall(text)):
            for path in self._places(file, named):
                whole = _read(path, _LARGEST_SECRET).strip()
                if "\n" not in whole:
                    self.secrets.add(whole)
        for name in _first(re.findall(r"[^\s\"'#\[\]{},]+", " ".join(_ENV_FILES.findall(text)))):
            self._settings_named(file, name)
        if len(text) > _PARSED:
            return
        with contextlib.suppress(Broken):
            documents, _ = read(File(file.name, file, file.parent, text.encode()))
            for document in documents:
                self._walk(document, "", file)

    def _walk(self, node: Node, key: str, file: Path) -> None:
        self._named(node, key, file)
        words = [item.text if item.kind == "scalar" else "" for item in node.items]
        if node.kind == "scalar":
            words = node.text.split()
            self.take(key, node.text)
        for _, password in REDIS_CLI.findall(" ".join(words)):
            self.take("password", password)
        for word, after in pairwise((*words, "")):
            name, sign, value = word.partition("=")
            if sign:
                self.take("password" if is_option(name) else name, value)
            elif is_option(word) and not after.startswith("-"):
                self.take("password", after)
        for item in node.items:
            self._walk(item, "", file)
        for name, entry in node.entries.items():
            self._walk(entry.value, name, file)

    def _named(self, node: Node, key: str, file: Path) -> None:
        """Take what the files hold that stand under a key."""
        if key == "env_file":
            for scalar in node.scalars:
                self._settings_named(file, scalar.text)
        elif key == "include":
            for path in (p for scalar in node.scalars for p in self._places(file, scalar.text)):
                (self.compose if path.suffix in (".yml", ".yaml") else self.settings)(path)
                self.settings(path.parent / ".env")
        elif key == "extends":
            for path in self._places(file, node.string("file")):
                self.compose(path)
        elif key == "secrets":
            for entry in node.entries.values():
                self._secret(entry.value, file)

    def _secret(self, secret: Node, file: Path) -> None:
        for path in self._places(file, secret.string("file")):
            whole = _read(path, _LARGEST_SECRET)
            self.secrets.add(whole.strip())
            self._search(whole)
        if variable := secret.string("environment"):
            self.take("password", f"${{{variable}}}")

    def _settings_named(self, file: Path, name: str) -> None:
        for path in self._places(file, name):
            self.settings(path)

    def _places(self, file: Path, name: str) -> Iterator[Path]:
        """Where a file may lie that a Compose file names: beside it, or beside the first of several."""
        with contextlib.suppress(NotValid):
            name = substitute(name, self._lookup).text
        for folder in dict.fromkeys((file.parent, self._root)) if name else ():
            yield Path(os.path.normpath(folder / name))

    def _lookup(self, name: str) -> str | None:
        return lookup_in(self._environ, self._variables)(name)

    def _new(self, file: Path) -> str:
        """The text of a file that was not read before."""
        if file in self._seen:
            return ""
        self._seen.add(file)
        return _read(file)

    def _search(self, text: str) -> None:
        for setting in _SETTING.finditer(text):
            if holds_secret(setting["key"]) or _NAMES.search(setting["key"]):
                self._take(setting["key"], _plain(setting["value"]))
        if "@" in text:
            self._take_addresses(text)

    def take(self, key: str, value: str) -> None:
        """Take a value, and what it may hold as an address or a list of `key=value`."""
        self._take(key, value)
        if "@" in value:
            self._take_addresses(value)
            if _ADDRESS.search(key):
                self.secrets.update(_LOGIN.findall(value))
        for name, inner in _PAIR.findall(value) if "=" in value else ():
            if holds_secret(name) or QUERY.search(f"?{name}=."):
                self.secrets.update((inner.strip("'"), unquote(inner)))

    def _take(self, key: str, value: str) -> None:
        if holds_secret(key):
            self.secrets.update((value, value.replace("$$", "$"), *_DEFAULT.findall(value)))
            if "$" in value:
                with contextlib.suppress(NotValid):
                    self.secrets.add(substitute(value, self._lookup).text)
        elif _NAMES.search(key):
            self.names.add(value)

    def _take_addresses(self, text: str) -> None:
        for user, password, place in logins(text):
            if not password:
                self.secrets.add(user)
            elif found := _PLACE.match(place):
                self.names.update((user, found[1], found[2]))
                plain = unquote(password)
                self.secrets.update((password, plain, basic(unquote(user), plain)))


def _settings_files(root: Path, config: Config, environ: Mapping[str, str]) -> Iterator[Path]:
    """The settings files, those for other environments and examples too."""
    yield from (root / name for name in environ.get(ENV_FILES, "").split(",") if name)
    yield root / ".env"
    yield root / config.env_file
    places = ["", config.backend, os.path.dirname(config.env_file)]
    places += [config.frontend.directory] if config.frontend else []
    places += [service.directory for service in config.services.values()]
    for place in dict.fromkeys(places):
        with contextlib.suppress(OSError):
            yield from (Path(e.path) for e in os.scandir(root / place) if e.name.startswith(".env"))


def _compose_files(root: Path, config: Config, environ: Mapping[str, str]) -> Iterator[Path]:
    chosen = environ.get("COMPOSE_FILE", "").split(
        environ.get("COMPOSE_PATH_SEPARATOR", os.pathsep)
    )
    yield from (root / name for name in (*NAMES, *OVERRIDES, *filter(None, chosen)))
    if config.compose_file:
        yield root / config.compose_file


def _first(names: Iterable[str]) -> Iterator[str]:
    return islice(dict.fromkeys(names), _MOST)


def _read(path: Path, limit: int = LARGEST) -> str:
    """The text of a file, of one that is larger the first part."""
    try:
        data = read_head(path, limit)
    except OSError:
        return ""
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = data.decode("utf-16" if utf16 else "utf-8-sig", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


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
