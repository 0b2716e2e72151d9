"""Who may read the settings file on this machine."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from saas_doctor.facts import Fact
from saas_doctor.facts.dotenv import Dotenv, EnvFile
from saas_doctor.model import Absent
from saas_doctor.platform import Platform

_PEOPLE = range(1000, 60000)


class Access(Fact, frozen=True):
    """The permission bits of the settings file, and whether others reach it.

    `people`: the accounts beside its owner that somebody may log in to.
    """

    file: Dotenv
    mode: int
    reached: bool
    people: tuple[str, ...] = ()

    @classmethod
    def read(cls, env: EnvFile, platform: Platform) -> Access:
        file = env.file
        if os.name == "nt":
            raise Absent("files have no permission bits on Windows")
        try:
            status = os.stat(env.path)
        except OSError:
            raise Absent(f"no {platform.relative(env.path)}") from None
        mode = stat.S_IMODE(status.st_mode)
        real = Path(os.path.realpath(env.path))
        reached = all(_lets_in(folder) for folder in real.parents)
        return cls(file, mode, reached, _people(status.st_uid))


def _lets_in(folder: Path) -> bool:
    try:
        return bool(os.stat(folder).st_mode & stat.S_IXOTH)
    except OSError:
        return False


def _people(owner: int) -> tuple[str, ...]:
    """Accounts with a shell; those that a directory service holds are not asked for."""
    try:
        with open("/etc/passwd", encoding="utf-8", errors="replace") as file:
            lines = [line.rstrip("\n").split(":") for line in file]
    except OSError:
        return ()
    return tuple(
        words[0]
        for words in lines
        if len(words) == 7
        and words[2].isdigit()
        and int(words[2]) in _PEOPLE
        and int(words[2]) != owner
        and not words[6].endswith(("nologin", "false"))
    )
