"""Installed packages and the requirements that ask for them."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.version import Version

from saas_doctor.facts.packages import Installed, Requirements
from saas_doctor.model import Finding
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
