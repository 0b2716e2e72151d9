"""The services' registration: at which address, and whether the gateway reaches them there."""

from __future__ import annotations

import re
from collections.abc import Iterator

from saas_doctor.facts.answers import Answers
from saas_doctor.facts.commands import Starts
from saas_doctor.facts.dotenv import EnvFile
from saas_doctor.facts.instances import Instances, Seen
from saas_doctor.facts.logs import Logs
from saas_doctor.facts.ports import Ports, State, just_started, wrong_service
from saas_doctor.facts.registered import Registered
from saas_doctor.facts.registry_calls import KEY, RegistryCall, RegistryCalls, path_of
from saas_doctor.facts.ways import Way
from saas_doctor.model import Blocked, Finding, Severity, Undecided
from saas_doctor.redact import redact
from saas_doctor.rules import check

_REGISTERING = re.compile(r"regist|注册", re.I)
_TROUBLE = re.compile(r"WARN|ERR|CRIT|fail|can't|cannot|could not|refused|失败", re.I)


@check(
    "SVC703",
    severity=Severity.WARNING,
    symptoms=(
        r"连接注册中心失败",
        r"can't register with (?P<url>\S+)",
        r"[Rr]egistration failed",
        r"Request URL is missing an 'http://' or 'https://' protocol",
        r"no service is called \S+",
    ),
)
def service_not_registered(
    registered: Registered, ports: Ports, answers: Answers, calls: RegistryCalls, logs: Logs
) -> Iterator[Finding]:
    """A service runs, and the registry does not know it.

    The gateway then answers 404 for it. It may have asked too early and only once, or through a
    proxy.

    **Detected** by the registry's own list (`/api/registry/services`), for services whose own code
    registers them. What the service's log says of its registration is shown. A name in another
    spelling than its code says (`demo_service` for `demo-service`) is a warning.
    **To mend**, start the service again when the registry runs; let it try again until it is known.
    **Silent** when the registry is not running (SVC701), when the service looks for it at a wrong
    address (SVC706), in the first 10 seconds of a service, and about the registry and the gateway
    themselves.
    """
    waiting = ""
    missing = False
    for name, line in registered.expected.items():
        port, answer = ports.of(name), answers.of(name)
        if port is None or port.state is not State.OWN or wrong_service(port):
            continue
        spelling = registered.respelled.get(name, "")
        if answer is None or answer.problem:
            continue
        if registered.knows(name, port.address) and not spelling:
            continue
        process = port.holder.process if port.holder else None
        if just_started(process):
            continue
        call = calls.of(name)
        if call and not call.leads_there:
            waiting = name
            continue
        missing = True
        said = _said(logs, name)
        yield Finding(
            f"{name} runs, and the registry knows it as {redact(spelling)} only"
            if spelling
            else f"{name} runs, and the registry does not know it",
            looked_at=f"GET {registered.url}",
            found=", ".join(sorted(registered.names)) or "an empty list",
            wanted=f"{name}, which registers itself ({line})",
            target=name,
            next_step=f"look at REGISTRY_URL as {name} sees it and at its log, then start {name} "
            "again",
            # A gateway may take both for one.
            severity=Severity.WARNING if spelling else None,
            more={"log": said} if said else {},
        )
    if waiting and not missing:
        raise Blocked("SVC706", f"{waiting} looks for the registry at a wrong address")


def _said(logs: Logs, service: str) -> str:
    """What a service's log says last of its registration that failed."""
    tail = logs.of(service)
    both = re.compile(f"(?=.*(?:{_REGISTERING.pattern}))(?=.*(?:{_TROUBLE.pattern}))", re.I)
    line = tail.last(both) if tail else ""
    return redact(f"{tail}: {line}") if line else ""


