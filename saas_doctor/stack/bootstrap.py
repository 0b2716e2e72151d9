"""What must hold before the stack is started: the checks that could stop it, and their repair."""

from __future__ import annotations

from saas_doctor import platform as platforms
from saas_doctor import repair, runner
from saas_doctor.facts import Facts
from saas_doctor.facts.database_address import Address
from saas_doctor.model import Absent, Finding, Risk, Severity, Unreadable
from saas_doctor.platform import Platform
from saas_doctor.repair import Agree, Repair, Watch
from saas_doctor.runner import Selection
from saas_doctor.stack import Failure
from saas_doctor.stack.local.jobs import records_of

_STOPPING = {
    # A container has packages, addresses and variables of its own.
    "docker": ("DOCK", "SRC"),
    "local": (
        "PY",
        "SRC",
        "PKG",
        "CFG",
        "DB",
        "NET401",
        "NET404",
        "NET405",
        "NET408",
        "DOCK601",
        "DOCK602",
    ),
}
"""The beginnings of the codes whose errors stop the stack, for each backend."""

_STARTED = {
    **dict.fromkeys(("DB501", "RED501"), "the stack starts the server"),
    **dict.fromkeys(
        ("DOCK624", "DOCK625", "DOCK626", "DOCK627"), "the stack starts its containers"
    ),
}
"""What is only there once the stack is: not wrong before."""

_PREPARED = dict.fromkeys(
    ("DB502", "DB503", "DB504"), "the stack gives its own server the role, password and database"
)

_MISSING = ("CFG901", "CFG904", "PY102")
"""Only warnings where the services may do without, or containers have it; processes here do not."""


def selection(platform: Platform, backend: str) -> Selection:
    """The checks that could stop the stack there; `backend` is docker or local."""
    given = _PREPARED if backend == "local" and _has_own_database(platform) else {}
    return Selection(_STOPPING[backend], {**platform.config.ignore, **_STARTED, **given})


def _has_own_database(platform: Platform) -> bool:
    """Whether the stack's own server runs at the platform's address."""
    record = records_of(platform).read("postgres")
    try:
        return (
            record is not None and record.runs and str(Facts(platform).get(Address)) in record.ports
        )
    except (Absent, Unreadable):
        return False


def stops(finding: Finding, backend: str) -> bool:
    """Whether it stops the stack: an error, and not of a check asked for another's sake only."""
    if not finding.code.startswith(_STOPPING[backend]):
        return False
    if backend == "local" and finding.data.get("own") and finding.data.get("stack"):
        return False  # its own stack, which `up` brings to what the settings say
    return finding.severity is Severity.ERROR or finding.code in _MISSING


def examine(platform: Platform, backend: str, facts: Facts) -> list[Finding]:
    """What would stop the stack; nothing is changed."""
    report = runner.run(platform, selection(platform, backend), facts=facts)
    return [finding for finding in report.findings if stops(finding, backend)]


def failures(findings: list[Finding], agree: str = "") -> list[Failure]:
    """What stops the stack, as the stack tells its failures.

    `agree`: what comes before the next step of one with a fix, where that was not agreed to.
    """
    return [
        Failure(
            "",
            f"{finding.message}{f' ({finding.place})' if finding.place else ''}",
            (agree if finding.fix else "")
            + (finding.next_step or f"saas-doctor explain {finding.code}"),
            (f"found: {finding.found}",),
            finding.code,
        )
        for finding in findings
    ]


def mend(platform: Platform, backend: str, agree: Agree, watch: Watch) -> Repair:
    """Repair what would stop the stack, journalled like any `fix`; what is left is in its report."""
    return repair.repair(
        platform,
        selection(platform, backend),
        agree,
        allow=Risk.CHANGES,
        slightest=Severity.WARNING,
        only=lambda finding: stops(finding, backend),
        watch=watch,
    )


def again(platform: Platform) -> Platform:
    """The platform as it is after a repair, which may have changed what it is found from."""
    return platforms.load(platform.root, platform.config_file, exact=True, environ=platform.environ)
