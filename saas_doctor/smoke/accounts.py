"""Takes the account that a smoke test made out of the platform's database again."""

from __future__ import annotations

from saas_doctor.facts import Facts
from saas_doctor.facts.database_address import Address
from saas_doctor.facts.database_login import connect
from saas_doctor.model import Absent, Blocked, Unreadable
from saas_doctor.smoke.steps import StepFailed

_COLUMNS = """
SELECT c.table_schema, c.table_name, c.column_name
FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
WHERE t.table_type = 'BASE TABLE' AND c.table_schema NOT IN ('pg_catalog', 'information_schema')
  AND c.data_type IN ('text', 'character varying', 'USER-DEFINED')
  AND lower(c.column_name) IN ('email', 'username', 'user_name', 'login', 'email_address')
"""


def remove_account(facts: Facts, marks: tuple[str, ...]) -> str:
    """Delete the rows that hold one of these texts, which nobody else has; says how many.

    Raises StepFailed with what is left and how to delete it.
    """
    import psycopg
    from psycopg import sql

    by_hand = f"delete the account {marks[0]} by hand"
    try:
        address = facts.get(Address)
    except (Absent, Blocked, Unreadable) as reason:
        raise StepFailed(f"the database can't be reached ({reason}); {by_hand}") from None
    removed = 0
    try:
        with connect(address) as connection:
            for schema, table, column in connection.execute(_COLUMNS).fetchall():
                query = sql.SQL("DELETE FROM {}.{} WHERE {}::text = ANY(%s)").format(
                    sql.Identifier(schema), sql.Identifier(table), sql.Identifier(column)
                )
                try:
                    with connection.transaction():
                        removed += connection.execute(query, [list(marks)]).rowcount
                except psycopg.errors.InsufficientPrivilege:
                    continue
    except (psycopg.Error, OSError) as error:
        raise StepFailed(f"{str(error).strip()}; {by_hand}") from None
    if not removed:
        raise StepFailed(f"no row of it was found in the database; {by_hand}")
    return f"{removed} row{'' if removed == 1 else 's'} deleted in the database"