@check(
    "SVC704",
    severity=Severity.WARNING,
    symptoms=(r"(?P<service>[\w-]+) does not answer at (?P<url>\S+)",),
)
def registered_and_dead(
    instances: Instances, ports: Ports, starts: Starts
) -> Iterator[Finding | Undecided]:
    """The registry lists an instance of a service where nobody answers.

    The gateway sends calls there, which then fail with 502: always, or now and then where there is
    another instance.

    **Detected** by a connection to each address of the registry's list, and for containers by what
    Docker says of them, from where the gateway runs.
    **To mend**, start the instance again, or take it out of the registry.
    **Silent** about a service of the platform that is not running at its own address: that is
    SVC701; about one that runs elsewhere, which is SVC705; and about addresses that only the
    gateway can try.
    """
    waiting = ""
    missing = False
    for seen in instances.found:
        if seen.way not in (Way.REFUSED, Way.SILENT) or _lives_elsewhere(seen, instances, ports):
            continue
        port = ports.of(seen.service)
        if port and port.state is not State.OWN and port.address.port == seen.instance.port:
            waiting = seen.service
            continue
        missing = True
        name, at = seen.instance.name, seen.instance.at
        start = starts.commands.get(seen.service, f"start {name} there")
        yield Finding(
            f"the registry lists {name} at {at}, and {seen.way.value}",
            looked_at=f"GET {instances.url}, then a connection to {at} from {instances.caller}",
            found=f"{redact(seen.instance.url)}: {seen.way.value}",
            wanted=f"{name} at {at}, or no such entry",
            target=f"{name}@{at}",
            next_step=f"{start}; or take the entry out: restart the registry, or let it forget "
            "those that give no sign of life",
        )
    if waiting and not missing:
        raise Blocked("SVC701", f"{waiting} is not running, and the registry still lists it")
    if instances.untold:
        yield Undecided(instances.untold)


def _lives_elsewhere(seen: Seen, instances: Instances, ports: Ports) -> bool:
    """Whether this service runs at its own address, and the registry has only wrong ones."""
    port = ports.of(seen.service)
    if port is None or port.state is not State.OWN or wrong_service(port):
        return False
    return not any(other.way is Way.OPEN for other in instances.of(seen.instance.name))


_WHY = {
    Way.WILDCARD: "where one listens, and nobody can be called",
    Way.ITSELF: "which in the gateway's container is that container itself",
    Way.NO_NAME: "a name that leads nowhere from {caller}",
    Way.NO_URL: "which is no address that can be called",
    Way.NO_TLS: "by https, and it speaks http",
    Way.NO_PATH: "by a path that its own OpenAPI document does not have",
    Way.APART: "a container in no network of the gateway's",
    Way.WRONG_PORT: "the port that is published on this machine, which the container does not have",
}


@check(
    "SVC705",
    symptoms=(
        r"does not answer at \S+: ConnectError\('\[Errno -\d\]",
        r"does not answer at http://0\.0\.0\.0",
    ),
)
def registered_where_nobody_gets(
    instances: Instances, ports: Ports
) -> Iterator[Finding | Undecided]:
    """A service is registered under an address that the gateway can't reach.

    It told the registry where it listens (`0.0.0.0`), `localhost` from within a container, or a
    container's name while the gateway runs on this machine; the gateway answers 502 for it.

    **Detected** by the registry's list, judged from where the gateway runs: by a connection from
    this machine, by the networks and names that Docker gives the gateway's container. `0.0.0.0` is a
    warning on one machine, where it happens to work. What is no URL, https where the service speaks
    http, and a path that the service's OpenAPI document does not have are told. An address at which another service of the
    platform answers, or a port where the service does not run, is told as well.
    **To mend**, set what the service advertises (`ADVERTISED_HOST` or the like), and start it again.
    **Silent** while the registry is not running, and about addresses that can't be tried from here.
    """
    for seen in instances.found:
        port = ports.of(seen.service)
        moved = seen.way in (Way.REFUSED, Way.SILENT) and _lives_elsewhere(seen, instances, ports)
        if seen.held_by:
            why = f"where {seen.held_by} answers"
        elif moved and port:
            why = f"and runs at {port.address}"
        elif seen.way in _WHY:
            why = _WHY[seen.way].format(caller=instances.caller)
        else:
            continue
        name, at = seen.instance.name, seen.instance.at
        by_chance = seen.way is Way.WILDCARD and instances.caller.on_the_host
        yield Finding(
            f"{name} is registered at {at}, {why}",
            looked_at=f"GET {instances.url}, as {instances.caller.service} sees it from "
            f"{instances.caller}",
            found=redact(seen.instance.url),
            wanted=_wanted(seen, instances, ports),
            target=f"{name}@{at}",
            next_step=f"set the address that {name} tells the registry (ADVERTISED_HOST, or its "
            f"host and port where it registers) and start {name} again",
            severity=Severity.WARNING if by_chance else None,
        )
    if instances.untold:
        yield Undecided(instances.untold)


