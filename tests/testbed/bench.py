"""Times saas-doctor against peers, in turn in one run; prints medians and their ratio."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from tests.testbed import bench_stack, big_tree, platforms
from tests.testbed.bed import running_platform, silent_platform
from tests.testbed.timing import Argv, compare, peak_memory

DOCTOR = [sys.executable, "-m", "saas_doctor"]
CONSOLE = Path(sys.executable).with_name("saas-doctor")
RUFF: list[str | Path] = [
    Path(sys.executable).with_name("ruff"),
    "check",
    "--no-cache",
    "-q",
    "--select",
    "F821,E9",
]
BARE = [sys.executable, "-m", "tests.testbed.bare_app"]
IMPORTS = [sys.executable, "-c", "import docker, psycopg, redis, httpx"]


def main() -> None:
    print(f"{'saas-doctor against a peer, medians':<58} {'ours':>10}  {'peer':>10}  ratio")
    here = {**os.environ, "PYTHONPATH": str(platforms.ROOT)}
    # Byte code is kept, as on a developer's machine: else every run compiles all it imports.
    here.pop("PYTHONDONTWRITEBYTECODE", None)
    for option in ("--version", "--help"):
        print(
            compare(
                f"{option} : bare Typer app with as many commands",
                [CONSOLE, option],
                [*BARE, option],
                cwd=platforms.ROOT,
                environ=here,
            )
        )
    with (
        tempfile.TemporaryDirectory(prefix="sd-bench-") as folder,
        running_platform(Path(folder)) as copy,
    ):
        check: list[str | Path] = [CONSOLE, "check", "-C", copy.root]
        python: Path | str = copy.root / "backend/.venv/bin/python"
        peers: dict[str, tuple[Argv, Argv]] = {
            "check --static : pip check in the same environment": (
                [*check, "--static"],
                [python, "-m", "pip", "check"],
            ),
            "check, all healthy : import docker, psycopg, redis, httpx": (check, IMPORTS),
        }
        for name, (ours, peer) in peers.items():
            print(compare(name, ours, peer, cwd=copy.root, environ=copy.environ))
    with (
        tempfile.TemporaryDirectory(prefix="sd-bench-") as folder,
        silent_platform(Path(folder) / "platform") as (root, environ),
    ):
        silent: Argv = [CONSOLE, "check", "--timeout", "5", "-C", root]
        name = "check --timeout 5, every port silent : sleep 5"
        print(compare(name, silent, ["sleep", "5"], cwd=root, environ=environ, runs=3))
    with tempfile.TemporaryDirectory(prefix="sd-bench-") as folder:
        large(Path(folder), here)
    for line in bench_stack.rows(here):
        print(line, flush=True)


def large(folder: Path, environ: dict[str, str]) -> None:
    """Trees of generated files against ruff, and ten times as many against as many."""
    checks: list[Argv] = []
    for count in (1_000, 10_000):
        tree = big_tree.make(folder / str(count), count)
        check: Argv = [CONSOLE, "check", "--static", "-C", tree]
        checks.append(check)
        name = f"check --static, {count:,} files : ruff, cold"
        print(compare(name, check, [*RUFF, str(tree)], cwd=tree, environ=environ, runs=5))
        print(f"{'':<4}peak memory {peak_memory(check, tree, environ)} MB")
    few, many = checks
    print(compare("10,000 files : 1,000 files", many, few, cwd=folder, environ=environ, runs=5))


if __name__ == "__main__":
    main()
