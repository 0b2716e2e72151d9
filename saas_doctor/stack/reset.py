"""Brings a platform back to how it was before it was first started; what can't be made again is saved."""

from __future__ import annotations

from saas_doctor.model import DoctorError
from saas_doctor.platform import Platform
from saas_doctor.stack import Backend, Change, Say, choice
from saas_doctor.stack.leftovers import Leftovers
from saas_doctor.stack.saving import Saved

SAVED = ("volume", "logs")
"""The kinds of changes whose bytes are all put aside first."""


class Reset:
    """All backends' parts of the platform, and what running and installing leave in it.

    `notes` are what is left as it is, and why.
    """

    def __init__(self, platform: Platform, asked: str = "") -> None:
        self.platform = platform
        self.notes: list[str] = []
        self.backends = self._backends(asked)
        self.leftovers = Leftovers(platform)

    def _backends(self, asked: str) -> list[Backend]:
        found: list[Backend] = []
        for kind in (asked,) if asked else ("docker", "local"):
            if kind == "docker" and not asked and self.platform.config.compose_file is None:
                continue
            try:
                backend = choice.backend(self.platform, kind, whole=True)
                backend.removals(volumes=True)
            except DoctorError as reason:
                if asked:
                    raise
                self.notes.append(f"{kind}: {reason}")
                continue
            found.append(backend)
        return found

    def changes(self) -> list[Change]:
        """What would go, with its size; nothing done."""
        gone = [c for backend in self.backends for c in backend.removals(volumes=True)]
        return [*gone, *self.leftovers.changes()]

    def run(self, saved: Saved, say: Say) -> list[Change]:
        """Stop all, save what can't be made again, then remove; what was removed.

        Raises Failed and DoctorError. Nothing is removed before all is saved.
        """
        done = self.changes()
        for backend in self.backends:
            if backend.name == "local":  # its processes run out of the environment
                backend.down(volumes=False, say=say)
        self.leftovers.require_unused()
        for backend in self.backends:
            backend.save(saved, say)
        self.leftovers.save(saved, say)
        for backend in self.backends:
            backend.down(volumes=True, say=say)
        self.leftovers.remove(say)
        return done
