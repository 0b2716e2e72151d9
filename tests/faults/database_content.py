"""Faults of the platform's database: missing, not to be written in, tables of another role, encoding."""

from __future__ import annotations

from tests.faults import Fault, Healthy, Inject, append, both, sql
from tests.faults.database import DB, writes
from tests.faults.database_login import DROP_DATABASE, TO_SUPERUSER
from tests.testbed import states

INSIDE = "{database}"


def inside(*statements: str) -> Inject:
    return sql(*statements, database=INSIDE)


def granted(right: str, to: str = "{role}") -> Inject:
    """Owned by another, with a right on schema public."""
    return both(sql(TO_SUPERUSER), inside(f"GRANT {right} ON SCHEMA public TO {to}"))


def encoded(name: str, locale: str = "C") -> Inject:
    return sql(
        DROP_DATABASE,
        f"CREATE DATABASE {{database}} OWNER {{role}} TEMPLATE template0 ENCODING '{name}' "
        f"LC_COLLATE '{locale}' LC_CTYPE '{locale}'",
    )


def path(text: str) -> str:
    return f"ALTER ROLE {{role}} IN DATABASE {{database}} SET search_path = {text}"


ENTRIES = [
    Fault("DB504", "database missing", sql(DROP_DATABASE), works=writes, group=DB),
    Fault(
        "DB504",
        "database missing where everybody is trusted",
        states.also(states.hba("host {who} 127.0.0.1/32 trust"), sql(DROP_DATABASE)),
        works=writes,
        group=DB,
    ),
    Fault("DB505", "no CREATE on public", sql(TO_SUPERUSER), works=writes, group=DB),
    Fault(
        "DB505",
        "everything granted on the database only",
        sql(TO_SUPERUSER, "GRANT ALL ON DATABASE {database} TO {role}"),
        works=writes,
        group=DB,
    ),
    Fault(
        "DB505",
        "not even USAGE on public",
        both(sql(TO_SUPERUSER), inside("REVOKE ALL ON SCHEMA public FROM PUBLIC")),
        works=writes,
        group=DB,
    ),
    Fault("DB505", "schema public dropped", inside("DROP SCHEMA public"), works=writes, group=DB),
    Fault(
        "DB505",
        "no CREATE on the schema of the path",
        both(
            sql(TO_SUPERUSER, path("app")),
            inside("CREATE SCHEMA app", "GRANT USAGE ON SCHEMA app TO {role}"),
        ),
        works=writes,
        group=DB,
    ),
    Fault(
        "DB505",
        "CREATE on a schema outside of the path alone",
        both(sql(TO_SUPERUSER), inside("CREATE SCHEMA app AUTHORIZATION {role}")),
        fixed=False,
    ),
    Fault(
        "DB505",
        "tables of others that no model declares",
        both(
            sql(TO_SUPERUSER),
            inside("CREATE TABLE spatial_ref_sys ()", "GRANT ALL ON spatial_ref_sys TO {role}"),
        ),
        works=writes,
        group=DB,
    ),
    Fault("DB510", "path to a schema that is not there", sql(path("app")), works=writes, group=DB),
    Fault(
        "DB510",
        "path of the database to a schema that is not there",
        sql("ALTER DATABASE {database} SET search_path = app, extensions"),
        works=writes,
        group=DB,
    ),
    Fault("DB510", "path to nowhere", sql(path("''")), fixed=False),
    Fault("DB510", "path to temporary tables", sql(path("pg_temp")), fixed=False),
    Healthy("DB510", "temporary tables come last", sql(path("public, pg_temp"))),
    Fault(
        "DB511",
        "path past the tables",
        both(
            inside("CREATE TABLE users (id int)", "ALTER TABLE users OWNER TO {role}"),
            inside("CREATE SCHEMA app AUTHORIZATION {role}"),
            sql(path("app")),
        ),
        fixed=False,
    ),
    Fault(
        "DB511",
        "tables of the superuser",
        inside("CREATE TABLE users (id int)", "CREATE TABLE services (id int)"),
        fixed=False,
    ),
    Fault(
        "DB511",
        "a table that may only be read",
        inside(
            "CREATE TABLE services (id int)",
            "ALTER TABLE services OWNER TO {role}",
            "CREATE TABLE users (id int)",
            "GRANT SELECT ON users TO {role}",
        ),
        fixed=False,
    ),
    Fault(
        "DB511",
        "a serial column whose sequence is another's",
        inside(
            "CREATE TABLE users (id serial)",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON users TO {role}",
        ),
        fixed=False,
    ),
    Fault(
        "DB511",
        "row level security without a policy",
        inside(
            "CREATE TABLE users (id int)",
            "GRANT ALL ON users TO {role}",
            "ALTER TABLE users ENABLE ROW LEVEL SECURITY",
            "CREATE POLICY others ON users TO pg_monitor USING (true)",
        ),
        fixed=False,
    ),
    Fault(
        "DB511",
        "a view in the table's place",
        inside("CREATE VIEW users AS SELECT 1 AS id"),
        fixed=False,
    ),
    Fault(
        "DB511",
        "tables of the superuser further on in the path",
        both(
            inside("CREATE SCHEMA app AUTHORIZATION {role}", "CREATE TABLE public.users (id int)"),
            sql(path("app, public")),
        ),
        fixed=False,
    ),
    Fault("DB512", "in no encoding", encoded("SQL_ASCII"), fixed=False),
    Fault("DB512", "in Latin 1", encoded("LATIN1"), fixed=False),
    Healthy("DB504", "a second database", sql("COMMENT ON DATABASE {database} IS 'mine'")),
    Healthy("DB505", "granted to the role, owned by another", granted("CREATE")),
    Healthy("DB505", "granted to everybody, as before Postgres 15", granted("CREATE", "PUBLIC")),
    Healthy(
        "DB505",
        "a schema of its own",
        both(sql(TO_SUPERUSER), inside("CREATE SCHEMA {role} AUTHORIZATION {role}")),
    ),
    Healthy(
        "DB505",
        "tables that the migrations' role made",
        both(
            sql(TO_SUPERUSER),
            inside(
                "CREATE TABLE users (id int)",
                "GRANT SELECT, INSERT, UPDATE, DELETE ON users TO {role}",
            ),
        ),
    ),
    Healthy("DB505", "a superuser", sql(TO_SUPERUSER, "ALTER ROLE {role} SUPERUSER")),
    Healthy("DB510", "a path with a schema that is not there", sql(path("app, public"))),
    Healthy(
        "DB510", "a path with the role's name, which is no schema", sql(path('"$user", public'))
    ),
    Healthy(
        "DB510",
        "a path to a schema of its own",
        both(inside("CREATE SCHEMA app AUTHORIZATION {role}"), sql(path("app"))),
    ),
    Healthy(
        "DB511",
        "the tables in two schemas, one of them in the path",
        both(
            inside(
                "CREATE SCHEMA app AUTHORIZATION {role}",
                *(f"CREATE TABLE {where}users (id int)" for where in ("public.", "app.")),
                *(f"ALTER TABLE {where}users OWNER TO {{role}}" for where in ("public.", "app.")),
            ),
            sql(path("app")),
        ),
    ),
    Healthy(
        "DB511",
        "tables that no model declares",
        inside("CREATE TABLE spatial_ref_sys (id int)", "CREATE TABLE alembic_backup (id int)"),
    ),
    Healthy(
        "DB511",
        "tables of another role, with all rights",
        inside("CREATE TABLE users (id int)", "GRANT ALL ON users TO {role}"),
    ),
    Healthy(
        "DB511",
        "tables of a role that the platform's is a member of",
        both(
            sql("CREATE ROLE {role}_2", "GRANT {role}_2 TO {role}"),
            inside("CREATE TABLE users (id int)", "ALTER TABLE users OWNER TO {role}_2"),
        ),
    ),
    Healthy(
        "DB505",
        "a schema that the models name",
        both(
            sql(TO_SUPERUSER),
            inside("CREATE SCHEMA app AUTHORIZATION {role}"),
            append("backend/shared/models/user.py", '\nPLACE = {"schema": "app"}\n'),
        ),
    ),
    Healthy(
        "DB511",
        "a serial column, an identity, and rights on the one sequence that needs them",
        inside(
            "CREATE TABLE users (id serial)",
            "CREATE TABLE services (id int GENERATED ALWAYS AS IDENTITY)",
            "GRANT ALL ON users, services TO {role}",
            "GRANT USAGE ON SEQUENCE users_id_seq TO {role}",
        ),
    ),
    Healthy(
        "DB511",
        "row level security with a policy for the role, and for the owner",
        inside(
            "CREATE TABLE users (id int)",
            "GRANT ALL ON users TO {role}",
            "ALTER TABLE users ENABLE ROW LEVEL SECURITY",
            "CREATE POLICY own ON users USING (true)",
            "CREATE TABLE services (id int)",
            "ALTER TABLE services OWNER TO {role}",
            "ALTER TABLE services ENABLE ROW LEVEL SECURITY",
        ),
    ),
    Healthy("DB512", "UTF-8 in the locale C", encoded("UTF8")),
    Healthy("DB512", "a Chinese encoding", encoded("EUC_CN")),
]
