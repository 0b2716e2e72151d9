"""Copies of the reference platform, each with its own environment, made in well under a second."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from tests.testbed.ports import wait_for_port

ROOT = Path(__file__).resolve().parents[2]
PLATFORM = ROOT / "examples/platform"
CACHE = ROOT / ".cache/testbed"
SERVICES = {
    "registry": "backend/registry",
    "gateway": "backend/gateway",
    "core": "backend/core",
    "demo-service": "examples/plugins/demo-service",
}
UV = str(Path(sys.executable).with_name("uv"))


def template_environment() -> Path:
    """One environment with the platform's requirements, made once a machine."""
    requirements = PLATFORM / "backend/requirements-dev.txt"
    text = requirements.read_bytes() + (PLATFORM / "backend/requirements.txt").read_bytes()
    key = hashlib.sha256(text + sys.version.encode()).hexdigest()[:12]
    environment = CACHE / f"environment-{key}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / "lock"):
        if not environment.exists():
            partial = CACHE / f"partial-{key}"
            shutil.rmtree(partial, ignore_errors=True)
            base = getattr(sys, "_base_executable", sys.executable)
            _run(UV, "venv", "-q", "--seed", "-p", base, str(partial))
            python = str(partial / "bin/python")
            _run(UV, "pip", "install", "-q", "-p", python, "-r", str(requirements))
            # Compiled once here, and not again in every copy.
            _run(python, "-m", "compileall", "-q", "-j", "2", str(partial / "lib"))
            partial.rename(environment)
    return environment


def _run(*argv: str) -> None:
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr or done.stdout


def clone_environment(destination: Path) -> None:
    """A clone by hard links: installers replace files and don't rewrite them.

    What names its own place (console scripts, pyvenv.cfg) is copied and rewritten.
    """
    template = template_environment()
    shutil.copytree(template, destination, symlinks=True, copy_function=os.link)
    for script in (destination / "bin").iterdir():
        if script.is_symlink():
            continue
        text = script.read_bytes()
        mode = script.stat().st_mode
        script.unlink()  # a link into the template, which must not be written to
        script.write_bytes(text.replace(os.fsencode(template), os.fsencode(destination)))
        script.chmod(mode)


def copy_files(destination: Path) -> None:
    """The platform's files, as a fresh clone of its repository has them."""
    ignore = shutil.ignore_patterns(
        ".venv", "node_modules", "__pycache__", ".env", "*.log*", ".saas-doctor", ".pytest_cache"
    )
    shutil.copytree(PLATFORM, destination, ignore=ignore)


def write_settings(root: Path, values: Mapping[str, str]) -> None:
    """Write backend/.env, and the example likewise: its lines with these values."""
    lines = (root / "backend/.env.example").read_text().splitlines()
    changed = [
        f"{key}={values[key]}" if (key := line.partition("=")[0]) in values else line
        for line in lines
    ]
    for name in (".env", ".env.example"):
        (root / "backend" / name).write_text("\n".join(changed) + "\n")
    (root / "backend/.env").chmod(0o600)


def set_ports(root: Path, ports: Mapping[str, int]) -> dict[str, str]:
    """The settings for these ports; the Vite proxy is set to the gateway's."""
    config = root / "frontend/vite.config.js"
    text = config.read_text()
    config.write_text(text.replace("127.0.0.1:8000", f"127.0.0.1:{ports['gateway']}"))
    values = {f"{name.upper().replace('-', '_')}_PORT": str(port) for name, port in ports.items()}
    return {**values, "REGISTRY_URL": f"http://127.0.0.1:{ports['registry']}"}


@contextmanager
def started(
    root: Path, ports: Mapping[str, int], environ: Mapping[str, str], *names: str
) -> Iterator[dict[str, int]]:
    """Start services (all, or these) as a developer does; yields their pids by name."""
    processes: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name in names or SERVICES:
            processes[name] = subprocess.Popen(
                [str(root / "backend/.venv/bin/python"), "run.py"],
                cwd=root / SERVICES[name],
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        for name in processes:
            wait_for_port(ports[name], limit=30)
        yield {name: process.pid for name, process in processes.items()}
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def get(url: str) -> str:
    """A page's text, by no proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=5) as answer:
        return str(answer.read().decode())
