"""Starts a container of the platform that has ended, and sees that it keeps running."""

from __future__ import annotations

import time
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from saas_doctor.actions import Action, Bench, Failed, NotApplied, Record
from saas_doctor.actions.processes import container
from saas_doctor.model import Risk

if TYPE_CHECKING:
    from docker.models.containers import Container

_SETTLES = 3.0
"""Seconds for which one without a health check has to run."""
_PATIENCE = 60.0
"""Seconds until one with a health check has to be healthy."""


@dataclass(frozen=True)
class StartEnded(Action):
    """Start a container that has ended; undo stops it again."""

    identity: str
    name: str

    order = 40  # after the database's server, which may be the container itself
    risk = Risk.CHANGES

    @property
    def title(self) -> str:
        return f"start container {self.name}"

    @property
    def target(self) -> Hashable:
        return self.identity

    def preview(self) -> str:
        return f"docker start {self.identity[:12]}  ({self.name})"

    def before(self, bench: Bench) -> Record:
        with container(bench, self.identity) as found:
            if found is None:
                raise NotApplied(f"{self.name} is not there any more")
            return {"identity": self.identity, "name": self.name, "ran": found.status == "running"}

    def apply(self, bench: Bench, before: Record) -> Record:
        with container(bench, self.identity) as found:
            if found is None:
                raise Failed(f"{self.name} is not there any more")
            if not before["ran"]:
                found.start()
            why = _wait(found)
            if why:
                raise Failed(f"{self.name} was started, and {why}")
        return {}

    def verify(self, bench: Bench) -> bool:
        with container(bench, self.identity) as found:
            return found is not None and found.status == "running"

    @classmethod
    def undo(cls, bench: Bench, before: Record, after: Record | None) -> str | None:  # noqa: ARG003
        with container(bench, before["identity"]) as found:
            if found is not None and not before["ran"] and found.status != "exited":
                found.stop()
        return None


def _wait(found: Container) -> str:
    """Until it is healthy, or has run for a while; why it is not, or nothing."""
    began = time.monotonic()
    while True:
        found.reload()
        state = found.attrs["State"]
        if not state.get("Running") or state.get("Restarting"):
            return f"ended again with code {state.get('ExitCode')}"
        health = (state.get("Health") or {}).get("Status", "none")
        waited = time.monotonic() - began
        if health == "healthy" or (health == "none" and waited > _SETTLES):
            return ""
        if health == "unhealthy" or waited > _PATIENCE:
            return f"is {'not healthy yet' if health == 'starting' else health}"
        time.sleep(0.2)
