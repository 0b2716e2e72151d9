"""The action that creates the platform's database; undone only while that loses nothing."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from saas_doctor.actions import Action, Bench, Failed, NotApplied, Record, Refused
from saas_doctor.actions.statements import (
    MARK,
    look,
    marked,
    run,
    same_server,
    start,
    wait_for_no_sessions,
)
from saas_doctor.facts.database_address import Address
from saas_doctor.facts.quoting import identifier, literal
from saas_doctor.model import Risk


@dataclass(frozen=True)
class CreateDatabase(Action):
    """Create the platform's database, owned by its role.

    It is made under a name of the run's own, then marked and renamed in one transaction: so no
    database without the mark ever has the platform's name, whenever the power goes.
    """

    address: Address

    order = 41
    risk = Risk.CHANGES

    @property
    def title(self) -> str:
        return f'create database "{self.address.database}" on {self.address}'

    @property
    def target(self) -> Hashable:
        return str(self.address), self.address.database

    def preview(self) -> str:
        database, owner = identifier(self.address.database), identifier(self.address.role)
        return f"CREATE DATABASE {database} OWNER {owner}"

    def before(self, bench: Bench) -> Record:
        if look(bench, marked("database", self.address.database)):
            raise NotApplied(f'database "{self.address.database}" is there by now')
        begun = start(bench, self.address)
        return {
            **begun,
            "database": self.address.database,
            "owner": self.address.role,
            "aside": f"saas_doctor_{begun['run']}",
            "encoding": look(bench, _ENCODING)[0][0],
        }

    def apply(self, bench: Bench, before: Record) -> Record:
        aside, name = identifier(before["aside"]), identifier(self.address.database)
        mark = literal(MARK.format(before["run"]))
        rows = run(
            bench,
            # By itself: CREATE DATABASE allows no transaction.
            f"CREATE DATABASE {aside} OWNER {identifier(self.address.role)}{_in_utf8(before)}",
            "BEGIN",
            f"COMMENT ON DATABASE {aside} IS {mark}",
            f"ALTER DATABASE {aside} RENAME TO {name}",
            "COMMIT",
            "SELECT txid_current()",
        )
        return {"transaction": rows[0][0]}

    def verify(self, bench: Bench) -> bool:
        return bool(run(bench, marked("database", self.address.database)))

    @classmethod
    def undo(cls, bench: Bench, before: Record, after: Record | None) -> str | None:
        name, aside = before["database"], before["aside"]
        same_server(bench, before)
        if not run(bench, marked("database", aside)):
            rows = run(bench, marked("database", name))
            if not rows:
                return None
            if rows[0][0] != MARK.format(before["run"]):
                raise Refused(f'database "{name}" is not the one that was made: it has no mark')
            wait_for_no_sessions(bench, "datname", name)
            _refuse_if_used(bench, name, before, after)
            # Nobody comes in by the old name between a last look inside and the end.
            _rename(bench, name, aside)
        try:
            _refuse_if_used(bench, aside, before, after)
            run(bench, f"DROP DATABASE {identifier(aside)}")
        except (Failed, Refused) as error:
            if not run(bench, marked("database", name)):
                _rename(bench, aside, name)
            raise Refused(str(error)) from None
        return None


_ENCODING = "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = 'template1'"


def _in_utf8(before: Record) -> str:
    """What to add where a new database would not be in UTF-8 by itself."""
    if before["encoding"] == "UTF8":
        return ""
    return " TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"


def _refuse_if_used(bench: Bench, database: str, before: Record, after: Record | None) -> None:
    """Refuse where somebody changed the database, or put something into it.

    `database` is its name at this moment: it is moved aside before the last look.
    """
    name = before["database"]
    (row,) = run(bench, _AS_MADE.format(name=literal(database)))
    owner, *others = row
    changed = [w for w, as_made in zip(_WORDS, others, strict=True) if as_made != "t"]
    if owner != before.get("owner", owner):
        changed.insert(0, f'its owner is "{owner}"')
    if changed:
        raise Refused(f'database "{name}" was changed since: {", ".join(changed)}')
    found = _content(bench, database) - _content(bench, "template1")
    # The types and indexes that come with a table would only repeat it.
    alone = {text for text in found if not text.startswith(("type ", "index ", "toast "))}
    content = sorted(alone or found) or _rows(bench, database)
    content = content or _changed(bench, database, (after or {}).get("transaction"))
    if content:
        more = f" and {len(content) - 5} more" if len(content) > 5 else ""
        raise Refused(f'database "{name}" is not empty: {", ".join(content[:5])}{more}')


# Its tablespace is the template's, unless somebody moved it.
_AS_MADE = """
SELECT pg_get_userbyid(d.datdba), d.datallowconn, NOT d.datistemplate, d.datconnlimit = -1,
  d.dattablespace = t.dattablespace
