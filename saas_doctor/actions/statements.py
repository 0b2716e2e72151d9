"""How actions work on a Postgres server: as its administrator, and on the very server that was meant."""

from __future__ import annotations

import time

from saas_doctor.actions import Bench, Failed, NotApplied, Record, Refused
from saas_doctor.facts.admin import AdminConnection
from saas_doctor.facts.database_address import Address
from saas_doctor.facts.doors import AdminError, Row
from saas_doctor.facts.quoting import literal
from saas_doctor.model import Absent, Unreadable

MARK = "made by saas-doctor, run {}"
"""The comment on what a run made; `marked` asks for it."""


def admin(bench: Bench) -> AdminConnection:
    """The way in as it is found now; raises Failed."""
    try:
        return bench.facts.get(AdminConnection)
    except (Absent, Unreadable) as reason:
        raise Failed(str(reason)) from None


def run(bench: Bench, *statements: str, database: str | None = None) -> list[Row]:
    """Run statements as the administrator found on this machine; raises Failed."""
    try:
        return admin(bench).run(*statements, database=database)
    except AdminError as error:
        raise Failed(str(error)) from None


def look(bench: Bench, *statements: str, database: str | None = None) -> list[Row]:
    """The same before anything was done: what fails then leaves the action not applied."""
    try:
        return run(bench, *statements, database=database)
    except Failed as reason:
        raise NotApplied(str(reason)) from None


def start(bench: Bench, address: Address) -> Record:
    """What every record begins with: which server it is about, never how to log in there."""
    try:
        system = admin(bench).system
    except Failed as reason:
        raise NotApplied(str(reason)) from None
    return {"address": str(address), "system": system, "run": bench.folder.name}


def same_server(bench: Bench, before: Record) -> None:
    """Refuse where the address leads to another server than the one that was changed."""
    if admin(bench).system != before["system"]:
        raise Refused(f"another Postgres server answers by now on {before['address']}")


def marked(kind: str, name: str) -> str:
    """The query for an object's comment: no row where the object is not there."""
    catalogue, column = {
        "role": ("pg_roles", "rolname"),
        "database": ("pg_database", "datname"),
    }[kind]
    home = "pg_authid" if kind == "role" else catalogue
    return (
        f"SELECT coalesce(shobj_description(oid, '{home}'), '') FROM {catalogue} "
        f"WHERE {column} = {literal(name)}"
    )


def _sessions(column: str, name: str) -> str:
    return (
        "SELECT count(*), coalesce(string_agg(DISTINCT nullif(application_name, ''), ', '), '') "
        f"FROM pg_stat_activity WHERE {column} = {literal(name)} AND pid <> pg_backend_pid()"
    )


def wait_for_no_sessions(bench: Bench, column: str, name: str) -> None:
    """Refuse while somebody is connected; the doctor's own last login may need a moment to end."""
    deadline = time.monotonic() + 1.5
    while True:
        count, programs = run(bench, _sessions(column, name))[0]
        if count == "0":
            return
        if time.monotonic() > deadline:
            who = f" ({programs})" if programs else ""
            raise Refused(f'"{name}" is in use by {count} session(s){who}; end them first')
        time.sleep(0.1)
