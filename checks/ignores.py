"""What is ignored on purpose: whether the entries that say so still have an effect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from saas_doctor import rules
from saas_doctor.facts import is_live
from saas_doctor.facts.ignores import Ignore, Ignores, Outcome
from saas_doctor.identity import matches
from saas_doctor.model import Finding, Severity
from saas_doctor.rules import check

_FORM = "saas-doctor: ignore[CODE]"


@check("CFG920", severity=Severity.WARNING)
def ignored_for_nothing(ignores: Ignores, outcome: Outcome) -> Iterator[Finding]:
    """An entry that ignores findings has none to ignore: what it was written for is gone.

    It would hide the next finding of that kind, which nobody has looked at.

    **Detected** after all other checks have run: a comment `saas-doctor: ignore[CODE]`, or an entry
    of `[ignore]` in the configuration, that left out no finding; also a code in such a comment that
    no check has, and a comment that was meant so and ignores nothing, since it names no code, or is
    written otherwise (`ignore(CODE)`, `ignore[CODE` without an end, `saas_doctor:`).
    **To mend** it, take the comment, the code in it or the entry out.
    **Silent** while one of the checks that an entry names did not look: not selected, blocked, skipped,
    or it could not tell; while Python source can't be compiled; and about a check of running things,
    which are other ones on another machine or another day. What `--ignore` names is not asked about.
    """
    for ignore in ignores.comments:
        idle = [code for code in ignore.codes if _is_idle(ignore, code, outcome)]
        if idle or not ignore.codes:
            yield _comment(ignore, idle)
    for entry in ignores.entries:
        asked = rules.matching(entry.pattern.partition(":")[0])
        found = any(matches(finding, entry.pattern) for finding in outcome.findings)
        if not found and _could_tell(asked, outcome):
            yield Finding(
                f"`{entry.pattern}` of [ignore] has nothing to ignore",
                looked_at=str(entry.place or "the configuration"),
                found=entry.pattern,
                wanted="an entry that leaves out a finding",
                target=entry.pattern,
                place=entry.place,
                next_step=f"take it out at {entry.place or '[ignore]'}",
            )


def _is_idle(ignore: Ignore, code: str, outcome: Outcome) -> bool:
    used = any(
        finding.code.startswith(code.upper()) and any(map(ignore.covers, finding.places))
        for finding in outcome.findings
    )
    known = rules.matching(code)
    return not used and _could_tell(known, outcome) and not (known and ignore.unseen)


def _could_tell(codes: Iterable[str], outcome: Outcome) -> bool:
    """Whether they all looked, at what does not differ from machine to machine and day to day."""
    kinds = [kind for code in codes for kind in rules.checks()[code].facts.values()]
    return outcome.examined.issuperset(codes) and not any(map(is_live, kinds))


def _comment(ignore: Ignore, idle: list[str]) -> Finding:
    unknown = [code for code in idle if not rules.matching(code)]
    if not ignore.codes:
        message = f"a comment ignores nothing, since it is not written as {_FORM}"
        step = f"write {_FORM} -- why, or take the comment out"
    elif unknown:
        message = f"no check is called {', '.join(unknown)}, which a comment ignores"
        step = "correct the code; saas-doctor explain lists them"
    else:
        message = f"the comment that ignores {', '.join(idle)} has nothing to ignore"
        step = f"take {'it' if idle == list(ignore.codes) else ', '.join(idle)} out"
    return Finding(
        message,
        looked_at=str(ignore.place),
        found=ignore.written,
        wanted="a comment that leaves out a finding",
        place=ignore.place,
        next_step=f"{step} (at {ignore.place})",
    )
