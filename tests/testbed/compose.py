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
    return _run(folder, environ, "config", "-q").returncode == 0


def config(folder: Path, environ: Mapping[str, str], *options: str) -> dict[str, Any]:
    """The project as Compose understands it; `options` stand before `config`."""
    done = _run(folder, environ, *options, "config", "--format", "json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def model(folder: Path, environ: Mapping[str, str], *options: str) -> dict[str, Any]:
    """The same with each $ as it is meant, and without what is for other programs."""
    text = json.dumps(config(folder, environ, *options)).replace("$$", "$")
    return {key: value for key, value in json.loads(text).items() if not key.startswith("x-")}


def hashes(folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The hash of each service, as `up` writes it on its containers."""
    done = _run(folder, environ, "config", "--hash", "*")
    assert done.returncode == 0, done.stderr
    return dict(line.split() for line in done.stdout.splitlines())


def _run(
    folder: Path, environ: Mapping[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(COMPOSE), *arguments],
        cwd=folder,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
