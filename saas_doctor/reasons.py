"""Why a service fails, as the end of its log tells, and which check's page is about that."""

from __future__ import annotations

import time
from collections.abc import Iterable

from msgspec import Struct

from saas_doctor.facts.logs import Logs, Tail, own_modules
from saas_doctor.platform import Platform
from saas_doctor.redact import redact
from saas_doctor.symptoms import all_pointed_to, pointed_to

_OLD = 24 * 3600.0
"""Seconds after which the last words of a log no longer count as the reason."""

_SHOWN = 160
"""Characters of an error that a message shows; the evidence has it whole."""


class Reason(Struct, frozen=True):
    """The last error of a log, the code that its text points to (or nothing), and where it stands."""

    text: str
    code: str
    where: str

    @property
    def words(self) -> str:
        """As a message ends with it: `: its log says ... (PKG301)`."""
        shown = self.text if len(self.text) <= _SHOWN else f"{self.text[:_SHOWN].rstrip()}..."
        return f": its log says {shown}" + (f" ({self.code})" if self.code else "")

    def before(self, step: str) -> str:
        """A next step, after what the reason asks for."""
        return (
            f"see {self.code} (saas-doctor explain {self.code}), then {step}" if self.code else step
        )


def reason(logs: Logs, service: str, besides: tuple[str, ...] = ()) -> Reason | None:
    """Why this service fails; None where its log has no error of its last run.

    `besides`: codes that the text is not to point to, such as the asking check's own.
    """
    tail = logs.of(service)
    if tail is None or not tail.error or _is_old(tail):
        return None
    text = redact(tail.error)
    return Reason(text, pointed_to(tail.error, logs.own, besides), str(tail))


def confirmed(platform: Platform, error: str, output: Iterable[str] = ()) -> tuple[str, str]:
    """The code that is the cause of a failure, and the next step: one that its check finds just now.

    The codes that the error, then the output around it, points to are asked; of one that waits for
    another's finding, that other is the cause. The code is empty where none of them finds anything,
    and the step as well where the text points to nothing.
    """
    from saas_doctor import runner  # the checks, which it knows, use this module

    own = tuple(own_modules(platform))
    codes = tuple(
        dict.fromkeys([*all_pointed_to(error, own), *all_pointed_to(" ".join(output), own)])
    )
    if not codes:
        return "", ""
    report = runner.run(platform, runner.Selection(codes))
    for code in codes:
        for cause in (code, *reversed(report.causes(code))):
            found = next((f for f in report.findings if f.code == cause), None)
            if found:
                return cause, f"{found.message}: {found.next_step}"
    step = f"saas-doctor explain {codes[0]}"
    return "", f"its text looks like {codes[0]}, which finds nothing here now: {step}"


def _is_old(tail: Tail) -> bool:
    return tail.written is not None and time.time() - tail.written > _OLD
