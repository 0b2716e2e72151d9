"""What the platform's own modules import from each other, and from where that is found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from saas_doctor.edits import Edit
from saas_doctor.facts.imports import Imports
from saas_doctor.facts.launches import Launches, Unstartable
from saas_doctor.facts.missing import Missing, MissingImports
from saas_doctor.facts.reexport import reexport
from saas_doctor.facts.shadows import Shadows
from saas_doctor.facts.uncollected import Uncollected
from saas_doctor.model import Finding, Place, Severity
from saas_doctor.rules import check


@check(
    "SRC203",
    symptoms=(
        r"No module named '(?P<module>\w+)'(?!; )",
        r"attempted relative import with no known parent package",
        r"Could not import module \"(?P<app>[\w.]+)\"",
    ),
)
def script_misses_the_platform(launches: Launches) -> Iterator[Finding]:
    """A service's `run.py` can't find the platform's packages.

    `python run.py` looks for modules in the script's own folder: not in the folder that the command
    is given in, and not in the one above. So `from shared.config import ...` ends in `No module
    named 'shared'`, whatever `__init__.py` there is, unless the script puts the folder above on
    `sys.path` before it.

    **Detected** by following the script's imports, and those of the app that it names to uvicorn,
    as they would be executed. An error where a file of the platform says that the service is
    started so (a Dockerfile, a compose file, a Makefile, a script, a README), else a warning.
    **Fixed** by the line that puts the folder on `sys.path`, before the script's first import of the
    platform; `undo` takes it out. A relative import in the script is to be mended by hand.
    **Silent** where the files tell of another way (`python -m registry.run`, `uvicorn
    registry.main:app`) and not of this one; where `PYTHONPATH` is set anywhere, or the environment
    has the platform's packages (an editable install); and where `sys.path` is changed in a way that
    the text does not tell.
    """
    for service in launches.unstartable:
        if service.way.kind == "script":
            yield _unstartable(launches, service)


@check(
    "SRC205",
    symptoms=(
        r"No module named '(?P<module>\w+\.[\w.]+)'(?!; )",
        r"attempted relative import beyond top-level package",
        r"Error while importing test module '(?P<test>[^']+)'",
    ),
)
def local_module_not_found(
    missing: MissingImports, launches: Launches, tests: Uncollected
) -> Iterator[Finding]:
    """A module of the platform is imported that is nowhere, or not where it is looked for.

    **Detected** for every import that begins with a package of the platform, by whether there is
    such a module; by following the imports of each service without a `run.py` from its `main.py`,
    by its full name (`uvicorn registry.main:app`) and in its own folder (`uvicorn main:app`); and
    for tests, by what a bare `pytest` puts on `sys.path`. An error where what starts a service
    imports a module that is nowhere; else a warning.
    **To mend**, correct the import, the nearest module is named; or start it from the folder that is
    named (`PYTHONPATH`).
    **Silent** for imports in a `try`, under a condition or in a function; for modules that git is
    told to leave out, since those are made later; for packages that are to be installed; where a
    way to start the service works; where `PYTHONPATH` is set anywhere, or the environment has the
    platform's packages; and where `sys.path` is changed in a way that the text does not tell.
    """
    for nowhere in missing.all:
        if not nowhere.name and not nowhere.right:
            yield _nowhere(nowhere)
    for service in launches.unstartable:
        if service.way.kind != "script":
            yield _unstartable(launches, service)
    for test in tests.found:
        root = launches.platform.relative(test.root)
        yield Finding(
            f"a bare `pytest` can't import {test.full} in {test.module.name}",
            looked_at=f"{test.place}; what pytest adds to sys.path: {', '.join(test.path)}",
            found=f"{test.full} lies in {root}, which is not on sys.path then",
            wanted=f"pytest to look in {root}",
            target=f"pytest:{root}",
            place=test.place,
            severity=Severity.WARNING,
            next_step=f"run `python -m pytest` in {root}, or give pytest's configuration there "
            '`pythonpath = ["."]`',
            data={"no_fix": True},
        )


def _nowhere(missing: Missing) -> Finding:
    near = [_beside(missing.origin, name) for name in missing.near]
    return Finding(
        f"{missing.module.name} imports {missing.origin}, and there is no such module",
        looked_at=str(missing.place),
        found=f"no {missing.origin.lstrip('.').replace('.', '/')}.py, and no folder of that name",
        wanted=", ".join(near) or "a module that exists",
        target=f"{missing.module.name}:{missing.origin}",
        place=missing.place,
        also=missing.also,
        severity=Severity.ERROR if missing.used else Severity.WARNING,
        next_step=f"import {near[0]} instead, if that is meant" if near else "correct the import",
        data={"no_fix": True},
        more=_also(missing),
    )


def _beside(origin: str, name: str) -> str:
    head = origin.rpartition(".")[0]
    return (
        f"{head}.{name}"
        if head.strip(".")
        else f"{origin[: len(origin) - len(origin.lstrip('.'))]}{name}"
    )


def _also(missing: Missing) -> dict[str, str]:
    return _places(missing.also)


def _places(places: Sequence[Place]) -> dict[str, str]:
    """Further places, each once."""
    also = list(map(str, dict.fromkeys(places)))
    shown = also[:10]
    rest = len(also) - len(shown)
    text = ", ".join(shown) + (f" and {rest} more" if rest else "")
    return {"also at": text} if text else {}


def _unstartable(launches: Launches, service: Unstartable) -> Finding:
    failure, way = service.missing, service.way
    place = launches.place(failure)
    base = launches.base_of(failure)
    if failure.kind == "relative":
        found = f"{failure.full} is relative, and the module is in no package then"
    else:
        where = f"{launches.platform.relative(base)}, which is" if base else "a folder that is"
        found = f"{failure.full} lies in {where} not on sys.path"
    severity = Severity.ERROR if service.written else Severity.WARNING
    fixable = launches.insertion(service) is not None
    if fixable:
        step = "saas-doctor fix --select SRC203 puts it there"
        step += f"; or start it by `{service.works}`" if service.works else ""
    else:
        step = f"start it by `{service.works}`" if service.works else f"set PYTHONPATH to {base}"
    return Finding(
        f"`{way.command}` can't import {failure.full}",
        looked_at=str(place) + (f"; {service.written} starts it so" if service.written else ""),
        found=found,
        wanted=f"{launches.platform.relative(base)} on sys.path before the import"
        if base
        else "a start by the module's full name",
        target=launches.script_of(service) or service.service,
        place=place,
        severity=severity,
        next_step=step,
        data={"service": service, "no_fix": not fixable},
        more={"works": service.works} if service.works else {},
    )


@check(
    "SRC206",
    symptoms=(
        r"cannot import name '(?P<name>\w+)' from '(?P<module>[\w.]+)' \((?!unknown)(?P<path>[^)]+)\)",
    ),
)
def name_not_defined(missing: MissingImports, imports: Imports) -> Iterator[Finding]:
    """A name is imported from a module of the platform that does not define it.

    `ImportError: cannot import name 'User' from 'shared.models' (.../shared/models/__init__.py)`:
    the file is there and lacks the name. A package has only the names that its `__init__.py`
    defines or imports; that a module in its folder defines it is not enough.

    **Detected** in the syntax trees: everything that binds a name at the top level of a module
    counts, under a condition as well, and so do its submodules. `__all__` alone binds nothing. An
    error where what starts a service imports it, else a warning: the module can't be imported. One
    finding for all names of a module.
    **Fixed** where the package's `__init__.py` lacks the name and exactly one module in the package
    defines it: the import is added there, relative or absolute as the others, and the name to a
    plain `__all__`; not where that would make a circle of imports, or the module itself imports
    what is not installed. `undo` restores the bytes. Else the nearest right name is told.
    **Silent** where the names can't be told: a star-import of another's package, a module's
    `__getattr__`, `globals()`, `sys.modules`, `exec`, a `.pyi` or a compiled module beside it, an
    attribute of that name that is set anywhere; for imports in a `try`, under a condition or in a
    function; and for a folder without `__init__.py` (SRC201).
    """
    groups: dict[tuple[str, bool, bool], list[tuple[Missing, tuple[Edit, ...]]]] = {}
    for found in missing.all:
        if found.name and not found.right:
            assert found.target
            edits = reexport(imports, found)
            key = (found.target.name, found.used, bool(edits))
            groups.setdefault(key, []).append((found, edits))
    for same in groups.values():
        yield _undefined([m for m, _ in same], tuple(e for _, edits in same for e in edits))


def _undefined(same: list[Missing], edits: tuple[Edit, ...]) -> Finding:
    first = same[0]
    assert first.target
    target, names = first.target, [missing.name for missing in same]
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    importers = {m.module.name for m in same} | {a.path for m in same for a in m.also}
    elsewhere = [m.place for m in same if m.module.name != first.module.name]
    elsewhere += [place for m in same for place in m.also]
    others = f" and {len(importers) - 1} more import" if len(importers) > 1 else " imports"
    homes = {missing.homes[0].name for missing in same if len(missing.homes) == 1}
    home = next(iter(homes)) if len(homes) == 1 else ""
    if edits:
        step = (
            f"saas-doctor fix --select SRC206 imports {'it' if len(names) == 1 else 'them'} there"
        )
        step += f" from {home}" if home else ""
    elif home and len(names) == 1:
        step = f"import it from {home}, which defines it"
    elif first.near and len(names) == 1:
        step = f"write {' or '.join(first.near)}, if that is meant; or define {first.name}"
    else:
        step = f"define {shown} in {target.name}, or correct the imports"
    return Finding(
        f"{target.name} does not define {shown}, which {first.module.name}{others}",
        looked_at=f"{first.place}; {target.name}",
        found=f"no {shown} in {target.name}" + (f"; {home} defines it" if home else ""),
        wanted=f"{shown} at its top level",
        target=f"{target.name}:{first.name}",
        place=first.place,
        also=tuple(dict.fromkeys(elsewhere)),
        severity=Severity.ERROR if first.used else Severity.WARNING,
        next_step=step,
        data={"package": target, "edits": edits, "name": shown, "no_fix": not edits},
        more=_places(elsewhere),
    )


@check(
    "SRC207",
    symptoms=(
        r"partially initialized module '(?P<module>\w+)' has no attribute '(?P<name>\w+)'",
        r"consider renaming '(?P<path>[^']+)' since it has the same name as the standard library",
        r"No module named '(?P<name>[\w.]+)'; '(?P<module>\w+)' is not a package",
        r"module '(?P<module>\w+)' has no attribute '(?P<name>\w+)'",
    ),
)
def module_hides_another(shadows: Shadows) -> Iterator[Finding]:
    """A module of the platform hides one of the standard library, or an installed one.

    Python looks first in the folder of the script (`python run.py`) or in the working directory
    (`python -m uvicorn`). A `logging.py`, `email.py` or `redis.py` there is what every `import
    logging` gets, also those in FastAPI's and the standard library's own code.

    **Detected** in the folders that are on `sys.path` where a service starts: where a module of the
    platform imports what the local one does not have; and where FastAPI itself does, for the
    modules of the standard library of which that is known. An error where every way to start the
    service comes upon it; a warning where only `python -m uvicorn` does.
    **To mend** rename the module and what imports it; or move it into the service's package.
    **Silent** for modules inside packages (`app/core/logging.py` is `app.core.logging`), where
    everything that is imported is in the local module, and where only the command `uvicorn` is
    used, which has loaded the right ones by then.
    """
    for hidden in shadows.hidden:
        whose = "the standard library's" if hidden.standard else "the installed"
        names = ", ".join(f"{hidden.top}.{name}" for name in hidden.names[:5])
        yield Finding(
            f"{hidden.local.name} hides {whose} {hidden.top}: {hidden.by} needs {names}",
            looked_at=f"{hidden.place}; {hidden.local.name}; `{hidden.way.command}`",
            found=f"{hidden.local.name} comes first on sys.path and has no {hidden.names[0]}",
            wanted=f"no module called {hidden.top} there",
            target=hidden.local.name,
            place=hidden.place,
            severity=Severity.ERROR if hidden.sure else Severity.WARNING,
            next_step=f"rename {hidden.local.name}, and what imports it",
            data={"no_fix": True},
        )


@check(
    "SRC208",
    symptoms=(
        r"cannot import name '(?P<name>\w+)' from partially initialized module '(?P<module>[\w.]+)'",
    ),
)
def circular_import(launches: Launches) -> Iterator[Finding]:
    """Modules of the platform import each other in a circle, and one comes too early.

    `from a import X` needs X at that moment. Where `a` is still being imported, because it imports
    the module that asks, X is not there yet: `cannot import name 'X' from partially initialized
    module 'a' (most likely due to a circular import)`.

    **Detected** by following the imports of each service in the order in which they are executed,
    from what it is started with.
    **To mend** import it inside the function that uses it, or write `import a` and `a.X`; or move X
    into a module that both import.
    **Silent** about circles that work: where the name is defined before the circle closes, for
    `import a`, for imports in functions, under a condition or for type checkers; and where a way
    to start the service works.
    """
    found: dict[str, Finding] = {}
    for way in launches.circles:
        failure = way.run.failure
        assert failure
        assert failure.partial
        circle = " -> ".join((*failure.chain, failure.chain[0]))
        place = launches.place(failure)
        found.setdefault(
            str(place),
            Finding(
                f"{failure.module.name} imports {failure.name} from {failure.full}, which has not "
                "got so far: they import each other",
                looked_at=f"{place}; {failure.partial.name}; `{way.command}`",
                found=f"{circle}, and {failure.name} is defined after that",
                wanted=f"{failure.name} before the circle closes",
                target=f"{failure.module.name}:{failure.full}.{failure.name}",
                place=place,
                next_step=f"import {failure.name} inside the function that uses it in "
                f"{failure.module.name}, or move it into a module that both import",
                data={"no_fix": True},
            ),
        )
    yield from found.values()


@check(
    "SRC209",
    symptoms=(r"No module named '(?P<module>[\w.]*[A-Z][\w.]*)'",),
)
def letter_case(missing: MissingImports) -> Iterator[Finding]:
    """An import and the file that it means differ in the case of their letters.

    Python compares the letters exactly on every disk. What hides it is git on a disk that does
    not (macOS, Windows): a file that was renamed there from `Models.py` to `models.py` keeps its
    old name in the repository, and the import fails wherever that is checked out on Linux.

    **Detected** where there is no module of the imported name, and exactly one whose name differs
    in case alone. An error where what starts a service imports it, else a warning.
    **Fixed** in the import statement, the module's part of it alone; `undo` restores the bytes. Not
    where the name is used in the code as well (`import Shared.config`), or where it is the module
    itself that is imported (`from shared import Config`).
    **Silent** where both are there, and for packages that are installed.
    """
    for found in missing.all:
        if not found.right:
            continue
        written = found.name or found.origin
        fixable = bool(found.spans) and not found.name
        yield Finding(
            f"{found.module.name} imports {written}, and the module is called {found.right}",
            looked_at=str(found.place),
            found=written,
            wanted=found.right,
            target=f"{found.module.name}:{found.origin}" + (f".{found.name}" if found.name else ""),
            place=found.place,
            also=found.also,
            severity=Severity.ERROR if found.used else Severity.WARNING,
            next_step="saas-doctor fix --select SRC209 corrects the import"
            if fixable
            else f"write {found.right}, there and where the name is used",
            data={"missing": found, "no_fix": not fixable},
            more=_also(found),
        )
