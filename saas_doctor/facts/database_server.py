"""What one connection tells of a Postgres server and of the platform's database on it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from saas_doctor.facts.database_address import Address
from saas_doctor.facts.postgres_protocol import Answer, Outcome, ask, endpoints

if TYPE_CHECKING:
    from psycopg import Connection


class Server(Struct, frozen=True):
    """What the server says of itself, of the database, and of what the platform's role may do there.

    `schema` is where unqualified tables go ("" where nowhere), `path` all the schemas in which they
    are looked for, `search_path` the setting itself, `absent` the schemas that it names and that
    are not there, `shut` those that are there and not open to the role. `can_create`: in `schema`;
    `creates_in` are the other schemas that the role may create in. `owns`: it owns a table in
    `schema`; `readable` are the tables there that others made and that it may read.
    Of the tables and views in the path (`schema.table`): `locked` and `locked_views` are those that
    the role may not read (and write), `row_security` those whose rows no policy gives it,
    `sequences` (table, sequence) the numbers that it may not draw. `reached` are their bare names,
    `elsewhere` the role's own tables outside of the path.
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
    creates_in: tuple[str, ...]
    has_public: bool
    owns: bool
    readable: tuple[str, ...]
    locked: tuple[str, ...]
    locked_views: tuple[str, ...]
    row_security: tuple[str, ...]
    sequences: tuple[tuple[str, str], ...]
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
own AS (SELECT c.*, n.nspname, n.nspname || '.' || c.relname AS full_name,
    c.relkind IN ('r', 'p') AS is_table, pg_table_is_visible(c.oid) AS visible
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'),
policies AS (SELECT * FROM pg_policy WHERE polpermissive
  AND EXISTS (SELECT FROM unnest(polroles) r WHERE r = 0 OR pg_has_role(r, 'USAGE'))),
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
  coalesce(has_schema_privilege((SELECT oid FROM home), 'CREATE'), false) AS can_create,
  ARRAY(SELECT nspname::text FROM pg_namespace WHERE has_schema_privilege(oid, 'CREATE')
    AND nspname IS DISTINCT FROM current_schema() AND nspname <> 'information_schema'
    AND nspname !~ '^pg_' ORDER BY 1 LIMIT 50) AS creates_in,
  EXISTS (SELECT FROM pg_namespace WHERE nspname = 'public') AS has_public,
  EXISTS (SELECT FROM own WHERE is_table AND relnamespace = (SELECT oid FROM home)
    AND relowner = (SELECT oid FROM role)) AS owns,
  ARRAY(SELECT relname::text FROM own WHERE is_table AND relnamespace = (SELECT oid FROM home)
    AND relowner <> (SELECT oid FROM role) AND has_table_privilege(oid, 'SELECT')
    ORDER BY 1 LIMIT 5000) AS readable,
  ARRAY(SELECT full_name FROM own WHERE is_table AND visible
    AND NOT (has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
      AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE'))
    ORDER BY 1 LIMIT 500) AS locked,
  ARRAY(SELECT full_name FROM own WHERE NOT is_table AND visible
    AND NOT has_table_privilege(oid, 'SELECT') ORDER BY 1 LIMIT 500) AS locked_views,
  ARRAY(SELECT full_name FROM own WHERE is_table AND visible AND row_security_active(oid)
    AND NOT (EXISTS (SELECT FROM policies p WHERE p.polrelid = own.oid AND p.polcmd IN ('*', 'r'))
      AND EXISTS (SELECT FROM policies p WHERE p.polrelid = own.oid AND p.polcmd IN ('*', 'a')))
    ORDER BY 1 LIMIT 500) AS row_security,
  ARRAY(SELECT ARRAY[own.full_name, n.nspname || '.' || s.relname] FROM own
    JOIN pg_attrdef a ON a.adrelid = own.oid
    JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid
      AND d.refclassid = 'pg_class'::regclass
    JOIN pg_class s ON s.oid = d.refobjid AND s.relkind = 'S'
    JOIN pg_namespace n ON n.oid = s.relnamespace
    WHERE is_table AND visible AND has_table_privilege(own.oid, 'INSERT')
      -- In a CASE: asked of anything else, which may come first, it raises.
      AND CASE WHEN s.relkind = 'S' THEN NOT has_sequence_privilege(s.oid, 'USAGE, UPDATE') END
    ORDER BY 1 LIMIT 500) AS sequences,
  ARRAY(SELECT DISTINCT relname::text FROM own WHERE nspname = ANY (current_schemas(false))
    ORDER BY 1 LIMIT 5000) AS reached,
  ARRAY(SELECT full_name FROM own WHERE is_table AND nspname <> ALL (current_schemas(false))
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
_QUICK = 0.5
"""Seconds: a server that takes longer is left to the driver, and its patience."""


def ask_by_hand(address: Address) -> Answer | None:
    """The answer of the first endpoint that takes the connection, without a driver.

    None where only the driver knows how to log in: by options of the address, or by its variables.
    """
    if address.options or any(name.startswith("PG") for name in os.environ):
        return None
    try:
        where = endpoints(address.host, address.port)
    except (OSError, UnicodeError):
        return None
    question = f"SELECT row_to_json(found) FROM ({_SERVER.format(system=_SYSTEM)}) found"
    answer = None
    for endpoint in where:
        answer = ask(
            endpoint,
            address.role,
            address.password,
            address.database,
            timeout=_QUICK,
            question=question,
        )
        if answer.outcome is not Outcome.REFUSED:
            break
    return answer


def server_in(answer: Answer | None) -> Server | None:
    """What the answer tells of the server; None where the driver is to be asked."""
    if answer is None or answer.outcome is not Outcome.READY or "crdb_version" in answer.settings:
        return None
    try:
        return msgspec.json.decode(answer.value, type=Server)
    except msgspec.DecodeError:
        return None


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
    lists = {key: _tuple(value) for key, value in row.items() if isinstance(value, list)}
    return Server(**{**row, **lists})


def _tuple(values: list[Any]) -> tuple[Any, ...]:
    return tuple(tuple(value) if isinstance(value, list) else value for value in values)
