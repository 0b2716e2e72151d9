"""Times commands as whole processes, in turn, and compares their medians."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

Argv = Sequence[str | Path]


def seconds(argv: Argv, cwd: Path, environ: Mapping[str, str]) -> float:
    """One run's wall time; its output is thrown away, its exit code is not judged."""
    began = time.perf_counter()
    subprocess.run(
        [str(word) for word in argv],
        cwd=cwd,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return time.perf_counter() - began


def compare(
    name: str, ours: Argv, peer: Argv, *, cwd: Path, environ: Mapping[str, str], runs: int = 15
) -> str:
    """One line: both medians and their ratio. The runs alternate, so a slow moment hits both."""
    pairs = []
    for number in range(runs + 1):
        pair = seconds(ours, cwd, environ), seconds(peer, cwd, environ)
        if number:  # the first warms the caches
            pairs.append(pair)
    mine = statistics.median(a for a, _ in pairs)
    other = statistics.median(b for _, b in pairs)
    ratio = statistics.median(a / b for a, b in pairs)
    return f"{name:<58} {mine * 1000:7.0f} ms  {other * 1000:7.0f} ms  {ratio:5.2f}x"


def peak_memory(argv: Argv, cwd: Path, environ: Mapping[str, str]) -> int:
    """The most memory that one process held at a time, in MB; its children are not counted."""
    process = subprocess.Popen(
        [str(word) for word in argv],
        cwd=cwd,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0  # it was waited for here
    return int(used.ru_maxrss) // 1024
