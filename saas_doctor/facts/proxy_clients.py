"""By which HTTP clients the platform's source calls, where they differ about proxies."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.version import Version

from saas_doctor.facts import Fact, Facts
from saas_doctor.facts.no_proxy import HTTPX, OLD_REQUESTS, REQUESTS, URLLIB
from saas_doctor.facts.runs import is_aside
from saas_doctor.facts.source import Source
from saas_doctor.facts.versions import Versions
from saas_doctor.model import Absent, Blocked, Unreadable


class ProxyClients(Fact, frozen=True):
    """The clients that the platform's source imports: httpx where it imports none."""

    names: tuple[str, ...] = (HTTPX,)

    limit = 20.0

    @classmethod
    def read(cls, facts: Facts) -> ProxyClients:
        try:
            source = facts.get(Source)
        except Absent:
            return cls()
        found = dict.fromkeys(_imported(source, facts))
        return cls(
            tuple(n for n in (HTTPX, REQUESTS, OLD_REQUESTS, URLLIB) if n in found) or (HTTPX,)
        )

    @property
    def requests(self) -> bool:
        return bool({REQUESTS, OLD_REQUESTS} & set(self.names))


def _imported(source: Source, facts: Facts) -> Iterator[str]:
    for module in source.mentioning("httpx", "requests", "urllib"):
        if is_aside(module):
            continue
        names = {name.partition(".")[0] for name in module.imports.values()}
        if "httpx" in names:
            yield HTTPX
        if "requests" in names:
            yield OLD_REQUESTS if _is_old(facts) else REQUESTS
        if "urllib" in names and b"urlopen" in module.data:
            yield URLLIB


def _is_old(facts: Facts) -> bool:
    """Whether the environment's requests is one that matches the ends of names, not of their parts."""
    try:
        found = facts.get(Versions).installed("requests")
    except (Absent, Blocked, Unreadable):
        return False
    return found is not None and found < Version("2.34")
