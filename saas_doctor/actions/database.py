"""Actions on a Postgres server, by an administrative connection; undone only while that loses nothing."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from saas_doctor.actions import Action, Bench, Failed, NotApplied, Record, Refused
from saas_doctor.facts.admin import AdminConnection, AdminError, Row, identifier, literal
from saas_doctor.facts.database import Address
from saas_doctor.facts.postgres_protocol import scram_verifier
from saas_doctor.model import Absent, Risk, Unreadable

_MARK = "made by saas-doctor, run {}"


def _admin(bench: Bench) -> AdminConnection:
    """The way in as it is found now; raises Failed."""
    try:
        return bench.facts.get(AdminConnection)
    except (Absent, Unreadable) as reason:
        raise Failed(str(reason)) from None


def _run(bench: Bench, *statements: str, database: str | None = None) -> list[Row]:
    """Run statements as the administrator found on this machine; raises Failed."""
    try:
        return _admin(bench).run(*statements, database=database)
    except AdminError as error:
        raise Failed(str(error)) from None


def _look(bench: Bench, *statements: str, database: str | None = None) -> list[Row]:
    """The same before anything was done: what fails then leaves the action not applied."""
    try:
        return _run(bench, *statements, database=database)
    except Failed as reason:
        raise NotApplied(str(reason)) from None


def _start(bench: Bench, address: Address) -> Record:
    """What every record begins with: which server it is about, never how to log in there."""
    try:
        system = _admin(bench).system
    except Failed as reason:
        raise NotApplied(str(reason)) from None
    return {"address": str(address), "system": system, "run": bench.folder.name}


def _same_server(bench: Bench, before: Record) -> None:
    """Refuse where the address leads to another server than the one that was changed."""
    if _admin(bench).system != before["system"]:
        raise Refused(f"another Postgres server answers by now on {before['address']}")


def _marked(kind: str, name: str) -> str:
    """The query for an object's comment: no row where the object is not there."""
    catalogue, column = {
        "role": ("pg_roles", "rolname"),
        "database": ("pg_database", "datname"),
    }[kind]
    home = "pg_authid" if kind == "role" else catalogue
    return (
        f"SELECT coalesce(shobj_description(oid, '{home}'), '') FROM {catalogue} "
        f"WHERE {column} = {literal(name)}"
    )


def _sessions(column: str, name: str) -> str:
    return (
        "SELECT count(*), coalesce(string_agg(DISTINCT nullif(application_name, ''), ', '), '') "
        f"FROM pg_stat_activity WHERE {column} = {literal(name)} AND pid <> pg_backend_pid()"
    )


def _wait_for_no_sessions(bench: Bench, column: str, name: str) -> None:
    """Refuse while somebody is connected; the doctor's own last login may need a moment to end."""
    deadline = time.monotonic() + 1.5
    while True:
        count, programs = _run(bench, _sessions(column, name))[0]
        if count == "0":
            return
        if time.monotonic() > deadline:
            who = f" ({programs})" if programs else ""
            raise Refused(f'"{name}" is in use by {count} session(s){who}; end them first')
        time.sleep(0.1)


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
        if _look(bench, _marked("role", self.address.role)):
            raise NotApplied(f'role "{self.address.role}" is there by now')
        # A digest of the verifier tells a password that was changed since, and no password.
        secret = hashlib.sha256(self.verifier.encode()).hexdigest()
        return {**_start(bench, self.address), "role": self.address.role, "verifier": secret}

    def apply(self, bench: Bench, before: Record) -> Record:
        mark = literal(_MARK.format(before["run"]))
        _run(
            bench,
            "BEGIN",
            self._statement(self.verifier),
            f"COMMENT ON ROLE {identifier(self.address.role)} IS {mark}",
            "COMMIT",
        )
        return {}

    def verify(self, bench: Bench) -> bool:
        name = literal(self.address.role)
        return bool(_run(bench, f"SELECT 1 FROM pg_roles WHERE rolname = {name} AND rolcanlogin"))

    @classmethod
    def undo(cls, bench: Bench, before: Record, after: Record | None) -> str | None:  # noqa: ARG003
        role = before["role"]
        _same_server(bench, before)
        rows = _run(bench, _marked("role", role))
        if not rows:
            return None
        if rows[0][0] != _MARK.format(before["run"]):
            raise Refused(f'role "{role}" is not the one that was made: its comment is another')
        changed = _changes_of_role(bench, role, before["verifier"])
        if changed:
            raise Refused(f'role "{role}" was changed since: {", ".join(changed)}')
        _wait_for_no_sessions(bench, "usename", role)
        try:
            # Fails, and changes nothing, where the role owns anything in any database.
            _run(bench, f"DROP ROLE {identifier(role)}")
        except Failed as error:
            raise Refused(f'role "{role}" stays: {error}') from None
        return None


