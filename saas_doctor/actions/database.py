"""Actions on a Postgres server, by an administrative connection; undone only while that loses nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import unicodedata
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from saas_doctor.actions import Action, Bench, Failed, NotApplied, Record, Refused
from saas_doctor.facts.admin import AdminConnection, AdminError, Row, identifier, literal
from saas_doctor.facts.database import Address
from saas_doctor.model import Absent, Risk

_MARK = "made by saas-doctor, run {}"


def _run(bench: Bench, *statements: str, database: str = "postgres") -> list[Row]:
    """Run statements as the administrator found on this machine; raises Failed."""
    try:
        return bench.facts.get(AdminConnection).run(*statements, database=database)
    except (AdminError, Absent) as error:
        raise Failed(str(error)) from None


def _true(rows: list[Row]) -> bool:
    return bool(rows) and rows[0][0] == "t"


def _comment(kind: str, catalogue: str, column: str, name: str) -> str:
    """The query for an object's comment: no row where the object is not there."""
    return (
        f"SELECT coalesce(shobj_description(oid, '{catalogue}'), '') FROM {catalogue} "
        f"WHERE {column} = {literal(name)} /* {kind} */"
    )


def scram_verifier(password: str) -> str:
    """What the server stores for a password: so the password itself never reaches its log."""
    salt, rounds = os.urandom(16), 4096
    prepared = unicodedata.normalize("NFKC", password).encode()
    salted = hashlib.pbkdf2_hmac("sha256", prepared, salt, rounds)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(v).decode() for v in (salt, stored, server))
    return f"SCRAM-SHA-256${rounds}:{salt64}${stored64}:{server64}"


@dataclass(frozen=True)
class CreateRole(Action):
    """Create the role that the platform logs in with; the password is that of its address."""

    address: Address

    order = 40
    risk = Risk.CHANGES

    @property
    def title(self) -> str:
        return f'create role "{self.address.role}" on {self.address}'

    @property
    def target(self) -> Hashable:
        return str(self.address), self.address.role

    def preview(self) -> str:
        return f"CREATE ROLE {identifier(self.address.role)} LOGIN PASSWORD '***'"

    def before(self, bench: Bench) -> Record:
        if _run(bench, _role(self.address.role)):
            raise NotApplied(f'role "{self.address.role}" is there by now')
        return {"role": self.address.role, "mark": _MARK.format(bench.folder.name)}

    def apply(self, bench: Bench, before: Record) -> Record:
        name = identifier(self.address.role)
        secret = literal(scram_verifier(self.address.password))
        _run(
            bench,
            "BEGIN",
            f"CREATE ROLE {name} LOGIN" + (f" PASSWORD {secret}" if self.address.password else ""),
            f"COMMENT ON ROLE {name} IS {literal(before['mark'])}",
            "COMMIT",
        )
        return {}

    def verify(self, bench: Bench) -> bool:
        return bool(_run(bench, _role(self.address.role)))

    @classmethod
    def undo(cls, bench: Bench, before: Record, after: Record | None) -> str | None:  # noqa: ARG003
        role = before["role"]
        rows = _run(bench, _role(role))
        if not rows:
            return None
        if rows[0][0] != before["mark"]:
            raise Refused(f'role "{role}" was changed since: its comment is not the doctor\'s')
        try:
            _run(bench, f"DROP ROLE {identifier(role)}")
        except Failed as error:
            raise Refused(f'role "{role}" is in use: {error}') from None
        return None


def _role(name: str) -> str:
    return _comment("role", "pg_authid", "rolname", name)


