"""The settings without which the code surely does not start, as far as there is code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from saas_doctor.facts import Fact, Facts
from saas_doctor.facts.compose import Compose
from saas_doctor.facts.elsewhere import Elsewhere
from saas_doctor.facts.environment_uses import EnvironmentUses
from saas_doctor.facts.environment_writes import EnvironmentWrites
from saas_doctor.facts.setting_sources import SettingSources, sets_field
from saas_doctor.facts.settings_classes import SettingsClasses
from saas_doctor.model import Absent, Place, Unreadable


class RequiredSettings(Fact, frozen=True):
    """The settings that the code requires; the source is read when they are asked for."""

    facts: Facts

    @classmethod
    def read(cls, facts: Facts) -> RequiredSettings:
        return cls(facts)

    def among(self, keys: Sequence[str]) -> tuple[str, Place] | None:
        """The first of these keys that is required and set nowhere, and the line that requires it."""
        try:
            return next(self._among(keys), None)
        except (Absent, Unreadable):
            return None  # no source, or none that tells

    def example_serves(self, example: Path) -> bool:
        """Whether a Compose service has the example itself as its `env_file`, and no code reads a file."""
        try:
            services = self.facts.get(Compose).services.values()
            classes, sources = self.facts.get(SettingsClasses), self.facts.get(SettingSources)
        except (Absent, Unreadable):
            return False
        reads = sources.loads_any or any(cls.env_file is not None for cls in classes.found)
        given = any(file.path == example for service in services for file in service.env_files)
        return given and not reads

    def _among(self, keys: Sequence[str]) -> Iterator[tuple[str, Place]]:
        classes, sources = self.facts.get(SettingsClasses), self.facts.get(SettingSources)
        elsewhere, writes = self.facts.get(Elsewhere), self.facts.get(EnvironmentWrites)
        wanted = {key.lower(): key for key in keys}
        for cls in classes.found:
            if cls.doubt or cls.open or cls.rewrites:
                continue
            if cls.env_file is None and not sources.loads_files:
                continue  # it reads no file: no file would help it
            for field in cls.fields:
                names = field.keys or ()
                key = next((wanted[n.lower()] for n in names if n.lower() in wanted), None)
                if not field.required or key is None or any(map(elsewhere.names, names)):
                    continue
                if any(map(writes.may_set, names)):
                    continue
                views = sources.views(cls)
                if (
                    views
                    and not any(sets_field(v, cls, field) for v in views)
                    and classes.made(cls)
                ):
                    yield key, field.place
        for use in self.facts.get(EnvironmentUses).required if sources.loads_files else ():
            if use.key in keys and not elsewhere.names(use.key) and not writes.may_set(use.key):
                views = sources.views_of_process(use.module)
                if views and not any(view.text([use.key]) for view in views):
                    yield use.key, use.place