def _changes_of_role(bench: Bench, role: str, verifier: str) -> list[str]:
    """What of a created role is not as `CREATE ROLE ... LOGIN` made it."""
    name = literal(role)
    row = _run(
        bench,
        "SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls "
        "OR NOT rolcanlogin OR NOT rolinherit, rolconnlimit <> -1, rolvaliduntil IS NOT NULL, "
        f"rolconfig IS NOT NULL FROM pg_roles WHERE rolname = {name}",
    )[0]
    words = ("its rights", "its connection limit", "its expiry", "its settings")
    changed = [word for word, value in zip(words, row, strict=True) if value == "t"]
    if _run(
        bench,
        "SELECT 1 FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid "
        # Since Postgres 16 the creator, where it is no superuser, becomes a member by itself.
        f"WHERE r.rolname = {name} AND pg_get_userbyid(m.member) <> current_user UNION ALL "
        "SELECT 1 FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member "
        f"WHERE r.rolname = {name}",
    ):
        changed.append("its memberships")
    if _admin(bench).superuser:
        query = f"SELECT coalesce(rolpassword, '') FROM pg_authid WHERE rolname = {name}"
        now = _run(bench, query)[0][0]
        if hashlib.sha256(now.encode()).hexdigest() != verifier:
            changed.append("its password")
    return changed


@dataclass(frozen=True)
class CreateDatabase(Action):
    """Create the platform's database, owned by its role.

    It is made under a name of the run's own, then marked and renamed in one transaction: so no
    database without the mark ever has the platform's name, whenever the power goes.
    """

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
        database, owner = identifier(self.address.database), identifier(self.address.role)
        return f"CREATE DATABASE {database} OWNER {owner}"

    def before(self, bench: Bench) -> Record:
        if _look(bench, _marked("database", self.address.database)):
            raise NotApplied(f'database "{self.address.database}" is there by now')
        start = _start(bench, self.address)
        aside = f"saas_doctor_{start['run']}"
        return {**start, "database": self.address.database, "aside": aside}

    def apply(self, bench: Bench, before: Record) -> Record:
        aside, name = identifier(before["aside"]), identifier(self.address.database)
        mark = literal(_MARK.format(before["run"]))
        _run(
            bench,
            # By itself: CREATE DATABASE allows no transaction.
            f"CREATE DATABASE {aside} OWNER {identifier(self.address.role)}",
            "BEGIN",
            f"COMMENT ON DATABASE {aside} IS {mark}",
            f"ALTER DATABASE {aside} RENAME TO {name}",
            "COMMIT",
        )
        return {}

    def verify(self, bench: Bench) -> bool:
        return bool(_run(bench, _marked("database", self.address.database)))

    @classmethod
    def undo(cls, bench: Bench, before: Record, after: Record | None) -> str | None:  # noqa: ARG003
        name, aside = before["database"], before["aside"]
        _same_server(bench, before)
        if not _run(bench, _marked("database", aside)):
            rows = _run(bench, _marked("database", name))
            if not rows:
                return None
            if rows[0][0] != _MARK.format(before["run"]):
                raise Refused(f'database "{name}" is not the one that was made: it has no mark')
            _wait_for_no_sessions(bench, "datname", name)
            _refuse_if_used(bench, name, name)
            # Nobody comes in by the old name between a last look inside and the end.
            _rename(bench, name, aside)
        try:
            _refuse_if_used(bench, aside, name)
            _run(bench, f"DROP DATABASE {identifier(aside)}")
        except (Failed, Refused) as error:
            if not _run(bench, _marked("database", name)):
                _rename(bench, aside, name)
            raise Refused(str(error)) from None
        return None


def _refuse_if_used(bench: Bench, database: str, name: str) -> None:
    """Refuse where somebody put something into the database; `name` is what it is called."""
    content = sorted(_content(bench, database) - _content(bench, "template1"))
    if content:
        more = f" and {len(content) - 5} more" if len(content) > 5 else ""
        raise Refused(f'database "{name}" is not empty: {", ".join(content[:5])}{more}')


