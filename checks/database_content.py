"""The platform's database: whether it is there, and where its role may work in it."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from saas_doctor.facts.database import Database
from saas_doctor.facts.database_login import Trouble
from saas_doctor.facts.database_server import Server
from saas_doctor.facts.psql import as_superuser, asks, spelled
from saas_doctor.facts.table_names import TableNames
from saas_doctor.model import Finding, Severity, Undecided
from saas_doctor.rules import check


@check(
    "DB504",
    needs=("DB503",),
    symptoms=(r"(database|数据库) \"(?P<database>[^\"]+)\" (does not exist|不存在)",),
)
def database_missing(database: Database) -> Iterator[Finding]:
    """The platform's database does not exist on the server.

    **Detected** by the code of the refused login (3D000), which comes after the password was right.
    **Fixed** by creating it, owned by the platform's role and in UTF-8, through an administrative
    connection found on this machine; `undo` drops it while it is empty and as it was made (its owner,
    its settings, its rights) and nobody is connected to it.
    One whose name differs in a letter or two from a database of that role is not made: the name is
    misspelled.
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
    "DB510",
    needs=("DB504",),
    symptoms=(
        r"no schema has been selected to create in",
        r"没有选择要(创建|建立)的模式|没有选择创建到其中的模式",
        r"schema \"(?P<schema>[^\"]+)\" does not exist",
    ),
)
def search_path_leads_nowhere(database: Database) -> Iterator[Finding]:
    """No table can be made: the search_path names no schema that is there.

    `search_path` names the schemas in which a plain `users` is looked for and made. It was set for a
    schema that was dropped, renamed, or never made in this database; or it begins with `pg_temp`, where
    each table is gone with the connection that made it.

    **Detected** by the platform's own login: the setting, where it was set, and the schemas that are
    there.
    **Fixed** by creating the schema that the path names and that is missing, owned by the platform's
    role; `undo` drops it while it is empty. A path that names none is left to you.
    **Silent** where the path leads to a schema that is there, whatever else it names; of a missing
    `public` alone DB505 tells.
    """
    address, server = database.address, database.server
    if server is None:
        return
    # Of a missing `public` alone DB505 tells.
    schema = next((name for name in server.absent if name != "public"), "")
    passing = server.schema.startswith("pg_temp")
    lost = not server.schema and not server.shut and (server.has_public or schema)
    if passing or lost:
        named = f"names {schema}, which is not there" if schema else "leads to no schema"
        if passing:
            schema = ""
            named = "leads to temporary tables first, which are gone with their connection"
        yield Finding(
            f'no table can be {"kept" if passing else "made"} in "{server.database}": '
            f"the search_path {named}",
            looked_at=f"a login on {address}: SHOW search_path (set in: {server.search_path_from})",
            found=server.search_path or "an empty search_path",
            wanted="a search_path with a schema that is there",
            target=f"{server.database}.search_path",
            place=address.place_of("options")
            if server.search_path_from == "client"
            else address.place,
            next_step=f"saas-doctor fix --select DB510 creates schema {schema}"
            if schema
            else _reset(database),
            data={"no_fix": not schema, "schema": schema},
        )


def _reset(database: Database) -> str:
    server, address = database.server, database.address
    assert server
    role, base = spelled(address.role), spelled(server.database)
    of = {
        "user": f"ALTER ROLE {role}",
        "database": f"ALTER DATABASE {base}",
        "database user": f"ALTER ROLE {role} IN DATABASE {base}",
    }.get(server.search_path_from)
    if of:
        return "take the setting back: " + asks(as_superuser(address), f"{of} RESET search_path")
    if server.search_path_from == "client":
        return f"take search_path out of {address.said_at('options')}"
    return "set it for the role: " + asks(
        as_superuser(address), f"ALTER ROLE {role} IN DATABASE {base} SET search_path = public"
    )


