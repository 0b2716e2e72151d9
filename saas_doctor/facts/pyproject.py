"""The dependencies that a pyproject.toml declares: PEP 621, dependency groups, uv, PDM and Poetry."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from saas_doctor.edits import Edit, apply_edits, newline_of
from saas_doctor.facts.toml_spots import Spot, spots

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

POETRY = ("tool", "poetry", "dependencies")
STANDARD = ("project", "dependencies")


class Declared(Struct, frozen=True):
    """One dependency as text that `packaging` reads, and the bytes that say which versions.

    `group`: the extra or group that it belongs to, empty for what is always installed. `start`
    and `end` are 0 where the text can't be edited in its place. `poetry`: the bytes are versions
    in Poetry's words, and not the whole requirement. `elsewhere`: it comes from a folder, an
    address or a repository that a table of the tool names.
    """

    text: str
    group: str = ""
    start: int = 0
    end: int = 0
    poetry: bool = False
    elsewhere: bool = False


class Project(Struct, frozen=True):
    """What a pyproject.toml says of the project's dependencies."""

    declared: tuple[Declared, ...] = ()
    files: tuple[str, ...] = ()
    """Requirement files that the dependencies are read from (setuptools' `dynamic`)."""
    table: tuple[str, ...] = STANDARD
    error: str = ""
    overrides: tuple[str, ...] = ()
    """Requirements that count in place of what anything asks for (uv's `override-dependencies`)."""
    apart: frozenset[str] = frozenset()
    """The extras and groups that are declared to conflict."""
    together: bool = False
    """Whether a tool finds versions for all groups at once."""


