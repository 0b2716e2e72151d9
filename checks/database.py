"""The platform's Postgres, one chain: server, role, login, database, the right to create tables."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from saas_doctor.facts.admin import RoleState
from saas_doctor.facts.database import UNREACHED, Address, Database, Trouble
from saas_doctor.model import Absent, Finding
from saas_doctor.rules import check

_WORDS = {
    Trouble.REFUSED: "nothing listens there",
    Trouble.UNKNOWN_HOST: "its host name is unknown",
    Trouble.UNREACHABLE: "no answer",
    Trouble.SILENT: "something accepts the connection and is silent",
    Trouble.FOREIGN: "something else than Postgres answers",
    Trouble.STARTING: "it is starting up or shutting down",
    Trouble.FULL: "it has no connection left",
    Trouble.CLIENT: "the connection can't be made as the address asks for it",
}


@check(
    "DB501",
    needs=("CFG903",),
    symptoms=(
        r"could not connect to server",
        r"connection to server at \S+ \(?.*port (?P<port>\d+) failed: (Connection refused|timeout)",
        r"Is the server running (on that host|locally) and accepting",
        r"Connect call failed \('[\d.]+', (?P<port>\d+)\)",
        r"could not translate host name \"(?P<host>[^\"]+)\"",
        r"failed to resolve host '(?P<host>[^']+)'",
        r"OperationalError[^\n]*connection refused",
        r"the database system is (starting up|shutting down)",
        r"remaining connection slots are reserved|too many clients already",
    ),
)
def server_unreachable(database: Database) -> Iterator[Finding]:
    """The Postgres server that the platform names does not answer.

    Nothing listens there, its host name is unknown, it is still starting, it has no connection
    left, or something else holds its port.

    **Detected** by one login with the address that the services use (`DATABASE_URL`; the shell's
    value counts before the one in `.env`), bounded to two seconds. `localhost` is tried by IPv6 and
    IPv4, as the drivers do.
    **Silent** while a just started server takes a moment; where a login is refused (DB502 to DB504
    say why); and where no address is configured.
    """
    address = database.address
    if database.trouble not in UNREACHED:
        return
    failure = database.failed
    yield Finding(
        f"Postgres does not answer on {address}: {_WORDS[failure.trouble]}",
        looked_at=f"{address.variable} ({address.where}): a login on {address}",
        found=failure.found,
        wanted="a Postgres server that lets the platform log in",
        target=str(address),
        place=address.place,
        next_step=_way_out(database, failure.trouble),
    )


def _way_out(database: Database, trouble: Trouble) -> str:
    address = database.address
    if trouble in (Trouble.SILENT, Trouble.FOREIGN):
        seen = f"ss -ltnp 'sport = :{address.port}'"
        if sys.platform != "linux":
            seen = f"lsof -nP -iTCP:{address.port} -sTCP:LISTEN"
        return f"see what holds the port: {seen}; then end it or correct {address.where}"
    if trouble is Trouble.STARTING:
        return f"wait until this says so: pg_isready -h {address.host} -p {address.port}"
    if trouble is Trouble.FULL:
        rest = "-c 'SELECT usename, application_name, count(*) FROM pg_stat_activity GROUP BY 1, 2'"
        return f"see who holds its connections: {_as_superuser(address)} {rest}"
    if trouble is Trouble.CLIENT:
        return f"correct {address.variable} in {address.where} (sslmode and the like)"
    return database.start


def _as_superuser(address: Address) -> str:
    """The usual way in as the server's superuser, where none was found."""
    where = f"-h {address.host} " if address.is_socket else ""
    if sys.platform == "linux":
        return f"sudo -u postgres psql {where}-p {address.port}"
    return f"psql {where}-p {address.port} -d postgres"


def _name(role: str) -> str:
    """A role's name as psql wants it."""
    return role if re.fullmatch(r"[a-z_][a-z0-9_]*", role) else f'"{role}"'


@check(
    "DB502",
    needs=("DB501",),
    symptoms=(r"(role|角色) \"(?P<role>[^\"]+)\" (does not exist|不存在)",),
)
def role_missing(database: Database, role: RoleState) -> Iterator[Finding]:
    """The role that the platform logs in with does not exist, or may not log in.

    Another server may answer on that port than the one that was set up (a local one before the
    container's), or the role was never made. A server that asks for passwords says
    `password authentication failed` for a missing role too.

    **Detected** by the codes of the refused login, never by its text, which the server translates;
    and where the server asks for a password, by its catalogue, through an administrative connection
    found on this machine.
    **Fixed** by creating the role with the password of `DATABASE_URL` (the server is given only its
    SCRAM verifier); `undo` drops it while it owns nothing and is as it was made. A role that is
    there and may not log in is left to you.
    **Silent** when the role exists and may log in, whatever else is refused.
    """
    address = database.address
    if database.trouble is Trouble.ROLE_OR_LOGIN and not role.known:
        what = "does not exist, or has no LOGIN"
    elif not role.known:
        # Neither found nor well: DB503 says what may be.
        raise Absent(f"the server does not tell whether the role exists; {role.reason}")
    elif not role.role_exists:
        what = "does not exist"
    elif not role.can_login:
        what = "has no LOGIN"
    elif role.expired:
        what = "has expired (VALID UNTIL)"
    else:
        return
    missing = role.known and not role.role_exists
    failure = database.failed
    yield Finding(
        f'role "{address.role}" {what} on the server at {address}',
        looked_at=f"a login on {address} as {address.role}; asked: {role.asked or 'the server'}",
        found=failure.found,
        wanted=f'a role "{address.role}" that may log in',
        target=address.role,
        place=address.place,
        next_step="saas-doctor fix --select DB502 creates it"
        if missing
        else _let_in(address, role, expired=role.expired),
        data={"no_fix": not missing},
    )


