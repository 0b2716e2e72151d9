"""What sets the variables that the services read: the shell, then the settings file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from saas_doctor.facts.dotenv import Dotenv
from saas_doctor.facts.literals import Spot, Value, plain


@dataclass(frozen=True)
class Environment:
    """What sets variables: the shell, then the settings file where it is read.

    `loaded`: whether the source loads the settings file into the environment of the process.
    `sole`: whether there is no other file of that name, which may be read in its place.
    `elsewhere`: a text whose words are variables that may differ from process to process.
    """

    file: Dotenv | None
    file_name: str
    shell: Mapping[str, str]
    loaded: bool
    sole: bool = True
    elsewhere: bytes = b""

    def text(self, keys: Sequence[tuple[str, bool]], *, in_file: bool | None) -> Value:
        """A variable's text; `none` where nothing sets it, unknown where that can't be told."""
        words = (rb"\b" + re.escape(key.encode()) + rb"\b" for key, _ in keys)
        if self.elsewhere and any(re.search(word, self.elsewhere, re.I) for word in words):
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
