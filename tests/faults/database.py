"""Faults of the platform's Postgres server: it does not answer, TLS is not agreed on, it only reads."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from tests.faults import Copy, Fault, Healthy, Inject, both, replace, setenv, sql
from tests.testbed import states
from tests.testbed.ports import black_hole, free_port, listener
from tests.testbed.states import at_port

ENV = "backend/.env"


def logs_in(copy: Copy) -> bool:
    """Whether the core service comes in."""
    return copy.imports(
        "from shared.database import get_engine as e\nwith e().connect() as c: pass"
    )


def writes(copy: Copy) -> bool:
    """Whether the core service could make its tables."""
    return copy.imports(
        "from shared.database import get_engine as e; from sqlalchemy import text\n"
        "with e().connect() as c: c.execute(text('CREATE TABLE probe (id int)'))"
    )


def wrong_port(copy: Copy) -> None:
    at_port(copy, 9)


def on_port(serve: Callable[[int], AbstractContextManager[object]]) -> Inject:
    """Something else on the port that the address names."""

    def inject(copy: Copy) -> AbstractContextManager[object]:
        port = free_port()
        at_port(copy, port)
        return serve(port)

    return inject  # type: ignore[return-value]


def compose_port(copy: Copy) -> None:
    """Nothing listens where the address says; the compose file publishes the server elsewhere."""
    states.published_at(copy, copy.cluster.port)
    wrong_port(copy)


def redis(copy: Copy) -> None:
    at_port(copy, int(copy.redis_url.rpartition(":")[2].partition("/")[0]))


def host(name: str) -> Inject:
    return lambda copy: replace(ENV, "@127.0.0.1:", f"@{name}:")(copy)


def psycopg2_form(copy: Copy) -> None:
    replace(ENV, "postgresql://", "postgresql+psycopg2://")(copy)


def by_socket(copy: Copy) -> None:
    replace(ENV, f"@127.0.0.1:{copy.cluster.port}/{copy.database}", f"@/{copy.database}")(copy)
    where = f"?host={copy.cluster.socket_dir}&port={copy.cluster.port}"
    replace(ENV, f"@/{copy.database}", f"@/{copy.database}{where}")(copy)


def option(text: str) -> Inject:
    """An option at the end of the address."""
    return lambda copy: replace(
        ENV, f":{copy.cluster.port}/{copy.database}", f":{copy.cluster.port}/{copy.database}?{text}"
    )(copy)


def shell_is_right(copy: Copy) -> None:
    url = copy.cluster.url(copy.role, copy.password, copy.database)
    setenv(DATABASE_URL=url)(copy)
    wrong_port(copy)


READ_ONLY = "SET default_transaction_read_only = on"
TLS_ONLY = "hostnossl {who} 127.0.0.1/32 reject"
NO_TLS_ONLY = "hostssl {who} 127.0.0.1/32 reject"
DB = "server"
SETTINGS = ("CFG901",)
"""Faults after which there is no settings file to write into."""
PLACES = ("CFG", "DOCK", "NET")
"""Faults that change the compose file or the addresses, as these do."""

NATIVE = ("NET409",)
"""What runs at the published port is no container, which the tests don't start for this."""

