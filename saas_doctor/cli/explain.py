"""`saas-doctor explain`: the user documentation of a check, by its code or by an error text."""

from __future__ import annotations

import sys
from typing import Annotated, BinaryIO

import typer

_LONGEST = 100_000
"""Bytes of a piped text that are looked at, from its beginning and from its end."""
_WINDOW = 2000
"""Characters that are looked at at once; an error's text is shorter."""


def explain(
    code: Annotated[
        str | None,
        typer.Argument(
            help="A code (DB503), the beginning of some, or an error text (`-`: from standard input)."
        ),
    ] = None,
) -> None:
    """Explain a code: what it is, how it is detected and fixed, when it is silent. No code: list all.

    An error text, pasted in quotes or piped to `-`, leads to the code that knows it.
    """
    from saas_doctor import rules
    from saas_doctor.cli.screen import say
    from saas_doctor.model import DoctorError

    if code == "-":
        code = _piped(sys.stdin.buffer)
    word = (code or "").strip()
    found = rules.matching(word) if word else list(rules.checks())
    if not found and code and len(code.split()) > 1:
        known = _last_known(code.strip())
        if not known:
            raise DoctorError("no check knows this text; `saas-doctor check` looks at everything")
        say(
            f"The text points to {known}; is it so here? saas-doctor check --select {known}",
            error=True,
        )
        code, found = known, [known]
    if not found:
        raise DoctorError(f"no check is called {code}; `saas-doctor explain` lists them")
    if code and len(found) == 1:
        check = rules.checks()[found[0]]
        print(f"{check.code}: {check.document}")
        fix, other = (fixes.get(check.code) for fixes in (rules.fixes(), rules.other_fixes()))
        print(
            f"\nFix: {fix.title} ({fix.risk.value})"
            if fix
            else "\nFix: none; the finding says what to do."
        )
        if other:
            print(f"Otherwise: {other.title} ({other.risk.value})")
        return
    for name in found:
        mark = "fix" if name in rules.fixes() else "   "
        print(f"{name}  {mark}  {rules.checks()[name].title}")


def _piped(text: BinaryIO) -> str:
    """The beginning and the end of a text; what failed stands at the end of a log."""
    head, tail = text.read(_LONGEST), b""
    while more := text.read(_LONGEST):
        tail = (tail + more)[-_LONGEST:]
    return (head + b"\n" + tail).decode(errors="replace") if tail else head.decode(errors="replace")


def _last_known(text: str) -> str:
    """The code that the last known error of a text points to: a traceback says it at its end."""
    from saas_doctor.symptoms import pointed_to

    for end in range(len(text), 0, -_WINDOW * 3 // 4):
        known = pointed_to(text[max(0, end - _WINDOW) : end])
        if known:
            return known
    return ""