def _let_in(address: Address, role: RoleState, *, expired: bool) -> str:
    command = role.command or _as_superuser(address)
    if not role.known:
        return f"see whether it is there: {command} -c '\\du {_name(address.role)}'"
    end = " VALID UNTIL 'infinity'" if expired else ""
    return f'{command} -c "ALTER ROLE {_name(address.role)} LOGIN{end}"'.replace('""', '"')


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

    The password of `DATABASE_URL` is not the role's, none is given, or the server's rules
    (pg_hba.conf) do not let it in. Without an administrative connection nobody but the server's log
    can tell a wrong password from a missing role: the server hides it on purpose.

    **Detected** by the code of the refused login, never by its text.
    **Silent** when the role is missing: that is said first.
    """
    address = database.address
    if database.trouble not in (Trouble.PASSWORD, Trouble.NO_PASSWORD, Trouble.RULES):
        return
    failure = database.failed
    seen = f"the role exists (asked: {role.asked})" if role.known else role.reason
    yield Finding(
        f'the login of "{address.role}" on {address} is refused: {_why(database, role)}',
        looked_at=f"a login on {address} with {address.variable} ({address.where})",
        found=failure.found,
        wanted="a login that is let in",
        target=address.role,
        place=address.place,
        next_step=_admit(database, role),
        more={"role": seen},
    )


def _why(database: Database, role: RoleState) -> str:
    state = database.failed.state
    if database.trouble is Trouble.NO_PASSWORD:
        return "no password is given, and the server asks for one"
    if database.trouble is Trouble.RULES:
        return {
            "28000": "the server's rules do not let it in (pg_hba.conf)",
            "42501": f'it has no CONNECT right on "{database.address.database}"',
            "55000": f'"{database.address.database}" accepts no connections',
        }.get(state, f"SQLSTATE {state}")
    if not role.known:
        return "wrong password or missing role, the server does not tell"
    return "wrong password" if role.has_password else "the role has no password"


def _admit(database: Database, role: RoleState) -> str:
    address = database.address
    command = role.command or _as_superuser(address)
    name, state = _name(address.role), database.failed.state
    if database.trouble is Trouble.RULES:
        if state == "42501":
            return f"{command} -c 'GRANT CONNECT ON DATABASE {_name(address.database)} TO {name}'"
        if state == "55000":
            return f"{command} -c 'ALTER DATABASE {_name(address.database)} ALLOW_CONNECTIONS true'"
        return f"see its rules: {command} -c 'SELECT * FROM pg_hba_file_rules'"
    change = f"{command} -d postgres -c '\\password {name}'"
    either = f"correct the one in {address.where}, or set the role's with {change}"
    if role.known:
        return either
    return f"{either}; if `{command} -c '\\du'` lists no {name}: {command} -c 'CREATE ROLE {name} LOGIN'"


@check(
    "DB504",
    needs=("DB503",),
    symptoms=(r"(database|数据库) \"(?P<database>[^\"]+)\" (does not exist|不存在)",),
)
def database_missing(database: Database) -> Iterator[Finding]:
    """The platform's database does not exist on the server.

    **Detected** by the code of the refused login (3D000), which comes after the password was right.
    **Fixed** by creating it, owned by the platform's role, through an administrative connection
    found on this machine; `undo` drops it while it is empty and nobody is connected to it.
    **Silent** when the login itself is refused: that is said first.
    """
    address = database.address
    if database.trouble is Trouble.DATABASE:
        yield Finding(
            f'database "{address.database}" does not exist on {address}',
            looked_at=f"a login on {address} with {address.variable} ({address.where})",
            found=database.failed.found,
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

    **Detected** by asking the server for the right itself, in the platform's own database and by
    the platform's own login.
    **Fixed** by granting USAGE and CREATE on the schema inside that database; `undo` takes back
    exactly what was granted.
    **Silent** when the role has the right in any way, or in a schema of its own; and where it works
    on tables that another role made (migrations run by that one).
    """
    address, server = database.address, database.server
    if server is None or server.can_create or server.uses_others:
        return
    schema = server.schema or "public"
    there = schema != "public" or server.has_public
    fixable = schema == "public" and there
    name, login = _name(server.database), _name(server.role)
    command = f"{_as_superuser(address)} -d {name}"
    next_step = "saas-doctor fix --select DB505 grants it"
    if not there:
        next_step = f"{command} -c 'CREATE SCHEMA public AUTHORIZATION {login}'"
    elif not fixable:
        next_step = f"{command} -c 'GRANT USAGE, CREATE ON SCHEMA {_name(schema)} TO {login}'"
    yield Finding(
        f'"{server.role}" may not create tables in schema {schema} of "{server.database}"'
        if there
        else f'database "{server.database}" has no schema public',
        looked_at=f"has_schema_privilege on {address}, database {server.database}",
        found=f"no CREATE; the database is owned by {server.owner} (Postgres {server.version // 10000})",
        wanted=f"CREATE on schema {schema}",
        target=f"{server.database}.{schema}",
        place=address.place,
        next_step=next_step,
        data={"no_fix": not fixable},
    )
