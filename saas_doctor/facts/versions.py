"""Which versions the platform's code runs on: what is installed, else locked, else required."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from saas_doctor.discovery import PROJECT_REQUIREMENTS
from saas_doctor.facts import Fact
from saas_doctor.facts.interpreter import Interpreter
from saas_doctor.facts.requirements import RequirementLine, Requirements
from saas_doctor.model import Unreadable
from saas_doctor.platform import Platform


class Versions(Fact, frozen=True):
    """The versions that the platform's environment has; where it lacks one, its lock, its requirements.

    Where those don't name it, the other projects below count (a repository of several services,
    each with its own requirements), as far as they agree.

    `site` is None where the environment has no interpreter that answers. Cheaper than the whole
    list of packages, and never unreadable: source can be examined before anything is installed.
    """

    site: Path | None
    name: str
    requirements: Requirements
    platform: Platform | None = None

    @classmethod
    def read(
        cls, platform: Platform, interpreter: Interpreter, requirements: Requirements
    ) -> Versions:
        site = interpreter.site_packages if interpreter.version else None
        return cls(site, platform.relative(site) if site else "", requirements, platform)

    @cached_property
    def projects(self) -> tuple[Requirements, ...]:
        """What the other projects of the platform ask for, each by its own files."""
        found: list[Requirements] = []
        for root in self.platform.config.source_roots if self.platform else ():
            assert self.platform
            names = (os.path.normpath(os.path.join(root, name)) for name in PROJECT_REQUIREMENTS)
            name = next((n for n in names if self.platform.path(n).is_file()), None)
            if name and self.platform.path(name) not in self.requirements.files:
                with suppress(Unreadable):
                    found.append(Requirements.of(self.platform, [name]))
        return tuple(found)

    def _naming(self, package: str) -> list[Requirements]:
        """What asks for a package: the platform's own requirements, else those of its projects."""
        if _names(self.requirements, package):
            return [self.requirements]
        return [project for project in self.projects if _names(project, package)]

    def is_of_the_whole(self, package: str) -> bool:
        """Whether the environment or the platform's own requirements have it, and not a project's."""
        return self.installed(package) is not None or _names(self.requirements, package)

    def required(self, package: str) -> list[RequirementLine]:
        """The lines that ask for it, where no lock says more."""
        naming = self._naming(package)
        lines = [r.find(package) for r in naming if not _locked(r, package)]
        return [line for line in lines if line]

    def installed(self, package: str) -> Version | None:
        """The version by the name of the metadata folder (`pydantic-2.14.3.dist-info`)."""
        if self.site is None:
            return None
        wanted = canonicalize_name(package)
        first = package[0].lower() + package[0].upper()  # older wheels: `SQLAlchemy-2.0.23`
        for folder in self.site.glob(f"[{first}]*.dist-info"):
            name, _, version = folder.name.removesuffix(".dist-info").partition("-")
            if canonicalize_name(name) == wanted:
                try:
                    return Version(version)
                except InvalidVersion:
                    return None
        return None

    def locked(self, package: str) -> tuple[Version, ...]:
        """What the next installation brings by the lock; several for a package locked by markers."""
        return _locked(self.requirements, package)

    def at_least(self, package: str, bound: str) -> bool | None:
        """Whether the code runs on this version or a newer one.

        None where the package is not used, or where what tells of it does not agree.
        """
        version = self.installed(package)
        if version is not None:
            return version >= Version(bound)
        answers: set[bool] = set()
        for requirements in self._naming(package):
            line, locked = requirements.find(package), _locked(requirements, package)
            answers |= {one >= Version(bound) for one in locked}
            if line and not locked:
                answers.add(reaches(line, bound))
        return answers.pop() if len(answers) == 1 else None

    def where(self, package: str, near: str = "") -> str:
        """The version in words, with where it stands: of several projects, in the file's that is `near`."""
        version = self.installed(package)
        if version is not None:
            return f"{package} {version} in {self.name}"
        user = self.platform.path(near) if self.platform else Path(near)

        def shared(asking: Requirements) -> int:
            return max((len(os.path.commonpath([file, user])) for file in asking.files), default=0)

        for requirements in sorted(self._naming(package), key=shared, reverse=True):
            lock, locked = requirements.lock, _locked(requirements, package)
            if lock and locked:
                at = lock.lines[canonicalize_name(package)]
                return f"{package} {', '.join(map(str, locked))} ({lock.name}:{at})"
            line = requirements.find(package)
            if line:
                return f"{line.requirement} ({line.place})"
        return f"no {package} in the requirements"


def _names(requirements: Requirements, package: str) -> bool:
    return requirements.find(package) is not None or bool(_locked(requirements, package))


def _locked(requirements: Requirements, package: str) -> tuple[Version, ...]:
    lock = requirements.lock
    return lock.versions.get(canonicalize_name(package), ()) if lock else ()


def reaches(line: RequirementLine, bound: str) -> bool:
    """Whether the newest version that a requirement allows is at least this one."""
    limit = Version(bound)
    for part in line.requirement.specifier:
        try:
            version = Version(part.version.removesuffix(".*"))
        except InvalidVersion:
            continue
        first_too_new = {"<": version, "~=": _next(version)}.get(part.operator)
        # `<2.1` leaves out the pre-releases of 2.1 as well.
        if first_too_new is not None and first_too_new <= Version(limit.base_version):
            return False
        exact = part.operator in ("==", "===", "<=")
        if exact and version < limit and not _series_of(part.version, limit):
            return False
    return True


def disjoint(one: SpecifierSet, other: SpecifierSet) -> bool:
    """Whether no version at all is allowed by both.

    If one is, then also the lowest of some bound, or the next above it, or the first of all.
    """
    both = one & other
    if any(part.operator == "===" for part in both):
        return False  # compared as text
    candidates = {Version("0.dev0"), Version("0")}
    for part in both:
        bound = Version(part.version.removesuffix(".*"))
        release = ".".join(map(str, bound.release))
        above = Version(f"{bound.epoch}!{release}.0.0.0.1")
        candidates |= {bound, above, Version(f"{bound.epoch}!{release}"), _next_release(bound)}
        if part.operator == "~=":
            candidates.add(_next(bound))
    return not any(both.contains(version, prereleases=True) for version in candidates)


def _next_release(version: Version) -> Version:
    """The first version after a whole series: 1.4 for `1.3.*`."""
    *head, last = version.release
    return Version(f"{version.epoch}!" + ".".join(map(str, [*head, last + 1])))


def _series_of(text: str, limit: Version) -> bool:
    """Whether `2.*` holds the limit 2.1."""
    series = tuple(int(n) for n in text.removesuffix(".*").split(".") if n.isdigit())
    return text.endswith(".*") and limit.release[: len(series)] == series


def _next(version: Version) -> Version:
    """The first version that `~=` does not allow: 2.0 for 1.10, 1.11 for 1.10.2."""
    kept = list(version.release[:-1]) or [version.major]  # `~=` has two parts at least
    kept[-1] += 1
    return Version(".".join(map(str, kept)))
