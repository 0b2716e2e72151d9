"""Whose the stack's processes are to be: never root's where the platform is somebody's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from msgspec import Struct

from saas_doctor.model import DoctorError
from saas_doctor.platform import Platform


class Account(Struct, frozen=True):
    """A user of this machine that root starts processes for."""

    uid: int
    gid: int
    name: str
    home: str
    groups: tuple[int, ...] = ()

    @property
    def options(self) -> dict[str, Any]:
        """The options of Popen that make a process this user's."""
        return {"user": self.uid, "group": self.gid, "extra_groups": list(self.groups)}

    @property
    def environ(self) -> dict[str, str]:
        return {"HOME": self.home, "USER": self.name, "LOGNAME": self.name}

    def give(self, *paths: Path) -> None:
        for path in paths:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def account_of(platform: Platform) -> Account | None:
    """Whose the services are to be, where that is not who runs this.

    Root starts them for who called sudo, else for the owner of the platform's folder.
    """
    if os.geteuid() != 0:
        return None
    caller = platform.environ.get("SUDO_UID", "")
    uid = int(caller) if caller.isdecimal() else 0
    uid = uid or platform.root.stat().st_uid
    return _account(uid) if uid else None


def server_account(platform: Platform) -> Account | None:
    """Whose a Postgres server is to be: it refuses to run as root. Raises DoctorError."""
    account = account_of(platform)
    if account or os.geteuid() != 0:
        return account
    found = _account("postgres")
    if found is None:
        raise DoctorError(
            "Postgres does not run as root, and this machine has no account `postgres` for it; "
            "run `saas-doctor up --local` as an ordinary user"
        )
    return found


def _account(who: int | str) -> Account | None:
    import pwd

    try:
        entry = pwd.getpwuid(who) if isinstance(who, int) else pwd.getpwnam(who)
    except KeyError:
        return None
    groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return Account(entry.pw_uid, entry.pw_gid, entry.pw_name, entry.pw_dir, groups)
