"""The platform's Postgres, one chain: server, role, login, database, the right to create tables."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.facts.admin import RoleState
from saas_doctor.facts.database import Database
from saas_doctor.model import Finding
from saas_doctor.platform import Platform
from saas_doctor.rules import check

_NOT_READY = {
    "57P03": "it is starting up or shutting down",
    "53300": "it has no connection left",
}
_REFUSED = ("28P01", "28000", "42501")
# The server's function that looks the role up: named alike in every language.
_LOOKS_UP_ROLE = "InitializeSessionUserId"


@check(
    "DB501",
    needs=("CFG903",),
    symptoms=(
        r"could not connect to server",
        r"connection to server at \S+ \(?.*port (?P<port>\d+) failed: (Connection refused|timeout)",
        r"Is the server running (on that host|locally) and accepting",
        r"Connect call failed \('[\d.]+', (?P<port>\d+)\)",
        r"could not translate host name \"(?P<host>[^\"]+)\"",
        r"OperationalError[^\n]*connection refused",
        r"the database system is (starting up|shutting down)",
        r"remaining connection slots are reserved|too many clients already",
    ),
)
def server_unreachable(database: Database, platform: Platform) -> Iterator[Finding]:
    """The Postgres server that the platform names does not answer.

    Nothing listens there, its host name is unknown, it is still starting, it has no connection
    left, or something else holds its port.

    **Detected** by one login with the address that the services use (`DATABASE_URL`; the shell's
    value counts before the one in `.env`), bounded to two seconds.
    **Silent** while it is starting up, for three seconds; and where no address is configured.
    """
    address = database.address
    if database.reached and database.state not in _NOT_READY:
        return
    found = _NOT_READY.get(database.state) or database.refusal
    yield Finding(
        f"Postgres does not answer on {address}: {found}",
        looked_at=f"{address.variable} ({address.where}): a login on {address}",
        found=f"{found}{f' (SQLSTATE {database.state})' if database.state else ''}",
        wanted="a Postgres server that answers",
        target=str(address),
        place=address.place,
        next_step=_start_command(platform)
        if not database.state
        else "wait a moment, or see what holds its connections: SELECT * FROM pg_stat_activity",
    )


def _start_command(platform: Platform) -> str:
    """How this platform's server is started; its own compose file comes first."""
    if platform.config.compose_file:
        return f"docker compose -f {platform.config.compose_file} up -d postgres, or start the system's server"
    return "sudo systemctl start postgresql (Linux), brew services start postgresql (macOS)"


@check(
    "DB502",
    needs=("DB501",),
    symptoms=(r"(role|角色) \"(?P<role>[^\"]+)\" (does not exist|不存在)",),
)
def role_missing(database: Database, role: RoleState) -> Iterator[Finding]:
    """The role that the platform logs in with does not exist on the server that answers.

    Another server may answer on that port than the one that was set up (a local one before the
    container's), or the role was never made. A server that asks for passwords says
    `password authentication failed` for a missing role too.

    **Detected** by the code of the refused login, never by its text, and by asking the server's
    catalogue through an administrative connection found on this machine.
    **Fixed** by creating the role with the password of `DATABASE_URL`, over that connection; `undo`
    drops it while it owns nothing.
    **Silent** when the role exists, whatever else is refused.
    """
    address = database.address
    if database.state not in _REFUSED:
        return
    if role.known:
        if role.role_exists and role.can_login and not role.expired:
            return
        what = "does not exist"
        if role.role_exists:
            what = "has expired (VALID UNTIL)" if role.can_login else "has no LOGIN"
    elif database.routine == _LOOKS_UP_ROLE:
        what = "does not exist, or has no LOGIN"
    else:
        return
    name = address.role
    alter = f"ALTER ROLE \"{name}\" LOGIN VALID UNTIL 'infinity'"
    yield Finding(
        f'role "{name}" {what} on the server at {address}',
        looked_at=f"a login on {address} as {name}; the catalogue, by {role.reason}",
        found=f"SQLSTATE {database.state}: {database.refusal}",
        wanted=f'a role "{name}" that may log in',
        target=name,
        place=address.place,
        next_step="saas-doctor fix --select DB502 creates it"
        if role.known and not role.role_exists
        else f"as the server's superuser: {alter if role.role_exists else 'create the role'}",
        data={"no_fix": not role.known or role.role_exists},
    )


