"""What of an environment is somebody's own is told, and is not lost where the environment goes."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from saas_doctor import own_files
from saas_doctor.actions import Bench, Refused
from saas_doctor.actions.packages import RecreateEnvironment
from saas_doctor.config import Config
from saas_doctor.facts import Facts
from saas_doctor.platform import Platform
from tests.testbed import platforms as copies

OWN = "# only here\n"


@pytest.mark.parametrize("maker", ["venv", "uv"])
def test_of_an_environment_as_it_was_made_nothing_is_somebodys_own(
    tmp_path: Path, maker: str
) -> None:
    environment = tmp_path / "env"
    python = copies.template_environment() / "bin/python"
    make = (
        [python, "-m", "venv"]
        if maker == "venv"
        else [copies.UV, "venv", "-q", "--seed", "-p", python]
    )
    subprocess.run([*map(str, make), str(environment)], check=True, timeout=120)
    subprocess.run([environment / "bin/python", "-c", "import pip"], check=True)
    found = own_files.unproved(environment)
    assert own_files.own(environment, found) == []
    # What only its maker's template could tell is kept, whatever its time is.
    assert environment / "bin/activate" in found
    assert environment / "bin/python" not in found
    with (environment / "bin/activate").open("a") as file:
        file.write(OWN)
    os.utime(environment / "bin/activate", (time.time(), time.time() + 60))
    assert own_files.own(environment, found) == [environment / "bin/activate"]


def test_an_environment_that_is_made_anew_tells_where_ones_own_files_are(tmp_path: Path) -> None:
    platform = Platform(tmp_path, Config(), environ=dict(os.environ))
    environment = tmp_path / ".venv"
    python = Path(copies.template_environment() / "bin/python").resolve()
    subprocess.run(
        [copies.UV, "venv", "-q", "-p", str(python), str(environment)], check=True, timeout=120
    )
    (environment / "bin/mine").write_text(OWN)
    folder = tmp_path / ".saas-doctor/runs/run"
    folder.mkdir(parents=True)
    bench = Bench(platform, Facts(platform), folder)
    planned = RecreateEnvironment(environment, ".venv", python, "3.11", ())
    action = planned.rehearsed(bench.facts, {})
    assert "kept aside for undo; your own files stay in it: bin/mine" in action.preview()
    before = action.before(bench)
    after = action.apply(bench, before)
    place = ".saas-doctor/runs/run/environment-1"
    assert action.afterwards(before).endswith(f"own files from {place}: bin/mine")
    assert (tmp_path / place / "bin/mine").read_text() == OWN

    later = environment / "bin/later"
    later.write_text(OWN)
    with pytest.raises(Refused, match=f"since: bin/later; the former one is in {place}"):
        RecreateEnvironment.undo(bench, before, after)
    later.unlink()
    RecreateEnvironment.undo(bench, before, after)
    assert (environment / "bin/mine").read_text() == OWN
    # Without files of one's own there is nothing to tell.
    (environment / "bin/mine").unlink()
    action = planned.rehearsed(bench.facts, {})
    assert "your own" not in action.preview()
    assert action.afterwards(action.before(bench)) == ""
