"""The wheel, installed as users install it, does its work on every Python that it is for."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from saas_doctor import __version__
from tests.testbed import checkout, platforms
from tests.testbed.pythons import python_for, pythons

EVERYWHERE = bool(os.environ.get("ALL_INSTALLS"))
SUPPORTED = ("3.10", "3.11", "3.12", "3.13")
OWN = f"3.{sys.version_info.minor}"
VERSIONS = [v for v in SUPPORTED if v in pythons()] if EVERYWHERE else [OWN]
PIPX = str(Path(sys.executable).with_name("pipx"))


def run(
    *argv: str | Path, cwd: Path | None = None, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        cwd=cwd,
        env={**os.environ, "PIP_NO_COMPILE": "1", **(environ or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )


def by_pip(wheel: Path, python: str, folder: Path) -> Path:
    environment = folder / "environment"
    made = run(python, "-m", "venv", environment)
    assert made.returncode == 0, made.stdout + made.stderr
    done = run(environment / "bin/python", "-m", "pip", "install", "--quiet", wheel)
    assert done.returncode == 0, done.stdout + done.stderr
    return environment / "bin/saas-doctor"


def by_pipx(wheel: Path, python: str, folder: Path) -> Path:
    environ = {"PIPX_HOME": str(folder / "pipx"), "PIPX_BIN_DIR": str(folder / "bin")}
    done = run(PIPX, "install", "--python", python, wheel, environ=environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "bin/saas-doctor"


def by_uv(wheel: Path, python: str, folder: Path) -> Path:
    environ = {"UV_TOOL_DIR": str(folder / "tools"), "UV_TOOL_BIN_DIR": str(folder / "bin")}
    done = run(platforms.UV, "tool", "install", "-q", "--python", python, wheel, environ=environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "bin/saas-doctor"


INSTALLERS: dict[str, Callable[[Path, str, Path], Path]] = {
    "pip": by_pip,
    "pipx": by_pipx,
    "uv tool": by_uv,
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkout.wheel(tmp_path_factory.mktemp("wheel"))


def files(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file() and ".saas-doctor" not in path.parts
    }


@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("installer", INSTALLERS)
def test_the_main_commands_run_where_it_is_installed(
    installer: str, version: str, wheel: Path, tmp_path: Path
) -> None:
    doctor = INSTALLERS[installer](wheel, python_for(version), tmp_path)
    root = tmp_path / "platform"
    platforms.copy_files(root)
    before = files(root)
    # Less what the platform's environment and its servers are needed for.
    some = ("--timeout", "60", "--select", "CFG,SRC,DOCK60,WEB803")
    # As on a developer's machine: in CI nobody misses a .env.
    environ = {"PYTHONPATH": "", "CI": "", "DOCKER_HOST": f"unix://{root}/no.sock"}
    for argv, code, words in (
        (("--version",), 0, f"saas-doctor {__version__}"),
        (("explain", "DB503"), 0, "DB503: "),
        (("explain", "password cannot be longer than 72 bytes"), 0, "PKG304: "),
        (("check", "--static", "--fail-on", "warning", *some), 1, "warning CFG901"),
        (("fix", "--dry-run", *some), 1, "create backend/.env"),
        (("fix", "--yes", *some), 0, "verified     create backend/.env"),
        (("check", "--static", "--fail-on", "warning", *some), 0, "no finding"),
        (("check", "--static", "--format", "sarif", *some), 0, "sarif-2.1.0.json"),
        (("undo",), 0, "undone   create backend/.env"),
    ):
        done = run(doctor, *argv, cwd=root, environ=environ)
        assert done.returncode == code, f"{argv}\n{done.stdout}{done.stderr}"
        assert words in done.stdout
        assert "Warning" not in done.stderr
    assert files(root) == before
