"""Faults of the platform's login: the role, its password, the server's rules and limits."""

from __future__ import annotations

from urllib.parse import quote

from tests.faults import Copy, Fault, Healthy, both, replace, sql
from tests.faults.database import DB, ENV, SETTINGS, logs_in, writes
from tests.testbed import states

DROP_DATABASE = "DROP DATABASE {database} WITH (FORCE)"
DROP_ROLE = "DROP ROLE {role}"
TO_SUPERUSER = "ALTER DATABASE {database} OWNER TO postgres"
EXPIRED = "ALTER ROLE {role} VALID UNTIL '2000-01-01'"
NO_CONNECT = "REVOKE CONNECT ON DATABASE {database} FROM PUBLIC"


def wrong_password(copy: Copy) -> None:
    replace(ENV, copy.password, "another-secret")(copy)


def no_password(copy: Copy) -> None:
    replace(ENV, f":{copy.password}@", "@")(copy)


def odd_password(copy: Copy) -> None:
    odd = "p@ss/w#rd:%1"
    copy.cluster.sql(f"ALTER ROLE {copy.role} PASSWORD '{odd}'")
    replace(ENV, copy.password, quote(odd, safe=""))(copy)


def old_verifier(copy: Copy) -> None:
    """A password kept as MD5, as servers did up to 13."""
    with copy.cluster.connected() as connection:
        connection.execute("SET password_encryption = 'md5'")
        connection.execute(f"ALTER ROLE {copy.role} PASSWORD '{copy.password}'".encode())


