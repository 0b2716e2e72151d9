"""Which checks of a run looked at all that they look at, so that what they did not find is not there."""

from __future__ import annotations

from collections.abc import Iterable

from saas_doctor import rules
from saas_doctor.model import Result, Status


def whole(results: Iterable[Result]) -> frozenset[str]:
    """The codes of these checks.

    Not of one that needs a check of which something is ignored: it runs all the same, but without what
    it would look at (in CI there is no `.env`, and that this is so is ignored).
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
    return frozenset(code for code in looked if stands(code))
