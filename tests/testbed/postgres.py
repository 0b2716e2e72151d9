"""Throw-away Postgres clusters: real servers on private ports and sockets."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from tests.testbed.ports import free_port

PASSWORD = "superuser-secret"


def binaries() -> Path | None:
    """Debian's newest server binaries, or those on PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


def server_user() -> str | None:
    """Postgres refuses to run as root; the package's user then owns the cluster."""
    return "postgres" if os.geteuid() == 0 else None


class Cluster:
    """A server: `host_auth` is the method for TCP; the superuser comes in by the socket."""

    superuser = "postgres"
    password = PASSWORD

    def __init__(
        self, *, host_auth: str = "scram-sha-256", options: Mapping[str, str] | None = None
    ) -> None:
        self.bin = binaries()
        assert self.bin, "Postgres' server programs are not installed"
        self.user = server_user()
        # Directly below /tmp: a socket's path may have no more than 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="sd-pg-", dir="/tmp"))
        self.port = free_port()
        self.socket_dir = self.folder
        self.data = self.folder / "data"
        self.options = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.socket_dir),
            "fsync": "off",
            **(options or {}),
        }
        self.host_auth = host_auth
        if self.user:
            account = pwd.getpwnam(self.user)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        self._init()
        self.start()

    def _init(self) -> None:
        secret = self.folder / "secret"
        secret.write_text(self.password)
        secret.chmod(0o644)
        self._run(
            "initdb", "-D", str(self.data), "-U", self.superuser, "--auth-local=trust",
            f"--auth-host={self.host_auth}", f"--pwfile={secret}", "-E", "UTF8", "--no-sync",
            "--locale=C.UTF-8",
        )  # fmt: skip
        secret.unlink()
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{key} = '{value}'\n" for key, value in self.options.items())

    def _run(self, program: str, *argv: str) -> None:
        assert self.bin
        done = subprocess.run(
            [str(self.bin / program), *argv],
            user=self.user,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout

    def start(self) -> None:
        log = self.folder / "log"
        self._run("pg_ctl", "-D", str(self.data), "-w", "-s", "-l", str(log), "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self.data), "-w", "-s", "-m", "immediate", "stop")

    def close(self) -> None:
        if (self.data / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, role: str, password: str, database: str) -> str:
        return f"postgresql://{role}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    def sql(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement as the superuser, by the socket; its rows."""
        with psycopg.connect(
            host=str(self.socket_dir),
            port=self.port,
            user=self.superuser,
            dbname=database,
            autocommit=True,
        ) as connection:
            cursor = connection.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    def end_sessions(self, database: str) -> None:
        self.sql(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname='{database}'"
        )
        time.sleep(0.05)
