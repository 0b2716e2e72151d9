"""Installed packages and the requirements that ask for them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from saas_doctor.facts.models import PydanticModels
from saas_doctor.facts.notes import NO_DEPENDENCIES, Notes
from saas_doctor.facts.outline import parted
from saas_doctor.facts.packages import Installed, Package
from saas_doctor.facts.requirements import RequirementLine, Requirements
from saas_doctor.facts.source import Source
from saas_doctor.facts.versions import reaches
from saas_doctor.model import Finding, Place, Severity, Undecided
from saas_doctor.rules import check

PYDANTIC_USERS = ("fastapi", "pydantic-settings", "pydantic")
_IMPORT = re.compile(rb"^[ \t]*(?:from|import)[ \t]+(\w+)", re.M)


@check(
    "PKG301",
    needs=("PY103",),
    symptoms=(r"ModuleNotFoundError: No module named '(?!encodings')(?P<package>[\w.]+)'",),
)
def requirement_not_installed(
    requirements: Requirements, installed: Installed
) -> Iterator[Finding | Undecided]:
    """A requirement is not installed in the platform's environment.

    **Detected** from the metadata in the environment that runs the services, whatever `pip list`
    of the shell says: in an environment made by uv, `pip` is another Python's.
    **Fixed** by installing the requirement files there; `undo` brings back the former packages.
    **Silent** for requirements whose marker does not hold for that Python.
    """
    for place, why in requirements.bad:
        yield Undecided(f"{place}: not a requirement ({why})")
    for line in requirements.lines:
        if installed.applies(line.requirement) and not installed.get(line.name):
            yield Finding(
                f"{line.requirement.name} is required but not installed",
                looked_at=installed.name,
                found=f"no {line.name}",
                wanted=str(line.requirement),
                target=line.name,
                place=line.place,
                next_step=requirements.sync
                or "saas-doctor fix --select PKG301 installs the requirements",
            )


@check("PKG302", needs=("PY103",))
def requirement_at_wrong_version(
    requirements: Requirements, installed: Installed, notes: Notes
) -> Iterator[Finding]:
    """An installed package is not at a version that the requirements allow.

    A lock file (uv.lock, poetry.lock, pdm.lock) names every version exactly: where the environment
    has others, it was not brought up to date since (a warning).

    **Detected** from the metadata in the environment that runs the services.
    **Fixed** by installing the requirement files, or the locked versions, all together so that they
    fit each other; `undo` brings back the former versions.
    **Silent** for pre-releases that the range covers, for requirements whose marker does not hold,
    and for a package that is locked at several versions. What uv's `override-dependencies` ask for
    counts in place of a requirement.
    """
    wrong = set()
    for line in requirements.lines:
        package = installed.get(line.name)
        if not package or not installed.applies(line.requirement):
            continue
        if requirements.is_of_another(line) and notes.written(NO_DEPENDENCIES):
            continue
        allowed = requirements.allowed(line)
        if not allowed.contains(package.version, prereleases=True):
            wrong.add(package.name)
            yield Finding(
                f"{package.name} {package.version} is installed, the requirements ask for "
                f"{allowed}",
                looked_at=installed.where(package),
                found=str(package.version),
                wanted=str(line.requirement),
                target=line.name,
                place=requirements.refusing(line, package.version).place,
                next_step=requirements.sync
                or "saas-doctor fix --select PKG302 installs the requirements",
            )
    yield from _not_as_locked(requirements, installed, wrong)


def _not_as_locked(
    requirements: Requirements, installed: Installed, told: set[str]
) -> Iterator[Finding]:
    lock = requirements.lock
    if lock is None:
        return
    other = {
        package.name: (package.version, locked)
        for package in installed.packages.values()
        if package.name not in told
        and (locked := lock.version(package.name)) is not None
        and package.version.public != locked.public
    }
    if other:
        first, (there, locked) = min(other.items())
        one = f"{first} {there} is installed"
        message = f"{one}, {lock.name} says {locked}"
        if len(other) > 1:
            message = f"{len(other)} packages are not as {lock.name} says: {one}, not {locked}, ..."
        yield Finding(
            message,
            looked_at=f"{lock.name} and {installed.name}",
            found=", ".join(f"{n} {v}" for n, (v, _) in sorted(other.items())),
            wanted=", ".join(f"{n} {w}" for n, (_, w) in sorted(other.items())),
            target=lock.name,
            place=Place(lock.name, lock.lines[first]),
            severity=Severity.WARNING,
            next_step=requirements.sync,
            data={"install": [f"{n}=={w}" for n, (_, w) in sorted(other.items())]},
        )


@check(
    "PKG303",
    needs=("PY103",),
    symptoms=(
        r"cannot import name '(IncEx|Secret)' from 'pydantic",
        r"pydantic-core version \(\S+\) is incompatible with the current pydantic version",
    ),
)
def pydantic_does_not_fit(installed: Installed, requirements: Requirements) -> Iterator[Finding]:
    """The installed Pydantic is not one that the installed FastAPI works with.

    `pip install pydantic==2.5.3` beside a FastAPI of today succeeds, and then `import fastapi`
    fails: pip says so in passing and ends with 0, uv says nothing. The same holds for
    pydantic-settings, and for Pydantic and its pydantic-core.

    **Detected** from what FastAPI, pydantic-settings and Pydantic themselves require.
    **Fixed** by a Pydantic of 2.9 or newer, installed together with the rest, and in the
    requirements where they exclude it; `undo` brings back the former packages and bytes.
    **Silent** when the installed versions fit each other, whichever they are.
    """
    for name in PYDANTIC_USERS:
        package = installed.get(name)
        for needed in package.always if package else ():
            other = canonicalize_name(needed.name)
            if other not in ("pydantic", "pydantic-core") or not installed.applies(needed):
                continue
            there = installed.get(other)
            # A pre-release that is installed was meant.
            if there and needed.specifier.contains(there.version, prereleases=True):
                continue
            assert package
            found = f"{other} {there.version}" if there else f"no {other}"
            yield Finding(
                f"{found} does not fit {name} {package.version}",
                looked_at=f"{installed.where(package)}/METADATA",
                found=found,
                wanted=f"{other}{needed.specifier}",
                target=f"{name}:{other}",
                place=requirements.place("pydantic"),
                next_step="saas-doctor fix --select PKG303 installs versions that fit together",
            )


@check(
    "PKG304",
    needs=("PY103",),
    symptoms=(
        r"password cannot be longer than 72 bytes",
        r"module 'bcrypt' has no attribute '__about__'",
    ),
)
def bcrypt_breaks_passlib(installed: Installed, requirements: Requirements) -> Iterator[Finding]:
    """bcrypt 5 does not work with passlib 1.7: every sign-up and login fails.

    passlib tests its back end with a long secret, which bcrypt 5 refuses; so also short passwords
    end in `password cannot be longer than 72 bytes`, at the first login and not at the start. The
    message about `__about__` alone (bcrypt 4.1 to 4.3) is caught by passlib and harmless.

    **Detected** from the environment's metadata; nothing is imported.
    **Fixed** by bcrypt below 5, in the requirements and in the environment; hashes stay valid.
    **Silent** when `libpass` provides `passlib` (where both are installed, by whose files are
    there), for bcrypt 4.1 to 4.3, or when passlib is not installed.
    """
    passlib, bcrypt = installed.provider("passlib"), installed.get("bcrypt")
    if passlib and passlib.name == "passlib" and bcrypt and bcrypt.version >= Version("5"):
        yield Finding(
            f"bcrypt {bcrypt.version} breaks passlib {passlib.version}",
            looked_at=f"{installed.where(bcrypt)} and {passlib.folder.name}",
            found=f"bcrypt {bcrypt.version}, passlib {passlib.version}",
            wanted="bcrypt>=4.0.1,<5 beside passlib 1.7 (or libpass in its place)",
            target="bcrypt",
            place=requirements.place("bcrypt"),
            next_step="saas-doctor fix --select PKG304, then restart the services",
        )


@check(
    "PKG305",
    needs=("PY103",),
    symptoms=(
        r"object has no attribute 'model_dump'",
        r"cannot import name '(field_validator|model_validator|ConfigDict)' from 'pydantic'",
    ),
)
def code_is_for_pydantic_2(
    models: PydanticModels, installed: Installed, requirements: Requirements
) -> Iterator[Finding]:
    """The code is written for Pydantic 2, and Pydantic 1 is installed or required.

    **Detected** by names that only Pydantic 2 has (`field_validator`, `TypeAdapter`, ...) imported
    from it in the platform's source, and by its methods called on models (`User.model_validate`).
    **Fixed** by `pydantic>=2.9,<3` in the requirements and in the environment; `undo` brings back
    the former packages and bytes.
    **Silent** for code that takes either version (in a `try` or a branch), and for `pydantic.v1`.
    """
    pydantic, line = installed.get("pydantic"), requirements.find("pydantic")
    if pydantic and pydantic.version < Version("2"):
        looked, found = installed.where(pydantic), f"pydantic {pydantic.version} is installed"
    elif line and installed.applies(line.requirement) and not reaches(line, "2"):
        looked, found = str(line.place), f"{line.requirement} is required"
    else:
        return
    if models.sign_of_v2 is None:
        return
    place, name = models.sign_of_v2
    yield Finding(
        f"the code needs Pydantic 2 ({name}), {found}",
        looked_at=f"{looked}; {place}",
        found=found,
        wanted="pydantic>=2.9,<3",
        target="pydantic",
        place=line.place if line else place,
        next_step="saas-doctor fix --select PKG305 requires and installs Pydantic 2",
    )


@check(
    "PKG306",
    needs=("PY103",),
    symptoms=(
        r"email-validator is not installed",
        r"No module named 'email_validator'",
        r"email-validator version >= ?2",
        r"'ValidatedEmail' object has no attribute 'normalized'",
    ),
)
def email_validator_missing(
    models: PydanticModels, installed: Installed, requirements: Requirements
) -> Iterator[Finding]:
    """A model has an e-mail field, and email-validator is not installed, or not required.

    Defining the model fails, so the service does not start. With email-validator 1 the class can be
    made and every validation fails. What is installed but not required is missing in the next
    environment (a warning).

    **Detected** where `EmailStr` or `NameEmail` is a field's type in a proven Pydantic model.
    **Fixed** by `email-validator>=2.1,<3` in the requirements and in the environment; `undo` brings
    back the former packages and bytes.
    **Silent** when it is installed by whatever asked for it (`pydantic[email]`, `fastapi[all]`).
    """
    package, line = installed.get("email-validator"), requirements.find("email-validator")
    fits = package is not None and package.version >= Version("2")
    # Required and not installed: PKG301 says so.
    if (line and (fits or not package)) or (fits and (requirements.bad or not requirements.lines)):
        return
    if package is None and any(_may_bring_it(line, installed) for line in requirements.lines):
        return  # PKG301 says that it is not there
    place = models.email_field
    if place is None or (fits and _asked_by_another(installed, requirements)):
        return
    found = f"email-validator {package.version}" if package else "no email-validator"
    found += ", which no requirement asks for" if fits else ""
    yield Finding(
        f"EmailStr is used at {place}, and there is {found}",
        looked_at=f"{place}; {installed.name}; {', '.join(requirements.names.values())}",
        found=found,
        wanted="email-validator>=2.1,<3",
        target="email-validator",
        place=line.place if line else place,
        severity=Severity.WARNING if fits else None,
        next_step="saas-doctor fix --select PKG306 requires and installs it",
    )


def _may_bring_it(line: RequirementLine, installed: Installed) -> bool:
    """Whether a requirement is not installed whose extras may bring email-validator."""
    return not installed.get(line.name) and bool(
        line.requirement.extras & {"all", "email", "standard"}
    )


def _asked_by_another(installed: Installed, requirements: Requirements) -> bool:
    """Whether what is required asks for email-validator in its turn, by an extra or by itself.

    So it counts too where requirements stand that this reader passes over (`-e .`, addresses).
    """
    if any(
        re.search(rb"(?m)^\s*(-e\b|--editable|\.|/|[a-z+]+://)", d)
        for d in requirements.files.values()
    ):
        return True
    queue = [(line.name, frozenset(line.requirement.extras)) for line in requirements.lines]
    seen = set(queue)
    for name, extras in queue:  # grows meanwhile
        package = installed.get(name)
        for needed in package.requires if package else ():
            if any(installed.applies(needed, extra) for extra in ("", *extras)):
                step = (canonicalize_name(needed.name), frozenset(needed.extras))
                if step[0] == "email-validator":
                    return True
                if step not in seen:
                    seen.add(step)
                    queue.append(step)
    return False


@check(
    "PKG307",
    severity=Severity.WARNING,
    needs=("PY103",),
    symptoms=(
        r"^(?P<package>\S+) \S+ has requirement .*, but you have",
        r"^(?P<package>\S+) \S+ requires \S+, which is not installed",
        r"pip's dependency resolver does not currently take into account",
    ),
)
def installed_packages_conflict(
    installed: Installed, requirements: Requirements, source: Source, notes: Notes
) -> Iterator[Finding]:
    """Installed packages do not fit each other: what `pip check` says.

    One was installed after the other without regard to it. What is missing altogether, to a package
    that the platform uses, is an error: its import fails. A version outside the range may do, or
    fail at any moment; that is a warning. An info, where nothing needs the package that disagrees:
    it was left over, and can go. Where a script installs with `--no-deps`, nothing of it is an error.

    **Detected** by reading what every installed package requires, without pip and in milliseconds.
    **Fixed** by installing the requirements and the packages that disagree, together; `undo` brings
    back the former versions.
    **Silent** about extras that nobody asked for, about versions that uv's `override-dependencies`
    ask for, about Pydantic and what depends on it (PKG303),
    and where a requirement of the platform is itself not met (PKG301, PKG302).
    """
    unmet = {
        line.name
        for line in requirements.lines
        if installed.applies(line.requirement) and not installed.meets(line.requirement)
    }
    culprits: dict[str, list[tuple[Package, Requirement]]] = {}
    for _, package in sorted(installed.packages.items()):
        for needed in package.always:
            name = canonicalize_name(needed.name)
            if installed.meets(needed) or not installed.applies(needed):
                continue
            meant = requirements.overrides.get(name)
            there = installed.get(name)
            if meant is not None and there and meant.contains(there.version, prereleases=True):
                continue
            if not ({name, package.name} & unmet or _is_pydantic(package.name, name)):
                culprits.setdefault(name, []).append((package, needed))
    used = _used(installed, source) if culprits else set()
    asked = _asked(installed, requirements) | used if culprits else set()
    for culprit, conflicts in culprits.items():
        there = installed.get(culprit)
        left = [] if asked & {p.name for p, _ in conflicts} else [p.name for p, _ in conflicts]
        fails = there is None and any(package.name in used for package, _ in conflicts)
        fails = fails and notes.written(NO_DEPENDENCIES) is None
        said = "; ".join(
            f"{p.name} {p.version} requires {n.name}{n.specifier}" for p, n in conflicts
        )
        first = conflicts[0][0]
        yield Finding(
            f"{said}, and {f'{culprit} {there.version}' if there else 'it'} is "
            f"{'' if there else 'not '}installed",
            looked_at=f"{installed.where(first)}/METADATA",
            found=f"{culprit} {there.version}" if there else f"no {culprit}",
            wanted=", ".join(dict.fromkeys(f"{n.name}{n.specifier}" for _, n in conflicts)),
            target=culprit,
            place=requirements.place(first.name) or requirements.place(culprit),
            severity=Severity.ERROR if fails else Severity.INFO if left else None,
            next_step=f"nothing needs {', '.join(left)}: uninstall it from {installed.name}"
            if left
            else "saas-doctor fix --select PKG307 installs versions that fit together",
            data={"install": [culprit, *(p.name for p, _ in conflicts)], "no_fix": bool(left)},
        )


def _asked(installed: Installed, requirements: Requirements) -> set[str]:
    """The packages that the requirements or other packages ask for; all, where nothing is required."""
    lines = (*requirements.lines, *requirements.optional)
    if not lines:
        return set(installed.packages)
    needed = {
        canonicalize_name(n.name)
        for package in installed.packages.values()
        for n in package.requires
        if canonicalize_name(n.name) != package.name
    }
    return needed | {line.name for line in lines}


def _is_pydantic(package: str, needed: str) -> bool:
    return package in PYDANTIC_USERS and needed in ("pydantic", "pydantic-core")


def _used(installed: Installed, source: Source) -> set[str]:
    """The packages that the platform's code imports, and what these require in their turn."""
    modules = {name.decode() for m in source.modules for name in _IMPORT.findall(parted(m.data))}
    found = {
        p.name for name in modules - sys.stdlib_module_names if (p := installed.provider(name))
    }
    queue = [*found]
    while queue:
        package = installed.get(queue.pop())
        for needed in package.always if package else ():
            name = canonicalize_name(needed.name)
            if name not in found and installed.applies(needed):
                found.add(name)
                queue.append(name)
    return found
