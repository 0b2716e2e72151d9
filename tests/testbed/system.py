"""The servers that the tests use: installed where that is ours to do, else named.

Run by `make system` with nothing but the standard library.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


@dataclass(frozen=True)
class Part:
    """A Debian package, the file or program that shows it is there, and what needs it."""

    package: str
    shown_by: str
    tests: str

    def is_there(self) -> bool:
        if "/" in self.shown_by:
            return any(Path("/").glob(self.shown_by.lstrip("/")))
        return shutil.which(self.shown_by, path=PATH) is not None


PARTS = (
    Part("postgresql", "/usr/lib/postgresql/*/bin/initdb", "databases and copies of the platform"),
    Part("redis-server", "redis-server", "Redis and copies of the platform"),
    Part("docker.io", "dockerd", "Docker"),
    Part("docker-compose", "/usr/bin/docker-compose", "the first Compose"),
    Part("iptables", "iptables", "Docker"),
    Part("busybox-static", "/bin/busybox", "Docker"),
    Part("debootstrap", "debootstrap", "the platform in containers"),
    Part("nodejs", "node", "the syntax of repaired Vite configurations"),
    Part("chromium", "chromium", "what a browser blocks"),
    Part("zsh", "zsh", "lines for a shell"),
    Part("fish", "fish", "lines for a shell"),
    Part("locales", "/usr/share/i18n/locales/zh_CN", "Postgres' translated messages"),
)


def missing() -> list[Part]:
    return [part for part in PARTS if not part.is_there()]


def install(packages: Sequence[str]) -> None:
    """Install without upgrading what is there; the lists are only fetched when they don't do."""
    command = ["apt-get", "-qqy", "-o", "DPkg::Lock::Timeout=120", "install"]
    command += ["--no-install-recommends", "--no-upgrade", *packages]
    print("Installing", *packages, flush=True)
    if _run(command, quiet=True) != 0:
        _run(["apt-get", "-qq", "update"])
        _run(command)


def _run(command: Sequence[str], *, quiet: bool = False) -> int:
    """The exit code. What apt says goes to standard error, as notes."""
    return subprocess.run(
        command,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "PATH": PATH},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if quiet else sys.stderr,
        stderr=subprocess.DEVNULL if quiet else None,
        check=False,
    ).returncode


def main() -> int:
    absent = missing()
    if absent and os.geteuid() == 0 and shutil.which("apt-get"):
        install([part.package for part in absent])
        absent = missing()
    for part in absent:
        print(f"{part.package} is missing: the tests of {part.tests} don't run")
    return 1 if absent and os.environ.get("CI") else 0


if __name__ == "__main__":
    sys.exit(main())
