"""Actions inside the platform's database: rights on it and on its schemas, and a schema that is missing."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from saas_doctor.actions import Action, Bench, Failed, NotApplied, Record, Refused
from saas_doctor.actions.statements import MARK, look, marked, run, same_server, start
from saas_doctor.facts.database_address import Address
from saas_doctor.facts.quoting import identifier, literal
from saas_doctor.model import Risk

_RIGHTS = ("USAGE", "CREATE")


@dataclass(frozen=True)
class GrantCreate(Action):
    """Let the platform's role create in a schema of its own database."""

    address: Address
    role: str = ""
    """Who gets the rights, where it is not the role that logs in."""
    schema: str = "public"

    order = 42
    risk = Risk.CHANGES

    @property
    def grantee(self) -> str:
        return self.role or self.address.role

    @property
    def title(self) -> str:
        schema = f'schema {self.schema} of "{self.address.database}"'
        return f'grant CREATE on {schema} to "{self.grantee}"'

    @property
    def target(self) -> Hashable:
        return str(self.address), self.address.database, self.schema, self.grantee

    def preview(self) -> str:
        statement = _grant("GRANT", _RIGHTS, self.schema, self.grantee)
        return f"{statement}  -- in database {self.address.database}"

    def before(self, bench: Bench) -> Record:
        database = self.address.database
        if not look(bench, _owner(self.schema), database=database):
            raise NotApplied(f'database "{database}" has no schema {self.schema} by now')
        held = look(bench, _held(self.schema, self.grantee), database=database)
        return {
            **start(bench, self.address),
            "role": self.grantee,
            "database": database,
            "schema": self.schema,
            "held": sorted(row[0] for row in held),
        }

    def apply(self, bench: Bench, before: Record) -> Record:
        missing = [right for right in _RIGHTS if right not in before["held"]]
        if missing:
            statement = _grant("GRANT", missing, self.schema, before["role"])
            run(bench, statement, database=before["database"])
        return {}

    def verify(self, bench: Bench) -> bool:
        query = (
            f"SELECT has_schema_privilege({literal(self.grantee)}, oid, 'CREATE') "
            f"FROM pg_namespace WHERE nspname = {literal(self.schema)}"
        )
        return run(bench, query, database=self.address.database) == [["t"]]

    @classmethod
    def undo(cls, bench: Bench, before: Record, after: Record | None) -> str | None:  # noqa: ARG003
        role, database = before["role"], before["database"]
        schema = before.get("schema", "public")
        same_server(bench, before)
        if not run(bench, marked("database", database)):
            return None
        now = {row[0] for row in run(bench, _held(schema, role), database=database)}
        granted = [right for right in _RIGHTS if right in now and right not in before["held"]]
        if granted:
            run(bench, _grant("REVOKE", granted, schema, role), database=database)
        return None


def _owner(schema: str) -> str:
    """The query for a schema's owner and comment: no row where it is not there."""
    return (
        "SELECT pg_get_userbyid(nspowner), coalesce(obj_description(oid, 'pg_namespace'), '') "
        f"FROM pg_namespace WHERE nspname = {literal(schema)}"
    )


# Default rights would go with the schema and without a word.
_SCHEMA_RIGHTS = """
SELECT 1 FROM pg_namespace n WHERE nspname = {name} AND (nspacl IS NOT NULL
  OR EXISTS (SELECT FROM pg_default_acl WHERE defaclnamespace = n.oid))
"""


def _grant(verb: str, rights: Sequence[str], schema: str, role: str) -> str:
    word = "TO" if verb == "GRANT" else "FROM"
    return f"{verb} {', '.join(rights)} ON SCHEMA {identifier(schema)} {word} {identifier(role)}"


def _held(schema: str, role: str) -> str:
    """The rights on a schema that are granted to the role itself; none for no such role."""
    return (
        "SELECT a.privilege_type FROM pg_namespace n, aclexplode(n.nspacl) a JOIN pg_roles r "
        f"ON r.oid = a.grantee WHERE n.nspname = {literal(schema)} AND r.rolname = {literal(role)}"
    )


