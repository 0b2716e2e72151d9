"""Faults of the platform's Postgres, made on a real server."""

from __future__ import annotations

from contextlib import AbstractContextManager
from urllib.parse import quote

from tests.faults import Copy, Fault, Healthy, Inject, both, replace, setenv, sql
from tests.testbed.ports import black_hole, free_port, listener

DROP_DATABASE = "DROP DATABASE {database} WITH (FORCE)"
DROP_ROLE = "DROP ROLE {role}"
TO_SUPERUSER = "ALTER DATABASE {database} OWNER TO postgres"
ENV = "backend/.env"


def creates_tables(copy: Copy) -> bool:
    """Whether the core service could make its tables."""
    return copy.imports(
        "from shared.database import get_engine as e; from sqlalchemy import text\n"
        "with e().connect() as c: c.execute(text('CREATE TABLE probe (id int)'))"
    )


def at_port(copy: Copy, port: int) -> None:
    replace(ENV, f":{copy.cluster.port}/", f":{port}/")(copy)


def wrong_port(copy: Copy) -> None:
    at_port(copy, 9)


def silent_port(copy: Copy) -> AbstractContextManager[None]:
    port = free_port()
    at_port(copy, port)
    return black_hole(port)


def web_server(copy: Copy) -> AbstractContextManager[int]:
    port = free_port()
    at_port(copy, port)
    return listener(port)


def host(name: str) -> Inject:
    return lambda copy: replace(ENV, "@127.0.0.1:", f"@{name}:")(copy)


def wrong_password(copy: Copy) -> None:
    replace(ENV, copy.password, "another-secret")(copy)


def no_password(copy: Copy) -> None:
    replace(ENV, f":{copy.password}@", "@")(copy)


def psycopg2_form(copy: Copy) -> None:
    replace(ENV, "postgresql://", "postgresql+psycopg2://")(copy)


def by_socket(copy: Copy) -> None:
    replace(ENV, f"@127.0.0.1:{copy.cluster.port}/{copy.database}", f"@/{copy.database}")(copy)
    where = f"?host={copy.cluster.socket_dir}&port={copy.cluster.port}"
    replace(ENV, f"@/{copy.database}", f"@/{copy.database}{where}")(copy)


def odd_password(copy: Copy) -> None:
    odd = "p@ss/w#rd:%1"
    copy.cluster.sql(f"ALTER ROLE {copy.role} PASSWORD '{odd}'")
    replace(ENV, copy.password, quote(odd, safe=""))(copy)


def shell_is_right(copy: Copy) -> None:
    url = copy.cluster.url(copy.role, copy.password, copy.database)
    setenv(DATABASE_URL=url)(copy)
    wrong_port(copy)


def granted(right: str, to: str = "{role}") -> Inject:
    """Owned by another, with a right on schema public."""
    return both(
        sql(TO_SUPERUSER), sql(f"GRANT {right} ON SCHEMA public TO {to}", database="{database}")
    )


DB = "server"

ENTRIES = [
    Fault("DB501", "nothing on the port", wrong_port, fixed=False, target="127.0.0.1:9"),
    Fault("DB501", "silent port", silent_port, fixed=False),
    Fault("DB501", "web server on the port", web_server, fixed=False),  # type: ignore[arg-type]
    Fault("DB501", "host of the compose network", host("postgres.invalid"), fixed=False),
    Fault(
        "DB502",
        "role and database missing",
        sql(DROP_DATABASE, DROP_ROLE),
        works=creates_tables,
        group=DB,
    ),
    Fault("DB502", "role without login", sql("ALTER ROLE {role} NOLOGIN"), fixed=False),
    Fault("DB502", "role expired", sql("ALTER ROLE {role} VALID UNTIL '2000-01-01'"), fixed=False),
    Fault("DB503", "wrong password", wrong_password, fixed=False),
    Fault("DB503", "no password", no_password, fixed=False),
    Fault(
        "DB503",
        "no right to connect",
        sql(TO_SUPERUSER, "REVOKE CONNECT ON DATABASE {database} FROM PUBLIC"),
        fixed=False,
    ),
    Fault("DB504", "database missing", sql(DROP_DATABASE), works=creates_tables, group=DB),
    Fault("DB505", "no CREATE on public", sql(TO_SUPERUSER), works=creates_tables, group=DB),
    Fault(
        "DB505",
        "everything granted on the database only",
        sql(TO_SUPERUSER, "GRANT ALL ON DATABASE {database} TO {role}"),
        works=creates_tables,
        group=DB,
    ),
    Fault(
        "DB505",
        "not even USAGE on public",
        both(
            sql(TO_SUPERUSER), sql("REVOKE ALL ON SCHEMA public FROM PUBLIC", database="{database}")
        ),
        works=creates_tables,
        group=DB,
    ),
    Fault(
        "DB505",
        "schema public dropped",
        sql("DROP SCHEMA public", database="{database}"),
        fixed=False,
    ),
    Healthy("DB501", "the driver named in the address", psycopg2_form),
    Healthy("DB501", "by the socket", by_socket),
    Healthy("DB501", "localhost for 127.0.0.1", host("localhost")),
    Healthy("DB501", "the shell's address is right, the file's is not", shell_is_right),
    Healthy("DB502", "a role of nearly the same name", sql("CREATE ROLE {role}_2")),
    Healthy("DB502", "expires one day", sql("ALTER ROLE {role} VALID UNTIL '2999-01-01'")),
    Healthy("DB503", "odd characters in the password", odd_password),
    Healthy("DB503", "few connections", sql("ALTER ROLE {role} CONNECTION LIMIT 50")),
    Healthy("DB504", "a second database", sql("COMMENT ON DATABASE {database} IS 'mine'")),
    Healthy("DB505", "granted to the role, owned by another", granted("CREATE")),
    Healthy("DB505", "granted to everybody, as before Postgres 15", granted("CREATE", "PUBLIC")),
    Healthy(
        "DB505",
        "a schema of its own",
        both(
            sql(TO_SUPERUSER),
            sql("CREATE SCHEMA {role} AUTHORIZATION {role}", database="{database}"),
        ),
    ),
    Healthy(
        "DB505",
        "tables that the migrations' role made",
        both(
            sql(TO_SUPERUSER),
            sql(
                "CREATE TABLE users (id int)",
                "GRANT SELECT, INSERT ON users TO {role}",
                database="{database}",
            ),
        ),
    ),
]
