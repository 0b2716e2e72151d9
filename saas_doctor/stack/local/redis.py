"""The platform's Redis: found running, else one of its own by the machine's program."""

from __future__ import annotations

import os
import shutil
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

from saas_doctor.facts.redis_need import RedisNeed
from saas_doctor.facts.redis_server import examine
from saas_doctor.model import Unreadable
from saas_doctor.redact import redact
from saas_doctor.stack.local.jobs import Job, digest
from saas_doctor.stack.local.parts import Home, Part, Refused, running_already

_PROGRAMS = ("redis-server", "valkey-server")
_LOCAL = ("", "localhost", "127.0.0.1", "::1", "0.0.0.0")
_DATABASES = 16


class Cache(Part):
    kind = "cache"

    def __init__(self, home: Home, url: str, where: str) -> None:
        super().__init__(home, "redis")
        self.url, self.where = url, where
        self.parts = urlsplit(url)

    @property
    def place(self) -> str:
        return f"{self.parts.hostname or 'localhost'}:{self.port}"

    @property
    def port(self) -> int:
        try:
            return self.parts.port or 6379
        except ValueError:
            raise Refused(f"{self.where} has no valid port", "correct it", code="RED501") from None

    @cached_property
    def optional(self) -> bool:
        config = self.home.platform.config.redis
        assert config
        if config.optional is not None:
            return config.optional
        return self.home.facts.get(RedisNeed).of(config.variable) is None

    def found(self) -> str:
        problem, detail = self._examine()
        if problem == "unreachable":
            return ""
        if not problem:
            return running_already(self.place, self.port)
        what = f"what runs at {self.place} is no Redis for the platform: {problem} ({detail})"
        raise Refused(what, "saas-doctor check --select RED", (detail,), "RED501")

    def answer(self) -> str:
        problem, detail = self._examine()
        return f"{self.place}: {problem} ({detail})" if problem else ""

    def _examine(self) -> tuple[str, str]:
        try:
            problem, detail = examine(self.url)
        except Unreadable as error:
            raise Refused(f"{self.where}: {error}", "correct it", code="RED501") from None
        return problem, redact(detail)

    def job(self) -> Job:
        if self.parts.scheme != "redis" or (self.parts.hostname or "") not in _LOCAL:
            what = f"nothing answers at {self.place}, which is not an address to start Redis at"
            raise Refused(what, f"start it there, or correct {self.where}", code="RED501")
        program = next((found for name in _PROGRAMS if (found := shutil.which(name))), None)
        if program is None:
            what = f"nothing answers at {self.place}, and no redis-server is installed"
            raise Refused(
                what, "install redis-server (Debian, Ubuntu: sudo apt-get install redis-server)"
            )
        environ = {
            k: v for k, v in self.home.environ.items() if k in ("PATH", "LANG", "TZ", "HOME")
        }
        return Job(
            self.name,
            self.kind,
            (program, str(self._settings)),
            "/",
            environ,
            self.home.log(self.name),
            ports=(self.place,),
            settings=digest(self._text()),
        )

    @property
    def data(self) -> Path:
        return self.home.folder / "redis"

    @property
    def keeps(self) -> tuple[Path, ...]:
        return (self.data,)

    @property
    def _settings(self) -> Path:
        return self.data / "redis.conf"

    def prepare(self) -> None:
        """Write its settings: a password is for a file of this user's, not for a command line."""
        self.data.mkdir(mode=0o700, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with os.fdopen(os.open(self._settings, flags, 0o600), "w") as file:
            file.write(self._text())
        if self.home.account:
            self.home.account.give(self.data, self._settings)

    def _text(self) -> str:
        host = {"": "localhost", "0.0.0.0": "127.0.0.1"}.get(self.parts.hostname or "")
        host = host or self.parts.hostname or "localhost"
        lines = [f"bind {'127.0.0.1 -::1' if host == 'localhost' else host}", f"port {self.port}"]
        lines += [f"dir {_quoted(str(self.data))}", "daemonize no"]
        user, password = unquote(self.parts.username or ""), unquote(self.parts.password or "")
        if password and user not in ("", "default"):
            lines.append(f"user {user} on {_quoted('>' + password)} ~* &* +@all")
        elif password:
            lines.append(f"requirepass {_quoted(password)}")
        number = self.parts.path.strip("/")
        if number.isdecimal() and int(number) >= _DATABASES:
            lines.append(f"databases {int(number) + 1}")
        return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A word of redis.conf that holds any characters."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
