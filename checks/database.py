"""The platform's Postgres server: whether it answers, by TLS or without, and whether it can write."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from saas_doctor.facts.database import Database
from saas_doctor.facts.database_address import Address, with_server
from saas_doctor.facts.database_login import NO_TLS, UNREACHED, Trouble
from saas_doctor.facts.database_others import Other, OtherServers
from saas_doctor.facts.dotenv import EnvFile
from saas_doctor.facts.psql import as_superuser, asks, spelled
from saas_doctor.facts.stopped_servers import StoppedServers
from saas_doctor.model import Finding, Severity
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
        r"the database system is not (yet )?accepting connections",
        r"remaining connection slots are reserved|too many clients already",
        r"received invalid response to SSL negotiation",
        r"Could not determine version from string 'CockroachDB",
    ),
)
def server_unreachable(
    database: Database, others: OtherServers, stopped: StoppedServers, env: EnvFile
) -> Iterator[Finding]:
    """The Postgres server that the platform names does not answer.

    Nothing listens there, its host name is unknown, it is still starting, it has no connection
    left, or something else holds its port.

    **Detected** by one login with the address that the services use (`DATABASE_URL`; the shell's
    value counts before the one in `.env`), bounded to two seconds. `localhost` is tried by IPv6 and
    IPv4, as the drivers do. What answers in a server's place is named: a web server, Redis, MySQL,
    MariaDB, MongoDB, SSH, CockroachDB.
    **Fixed** by the port of the compose file's own server in the settings file, where that one lets
    the platform in as it is; else by starting the one server that stands still and would listen
    there: the container of the platform's compose project, the system's cluster (Debian and
    Ubuntu), or Homebrew's. `undo` brings the former address back, and stops the server while nobody uses it.
    **Silent** while a just started server takes a moment; where a login is refused (DB502 to DB504
    say why), or TLS is what keeps it out (DB508); and where no address is configured.
    """
    address = database.address
    if database.trouble not in UNREACHED:
        return
    failure = database.failed
    words = _WORDS[failure.trouble]
    if failure.product:
        words = f"{failure.product} answers, which is no Postgres"
    right = _rewritten(address, others.right, env)
    starts = bool(not others.right and stopped.meant and stopped.meant.allowed)
    step = _way_out(database, failure.trouble)
    if others.right:
        step = f"name {others.right.address} in {address.where}: {others.right.words} lets it in"
        step = f"saas-doctor fix --select DB501 names {others.right.address}" if right else step
    elif stopped.meant:
        step = stopped.meant.command
        step = f"saas-doctor fix --select DB501 starts {stopped.meant.words}" if starts else step
    yield Finding(
        f"Postgres does not answer on {address}: {words}",
        looked_at=f"{address.variable} ({address.where}): a login on {address}",
        found=failure.found,
        wanted="a Postgres server that lets the platform log in",
        target=str(address),
        place=address.place,
        next_step=step,
        data={
            "no_fix": not (right or starts),
            "address": right,
            "risk": "safe" if right else "changes",
        },
    )


def _rewritten(address: Address, other: Other | None, env: EnvFile) -> str:
    """The settings file's address with the other server in it; "" where it can't be written there."""
    setting = env.there.find(address.variable) if env.there and address.place else None
    if other is None or setting is None or not (env.there and env.there.says_plainly(setting)):
        return ""
    return with_server(setting.value, other.address.host, other.address.port) or ""


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
        rest = "SELECT usename, application_name, count(*) FROM pg_stat_activity GROUP BY 1, 2"
        return f"see who holds its connections: {asks(as_superuser(address), rest)}"
    if trouble is Trouble.CLIENT:
        file = f"correct {address.variable} in {address.where} (sslmode and the like)"
        return f"unset {' '.join(address.shell)}; or {file}" if address.shell else file
    # The platform's own, which `up` also starts where there is no Docker.
    own = database.start.startswith("docker compose ")
    return f"saas-doctor up (by hand: {database.start})" if own else database.start


@check(
    "DB507",
    needs=("DB508",),
)
def another_server_answers(
    database: Database, others: OtherServers, env: EnvFile
) -> Iterator[Finding]:
    """Another Postgres server answers than the one that was set up for the platform.

    A server of the system and one of a container share a port (one at 127.0.0.1, the other at ::1),
    or the address names the port of the one while the role and the database are on the other. What
    is missing "for no reason" is then there, on the other server.

    **Detected** by the platform's own login at every address of its host, and, where it is refused,
    at the port that the compose file publishes; two answers are two servers where their system
    identifiers differ.
    **Fixed** where the one that answers refuses the platform and the other one lets it in, by that
    one's address in the settings file; `undo` brings the former one back. Where both let it in,
    it is a warning: which of the two holds the data only you know.
    **Silent** where both addresses lead to one server, and for servers that the platform's login
    does not lead to.
    """
    address, server, other = database.address, database.server, others.right
    if other is None or database.trouble in UNREACHED:
        return
    there = f"{other.address} (Postgres {other.server.version // 10000}, {other.words})"
    answering = database.endpoint.name if database.endpoint else str(address)
    right = "" if server else _rewritten(address, other, env)
    step = f"name the server that is meant in {address.where}: {answering} or {other.address}"
    if not server:
        step = f"name {other.address} in {address.where}"
    yield Finding(
        f"{address} leads to two servers that both let the platform in: {answering} and {there}"
        if server
        else f"the server that answers at {answering} refuses the platform, and another one lets it "
        f"in: {there}",
        looked_at=f"{address.variable} ({address.where}): a login on each address of {address.host}",
        found=f"{answering}: system {server.system}; {other.address}: system {other.server.system}"
        if server
        else database.failed.found,
        wanted="an address that leads to the platform's own server",
        target=str(address),
        place=address.place,
        severity=Severity.WARNING if server else None,
        next_step=f"saas-doctor fix --select DB507 names {other.address}" if right else step,
        data={"no_fix": not right, "address": right},
    )


_TLS = {
    Trouble.TLS_MISSING: "the address demands TLS, and the server has none",
    Trouble.TLS_WANTED: "the server lets in by TLS only, and the address forbids it",
    Trouble.TLS_UNWANTED: "the address demands TLS, and the server's rules let in without it only",
    Trouble.TLS_NO_ROOT: "the file with the authority for its certificate is not there",
    Trouble.TLS_UNTRUSTED: "the server's certificate is not one that the address takes",
}


@check(
    "DB508",
    needs=("DB501",),
    symptoms=(
        r"server does not support SSL, but SSL was required",
        r"rejected SSL upgrade",
        r"no pg_hba\.conf entry for host .*, (no encryption|SSL off)",
        r"SSL error: certificate verify failed",
        r"server certificate for \"[^\"]+\" does not match host name",
        r"root certificate file \"[^\"]+\" does not exist",
    ),
)
def tls_not_agreed(database: Database) -> Iterator[Finding]:
    """The platform's address and the server do not agree about TLS.

    `sslmode=require` against a server without TLS, `sslmode=disable` against one that lets in by
    TLS only, or a certificate that `sslmode=verify-full` does not take: no service gets in.

    **Detected** by what the server answers to the question for TLS, and by a second login the other
    way where its rules refuse the first.
    **Fixed** on this machine, where TLS protects nothing, by `sslmode=prefer` in the settings file:
    with TLS where the server has it. `undo` brings the former address back. To a server elsewhere
    it is left to you: to send the data in the open, or to trust a certificate, is no repair.
    **Silent** where either way leads in.
    """
    trouble = database.trouble
    if trouble not in NO_TLS:
        return
    address = database.address
    shell = "PGSSLMODE" in address.shell
    fixable = address.is_local and not (address.is_socket or shell) and bool(address.place)
    step = {
        Trouble.TLS_MISSING: "turn TLS on at the server (ssl = on, with a certificate), or write "
        f"sslmode=prefer in {address.where} if the way there is safe",
        Trouble.TLS_WANTED: f"write sslmode=require in {address.where}",
        Trouble.TLS_UNWANTED: "have its rules let TLS in (host or hostssl in place of hostnossl): "
        + asks(as_superuser(address), "SELECT * FROM pg_hba_file_rules"),
        Trouble.TLS_NO_ROOT: "name the file with the authority that signed the certificate: "
        f"sslrootcert=FILE in {address.where}",
        Trouble.TLS_UNTRUSTED: "name the authority that signed the certificate: sslrootcert=FILE in "
        f"{address.where}, and a host name that the certificate holds",
    }[database.failed.trouble]
    yield Finding(
        f"no login on {address}: {_TLS[database.failed.trouble]}",
        looked_at=f"{address.said_at('sslmode')}: sslmode={address.tls_mode}",
        found=database.failed.found,
        wanted="TLS on both sides, or on neither",
        target=str(address),
        place=address.place_of("sslmode"),
        next_step="saas-doctor fix --select DB508 writes sslmode=prefer"
        if fixable
        else f"unset PGSSLMODE; or {step}"
        if shell
        else step,
        data={"no_fix": not fixable},
    )


@check(
    "DB506",
    needs=("DB504",),
    symptoms=(
        r"cannot execute (?P<command>[A-Z ]+) in a read-only transaction",
        r"ReadOnlySqlTransaction",
        r"不能在一个?只读(模式的)?事务中执行",
    ),
)
def server_only_reads(database: Database) -> Iterator[Finding]:
    """The server, or the platform's part of it, takes no writes.

    A standby follows another server and only reads. On any server, `default_transaction_read_only`
    makes every transaction one that only reads. Logins and queries work; sign-ups and the services'
    registration fail.

    **Detected** by the platform's own login: whether the server is in recovery, and whether the
    setting is on, with where it was set (the role, the database, the server's file, the address).
    **To mend** name the primary in the address, or take the setting back: the finding names where.
    **Silent** on a server that writes, whatever single transactions are set to.
    """
    address, server = database.address, database.server
    if server is None or not (server.standby or server.read_only):
        return
    if server.standby:
        found = "a standby, in recovery"
        step = (
            f"write the primary's address in {address.where}; or, if this server is to become it: "
            + asks(as_superuser(address), "SELECT pg_promote()")
        )
    else:
        found = f"default_transaction_read_only is on (set in: {server.read_only})"
        step = _writable(database, server.read_only)
    yield Finding(
        f"the server at {address} only reads: {found}",
        looked_at=f"a login on {address}, database {server.database}",
        found=found,
        wanted="a server that takes writes",
        target=str(address),
        place=address.place_of("options") if server.read_only == "client" else address.place,
        next_step=step,
        data={"no_fix": True},
    )


def _writable(database: Database, source: str) -> str:
    server, address = database.server, database.address
    assert server
    role, name = spelled(address.role), spelled(server.database)
    of = {
        "user": f"ALTER ROLE {role}",
        "database": f"ALTER DATABASE {name}",
        "database user": f"ALTER ROLE {role} IN DATABASE {name}",
    }.get(source)
    if of:
        return asks(as_superuser(address), f"{of} RESET default_transaction_read_only")
    if source == "client":
        return f"take default_transaction_read_only out of {address.said_at('options')}"
    return "take default_transaction_read_only out of the server's settings: " + asks(
        as_superuser(address), "SHOW config_file"
    )
