"""The ports of this machine that the containers are to get: whether they are free, else whose they are."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from msgspec import Struct

from saas_doctor.compose.spec import Port
from saas_doctor.facts.docker import Container, container_of
from saas_doctor.model import Unreadable
from saas_doctor.stack import Failure, Verb
from saas_doctor.stack.docker.engine import Engine
from saas_doctor.stack.docker.marks import Scope
from saas_doctor.stack.docker.plan import Plan

_ALL = ("", "0.0.0.0", "::")


class Wish(Struct, frozen=True):
    """A port of this machine that a service is to get."""

    service: str
    host: str
    number: int
    protocol: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host or "0.0.0.0"
        return f"{host}:{self.number}" + ("" if self.protocol == "tcp" else f"/{self.protocol}")


def taken(engine: Engine, scope: Scope, plan: Plan) -> list[Failure]:
    """The ports that can't be had, each with its owner; asked before anything is made."""
    making = (Verb.CREATE, Verb.RECREATE, Verb.START)
    starting = {step.service for step in plan.steps if step.verb in making}
    wishes = [
        w for name in sorted(starting) for w in _wishes(name, scope.project.services[name].ports)
    ]
    if not wishes:
        return []
    replaced = {s.row.identity for s in plan.steps if s.row} | {r.identity for r in plan.orphans}
    running = [container_of(row) for row in engine.api.containers()]
    containers = [c for c in running if c.identity not in replaced]
    given_back = {number for c in running if c.identity in replaced for _, number in c.ports}
    return list(_taken(engine, wishes, containers, given_back))


def _wishes(service: str, ports: tuple[Port, ...]) -> Iterator[Wish]:
    for port in ports:
        if port.published.isdecimal():
            yield Wish(service, port.host_ip, int(port.published), port.protocol or "tcp")


def _taken(
    engine: Engine, wishes: list[Wish], containers: list[Container], given_back: set[int]
) -> Iterator[Failure]:
    here = engine.is_here
    for at, wish in enumerate(wishes):
        other = next(
            (w for w in wishes[:at] if w.service != wish.service and _clash(w, wish)), None
        )
        if other:
            yield _failure(
                wish,
                f"service {other.service} of the same file",
                "give one of the two another port",
                "DOCK607",
            )
            continue
        if wish.protocol != "tcp":
            continue
        holder = next(
            (
                c
                for c in containers
                for host, number in c.ports
                if number == wish.number and _same(host, wish.host)
            ),
            None,
        )
        if holder:
            own = (
                f"docker compose -p {holder.project} down"
                if holder.project
                else f"docker stop {holder.name}"
            )
            yield _failure(wish, str(holder), f"{own}, or publish another port", "NET409")
        elif here and wish.number not in given_back and _refused(wish):
            owner, step = _process(wish.number)
            yield _failure(wish, owner, f"{step}, or publish another port", "NET409")


def _failure(wish: Wish, owner: str, step: str, code: str) -> Failure:
    return Failure(
        wish.service,
        f"{wish.service} can't get port {wish}: it is held by {owner}",
        step,
        code=code,
    )


def _clash(one: Wish, other: Wish) -> bool:
    return (one.number, one.protocol) == (other.number, other.protocol) and _same(
        one.host, other.host
    )


def _same(one: str, other: str) -> bool:
    return one == other or one in _ALL or other in _ALL


def _refused(wish: Wish) -> bool:
    """Whether the system refuses this address because somebody has it."""
    import errno

    family = socket.AF_INET6 if ":" in wish.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((wish.host, wish.number))
        except OSError as error:
            # What this user may not open, the engine may.
            return error.errno == errno.EADDRINUSE
    return False


def owner_of(engine: Engine, port: int) -> str:
    """What holds a port of the engine's machine: a container, or a process."""
    for row in engine.api.containers():
        found = container_of(row)
        if any(number == port for _, number in found.ports):
            return str(found)
    return _process(port)[0] if engine.is_here else "something on the engine's machine"


def _process(port: int) -> tuple[str, str]:
    """Who listens on a port of this machine, and how to end it."""
    from saas_doctor.facts.listeners import listening

    try:
        found, _ = listening({port})
    except Unreadable:
        found = []
    for listener in found:
        if listener.process:
            unit = listener.process.unit
            stop = (
                f"sudo systemctl stop {unit}" if unit else f"end it (kill {listener.process.pid})"
            )
            return str(listener.process), stop
    user = next((listener.user for listener in found if listener.user), "")
    return (f"a process of {user}" if user else "a process that this user can't see"), (
        f"find it (sudo ss -ltnp 'sport = :{port}') and end it"
    )
