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
from tests.testbed.pythons import pythons

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
    python = _platform_python()
    key = hashlib.sha256(text + python.encode() + sys.version.encode()).hexdigest()[:12]
    CACHE.mkdir(parents=True, exist_ok=True)
    # Its own place stands in its scripts; another checkout may lead to the same cache by a link.
    cache = CACHE.resolve()
    environment = cache / f"platform-{key}"
    with FileLock(cache / "lock"):
        if not environment.exists():
            partial = cache / f"partial-{key}"
            shutil.rmtree(partial, ignore_errors=True)
            _run(UV, "venv", "-q", "--seed", "-p", python, str(partial))
            inside = str(partial / "bin/python")
            _run(UV, "pip", "install", "-q", "-p", inside, "-r", str(requirements))
            # Compiled once here, and not again in every copy.
            _run(inside, "-m", "compileall", "-q", "-j", "2", str(partial / "lib"))
            _name_new_place(partial, partial, environment)
            partial.rename(environment)
    return environment


def _platform_python() -> str:
    """The tool runs on Python 3.10 too, the platform does not."""
    base = str(getattr(sys, "_base_executable", sys.executable))
    if sys.version_info >= (3, 11):
        return base
    return next((pythons()[v] for v in ("3.13", "3.12", "3.11") if v in pythons()), base)


def _name_new_place(environment: Path, old: Path, new: Path) -> None:
    """Console scripts and activate scripts name the environment's own place."""
    for script in (environment / "bin").iterdir():
        if not script.is_symlink():
            text = script.read_bytes()
            script.write_bytes(text.replace(os.fsencode(old), os.fsencode(new)))


def _run(*argv: str) -> None:
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr or done.stdout


def clone_environment(destination: Path) -> None:
    """A clone by hard links: installers replace files and don't rewrite them.

    What names its own place (console scripts), or what a test may edit in place (pyvenv.cfg, the
    packages' metadata), is a real copy: writing to a link would change every other clone.
    """
    template = template_environment()

    def link_or_copy(source: str, target: str) -> None:
        folder, name = os.path.split(source)
        if folder.endswith((".dist-info", os.sep + "bin")) or name.endswith((".cfg", ".pth")):
            shutil.copy2(source, target)
        else:
            os.link(source, target)

    shutil.copytree(template, destination, symlinks=True, copy_function=link_or_copy)
    _name_new_place(destination, template, destination)


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
    root: Path,
    ports: Mapping[str, int],
    environ: Mapping[str, str],
    *names: str,
    host: str = "127.0.0.1",
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
            wait_for_port(ports[name], host, limit=30)
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


if __name__ == "__main__":
    # Before the tests: it can take longer than one test may.
    template_environment()