@check(
    "DB503",
    needs=("DB502",),
    symptoms=(
        r"password authentication failed for user \"(?P<role>[^\"]+)\"",
        r"Password 认证失败",
        r"no password supplied",
        r"no pg_hba\.conf entry for host",
        r"pg_hba\.conf rejects connection",
        r"Peer authentication failed for user",
    ),
)
def login_refused(database: Database, role: RoleState) -> Iterator[Finding]:
    """The server refuses the platform's login.

    The password of `DATABASE_URL` is not the role's, or the server's rules (pg_hba.conf) do not let
    it in. Without an administrative connection nobody but the server's log can tell a wrong
    password from a missing role: the server hides it on purpose.

    **Detected** by the code of the refused login, never by its text.
    **Silent** when the role is missing: that is said first.
    """
    address = database.address
    if database.state not in _REFUSED:
        return
    if database.state == "28P01":
        what = "wrong password" if role.known else "wrong password, or the role does not exist"
        if not address.password:
            what = "no password was given, and the server asks for one"
    else:
        what = "the server's rules do not let it in (pg_hba.conf, or no CONNECT right)"
    seen = f"the role exists (asked by {role.reason})" if role.known else role.reason
    yield Finding(
        f'login of "{address.role}" on {address} is refused: {what}',
        looked_at=f"a login on {address} with {address.variable} ({address.where})",
        found=f"SQLSTATE {database.state}: {database.refusal}; {seen}",
        wanted="a login that is let in",
        target=address.role,
        place=address.place,
        next_step=f"correct the password in {address.where}, or set the role's: "
        f"psql -d postgres -c '\\password \"{address.role}\"' as the superuser",
    )


@check(
    "DB504",
    needs=("DB503",),
    symptoms=(r"(database|数据库) \"(?P<database>[^\"]+)\" (does not exist|不存在)",),
)
def database_missing(database: Database) -> Iterator[Finding]:
    """The platform's database does not exist on the server.

    **Detected** by the code of the refused login (3D000), which comes after the password was right.
    **Fixed** by creating it, owned by the platform's role, through an administrative connection
    found on this machine; `undo` drops it while it is empty.
    **Silent** when the login itself is refused: that is said first.
    """
    address = database.address
    if database.state == "3D000":
        yield Finding(
            f'database "{address.database}" does not exist on {address}',
            looked_at=f"a login on {address} with {address.variable} ({address.where})",
            found=f"SQLSTATE 3D000: {database.refusal}",
            wanted=f'a database "{address.database}" owned by "{address.role}"',
            target=address.database,
            place=address.place,
            next_step="saas-doctor fix --select DB504 creates it",
        )


@check(
    "DB505",
    needs=("DB504",),
    symptoms=(r"permission denied for schema public", r"对模式 \S+ 权限不够"),
)
def no_right_to_create(database: Database) -> Iterator[Finding]:
    """The platform's role may log in but may not create tables.

    Since Postgres 15 nobody but the database's owner may create in schema `public`; granting
    everything on the *database* does not change that, and `SELECT 1` works all the same.

    **Detected** by asking the server for the right itself, in the platform's own database.
    **Fixed** by granting USAGE and CREATE on the schema inside that database; `undo` takes back
    exactly what was granted.
    **Silent** when the role owns the database or has the right in any other way.
    """
    address = database.address
    if not database.reached or database.state or database.can_create:
        return
    there = database.has_public
    yield Finding(
        f'"{address.role}" may not create tables in schema public of "{address.database}"'
        if there
        else f'database "{address.database}" has no schema public',
        looked_at=f"has_schema_privilege on {address}, database {address.database}",
        found=f"no CREATE; the database is owned by {database.owner}",
        wanted="CREATE on schema public",
        target=f"{address.database}.public",
        place=address.place,
        next_step="saas-doctor fix --select DB505 grants it"
        if there
        else f'as the superuser, in {address.database}: CREATE SCHEMA public AUTHORIZATION "{address.role}"',
        data={"no_fix": not there},
    )
