"""A call of the API through a real Vite dev server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from saas_doctor import platform as platforms
from saas_doctor import runner
from saas_doctor.model import Result
from saas_doctor.runner import Selection
from tests.faults import Copy
from tests.faults.browser import ITEMS, on_a_port_of_its_own
from tests.faults.services import stub
from tests.testbed import require
from tests.testbed.platforms import CACHE, PLATFORM
from tests.testbed.ports import wait_for_port

MakeCopy = Callable[..., Copy]


@pytest.fixture(scope="session")
def vite() -> Path:
    """The front end's packages, installed once a machine."""
    npm = shutil.which("npm")
    require(npm, "npm")
    assert npm
    folder = CACHE.resolve() / "frontend"
    with FileLock(f"{folder}.lock"):
        if not (folder / "node_modules/vite").exists():
            folder.mkdir(parents=True, exist_ok=True)
            for name in ("package.json", ".npmrc"):
                shutil.copy(PLATFORM / "frontend" / name, folder)
            argv = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts=false"]
            done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
    return folder / "node_modules"


@contextmanager
def dev_server(copy: Copy, vite: Path, port: int) -> Iterator[None]:
    folder = copy.path("frontend")
    (folder / "node_modules").symlink_to(vite)
    node = shutil.which("node")
    require(node, "node")
    process = subprocess.Popen(
        [str(node), str(vite / "vite/bin/vite.js"), "--host", "127.0.0.1"],
        cwd=folder,
        env={**copy.environ, "PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_port(port, limit=60)
        yield
    finally:
        process.kill()
        process.wait()


def examined(copy: Copy) -> Result:
    platform = platforms.load(copy.root, exact=True, environ=copy.environ)
    report = runner.run(platform, Selection(("WEB813",)), timeout=30)
    return next(r for r in report.results if r.code == "WEB813")


@pytest.mark.timeout(300)
def test_vite_is_known_and_its_proxy_is_tried(make_copy: MakeCopy, vite: Path) -> None:
    copy = make_copy(own=False)
    port = on_a_port_of_its_own(copy)
    config = copy.path("frontend/vite.config.js")
    right = config.read_text()
    items = {ITEMS: [200, [{"id": 1}]]}
    computed = re.sub(r"'http://127.0.0.1:\d+'", "`http://127.0.0.1:${4 + 5}`", right)
    for text, said in ((right, None), (computed, r"fails with HTTP 50\d")):
        config.write_text(text)
        with (
            stub(copy, "gateway", copy.ports["gateway"], None, (), **items),
            dev_server(copy, vite, port),
        ):
            result = examined(copy)
        copy.path("frontend/node_modules").unlink()
        if said is None:
            assert (result.status, result.reason) == ("ok", None)
        else:
            assert re.search(said, result.findings[0].message), result
