"""What sets the variables that the services read: the shell, then the settings file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from saas_doctor.facts import Fact
from saas_doctor.facts.dotenv import Dotenv, EnvFile
from saas_doctor.facts.environment_writes import EnvironmentWrites
from saas_doctor.facts.literals import Spot, Value, plain
from saas_doctor.facts.setting_sources import SettingSources
from saas_doctor.platform import Platform
from saas_doctor.reading import read_bytes


class Environment(Fact, frozen=True):
    """What sets variables: the shell, then the settings file where it is read.

    `loaded`: whether the source loads the settings file into the environment of the process.
    `sole`: whether there is no other file of that name, which may be read in its place.
    `compose` is the text of the compose file. Of the words of `differing` nothing is told, nor of
    the variables `written`, which the code sets itself.
    """

    file: Dotenv | None
    file_name: str
    shell: Mapping[str, str]
    loaded: bool
    sole: bool = True
    compose: bytes = b""
    differing: bytes = b""
    written: frozenset[str] = frozenset()

    limit = 20.0

    @classmethod
    def read(
        cls, platform: Platform, sources: SettingSources, writes: EnvironmentWrites, env: EnvFile
    ) -> Environment:
        config, name = platform.config, env.path.name
        services = [service.directory for service in config.services.values()]
        folders = {platform.path(f) for f in (".", config.backend, *config.source_roots, *services)}
        others = [f for f in folders if f != env.path.parent and (f / name).is_file()]
        compose = platform.path(config.compose_file) if config.compose_file else None
        try:
            text = read_bytes(compose) if compose else b""
        except OSError:
            text = b""  # a check of the compose file says so
        loaded, own = sources.loads(env.path), writes.by_services
        return cls(env.there, name, platform.environ, loaded, not others, text, written=own)

    @property
    def everywhere(self) -> Environment:
        """That of every process, whatever the compose file sets in some."""
        return replace(self, differing=self.compose)

    def text(self, keys: Sequence[tuple[str, bool]], *, in_file: bool | None) -> Value:
        """A variable's text; `none` where nothing sets it, unknown where that can't be told."""
        words = (rb"\b" + re.escape(key.encode()) + rb"\b" for key, _ in keys)
        if any(re.search(word, self.differing, re.I) for word in words):
            return Value("str")
        if any(key.lower() in self.written for key, _ in keys):
            return Value("str")
        for key, sensitive in keys:
            for name, value in self.shell.items():
                if name == key or (not sensitive and name.lower() == key.lower()):
                    return plain(value, Spot(None, variable=name, written=value))
        for key, sensitive in keys if self.file else ():
            for setting in reversed(self.file.settings if self.file else ()):
                same = setting.key == key or (not sensitive and setting.key.lower() == key.lower())
                if same and not setting.bare and in_file is not False:
                    spot = Spot(setting.place, variable=setting.key, written=setting.value)
                    return plain(setting.value, spot) if in_file else Value("str")
        return plain(None)
