"""The platform's SQLAlchemy models."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.facts.tables import Tables
from saas_doctor.facts.versions import Versions
from saas_doctor.model import Finding, Severity
from saas_doctor.rules import check


@check(
    "SRC204",
    symptoms=(r"Attribute name 'metadata' (is reserved|should be left reserved)",),
)
def reserved_metadata(tables: Tables, versions: Versions) -> Iterator[Finding]:
    """A SQLAlchemy model has an attribute called `metadata`, which is SQLAlchemy's own.

    Importing the models ends in `Attribute name 'metadata' is reserved`; from SQLAlchemy 2.1 on it
    is a warning only.

    **Detected** in classes proven to be declarative models, or mixins of such, their bases followed
    across files.
    **Fixed** by renaming the attribute (`service_metadata`) and keeping the column's name, so that
    no migration is due; `undo` restores the bytes. Uses of the old attribute are named, not
    touched: they fail silently (`Service(metadata=...)` stores nothing, `row.metadata` is
    SQLAlchemy's own object). A relationship, a property and a call that hides its arguments are
    left to you.
    **Silent** for `Column("metadata", ...)` under another attribute name, for `metadata =
    MetaData()` of a base class, and for classes that are no models.
    """
    if not tables.reserved:
        return
    warns = versions.at_least("sqlalchemy", "2.1.dev0")
    if warns is None:
        return
    for found in tables.reserved:
        more = {"uses not touched": ", ".join(found.uses)} if found.uses else {}
        step = (
            "saas-doctor fix --select SRC204 renames the attribute"
            if found.edits
            else f"call the attribute {found.new} in {found.place.path}"
        )
        yield Finding(
            f"`metadata` of {found.model} is reserved by SQLAlchemy",
            looked_at=f"{found.place}; {versions.where('sqlalchemy')}",
            found=found.text,
            wanted=f"{found.new}: another attribute, for the same column"
            if found.edits
            else f"another attribute name, such as {found.new}",
            target=f"{found.module.name}:{found.model}",
            place=found.place,
            severity=Severity.WARNING if warns else None,
            next_step=step
            + (f"; then correct its uses at {', '.join(found.uses)}" if found.uses else ""),
            data={"attribute": found, "no_fix": not found.edits},
            more=more,
        )
