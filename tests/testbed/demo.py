"""Breaks a copy of the reference platform in eight ways, and shows check, fix, up, check, down and undo."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.faults import Copy, Fault, all_of
from tests.testbed import bed
from tests.testbed.world import World

DOCTOR = Path(sys.executable).with_name("saas-doctor")
BROKEN = {
    "PKG304": "bcrypt 5 under passlib",
    "SRC201": "schemas without marker",
    "SRC202": "orm_mode",
    "SRC204": "metadata of a model",
    "CFG902": "an open quote",
    "DB505": "no CREATE on public",
    "WEB801": "origin missing",
    "WEB803": "no server",
}


def main() -> int:
    began = time.monotonic()
    with (
        bed.servers() as (cluster, redis),
        tempfile.TemporaryDirectory(prefix="saas-doctor-demo-") as folder,
    ):
        good = show(bed.make_copy(Path(folder) / "platform", cluster, redis.url))
    print(f"\n{'The demo held' if good else 'THE DEMO FAILED'}, {time.monotonic() - began:.0f} s.")
    return 0 if good else 1


def show(copy: Copy) -> bool:
    faults = [f for f in all_of(Fault) if BROKEN.get(f.code) == f.name]
    say(
        f"A copy of the reference platform, broken in {len(faults)} ways: {', '.join(map(str, faults))}"
    )
    for fault in faults:
        assert fault.inject(copy) is None
    broken = World.of(copy)

    results = [doctor(copy, "check") == 1, doctor(copy, "fix", "--yes") == 0]
    say("The repaired platform is brought up without Docker, and somebody signs up.")
    try:
        results += [doctor(copy, "up", "--local") == 0, signs_up(copy)]
        results += [doctor(copy, "check") == 0]
    finally:
        results += [doctor(copy, "down", "--local") == 0]
    results += [doctor(copy, "undo") == 0]
    differences = World.of(copy).differences(broken)
    same = [d for d in differences if not d.startswith("logs/")] == []
    say(f"Files, packages, roles and databases are as they were before the fix: {same}")
    return all(results) and same


def say(text: str) -> None:
    print(f"\n=== {text}\n", flush=True)


def doctor(copy: Copy, *argv: str) -> int:
    say(f"saas-doctor {' '.join(argv)}")
    done = subprocess.run([DOCTOR, *argv], cwd=copy.root, env=copy.environ, check=False)
    print(f"(exit code {done.returncode})", flush=True)
    return done.returncode


def signs_up(copy: Copy) -> bool:
    """Sign up and log in through the gateway, as soon as core has registered."""
    url = f"http://127.0.0.1:{copy.ports['gateway']}/api/core"
    user = {"email": "somebody@example.com", "password": "a good secret"}
    for _ in range(100):
        try:
            post(f"{url}/users", user)
            print("signed up, and logged in:", sorted(post(f"{url}/login", user)), flush=True)
            return True
        except urllib.error.URLError:
            time.sleep(0.2)
    return False


def post(url: str, values: dict[str, str]) -> dict[str, str]:
    request = urllib.request.Request(
        url, json.dumps(values).encode(), {"Content-Type": "application/json"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as answer:
        found: dict[str, str] = json.load(answer)
        return found


if __name__ == "__main__":
    sys.exit(main())
