"""Actions on a role: create it, let it in again, give it its password; undone while it is as they left it."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass, field

from saas_doctor.actions import Action, Bench, Failed, NotApplied, Record, Refused
from saas_doctor.actions.statements import (
    MARK,
    admin,
    look,
    marked,
    run,
    same_server,
    start,
    wait_for_no_sessions,
)
from saas_doctor.facts.database_address import Address
from saas_doctor.facts.postgres_protocol import scram_verifier
from saas_doctor.facts.quoting import identifier, literal
from saas_doctor.model import Risk


@dataclass(frozen=True)
class CreateRole(Action):
    """Create the role that the platform logs in with; the password is that of its address.

    The server gets the verifier that it would keep, so the password itself reaches none of its logs.
    """

    address: Address
    verifier: str = field(default="", repr=False, compare=False)

    order = 40
    risk = Risk.CHANGES

    @classmethod
    def for_login(cls, address: Address) -> CreateRole:
        return cls(address, scram_verifier(address.password) if address.password else "")

    @property
    def title(self) -> str:
        return f'create role "{self.address.role}" on {self.address}'

    @property
    def target(self) -> Hashable:
        return str(self.address), self.address.role

    def preview(self) -> str:
        return self._statement("***")

    def _statement(self, secret: str) -> str:
        password = f" PASSWORD {literal(secret)}" if self.verifier else ""
        return f"CREATE ROLE {identifier(self.address.role)} LOGIN{password}"

    def before(self, bench: Bench) -> Record:
        if look(bench, marked("role", self.address.role)):
            raise NotApplied(f'role "{self.address.role}" is there by now')
        # A digest of the verifier tells a password that was changed since, and no password.
        secret = hashlib.sha256(self.verifier.encode()).hexdigest()
        return {**start(bench, self.address), "role": self.address.role, "verifier": secret}

    def apply(self, bench: Bench, before: Record) -> Record:
        mark = literal(MARK.format(before["run"]))
        run(
            bench,
            "BEGIN",
            self._statement(self.verifier),
            f"COMMENT ON ROLE {identifier(self.address.role)} IS {mark}",
            "COMMIT",
        )
        return {}

    def verify(self, bench: Bench) -> bool:
        name = literal(self.address.role)
        return bool(run(bench, f"SELECT 1 FROM pg_roles WHERE rolname = {name} AND rolcanlogin"))

    @classmethod
    def undo(cls, bench: Bench, before: Record, after: Record | None) -> str | None:  # noqa: ARG003
        role = before["role"]
        same_server(bench, before)
        rows = run(bench, marked("role", role))
        if not rows:
            return None
        if rows[0][0] != MARK.format(before["run"]):
            raise Refused(f'role "{role}" is not the one that was made: its comment is another')
        changed = _changes_of_role(bench, role, before["verifier"])
        if changed:
            raise Refused(f'role "{role}" was changed since: {", ".join(changed)}')
        wait_for_no_sessions(bench, "usename", role)
        try:
            # Fails, and changes nothing, where the role owns anything in any database.
            run(bench, f"DROP ROLE {identifier(role)}")
        except Failed as error:
            raise Refused(f'role "{role}" stays: {error}') from None
        return None


def _changes_of_role(bench: Bench, role: str, verifier: str) -> list[str]:
    """What of a created role is not as `CREATE ROLE ... LOGIN` made it."""
    name = literal(role)
    row = run(
        bench,
        "SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls "
        "OR NOT rolcanlogin OR NOT rolinherit, rolconnlimit <> -1, rolvaliduntil IS NOT NULL, "
        # Its settings for one database are kept elsewhere than those for all.
        "EXISTS (SELECT FROM pg_db_role_setting s WHERE s.setrole = r.oid) "
        f"FROM pg_roles r WHERE rolname = {name}",
    )[0]
    words = ("its rights", "its connection limit", "its expiry", "its settings")
    changed = [word for word, value in zip(words, row, strict=True) if value == "t"]
    if run(
        bench,
        "SELECT 1 FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid "
        # Since Postgres 16 the creator, where it is no superuser, becomes a member by itself.
        f"WHERE r.rolname = {name} AND pg_get_userbyid(m.member) <> current_user UNION ALL "
        "SELECT 1 FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member "
        f"WHERE r.rolname = {name}",
    ):
        changed.append("its memberships")
    if admin(bench).superuser:
        query = f"SELECT coalesce(rolpassword, '') FROM pg_authid WHERE rolname = {name}"
        now = run(bench, query)[0][0]
        if hashlib.sha256(now.encode()).hexdigest() != verifier:
            changed.append("its password")
    return changed


@dataclass(frozen=True)
class AdmitRole(Action):
    """Let a role in again: `login` where it has no LOGIN, `expired` where its time has run out."""

    address: Address
    login: bool
    expired: bool

    order = 40
    risk = Risk.CHANGES

    @property
    def title(self) -> str:
        return f'let role "{self.address.role}" log in on {self.address}'

    @property
    def target(self) -> Hashable:
        return str(self.address), self.address.role

    def preview(self) -> str:
        words = ["LOGIN"] * self.login + ["VALID UNTIL 'infinity'"] * self.expired
        return f"ALTER ROLE {identifier(self.address.role)} {' '.join(words)}"

    def before(self, bench: Bench) -> Record:
        rows = look(bench, _admission(self.address.role))
        if not rows:
            raise NotApplied(f'role "{self.address.role}" is not there any more')
        login, until = rows[0]
        return {
            **start(bench, self.address),
            "role": self.address.role,
            "former": [login, until],
            "now": ["t" if self.login else login, "infinity" if self.expired else until],
        }

    def apply(self, bench: Bench, before: Record) -> Record:  # noqa: ARG002
        run(bench, self.preview())
        return {}

    def verify(self, bench: Bench) -> bool:
        rows = run(bench, _admission(self.address.role))
        return bool(rows) and rows[0][0] == "t" and (not self.expired or rows[0][1] == "infinity")

    @classmethod
    def undo(cls, bench: Bench, before: Record, after: Record | None) -> str | None:  # noqa: ARG003
        role, (login, until) = before["role"], before["former"]
        same_server(bench, before)
        rows = run(bench, _admission(role))
        if not rows or rows[0] == before["former"]:
            return None
        if rows[0] != before["now"]:
            raise Refused(f'role "{role}" was changed since: its LOGIN or its expiry')
        words = ["LOGIN" if login == "t" else "NOLOGIN"]
        words += [f"VALID UNTIL {literal(until)}"] if until else []
        run(bench, f"ALTER ROLE {identifier(role)} {' '.join(words)}")
        return None


def _admission(role: str) -> str:
    """The query for whether a role may log in, and until when ("" where that was never set)."""
    return (
        "SELECT rolcanlogin, coalesce(rolvaliduntil::text, '') FROM pg_roles "
        f"WHERE rolname = {literal(role)}"
    )


@dataclass(frozen=True)
class SetPassword(Action):
    """Give the platform's role the password of its address; its former verifier is kept for undo."""

    address: Address
    verifier: str = field(default="", repr=False, compare=False)

    order = 40
    risk = Risk.CHANGES

    @classmethod
    def for_login(cls, address: Address) -> SetPassword:
        return cls(address, scram_verifier(address.password or ""))

    @property
    def title(self) -> str:
        return f'set the password of role "{self.address.role}" on {self.address}'

    @property
    def target(self) -> Hashable:
        return str(self.address), self.address.role

    def preview(self) -> str:
        return f"ALTER ROLE {identifier(self.address.role)} PASSWORD '***'"

    def before(self, bench: Bench) -> Record:
        if not self.address.password:
            raise NotApplied("the platform's address has no password")
        rows = look(bench, _secret(self.address.role))
        if not rows:
            raise NotApplied(f'role "{self.address.role}" is not there any more')
        sessions = look(bench, _SESSIONS.format(role=literal(self.address.role)))
        if sessions[0][0] != "0":
            raise NotApplied(f'somebody is connected as "{self.address.role}" by now')
        return {
            **start(bench, self.address),
            "role": self.address.role,
            "verifier": _digest(self.verifier),
            "former": bench.keep("verifier", rows[0][0].encode()),
        }

    def apply(self, bench: Bench, before: Record) -> Record:
        run(bench, f"ALTER ROLE {identifier(before['role'])} PASSWORD {literal(self.verifier)}")
        return {}

    def verify(self, bench: Bench) -> bool:
        rows = run(bench, _secret(self.address.role))
        return bool(rows) and rows[0][0] == self.verifier

    @classmethod
    def undo(cls, bench: Bench, before: Record, after: Record | None) -> str | None:  # noqa: ARG003
        role, former = before["role"], bench.kept(before["former"]).decode()
        same_server(bench, before)
        rows = run(bench, _secret(role))
        if not rows or rows[0][0] == former:
            return None
        if _digest(rows[0][0]) != before["verifier"]:
            raise Refused(f'the password of role "{role}" was changed since')
        secret = literal(former) if former else "NULL"
        run(bench, f"ALTER ROLE {identifier(role)} PASSWORD {secret}")
        return None


_SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE usename = {role}"


def _secret(role: str) -> str:
    """The query for a role's verifier, as the server keeps it ("" where it has no password)."""
    return f"SELECT coalesce(rolpassword, '') FROM pg_authid WHERE rolname = {literal(role)}"


def _digest(verifier: str) -> str:
    return hashlib.sha256(verifier.encode()).hexdigest()
