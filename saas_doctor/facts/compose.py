"""The platform's compose file, as far as it is YAML."""

from __future__ import annotations

from dataclasses import dataclass

from saas_doctor.facts import Fact
from saas_doctor.model import Absent, Place, Unreadable
from saas_doctor.platform import Platform


@dataclass(frozen=True)
class ComposeText(Fact):
    """Whether the compose file can be parsed as YAML; `error` says why not, at `place`."""

    name: str
    error: str = ""
    place: Place | None = None

    @classmethod
    def read(cls, platform: Platform) -> ComposeText:
        name = platform.config.compose_file
        if name is None:
            raise Absent("no compose file")
        try:
            data = platform.path(name).read_bytes()
        except OSError as error:
            raise Unreadable(f"{name}: can't be read ({error.strerror})") from None

        import yaml

        try:
            # Events only: Compose has tags of its own (`!reset`), which nothing here knows.
            for _ in yaml.parse(data, Loader=getattr(yaml, "CLoader", yaml.Loader)):
                pass
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            place = Place(name, mark.line + 1, mark.column + 1) if mark else Place(name)
            return cls(name, error.problem or "not YAML", place)
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            return cls(name, str(error).splitlines()[0], Place(name))
        return cls(name)
