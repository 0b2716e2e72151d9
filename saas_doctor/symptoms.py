"""Which check an error text points to: the text is matched with the symptoms that checks declare."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from saas_doctor import rules

_LONGEST = 2000
"""Characters of a text that are looked at."""


def pointed_to(text: str, own: Iterable[str] = (), besides: Iterable[str] = ()) -> str:
    """The code that an error text points to, or nothing; else as `all_pointed_to`."""
    return next(iter(all_pointed_to(text, own, besides)), "")


def all_pointed_to(text: str, own: Iterable[str] = (), besides: Iterable[str] = ()) -> list[str]:
    """The codes that an error text points to, the likeliest first.

    The symptom that covers most of the text knows most about it; of two that cover the same, the
    error's comes before the warning's, which only may be the reason. `own`: the platform's own
    modules, which no package is called; `besides`: codes that are left out.
    """
    left_out, names = set(besides), set(own)
    known = rules.checks()
    found = [
        (-len(match.group()), known[code].severity.rank, code)
        for code, match in _matches(text[:_LONGEST])
        if code not in left_out
        and (match.groupdict().get("package") or "").partition(".")[0] not in names
    ]
    return list(dict.fromkeys(code for *_, code in sorted(found)))


def _matches(text: str) -> Iterator[tuple[str, re.Match[str]]]:
    for check in rules.checks().values():
        for symptom in check.symptoms:
            if match := symptom.search(text):
                yield check.code, match
