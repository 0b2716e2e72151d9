"""A real Postgres server in a container: the host's programs on the tests' tiny image."""

from __future__ import annotations

import pwd
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import docker

from saas_doctor.facts.postgres_protocol import Outcome, ask, endpoints
from tests.testbed import engine
from tests.testbed.ports import free_port
from tests.testbed.postgres import binaries, server_user

if TYPE_CHECKING:
    from docker.models.containers import Container

SUPERUSER, PASSWORD = "boss", "boss-secret"
_SCRIPT = """
ln -s usr/lib /lib; ln -s usr/lib64 /lib64; mkdir -p /tmp /data /var/run/postgresql
chmod 777 /tmp /var/run/postgresql; chown {user} /data 2>/dev/null
me="/usr/bin/setpriv --reuid={user} --regid={user} --clear-groups"
echo {password} > /tmp/secret
[ -f /data/PG_VERSION ] || $me {bin}/initdb -D /data -U {superuser} --auth-local=trust \
  --auth-host=scram-sha-256 --pwfile=/tmp/secret --no-sync > /dev/null
grep -q 0.0.0.0/0 /data/pg_hba.conf || echo host all all 0.0.0.0/0 scram-sha-256 >> /data/pg_hba.conf
exec $me {bin}/postgres -D /data -c listen_addresses='*' -c fsync=off
"""


@dataclass
class PostgresContainer:
    """The server's container and the port that it publishes; its superuser is not `postgres`."""

    container: Container
    port: int

    def url(self, role: str, password: str, database: str) -> str:
        return f"postgresql://{role}:{password}@127.0.0.1:{self.port}/{database}"

    @property
    def runs(self) -> bool:
        self.container.reload()
        return bool(self.container.status == "running")


@contextmanager
def postgres_container(host: str, project: Path) -> Iterator[PostgresContainer]:
    """A running one, as Compose would have made it for the project in that folder."""
    user = server_user() or "postgres"
    number = pwd.getpwnam(user).pw_uid
    port, client = free_port(), docker.DockerClient(base_url=host)
    data = Path(tempfile.mkdtemp(prefix="sd-pgc-", dir="/tmp"))
    data.chmod(0o700)
    script = _SCRIPT.format(user=number, password=PASSWORD, superuser=SUPERUSER, bin=binaries())
    container = client.containers.run(
        engine.IMAGE,
        ["sh", "-c", script],
        detach=True,
        name=f"sd-db-{port}",
        ports={"5432/tcp": ("127.0.0.1", port)},
        environment={"POSTGRES_USER": SUPERUSER, "PATH": "/bin:/usr/bin"},
        labels={
            engine.LABEL: "1",
            "com.docker.compose.project": project.name,
            "com.docker.compose.project.working_dir": str(project),
            "com.docker.compose.service": "db",
        },
        volumes={
            "/usr": {"bind": "/usr", "mode": "ro"},
            "/etc": {"bind": "/etc", "mode": "ro"},
            str(data): {"bind": "/data", "mode": "rw"},
        },
    )
    try:
        _wait(container, port)
        yield PostgresContainer(container, port)
    finally:
        container.remove(force=True, v=True)
        client.close()
        shutil.rmtree(data, ignore_errors=True)


def _wait(container: Container, port: int, limit: float = 60) -> None:
    (endpoint,) = endpoints("127.0.0.1", port)
    deadline = time.monotonic() + limit
    while ask(endpoint, SUPERUSER, PASSWORD, "postgres").outcome is not Outcome.READY:
        assert time.monotonic() < deadline, container.logs().decode()[-2000:]
        time.sleep(0.1)
