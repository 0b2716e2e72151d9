"""What the stack's processes are started by, and what is on record of those that were."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import msgspec
from msgspec import Struct

from saas_doctor.model import DoctorError
from saas_doctor.platform import Platform
from saas_doctor.processes import MARK, PATIENCE, Identity
from saas_doctor.stack.local.accounts import Account


class Job(Struct, frozen=True):
    """A process to be started and kept running.

    `counted` are the variables that make it another job where they change, and `settings` is a
    digest of what else does; `stop` is the signal
    that ends it, within `patience` seconds; `record` its record's place. `adopt` is the process
    where it runs already.
    """

    name: str
    kind: str
    argv: tuple[str, ...]
    folder: str
    environ: dict[str, str]
    log: str
    record: str = ""
    ports: tuple[str, ...] = ()
    counted: tuple[str, ...] = ()
    account: Account | None = None
    settings: str = ""
    stop: int = signal.SIGTERM
    patience: float = PATIENCE
    adopt: Identity | None = None

    @property
    def command(self) -> str:
        """A digest of the command."""
        return digest("\0".join((self.folder, *self.argv)))

    @property
    def variables(self) -> dict[str, str]:
        """A digest of each variable that counts: it may be a secret."""
        return {key: digest(self.environ[key]) for key in self.counted if key in self.environ}


class Record(Struct):
    """What is known of a member: written by its supervisor, and by `up` where that has ended.

    `process` is None while nothing runs; `since` when it was started last, `offset` where its log
    began then. `exit_code` is the last one. `place` is where the record was made for: in a copy of
    the platform it tells of the original's processes.
    """

    name: str
    kind: str
    log: str
    command: str
    variables: dict[str, str]
    ports: tuple[str, ...] = ()
    settings: str = ""
    stop: int = signal.SIGTERM
    patience: float = PATIENCE
    supervisor: Identity | None = None
    process: Identity | None = None
    since: float = 0.0
    offset: int = 0
    restarts: int = 0
    exit_code: int | None = None
    place: str = ""

    @classmethod
    def of(cls, job: Job) -> Record:
        return cls(
            job.name, job.kind, job.log, job.command, job.variables, job.ports, job.settings,
            job.stop, job.patience, place=job.record,
        )  # fmt: skip

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.alive

    @property
    def is_supervised(self) -> bool:
        return self.supervisor is not None and self.supervisor.alive

    def difference(self, job: Job) -> str:
        """Why the job is not the recorded one any more, or nothing."""
        if self.command != job.command:
            return "its command has changed"
        if self.settings != job.settings:
            return "its settings have changed"
        now = job.variables
        changed = sorted(k for k in {*now, *self.variables} if now.get(k) != self.variables.get(k))
        return f"its environment has changed ({', '.join(changed)})" if changed else ""


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


class State:
    """The folder of the records, `.saas-doctor/local`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place(self, name: str) -> Path:
        return self.folder / f"{quote(name, safe='')}.json"

    def read(self, name: str) -> Record | None:
        """The record; None where there is none of this place, or a torn one. Raises DoctorError."""
        return read(self.place(name))

    def all(self) -> list[Record]:
        """Every record, the member that was started last first."""
        found = [record for path in self.folder.glob("*.json") if (record := read(path))]
        return sorted(found, key=lambda record: record.since, reverse=True)

    def remove(self, name: str) -> None:
        place = self.place(name)
        for path in (place, place.with_suffix(".times")):
            path.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Only one `up`, `down` or `restart` at a time."""
        from filelock import FileLock, Timeout

        lock = FileLock(self.folder / "lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise DoctorError(
                "another `up --local`, `down` or `restart` is at work on this platform; wait for its end"
            ) from None
        except OSError as error:
            raise DoctorError(f"{self.folder / 'lock'}: can't be locked ({error})") from None
        try:
            yield
        finally:
            lock.release()


def records_of(platform: Platform) -> State:
    return State(platform.state / "local")


def read(path: Path) -> Record | None:
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Record)
        return found if os.path.dirname(found.place) in ("", str(path.parent)) else None
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    except OSError as error:
        raise DoctorError(
            f"{path}: can't be read ({error.strerror}); run this as the user who ran `up`"
        ) from None


def write(path: Path, record: Record) -> None:
    """Put the record in its place, whole or not at all."""
    new = path.with_suffix(".new")
    new.write_bytes(msgspec.json.encode(record))
    new.replace(path)


def left_over(folder: Path, name: str = "") -> list[Identity]:
    """The running processes of the members (or of one) that have its record in their environment."""
    import psutil

    place = str(State(folder).place(name)) if name else ""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            mark = process.environ().get(MARK, "")
            ours = mark == place if place else os.path.dirname(mark) == str(folder)
            if ours and process.pid != os.getpid():
                found.append(Identity.of(process.pid))
    return [one for one in found if one]


def mark(environ: Mapping[str, str], job: Job) -> dict[str, str]:
    """The environment with the job's mark."""
    return {**environ, MARK: job.record}
