"""Which versions the platform's code runs on: what is installed, else locked, else required."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from saas_doctor.facts import Fact
from saas_doctor.facts.interpreter import Interpreter
from saas_doctor.facts.requirements import RequirementLine, Requirements
from saas_doctor.platform import Platform


@dataclass(frozen=True)
class Versions(Fact):
    """The versions that the platform's environment has; where it lacks one, its lock, its requirements.

    `site` is None where the environment has no interpreter that answers. Cheaper than the whole
    list of packages, and never unreadable: source can be examined before anything is installed.
    """

    site: Path | None
    name: str
    requirements: Requirements

    @classmethod
    def read(
        cls, platform: Platform, interpreter: Interpreter, requirements: Requirements
    ) -> Versions:
        site = interpreter.site_packages if interpreter.version else None
        return cls(site, platform.relative(site) if site else "", requirements)

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
        lock = self.requirements.lock
        return lock.versions.get(canonicalize_name(package), ()) if lock else ()

    def at_least(self, package: str, bound: str) -> bool | None:
        """Whether the code runs on this version or a newer one.

        None where the package is not used, or locked at versions on both sides.
        """
        version = self.installed(package)
        known = (version,) if version is not None else self.locked(package)
        if known:
            answers = {one >= Version(bound) for one in known}
            return answers.pop() if len(answers) == 1 else None
        line = self.requirements.find(package)
        return None if line is None else reaches(line, bound)

    def where(self, package: str) -> str:
        """The version in words, with where it stands."""
        version = self.installed(package)
        if version is not None:
            return f"{package} {version} in {self.name}"
        lock, locked = self.requirements.lock, self.locked(package)
        if lock and locked:
            at = lock.lines[canonicalize_name(package)]
            return f"{package} {', '.join(map(str, locked))} ({lock.name}:{at})"
        line = self.requirements.find(package)
        return f"{line.requirement} ({line.place})" if line else f"no {package}"


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
