"""The platform's login on its Postgres server: the role, its password, the server's rules."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.facts.database import Database
from saas_doctor.facts.database_address import Address
from saas_doctor.facts.database_login import Trouble
from saas_doctor.facts.database_others import OtherServers
from saas_doctor.facts.pools import Pool, Pools
from saas_doctor.facts.processes import Processes
from saas_doctor.facts.psql import as_superuser, asks, spelled
from saas_doctor.facts.roles import RoleState
from saas_doctor.model import Absent, Blocked, Finding, Severity
from saas_doctor.rules import check


@check(
    "DB502",
    needs=("DB508",),
    symptoms=(
        r"(role|角色) \"(?P<role>[^\"]+)\" (does not exist|不存在)",
        r"(role|角色) \"(?P<role>[^\"]+)\" (is not permitted to log in|不允许登录|不允许登陆)",
    ),
)
def role_missing(database: Database, role: RoleState, others: OtherServers) -> Iterator[Finding]:
    """The role that the platform logs in with does not exist, or may not log in.

    Another server may answer on that port than the one that was set up (a local one before the
    container's), or the role was never made. A server that asks for passwords says
    `password authentication failed` for a missing role too.

    **Detected** by the codes of the refused login, never by its text, which the server translates;
    and where the server asks for a password, by its catalogue, through an administrative connection
    found on this machine.
    **Fixed** by creating the role with the password of `DATABASE_URL` (the server is given only its
    SCRAM verifier); `undo` drops it while it owns nothing and is as it was made. A role that is
    there and has no LOGIN, or has expired, is let in again where it is the platform's alone (it owns
    the platform's database or something in it, has nothing anywhere else, and no members); `undo`
    shuts it again. Any other is left to you.
    **Silent** when the role exists and may log in, whatever else is refused; and where another
    server is the platform's (DB507).
    """
    address = database.address
    if database.server is None and others.right:
        raise Blocked("DB507", f"the platform's own server is {others.right.address}")
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
    fixable = missing or _is_ours(role)
    failure = database.failed
    steps = "creates it" if missing else "lets it in again"
    yield Finding(
        f'role "{address.role}" {what} on the server at {address}',
        looked_at=f"a login on {address} as {address.role}; asked: {role.asked or 'the server'}",
        found=failure.found,
        wanted=f'a role "{address.role}" that may log in',
        target=address.role,
        place=address.place,
        next_step=f"saas-doctor fix --select DB502 {steps}" if fixable else _let_in(address, role),
        data={
            "no_fix": not fixable,
            "missing": missing,
            "login": not role.can_login,
            "expired": role.expired,
        },
        more={"role": f"not changed by itself: {role.shared}"} if role.shared else {},
    )


def _is_ours(role: RoleState) -> bool:
    """Whether the role is the platform's alone; its own sessions may well be there still."""
    return role.shared in ("", "it is connected at this moment")


def _let_in(address: Address, role: RoleState) -> str:
    command = role.command or as_superuser(address)
    name = spelled(address.role)
    if not role.known:
        return f"see whether it is there: {asks(command, f'{chr(92)}du {name}')}"
    end = " VALID UNTIL 'infinity'" if role.expired else ""
    return asks(command, f"ALTER ROLE {name} LOGIN{end}")


_REFUSED = (
    Trouble.PASSWORD, Trouble.NO_PASSWORD, Trouble.METHOD, Trouble.POOLER, Trouble.RULES,
    Trouble.ROLE_FULL, Trouble.DATABASE_FULL, Trouble.NO_CONNECT, Trouble.CLOSED,
)  # fmt: skip


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
        r"Ident authentication failed for user",
        r"permission denied for database \"?(?P<database>\w+)",
        r"database \"(?P<database>[^\"]+)\" is not currently accepting connections",
        r"too many connections for (role|database) \"(?P<name>[^\"]+)\"",
        r"no such user|SASL authentication failed",
    ),
)
def login_refused(database: Database, role: RoleState) -> Iterator[Finding]:
    """The server refuses the platform's login.

    The password of `DATABASE_URL` is not the role's, none is given, the server's rules
    (pg_hba.conf) do not let it in, the role may not connect to the database, the database takes no
    connections, or the role or the database has as many as it may. Without an administrative
    connection nobody but the server's log can tell a wrong password from a missing role: the server
    hides it on purpose.

    **Detected** by the code of the refused login and the server's routine that gave it, never by
    its text.
    **Fixed** by giving the role the password of `DATABASE_URL`, where it is the platform's alone
    (DB502) and nobody is connected with it; by `GRANT CONNECT` where that is all that is missing.
    `undo` takes back exactly that. The server's rules, limits, and databases that were closed are
    left to you.
    **Silent** when the role is missing: that is said first.
    """
    address = database.address
    if database.trouble not in _REFUSED:
        return
    failure = database.failed
    seen = f"the role exists (asked: {role.asked})" if role.known else role.reason
    if role.shared:
        seen += f"; its password is not changed by itself: {role.shared}"
    fixable = _fixable(database, role)
    yield Finding(
        f'the login of "{address.role}" on {address} is refused: {_why(database, role)}',
        looked_at=f"a login on {address} with {address.variable} ({address.where})",
        found=failure.found,
        wanted="a login that is let in",
        target=address.role,
        place=address.place,
        next_step=_admit(database, role),
        data={"no_fix": not fixable, "grant": database.trouble is Trouble.NO_CONNECT},
        more={"role": seen},
    )


def _fixable(database: Database, role: RoleState) -> bool:
    if database.trouble is Trouble.NO_CONNECT:
        return True
    return database.trouble is Trouble.PASSWORD and role.known and role.shared == ""


