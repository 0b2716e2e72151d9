"""Installed packages and the requirements that ask for them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from saas_doctor.facts.models import PydanticModels
from saas_doctor.facts.packages import Installed, RequirementLine, Requirements
from saas_doctor.facts.versions import reaches
from saas_doctor.model import Finding, Severity
from saas_doctor.rules import check


@check(
    "PKG301",
    needs=("PY103",),
    symptoms=(r"ModuleNotFoundError: No module named '(?P<package>[\w.]+)'",),
)
def requirement_not_installed(
    requirements: Requirements, installed: Installed
) -> Iterator[Finding]:
    """A requirement is not installed in the platform's environment.

    **Detected** from the metadata in the environment that runs the services, whatever `pip list`
    of the shell says: in an environment made by uv, `pip` is another Python's.
    **Fixed** by installing the requirement files there; `undo` brings back the former packages.
    **Silent** for requirements whose marker does not hold for that Python.
    """
    for line in requirements.lines:
        if installed.applies(line.requirement) and not installed.get(line.name):
            yield Finding(
                f"{line.requirement.name} is required but not installed",
                looked_at=installed.name,
                found=f"no {line.name}",
                wanted=str(line.requirement),
                target=line.name,
                place=line.place,
                next_step="saas-doctor fix --select PKG301 installs the requirements",
            )


@check("PKG302", needs=("PY103",))
def requirement_at_wrong_version(
    requirements: Requirements, installed: Installed
) -> Iterator[Finding]:
    """An installed package is not at a version that the requirements allow.

    **Detected** from the metadata in the environment that runs the services.
    **Fixed** by installing the requirement files, all together so that they fit each other;
    `undo` brings back the former versions.
    **Silent** for pre-releases that the range covers, and for requirements whose marker does not
    hold.
    """
    for line in requirements.lines:
        package = installed.get(line.name)
        if not package or not installed.applies(line.requirement):
            continue
        if not line.requirement.specifier.contains(package.version, prereleases=True):
            yield Finding(
                f"{package.name} {package.version} is installed, the requirements ask for "
                f"{line.requirement.specifier}",
                looked_at=installed.where(package),
                found=str(package.version),
                wanted=str(line.requirement),
                target=line.name,
                place=line.place,
                next_step="saas-doctor fix --select PKG302 installs the requirements",
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
    for name in ("fastapi", "pydantic-settings", "pydantic"):
        package = installed.get(name)
        for needed in package.requires if package else ():
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
    **Silent** when `libpass` provides `passlib`, or passlib is not installed.
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
    if (line and (fits or not package)) or (fits and not requirements.lines):
        return
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


@check("PKG307", severity=Severity.WARNING, needs=("PY103",))
def installed_packages_conflict(
    installed: Installed, requirements: Requirements
) -> Iterator[Finding]:
    """An installed package requires another that is not there, or not at a version that fits.

    It is what `pip check` says; pip itself goes on after it, and uv says nothing.

    **Detected** from the metadata of every package in the environment.
    **To mend**, install the requirements together; where they ask for the conflict, relax the pin.
    **Silent** about extras that nobody asked for, requirements whose marker does not hold,
    pre-releases that the range covers, and about Pydantic beside FastAPI (PKG303).
    """
    for package in installed.packages.values():
        for needed in package.requires:
            name = canonicalize_name(needed.name)
            if name in ("pydantic", "pydantic-core") or not installed.applies(needed):
                continue
            there = installed.get(name)
            if there and needed.specifier.contains(there.version, prereleases=True):
                continue
            found = f"{name} {there.version}" if there else f"no {name}"
            yield Finding(
                f"{package.name} {package.version} wants {needed.name}{needed.specifier}, "
                f"and there is {found}",
                looked_at=f"{installed.where(package)}/METADATA",
                found=found,
                wanted=f"{name}{needed.specifier}",
                target=f"{package.name}:{name}",
                place=requirements.place(name) or requirements.place(package.name),
                next_step=f"install both together: {package.name} and '{name}{needed.specifier}'",
            )


@check(
    "PKG308",
    symptoms=(
        r"Cannot install .* because these package versions have conflicting dependencies",
        r"ResolutionImpossible",
        r"you require \S+ and \S+, we can conclude that your requirements are unsatisfiable",
    ),
)
def requirements_contradict(requirements: Requirements) -> Iterator[Finding]:
    """The same package is required twice, at versions that exclude each other.

    Neither pip nor uv can install such requirements.

    **Detected** between lines without a marker, where each names one exact version or a bound that
    the other leaves out.
    **To mend**, keep one of the lines.
    **Silent** where some version fits both, and where a marker decides which line counts.
    """
    first: dict[str, RequirementLine] = {}
    for line in requirements.lines:
        if line.requirement.marker is not None or line.requirement.url:
            continue
        other = first.setdefault(line.name, line)
        if other is line or _meet(other.requirement.specifier, line.requirement.specifier):
            continue
        yield Finding(
            f"{line.requirement.name} is required as {other.requirement.specifier} "
            f"and as {line.requirement.specifier}",
            looked_at=f"{other.place}; {line.place}",
            found=f"{other.requirement}; {line.requirement}",
            wanted="one of them",
            target=line.name,
            place=line.place,
            next_step=f"keep one of {other.place} and {line.place}",
        )


def _meet(one: SpecifierSet, other: SpecifierSet) -> bool:
    """Whether some version is in both: a bound of either, or one just above or below it."""
    bounds = [s.version.removesuffix(".*") for s in (*one, *other)]
    try:
        near = [Version(b + end) for b in bounds for end in ("", ".1", ".dev0")]
    except InvalidVersion:
        return True
    return not bounds or any(
        one.contains(v, prereleases=True) and other.contains(v, prereleases=True)
        for v in [*near, Version("0"), Version("9999")]
    )
