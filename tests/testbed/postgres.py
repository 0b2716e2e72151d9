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

from saas_doctor.facts.postgres_protocol import ask, endpoints
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
    """Postgres refuses to run as root; the package's user, if it made one, then owns the cluster."""
    if os.geteuid() != 0:
        return None
    names = {account.pw_name for account in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)


def make_locale(name: str, folder: Path) -> bool:
    """Make a locale such as `zh_CN.UTF-8` in a folder for LOCPATH, if its sources are there."""
    language, _, charset = name.partition(".")
    if not shutil.which("localedef"):
        return False
    argv = ["localedef", "-i", language, "-f", charset, str(folder / name)]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return done.returncode == 0


class Cluster:
    """A server: `host_auth` is the method for TCP; the superuser comes in by the socket.

    `messages` is the locale of its messages, made for it alone; `translated` tells if that worked.
    """

    superuser = "postgres"
    password = PASSWORD

    def __init__(
        self,
        *,
        host_auth: str = "scram-sha-256",
        options: Mapping[str, str] | None = None,
        messages: str = "",
        port: int | None = None,
        encoding: str = "UTF8",
    ) -> None:
        self.bin = binaries()
        assert self.bin, "Postgres' server programs are not installed"
        self.user = server_user()
        self.account = pwd.getpwnam(self.user) if self.user else None
        # Directly below /tmp: a socket's path may have no more than 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="sd-pg-", dir="/tmp"))
        self.port = port or free_port()
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
        self.encoding = encoding
        self.translated = bool(messages) and make_locale(messages, self.folder)
        if self.translated:
            self.options["lc_messages"] = messages
        if self.account:
            os.chown(self.folder, self.account.pw_uid, self.account.pw_gid)
        self._init()
        self.start()

    def _init(self) -> None:
        secret = self.folder / "secret"
        secret.write_text(self.password)
        secret.chmod(0o644)
        self._run(
            "initdb", "-D", str(self.data), "-U", self.superuser, "--auth-local=trust",
            f"--auth-host={self.host_auth}", f"--pwfile={secret}", "-E", self.encoding, "--no-sync",
            f"--locale={'C.UTF-8' if self.encoding == 'UTF8' else 'C'}",
        )  # fmt: skip
        secret.unlink()
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{key} = '{value}'\n" for key, value in self.options.items())

    def _run(self, program: str, *argv: str) -> None:
        assert self.bin
        done = subprocess.run(
            [str(self.bin / program), *argv],
            env={**os.environ, "LOCPATH": str(self.folder)} if self.translated else None,
            user=self.user,
            group=self.account and self.account.pw_gid,
            extra_groups=[] if self.account else None,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout

    def start(self, *, wait: bool = True) -> None:
        log = self.folder / "log"
        how = "-w" if wait else "-W"
        self._run("pg_ctl", "-D", str(self.data), how, "-s", "-l", str(log), "start")

    def stop(self, mode: str = "immediate", *, wait: bool = True) -> None:
        """Stop it; `smart` waits for its sessions, `fast` ends them and leaves clean data."""
        how = "-w" if wait else "-W"
        self._run("pg_ctl", "-D", str(self.data), how, "-s", "-m", mode, "stop")

    def wait_for_answer(self, state: str, limit: float = 10) -> None:
        """Wait until it answers a login with this SQLSTATE."""
        (endpoint,) = endpoints("127.0.0.1", self.port)
        deadline = time.monotonic() + limit
        while ask(endpoint, self.superuser, self.password, "postgres").sqlstate != state:
            assert time.monotonic() < deadline, f"no {state} from {self.folder}"
            time.sleep(0.02)

    def close(self) -> None:
        running = self.data / "postmaster.pid"
        if running.exists():
            try:
                self.stop()
            except AssertionError:
                assert not running.exists()  # it was ending by itself, and has
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, role: str, password: str, database: str) -> str:
        return f"postgresql://{role}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    def connected(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """A session of the superuser's, by the socket."""
        return psycopg.connect(
            host=str(self.socket_dir),
            port=self.port,
            user=self.superuser,
            dbname=database,
            autocommit=True,
        )

    def sql(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement as the superuser, by the socket; its rows."""
        with self.connected(database) as connection:
            cursor = connection.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    def reload(self) -> None:
        """Have it read its files again, and wait until it has."""
        (former,) = self.sql("SELECT pg_conf_load_time()")
        self.sql("SELECT pg_reload_conf()")
        while self.sql("SELECT pg_conf_load_time()") == [former]:
            time.sleep(0.01)

    def end_sessions(self, database: str) -> None:
        self.sql(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname='{database}'"
        )
        time.sleep(0.05)


class DebianCluster(Cluster):
    """A cluster as Debian's own tools make it, which they can start; it needs root."""

    def _init(self) -> None:
        assert self.bin
        self.version = self.bin.parent.name
        # A name of its own: the machine's own clusters are left alone.
        self.name = f"sd{self.port}"
        argv = ["pg_createcluster", self.version, self.name, "--port", str(self.port)]
        argv += ["--datadir", str(self.data), "--socketdir", str(self.socket_dir)]
        argv += ["--start-conf", "manual", "--user", str(self.user), "--locale", "C.UTF-8", "--"]
        argv += ["--auth-local=trust", f"--auth-host={self.host_auth}", "--no-sync"]
        self._tool(*argv)
        configuration = Path(f"/etc/postgresql/{self.version}/{self.name}/postgresql.conf")
        with configuration.open("a") as file:
            file.write("fsync = off\nlisten_addresses = '127.0.0.1'\n")

    def start(self, *, wait: bool = True) -> None:  # noqa: ARG002
        self._tool("pg_ctlcluster", self.version, self.name, "start")

    def stop(self, mode: str = "immediate", *, wait: bool = True) -> None:  # noqa: ARG002
        self._tool("pg_ctlcluster", self.version, self.name, "stop", "-m", mode)

    def close(self) -> None:
        self._tool("pg_dropcluster", "--stop", self.version, self.name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _tool(self, *argv: str) -> None:
        done = subprocess.run(
            argv,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
