"""Faults of the platform's Postgres, made on a real server."""

from __future__ import annotations

from tests.faults import Copy, Fault, Healthy, both, replace, sql

DROP_DATABASE = "DROP DATABASE {database} WITH (FORCE)"
DROP_ROLE = "DROP ROLE {role}"
TO_SUPERUSER = "ALTER DATABASE {database} OWNER TO postgres"


def creates_tables(copy: Copy) -> bool:
    """Whether the core service could make its tables."""
    return copy.imports(
        "from shared.database import get_engine as e; from sqlalchemy import text\n"
        "with e().connect() as c: c.execute(text('CREATE TABLE probe (id int)'))"
    )


def wrong_port(copy: Copy) -> None:
    replace("backend/.env", f":{copy.cluster.port}/", ":9/")(copy)


def wrong_password(copy: Copy) -> None:
    replace("backend/.env", copy.password, "another-secret")(copy)


def asyncpg_form(copy: Copy) -> None:
    replace("backend/.env", "postgresql://", "postgresql+psycopg2://")(copy)


DB = "server"

ENTRIES = [
    Fault("DB501", "nothing on the port", wrong_port, fixed=False, target="127.0.0.1:9"),
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
    Fault("DB504", "database missing", sql(DROP_DATABASE), works=creates_tables, group=DB),
    Fault(
        "DB505",
        "no CREATE on public",
        sql(TO_SUPERUSER),
        works=creates_tables,
        target="",
        group=DB,
    ),
    Fault(
        "DB505",
        "everything granted on the database only",
        sql(TO_SUPERUSER, "GRANT ALL ON DATABASE {database} TO {role}"),
        group=DB,
    ),
    Healthy("DB501", "the driver named in the address", asyncpg_form),
    Healthy(
        "DB505",
        "granted to the role, owned by another",
        both(
            sql(TO_SUPERUSER), sql("GRANT CREATE ON SCHEMA public TO {role}", database="{database}")
        ),
    ),
    Healthy("DB502", "a role of nearly the same name", sql("CREATE ROLE {role}_2")),
    Healthy(
        "DB503",
        "the role's password is encrypted as md5",
        sql("ALTER ROLE {role} CONNECTION LIMIT 50"),
    ),
    Healthy("DB504", "a second database", sql("COMMENT ON DATABASE {database} IS 'mine'")),
]
