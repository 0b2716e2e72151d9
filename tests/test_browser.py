"""A real Vite dev server, and a real browser before it."""

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
from saas_doctor import repair, runner
from saas_doctor.model import Result
from saas_doctor.runner import Selection
from saas_doctor.symptoms import pointed_to
from tests.faults import Copy
from tests.faults.browser import ITEMS, on_a_port_of_its_own
from tests.faults.services import stub
from tests.faults.web import VITE
from tests.testbed import bed, require
from tests.testbed import platforms as copies
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


PAGE = """
const show = async (id, call) => {
  const list = document.querySelector(id)
  try {
    const answer = await call
    for (const item of await answer.json()) list.append(item.name + ';')
  } catch (error) {
    list.textContent = `failed: ${error.message}`
  }
}
document.body.insertAdjacentHTML('beforeend', '<p id="same"></p><p id="other"></p>')
await show('#same', fetch('/api/demo-service/items'))
await show('#other', fetch('http://127.0.0.1:GATEWAY/api/demo-service/items'))
"""
BROWSER = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-proxy-server",
    "--virtual-time-budget=10000",
    "--enable-logging=stderr",
    "--dump-dom",
]


def seen(url: str, profile: Path) -> tuple[dict[str, str], str]:
    """What a browser has in the two paragraphs of the page, and what its console says."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    require(chromium, "chromium")
    done = subprocess.run(
        [str(chromium), *BROWSER, f"--user-data-dir={profile}", url],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return dict(re.findall(r'<p id="(\w+)">(.*?)</p>', done.stdout)), done.stderr


@pytest.mark.timeout(400)
def test_what_a_browser_blocks_works_after_the_fixes(tmp_path: Path, vite: Path) -> None:
    with bed.servers() as (cluster, redis):
        copy = bed.make_copy(tmp_path / "platform", cluster, redis.url)
        port = on_a_port_of_its_own(copy)
        copy.path("frontend/src/main.js").write_text(
            PAGE.replace("GATEWAY", str(copy.ports["gateway"]))
        )
        env = copy.path("backend/.env")
        slash = f"CORS_ORIGINS=http://localhost:{port}/"
        env.write_text(re.sub(r"(?m)^CORS_ORIGINS=.*$", slash, env.read_text()))
        text = copy.path(VITE).read_text()
        copy.path(VITE).write_text(re.sub(r"    proxy: \{.*?\n    \},\n", "", text, flags=re.S))

        def look(name: str) -> tuple[dict[str, str], str]:
            with (
                copies.started(copy.root, copy.ports, copy.environ),
                dev_server(copy, vite, port),
            ):
                found = seen(f"http://localhost:{port}/", tmp_path / name)
            copy.path("frontend/node_modules").unlink()
            return found

        before, console = look("before")
        assert "failed: Unexpected token" in before["same"]
        assert before["other"] == "failed: Failed to fetch"
        (blocked,) = re.findall(r'"(Access to fetch .*? CORS policy: .*?)"', console)
        assert pointed_to(blocked) in ("WEB801", "WEB802", "WEB806", "WEB812")

        platform = platforms.load(copy.root, exact=True, environ=copy.environ)
        fixed = repair.repair(platform, Selection(live=False), lambda plan: plan, timeout=60)
        assert {f.code for d in fixed.done for f in d.step.findings} == {"WEB803", "WEB806"}
        assert {f.code for f in fixed.report.findings} <= {"WEB804"}

        after, _ = look("after")
        assert after["same"] == after["other"] != ""
        assert "failed" not in after["same"]
