"""The variables that Vite builds into the front end (`VITE_...`), and the compose file's part in it."""

from __future__ import annotations

import re
from functools import cached_property

from msgspec import Struct

from saas_doctor.compose.merge import as_pairs
from saas_doctor.compose.model import Service
from saas_doctor.discovery import VITE_CONFIGS
from saas_doctor.facts import Fact
from saas_doctor.facts.compose import Compose
from saas_doctor.facts.dotenv import read_dotenv
from saas_doctor.facts.frontend import FrontendPackage
from saas_doctor.model import Place, Unreadable
from saas_doctor.platform import Platform
from saas_doctor.reading import read_head

# In the order in which Vite's dev server reads them: the last one counts.
_FILES = (".env", ".env.local", ".env.development", ".env.development.local")
_MAXIMUM = 1_000_000
_BROWSER = re.compile(r"playwright|cypress|puppeteer|selenium|webdriver", re.I)


class Variable(Struct, frozen=True):
    """One setting of a variable; `file` is the name of the file that sets it, without its folder."""

    name: str
    value: str
    place: Place
    file: str


class ComposeServices(Fact, frozen=True):
    """The services of the compose file: their names, the ports they publish, their `VITE_` variables."""

    compose: Compose

    @classmethod
    def read(cls, compose: Compose) -> ComposeServices:
        return cls(compose)

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(self.compose.known_services)

    @cached_property
    def ports(self) -> frozenset[int]:
        """Every number in `ports`, the containers' own as well."""
        listed = (service.node.get("ports") for service in self.compose.known_services.values())
        texts = (scalar.raw for ports in listed if ports for scalar in ports.scalars)
        return frozenset(int(n) for t in texts for n in re.findall(r"(?<!\d)\d{2,5}(?!\d)", t))

    @cached_property
    def variables(self) -> tuple[Variable, ...]:
        """`VITE_...` of environments and builds; what several services share, once.

        Not those of a container with a browser of its own, which knows the containers' names.
        """
        found: dict[tuple[str, Place], Variable] = {}
        for service in self.compose.known_services.values():
            if _has_a_browser(service):
                continue
            build = service.node.get("build")
            for part in (service.node.get("environment"), build and build.get("args")):
                for name, entry in as_pairs(part).entries.items() if part else ():
                    place = entry.value.place
                    if name.startswith("VITE_"):
                        value = entry.value.raw
                        found[name, place] = Variable(name, value, place, self.compose.name)
        return tuple(found.values())


def _has_a_browser(service: Service) -> bool:
    parts = [service.node.get(key) for key in ("image", "build", "command", "entrypoint")]
    texts = [scalar.raw for part in parts if part for scalar in part.scalars]
    return any(map(_BROWSER.search, [service.name, *texts]))


class BuiltIn(Fact, frozen=True):
    """The variables `VITE_...` of the front end: of its .env files, and of the compose file.

    `development`: their values in the dev server. `configured`: those that the Vite configuration
    names, where they may be the proxy's target and no part of the front end.
    """

    all: tuple[Variable, ...]
    development: dict[str, Variable]
    configured: frozenset[str]

    @classmethod
    def read(
        cls, platform: Platform, package: FrontendPackage, compose: ComposeServices
    ) -> BuiltIn:
        names = (package.vite_config,) if package.vite_config else VITE_CONFIGS
        config = next((p for n in names if (p := package.folder / n).is_file()), None)
        try:
            text = read_head(config, _MAXIMUM).decode("utf-8", "replace") if config else ""
        except OSError as error:
            raise Unreadable(f"{package.folder.name}: can't be read ({error.strerror})") from None
        found: dict[str, list[Variable]] = {}
        # Kept in another folder, or called by another prefix: not followed.
        files = () if "envDir" in text or "envPrefix" in text else (*_FILES, ".env.production")
        for name in files:
            file = read_dotenv(package.folder / name, platform)
            found[name] = [
                Variable(s.key, s.value, s.place, name)
                for s in (file.settings if file else ())
                if s.key.startswith("VITE_")
            ]
        development = {v.name: v for name in _FILES for v in found.get(name, ())}
        listed = (v for variables in found.values() for v in variables)
        configured = frozenset(re.findall(r"\bVITE_\w+", text))
        return cls((*listed, *compose.variables), development, configured)