def _why(database: Database, role: RoleState) -> str:
    address, trouble = database.address, database.failed.trouble
    limit = f"its limit ({role.connections})" if role.connections >= 0 else "its limit"
    words = {
        Trouble.NO_PASSWORD: "no password is given, and the server asks for one",
        Trouble.METHOD: "it is to be made in a way that passwords don't serve",
        Trouble.POOLER: "a pooler in front of the server (PgBouncer) does not take it",
        Trouble.NO_CONNECT: f'it has no CONNECT right on "{address.database}"',
        Trouble.CLOSED: f'"{address.database}" accepts no connections',
        Trouble.ROLE_FULL: f"the role has as many connections as {limit} allows",
        Trouble.DATABASE_FULL: f'"{address.database}" has as many connections as its limit allows',
    }
    if trouble in words:
        return words[trouble]
    if trouble is Trouble.RULES:
        state = database.failed.state
        rules = "the server's rules do not let it in (pg_hba.conf)"
        return rules if state == "28000" else f"SQLSTATE {state}"
    if not role.known:
        return "wrong password or missing role, the server does not tell"
    if role.kept_as_md5 and database.failed.method.startswith("scram"):
        return "its password is kept as md5, and the server's rules ask for SCRAM"
    return "wrong password" if role.has_password else "the role has no password"


def _admit(database: Database, role: RoleState) -> str:
    address, trouble = database.address, database.failed.trouble
    command = role.command or as_superuser(address)
    name, base = spelled(address.role), spelled(address.database)
    if _fixable(database, role):
        what = "grants it" if trouble is Trouble.NO_CONNECT else f"sets that of {address.where}"
        return f"saas-doctor fix --select DB503 {what}"
    words = {
        Trouble.CLOSED: asks(command, f"ALTER DATABASE {base} ALLOW_CONNECTIONS true"),
        Trouble.ROLE_FULL: "end some, or raise it: "
        + asks(command, f"ALTER ROLE {name} CONNECTION LIMIT -1"),
        Trouble.DATABASE_FULL: "end some, or raise it: "
        + asks(command, f"ALTER DATABASE {base} CONNECTION LIMIT -1"),
        Trouble.RULES: f"see its rules: {asks(command, 'SELECT * FROM pg_hba_file_rules')}",
        Trouble.METHOD: f"see its rules: {asks(command, 'SELECT * FROM pg_hba_file_rules')}",
        Trouble.POOLER: f"add {name} and {base} to the pooler's pgbouncer.ini and userlist.txt, or "
        f"name the server itself in {address.where}",
    }
    if trouble in words:
        return words[trouble]
    change = asks(f"{command} -d postgres", f"\\password {name}")
    either = f"correct the one in {address.where}, or set the role's with {change}"
    if role.known:
        return either
    listed = asks(command, "\\du")
    made = asks(command, f"CREATE ROLE {name} LOGIN")
    return f"{either}; if `{listed}` lists no {name}: {made}"


@check(
    "DB509",
    severity=Severity.WARNING,
    needs=("DB504",),
    symptoms=(r"too many connections for (role|database) \"(?P<name>[^\"]+)\"",),
)
def limits_below_the_pools(
    database: Database, pools: Pools, processes: Processes
) -> Iterator[Finding]:
    """The server grants the platform fewer connections than its services' pools may ask for.

    The role or the database has a CONNECTION LIMIT, or the running server takes fewer than it does
    by default, or others hold most of them. Pools fill only as they are used, so it fails under
    load.

    **Detected** by the platform's own login: the limits of its role, its database and the server,
    and how many connections others hold at the moment; beside the pools and the processes of the
    services, as PERF901 counts them.
    **To mend** choose smaller pools, or raise the limit: the finding gives the statement.
    **Silent** without limits, for pools whose sizes can't be told or have none, for a superuser, and
    where the server has the number that PERF901 counts with.
    """
    server, address = database.server, database.address
    if server is None or server.superuser:
        return
    wanted = _demand([pool for pool in pools.found if pool.host in ("", address.host)], processes)
    role, base = spelled(server.role), spelled(server.database)
    limits = [
        (server.role_limit, f'role "{server.role}"', f"ALTER ROLE {role} CONNECTION LIMIT -1"),
        (
            server.database_limit,
            f'database "{server.database}"',
            f"ALTER DATABASE {base} CONNECTION LIMIT -1",
        ),
    ]
    counted = pools.server(address.host)
    if counted is None or counted.maximum != server.max_connections:
        left = max(0, server.max_connections - server.reserved - server.in_use)
        step = "ALTER SYSTEM SET max_connections = 200"
        limits.append((left, f"the server at {address}", step))
    limit, words, statement = min((x for x in limits if x[0] >= 0), default=(-1, "", ""))
    if wanted <= limit or limit < 0:
        return
    yield Finding(
        f"the services' pools may ask for {wanted} connections, and {words} has {limit} for them",
        looked_at=f"a login on {address}; the pools and processes that PERF901 counts",
        found=f"max_connections {server.max_connections} - {server.reserved} reserved - "
        f"{server.in_use} in use; limit of the role {server.role_limit}, of the database "
        f"{server.database_limit} (-1: none)",
        wanted=f"at least {wanted}",
        target=f"{server.database}.connections",
        place=address.place,
        next_step=f"choose smaller pools, or: {asks(as_superuser(address), statement)}",
        data={"no_fix": True},
    )


def _demand(pools: list[Pool], processes: Processes) -> int:
    """The most connections that the pools open in all their processes; 0 where it can't be told."""
    total = 0
    for pool in pools:
        if pool.connections is None:
            return 0
        total += pool.connections * sum(a.processes for a in processes.with_module(pool.module))
    return total