def read(data: bytes) -> Project:
    """The declared dependencies; `error` where the file is no TOML."""
    try:
        document = tomllib.loads(data.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        return Project(error=str(error))
    project, tool = _table(document, "project"), _table(document, "tool")
    poetry = _table(tool, "poetry")
    dynamic = "dependencies" in _texts(project.get("dynamic"))
    standard = "dependencies" in project or (bool(project) and not poetry and not dynamic)
    found = [*_standard(project)] if standard else [*_poetry(poetry)]
    setuptools = (
        _table(_table(tool, "setuptools"), "dynamic").get("dependencies") if dynamic else ()
    )
    files = _table({"": setuptools}, "").get("file")
    sources = {canonicalize_name(name) for name in _table(_table(tool, "uv"), "sources")}
    declared = _located(data, [*found, *_groups(document, tool, poetry)])
    return Project(
        tuple(replace(d, elsewhere=d.elsewhere or _name(d.text) in sources) for d in declared),
        (files,) if isinstance(files, str) else tuple(_texts(files)),
        STANDARD if standard else POETRY,
        overrides=tuple(_texts(_table(tool, "uv").get("override-dependencies"))),
        apart=frozenset(_apart(tool)),
        together=bool({"uv", "poetry", "pdm"} & set(tool)),
    )


def _apart(tool: dict[str, Any]) -> Iterator[str]:
    """The extras and groups in uv's `conflicts`."""
    sets = _table(tool, "uv").get("conflicts")
    for one in sets if isinstance(sets, list) else ():
        for item in one if isinstance(one, list) else ():
            for kind in ("extra", "group"):
                if isinstance(item, dict) and isinstance(item.get(kind), str):
                    yield f"{kind} {item[kind]}"


def python_of(data: bytes) -> str | None:
    """Which Python a Poetry project wants, as a range of versions."""
    try:
        document = tomllib.loads(data.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError):
        return None
    wanted = _table(_table(_table(document, "tool"), "poetry"), "dependencies").get("python")
    return pep440(wanted) if isinstance(wanted, str) else None


def _name(text: str) -> str:
    return canonicalize_name(re.split(r"[^\w.-]", text.strip(), maxsplit=1)[0])


def _table(parent: dict[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _texts(value: Any) -> list[str]:
    return [v for v in value if isinstance(v, str)] if isinstance(value, list) else []


_Found = tuple[tuple[str, ...], str, Declared]
"""Where a string stands (its keys), the string itself, and the dependency that it declares."""


def _standard(project: dict[str, Any]) -> Iterator[_Found]:
    for text in _texts(project.get("dependencies")):
        yield STANDARD, text, Declared(text)
    for extra, texts in _table(project, "optional-dependencies").items():
        for text in _texts(texts):
            yield (
                ("project", "optional-dependencies", extra),
                text,
                Declared(text, f"extra {extra}"),
            )


def _groups(
    document: dict[str, Any], tool: dict[str, Any], poetry: dict[str, Any]
) -> Iterator[_Found]:
    """What belongs to a group: tools of the developers, most often."""
    for table in (("dependency-groups",), ("tool", "pdm", "dev-dependencies")):
        parent = document if len(table) == 1 else _table(tool, "pdm")
        for group, texts in _table(parent, table[-1]).items():
            for text in _texts(texts):
                yield (*table, group), text, Declared(text, f"group {group}")
    for text in _texts(_table(tool, "uv").get("dev-dependencies")):
        yield ("tool", "uv", "dev-dependencies"), text, Declared(text, "group dev")
    groups = {"dev": {"dependencies": poetry.get("dev-dependencies")}, **_table(poetry, "group")}
    for group, content in groups.items():
        for name, value in _table({"": content}, "").items():
            if name == "dependencies" and isinstance(value, dict):
                old = group == "dev" and value is poetry.get("dev-dependencies")
                keys = ("dev-dependencies",) if old else ("group", group, "dependencies")
                yield from _of_poetry(value, ("tool", "poetry", *keys), f"group {group}")


def _poetry(poetry: dict[str, Any]) -> Iterator[_Found]:
    yield from _of_poetry(_table(poetry, "dependencies"), POETRY, "")


def _of_poetry(table: dict[str, Any], keys: tuple[str, ...], group: str) -> Iterator[_Found]:
    """Poetry's table of dependencies as requirements; what has no such form is asked for by name."""
    for name, value in table.items():
        if canonicalize_name(name) == "python":
            continue
        for one in value if isinstance(value, list) else [value]:
            details = one if isinstance(one, dict) else {"version": one}
            version = details.get("version")
            version = version if isinstance(version, str) else ""
            extras = ",".join(_texts(details.get("extras")))
            markers = [details["markers"]] if isinstance(details.get("markers"), str) else []
            python = details.get("python")
            markers += _python_markers(pep440(python) or "") if isinstance(python, str) else []
            text = name + (f"[{extras}]" if extras else "") + (pep440(version) or "")
            text += f" ; {' and '.join(f'({m})' for m in markers)}" if markers else ""
            where = (*keys, name) + (("version",) if isinstance(one, dict) else ())
            optional = f"extra {name}" if details.get("optional") is True else ""
            away = any(key in details for key in ("git", "path", "url", "file"))
            yield where, version, Declared(text, group or optional, poetry=True, elsewhere=away)


def _python_markers(specifier: str) -> list[str]:
    found = re.findall(r"(===|[<>=!~]=|[<>])\s*([^,\s]+)", specifier)
    return [f"python_full_version {sign} '{version}'" for sign, version in found]


def _located(data: bytes, found: list[_Found]) -> Iterator[Declared]:
    """Each with its bytes: the same string at the same keys, in the same order."""
    there: dict[tuple[str, ...], list[Spot]] = {}
    for spot in spots(data):
        there.setdefault(spot.keys, []).append(spot)
    for keys, text, declared in found:
        queue = there.get(keys, [])
        at = queue.pop(0) if queue else None
        same = at is not None and data[at.start : at.end] == text.encode()
        yield replace(declared, start=at.start, end=at.end) if at and same else declared


def insertion(data: bytes, table: tuple[str, ...], text: str) -> tuple[Edit, ...]:
    """The edits that add a requirement after the last one, in its form; none where that is unclear."""
    if read(data).error:
        return ()
    plain = len(table) + (table == POETRY)
    found = [s for s in spots(data) if s.keys[: len(table)] == table and len(s.keys) == plain]
    if not found:
        return ()
    last = found[-1]
    line, end = data.rfind(b"\n", 0, last.start) + 1, data.find(b"\n", last.end) + 1
    newline = newline_of(data)
    after = last.end + 1
    lead, quote = data[line : last.start - 1], data[last.end : after]
    rest = re.match(
        rb"\s*(,?)[ \t]*(?:#[^\n]*)?\r?$", data[after : end - 1] if end else data[after:]
    )
    if table == POETRY:
        name = re.split(r"[^\w.-]", text, maxsplit=1)[0]
        new = f'{name} = "{text[len(name) :]}"'.encode() + newline
        edits: tuple[Edit, ...] = (Edit(end, end, new),) if end and rest else ()
    elif lead.strip() or not rest or not end:  # several on one line
        edits = (Edit(after, after, b", " + quote + text.encode() + quote),)
    elif rest[1]:
        edits = (Edit(end, end, lead + quote + text.encode() + quote + b"," + newline),)
    else:
        new = lead + quote + text.encode() + quote + b"," + newline
        edits = (Edit(after, after, b","), Edit(end, end, new))
    now = [d.text for d in read(apply_edits(data, edits)).declared if not d.group]
    before = [d.text for d in read(data).declared if not d.group]
    return edits if sorted(now) == sorted([*before, text]) else ()


_PART = re.compile(r"(===|[<>=!~]=|[<>=~^]|)\s*([^\s,|<>=!~^]+)")


def pep440(constraint: str) -> str | None:
    """A constraint in Poetry's words as PEP 440 says it; None where it has no such form."""
    if "|" in constraint:
        return None
    parts = [_pep440(*part) for part in _PART.findall(constraint) if part != ("", "*")]
    return None if None in parts else ",".join(part for part in parts if part)


def _pep440(sign: str, text: str) -> str | None:
    try:
        version = Version(text.removesuffix(".*"))
    except InvalidVersion:
        return None
    if sign == "^":
        return f">={text},<{_next(version, _leftmost(version))}"
    if sign == "~":
        return f">={text},<{_next(version, min(len(version.release), 2))}"
    return {"": "==", "=": "=="}.get(sign, sign) + text


def _leftmost(version: Version) -> int:
    """How many numbers `^` keeps: up to the first that is not 0."""
    release = version.release
    return next((i for i, number in enumerate(release, 1) if number), len(release))


def _next(version: Version, kept: int) -> str:
    *head, last = version.release[:kept]
    return ".".join(map(str, [*head, last + 1]))