@check(
    "DB505",
    needs=("DB510",),
    symptoms=(r"permission denied for schema public", r"对模式 \S+ 权限不够"),
)
def no_right_to_create(database: Database, names: TableNames) -> Iterator[Finding | Undecided]:
    """The platform's role may log in but may not create tables.

    Since Postgres 15 nobody but the database's owner may create in schema `public`; granting
    everything on the *database* does not change that, and `SELECT 1` works all the same.

    **Detected** by asking the server for the right itself, in the platform's own database and by
    the platform's own login.
    **Fixed** by granting USAGE and CREATE on the schema inside that database, or, where there is no
    schema `public` at all, by creating it for the role; `undo` takes back exactly what was granted,
    and drops the schema while it is empty.
    Where the role may create in another schema alone, which neither its search_path nor the
    platform's code names, the finding gives the statement.
    **Silent** when the role has the right in any way, or in a schema that the code names; and where
    it works on tables that another role made (migrations run by that one): those that the models
    declare. Where no model is known, that can't be told.
    """
    address, server = database.address, database.server
    if server is None or server.can_create:
        return
    named = [name for name in server.readable if name in {*names.places, "alembic_version"}]
    if (named and not server.owns) or any(map(names.in_code, server.creates_in)):
        return
    if not names.places and (server.creates_in or (server.readable and not server.owns)):
        where = ", ".join(server.creates_in)
        yield Undecided(
            f'"{server.role}" may not create in schema {server.schema or "public"}, but in {where}: '
            "whether the platform's tables go there can't be told"
            if where
            else f'"{server.role}" may not create in schema {server.schema}, and tables of another '
            "role are there: whether they are the platform's can't be told"
        )
        return
    schema = server.schema or next(iter(server.shut), "public")
    there = schema != "public" or server.has_public
    other = next(iter(server.creates_in), "")
    step = f"saas-doctor fix --select DB505 {'grants' if there else 'creates'} it"
    if other:
        role, base = spelled(address.role), spelled(server.database)
        path = f"ALTER ROLE {role} IN DATABASE {base} SET search_path = {spelled(other)}, public"
        step = f"lead it there: {asks(as_superuser(address), path)}"
    yield Finding(
        f'"{server.role}" may not create tables in schema {schema} of "{server.database}"'
        if there
        else f'database "{server.database}" has no schema public',
        looked_at=f"has_schema_privilege on {address}, database {server.database}",
        found=f"no CREATE; the database is owned by {server.owner} (Postgres {server.version // 10000})"
        + (f"; it may create in schema {other}, outside of its search_path" if other else ""),
        wanted=f"CREATE on schema {schema}",
        target=f"{server.database}.{schema}",
        place=address.place,
        next_step=step,
        data={"schema": schema, "create": not there, "no_fix": bool(other)},
    )


@check(
    "DB511",
    needs=("DB510",),
    symptoms=(
        r"permission denied for (table|relation|sequence) (?P<table>\w+)",
        r"must be owner of table (?P<table>\w+)",
        r"对(表|关系) \S+ 权限不够",
    ),
)
def tables_out_of_reach(database: Database, names: TableNames) -> Iterator[Finding]:
    """The platform's tables are there, and out of its role's reach.

    They belong to another role: they were made as that one (a superuser's restore, the former name
    of the role, the container's `POSTGRES_USER`), and neither the database's ownership nor rights on
    the schema give any on tables that were there before. The numbers of a serial column are a
    sequence with rights of its own. Row level security without a policy for the role hides every
    row. Or the search_path leads past the tables, so that they look as if they were gone.

    **Detected** by the platform's own login: the tables where unqualified names lead, on which the
    role lacks SELECT, INSERT, UPDATE or DELETE (of a view: SELECT), or USAGE of a sequence that a
    column takes its numbers from; those whose row level security has no policy by which it reads or
    inserts; and the role's own tables outside of the path; all as far as the platform's models
    declare a table of that name.
    **To mend** the finding gives the statement: to grant the rights, or to take the search_path
    back. Other roles may work on them, so it is left to you.
    **Silent** for tables that no model of the platform declares, where the role has the rights or a
    policy, whatever rows that one gives it, and where a table of that name is in the path.
    """
    server = database.server
    if server is None:
        return
    tables = [t for t in server.locked if _bare(t) in names.places]
    views = [t for t in server.locked_views if _bare(t) in names.places]
    shut = [pair for pair in server.sequences if _bare(pair[0]) in names.places]
    rows = [t for t in server.row_security if _bare(t) in names.places]
    hidden = [
        table
        for table in server.elsewhere
        if _bare(table) in names.places and _bare(table) not in server.reached
    ]
    if tables or views:
        yield _told(database, names, (tables or views)[0], _locked(database, server, tables, views))
    if shut:
        yield _told(database, names, shut[0][0], _no_numbers(database, server, shut))
    if rows:
        yield _told(database, names, rows[0], _no_rows(database, server, rows))
    if hidden and server.schema:
        yield _told(database, names, hidden[0], _hidden(database, server, hidden))


def _told(database: Database, names: TableNames, table: str, finding: Finding) -> Finding:
    """The finding with what all of these have: no fix, the address, and the first table's model."""
    return replace(
        finding,
        place=database.address.place,
        data={"no_fix": True},
        more={"model": f"{names.places[_bare(table)]} declares {_bare(table)}"},
    )


def _bare(table: str) -> str:
    return table.partition(".")[2]


def _full(table: str) -> str:
    schema, _, name = table.partition(".")
    return f"{spelled(schema)}.{spelled(name)}"