def _wanted(seen: Seen, instances: Instances, ports: Ports) -> str:
    port = ports.of(seen.service)
    if instances.caller.on_the_host:
        return port.address.url if port else "an address that this machine reaches"
    return f"http://{seen.service or 'its container'}:its port inside of the container"


@check(
    "SVC706",
    symptoms=(
        r"can't register with (?P<url>\S+?):? .*(?:Name or service not known|nodename nor servname"
        r"|name resolution|WRONG_VERSION_NUMBER|All connection attempts failed)",
        r"\[Errno -[235]\] (?:Name or service not known|No address associated|Temporary failure)",
        r"the registry does not answer: (?P<url>\S+)",
    ),
)
def registry_looked_for_elsewhere(
    calls: RegistryCalls, env: EnvFile
) -> Iterator[Finding | Undecided]:
    """A running service looks for the registry where it is not.

    `http://registry:8001` leads somewhere among the containers alone, and `http://localhost:8001`
    in a container leads to that container itself.

    **Detected** by the REGISTRY_URL that each running service was started with (of its process or
    container, else of `.env`), tried from where that service runs: its name, a connection, whether
    https is asked of a registry that speaks http, and whether it is another service that answers.
    **Fixed** in `.env`, for services on this machine, by the address at which the registry answers;
    its path stays. Then start the services again. `undo` brings the old line back.
    **Silent** when the registry is not running (SVC701), where the address is set nowhere or is none
    (CFG903), about names with a dot in containers, and about services that don't call the registry.
    """
    groups: dict[tuple[str, Way, str, str], list[RegistryCall]] = {}
    for call in calls.calls:
        if not call.leads_there:
            place = call.where if call.place else str(call.caller)
            groups.setdefault((call.url, call.way, call.other, place), []).append(call)
    for found in groups.values():
        yield _elsewhere(found, calls, env)
    if calls.unreadable:
        yield Undecided(calls.unreadable)


def _elsewhere(found: list[RegistryCall], calls: RegistryCalls, env: EnvFile) -> Finding:
    first, registry = found[0], calls.registry
    names = ", ".join(call.service for call in found)
    inside = first.caller.container is not None and not first.caller.on_the_host
    right = f"http://{registry.service}:{registry.port}" if inside else registry.url
    right += path_of(first.url)
    line = env.there.find(KEY) if env.there and first.place else None
    mends = line is not None and not inside and env.file.says_plainly(line)
    where = sorted({call.where for call in found})
    return Finding(
        f"{names} {'looks' if len(found) == 1 else 'look'} for the registry at {redact(first.url)}: {_what(first)}",
        looked_at=f"{', '.join(where)}, tried from {first.caller}",
        found=f"{redact(first.url)}: {_what(first)}; {registry.service} answers at {registry.url}",
        wanted=f"REGISTRY_URL={right}",
        target=f"{found[0].service}:{redact(first.url)}",
        place=first.place,
        next_step="saas-doctor fix --select SVC706, then start the services again"
        if mends
        else f"set REGISTRY_URL={right} for {names}, and start it again",
        data={"value": right, "no_fix": not mends},
    )


def _what(call: RegistryCall) -> str:
    if call.https:
        return "it is asked for https, and speaks http"
    if call.other:
        return f"that is {call.other}"
    if call.way is Way.NO_NAME:
        return f"a name that leads nowhere from {call.caller}"
    return str(call.way.value)
