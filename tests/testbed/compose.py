"""The real Compose, which needs no engine to say what it makes of a file."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

COMPOSE = Path(sys.executable).with_name("docker-compose")


def accepts(folder: Path, environ: Mapping[str, str]) -> bool:
    """Whether Compose takes the files of a folder."""
    return _run(folder, environ, "-q").returncode == 0


def config(folder: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """The project as Compose understands it."""
    done = _run(folder, environ, "--format", "json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def hashes(folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The hash of each service, as `up` writes it on its containers."""
    done = _run(folder, environ, "--hash", "*")
    assert done.returncode == 0, done.stderr
    return dict(line.split() for line in done.stdout.splitlines())


def _run(
    folder: Path, environ: Mapping[str, str], *options: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(COMPOSE), "config", *options],
        cwd=folder,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