def _locked(database: Database, server: Server, tables: list[str], views: list[str]) -> Finding:
    address, locked = database.address, [*tables, *views]
    role, command = spelled(server.role), as_superuser(address, spelled(server.database))
    grants = []
    if tables:
        rights = f"SELECT, INSERT, UPDATE, DELETE ON {', '.join(map(_full, tables))}"
        schemas = ", ".join(spelled(s) for s in dict.fromkeys(t.partition(".")[0] for t in tables))
        grants += [f"GRANT {rights} TO {role}"]
        grants += [f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schemas} TO {role}"]
    if views:
        grants += [f"GRANT SELECT ON {', '.join(map(_full, views))} TO {role}"]
    return Finding(
        f'"{server.role}" may not use {len(locked)} of the platform\'s tables in "{server.database}": '
        + ", ".join(_bare(t) for t in locked[:4]),
        looked_at=f"has_table_privilege on {address}, database {server.database}",
        found=f"no SELECT{', INSERT, UPDATE and DELETE' if tables else ''} on "
        + ", ".join(locked[:10]),
        wanted="these rights on the tables that the models declare",
        target=f"{server.database}.tables",
        next_step=asks(command, "; ".join(grants)),
    )


def _no_numbers(database: Database, server: Server, shut: list[tuple[str, str]]) -> Finding:
    address, sequences = database.address, [sequence for _, sequence in shut]
    command = as_superuser(address, spelled(server.database))
    grant = f"GRANT USAGE ON SEQUENCE {', '.join(map(_full, sequences))} TO {spelled(server.role)}"
    return Finding(
        f'"{server.role}" may not insert into {_bare(shut[0][0])} of "{server.database}": it has no '
        f"right on the sequence {sequences[0]}, which numbers its rows",
        looked_at=f"has_sequence_privilege on {address}, database {server.database}",
        found=f"no USAGE on {', '.join(sequences[:10])}",
        wanted="USAGE on the sequences of the tables that the models declare",
        target=f"{server.database}.sequences",
        next_step=asks(command, grant),
    )


def _no_rows(database: Database, server: Server, tables: list[str]) -> Finding:
    address, role = database.address, spelled(server.role)
    command = as_superuser(address, spelled(server.database))
    policy = f"CREATE POLICY {role} ON {_full(tables[0])} TO {role} USING (true)"
    return Finding(
        f"row level security of {', '.join(_bare(t) for t in tables[:4])} in "
        f'"{server.database}" has no policy by which "{server.role}" reads and inserts rows',
        looked_at=f"row_security_active and pg_policy on {address}, database {server.database}",
        found=f"row level security and no such policy on {', '.join(tables[:10])}",
        wanted="a policy for the platform's role, or no row level security for it",
        target=f"{server.database}.rows",
        next_step=f"see who set it and for whom; to give it all rows: {asks(command, policy)}",
    )


def _hidden(database: Database, server: Server, hidden: list[str]) -> Finding:
    return Finding(
        f'the platform\'s table {hidden[0]} of "{server.database}" is outside of the search_path',
        looked_at=f"a login on {database.address}: SHOW search_path (set in: {server.search_path_from})",
        found=f"{server.search_path}; outside of it: {', '.join(hidden[:5])}",
        wanted="a search_path that leads to the models' tables",
        target=f"{server.database}.search_path",
        severity=Severity.WARNING,
        next_step=_reset(database),
    )


@check(
    "DB512",
    severity=Severity.WARNING,
    needs=("DB504",),
    symptoms=(
        r"UntranslatableCharacter|character with byte sequence .* has no equivalent in encoding",
        r"invalid byte sequence for encoding \"SQL_ASCII\"",
        r"编码 .* 的字符 .* 在编码 .* 没有相对应值",
    ),
)
def database_not_in_utf8(database: Database) -> Iterator[Finding]:
    """The platform's database is not in UTF-8: texts outside its alphabet can't be kept.

    In LATIN1 a Chinese name is refused (`has no equivalent in encoding`). SQL_ASCII takes any bytes
    and says nothing about them, so that drivers read back something else, or refuse to.

    **Detected** by the platform's own login.
    **To mend** make a new database in UTF-8 and move the data: an encoding can't be changed in
    place. The finding gives the commands.
    **Silent** for UTF-8, whatever the locale is, and for EUC_CN and its like, which somebody chose
    for their texts.
    """
    address, server = database.address, database.server
    if server is None or server.encoding not in _SMALL:
        return
    base, role = spelled(server.database), spelled(server.role)
    made = f"CREATE DATABASE new_name OWNER {role} ENCODING 'UTF8' TEMPLATE template0"
    yield Finding(
        f'database "{server.database}" is in {server.encoding}, not in UTF-8',
        looked_at=f"a login on {address}: SHOW server_encoding",
        found=server.encoding,
        wanted="UTF8",
        target=f"{server.database}.encoding",
        place=address.place,
        next_step=f"{asks(as_superuser(address), made)}; then move the data with pg_dump {base}",
        data={"no_fix": True},
    )


_SMALL = {"SQL_ASCII", *(f"LATIN{n}" for n in range(1, 11)), "WIN1250", "WIN1251", "WIN1252"}
