"""The platform's Redis."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.facts.cache import Cache
from saas_doctor.facts.dotenv import EnvFile
from saas_doctor.facts.redis_need import RedisNeed
from saas_doctor.model import Finding, Place, Severity
from saas_doctor.platform import Platform
from saas_doctor.redact import redact
from saas_doctor.rules import check

_SAID = {
    "unreachable": "Redis does not answer at {address}",
    "login": "Redis at {address} refuses the login",
    "no password": "Redis at {address} has no password, and {key} gives one",
    "rights": "Redis at {address} gives this user no right to read",
    "write rights": "Redis at {address} gives this user no right to write",
    "database": "Redis at {address} has no database of that number",
    "loading": "Redis at {address} is still loading its data",
    "full": "Redis at {address} is full and refuses every write",
    "read-only": "Redis at {address} is a read-only replica and refuses every write",
    "no master": "Redis at {address} is a replica whose master is down, and answers nothing",
    "paused": "Redis at {address} answers reads and lets every write wait",
    "can't save": "Redis at {address} could not save its data and refuses every write",
    "replicas": "Redis at {address} has too few replicas and refuses every write",
    "busy": "Redis at {address} is busy with a script and refuses every call",
    "cluster": "Redis at {address} is a cluster that is down",
    "sentinel": "what listens at {address} is a Sentinel, which holds no data",
    "clients": "Redis at {address} has as many clients as it takes",
    "protected": "Redis at {address} is in protected mode: it takes calls of its own machine only",
    "wants TLS": "Redis at {address} wants TLS, and {key} says redis://",
    "no TLS": "Redis at {address} speaks no TLS, and {key} says rediss://",
    "certificate": "the certificate of Redis at {address} is not one that the services trust",
    "client certificate": "Redis at {address} asks for a client's certificate, and {key} names none",
    "not Redis": "what listens at {address} is not Redis",
}
_NEXT = {
    "login": "correct user and password in {key} ({where})",
    "no password": "take the password out of {key} ({where}), or give the server one",
    "rights": "give the user rights: redis-cli acl setuser NAME on '~*' '&*' '+@all'",
    "write rights": "give the user rights: redis-cli acl setuser NAME on '~*' '&*' '+@all'",
    "database": "write a lower database number (a cluster has 0 alone) at the end of {key} ({where})",
    "loading": "wait, and look again",
    "full": "redis-cli -u ${key} config set maxmemory-policy allkeys-lru, or give it more memory",
    "read-only": "let {key} ({where}) lead to the replica's master",
    "no master": "start its master, or let {key} ({where}) lead to another server",
    "paused": "end the pause: redis-cli -u ${key} client unpause",
    "can't save": "look why it can't write to its folder (disk full, rights): redis-cli -u ${key} "
    "config get dir; for a mere cache: config set stop-writes-on-bgsave-error no",
    "replicas": "start its replicas, or redis-cli -u ${key} config set min-replicas-to-write 0",
    "busy": "redis-cli -u ${key} script kill",
    "cluster": "redis-cli --cluster fix, or let {key} ({where}) lead to a server of its own",
    "sentinel": "let {key} ({where}) lead to the master that it names: redis-cli -p PORT sentinel "
    "masters",
    "clients": "look who holds them (redis-cli -u ${key} client list), or raise maxclients",
    "protected": "give it a password, or let {key} ({where}) lead to 127.0.0.1",
    "wants TLS": "write rediss:// in {key} ({where})",
    "no TLS": "write redis:// in {key} ({where})",
    "certificate": "add ?ssl_ca_certs=FILE with its authority to {key} ({where})",
    "client certificate": "add ssl_certfile=FILE&ssl_keyfile=FILE to {key} ({where})",
    "not Redis": "correct the port in {key} ({where}), or stop what listens there",
}


@check(
    "RED501",
    needs=("CFG901",),
    symptoms=(
        r"Error (?:111|61|10061|-2|-3) connecting to (?P<host>[\w.\-]+):(?P<port>\d+)",
        r"redis\.exceptions\.\w*(?:Error|Invalid\w*)",
        r"NOAUTH Authentication required|WRONGPASS invalid username-password pair",
        r"AUTH <password> called without any password configured",
        r"NOPERM .*no permissions|No permissions to (?:run|access)",
        r"OOM command not allowed when used memory",
        r"READONLY You can't write against a read only replica",
        r"MASTERDOWN Link with MASTER is down",
        r"MISCONF Redis is configured to save RDB snapshots",
        r"NOREPLICAS Not enough good replicas",
        r"CLUSTERDOWN Hash slot not served",
        r"LOADING Redis is loading the dataset|Redis is loading the dataset in memory",
        r"DENIED Redis is running in protected mode",
        r"max number of clients reached",
        r"DB index is out of range",
    ),
)
def redis_unusable(
    cache: Cache, platform: Platform, need: RedisNeed, env: EnvFile
) -> Iterator[Finding]:
    """Redis can't be used at the address that the services have.

    **Detected** by PING, INFO, CONFIG GET and a read at REDIS_URL (the shell's value before the one
    in `.env`), and by a write whose options contradict each other: the server looks at rights and
    room before it refuses that, so nothing is written. Each has a bound of one second. Told apart
    are: no answer, a refused login, a user without rights, a number of no database, TLS on one side
    only, certificates, a Sentinel or another program, and a server that refuses calls: full, a
    read-only replica, one without its master, unable to save, loading, busy, paused, in protected
    mode, without its replicas, or with all its clients.
    **Fixed** in `.env` where another address works: the port at which the compose file publishes its
    Redis, `redis://` for `rediss://` or the other way, or no password where the server has none;
    `undo` brings the old line back.
    **To mend** the rest, see the next step: how to start it, or what to correct.
    **Silent** without REDIS_URL, and about rights for some keys only. A warning where the platform
    can do without Redis, as its code tells: the setting may be None, or the errors are caught;
    `optional` in saas-doctor.toml outranks that. An error where the code needs it.
    """
    if not cache.problem:
        return
    wanted = platform.config.redis.optional if platform.config.redis else True
    needed_at = need.of(cache.key) if wanted is None else None
    optional = wanted is not False and needed_at is None
    words = {"address": cache.address, "key": cache.key, "where": cache.where}
    yield Finding(
        _SAID[cache.problem].format(**words)
        + (", which the services can do without" if optional else ""),
        looked_at=f"PING, INFO, a read, and a write of no effect at {cache.address}, from {cache.key} ({cache.where})",
        found=cache.detail or cache.problem,
        wanted=f"{cache.key}={redact(cache.better)}: {cache.reason}"
        if cache.better
        else "PONG, and a server that takes writes",
        target=cache.address,
        place=cache.place,
        next_step=_next_step(cache, _mends(cache, env)).format(**words),
        severity=Severity.WARNING if optional else Severity.ERROR,
        data={"value": cache.better, "key": cache.key, "no_fix": not _mends(cache, env)},
        more=_more(cache, needed_at),
    )


def _mends(cache: Cache, env: EnvFile) -> bool:
    """Whether the file's line is what counts, and says its value as it is."""
    line = env.there.find(cache.key) if env.there and cache.place else None
    return bool(cache.better) and line is not None and env.file.says_plainly(line)


def _next_step(cache: Cache, mends: bool) -> str:
    if mends:
        return "saas-doctor fix --select RED501, then start the services again"
    if cache.better:
        return f"set {{key}} ({{where}}) to {redact(cache.better)}"
    start = cache.start or "start Redis there"
    if cache.compose and cache.start:  # the platform's own, which `up` also starts without Docker
        start = f"saas-doctor up (by hand: {start})"
    return _NEXT.get(cache.problem, f"{start}, or correct {{key}} ({{where}})")


def _more(cache: Cache, needed_at: Place | None) -> dict[str, str]:
    more = {"needed_by": f"{needed_at}, where no error of Redis is caught"} if needed_at else {}
    compose = cache.compose
    if compose and cache.problem in ("login", "no password") and compose.password_at:
        more["password"] = f"{compose.password_at} gives one to {compose.name}"
    if compose and cache.problem == "unreachable":
        ports = ", ".join(map(str, compose.ports)) or "no port"
        more["compose"] = f"{compose.place} publishes {compose.name} at {ports}"
    return more
