"""Installs the system packages that the tests need (Debian and Ubuntu, as root), or names what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path


def _postgres() -> bool:
    return bool(list(Path("/usr/lib/postgresql").glob("*/bin/initdb"))) or bool(
        shutil.which("initdb")
    )


def _has(program: str) -> Callable[[], bool]:
    return lambda: bool(shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin"))


NEEDED: dict[str, tuple[Callable[[], bool], str]] = {
    "postgresql": (_postgres, "everything that needs a copy of the platform"),
    "redis-server": (_has("redis-server"), "everything that needs a copy of the platform"),
    "docker.io": (_has("dockerd"), "ports held by containers"),
    "iptables": (_has("iptables"), "ports held by containers"),
    "busybox-static": (lambda: Path("/bin/busybox").exists(), "ports held by containers"),
    "nodejs": (_has("node"), "the syntax of repaired Vite configurations"),
}


def main() -> int:
    missing = [name for name, (there, _) in NEEDED.items() if not there()]
    if not missing:
        return 0
    if shutil.which("apt-get") and os.geteuid() == 0:
        print(f"installing {', '.join(missing)}", file=sys.stderr)
        environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
        for argv in (["apt-get", "update", "-qq"], install):
            done = subprocess.run(
                argv,
                env=environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                print(done.stdout[-2000:], done.stderr[-2000:], file=sys.stderr)
                return done.returncode
        return 0
    for name in missing:
        print(f"{name} is missing: not tested without it: {NEEDED[name][1]}", file=sys.stderr)
    # Fewer tests on a developer's machine; in CI nothing may be left out.
    return 1 if os.environ.get("CI") else 0


if __name__ == "__main__":
    sys.exit(main())
