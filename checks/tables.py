"""The platform's SQLAlchemy models."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.facts.residues import Residues
from saas_doctor.facts.tables import Reserved, Tables
from saas_doctor.facts.versions import Versions, reaches
from saas_doctor.model import Finding, Severity
from saas_doctor.rules import check


@check(
    "SRC204",
    symptoms=(
        r"Attribute name '(metadata|registry)' (is reserved|should be left reserved)",
        r"'(property|function|dict)' object has no attribute 'schema'",
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
        looked_at=f"{found.place}; {versions.where('sqlalchemy', found.place.path)}",
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


@check(
    "SRC220",
    severity=Severity.WARNING,
    symptoms=(r"Input should be a valid dictionary \[type=dict_type, input_value=MetaData\(\)",),
)
def residue_of_metadata(residues: Residues, versions: Versions) -> Iterator[Finding]:
    """A model's `metadata` is used, which is SQLAlchemy's own; the attribute has another name.

    Such uses are left behind when the attribute is renamed. They fail in silence, since every model
    has a `metadata`: `Service(metadata={...})` stores nothing, `row.metadata` is a `MetaData()`, a
    query by `Service.metadata` becomes `WHERE false`, and a schema with a field `metadata` can't
    read it.

    **Detected** for models proven to have a column `metadata` under another attribute name, or an
    attribute of a like name (`service_metadata`, `meta_data`): calls of their class, their
    attribute in queries and on objects that are proven to be rows (by what made them, or by an
    annotation), and schemas that are proven to be read from such rows.
    **To mend** it, use the new attribute at the places that are named; in a schema write
    `Field(validation_alias="service_metadata")`.
    **Silent** for what is meant for SQLAlchemy's own object (`Service.metadata.create_all`), for
    models with a constructor of their own or made as dataclasses, and for rows that can't be told.
    """
    for residue in residues.found:
        first = residue.uses[0][0]
        places = ", ".join(str(place) for place, _ in residue.uses[:10])
        more = f" and {len(residue.uses) - 10} more" if len(residue.uses) > 10 else ""
        yield Finding(
            f"`metadata` of {residue.model} is used, where {residue.attribute} is meant",
            looked_at=f"{residue.module.name}; {versions.where('sqlalchemy', residue.module.name)}",
            found="; ".join(f"{place}: {effect}" for place, effect in residue.uses[:10]) + more,
            wanted=residue.attribute,
            target=f"{residue.module.name}:{residue.model}",
            place=first,
            next_step=f"use {residue.attribute} at {places}{more}",
        )


_BRING_GREENLET = ("greenlet", "gevent", "eventlet", "playwright")


@check(
    "SRC221",
    symptoms=(r"The SQLAlchemy asyncio module requires that the Python 'greenlet' library",),
)
def greenlet_missing(tables: Tables, versions: Versions) -> Iterator[Finding]:
    """The code uses SQLAlchemy's asyncio module, and greenlet, which that needs, is not there.

    Up to SQLAlchemy 2.0 greenlet came with it; from 2.1 on it has to be asked for. Importing
    `sqlalchemy.ext.asyncio` fails without it.

    **Detected** from an import of that module in the platform's source, and from what the
    environment has or, with no environment, what is required (a warning then). Where 2.0 is
    installed and the requirements allow 2.1, it is said for the next environment.
    **Fixed** by greenlet in the requirements and in the environment; `undo` brings back the former
    packages and bytes.
    **Silent** where greenlet is installed, locked, or required by whatever asks for it, where
    `sqlalchemy[asyncio]` is required, and for imports that may fail.
    """
    line = versions.requirements.find("sqlalchemy")
    installed = versions.installed("sqlalchemy")
    asked = line is not None and ("asyncio" in line.requirement.extras or line.hashed)
    if asked or any(map(versions.requirements.find, _BRING_GREENLET)):
        return
    if versions.locked("greenlet"):
        return
    if installed is not None and versions.at_least("sqlalchemy", "2.1.dev0"):
        severity = None
        if versions.installed("greenlet") is not None:
            return
    elif line is not None and reaches(line, "2.1"):
        severity = Severity.INFO if installed is not None else Severity.WARNING
    else:
        return
    place = tables.asyncio
    if place is None:
        return
    yield Finding(
        "SQLAlchemy's asyncio module needs greenlet, which "
        + ("is not installed" if severity is None else "SQLAlchemy 2.1 no longer brings along"),
        looked_at=f"{place}; {versions.where('sqlalchemy', place.path)}",
        found="no greenlet"
        if severity is None
        else f"{line.requirement if line else ''}, no greenlet required",
        wanted="greenlet>=3.1,<4, or sqlalchemy[asyncio]",
        target="greenlet",
        place=line.place if line else place,
        severity=severity,
        next_step="saas-doctor fix --select SRC221 requires and installs it",
    )
