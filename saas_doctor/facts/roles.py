"""What is known of the role that the platform logs in with, where its login was refused."""

from __future__ import annotations

from msgspec.structs import replace

from saas_doctor.facts import Fact
from saas_doctor.facts.admin import AdminConnection
from saas_doctor.facts.database import Database
from saas_doctor.facts.database_login import Trouble
from saas_doctor.facts.doors import AdminError
from saas_doctor.facts.quoting import literal
from saas_doctor.model import Absent
from saas_doctor.platform import Platform


class RoleState(Fact, frozen=True):
    """What is known of the platform's role, where its login was refused.

    `known` is False where only an administrator could tell and none was found, for the `reason`.
    `shared` says what else the role is for than the platform's own database ("" for nothing, None
    where it can't be told). `asked`: who told. `command`: how a person gets in as an administrator
    ("" where unknown).
    """

    known: bool
    reason: str = ""
    role_exists: bool = True
    can_login: bool = True
    expired: bool = False
    has_password: bool = True
    kept_as_md5: bool = False
    connections: int = -1
    shared: str | None = None
    asked: str = ""
    command: str = ""

    live = True
    limit = 18.0

    @classmethod
    def read(cls, platform: Platform, database: Database) -> RoleState:
        trouble = database.trouble
        itself = cls(True, asked="the server itself")
        if trouble is Trouble.ROLE:
            return replace(itself, role_exists=False, can_login=False)
        if trouble not in _HIDDEN:
            return itself
        try:
            admin = AdminConnection.read(platform, database)
            found = _ask(admin, database.address.role, database.address.database)
        except (Absent, AdminError) as reason:
            if trouble is Trouble.NO_LOGIN:
                return replace(itself, can_login=False)
            return cls(trouble is Trouble.ROLE_FULL, str(reason))
        return replace(found, asked=str(admin.door), command=admin.door.command)


_HIDDEN = (
    Trouble.PASSWORD, Trouble.NO_PASSWORD, Trouble.RULES, Trouble.ROLE_OR_LOGIN, Trouble.NO_LOGIN,
    Trouble.ROLE_FULL,
)  # fmt: skip
# What a role is for is told by what depends on it in each database, and by its own rights.
_ROLE = """
SELECT r.rolcanlogin, coalesce(r.rolvaliduntil < now(), false), r.rolconnlimit,
  CASE WHEN r.rolsuper OR r.rolcreaterole OR r.rolreplication OR r.rolbypassrls
      THEN 'it has rights over the whole server'
    WHEN EXISTS (SELECT FROM pg_auth_members m WHERE m.roleid = r.oid
      AND pg_get_userbyid(m.member) <> current_user) THEN 'other roles are its members'
    WHEN EXISTS (SELECT FROM pg_database d WHERE d.datdba = r.oid AND d.datname <> {database})
      THEN 'it owns another database'
    WHEN EXISTS (SELECT FROM pg_shdepend s LEFT JOIN pg_database d
        ON d.oid = CASE WHEN s.classid = 'pg_database'::regclass THEN s.objid ELSE s.dbid END
      WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = r.oid
      AND d.datname <> {database}) THEN 'it has to do with another database'
    WHEN NOT EXISTS (SELECT FROM pg_database d WHERE d.datname = {database}
      AND (d.datdba = r.oid OR EXISTS (SELECT FROM pg_shdepend s WHERE s.dbid = d.oid
        AND s.refclassid = 'pg_authid'::regclass AND s.refobjid = r.oid)))
      THEN 'nothing of the platform''s database is its own'
    WHEN EXISTS (SELECT FROM pg_stat_activity a WHERE a.usesysid = r.oid)
      THEN 'it is connected at this moment'
    ELSE '' END
FROM pg_roles r WHERE r.rolname = {role}
"""


def _ask(admin: AdminConnection, role: str, database: str) -> RoleState:
    name = literal(role)
    rows = admin.run(_ROLE.format(role=name, database=literal(database)), limit=5)
    if not rows:
        return RoleState(True, role_exists=False, can_login=False)
    login, expired, limit, shared = rows[0]
    kept = "x"
    if admin.superuser:
        query = f"SELECT coalesce(left(rolpassword, 3), '') FROM pg_authid WHERE rolname = {name}"
        kept = admin.run(query, limit=5)[0][0] or ""
    return RoleState(
        True,
        can_login=login == "t",
        expired=expired == "t",
        has_password=bool(kept),
        kept_as_md5=kept == "md5",
        connections=int(limit),
        shared=shared if admin.superuser else None,
    )
