"""The platform's SQLAlchemy models."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.facts.tables import Reserved, Tables
from saas_doctor.facts.versions import Versions
from saas_doctor.model import Finding, Severity
from saas_doctor.rules import check


@check(
    "SRC204",
    symptoms=(
        r"Attribute name '(metadata|registry)' (is reserved|should be left reserved)",
        r"'(property|function|dict|list|str|AssociationProxy)' object has no attribute 'schema'",
    ),
)
def reserved_metadata(tables: Tables, versions: Versions) -> Iterator[Finding]:
    """A SQLAlchemy model has an attribute called `metadata`, which is SQLAlchemy's own.

    Importing the models ends in `Attribute name 'metadata' is reserved`; from SQLAlchemy 2.1 on it
    is a warning only, for `metadata` and for `registry`. A mixin's `metadata` that stands after the
    base (`class Service(Base, Described)`) raises nothing: the table just lacks the column.

    **Detected** in classes proven to be declarative models (or SQLModel's tables), in mixins and
    abstract bases of such, their bases followed across files: columns and relationships, declared
    attributes, properties and plain values.
    **Fixed** by renaming the attribute (`service_metadata`) and keeping the column's name, so that
    no migration is due; `undo` restores the bytes. Uses of the old attribute are named, not
    touched: they fail silently (`Service(metadata=...)` stores nothing, `row.metadata` is
    SQLAlchemy's own object). A relationship, a property and a call that hides its arguments are
    left to you, and so is all under SQLAlchemy 2.1, where those uses work as they are.
    **Silent** for `Column("metadata", ...)` under another attribute name, for `metadata =
    MetaData()` of a base class, for abstract bases that nothing derives from, and for classes that
    are no models.
    """
    warns = versions.at_least("sqlalchemy", "2.1.dev0")
    if warns is None:
        return
    found = [("metadata", r) for r in tables.reserved]
    if warns:
        found += [("registry", r) for r in tables.registries]
    for name, reserved in found:
        if not (warns and reserved.is_of_mixin):
            yield _reserved(name, reserved, versions, warns=warns)


def _reserved(name: str, found: Reserved, versions: Versions, *, warns: bool) -> Finding:
    can_fix = bool(found.edits) and not warns
    step = f"call the attribute {found.new} in {found.place.path}"
    if can_fix:
        step = "saas-doctor fix --select SRC204 renames the attribute"
    message = f"`{name}` of {found.model} is reserved by SQLAlchemy"
    if found.hidden_in:
        message += f": the table of {found.hidden_in} lacks the column"
    unsure = warns or not found.certain or found.hidden_in
    return Finding(
        message,
        looked_at=f"{found.place}; {versions.where('sqlalchemy')}",
        found=found.text,
        wanted=f"{found.new}: another attribute, for the same column"
        if found.edits
        else f"another attribute name, such as {found.new}",
        target=f"{found.module.name}:{found.model}" + ("" if name == "metadata" else f".{name}"),
        place=found.place,
        severity=Severity.WARNING if unsure else None,
        next_step=step
        + (f"; then correct its uses at {', '.join(found.uses)}" if found.uses else ""),
        data={"attribute": found, "no_fix": not can_fix},
        more={"uses not touched": ", ".join(found.uses)} if found.uses else {},
    )
