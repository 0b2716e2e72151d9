"""Where tools other than the services take a proxy from: pip, npm, Docker's client."""

from __future__ import annotations

import configparser
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.no_proxy import Target, covered
from saas_doctor.model import Absent, Unreadable
from saas_doctor.platform import Platform

_NPM = re.compile(r"^\s*(?:https-proxy|http-proxy|proxy)\s*=\s*[\"']?([^\s\"'#;]+)", re.M)
_NPM_KEYS = ("npm_config_proxy", "npm_config_https_proxy", "npm_config_http_proxy")


class ToolProxy(Struct, frozen=True):
    """A proxy that a tool is told of, and what tells it."""

    tool: str
    where: str
    value: str


class ToolProxies(Fact, frozen=True):
    """The proxies in pip's and npm's own configuration and variables."""

    all: tuple[ToolProxy, ...]

    @classmethod
    def read(cls, platform: Platform) -> ToolProxies:
        found = [*_of_pip(platform), *_of_npm(platform)]
        return cls(tuple(p for p in found if p.value not in ("", "null", "false")))


def _home(platform: Platform) -> Path:
    return Path(platform.environ.get("HOME") or "/nonexistent")


def _of_pip(platform: Platform) -> Iterator[ToolProxy]:
    environ, home = platform.environ, _home(platform)
    if environ.get("PIP_PROXY"):
        yield ToolProxy("pip", "PIP_PROXY in this shell", environ["PIP_PROXY"])
    named = environ.get("PIP_CONFIG_FILE", "")
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    usual = (
        Path("/etc/pip.conf"),
        home / ".pip/pip.conf",
        config / "pip/pip.conf",
        platform.path(platform.config.environment) / "pip.conf",
    )
    for path in dict.fromkeys([*usual, *([Path(named)] if named else [])]):
        if named == os.devnull:
            return
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read_string(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, configparser.Error):
            continue
        for section in ("global", "install"):
            value = parser.get(section, "proxy", fallback="")
            if value:
                yield ToolProxy("pip", platform.relative(path), value)


def _of_npm(platform: Platform) -> Iterator[ToolProxy]:
    for key in platform.environ:
        if key.lower() in _NPM_KEYS:
            yield ToolProxy("npm", f"{key} in this shell", platform.environ[key])
    frontend = platform.config.frontend
    folders = [_home(platform), *([platform.path(frontend.directory)] if frontend else [])]
    for folder in folders if frontend else ():
        try:
            text = (folder / ".npmrc").read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        for value in _NPM.findall(text):
            if "${" not in value:
                yield ToolProxy("npm", platform.relative(folder / ".npmrc"), value)


class DockerProxies(Fact, frozen=True):
    """The proxies that Docker's client puts into every container and build (`config.json`)."""

    where: str
    http: str
    no_proxy: str

    @classmethod
    def read(cls, platform: Platform) -> DockerProxies:
        folder = platform.environ.get("DOCKER_CONFIG")
        path = Path(folder) / "config.json" if folder else _home(platform) / ".docker/config.json"
        try:
            table: Any = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise Absent(f"no {path}") from None
        except (OSError, ValueError, RecursionError) as error:
            raise Unreadable(f"{path}: can't be read ({error})") from None
        proxies = table.get("proxies") if isinstance(table, dict) else None
        host = platform.environ.get("DOCKER_HOST", "")
        known = proxies if isinstance(proxies, dict) else {}
        chosen = known.get(host) or known.get("default")
        if not isinstance(chosen, dict) or not chosen.get("httpProxy"):
            raise Absent(f"no proxy for http in {path}")
        return cls(str(path), str(chosen["httpProxy"]), str(chosen.get("noProxy") or ""))

    def swallows(self, target: Target) -> bool:
        return not covered(self.no_proxy, target)
