"""What will not hold under load, told before there is any."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.facts.pools import Pool, Pools, Server
from saas_doctor.facts.processes import Application, Processes
from saas_doctor.model import Finding, Severity
from saas_doctor.rules import check

SPARE = 10
"""Connections left for migrations, psql and backups."""


@check(
    "PERF901",
    severity=Severity.WARNING,
    symptoms=(
        r"remaining connection slots are reserved",
        r"too many clients already",
        r"QueuePool limit of size \d+ overflow \d+ reached",
    ),
)
def pools_exceed_the_server(pools: Pools, processes: Processes) -> Iterator[Finding]:
    """The services' connection pools can ask for more connections than the Postgres server takes.

    A pool is one a process: `pool_size=20, max_overflow=40` in four workers of three services are
    720 connections, and a server takes 100 unless told otherwise, of which 3 are kept for
    superusers. Pools fill only as they are used, so it fails under load, and then everywhere:
    `remaining connection slots are reserved`.

    **Detected** from `create_engine` and `create_async_engine`, their sizes followed through
    settings, defaults and `.env`; the workers and containers that each application is started
    with; which applications import the engine; and `max_connections` of the compose file's server
    or of the configuration that it is given. What can't be told is left out, and counts as one.
    **To mend** choose sizes with processes × (pool_size + max_overflow) ≤ max_connections − 3 − 10
    (for migrations, psql and backups): the finding works them out. Or run fewer workers, put
    PgBouncer before the server, or raise `max_connections` and restart it.
    **Silent** for other databases, NullPool and StaticPool, behind PgBouncer, for servers elsewhere
    whose limit can't be told, and for sizes that can't be told.
    """
    servers = {pool: pools.server(pool.host) for pool in pools.found}
    for server in dict.fromkeys(servers.values()):
        found = [pool for pool in pools.found if servers[pool] == server]
        if server is None or not _may_exceed(found, server, processes.applications):
            continue
        uses = [(pool, list(processes.with_module(pool.module))) for pool in found]
        uses = [(pool, applications) for pool, applications in uses if applications]
        finding = _judged(uses, server) if uses else None
        if finding:
            yield finding


Uses = list[tuple[Pool, list[Application]]]


def _room(server: Server) -> int:
    return server.maximum - server.reserved - SPARE


def _may_exceed(pools: list[Pool], server: Server, applications: tuple[Application, ...]) -> bool:
    """Whether they would if every application used every pool: cheap, before imports are followed."""
    each = [pool.connections for pool in pools]
    count = sum(application.processes for application in applications)
    return None in each or count * sum(n for n in each if n) > _room(server)


def _judged(uses: Uses, server: Server) -> Finding | None:
    count = sum(a.processes for _, applications in uses for a in applications)
    totals = [
        None if pool.connections is None else pool.connections * sum(a.processes for a in users)
        for pool, users in uses
    ]
    endless = None in totals
    total = sum(n for n in totals if n)
    room = _room(server)
    if not endless and total <= room:
        return None
    first = max(uses, key=lambda use: use[0].connections or 1_000_000)[0]
    each = room // count
    limit = (
        f"max_connections {server.maximum} ({server.place or 'the default'}) - {server.reserved} "
        f"for superusers - {SPARE} to spare = {room}"
    )
    several = any(a.processes > 1 for _, users in uses for a in users)
    chosen = any(pool.set for pool, _ in uses)
    return Finding(
        f"{count} pools may open "
        + ("connections without a limit" if endless else f"{total} connections")
        + f", and the Postgres server has {room} for them",
        looked_at=", ".join(str(pool.place) for pool, _ in uses),
        found="; ".join(_arithmetic(pool, users) for pool, users in uses),
        wanted=limit,
        target=server.name,
        place=first.place,
        severity=Severity.WARNING if several or chosen else Severity.INFO,
        next_step=_proposal(first, count, each, total, server),
        data={"no_fix": True},
        more={
            "processes": "; ".join(dict.fromkeys(a.shown for _, users in uses for a in users)),
            "sizes": ", ".join(str(p) for pool, _ in uses for p in pool.sizes_at) or "the defaults",
        },
    )


def _arithmetic(pool: Pool, users: list[Application]) -> str:
    count = sum(user.processes for user in users)
    sizes = f"{pool.place.path}: {count} x ({pool.size} + {pool.overflow})"
    if pool.connections is None:
        return f"{sizes}, which is no limit"
    return f"{sizes} = {count * pool.connections}"


def _proposal(pool: Pool, count: int, each: int, total: int, server: Server) -> str:
    raised = server.reserved + SPARE + total
    other = "run fewer workers, or put PgBouncer before the server"
    if total and pool.connections is not None:
        other += f", or set max_connections to {raised} and restart it"
    if each < 1:
        return other
    size = -(-each * 7 // 10)
    return (
        f"{pool.place}: pool_size={size}, max_overflow={each - size}, in each of the {count} pools "
        f"({count} x {each} = {count * each}); or {other}"
    )
