"""The platform's Redis."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.facts.cache import Cache
from saas_doctor.model import Finding, Severity
from saas_doctor.platform import Platform
from saas_doctor.rules import check

_SAID = {
    "unreachable": "Redis does not answer at {address}",
    "login": "Redis at {address} refuses the login",
    "database": "Redis at {address} has no database of that number",
    "loading": "Redis at {address} is still loading its data",
    "full": "Redis at {address} is full and refuses every write",
    "read-only": "Redis at {address} is a read-only replica and refuses every write",
    "not Redis": "what listens at {address} is not Redis",
}
_NEXT = {
    "login": "correct user and password in {key} ({where})",
    "database": "write a lower database number at the end of {key} ({where})",
    "loading": "wait, and look again",
    "full": "redis-cli -u ${key} config set maxmemory-policy allkeys-lru, or give it more memory",
    "read-only": "let {key} ({where}) lead to the replica's master",
    "not Redis": "correct the port in {key} ({where}), or stop what listens there",
}


@check(
    "RED501",
    needs=("CFG901",),
    symptoms=(
        r"Error (?:111|61|10061) connecting to (?P<host>[\w.\-]+):(?P<port>\d+)",
        r"redis\.exceptions\.(?:ConnectionError|TimeoutError|AuthenticationError|BusyLoadingError)",
        r"NOAUTH Authentication required|WRONGPASS invalid username-password pair",
        r"OOM command not allowed when used memory",
        r"READONLY You can't write against a read only replica",
    ),
)
def redis_unusable(cache: Cache, platform: Platform) -> Iterator[Finding]:
    """Redis can't be used at the address that the services have.

    **Detected** by PING and INFO at REDIS_URL (the shell's value before the one in `.env`), with a
    bound of one second each; nothing is written. A refused login, a full server and a read-only
    replica are told apart.
    **To mend**, see the next step: how to start it, or what to correct.
    **Silent** without REDIS_URL. A warning where the platform can do without Redis (`optional` in
    saas-doctor.toml, which is the default): it is then slower, and works.
    """
    if not cache.problem:
        return
    optional = platform.config.redis is None or platform.config.redis.optional
    words = {"address": cache.address, "key": cache.key, "where": cache.where}
    start = cache.start or "start Redis there"
    step = _NEXT.get(cache.problem, f"{start}, or correct {{key}} ({{where}})")
    yield Finding(
        _SAID[cache.problem].format(**words)
        + (", which the services can do without" if optional else ""),
        looked_at=f"PING and INFO at {cache.address}, from {cache.key} ({cache.where})",
        found=cache.detail or cache.problem,
        wanted="PONG, and a server that takes writes",
        target=cache.address,
        place=cache.place,
        next_step=step.format(**words),
        severity=Severity.WARNING if optional else Severity.ERROR,
    )
