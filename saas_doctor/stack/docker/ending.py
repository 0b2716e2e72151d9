"""Takes a stack down: containers level by level, then its networks, and volumes if that is agreed to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from saas_doctor.facts.docker import PROJECT
from saas_doctor.report.sizes import in_words
from saas_doctor.stack import Change, Failed, Failure, Say, Verb
from saas_doctor.stack.docker import volumes as volumes_of
from saas_doctor.stack.docker.engine import Engine
from saas_doctor.stack.docker.events import heard
from saas_doctor.stack.docker.found import Existing, Row
from saas_doctor.stack.docker.making import Maker
from saas_doctor.stack.docker.marks import Scope, dependencies_in
from saas_doctor.stack.docker.plan import needed
from saas_doctor.stack.docker.work import Work, good

_AT_ONCE = 64
"""An end is mostly a wait, in which the engine gets other ends done."""
_LOOK = 0.5
"""Seconds between two looks while no event of the engine calls for one."""


def removals(engine: Engine, scope: Scope, existing: Existing, *, volumes: bool) -> list[Change]:
    """What `down` removes, nothing done."""
    found = [
        Change(Verb.REMOVE, "container", row.name, _why(scope, row)) for row in existing.containers
    ]
    found += [Change(Verb.REMOVE, "network", name) for name in _own_networks(scope, existing)]
    if volumes:
        sizes = volumes_of.sizes(engine)
        named = dict.fromkeys(volumes_of.own(scope, existing), "")
        for name, container in {**named, **volumes_of.nameless(engine, existing)}.items():
            data = f"{in_words(sizes[name])} of data" if name in sizes else "its data is lost"
            words = f"{data}, of {container}" if container else data
            size = sizes.get(name, 0)
            found.append(Change(Verb.REMOVE, "volume", name, words, size))
    return found


def _why(scope: Scope, row: Row) -> str:
    if row.one_off:
        return "a one-off run"
    return "" if row.service in scope.known else "an orphan"


def _own_networks(scope: Scope, existing: Existing) -> Iterator[str]:
    external = {n.name for n in scope.project.networks.values() if n.external}
    for name, network in existing.networks.items():
        if name not in external and (network.get("Labels") or {}).get(PROJECT) == scope.name:
            yield name


def down(
    engine: Engine, scope: Scope, existing: Existing, say: Say, *, volumes: bool
) -> list[Change]:
    """Stop and remove; what was removed. Raises Failed for what somebody else still uses."""
    maker = Maker(engine, scope, say, keeps=False)

    def remove(row: Row) -> None:
        if row.runs:
            maker.stop(row)
        maker.discard(row, volumes=volumes)

    in_order(engine, scope, existing.containers, remove)
    done = [Change(Verb.REMOVE, "container", r.name, _why(scope, r)) for r in existing.containers]
    failed: list[Failure] = []
    for name in _own_networks(scope, existing):
        say(name, "removing the network")
        failed += _network_removed(engine, existing, name)
        done.append(Change(Verb.REMOVE, "network", name))
    for name in volumes_of.own(scope, existing) if volumes else ():
        say(name, "removing the volume")
        failed += _volume_removed(engine, name)
        done.append(Change(Verb.REMOVE, "volume", name))
    if failed:
        raise Failed(failed)
    return done


def in_order(
    engine: Engine, scope: Scope, containers: Sequence[Row], end: Callable[[Row], None]
) -> None:
    """Call `end`, which stops a container, for each, side by side; raises what one of them raised.

    It is called for what others need once those have ended. What the engine still has to clear away
    then, which takes longer than the end itself, goes on meanwhile.
    """
    work: Work[str, None] = Work(_AT_ONCE)
    results: dict[str, BaseException | None] = {}
    ended: set[str] = set()

    def note(identity: str) -> None:
        ended.add(identity)
        work.wake()

    with heard(engine, scope.name, ["die"], note):
        for level in levels(scope, containers):
            for row in level:
                work.give(row.identity, partial(end, row))
            while work.open & {row.identity for row in level} - ended:
                results.update(work.done(_LOOK))
            if any(results.values()):  # one could not be ended, and may need those that come later
                work.drop()
                break
        good(results | work.rest())


def levels(scope: Scope, containers: Iterable[Row]) -> Iterator[list[Row]]:
    """The containers in the order to stop them in: each level is needed by none that comes later."""
    left = list(containers)
    needs = {row.identity: _needs(scope, row) for row in left}
    while left:
        needed_ones = {name for row in left for name in needs[row.identity] if name != row.service}
        level = [row for row in left if row.service not in needed_ones] or left
        yield level
        left = [row for row in left if row not in level]


def _needs(scope: Scope, row: Row) -> set[str]:
    known = needed(scope.project, row.service) if row.service in scope.project.services else []
    return {*known, *dependencies_in(row.labels)}


def _network_removed(engine: Engine, existing: Existing, name: str) -> list[Failure]:
    import docker

    try:
        engine.api.remove_network(existing.networks[name]["Id"])
    except docker.errors.NotFound:
        return []
    except docker.errors.APIError as error:
        inside = engine.api.inspect_network(name).get("Containers") or {}
        users = ", ".join(sorted(one["Name"] for one in inside.values()))
        if not users:
            return [
                Failure(
                    "", f"the network {name} can't be removed: {error.explanation}", "try again"
                )
            ]
        return [
            Failure(
                "",
                f"the network {name} is still used by {users}, which is of no service here",
                f"docker rm -f {users.replace(', ', ' ')}, or docker network disconnect {name} ...",
            )
        ]
    return []


def _volume_removed(engine: Engine, name: str) -> list[Failure]:
    import docker

    try:
        engine.api.remove_volume(name)
    except docker.errors.NotFound:
        return []
    except docker.errors.APIError as error:
        users = engine.api.containers(all=True, filters={"volume": name})
        names = ", ".join(sorted(row["Names"][0].lstrip("/") for row in users))
        by = f"is still used by {names}" if names else f"can't be removed: {error.explanation}"
        return [Failure("", f"the volume {name} {by}", f"docker rm -f {names.replace(', ', ' ')}")]
    return []