@dataclass(frozen=True)
class GrantConnect(Action):
    """Let the platform's role connect to its database."""

    address: Address

    order = 42
    risk = Risk.CHANGES

    @property
    def title(self) -> str:
        return f'grant CONNECT on database "{self.address.database}" to "{self.address.role}"'

    @property
    def target(self) -> Hashable:
        return str(self.address), self.address.database, self.address.role

    def preview(self) -> str:
        return _connect("GRANT", self.address.database, self.address.role)

    def before(self, bench: Bench) -> Record:
        database, role = self.address.database, self.address.role
        if not look(bench, marked("database", database)):
            raise NotApplied(f'database "{database}" is not there any more')
        if look(bench, _may_connect(database, role)):
            raise NotApplied(f'"{role}" may connect to "{database}" by now')
        return {**start(bench, self.address), "role": role, "database": database}

    def apply(self, bench: Bench, before: Record) -> Record:  # noqa: ARG002
        run(bench, self.preview())
        return {}

    def verify(self, bench: Bench) -> bool:
        return bool(run(bench, _may_connect(self.address.database, self.address.role)))

    @classmethod
    def undo(cls, bench: Bench, before: Record, after: Record | None) -> str | None:  # noqa: ARG003
        database, role = before["database"], before["role"]
        same_server(bench, before)
        if run(bench, _may_connect(database, role)):
            run(bench, _connect("REVOKE", database, role))
        return None


def _connect(verb: str, database: str, role: str) -> str:
    word = "TO" if verb == "GRANT" else "FROM"
    return f"{verb} CONNECT ON DATABASE {identifier(database)} {word} {identifier(role)}"


def _may_connect(database: str, role: str) -> str:
    """The query for the right itself, granted to the role and not to everybody: a row, or none."""
    return (
        "SELECT 1 FROM pg_database d, aclexplode(d.datacl) a JOIN pg_roles r ON r.oid = a.grantee "
        f"WHERE d.datname = {literal(database)} AND r.rolname = {literal(role)} "
        "AND a.privilege_type = 'CONNECT'"
    )


@dataclass(frozen=True)
class CreateSchema(Action):
    """Create a schema in the platform's database, owned by its role."""

    address: Address
    role: str
    schema: str

    order = 42
    risk = Risk.CHANGES

    @property
    def title(self) -> str:
        return f'create schema {self.schema} in database "{self.address.database}"'

    @property
    def target(self) -> Hashable:
        return str(self.address), self.address.database, self.schema

    def preview(self) -> str:
        return f"{self._statement}  -- in database {self.address.database}"

    @property
    def _statement(self) -> str:
        return f"CREATE SCHEMA {identifier(self.schema)} AUTHORIZATION {identifier(self.role)}"

    def before(self, bench: Bench) -> Record:
        database = self.address.database
        if look(bench, _owner(self.schema), database=database):
            raise NotApplied(f"schema {self.schema} is there by now")
        return {
            **start(bench, self.address),
            "database": database,
            "schema": self.schema,
            "owner": self.role,
        }

    def apply(self, bench: Bench, before: Record) -> Record:
        comment = f"COMMENT ON SCHEMA {identifier(self.schema)} IS "
        statements = (self._statement, comment + literal(MARK.format(before["run"])))
        run(bench, "BEGIN", *statements, "COMMIT", database=before["database"])
        return {}

    def verify(self, bench: Bench) -> bool:
        return bool(run(bench, _owner(self.schema), database=self.address.database))

    @classmethod
    def undo(cls, bench: Bench, before: Record, after: Record | None) -> str | None:  # noqa: ARG003
        database, schema = before["database"], before["schema"]
        same_server(bench, before)
        if not run(bench, marked("database", database)):
            return None
        rows = run(bench, _owner(schema), database=database)
        if not rows:
            return None
        if rows[0][1] != MARK.format(before["run"]):
            raise Refused(f"schema {schema} is not the one that was made: it has no mark")
        if rows[0][0] != before.get("owner", rows[0][0]):
            raise Refused(f'schema {schema} was changed since: its owner is "{rows[0][0]}"')
        if run(bench, _SCHEMA_RIGHTS.format(name=literal(schema)), database=database):
            raise Refused(f"schema {schema} was changed since: rights were granted on it or in it")
        try:
            # Without CASCADE: it fails, and changes nothing, where anything is in it.
            run(bench, f"DROP SCHEMA {identifier(schema)}", database=database)
        except Failed as error:
            raise Refused(f'schema {schema} of "{database}" stays: {error}') from None
        return None
