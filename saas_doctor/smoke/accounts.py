"""Takes the account that a smoke test made out of the platform's database again, also a later one."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from pathlib import Path

import msgspec

from saas_doctor.facts import Facts
from saas_doctor.facts.database_address import Address
from saas_doctor.facts.database_login import connect
from saas_doctor.journal import prepare_state
from saas_doctor.model import Absent, Blocked, DoctorError, Unreadable
from saas_doctor.platform import Platform
from saas_doctor.processes import Identity
from saas_doctor.smoke.steps import StepFailed

_COLUMNS = """
SELECT c.table_schema, c.table_name, c.column_name
FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
WHERE t.table_type = 'BASE TABLE' AND c.table_schema NOT IN ('pg_catalog', 'information_schema')
  AND c.data_type IN ('text', 'character varying', 'USER-DEFINED')
  AND lower(c.column_name) IN ('email', 'username', 'user_name', 'login', 'email_address')
"""


_MARK = re.compile(r"[0-9a-f]{12}")


class Account:
    """An account that nobody else has: its mark is drawn by lot, and noted down while it may be there.

    The note is a file of the mark's name in the platform's state, with the identity of the process
    that made the account: one that was killed is cleaned up after by the next.
    """

    def __init__(self, platform: Platform, mark: str = "") -> None:
        self.platform, self.mark = platform, mark or secrets.token_hex(6)
        self.email, self.name = f"saas-doctor-{self.mark}@example.com", f"saas_doctor_{self.mark}"

    @property
    def _note(self) -> Path:
        return self.platform.state / "smoke" / self.mark

    def note(self) -> None:
        """Note it down, before it is made; without a state folder nobody will know of it."""
        with contextlib.suppress(OSError, DoctorError):
            prepare_state(self.platform)
            self._note.parent.mkdir(exist_ok=True)
            self._note.write_bytes(msgspec.json.encode(Identity.of(os.getpid())))

    def forget(self) -> None:
        with contextlib.suppress(OSError):
            self._note.unlink()
            self._note.parent.rmdir()  # where it was the last one

    def remove(self, facts: Facts) -> int:
        """Delete the rows that hold its email or its name; how many.

        Raises StepFailed with what is left and how to delete it.
        """
        removed = _removed(facts, (self.email, self.name), self.by_hand)
        self.forget()
        return removed

    @property
    def by_hand(self) -> str:
        return f"delete the account {self.email} by hand"


def left_behind(platform: Platform) -> list[Account]:
    """The accounts of runs that have ended without taking them away."""
    found = []
    for note in sorted((platform.state / "smoke").glob("*")):
        with contextlib.suppress(OSError, msgspec.DecodeError):
            maker = msgspec.json.decode(note.read_bytes(), type=Identity)
            if _MARK.fullmatch(note.name) and not maker.alive:
                found.append(Account(platform, note.name))
    return found


def _removed(facts: Facts, marks: tuple[str, ...], by_hand: str) -> int:
    """How many rows were deleted that hold one of these texts."""
    import psycopg
    from psycopg import sql

    try:
        address = facts.get(Address)
    except (Absent, Blocked, Unreadable) as reason:
        raise StepFailed(f"the database can't be reached ({reason}); {by_hand}") from None
    removed = 0
    try:
        with connect(address) as connection:
            for schema, table, column in connection.execute(_COLUMNS).fetchall():
                query = sql.SQL("DELETE FROM {}.{} WHERE {}::text = ANY(%s)").format(
                    sql.Identifier(schema), sql.Identifier(table), sql.Identifier(column)
                )
                try:
                    with connection.transaction():
                        removed += connection.execute(query, [list(marks)]).rowcount
                except psycopg.errors.InsufficientPrivilege:
                    continue
    except (psycopg.Error, OSError) as error:
        raise StepFailed(f"{str(error).strip()}; {by_hand}") from None
    return removed
