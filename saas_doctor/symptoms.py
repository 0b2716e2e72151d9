"""Which check an error text points to: the text is matched with the symptoms that checks declare."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from saas_doctor import rules

_LONGEST = 2000
"""Characters of a text that are looked at."""


def pointed_to(text: str, own: Iterable[str] = (), besides: Iterable[str] = ()) -> str:
    """The code that an error text points to, or nothing.

    The symptom that covers most of the text knows most about it. `own`: the platform's own
    modules, which no package is called; `besides`: codes that are left out.
    """
    return next(iter(all_pointed_to(text, own, besides)), "")


def all_pointed_to(text: str, own: Iterable[str] = (), besides: Iterable[str] = ()) -> list[str]:
    """All codes whose symptoms know as much of the text as that one's."""
    left_out, names = set(besides), set(own)
    found = [
        (len(match.group()), code)
        for code, match in _matches(text[:_LONGEST])
        if code not in left_out
        and (match.groupdict().get("package") or "").partition(".")[0] not in names
    ]
    most = max((length for length, _ in found), default=0)
    return list(dict.fromkeys(code for length, code in found if length == most))


def _matches(text: str) -> Iterator[tuple[str, re.Match[str]]]:
    for check in rules.checks().values():
        for symptom in check.symptoms:
            if match := symptom.search(text):
                yield check.code, match
