"""The platform's source code."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.version import Version

from saas_doctor.facts.interpreter import Interpreter
from saas_doctor.facts.models import PydanticModels, Tables
from saas_doctor.facts.packages import Installed
from saas_doctor.facts.source import Module, Source
from saas_doctor.model import Finding, Place, Severity, Undecided
from saas_doctor.rules import check


@check(
    "SRC200",
    symptoms=(r"SyntaxError: (?P<text>.+)", r"source code (string )?cannot contain null bytes"),
)
def source_cannot_be_parsed(
    source: Source, interpreter: Interpreter
) -> Iterator[Finding | Undecided]:
    """A Python file of the platform can't be parsed.

    Whatever imports it fails. It is not examined further, and no fix touches it.

    **Detected** by parsing it with the doctor's own Python; where that is older than the
    platform's, a file that it can't parse is `unknown`, since its syntax may be newer.
    **Silent** about files outside the back end and the services, in environments and caches.
    """
    here = Version(f"{sys.version_info.major}.{sys.version_info.minor}")
    newer = interpreter.version is not None and interpreter.version.release[:2] > here.release
    for module in source.modules:
        error = module.parsed
        if not isinstance(error, Exception):
            continue
        if newer:
            yield Undecided(
                f"{module.name}: Python {here} can't parse it, {interpreter.version} may"
            )
            continue
        line = getattr(error, "lineno", None)
        text = getattr(error, "msg", None) or str(error)
        yield Finding(
            f"{module.name} can't be parsed: {text}",
            looked_at=module.name,
            found=text,
            wanted="Python source",
            target=module.name,
            place=Place(module.name, line, getattr(error, "offset", None)),
            next_step=f"open {module.name}" + (f" at line {line}" if line else ""),
            data={"no_fix": True},
        )


@check(
    "SRC201",
    symptoms=(
        r"cannot import name '(?P<name>\w+)' from '(?P<package>[\w.]+)' \(unknown location\)",
    ),
)
def package_marker_missing(source: Source) -> Iterator[Finding]:
    """A package has no `__init__.py` where one is due.

    Without it a folder is a namespace package: its modules can be imported, but it holds no names
    of its own, so `from shared.models import User` ends in `cannot import name ... (unknown
    location)`. Packagers and type checkers leave such a folder out.

    **Detected** where a name is imported from the folder that is no module in it (error); and
    where the folder's parent and a sibling have the file and it alone has not (warning).
    **Fixed** by creating the file: with the imports that the code asks for where each name is
    defined in exactly one module of the folder, empty where no name is asked for; `undo` removes it.
    **Silent** where no import fails: in layouts that have the file nowhere, for scripts, tests,
    migrations and the folders that services are started from.
    """
    for folder, dotted in source.unmarked.items():
        inside = {m.path.stem for m in source.modules if m.path.parent == folder}
        inside |= {p.name for p in folder.iterdir() if p.is_dir()}
        asked = [
            (module, node, alias.name)
            for module, node in source.imports_from(dotted)
            for alias in node.names
            if alias.name not in inside and alias.name != "*"
        ]
        if asked:
            yield _names_lost(source, folder, dotted, asked)
        elif _alone_without(source, folder) and _imported(source, dotted):
            yield _marker(
                folder, dotted, Severity.WARNING, "its parent and its siblings have one", b""
            )


def _names_lost(
    source: Source, folder: Path, dotted: str, asked: list[tuple[Module, ast.ImportFrom, str]]
) -> Finding:
    names = sorted({name for *_, name in asked})
    homes = {
        n: [m for m in source.modules if m.path.parent == folder and n in m.defined] for n in names
    }
    content = (
        _exports(dotted, {n: h[0].path.stem for n, h in homes.items()})
        if all(len(h) == 1 for h in homes.values())
        else None
    )
    module, node, _ = asked[0]
    why = f"{module.place(node)} imports {', '.join(names)} from it"
    return _marker(folder, dotted, Severity.ERROR, why, content)


def _exports(dotted: str, homes: dict[str, str]) -> bytes:
    """The text of an `__init__.py` that hands on names; `homes` is the module of each."""
    lines = []
    for module in sorted(set(homes.values())):
        names = [name for name, home in homes.items() if home == module]
        lines.append(f"from {dotted}.{module} import {', '.join(names)}")
    exported = "".join(f'    "{name}",\n' for name in homes)
    return ("\n".join(lines) + f"\n\n__all__ = [\n{exported}]\n").encode()


def _marker(
    folder: Path, dotted: str, severity: Severity, why: str, content: bytes | None
) -> Finding:
    name = f"{dotted.replace('.', '/')}/__init__.py"
    return Finding(
        f"package {dotted} has no __init__.py: {why}",
        looked_at=str(folder),
        found="no __init__.py",
        wanted=f"{name}" + (" that defines these names" if content != b"" else ""),
        target=dotted,
        next_step=f"create {name}"
        if content is not None
        else f"create {name} and define the names in it",
        severity=severity,
        data={"folder": folder, "content": content, "no_fix": content is None},
    )


def _alone_without(source: Source, folder: Path) -> bool:
    marked = {m.path.parent for m in source.modules if m.is_package}
    siblings = [f for f in marked if f.parent == folder.parent]
    return folder.parent in marked and bool(siblings)


def _imported(source: Source, dotted: str) -> bool:
    return any(
        origin == dotted or origin.startswith(f"{dotted}.")
        for module in source.mentioning(dotted.rpartition(".")[2])
        for origin in module.imports.values()
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
def pydantic_v1_configuration(models: PydanticModels, installed: Installed) -> Iterator[Finding]:
    """A Pydantic model's configuration has a key of Pydantic 1, which Pydantic 2 does not know.

    `orm_mode` raises nothing when the class is made, only a warning; the model then fails when an
    ORM object is turned into it (`model_validate`, `from_orm`, a `response_model`).

    **Detected** in classes proven to be Pydantic models, their bases followed across files, where
    Pydantic 2 is installed. It is an error where an ORM object is turned into the model.
    **Fixed** by renaming the key in place (`from_attributes`); `undo` restores the bytes.
    **Silent** under Pydantic 1, for `pydantic.v1` models, and for other classes named `Config`.
    """
    pydantic = installed.get("pydantic")
    if not pydantic or pydantic.version < Version("2"):
        return
    for found in models.old_keys:
        used = models.from_objects(found.model) if found.old == "orm_mode" else None
        more = {"not touched": ", ".join(models.from_orm_calls)} if models.from_orm_calls else {}
        yield Finding(
            f"`{found.old}` in {found.model} means nothing under Pydantic {pydantic.version}",
            looked_at=f"{found.place}; {installed.where(pydantic)}",
            found=f"{found.old}"
            + (f"; objects are turned into {found.model} at {used}" if used else ""),
            wanted=f"{found.new}" if found.new else "nothing: this key was removed",
            target=f"{found.model}.{found.old}",
            place=found.place,
            severity=Severity.ERROR if used else None,
            next_step="saas-doctor fix --select SRC202 renames it"
            if found.new
            else f"remove {found.old}; see Pydantic's migration guide",
            data={"key": found, "no_fix": found.new is None},
            more=more,
        )


@check(
    "SRC204",
    symptoms=(r"Attribute name 'metadata' (is reserved|should be left reserved)",),
)
def reserved_metadata(tables: Tables, installed: Installed) -> Iterator[Finding]:
    """A SQLAlchemy model has an attribute called `metadata`, which is SQLAlchemy's own.

    Importing the models ends in `Attribute name 'metadata' is reserved`; from SQLAlchemy 2.1 on it
    is a warning only.

    **Detected** in classes proven to be declarative models, their bases followed across files.
    **Fixed** by renaming the attribute (`service_metadata`) and keeping the column's name, so that
    no migration is due; `undo` restores the bytes. Uses of the old attribute are named, not
    touched: they fail silently (`Service(metadata=...)` stores nothing, `row.metadata` is
    SQLAlchemy's own object).
    **Silent** for `Column("metadata", ...)` under another attribute name, for `metadata =
    MetaData()` of a base class, and for classes that are no models.
    """
    package = installed.get("sqlalchemy")
    if not package:
        return
    warns = package.version >= Version("2.1.dev0")
    for found in tables.reserved:
        more = {"uses not touched": ", ".join(found.uses)} if found.uses else {}
        yield Finding(
            f"`metadata` of {found.model} is reserved by SQLAlchemy",
            looked_at=f"{found.place}; {installed.where(package)}",
            found=found.text,
            wanted=f'{found.new} = Column("metadata", ...): another attribute, the same column',
            target=f"{found.module.name}:{found.model}",
            place=found.place,
            severity=Severity.WARNING if warns else None,
            next_step="saas-doctor fix --select SRC204 renames the attribute"
            + (f"; then correct its uses at {', '.join(found.uses)}" if found.uses else ""),
            data={"attribute": found, "no_fix": not found.edits},
            more=more,
        )
