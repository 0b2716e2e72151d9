"""`saas-doctor explain`: the user documentation of a check, by its code or by an error text."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

_LONGEST = 100_000
"""Bytes of a piped text that are read."""


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
    from saas_doctor.model import DoctorError
    from saas_doctor.symptoms import pointed_to

    if code == "-":
        code = sys.stdin.buffer.read(_LONGEST).decode(errors="replace")
    found = rules.matching((code or "").strip())
    if not found and code and len(code.split()) > 1:
        known = pointed_to(code.strip()[-2000:])  # a traceback says what it is at its end
        if not known:
            raise DoctorError("no check knows this text; `saas-doctor check` looks at everything")
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
