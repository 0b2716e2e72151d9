"""The platform's source files: whether they compile, and what they import."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterator

from saas_doctor.facts.layout import Layout, Unmarked
from saas_doctor.facts.source import MAXIMUM
from saas_doctor.facts.syntax import Syntax
from saas_doctor.model import Absent, Blocked, Finding, Place, Severity, Undecided
from saas_doctor.rules import check

_OWN = platform.python_version()


@check(
    "SRC200",
    symptoms=(r"SyntaxError: (?P<text>.+)", r"source code (string )?cannot contain null bytes"),
)
def source_cannot_be_compiled(syntax: Syntax) -> Iterator[Finding | Undecided]:
    """A Python file of the platform can't be compiled.

    Whatever imports it fails. It is not examined further, and no fix touches it.

    **Detected** by the platform's own interpreter, which compiles it without running it or writing
    anything. Where there is no environment, the doctor's own Python does it; where that is none that
    the platform is for (`requires-python`), what a newer one may take is `unknown`. `unknown` as
    well what the platform's Python takes and the doctor's own, older one does not, and a file above
    2 MB that may be imported: no other check sees that file.
    **Fixed** by hand, at the line that is named.
    **Silent** about files outside the back end and the services, in environments and caches, and
    about a file that the platform's Python has compiled as it is now.
    """
    if syntax.doubtful:
        first, rest = syntax.doubtful[0], len(syntax.doubtful) - 1
        more = f" and {rest} more" if rest else ""
        yield Undecided(
            f"{first.module.name}{more}: {first.text}, says {syntax.judge}, which runs the doctor; "
            "it may be too old for the code, and there is no environment to ask: make it, or run "
            "the doctor with the Python of the services"
        )
    if syntax.unseen:
        others = f" and {len(syntax.unseen) - 1} more" if len(syntax.unseen) > 1 else ""
        yield Undecided(
            f"{syntax.unseen[0].name}{others}: the Python that runs the doctor ({_OWN}) is too old to "
            f"parse it, so no other check sees it; run the doctor with {syntax.judge}"
        )
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
    if syntax.too_large:
        others = f" and {len(syntax.too_large) - 1} more" if len(syntax.too_large) > 1 else ""
        limit = f"{MAXIMUM // 1_000_000} MB"
        yield Undecided(f"{syntax.too_large[0]}{others}: larger than {limit}, no check looks at it")


@check(
    "SRC201",
    symptoms=(
        r"cannot import name '(?P<name>\w+)' from '(?P<package>[\w.]+)' \(unknown location\)",
    ),
)
def package_marker_missing(layout: Layout) -> Iterator[Finding]:
    """A package has no `__init__.py` where one is due.

    Without it a folder is a namespace package: its modules can be imported, but it holds no names
    of its own, so `from shared.models import User` ends in `cannot import name ... (unknown
    location)`; and an installed package of the same name wins over it, wherever it lies.
    Packagers and type checkers leave such a folder out.

    **Detected** where a name is imported from the folder that is no module in it, and where a
    module of it is imported but an installed package of that name wins (errors); and where the
    folder is imported, and its parent and all its siblings have the file (info: nothing fails).
    **Fixed** by creating the file: with the imports that the code asks for where each name is
    defined in exactly one module of the folder, empty where no name is asked for; `undo` removes it.
    **Silent** where no import fails: in layouts that have the file nowhere, for imports that may
    fail (in a `try`) or are for type checkers only, for folders that are called as an installed or
    a standard package whose names are meant, for scripts, tests and migrations.
    """
    dotted = Counter(folder.dotted for folder in layout.unmarked)
    for folder in layout.unmarked:
        target = folder.dotted if dotted[folder.dotted] == 1 else folder.name
        if folder.asked:
            names = ", ".join(sorted(folder.asked))
            place = next(iter(folder.asked.values()))
            content = _reexports(folder)
            why = f"{place} imports {names} from it"
            yield _marker(folder, target, Severity.ERROR, why, place, content)
        elif folder.shadow:
            why = f"{folder.shadow} wins over it, and {folder.shadowed_at} fails"
            yield _marker(folder, target, Severity.ERROR, why, folder.shadowed_at, b"")
        else:
            why = "its parent and its siblings have one"
            yield _marker(folder, target, Severity.INFO, why, None, b"")
    if layout.untold and not layout.unmarked:
        why = f"whether a package called {', '.join(layout.untold)} is installed"
        if layout.failing:
            raise Blocked(layout.failing, f"no environment tells {why}")
        raise Absent(f"there is no environment that tells {why}")


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
    folder: Unmarked,
    target: str,
    severity: Severity,
    why: str,
    place: Place | None,
    content: bytes | None,
) -> Finding:
    name = f"{folder.name}/__init__.py"
    homes = folder.homes or {}
    unclear = [n for n, modules in homes.items() if len(modules) != 1]
    return Finding(
        f"package {folder.dotted} has no __init__.py: {why}",
        looked_at=f"{folder.name}/",
        found="no __init__.py",
        wanted=name + ("" if content == b"" else " that defines these names"),
        target=target,
        place=place,
        next_step="saas-doctor fix --select SRC201 creates it"
        if content is not None
        else f"create {name} and import {', '.join(unclear) or 'the names'} in it",
        severity=severity,
        data={"folder": folder.folder, "content": content, "no_fix": content is None},
    )