FROM pg_database d, pg_database t WHERE d.datname = {name} AND t.datname = 'template1'
"""
_WORDS = ("it takes no connections", "it is a template", "a limit of connections", "its tablespace")


_TABLES = """
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.oid >= 16384 AND n.nspname !~ '^pg_'
"""


def _rows(bench: Bench, database: str) -> list[str]:
    """The tables that hold rows, those among them that came with the template."""
    tables = [row[0] for row in run(bench, _TABLES, database=database)]
    parts = [f"SELECT {literal(t)} WHERE EXISTS (SELECT FROM {t})" for t in sorted(tables)]
    rows = run(bench, " UNION ALL ".join(parts), database=database) if parts else []
    return [f"table {row[0]}, which holds rows" for row in rows]


def _changed(bench: Bench, database: str, transaction: str | None) -> list[str]:
    """What came with the template and was changed since: its row is newer than the database."""
    if not transaction:
        return []  # cut off, or made by a doctor that did not write it down
    made = f"age('{int(transaction) % 2**32}'::xid)"
    parts = [
        f"SELECT pg_describe_object('{name}'::regclass, oid, 0) FROM {name} WHERE age(xmin) < {made}"
        for name in ("pg_class", "pg_proc", "pg_rewrite")
    ]
    rows = run(bench, " UNION ".join(parts), database=database)
    return sorted(f"{row[0]}, which was changed since" for row in rows)


def _rename(bench: Bench, old: str, new: str) -> None:
    try:
        run(bench, f"ALTER DATABASE {identifier(old)} RENAME TO {identifier(new)}")
    except Failed as error:
        raise Refused(f'database "{old}" can\'t be renamed to "{new}": {error}') from None


_CATALOGUES = (
    "pg_class", "pg_proc", "pg_type", "pg_namespace", "pg_extension", "pg_operator", "pg_collation",
    "pg_event_trigger", "pg_publication", "pg_foreign_server",
    "pg_default_acl", "pg_ts_config", "pg_ts_dict", "pg_ts_parser", "pg_ts_template", "pg_cast",
    "pg_am", "pg_opfamily", "pg_opclass", "pg_conversion", "pg_foreign_data_wrapper", "pg_language",
    "pg_transform",
)  # fmt: skip


def _content(bench: Bench, database: str) -> set[str]:
    """What somebody put into a database, in words: all that `initdb` did not make."""
    # 16384: where the numbers of objects begin that users make.
    parts = [
        f"SELECT pg_describe_object('{name}'::regclass, oid, 0) FROM {name} WHERE oid >= 16384"
        for name in _CATALOGUES
    ]
    parts.append("SELECT 'large object ' || oid FROM pg_largeobject_metadata")
    # Settings and rights of the database itself are somebody's work too.
    parts.append(
        "SELECT 'settings of the database' FROM pg_db_role_setting s JOIN pg_database d "
        "ON d.oid = s.setdatabase WHERE d.datname = current_database() AND NOT d.datistemplate"
    )
    parts.append(
        "SELECT 'rights on the database' FROM pg_database WHERE datname = current_database() "
        "AND datacl IS NOT NULL AND NOT datistemplate"
    )
    # Of the schema that every database begins with.
    parts.append(
        "SELECT 'rights on schema public: ' || coalesce(nspacl::text, '') FROM pg_namespace "
        "WHERE nspname = 'public'"
    )
    parts.append(
        "SELECT 'owner of schema public: ' || pg_get_userbyid(nspowner) FROM pg_namespace "
        "WHERE nspname = 'public'"
    )
    parts.append(
        "SELECT 'comment on schema public: ' || coalesce(obj_description(oid, 'pg_namespace'), '') "
        "FROM pg_namespace WHERE nspname = 'public'"
    )
    rows = run(bench, " UNION ".join(parts), database=database)
    return {row[0] for row in rows}
