"""Which checks of a run looked at all that they look at, so that what they did not find is not there."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from saas_doctor import rules
from saas_doctor.facts import sources
from saas_doctor.facts.source import Source
from saas_doctor.model import Result, Status

_COMPILES = "SRC200"


def whole(results: Iterable[Result]) -> frozenset[str]:
    """The codes of these checks.

    Not of one that needs a check of which something is ignored: it runs all the same, but without what
    it would look at (in CI there is no `.env`, and that this is so is ignored). Nor of one that reads
    the source while a file of it can't be compiled: what that file says may show anywhere else.
    """
    results = list(results)
    lacking = {result.code for result in results if result.ignored}

    def stands(code: str) -> bool:
        return all(need not in lacking and stands(need) for need in rules.checks()[code].needs)

    looked = {
        result.code
        for result in results
        if result.status in (Status.OK, Status.FAILED) and not result.undecided
    }
    if any(r.code == _COMPILES and (r.findings or r.undecided) for r in results):
        looked -= {code for code in looked if any(map(_reads_source, _facts(code)))} - {_COMPILES}
    return frozenset(code for code in looked if stands(code))


def _facts(code: str) -> Iterable[type]:
    return rules.checks()[code].facts.values()


@cache
def _reads_source(kind: type) -> bool:
    return kind is Source or any(map(_reads_source, sources(kind)))
