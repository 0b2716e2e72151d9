"""Names and texts as SQL spells them."""

from __future__ import annotations


def literal(text: str) -> str:
    """The text as an SQL literal."""
    from psycopg import sql

    return sql.Literal(text).as_string(None)


def identifier(name: str) -> str:
    """The name as an SQL identifier."""
    from psycopg import sql

    return sql.Identifier(name).as_string(None)