ENTRIES = [
    Fault("DB501", "nothing on the port", wrong_port, fixed=False, target="127.0.0.1:9"),
    Fault("DB501", "silent port", on_port(black_hole), fixed=False),
    Fault("DB501", "web server on the port", on_port(listener), fixed=False),
    Fault("DB501", "Redis on the port", redis, fixed=False),
    Fault(
        "DB501", "MariaDB on the port", states.stranger(states.MARIADB, at_once=True), fixed=False
    ),
    Fault("DB501", "MySQL on the port", states.stranger(states.MYSQL, at_once=True), fixed=False),
    Fault("DB501", "CockroachDB on the port", states.stranger(states.COCKROACH), fixed=False),
    Fault("DB501", "host of the compose network", host("postgres.invalid"), fixed=False),
    Fault("DB501", "shutting down", states.stopping, fixed=False),
    Fault(
        "DB501", "standby that lets nobody in", lambda c: states.standby(c, hot=False), fixed=False
    ),
    Fault("DB501", "no connection left", states.full(6), fixed=False),
    Fault(
        "DB501",
        "port of compose is another",
        compose_port,
        also=NATIVE,
        works=logs_in,
        group=DB,
        against=PLACES,
    ),
    Fault(
        "DB501",
        "the system's cluster is down",
        states.stopped_by_debian,
        works=logs_in,
        group=DB,
        against=PLACES,
    ),
    Fault(
        "DB507",
        "a server that knows nobody",
        states.other_named(),
        also=NATIVE,
        works=logs_in,
        group=DB,
        against=PLACES,
    ),
    Fault(
        "DB507",
        "a server with the role and no database",
        states.other_named("CREATE ROLE {role} LOGIN PASSWORD 'role-secret'"),
        also=NATIVE,
        works=logs_in,
        group=DB,
        against=PLACES,
    ),
    Fault(
        "DB507",
        "a server with the role and another password",
        states.other_named("CREATE ROLE {role} LOGIN PASSWORD 'x'", "CREATE DATABASE {database}"),
        also=NATIVE,
        works=logs_in,
        group=DB,
        against=PLACES,
    ),
    Fault("DB506", "a standby", states.standby, fixed=False),
    Fault("DB506", "role that only reads", sql(f"ALTER ROLE {{role}} {READ_ONLY}"), fixed=False),
    Fault(
        "DB506",
        "database that only reads",
        sql(f"ALTER DATABASE {{database}} {READ_ONLY}"),
        fixed=False,
    ),
    Fault(
        "DB506",
        "role that only reads in this database",
        sql(f"ALTER ROLE {{role}} IN DATABASE {{database}} {READ_ONLY}"),
        fixed=False,
    ),
    Fault(
        "DB506",
        "address that only reads",
        option("options=-c%20default_transaction_read_only%3Don"),
        fixed=False,
    ),
    Fault(
        "DB508",
        "TLS demanded, not there",
        option("sslmode=require"),
        works=logs_in,
        group=DB,
        against=SETTINGS,
    ),
    Fault(
        "DB508",
        "TLS to be verified, not there",
        option("sslmode=verify-full"),
        works=logs_in,
        group=DB,
        against=SETTINGS,
    ),
    Fault(
        "DB508",
        "TLS forbidden, the server wants it",
        states.also(states.together(states.tls, states.hba(TLS_ONLY)), option("sslmode=disable")),
        works=logs_in,
        group=DB,
        against=SETTINGS,
    ),
    Fault(
        "DB508",
        "TLS demanded, the server's rules refuse it",
        states.also(
            states.together(states.tls, states.hba(NO_TLS_ONLY)), option("sslmode=require")
        ),
        works=logs_in,
        group=DB,
        against=SETTINGS,
    ),
    Fault(
        "DB508",
        "certificate of an unknown authority",
        states.also(states.tls, option("sslmode=verify-full")),
        works=logs_in,
        group=DB,
        against=SETTINGS,
    ),
    Fault(
        "DB508",
        "an authority whose file is not there",
        states.also(states.tls, option("sslmode=verify-full&sslrootcert=/nowhere/root.pem")),
        works=logs_in,
        group=DB,
        against=SETTINGS,
    ),
    Fault("DB508", "TLS demanded by the shell", setenv(PGSSLMODE="require"), fixed=False),
    Fault(
        "DB506",
        "reads only by a variable of the shell",
        setenv(PGOPTIONS="-c default_transaction_read_only=on"),
        fixed=False,
    ),
    Fault(
        "DB501",
        "the server listens by IPv6 alone",
        lambda copy: states.moved(copy, listen_addresses="::1"),  # type: ignore[arg-type,return-value]
        works=logs_in,
        group=DB,
        against=PLACES,
    ),
    Healthy("DB501", "the driver named in the address", psycopg2_form),
    Healthy("DB501", "by the socket", by_socket),
    Healthy("DB501", "localhost for 127.0.0.1", host("localhost")),
    Healthy("DB501", "the shell's address is right, the file's is not", shell_is_right),
    Healthy("DB501", "nearly full", states.sessions(5)),
    Healthy("DB507", "a name of both IP versions, and one server", host("localhost")),
    # No DB507: the settings lead to the platform's own server.
    Fault("NET409", "a second server where compose publishes", states.other_published, fixed=False),
    Healthy(
        "DB506",
        "reads only where asked to",
        sql("ALTER ROLE {role} SET default_transaction_isolation = 'repeatable read'"),
    ),
    Healthy(
        "DB506",
        "a writing role beside a reading one",
        sql("CREATE ROLE {role}_2", f"ALTER ROLE {{role}}_2 {READ_ONLY}"),
    ),
    Healthy(
        "DB506",
        "the server only reads, the role writes",
        both(
            sql(f"ALTER DATABASE {{database}} {READ_ONLY}"),
            sql("ALTER ROLE {role} IN DATABASE {database} SET default_transaction_read_only = off"),
        ),
    ),
    Healthy("DB508", "TLS preferred, not there", option("sslmode=prefer")),
    Healthy("DB508", "TLS demanded and there", states.also(states.tls, option("sslmode=require"))),
    Healthy(
        "DB508", "TLS forbidden, and not needed", states.also(states.tls, option("sslmode=disable"))
    ),
    Healthy("DB508", "TLS only, and preferred", states.together(states.tls, states.hba(TLS_ONLY))),
    Healthy(
        "DB508",
        "without TLS only, and preferred",
        states.together(states.tls, states.hba(NO_TLS_ONLY)),
    ),
]
