"""What the platform's modules import from each other, from where the services are started."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from saas_doctor.facts.cycles import Cycles
from saas_doctor.facts.imports import Imports, Missing, is_for_tests
from saas_doctor.facts.scripts import Scripts
from saas_doctor.model import Finding, Severity
from saas_doctor.rules import check


@check(
    "SRC203",
    symptoms=(r"ModuleNotFoundError: No module named '(?P<module>shared|registry|gateway|core)'",),
)
def script_misses_the_platform(scripts: Scripts) -> Iterator[Finding]:
    """A service's `run.py` can't find the platform's packages.

    `python run.py` puts the script's own folder on the search path: not the folder that the command
    is given in, and not the one above. So `from shared.config import ...` ends in `No module named
    'shared'`, whatever `__init__.py` there is.

    **Detected** in `run.py`, and in the `main.py` that it starts, where an import is found neither
    in that folder nor in the environment, but in the back end's folder above.
    **Fixed** by putting that folder on the path at the top of `run.py`; `undo` restores the bytes.
    **Silent** where the script does so itself, where `PYTHONPATH` or `python -m <service>.run` is
    how the platform's files start it, and where there is no environment to ask.
    """
    for lost in scripts.lost:
        name = lost.script.name
        yield Finding(
            f"`python run.py` of {lost.service} can't import {lost.module}",
            looked_at=f"{lost.place}; {name}",
            found=f"{lost.module} is neither beside {name} nor installed",
            wanted=f"{scripts.platform.relative(lost.folder)} on the search path before the import",
            target=name,
            place=lost.place,
            next_step="saas-doctor fix --select SRC203 adds it; or start by "
            f"`python -m {lost.script.dotted}` from {scripts.platform.relative(lost.folder)}",
            data={"lost": lost},
        )


@check(
    "SRC205",
    symptoms=(r"ModuleNotFoundError: No module named '(?P<module>[\w]+\.[\w.]+)'",),
)
def module_is_nowhere(imports: Imports) -> Iterator[Finding]:
    """A module of a local package is imported, and there is none of that name.

    **Detected** by following every `from package.module import ...` whose first part is a package
    of the platform to a file. In a function it is a warning: it fails once that is called.
    **To mend**, correct the name; the nearest that exists is named.
    **Silent** for imports that may fail (`try`) or are for type checkers, in tests and scripts, for
    modules that a build makes (`_version`, `*_pb2`, what `.gitignore` names), and where a package
    of that name is installed.
    """
    nowhere = [m for m in imports.missing if m.target is None and not m.written]
    for found, others in _together(m for m in nowhere if not is_for_tests(m.module)):
        yield _nowhere(found, others)


def _together(missing: Iterable[Missing]) -> Iterator[tuple[Missing, dict[str, str]]]:
    """The first import of each thing that is not there, with the places of the others."""
    groups: dict[tuple[str, str], list[Missing]] = {}
    for found in missing:
        name = found.name if found.target else ""
        groups.setdefault((found.origin, name), []).append(found)
    for first, *others in groups.values():
        places = ", ".join(str(other.place) for other in others)
        yield first, {"also at": places} if others else {}


def _nowhere(found: Missing, others: dict[str, str]) -> Finding:
    return Finding(
        f"there is no module {found.origin}",
        looked_at=f"{found.place}; {found.module.root.name}/",
        found=f"from {found.origin} import {found.name}",
        wanted=found.near or "a module of the platform",
        target=found.origin,
        place=found.place,
        more=others,
        severity=None if found.sure else Severity.WARNING,
        next_step=f"write {found.near} at {found.place}"
        if found.near
        else f"correct or remove the import at {found.place}",
    )


@check(
    "SRC206",
    symptoms=(r"cannot import name '(?P<name>\w+)' from '(?P<module>[\w.]+)' \((?!unknown)",),
)
def name_is_not_defined(imports: Imports) -> Iterator[Finding]:
    """A name is imported from a module of the platform that does not define it.

    The usual case is a package whose `__init__.py` is there, but empty: `from shared.models import
    User` needs a line in it that imports `User`.

    **Detected** from the syntax tree of the module: assignments, classes, functions, imports,
    `__all__` and star imports of its own modules.
    **Fixed** where exactly one module of the package defines the name, by importing it in the
    package's `__init__.py`; `undo` restores the bytes. Else the nearest name is named.
    **Silent** for imports that may fail or are for type checkers, and where names are made while
    running (`__getattr__`, `globals()`, star imports from elsewhere).
    """
    for found, others in _together(m for m in imports.missing if m.target):
        assert found.target
        home = found.homes[0] if len(found.homes) == 1 else None
        # The module may need the package itself first: a circle.
        safe = home is not None and not imports.needs(home, found.origin)
        yield Finding(
            f"{found.origin} does not define {found.name}",
            looked_at=f"{found.place}; {found.target.name}",
            found=f"no {found.name} in {found.target.name}",
            wanted=f"{found.name}, as {home.name} defines it" if home else found.near or found.name,
            target=f"{found.origin}.{found.name}",
            place=found.place,
            more=others,
            severity=None if found.sure and not is_for_tests(found.module) else Severity.WARNING,
            next_step="saas-doctor fix --select SRC206 imports it there"
            if safe
            else f"write {found.near} at {found.place}"
            if found.near
            else f"define {found.name} in {found.target.name}, or correct {found.place}",
            data={"missing": found, "home": home, "no_fix": not safe},
        )


@check("SRC207")
def standard_module_shadowed(scripts: Scripts) -> Iterator[Finding]:
    """A file of the platform is found in place of a module of the standard library.

    The folder of `run.py`, and the back end's when a service is started from it, come first on the
    search path: an `email.py` or `logging.py` there is what every package gets that imports it.

    **Detected** in those folders, by name. An error where FastAPI and what it needs import that
    module, or where a name is imported that the file does not have.
    **To mend**, give the file another name, and correct what imports it.
    **Silent** inside packages (`app/types.py` is `app.types`), for modules that Python has loaded
    before it looks there, and for those that nobody else needs.
    """
    for shadow in scripts.shadows:
        name = shadow.module.name
        stem = shadow.module.dotted.rpartition(".")[2]
        reason = (
            f"{shadow.lacks_at} imports {shadow.lacks} from it"
            if shadow.lacks
            else "the packages of every service import it"
        )
        yield Finding(
            f"{name} is found in place of the standard library's {stem}: {reason}",
            looked_at=name,
            found=f"a module called {stem} at the top of a search path",
            wanted="another name",
            target=name,
            place=shadow.lacks_at,
            next_step=f"rename {name}, and what imports it",
        )


@check(
    "SRC208",
    symptoms=(
        r"cannot import name '(?P<name>\w+)' from partially initialized module '(?P<module>[\w.]+)'",
    ),
)
def circular_import(cycles: Cycles) -> Iterator[Finding]:
    """Modules import each other in a circle, and starting the app trips over it.

    **Detected** by following the imports of each app's module in the order in which they run:
    `from a import X` fails where `a` is still being imported and has not come to `X`.
    **To mend**, import inside the function that needs it, or move what both need to a third module.
    **Silent** for circles that work in the order in which the app imports them, and for imports in
    functions or for type checkers.
    """
    for tripped in cycles.tripped:
        start = tripped.way.index(next((w for w in tripped.way if w != tripped.entry.name), ""))
        yield Finding(
            f"{tripped.origin} is still being imported when {tripped.name} is taken from it",
            looked_at=f"{tripped.place}, from {tripped.entry.name}",
            found="imported in this order: " + " > ".join(tripped.way[start:][-6:]),
            wanted=f"{tripped.name} defined before {tripped.module.name} imports it",
            target=f"{tripped.module.name}:{tripped.name}",
            place=tripped.place,
            next_step=f"import {tripped.name} where it is used in {tripped.module.name}, "
            "or move it to a module that both import",
        )


@check("SRC209")
def letters_differ_in_case(imports: Imports) -> Iterator[Finding]:
    """An import writes a module in other letters, large or small, than its file has.

    It works on the disks of macOS and Windows, and fails on Linux: in CI and in the container.

    **Detected** where no module has the name as written and exactly one has it but for the case.
    **Fixed** by writing the import as the file is called; `undo` restores the bytes.
    **Silent** wherever the exact name exists.
    """
    for found, others in _together(m for m in imports.missing if m.written):
        yield Finding(
            f"{found.origin} is called {found.written}",
            looked_at=f"{found.place}; {found.module.root.name}/",
            found=found.origin,
            wanted=found.written,
            target=found.origin,
            place=found.place,
            more=others,
            next_step="saas-doctor fix --select SRC209 corrects the import",
            data={"missing": found},
        )
