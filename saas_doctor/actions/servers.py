"""Actions that start the platform's Postgres server; undo stops it again while nobody uses it."""

from __future__ import annotations

import re
import shutil
import time
from abc import abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

from saas_doctor.actions import Action, Bench, Failed, NotApplied, Record, Refused, command
from saas_doctor.actions.processes import container
from saas_doctor.actions.statements import run
from saas_doctor.facts.brew import stopped_services
from saas_doctor.facts.database_address import Address
from saas_doctor.facts.postgres_protocol import Outcome, ask, endpoints
from saas_doctor.model import Risk

_PATIENCE = 30.0
"""Seconds that a server may take to come up: it may have to recover first."""


@dataclass(frozen=True)
class _StartServer(Action):
    """What both ways of starting have in common: waiting for it, and for its users."""

    address: Address

    order = 38
    risk = Risk.CHANGES

    @property
    def target(self) -> Hashable:
        return str(self.address)

    def verify(self, bench: Bench) -> bool:  # noqa: ARG002
        return _answers(self.address)

    def before(self, bench: Bench) -> Record:  # noqa: ARG002
        if _answers(self.address):
            raise NotApplied(f"a server answers on {self.address} by now")
        return {"address": str(self.address), **self.named}

    @property
    @abstractmethod
    def named(self) -> Record:
        """What undo needs to find the server again."""

    def wait(self) -> None:
        """Wait until it answers a login, in whatever way; raises Failed."""
        deadline = time.monotonic() + _PATIENCE
        while not _answers(self.address):
            if time.monotonic() > deadline:
                raise Failed(f"it was started, and does not answer on {self.address}")
            time.sleep(0.1)


def _answers(address: Address) -> bool:
    try:
        where = endpoints(address.host, address.port)
    except OSError:
        return False
    answers = [ask(end, address.role, address.password, address.database) for end in where]
    fine = (Outcome.READY, Outcome.ERROR, Outcome.PASSWORD_WANTED, Outcome.UNKNOWN_METHOD)
    return any(a.outcome in fine and a.sqlstate != "57P03" for a in answers)


_OTHERS = """
SELECT count(*) FROM pg_stat_activity
WHERE datid IS NOT NULL AND pid <> pg_backend_pid() AND application_name <> 'saas-doctor'
  AND backend_type = 'client backend'
"""


def _refuse_while_used(bench: Bench, name: str) -> None:
    try:
        count = run(bench, _OTHERS)[0][0]
    except Failed as reason:
        raise Refused(f"who uses {name} can't be told ({reason}); it runs on") from None
    if count != "0":
        raise Refused(f"{name} is in use by {count} session(s); it runs on")


@dataclass(frozen=True)
class StartCluster(_StartServer):
    """Start a Postgres cluster of this system, as Debian and Ubuntu manage them."""

    version: str
    name: str

    @property
    def title(self) -> str:
        return f"start Postgres cluster {self.version}/{self.name}"

    @property
    def named(self) -> Record:
        return {"version": self.version, "name": self.name}

    def preview(self) -> str:
        return f"pg_ctlcluster {self.version} {self.name} start"

    def apply(self, bench: Bench, before: Record) -> Record:  # noqa: ARG002
        command(["pg_ctlcluster", self.version, self.name, "start"], cwd=Path("/"), limit=60)
        self.wait()
        return {}

    @classmethod
    def undo(cls, bench: Bench, before: Record, after: Record | None) -> str | None:  # noqa: ARG003
        name, version = before["name"], before["version"]
        listed = command(["pg_lsclusters", "--no-header"], cwd=Path("/"), limit=10)
        rows = [line.split() for line in listed.splitlines()]
        if [version, name] not in [row[:2] for row in rows if row[3] != "down"]:
            return None
        _refuse_while_used(bench, f"cluster {version}/{name}")
        command(["pg_ctlcluster", version, name, "stop"], cwd=Path("/"), limit=60)
        return None


@dataclass(frozen=True)
class StartBrewed(_StartServer):
    """Start a Postgres server that Homebrew has installed."""

    formula: str

    @property
    def title(self) -> str:
        return f"start Homebrew's {self.formula}"

    @property
    def named(self) -> Record:
        return {"formula": self.formula}

    def preview(self) -> str:
        return f"brew services start {self.formula}  (also when you log in, until it is stopped)"

    def apply(self, bench: Bench, before: Record) -> Record:  # noqa: ARG002
        _brew(bench, "start", self.formula)
        self.wait()
        return {}

    @classmethod
    def undo(cls, bench: Bench, before: Record, after: Record | None) -> str | None:  # noqa: ARG003
        formula = before["formula"]
        if formula in stopped_services(re.escape(formula), bench.platform.environ):
            return None
        _refuse_while_used(bench, formula)
        _brew(bench, "stop", formula)
        return None


def _brew(bench: Bench, what: str, formula: str) -> None:
    environ = bench.platform.environ
    program = shutil.which("brew", path=environ.get("PATH")) or "brew"
    command([program, "services", what, formula], cwd=Path("/"), limit=60, environ=environ)


@dataclass(frozen=True)
class StartContainer(_StartServer):
    """Start the container of the platform's compose project that is the server."""

    identity: str
    name: str

    @property
    def title(self) -> str:
        return f"start {self.name}"

    @property
    def named(self) -> Record:
        return {"identity": self.identity, "name": self.name}

    def preview(self) -> str:
        return f"docker start {self.identity[:12]}  ({self.name})"

    def apply(self, bench: Bench, before: Record) -> Record:  # noqa: ARG002
        with container(bench, self.identity) as found:
            if found is None:
                raise Failed(f"{self.name} is not there any more")
            found.start()
        self.wait()
        return {}

    @classmethod
    def undo(cls, bench: Bench, before: Record, after: Record | None) -> str | None:  # noqa: ARG003
        with container(bench, before["identity"]) as found:
            if found is None or found.status != "running":
                return None
            _refuse_while_used(bench, before["name"])
            found.stop()
        return None
