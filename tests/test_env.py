"""`saas-doctor env`: its lines in real shells, with values that nobody would want to be run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from saas_doctor.shells import Shell, guessed
from tests.testbed import require
from tests.testbed.ports import free_port, listener

SHELLS = {
    "bash": (["bash", "--norc", "-c"], Shell.BASH),
    "dash": (["dash", "-c"], Shell.SH),
    "zsh": (["zsh", "-f", "-c"], Shell.ZSH),
    "fish": (["fish", "--no-config", "-c"], Shell.FISH),
}
HOSTILE = (
    "plain",
    "two words",
    "$(touch hit)",
    "`touch hit`",
    "'; touch hit; '",
    "\\'; touch hit #",
    '"; touch hit; "',
    "a\nb",
    "$HOME",
    "\\",
    "!!",
    "*",
    "~",
    "-n",
)


def in_shell(name: str, script: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    words, _ = SHELLS[name]
    require(shutil.which(words[0]), words[0])
    return subprocess.run(
        [*words, script],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd), **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("name", SHELLS)
@pytest.mark.parametrize("value", HOSTILE)
def test_a_shell_takes_a_value_as_it_is_and_runs_nothing_of_it(
    name: str, value: str, tmp_path: Path
) -> None:
    line = SHELLS[name][1].export("NO_PROXY", value)
    done = in_shell(name, f"{line}\nprintenv NO_PROXY", tmp_path)
    assert (done.stdout, done.stderr) == (f"{value}\n", "")
    assert list(tmp_path.glob("hit")) == []


@pytest.mark.parametrize("name", SHELLS)
def test_a_shell_removes_a_variable(name: str, tmp_path: Path) -> None:
    line = SHELLS[name][1].unset("VIRTUAL_ENV")
    done = in_shell(name, f"{line}\nenv", tmp_path, VIRTUAL_ENV="/gone")
    assert "VIRTUAL_ENV" not in done.stdout
    assert done.stderr == ""


def test_the_lines_for_powershell_close_no_text_too_early() -> None:
    shell = Shell.POWERSHELL
    assert shell.export("NO_PROXY", "a,b") == "$env:NO_PROXY = 'a,b';"
    value = "'; rm x; $y \u2019"
    assert shell.export("NO_PROXY", value) == "$env:NO_PROXY = '''; rm x; $y \u2019\u2019';"
    assert shell.unset("X") == "Remove-Item Env:X -ErrorAction SilentlyContinue;"


@pytest.mark.parametrize(
    ("parents", "own", "wanted"),
    [
        (["saas-doctor", "zsh", "bash"], "/bin/bash", Shell.ZSH),
        (["-bash"], "", Shell.BASH),
        (["python3", "pwsh.exe"], "/bin/bash", Shell.POWERSHELL),
        (["dash"], "/usr/bin/fish", Shell.SH),
        (["sshd"], "/usr/bin/fish", Shell.FISH),
        ([], "", Shell.SH),
    ],
)
def test_the_calling_shell_is_guessed(parents: list[str], own: str, wanted: Shell) -> None:
    assert guessed(parents, {"SHELL": own}) is wanted


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "backend").mkdir()
    (tmp_path / "docker-compose.yml").write_text("services: {}\n")
    (tmp_path / "backend/.env").write_text("REGISTRY_URL=http://localhost:8001\n")
    (tmp_path / "saas-doctor.toml").write_text(
        '[services.registry]\ndirectory = "backend"\nport = 8001\nhost = "127.0.0.2"\n'
    )
    return tmp_path


CALL = f"{sys.executable} -m saas_doctor"


@pytest.mark.parametrize("name", SHELLS)
def test_a_shell_is_put_right_by_what_is_printed_and_then_needs_nothing(
    name: str, root: Path
) -> None:
    taken = f"{CALL} env | source" if name == "fish" else f'eval "$({CALL} env)"'
    port = free_port()
    with listener(port):
        done = in_shell(
            name,
            f"{taken}; {CALL} env; printenv NO_PROXY; printenv VIRTUAL_ENV; printenv https_proxy",
            root,
            http_proxy=f"http://127.0.0.1:{port}",
            https_proxy="http://127.0.0.1:9",
            NO_PROXY="it's.test $(touch hit)",
            VIRTUAL_ENV=str(root / "gone"),
        )
    wanted = "it's.test,$(touch,hit),localhost,127.0.0.1,::1,127.0.0.2\n"
    assert done.stdout == wanted, done.stderr
    assert "http_proxy would take the calls to localhost, 127.0.0.2" in done.stderr
    assert "https_proxy: its proxy at 127.0.0.1:9 refuses the connection" in done.stderr
    assert "is not there any more" in done.stderr
    assert not (root / "hit").exists()


def test_nothing_is_printed_where_nothing_is_needed(root: Path) -> None:
    done = in_shell("dash", f"{CALL} env", root)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_settings_that_can_not_be_read_are_told_and_nothing_is_printed(root: Path) -> None:
    (root / "backend/.env").write_bytes(b"\xff\xfe")
    done = in_shell("dash", f"{CALL} env", root, http_proxy="http://127.0.0.1:9")
    assert (done.stdout, done.returncode) == ("", 3)
    assert "not UTF-8" in done.stderr