def _rename(bench: Bench, old: str, new: str) -> None:
    try:
        _run(bench, f"ALTER DATABASE {identifier(old)} RENAME TO {identifier(new)}")
    except Failed as error:
        raise Refused(f'database "{old}" can\'t be renamed to "{new}": {error}') from None


_CATALOGUES = (
    "pg_class", "pg_proc", "pg_type", "pg_namespace", "pg_extension", "pg_operator", "pg_collation",
    "pg_event_trigger", "pg_publication", "pg_foreign_server",
    "pg_default_acl", "pg_ts_config",
)  # fmt: skip


def _content(bench: Bench, database: str) -> set[str]:
    """What somebody put into a database, in words: all that `initdb` did not make."""
    # 16384: where the numbers of objects begin that users make.
    parts = [
        f"SELECT pg_describe_object('{name}'::regclass, oid, 0) FROM {name} WHERE oid >= 16384"
        for name in _CATALOGUES
    ]
    parts.append("SELECT 'large object ' || oid FROM pg_largeobject_metadata")
    # Settings and rights of the database itself are somebody's work too.
    parts.append(
        "SELECT 'settings of the database' FROM pg_db_role_setting s JOIN pg_database d "
        "ON d.oid = s.setdatabase WHERE d.datname = current_database() AND NOT d.datistemplate"
    )
    parts.append(
        "SELECT 'rights on the database' FROM pg_database WHERE datname = current_database() "
        "AND datacl IS NOT NULL AND NOT datistemplate"
    )
    rows = _run(bench, " UNION ".join(parts), database=database)
    # The types and indexes that come with a table would only repeat it.
    return {row[0] for row in rows if not row[0].startswith(("type ", "index ", "toast "))} or {
        row[0] for row in rows
    }


_RIGHTS = ("USAGE", "CREATE")


@dataclass(frozen=True)
class GrantCreate(Action):
    """Let the platform's role create in schema public of its own database."""

    address: Address
    role: str = ""
    """Who gets the rights, where it is not the role that logs in."""

    order = 42
    risk = Risk.CHANGES

    @property
    def grantee(self) -> str:
        return self.role or self.address.role

    @property
    def title(self) -> str:
        return f'grant CREATE on schema public of "{self.address.database}" to "{self.grantee}"'

    @property
    def target(self) -> Hashable:
        return str(self.address), self.address.database, self.grantee

    def preview(self) -> str:
        return f"{_grant('GRANT', _RIGHTS, self.grantee)}  -- in database {self.address.database}"

    def before(self, bench: Bench) -> Record:
        database = self.address.database
        if not _look(bench, _PUBLIC, database=database):
            raise NotApplied(f'database "{database}" has no schema public by now')
        held = _look(bench, _held(self.grantee), database=database)
        return {
            **_start(bench, self.address),
            "role": self.grantee,
            "database": database,
            "held": sorted(row[0] for row in held),
        }

    def apply(self, bench: Bench, before: Record) -> Record:
        missing = [right for right in _RIGHTS if right not in before["held"]]
        if missing:
            _run(bench, _grant("GRANT", missing, before["role"]), database=before["database"])
        return {}

    def verify(self, bench: Bench) -> bool:
        query = (
            f"SELECT has_schema_privilege({literal(self.grantee)}, oid, 'CREATE') "
            "FROM pg_namespace WHERE nspname = 'public'"
        )
        return _run(bench, query, database=self.address.database) == [["t"]]

    @classmethod
    def undo(cls, bench: Bench, before: Record, after: Record | None) -> str | None:  # noqa: ARG003
        role, database = before["role"], before["database"]
        _same_server(bench, before)
        if not _run(bench, _marked("database", database)):
            return None
        now = {row[0] for row in _run(bench, _held(role), database=database)}
        granted = [right for right in _RIGHTS if right in now and right not in before["held"]]
        if granted:
            _run(bench, _grant("REVOKE", granted, role), database=database)
        return None


_PUBLIC = "SELECT 1 FROM pg_namespace WHERE nspname = 'public'"


def _grant(verb: str, rights: Sequence[str], role: str) -> str:
    word = "TO" if verb == "GRANT" else "FROM"
    return f"{verb} {', '.join(rights)} ON SCHEMA public {word} {identifier(role)}"


def _held(role: str) -> str:
    """The rights on schema public that are granted to the role itself; none for no such role."""
    return (
        "SELECT a.privilege_type FROM pg_namespace n, aclexplode(n.nspacl) a JOIN pg_roles r "
        f"ON r.oid = a.grantee WHERE n.nspname = 'public' AND r.rolname = {literal(role)}"
    )
