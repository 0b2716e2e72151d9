"""`saas-doctor explain`: the user documentation of a check."""

from __future__ import annotations

from typing import Annotated

import typer


def explain(
    code: Annotated[
        str | None, typer.Argument(help="A code (DB503), or the beginning of some.")
    ] = None,
) -> None:
    """Explain a code: what it is, how it is detected and fixed, when it is silent. No code: list all."""
    from saas_doctor import rules
    from saas_doctor.model import DoctorError

    found = rules.matching(code or "")
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
