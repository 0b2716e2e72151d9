"""A clone of the reference platform as a newcomer has it: no environment, no `.env`, no database."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

from tests.testbed import bed, platforms
from tests.testbed.ports import free_port

DOCTOR = [sys.executable, "-m", "saas_doctor"]
SERVERS = {"postgres": 5432, "redis": 6379}
_INSIDE = {**SERVERS, "registry": 8001, "gateway": 8000, "core": 8002, "demo-service": 8003}


class Clone:
    """It has ports of its own; its Compose file publishes the services at the same ones.

    Without `docker_host` no engine is there, whatever this machine has.
    """

    def __init__(self, root: Path, docker_host: str = "") -> None:
        self.root = root
        self.environ = {
            **bed.shell_environment(),
            "DOCKER_HOST": docker_host or f"unix://{root}/no.sock",
            "HOME": str(root.parent),
        }
        platforms.copy_files(root)
        self.ports = {name: free_port() for name in _INSIDE}
        values = platforms.set_ports(root, {name: self.ports[name] for name in platforms.SERVICES})
        values["DATABASE_URL"] = (
            f"postgresql://saas_user:saas_password@localhost:{self.ports['postgres']}/saas_platform"
        )
        values["REDIS_URL"] = f"redis://localhost:{self.ports['redis']}/0"
        platforms.write_settings(root, values)
        (root / "backend/.env").rename(root / "backend/.env.example")
        for name, inside in _INSIDE.items():
            published = f"127.0.0.1:{self.ports[name]}:{inside}"
            self.edit("docker-compose.yml", f"127.0.0.1:{inside}:{inside}", published)

    def doctor(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*DOCTOR, *argv],
            cwd=self.root,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def members(self) -> dict[str, str]:
        found = json.loads(self.doctor("ps", "--format", "json").stdout)
        return {member["service"]: member["health"] for member in found["members"]}

    def items(self) -> int:
        """The status of a request through the gateway."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        url = f"http://127.0.0.1:{self.ports['gateway']}/api/demo-service/items"
        with opener.open(url, timeout=10) as answer:
            return int(answer.status)

    def edit(self, path: str, old: str, new: str) -> None:
        file = self.root / path
        text = file.read_text()
        assert text.count(old) == 1
        file.write_text(text.replace(old, new))
