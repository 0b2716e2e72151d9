"""The platform's source code."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.facts.layout import Layout, Unmarked
from saas_doctor.facts.models import PydanticModels
from saas_doctor.facts.syntax import Syntax
from saas_doctor.facts.tables import Tables
from saas_doctor.facts.versions import Versions
from saas_doctor.model import Finding, Place, Severity, Undecided
from saas_doctor.rules import check


@check(
    "SRC200",
    symptoms=(r"SyntaxError: (?P<text>.+)", r"source code (string )?cannot contain null bytes"),
)
def source_cannot_be_compiled(syntax: Syntax) -> Iterator[Finding | Undecided]:
    """A Python file of the platform can't be compiled.

    Whatever imports it fails. It is not examined further, and no fix touches it.

    **Detected** by compiling it, without running it or writing anything. The platform's own
    interpreter is asked where it is not of the doctor's version: about all files where it is older,
    about those that the doctor can't compile where it is newer.
    **Fixed** by hand, at the line that is named.
    **Silent** about files outside the back end and the services, in environments and caches, and
    about a file that the platform's Python has compiled as it is now.
    """
    for broken in syntax.broken:
        name = broken.module.name
        yield Finding(
            f"{name} can't be compiled: {broken.text}",
            looked_at=f"{name}, by {syntax.judge}",
            found=broken.text,
            wanted="Python source",
            target=name,
            place=Place(name, broken.line, broken.column or None),
            next_step=f"correct {name}" + (f" at line {broken.line}" if broken.line else ""),
            data={"no_fix": True},
        )
    if syntax.left:
        others = f" and {len(syntax.left) - 1} more" if len(syntax.left) > 1 else ""
        yield Undecided(f"{syntax.left[0].name}{others}: {syntax.why_left}")


@check(
    "SRC201",
    symptoms=(
        r"cannot import name '(?P<name>\w+)' from '(?P<package>[\w.]+)' \(unknown location\)",
    ),
)
def package_marker_missing(layout: Layout) -> Iterator[Finding | Undecided]:
    """A package has no `__init__.py` where one is due.

    Without it a folder is a namespace package: its modules can be imported, but it holds no names
    of its own, so `from shared.models import User` ends in `cannot import name ... (unknown
    location)`; and an installed package of the same name wins over it, wherever it lies.
    Packagers and type checkers leave such a folder out.

    **Detected** where a name is imported from the folder that is no module in it, and where a
    module of it is imported but an installed package of that name wins (errors); and where the
    folder is imported, and its parent and a sibling have the file and it alone has not (warning).
    **Fixed** by creating the file: with the imports that the code asks for where each name is
    defined in exactly one module of the folder, empty where no name is asked for; `undo` removes it.
    **Silent** where no import fails: in layouts that have the file nowhere, for imports that may
    fail (in a `try`) or are for type checkers only, for folders that are called as an installed or
    a standard package whose names are meant, for scripts, tests and migrations.
    """
    for folder in layout.unmarked:
        if folder.asked:
            names = ", ".join(sorted(folder.asked))
            place = next(iter(folder.asked.values()))
            content = _reexports(folder)
            yield _marker(
                folder, Severity.ERROR, f"{place} imports {names} from it", place, content
            )
        elif folder.shadow:
            why = f"{folder.shadow} wins over it, and {folder.shadowed_at} fails"
            yield _marker(folder, Severity.ERROR, why, folder.shadowed_at, b"")
        else:
            yield _marker(
                folder, Severity.WARNING, "its parent and its siblings have one", None, b""
            )
    for top in layout.untold:
        yield Undecided(f"no environment tells whether an installed package `{top}` wins over it")


def _reexports(folder: Unmarked) -> bytes | None:
    """The imports that define the names asked for; None where it is not certain from where."""
    homes = folder.homes
    if homes is None or any(len(modules) != 1 for modules in homes.values()):
        return None
    by_module: dict[str, list[str]] = {}
    for name, (module,) in homes.items():
        by_module.setdefault(module, []).append(name)
    lines = [
        _listed(f"from {folder.dotted}.{module} import ", "()", sorted(names))
        for module, names in by_module.items()
    ]
    exported = _listed("__all__ = ", "[]", [f'"{name}"' for name in sorted(homes)], always=True)
    return "\n".join([*lines, "", exported, ""]).encode()


def _listed(head: str, brackets: str, parts: list[str], *, always: bool = False) -> str:
    """A statement with a list; on lines of their own where one line would be too long."""
    line = ", ".join(parts)
    line = head + (f"{brackets[0]}{line}{brackets[1]}" if always else line)
    if len(line) <= 88:
        return line
    return "\n".join([head + brackets[0], *(f"    {part}," for part in parts), brackets[1]])


def _marker(
    folder: Unmarked, severity: Severity, why: str, place: Place | None, content: bytes | None
) -> Finding:
    name = f"{folder.name}/__init__.py"
    homes = folder.homes or {}
    unclear = [n for n, modules in homes.items() if len(modules) != 1]
    return Finding(
        f"package {folder.dotted} has no __init__.py: {why}",
        looked_at=f"{folder.name}/",
        found="no __init__.py",
        wanted=name + ("" if content == b"" else " that defines these names"),
        target=folder.dotted,
        place=place,
        next_step="saas-doctor fix --select SRC201 creates it"
        if content is not None
        else f"create {name} and import {', '.join(unclear) or 'the names'} in it",
        severity=severity,
        data={"folder": folder.folder, "content": content, "no_fix": content is None},
    )


@check(
    "SRC202",
    severity=Severity.WARNING,
    symptoms=(
        r"Valid config keys have changed in V2",
        r"'orm_mode' has been renamed to 'from_attributes'",
        r"You must set the config attribute `from_attributes=True` to use from_orm",
        r"Input should be a valid dictionary or instance of \w+ \[type=model_type",
    ),
)
def pydantic_v1_configuration(models: PydanticModels, versions: Versions) -> Iterator[Finding]:
    """A Pydantic model's configuration has a key of Pydantic 1, which Pydantic 2 does not know.

    `orm_mode` raises nothing when the class is made, only a warning; the model then fails when an
    ORM object is turned into it (`model_validate`, `from_orm`, a `response_model`).

    **Detected** in classes proven to be Pydantic models, their bases followed across files, where
    Pydantic 2 is installed or, with no environment, required. It is an error where an object is
    turned into the model or into one that derives from it.
    **Fixed** by renaming the key in place (`from_attributes`); `undo` restores the bytes. Keys that
    Pydantic 2 has no like of are named only, and so are calls of `from_orm`, which still work.
    **Silent** under Pydantic 1, for `pydantic.v1` models, for a configuration that has the new key
    as well, and for other classes named `Config`.
    """
    if not models.old_keys or not versions.at_least("pydantic", "2"):
        return
    for key in models.old_keys:
        more = {"uses not touched": ", ".join(key.from_orm)} if key.from_orm else {}
        yield Finding(
            f"`{key.old}` in {key.model} means nothing under Pydantic 2",
            looked_at=f"{key.place}; {versions.where('pydantic')}",
            found=key.old
            + (f"; objects are turned into it at {key.objects_at}" if key.objects_at else ""),
            wanted=key.new or "no such key: Pydantic 2 removed it",
            target=f"{key.module.name}:{key.model}.{key.old}",
            place=key.place,
            severity=Severity.ERROR if key.objects_at else None,
            next_step=_after_rename(key.from_orm)
            if key.new
            else f"remove `{key.old}`; Pydantic's migration guide tells what takes its place",
            data={"key": key, "no_fix": key.new is None},
            more=more,
        )


def _after_rename(from_orm: tuple[str, ...]) -> str:
    step = "saas-doctor fix --select SRC202 renames it"
    if from_orm:
        step += f"; from_orm is deprecated, write model_validate at {', '.join(from_orm)}"
    return step


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
