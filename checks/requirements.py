"""What the requirements ask for: whether it can be read, agrees, and is there with its extras."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from itertools import combinations

from packaging.utils import canonicalize_name
from packaging.version import Version

from saas_doctor.facts.installers import Uv
from saas_doctor.facts.interpreter import Interpreter
from saas_doctor.facts.notes import NO_DEPENDENCIES, Notes
from saas_doctor.facts.packages import Installed, Package, markers
from saas_doctor.facts.requirements import RequirementLine, Requirements
from saas_doctor.facts.versions import disjoint
from saas_doctor.model import Finding, Severity
from saas_doctor.rules import check


@check(
    "PKG308",
    symptoms=(
        r"because these package versions have conflicting dependencies",
        r"Because you require (?P<package>\S+?)[=<>!~].* and (?P=package)[=<>!~]",
        r"Double requirement given: (?P<package>[\w.-]+)",
        r"pyproject\.toml changed significantly since poetry\.lock was last generated",
        r"The lockfile at `uv\.lock` needs to be updated",
    ),
)
def requirements_contradict(
    requirements: Requirements, interpreter: Interpreter, notes: Notes
) -> Iterator[Finding]:
    """Two requirements ask for one package at versions that exclude each other.

    Nothing is installed then: pip ends in `conflicting dependencies`, uv in `No solution found`.
    A constraint (`-c`) counts like a requirement. A pyproject.toml that no longer allows what its
    lock file holds is told as well (a warning: the lock is out of date), and the same package
    asked for twice in one file, agreeing (an info).

    **Detected** by the versions alone, over all files that are installed together. Only lines
    whose markers both hold are compared; two extras, or two groups, may differ.
    **To mend** it, decide which of the two is meant; that is not the doctor's to choose.
    **Silent** where one version at least satisfies both, as for `pydantic` and `pydantic[email]`;
    about a package that uv's `override-dependencies` name, extras and groups that its `conflicts`
    name, groups of a project that no tool resolves as a whole, and a project beside its pinned
    requirements where a script installs with `--no-deps`.
    """
    alone = notes.written(NO_DEPENDENCIES) is not None
    lines = [line for line in _all_lines(requirements) if not line.requirement.url]
    by_name: dict[str, list[RequirementLine]] = {}
    for line in lines:
        by_name.setdefault(line.name, []).append(line)
    for name, same in by_name.items():
        if name in requirements.overrides:
            continue
        pairs = [
            (one, other)
            for one, other in combinations(same, 2)
            if _both_hold(one, other, requirements, interpreter)
            and not (alone and any(map(requirements.is_of_another, (one, other))))
        ]
        for one, other in pairs:
            if disjoint(one.requirement.specifier, other.requirement.specifier):
                yield Finding(
                    f"{one.requirement} ({one.place}) and {other.requirement} ({other.place}) "
                    "exclude each other",
                    looked_at=f"{one.place} and {other.place}",
                    found=f"{one.requirement.specifier} and {other.requirement.specifier}",
                    wanted="one version that both allow",
                    target=name,
                    place=other.place,
                    next_step=f"decide which of {one.place} and {other.place} is meant",
                )
                break
        else:
            yield from _twice(name, pairs)
    yield from _lock_out_of_date(requirements, interpreter)


def _all_lines(requirements: Requirements) -> list[RequirementLine]:
    return [*requirements.lines, *requirements.optional, *requirements.constraints]


def _both_hold(
    one: RequirementLine,
    other: RequirementLine,
    requirements: Requirements,
    interpreter: Interpreter,
) -> bool:
    """Whether both lines count in one and the same installation."""
    together = one.group == other.group
    if not (one.group and other.group) and not together:
        together = (one.group or other.group) not in requirements.apart
    return together and _holds(one, other, interpreter) and _holds(other, one, interpreter)


def _holds(line: RequirementLine, beside: RequirementLine, interpreter: Interpreter) -> bool:
    marker = line.requirement.marker
    if marker is None:
        return True
    if interpreter.version is None:  # of two that differ it can't be told, so it is not claimed
        return str(marker) == str(beside.requirement.marker)
    return marker.evaluate({**markers(interpreter.version), "extra": ""})


def _twice(name: str, pairs: list[tuple[RequirementLine, RequirementLine]]) -> Iterator[Finding]:
    for one, other in pairs:
        same_file = one.path == other.path and one.group == other.group
        same_case = str(one.requirement.marker) == str(other.requirement.marker)
        same_case = same_case and one.requirement.extras == other.requirement.extras
        if same_file and same_case and not (one.constraint or other.constraint):
            yield Finding(
                f"{name} is asked for twice: {one.requirement} ({one.place}) and "
                f"{other.requirement} ({other.place})",
                looked_at=f"{one.place} and {other.place}",
                found="two lines",
                wanted="one",
                target=name,
                place=other.place,
                severity=Severity.INFO,
                next_step=f"remove one of {one.place} and {other.place}",
            )
            return


def _lock_out_of_date(requirements: Requirements, interpreter: Interpreter) -> Iterator[Finding]:
    lock = requirements.lock
    for line in requirements.lines if lock else ():
        assert lock
        held = lock.version(line.name)
        if held is None or not _holds(line, line, interpreter):
            continue
        asked = requirements.overrides.get(line.name, line.requirement.specifier)
        if not asked.contains(held, prereleases=True):
            yield Finding(
                f"{line.place.path} asks for {line.requirement}, {lock.name} holds {held}",
                looked_at=f"{line.place} and {lock.name}:{lock.lines[line.name]}",
                found=str(held),
                wanted=str(line.requirement.specifier),
                target=line.name,
                place=line.place,
                severity=Severity.WARNING,
                next_step=requirements.ask_for(f"{line.requirement}"),
            )


@check(
    "PKG309",
    severity=Severity.WARNING,
    needs=("PY103",),
    symptoms=(
        r"does not provide the extra '(?P<extra>[^']+)'",
        r"does not have an extra named",
    ),
)
def extra_not_installed(requirements: Requirements, installed: Installed) -> Iterator[Finding]:
    """An extra is asked for, and what it brings is not installed.

    `python-jose[cryptography]` without cryptography signs by a slower back end, or fails;
    `uvicorn[standard]` without uvloop or httptools runs without them. A package was installed
    first without its extra, or what the extra brings was taken out since.

    **Detected** from the package's own metadata, extras of extras included. An extra that the
    package does not have (a typing error) is told as well: pip only warns of it in passing.
    **Fixed** by installing the requirements; `undo` takes out again what came. The name of an extra
    that does not exist is yours **to mend**.
    **Silent** where the package is not installed at all (PKG301), and for parts whose marker does
    not hold for that Python and machine.
    """
    for line in requirements.lines:
        package = installed.get(line.name)
        extras = sorted(map(canonicalize_name, line.requirement.extras))
        if not package or not extras or not installed.applies(line.requirement):
            continue
        unknown = [e for e in extras if package.extras and e not in package.extras]
        if unknown:
            near = difflib.get_close_matches(unknown[0], sorted(package.extras), n=1)
            yield Finding(
                f"{package.name} {package.version} has no extra {unknown[0]}",
                looked_at=f"{installed.where(package)}/METADATA",
                found=f"{line.requirement}",
                wanted=f"one of {', '.join(sorted(package.extras)[:12])}",
                target=f"{line.name}[{unknown[0]}]",
                place=line.place,
                next_step=f"correct {line.place}"
                + (f"; did you mean {package.name}[{near[0]}]?" if near else ""),
                data={"no_fix": True},
            )
        lacking = [n for n in _brought(installed, package, extras) if requirements.find(n) is None]
        if lacking:
            yield Finding(
                f"{line.requirement.name}[{','.join(extras)}] is required, and "
                f"{', '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} not installed",
                looked_at=f"{installed.where(package)}/METADATA and {installed.name}",
                found=f"no {', no '.join(lacking)}",
                wanted=", ".join(lacking),
                target=line.name,
                place=line.place,
                next_step=requirements.sync
                or "saas-doctor fix --select PKG309 installs the requirements",
            )


def _brought(installed: Installed, package: Package, extras: Iterable[str]) -> list[str]:
    """What these extras of a package bring, and is not installed; extras that they ask for too."""
    queue = [(package.name, frozenset(extras))]
    seen, lacking = set(queue), list[str]()
    for name, asked in queue:  # grows meanwhile
        there = installed.get(name)
        for needed in there.requires if there else ():
            by = [
                e for e in asked if installed.applies(needed, e) and not installed.applies(needed)
            ]
            own = canonicalize_name(needed.name)
            if by and not installed.get(own) and own not in lacking:
                lacking.append(own)
            step = (own, frozenset(map(canonicalize_name, needed.extras)))
            if by and needed.extras and step not in seen:
                seen.add(step)
                queue.append(step)
    return lacking


@check(
    "PKG312",
    severity=Severity.WARNING,
    needs=("PY103",),
    symptoms=(
        r"Required uv version `[^`]+` does not match the running version",
        r"You are using pip version \S+, however version \S+ is available",
        r"no such option: --(?:dry-run|report|group)",
    ),
)
def installer_too_old(
    installed: Installed, requirements: Requirements, interpreter: Interpreter, uv: Uv
) -> Iterator[Finding]:
    """The environment's pip, or the uv on the PATH, is too old for what it is to install.

    pip below 20.3 does not look whether what it installs fits together, and below 19.3 it takes no
    wheel of today and builds everything from source. uv refuses to run where the project's
    `required-version` excludes it.

    **Detected** from the metadata in the environment, and by `uv --version` where a version is
    demanded.
    **Fixed** for pip, by a newer one in the environment; `undo` brings the old one back.
    **To mend** uv, `uv self update`, or the way it was installed.
    **Silent** where pip is new enough or not there, and where nothing is required.
    """
    pip = installed.get("pip")
    if pip and pip.version < Version("20.3") and requirements.lines:
        oldest = pip.version < Version("19.3")
        yield Finding(
            f"pip {pip.version} in the environment "
            + ("takes no wheel of today" if oldest else "installs what does not fit together"),
            looked_at=installed.where(pip),
            found=f"pip {pip.version}",
            wanted="pip>=23",
            target="pip",
            next_step=f"{interpreter.name}/bin/python -m pip install --upgrade pip",
        )
    if uv.wanted and uv.version and not uv.wanted.contains(uv.version, prereleases=True):
        yield Finding(
            f"uv {uv.version} is on the PATH, the project demands {uv.wanted}",
            looked_at=f"{uv.path} --version",
            found=str(uv.version),
            wanted=str(uv.wanted),
            target="uv",
            place=uv.place,
            next_step=f"uv self update, or install uv{uv.wanted} the way it was installed",
            data={"no_fix": True},
        )


@check(
    "PKG313",
    symptoms=(
        r"Invalid requirement: (?P<line>.+)",
        r"Could not open requirements file: .*: '(?P<file>[^']+)'",
        r"Couldn't parse requirement in `(?P<file>[^`]+)`",
        r"File not found: `(?P<file>[^`]+\.txt)`",
    ),
)
def requirement_not_readable(requirements: Requirements) -> Iterator[Finding]:
    """A line of the requirements is none that pip takes, so nothing at all is installed.

    A blank in a name, one `=`, a bracket left open; or a file that `-r` names and that is not
    there.

    **Detected** by the parser that pip itself uses.
    **To mend** it, correct the line: what was meant is yours to say.
    **Silent** about options, addresses, folders and files of packages. A line that needs a variable
    `${NAME}` which this shell does not set makes it unknown.
    """
    for place, why in requirements.bad:
        yield Finding(
            f"{place} can't be read as a requirement: {why}",
            looked_at=str(place),
            found=why,
            wanted="a requirement such as fastapi>=0.115",
            target=str(place),
            place=place,
            next_step=f"correct {place}",
        )