@dataclass(frozen=True)
class CreateDatabase(Action):
    """Create the platform's database, owned by its role."""

    address: Address

    order = 41
    risk = Risk.CHANGES

    @property
    def title(self) -> str:
        return f'create database "{self.address.database}" on {self.address}'

    @property
    def target(self) -> Hashable:
        return str(self.address), self.address.database

    def preview(self) -> str:
        return self._statement

    @property
    def _statement(self) -> str:
        database, owner = identifier(self.address.database), identifier(self.address.role)
        return f"CREATE DATABASE {database} OWNER {owner}"

    def before(self, bench: Bench) -> Record:
        if _run(bench, _database(self.address.database)):
            raise NotApplied(f'database "{self.address.database}" is there by now')
        return {
            "database": self.address.database,
            "owner": self.address.role,
            "mark": _MARK.format(bench.folder.name),
        }

    def apply(self, bench: Bench, before: Record) -> Record:
        mark = literal(before["mark"])
        # Not in a transaction: CREATE DATABASE allows none.
        comment = f"COMMENT ON DATABASE {identifier(self.address.database)} IS {mark}"
        _run(bench, self._statement, comment)
        return {}

    def verify(self, bench: Bench) -> bool:
        return bool(_run(bench, _database(self.address.database)))

    @classmethod
    def undo(cls, bench: Bench, before: Record, after: Record | None) -> str | None:
        name = before["database"]
        rows = _run(bench, _database(name))
        if not rows:
            return None
        # A crash between the two statements leaves the database without its comment.
        ours = (before["mark"],) if after is not None else (before["mark"], "")
        if rows[0][0] not in ours:
            raise Refused(f'database "{name}" was changed since: its comment is not the doctor\'s')
        content = [row[0] for row in _run(bench, _CONTENT, database=name)]
        if content:
            raise Refused(f'database "{name}" is not empty any more ({", ".join(content[:5])})')
        try:
            _run(bench, f"DROP DATABASE {identifier(name)}")
        except Failed as error:
            raise Refused(f'database "{name}" is in use: {error}') from None
        return None


def _database(name: str) -> str:
    return _comment("database", "pg_database", "datname", name)


# Whatever somebody put into a database after it was made.
_CONTENT = """
SELECT 'relation ' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
UNION ALL SELECT 'function ' || proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
UNION ALL SELECT 'type ' || typname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
UNION ALL SELECT 'schema ' || nspname FROM pg_namespace
WHERE nspname NOT LIKE 'pg\\_%' AND nspname NOT IN ('public', 'information_schema')
UNION ALL SELECT 'extension ' || extname FROM pg_extension WHERE extname <> 'plpgsql'
UNION ALL SELECT 'large object ' || oid FROM pg_largeobject_metadata
"""

_RIGHTS = ("USAGE", "CREATE")


@dataclass(frozen=True)
class GrantCreate(Action):
    """Let the platform's role create in schema public of its own database."""

    address: Address

    order = 42
    risk = Risk.CHANGES

    @property
    def title(self) -> str:
        return (
            f'grant CREATE on schema public of "{self.address.database}" to "{self.address.role}"'
        )

    @property
    def target(self) -> Hashable:
        return str(self.address), self.address.database, self.address.role

    def preview(self) -> str:
        return f"\\c {self.address.database}\n{_grant('GRANT', _RIGHTS, self.address.role)}"

    def before(self, bench: Bench) -> Record:
        role, database = self.address.role, self.address.database
        held = [row[0] for row in _run(bench, _held(role), database=database)]
        return {"role": role, "database": database, "held": held}

    def apply(self, bench: Bench, before: Record) -> Record:
        _run(bench, _grant("GRANT", _RIGHTS, before["role"]), database=before["database"])
        return {}

    def verify(self, bench: Bench) -> bool:
        role = literal(self.address.role)
        query = f"SELECT has_schema_privilege({role}, 'public', 'CREATE')"
        return _true(_run(bench, query, database=self.address.database))

    @classmethod
    def undo(cls, bench: Bench, before: Record, after: Record | None) -> str | None:  # noqa: ARG003
        role, database = before["role"], before["database"]
        if not _run(bench, _database(database)) or not _run(bench, _role(role)):
            return None
        granted = [right for right in _RIGHTS if right not in before["held"]]
        if granted:
            _run(bench, _grant("REVOKE", granted, role), database=database)
        return None


def _grant(verb: str, rights: Sequence[str], role: str) -> str:
    word = "TO" if verb == "GRANT" else "FROM"
    return f"{verb} {', '.join(rights)} ON SCHEMA public {word} {identifier(role)}"


def _held(role: str) -> str:
    """The rights on schema public that are granted to the role itself."""
    return (
        "SELECT a.privilege_type FROM pg_namespace n, aclexplode(n.nspacl) a "
        f"JOIN pg_roles r ON r.oid = a.grantee WHERE n.nspname = 'public' AND r.rolname = {literal(role)}"
    )
