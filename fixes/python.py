"""Makes the platform's environment, or makes it anew."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions.packages import InstallPackages, RecreateEnvironment
from saas_doctor.facts.interpreter import Interpreter, Pythons, WantedPython
from saas_doctor.model import Absent, Finding, Risk
from saas_doctor.platform import Platform
from saas_doctor.rules import fix


@fix("PY101", risk=Risk.CHANGES)
def fitting_environment(
    _: Finding, platform: Platform, interpreter: Interpreter, wanted: WantedPython, pythons: Pythons
) -> Iterator[RecreateEnvironment]:
    """Make the environment anew with a fitting Python."""
    yield _recreate(platform, interpreter, wanted, pythons)


@fix("PY102", risk=Risk.CHANGES)
def first_environment(
    _: Finding, platform: Platform, interpreter: Interpreter, wanted: WantedPython, pythons: Pythons
) -> Iterator[RecreateEnvironment]:
    """Make the environment and install the requirements."""
    yield _recreate(platform, interpreter, wanted, pythons)


@fix("PY103", risk=Risk.CHANGES)
def whole_environment(
    _: Finding, platform: Platform, interpreter: Interpreter, wanted: WantedPython, pythons: Pythons
) -> Iterator[RecreateEnvironment]:
    """Make the environment anew and install the requirements."""
    yield _recreate(platform, interpreter, wanted, pythons)


@fix("PY104", risk=Risk.CHANGES)
def pip(_: Finding, interpreter: Interpreter) -> Iterator[InstallPackages]:
    """Install pip into the environment."""
    yield InstallPackages(interpreter.folder, interpreter.name, (), ("pip>=23",))


@fix("PY107", risk=Risk.CHANGES)
def environment_in_its_place(
    _: Finding, platform: Platform, interpreter: Interpreter, wanted: WantedPython, pythons: Pythons
) -> Iterator[RecreateEnvironment]:
    """Make the environment anew and install the requirements."""
    yield _recreate(platform, interpreter, wanted, pythons)


def _recreate(
    platform: Platform, interpreter: Interpreter, wanted: WantedPython, pythons: Pythons
) -> RecreateEnvironment:
    best = pythons.best(wanted.specifier, interpreter.made_with or interpreter.version)
    if best is None:
        seen = ", ".join(sorted({str(version) for _, version in pythons.found})) or "none"
        raise Absent(f"no Python {wanted.specifier} on this machine (found: {seen}); install one")
    files = tuple(
        path for path in map(platform.path, platform.config.requirements) if path.is_file()
    )
    return RecreateEnvironment(interpreter.folder, interpreter.name, best[0], str(best[1]), files)
