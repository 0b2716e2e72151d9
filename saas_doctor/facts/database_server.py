"""What one connection tells of a Postgres server and of the platform's database on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from psycopg import Connection


class Server(Struct, frozen=True):
    """What the server says of itself, of the database, and of what the platform's role may do there.

    `schema` is where unqualified tables go ("" where nowhere), `path` all the schemas in which they
    are looked for, `search_path` the setting itself, `absent` the schemas that it names and that
    are not there, `shut` those that are there and not open to the role. `can_create`: in `schema`, or in another one of the platform's own.
    `uses_others`: the role owns no table in `schema` and works on tables there that another made.
    `locked` are the tables in `schema` that the role may not read and write, `reached` the tables
    in the path, `elsewhere` the role's own tables outside of it (`schema.table`).
    """

    version: int
    system: str
    address: str
    role: str
    database: str
    owner: str
    superuser: bool
    standby: bool
    read_only: str
    """Where it is set that transactions only read ("" where they may write)."""
    encoding: str
    schema: str
    path: tuple[str, ...]
    search_path: str
    search_path_from: str
    absent: tuple[str, ...]
    shut: tuple[str, ...]
    can_create: bool
    has_public: bool
    uses_others: bool
    locked: tuple[str, ...]
    reached: tuple[str, ...]
    elsewhere: tuple[str, ...]
    max_connections: int
    reserved: int
    role_limit: int
    database_limit: int
    in_use: int
    """Connections at this moment, those of this role to this database left out."""


# Read-only, and allowed to an ordinary role. By oid: a name would raise where the schema is gone.
_SERVER = """
WITH role AS (SELECT * FROM pg_roles WHERE rolname = current_user),
home AS (SELECT oid FROM pg_namespace WHERE nspname = current_schema()),
own AS (SELECT c.*, n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'),
set AS (SELECT name, setting, source FROM pg_settings),
named AS (SELECT word, n.oid FROM
    (SELECT trim(both ' "' FROM part) AS word
      FROM unnest(string_to_array(current_setting('search_path'), ',')) part) words
    LEFT JOIN pg_namespace n ON n.nspname = word
  WHERE word NOT IN ('$user', ''))
SELECT current_setting('server_version_num')::int AS version,
  {system} AS system,
  coalesce(host(inet_server_addr()), '') AS address,
  current_user::text AS role,
  current_database()::text AS database,
  pg_get_userbyid(d.datdba)::text AS owner,
  (SELECT rolsuper FROM role) AS superuser,
  pg_is_in_recovery() AS standby,
  coalesce((SELECT source FROM set WHERE name = 'default_transaction_read_only'
    AND setting = 'on'), '') AS read_only,
  current_setting('server_encoding') AS encoding,
  coalesce(current_schema(), '')::text AS schema,
  current_schemas(false)::text[] AS path,
  current_setting('search_path') AS search_path,
  (SELECT source FROM set WHERE name = 'search_path') AS search_path_from,
  ARRAY(SELECT word FROM named WHERE oid IS NULL) AS absent,
  ARRAY(SELECT word FROM named WHERE NOT has_schema_privilege(oid, 'USAGE')) AS shut,
  EXISTS (SELECT FROM pg_namespace n WHERE has_schema_privilege(n.oid, 'CREATE') AND
    (n.nspname = current_schema()
     OR n.nspname NOT IN ('public', 'information_schema') AND n.nspname !~ '^pg_')) AS can_create,
  EXISTS (SELECT FROM pg_namespace WHERE nspname = 'public') AS has_public,
  EXISTS (SELECT FROM own WHERE relnamespace = (SELECT oid FROM home)
      AND has_table_privilege(oid, 'SELECT'))
    AND NOT EXISTS (SELECT FROM own WHERE relnamespace = (SELECT oid FROM home)
      AND relowner = (SELECT oid FROM role)) AS uses_others,
  ARRAY(SELECT relname::text FROM own WHERE relnamespace = (SELECT oid FROM home)
    AND NOT (has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
      AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE'))
    ORDER BY 1 LIMIT 500) AS locked,
  ARRAY(SELECT DISTINCT relname::text FROM own WHERE nspname = ANY (current_schemas(false))
    ORDER BY 1 LIMIT 5000) AS reached,
  ARRAY(SELECT nspname || '.' || relname FROM own WHERE nspname <> ALL (current_schemas(false))
    AND pg_has_role(relowner, 'USAGE') ORDER BY 1 LIMIT 500) AS elsewhere,
  current_setting('max_connections')::int AS max_connections,
  (SELECT sum(setting::int) FROM set
    WHERE name IN ('superuser_reserved_connections', 'reserved_connections'))::int AS reserved,
  (SELECT rolconnlimit FROM role) AS role_limit,
  d.datconnlimit AS database_limit,
  (SELECT count(*) FROM pg_stat_activity a WHERE a.datid IS NOT NULL
    AND NOT (a.datid = d.oid AND a.usesysid = (SELECT oid FROM role)))::int AS in_use
FROM pg_database d WHERE d.datname = current_database()
"""
_SYSTEM = "(SELECT system_identifier FROM pg_control_system())::text"


def ask_server(connection: Connection[Any]) -> Server:
    """All of it, by one query; raises psycopg.Error."""
    import psycopg
    from psycopg.rows import dict_row

    cursor = connection.cursor(row_factory=dict_row)
    try:
        row = cursor.execute(_SERVER.format(system=_SYSTEM).encode()).fetchone()
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedFunction):
        # A hosted server may keep its identity to itself.
        row = cursor.execute(_SERVER.format(system="''").encode()).fetchone()
    assert row
    lists = {key: tuple(value) for key, value in row.items() if isinstance(value, list)}
    return Server(**{**row, **lists})
