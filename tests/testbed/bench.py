"""Times saas-doctor against peers, in turn in one run; prints medians and their ratio."""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import yaml

from saas_doctor.cli.outputs import FORMATS
from saas_doctor.cli.screen import write_report
from tests import reports
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
    with tempfile.TemporaryDirectory(prefix="sd-bench-") as folder:
        hook(Path(folder), here)
        formats(Path(folder))
    for line in bench_stack.rows(here):
        print(line, flush=True)


def hook(folder: Path, environ: dict[str, str]) -> None:
    """The command of the pre-commit hook on the reference platform, against ruff on the same tree."""
    tree = folder / "platform"
    platforms.copy_files(tree)
    ruff: list[str | Path] = [RUFF[0], "check", "-q", "."]
    entry = yaml.safe_load((platforms.ROOT / ".pre-commit-hooks.yaml").read_text())[0]["entry"]
    warm: Argv = [CONSOLE, *entry.split()[1:]]
    name = "pre-commit hook's command, warm : ruff check, warm"
    print(compare(name, warm, ruff, cwd=tree, environ=environ))
    # As in a fresh container: nothing is compiled yet, and nothing stays.
    cold = {**environ, "PYTHONPYCACHEPREFIX": str(folder / "none"), "PYTHONDONTWRITEBYTECODE": "1"}
    name = "check --static, no byte code : ruff check --no-cache"
    print(compare(name, warm, [*ruff, "--no-cache"], cwd=tree, environ=cold, runs=5))


def formats(folder: Path) -> None:
    """The report of 10,000 findings in each format, against the same text written by Python's json."""
    report = reports.many()
    plain = [msgspec.to_builtins(finding) for finding in report.findings]

    def spent(work: Callable[[], object]) -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    for form in FORMATS:
        file = folder / f"report.{form}"
        ours, peer = [], []
        for _ in range(5):
            ours.append(spent(lambda: write_report(report, form, file)))  # noqa: B023
            peer.append(spent(lambda: file.with_suffix(".json").write_text(json.dumps(plain))))  # noqa: B023
        mine, other = statistics.median(ours), statistics.median(peer)
        name = f"10,000 findings as {form} : json.dumps"
        print(f"{name:<58} {mine * 1000:7.0f} ms  {other * 1000:7.0f} ms  {mine / other:5.2f}x")


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
