"""How each shell sets and removes a variable, with values quoted so that nothing in them is run."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import PurePath


class Shell(str, Enum):
    """The shells whose lines can be written; zsh, dash and ksh take those of `bash` and `sh`."""

    SH = "sh"
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
    POWERSHELL = "powershell"

    def export(self, name: str, value: str) -> str:
        if self is Shell.FISH:
            return f"set -gx {name} {_fish(value)};"
        if self is Shell.POWERSHELL:
            return f"$env:{name} = {_powershell(value)};"
        return f"export {name}={shlex.quote(value)};"

    def unset(self, name: str) -> str:
        if self is Shell.FISH:
            return f"set -e {name};"
        if self is Shell.POWERSHELL:
            return f"Remove-Item Env:{name} -ErrorAction SilentlyContinue;"
        return f"unset {name};"

    @property
    def evaluation(self) -> str:
        """What a user enters so that the shell takes the lines over."""
        if self is Shell.FISH:
            return "saas-doctor env | source"
        if self is Shell.POWERSHELL:
            return "saas-doctor env | Out-String | Invoke-Expression"
        return 'eval "$(saas-doctor env)"'


def _fish(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _powershell(value: str) -> str:
    # Typographic quotes end a text there as well.
    return "'" + re.sub("['\u2018\u2019\u201a\u201b]", lambda quote: quote[0] * 2, value) + "'"


_NAMES = {
    **{shell.value: shell for shell in Shell},
    "pwsh": Shell.POWERSHELL,
    "dash": Shell.SH,
    "ash": Shell.SH,
    "busybox": Shell.SH,
    "ksh": Shell.SH,
}


def guessed(parents: Iterable[str], environ: Mapping[str, str]) -> Shell:
    """The shell that calls: the nearest of the parents that is one, else the user's own."""
    for name in (*parents, PurePath(environ.get("SHELL", "")).name):
        found = _NAMES.get(name.lower().removesuffix(".exe").lstrip("-"))
        if found:
            return found
    return Shell.POWERSHELL if os.name == "nt" else Shell.SH