ENTRIES = [
    Fault(
        "DB502",
        "role and database missing",
        sql(DROP_DATABASE, DROP_ROLE),
        works=writes,
        group=DB,
    ),
    Fault(
        "DB502",
        "role missing where everybody is trusted",
        states.also(states.hba("host {who} 127.0.0.1/32 trust"), sql(DROP_DATABASE, DROP_ROLE)),
        works=writes,
        group=DB,
    ),
    Fault("DB502", "role without login", sql("ALTER ROLE {role} NOLOGIN"), works=logs_in, group=DB),
    Fault(
        "DB502",
        "role without login where everybody is trusted",
        states.also(states.hba("host {who} 127.0.0.1/32 trust"), sql("ALTER ROLE {role} NOLOGIN")),
        works=logs_in,
        group=DB,
    ),
    Fault("DB502", "role expired", sql(EXPIRED), works=logs_in, group=DB),
    Fault(
        "DB502",
        "role expired and without login",
        sql(EXPIRED, "ALTER ROLE {role} NOLOGIN"),
        works=logs_in,
        group=DB,
    ),
    Fault(
        "DB502",
        "group role without login",
        sql(
            "CREATE ROLE {role}_2 ROLE postgres",
            "GRANT {role} TO {role}_2",
            "ALTER ROLE {role} NOLOGIN",
        ),
        fixed=False,
    ),
    Fault("DB502", "superuser expired", sql("ALTER ROLE {role} SUPERUSER", EXPIRED), fixed=False),
    Fault("DB503", "wrong password", wrong_password, works=logs_in, group=DB, against=SETTINGS),
    Fault(
        "DB503",
        "role without a password",
        sql("ALTER ROLE {role} PASSWORD NULL"),
        works=logs_in,
        group=DB,
    ),
    Fault(
        "DB503", "a password kept as MD5, asked for as SCRAM", old_verifier, works=logs_in, group=DB
    ),
    Fault(
        "DB503",
        "wrong password of a superuser",
        both(sql("ALTER ROLE {role} SUPERUSER"), wrong_password),
        fixed=False,
    ),
    Fault(
        "DB503",
        "wrong password of a role of two databases",
        both(sql("GRANT CREATE ON DATABASE postgres TO {role}"), wrong_password),
        fixed=False,
    ),
    Fault(
        "DB503",
        "wrong password while others are in",
        states.also(states.sessions(1), wrong_password),
        fixed=False,
    ),
    Fault("DB503", "no password", no_password, fixed=False),
    Fault("DB503", "rules that refuse", states.hba("host {who} 127.0.0.1/32 reject"), fixed=False),
    Fault(
        "DB503",
        "rules that ask another system",
        states.hba("host {who} 127.0.0.1/32 ident"),
        fixed=False,
    ),
    Fault(
        "DB503",
        "rules that ask for a certificate",
        states.together(
            states.tls,
            states.hba("hostssl {who} 127.0.0.1/32 cert", "hostnossl {who} 127.0.0.1/32 reject"),
        ),
        fixed=False,
    ),
    Fault(
        "DB503",
        "a pooler that does not know the database",
        states.stranger(states.error(S="FATAL", C="08P01", M="no such database: x")),
        fixed=False,
        also=("DB502",),
    ),
    Fault(
        "DB503",
        "no right to connect",
        sql(TO_SUPERUSER, NO_CONNECT, "GRANT CREATE ON DATABASE {database} TO {role}"),
        works=logs_in,
        left=("DB505",),
        fixed=False,
        group=DB,
    ),
    Fault(
        "DB503",
        "no right to connect to its own tables",
        both(
            sql("GRANT CREATE ON SCHEMA public TO {role}", database="{database}"),
            sql(TO_SUPERUSER, NO_CONNECT),
        ),
        works=writes,
        group=DB,
    ),
    Fault(
        "DB503",
        "database closed",
        sql("ALTER DATABASE {database} ALLOW_CONNECTIONS false"),
        fixed=False,
    ),
    Fault(
        "DB503",
        "limit of the role reached",
        states.also(states.sessions(2), sql("ALTER ROLE {role} CONNECTION LIMIT 2")),
        fixed=False,
    ),
    Fault(
        "DB503",
        "limit of the role is none",
        sql("ALTER ROLE {role} CONNECTION LIMIT 0"),
        fixed=False,
    ),
    Fault(
        "DB503",
        "limit of the database reached",
        states.also(states.sessions(2), sql("ALTER DATABASE {database} CONNECTION LIMIT 2")),
        fixed=False,
    ),
    Fault(
        "DB509",
        "few connections for the role",
        sql("ALTER ROLE {role} CONNECTION LIMIT 5"),
        fixed=False,
    ),
    Fault(
        "DB509",
        "few connections for the database",
        sql("ALTER DATABASE {database} CONNECTION LIMIT 5"),
        fixed=False,
    ),
    Fault("DB509", "a small server", states.small, fixed=False),
    Healthy(
        "DB509", "a limit that is enough", sql("ALTER DATABASE {database} CONNECTION LIMIT 80")
    ),
    Healthy("DB502", "a role of nearly the same name", sql("CREATE ROLE {role}_2")),
    Healthy("DB502", "expires one day", sql("ALTER ROLE {role} VALID UNTIL '2999-01-01'")),
    Healthy("DB502", "never expires", sql("ALTER ROLE {role} VALID UNTIL 'infinity'")),
    Healthy(
        "DB502",
        "expired where everybody is trusted",
        states.also(states.hba("host {who} 127.0.0.1/32 trust"), sql(EXPIRED)),
    ),
    Healthy("DB503", "odd characters in the password", odd_password),
    Healthy(
        "DB503",
        "a password kept as MD5, asked for so",
        states.also(states.hba("host {who} 127.0.0.1/32 md5"), old_verifier),
    ),
    Healthy("DB503", "few connections", sql("ALTER ROLE {role} CONNECTION LIMIT 50")),
    Healthy(
        "DB503",
        "wrong password where everybody is trusted",
        states.also(states.hba("host {who} 127.0.0.1/32 trust"), wrong_password),
    ),
    Healthy(
        "DB503",
        "no password where everybody is trusted",
        states.also(states.hba("host {who} 127.0.0.1/32 trust"), no_password),
    ),
    Healthy("DB503", "asked for in plain text", states.hba("host {who} 127.0.0.1/32 password")),
    Healthy(
        "DB503",
        "only the platform's role may connect",
        sql(NO_CONNECT),
    ),
    Healthy("DB503", "others are refused", states.hba("host all nobody 127.0.0.1/32 reject")),
]
