"""The platform's Postgres: found running, else a cluster of its own by the machine's programs."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from saas_doctor.facts.admin import OWN_ADMIN
from saas_doctor.facts.database_address import Address
from saas_doctor.facts.database_start import image_version, start
from saas_doctor.facts.postgres_protocol import Answer, Outcome, ask, endpoints, scram_verifier
from saas_doctor.facts.quoting import identifier, literal
from saas_doctor.reasons import confirmed
from saas_doctor.redact import redact
from saas_doctor.stack import Change, Verb
from saas_doctor.stack.local.cluster import Cluster, listens_at
from saas_doctor.stack.local.jobs import Job
from saas_doctor.stack.local.parts import Home, Part, Refused, running_already

_STOPS = 30.0
"""Seconds for a checkpoint; killed, it has to recover."""


class Database(Part):
    kind = "database"

    def __init__(self, home: Home, address: Address) -> None:
        super().__init__(home, "postgres")
        self.address = address
        self.cluster = Cluster(home, address)

    @property
    def place(self) -> str:
        return str(self.address)

    # At its address.

    def found(self) -> str:
        answer = self._ask(self.address.role, self.address.password, self.address.database)
        if answer is None or answer.outcome in (Outcome.REFUSED, Outcome.UNREACHABLE):
            return ""
        if answer.outcome is Outcome.READY:
            return running_already(str(self.address), self.address.port)
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

    @property
    def keeps(self) -> tuple[Path, ...]:
        return (self.cluster.data, self.cluster.secret)

    # How it is started.

    def job(self) -> Job:
        address = self.address
        if address.is_socket or not address.is_local:
            what = f"nothing answers at {address}, which is not an address to start Postgres at"
            raise Refused(what, start(address, self.home.platform), code="DB501")
        program, data = str(self.cluster.bin / "postgres"), str(self.cluster.place)
        argv = [program, "-D", data, "-p", str(address.port)]
        argv += ["-c", f"listen_addresses={listens_at(address.host)}"]
        # Everybody comes by TCP: a socket's folder would have to be writable for this account.
        argv += ["-c", "unix_socket_directories=", "-c", "logging_collector=off"]
        argv += ["-c", "log_destination=stderr"]
        return Job(
            self.name,
            self.kind,
            tuple(argv),
            "/",
            self.cluster.environ,
            self.home.log(self.name),
            ports=(str(address),),
            account=None if self.cluster.account == self.home.account else self.cluster.account,
            stop=signal.SIGINT,  # SIGTERM waits for all its clients
            patience=_STOPS,
        )

    def before(self) -> list[Change]:
        if self.cluster.version_of_data():
            return []
        compose = image_version(self.home.platform)
        version = self.cluster.version(self.cluster.bin)
        other = f"; compose has Postgres {compose}" if compose not in ("", version) else ""
        what = f"a cluster of Postgres {version}{other}"
        if former := self.cluster.elsewhere:
            what += f"; the data of before this folder was copied or moved stay in {former}"
        return [Change(Verb.CREATE, "volume", str(self.cluster.data), what)]

    def prepare(self) -> None:
        self.cluster.make()

    def complete(self) -> None:
        """Give it the role, the password and the database that the platform's address names."""
        import psycopg

        address = self.address
        try:
            with self.cluster.admin() as connection:
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
            words = (self.cluster.data / "postmaster.pid").read_text().splitlines()
            if len(words) < 8 or words[7].strip() != "ready":
                return "the server is starting up"
        answer = self._ask(OWN_ADMIN, self.cluster.password, "postgres")
        ready = answer is not None and answer.outcome is Outcome.READY
        return "" if ready else _said(answer) if answer else "no address"


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
