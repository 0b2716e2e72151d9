"""Whether what is required can be had for the platform's Python and machine, before it is tried."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from saas_doctor.facts.interpreter import Interpreter
from saas_doctor.facts.packages import Installed
from saas_doctor.facts.requirements import Requirements
from saas_doctor.facts.versions import disjoint
from saas_doctor.facts.wheels import Published, published, this_machine
from saas_doctor.model import Finding, Place, Severity
from saas_doctor.policy import POLICY
from saas_doctor.rules import check

# Tried out on 3.13: what these were before they had a wheel for it does not compile for it, or
# does and can't be imported. Others may compile.
NEW = Version("3.13")
NEVER_BUILD = ("asyncpg", "greenlet", "psycopg2-binary", "pydantic", "pydantic-core")
# Versions (from, to below) that install on 3.13, and which import ends in which error.
DIE = {
    "sqlalchemy": (
        "2.0",
        "2.0.31",
        "`import sqlalchemy` ends in `AssertionError: ... directly inherits TypingOnly`",
    ),
    "pydantic": (
        "1.8",
        "1.10.16",
        "`import fastapi` ends in a TypeError (`ForwardRef._evaluate()`) or a ValueError",
    ),
}


class _Asked(Struct, frozen=True):
    """What is asked for of one package that the table knows, and where."""

    name: str
    versions: SpecifierSet
    place: Place
    known: Published
    python: Version
    machine: str

    @property
    def newest(self) -> Version:
        """The newest version that is named and allowed."""
        named = [Version(part.version.removesuffix(".*")) for part in self.versions]
        return max((v for v in named if self.versions.contains(v)), default=self.known.last)

    @property
    def older_python(self) -> Version | None:
        """The newest Python below this one for which a version has a wheel."""
        minors = range(self.python.minor - 1, 7, -1)
        if self.deadly and self.deadly.contains(self.newest):
            minors = range(NEW.minor - 1, 7, -1)
        found = (Version(f"3.{minor}") for minor in minors)
        return next((p for p in found if self.allows_python(p) and self.has_wheel(p)), None)

    @property
    def deadly(self) -> SpecifierSet | None:
        """The versions whose import fails on this Python."""
        low, high, _ = DIE.get(self.name, ("", "", ""))
        return SpecifierSet(f">={low},<{high}") if low and self.python >= NEW else None

    @property
    def only_deadly(self) -> bool:
        low, high, _ = DIE[self.name]
        free = (SpecifierSet(f"<{low}"), SpecifierSet(f">={high}"))
        return all(disjoint(self.versions, versions) for versions in free)

    def allows_python(self, python: Version) -> bool:
        """Whether a version is published for that Python."""
        return not all(disjoint(self.versions, v) for v in self.known.for_python(python))

    def has_wheel(self, python: Version) -> bool:
        """Whether a version has a wheel, or may have one."""
        wheels = self.known.with_wheel(python, self.machine)
        return wheels is None or not all(disjoint(self.versions, wheel) for wheel in wheels)

    @property
    def better(self) -> str:
        """A range that can be had, and that code for the asked versions runs on; or nothing."""
        policy = POLICY.get(self.name)
        if policy and self.newest.major in (0, _major(policy)):
            return policy
        if self.deadly and self.deadly.contains(self.newest):
            following: Version | None = Version(DIE[self.name][1])
        else:
            following = self.known.next_with_wheel(self.newest, self.python, self.machine)
        if following is None or following.major != self.newest.major:
            return ""
        return f">={following},<{following.major + 1}"


def _major(policy: str) -> int:
    return min(
        Version(part.version) for part in SpecifierSet(policy) if part.operator == ">="
    ).major


def _asked(
    requirements: Requirements, installed: Installed
) -> Iterator[tuple[str, SpecifierSet, Place]]:
    """What is asked for, by lines or for them by a lock file, where it holds for this Python."""
    lock = requirements.lock
    for line in requirements.lines:
        if line.requirement.url or not installed.applies(line.requirement):
            continue
        locked = lock.version(line.name) if lock else None
        if lock and locked:
            yield line.name, SpecifierSet(f"=={locked}"), Place(lock.name, lock.lines[line.name])
        else:
            yield line.name, requirements.allowed(line), line.place


def _known(
    requirements: Requirements, installed: Installed, interpreter: Interpreter
) -> Iterator[_Asked]:
    """What of it the table knows."""
    assert interpreter.version
    for name, versions, place in _asked(requirements, installed):
        known = published(name)
        if any(part.prereleases for part in versions):
            continue  # the table has none
        if known and versions and not disjoint(versions, known.everything):
            yield _Asked(name, versions, place, known, interpreter.version, this_machine())


@check(
    "PKG310",
    severity=Severity.WARNING,
    needs=("PY101",),
    symptoms=(
        r"pg_config executable not found",
        r"metadata-generation-failed",
        r"Failed to build (?:installable wheels for some pyproject\.toml based projects|`(?P<package>[^`=]+))",
        r"newer than PyO3's maximum supported version",
        r"directly inherits TypingOnly but has additional attributes",
        r"ForwardRef\._evaluate\(\) missing 1 required keyword-only argument",
        r"'not' is not a valid parameter name",
        r"undefined symbol: _PyInterpreterState_Get",
    ),
)
def no_wheel_for_this_python(
    requirements: Requirements, installed: Installed, interpreter: Interpreter
) -> Iterator[Finding]:
    """A required version has no wheel for the platform's Python and machine, or dies there.

    It would be built from source: with a C or Rust compiler, and headers that are not there. Pins
    of 2023 have no wheels for Python 3.13 (psycopg2-binary 2.9.9, pydantic 2.5, asyncpg 0.29), and
    most of them can't be built for it either (an error). SQLAlchemy below 2.0.31, and Pydantic
    below 1.10.16, install on 3.13 and end in an exception when they are imported (an error).

    **Detected** offline, by a table of what is published of a FastAPI platform's usual packages,
    before anything is installed; versions in a lock file too. What is newer than the table is not
    judged.
    **Fixed** where a newer version of the same kind has a wheel: it is asked for, and installed;
    `undo` brings back the former bytes and packages. Else the choice is yours: a newer major
    version, or an older Python.
    **Silent** when such a version is installed already and works, and about ranges that reach a
    version with a wheel. Where the Python is not one that the platform wants, PY101 comes first.
    """
    for asked in _known(requirements, installed, interpreter):
        name, package = asked.name, installed.get(asked.name)
        there = package is not None and asked.versions.contains(package.version, prereleases=True)
        python = f"Python {asked.python.major}.{asked.python.minor}"
        if asked.deadly:
            dies = there and package is not None and asked.deadly.contains(package.version)
            if dies or (not there and asked.only_deadly):
                what = (
                    f"{name} {package.version}" if dies and package else f"{name}{asked.versions}"
                )
                message = f"{what} does not work on {python}: {DIE[name][2]}"
                yield _finding(message, asked, Severity.ERROR, requirements)
                continue
        if there or not asked.allows_python(asked.python) or asked.has_wheel(asked.python):
            continue  # of what is not for this Python at all, PKG311 tells
        fails = name in NEVER_BUILD and asked.python >= NEW and not asked.has_wheel(NEW)
        never = not any(asked.known.table[asked.machine].values())
        yield _finding(
            f"{name}{asked.versions} has no wheel for {python} on {asked.machine}: it would be "
            f"built from source{', which fails' if fails else ''}",
            asked,
            Severity.ERROR if fails else Severity.INFO if never else None,
            requirements,
        )


def _finding(
    message: str, asked: _Asked, severity: Severity | None, requirements: Requirements
) -> Finding:
    """The finding, with the versions to ask for instead, or the Python to take."""
    name, better = asked.name, asked.better
    ask = requirements.ask_for(f"{name}{better}") if requirements.lock else ""
    older, steps = asked.older_python, list[str]()
    if better:
        steps = [ask or f"saas-doctor fix --select PKG310 asks for {name}{better}"]
    if older:
        steps.append(
            f"make the environment with Python {older} "
            f'(`python = "{older}"` in saas-doctor.toml, then saas-doctor fix --select PY101)'
        )
    if name == "psycopg2":
        steps.insert(0, "require psycopg2-binary, which has wheels")
    return Finding(
        message,
        looked_at=f"{asked.place} and the table of published wheels",
        found=f"{name}{asked.versions}, Python {asked.python}, {asked.machine}",
        wanted=f"{name}{better}" if better else "a version with a wheel, or another Python",
        target=name,
        place=asked.place,
        severity=severity,
        next_step="; or ".join(steps) or f"ask for a version of {name} that has a wheel",
        data={"name": name, "versions": better, "no_fix": not better or ask},
    )


@check(
    "PKG311",
    needs=("PY101",),
    symptoms=(
        r"Ignored the following versions that require a different python version",
        r"requires a different Python: \S+ not in",
        r"does not satisfy Python>=",
    ),
)
def python_not_allowed_by_a_pin(
    requirements: Requirements, installed: Installed, interpreter: Interpreter
) -> Iterator[Finding]:
    """A required version is not published for the platform's Python.

    pip and uv leave such versions out and end in `No matching distribution found`. Where one is
    installed all the same (the environment's Python was changed, or it was forced), it may fail at
    any line that its Python does not know (a warning).

    **Detected** offline: by the metadata of what is installed, and by a table of what is published
    of a FastAPI platform's usual packages.
    **To mend** it, ask for another version, or make the environment with another Python: the next
    step names both.
    **Silent** about ranges that hold a version for this Python, and about packages and versions
    that the table does not know.
    """
    python = interpreter.version
    assert python
    for name, versions, place in _asked(requirements, installed):
        package = installed.get(name)
        if package and versions.contains(package.version, prereleases=True):
            wanted = _specifier(package.requires_python)
            if not wanted.contains(python, prereleases=True):
                yield Finding(
                    f"{name} {package.version} is not for Python {python}: it requires {wanted}",
                    looked_at=f"{installed.where(package)}/METADATA",
                    found=f"Python {python}",
                    wanted=str(wanted),
                    target=name,
                    place=place,
                    severity=Severity.WARNING,
                    next_step=f"make the environment with Python {wanted}, or install "
                    f"a version of {name} for Python {python.major}.{python.minor}",
                )
    for asked in _known(requirements, installed, interpreter):
        package = installed.get(asked.name)
        there = package and asked.versions.contains(package.version, prereleases=True)
        if not there and not asked.allows_python(asked.python):
            wanted = asked.known.requires_python(asked.newest)
            fitting = asked.known.for_python(python)
            yield Finding(
                f"{asked.name}{asked.versions} is not published for Python "
                f"{python.major}.{python.minor}: it requires {wanted}",
                looked_at=f"{asked.place} and the table of published packages",
                found=f"Python {python}",
                wanted=str(wanted),
                target=asked.name,
                place=asked.place,
                next_step=(f"ask for {asked.name}{fitting[-1]}, or " if fitting else "")
                + f"make the environment with Python {wanted}",
            )


def _specifier(text: str) -> SpecifierSet:
    try:
        return SpecifierSet(text)
    except ValueError:
        return SpecifierSet()
