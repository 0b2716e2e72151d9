"""Where the containers of the Compose file call each other."""

from __future__ import annotations

import re
from collections.abc import Iterator

from saas_doctor.actions.files import EditFile
from saas_doctor.compose.edit import replaced
from saas_doctor.compose.model import Service, Variable
from saas_doctor.facts.compose_calls import Call, ComposeCalls
from saas_doctor.facts.images import store_of
from saas_doctor.model import Finding, Severity
from saas_doctor.rules import check

# Names of variables that are meant for a browser, or for addresses that others are told.
_FOR_OTHERS = re.compile(
    r"^(VITE|NEXT|NUXT|REACT|EXPO|VUE|NG|GATSBY)_|PUBLIC|ORIGIN|CORS|ALLOW|EXTERNAL|CALLBACK|REDIRECT"
    r"|FRONT|BROWSER|DOMAIN|ISSUER|CLIENT|WEB|SITE|ADVERTISED|LISTEN|BIND|LINK|LOGIN|LOGOUT|HOOK|TRUSTED"
)


@check(
    "DOCK609",
    needs=("DOCK601",),
    symptoms=(
        r"\[Errno 111\] Connection refused",
        r"connection to server at \"(?:localhost|127\.0\.0\.1|::1)\".* port (?P<port>\d+) failed: Connection refused",
        r"Error 111 connecting to (?:localhost|127\.0\.0\.1):(?P<port>\d+)\. Connection refused",
    ),
)
def localhost_between_containers(calls: ComposeCalls) -> Iterator[Finding]:
    """A container calls `localhost` for what another container serves.

    In a container, `localhost` is that container. Another service is called by its name and the
    port inside of its container.

    **Detected** in `environment` and the env files of each service: a database, a cache or a broker
    (`postgresql://...@localhost`, `REDIS_HOST=localhost`), or a service whose name the variable
    bears (`REGISTRY_URL=http://localhost:8001`), where another service of the file has it. It is an
    error for such a store in `environment`, which is for the container alone, else a warning.
    **Fixed** in `environment`, where one service alone has it: by that one's name and port; `undo`
    brings the old address back. An env file is not touched: what runs on this machine may read it,
    too. Set the variable in `environment`, which counts before it.
    **Silent** where `environment` has another value for it (for what an env file sets also where that of
    another service with the same file has one: those that read it have theirs), with `network_mode: host` or the
    network of another container, where `extra_hosts` gives the container a way to this machine
    (`host-gateway`) or an address for `localhost`, for a port that the container may serve itself, and for variables
    that are meant for a browser or to be told to others (`VITE_`, `CORS_ORIGINS`, `..._CALLBACK`).
    """
    for call, providers in _called_here(calls):
        variable, service = call.variable, call.service
        one = (
            providers[0] if len(providers) == 1 and calls.reachable(service, providers[0]) else None
        )
        port = _inner_port(calls, call, one) if one else None
        right = f"{one.name}:{port}" if one and port else ""
        if one and call.whole == call.host:  # the port stands elsewhere, and is to stay
            right = one.name if port == call.port else ""
        edit = _in_place(variable, call.whole, right) if right else None
        names = " or ".join(p.name for p in providers)
        certain = variable.given and not call.is_web
        yield Finding(
            f"{variable.name} has {service.name} call itself at {call.shown}, where {names} is meant",
            looked_at=f"{variable.place}, {providers[0].place}",
            found=call.whole,
            wanted=right or f"the name of the service, and its container's port: {names}",
            target=f"{service.name}.{variable.name}",
            place=variable.place,
            next_step="saas-doctor fix --select DOCK609"
            if edit
            else f"set {variable.name} in `environment` of {service.name}, with {right or names} for "
            f"{call.whole}",
            severity=None if certain else Severity.WARNING,
            data={"no_fix": edit is None, "edit": edit},
        )


def _called_here(calls: ComposeCalls) -> Iterator[tuple[Call, list[Service]]]:
    """The calls to `localhost` that another service is meant by, each place once."""
    done: set[tuple[object, str]] = set()
    for call in calls.calls:
        service, variable = call.service, call.variable
        place = (variable.place, call.whole)
        if not call.is_here or place in done or service.network_mode or not service.active:
            continue
        if not variable.given and not service.node.get("build"):
            continue  # an image of others gets the whole file, and uses what it knows
        if service.reaches_the_machine or "localhost" in service.extra_hosts:
            continue  # what is started in it may put this machine's name in its place
        if calls.may_listen(service, call.port):
            continue
        providers = [o for o in calls.others(service) if _provides(calls, call, o)]
        if not providers or (call.is_web and not _is_named(variable.name, providers)):
            continue
        if not variable.given and _told_otherwise(service, providers):
            continue
        if not variable.given and _set_by_others(calls, service, variable):
            continue
        done.add(place)
        yield call, providers


def _provides(calls: ComposeCalls, call: Call, other: Service) -> bool:
    if other.network_mode:
        return False
    if call.store:
        store = store_of(other.image)
        if store is None or store.port != call.store.port:
            return False
    elif not call.is_web:
        return False
    published = {n for port in other.ports for n in port.numbers}
    return call.port in published or call.port in calls.ports(other)


def _is_named(variable: str, providers: list[Service]) -> bool:
    if _FOR_OTHERS.search(variable.upper()):
        return False
    words = variable.upper().replace("-", "_")
    return any(p.name.upper().replace("-", "_") in words for p in providers)


def _told_otherwise(service: Service, providers: list[Service]) -> bool:
    """Whether another variable of `environment` names one of them: the code may build its own address."""
    names = [re.escape(name) for p in providers for name in p.names]
    pattern = re.compile(rf"(?<![\w.\-])({'|'.join(names)})(?![\w.\-])")
    return any(
        v.given and v.value and pattern.search(v.value) for v in service.environment.values()
    )


def _set_by_others(calls: ComposeCalls, service: Service, variable: Variable) -> bool:
    """Whether another that is given the same file has its own value for it: those that read it have."""
    files = {file.path for file in service.env_files}
    for other in calls.others(service):
        own = other.environment.get(variable.name)
        if own is not None and own.given and any(file.path in files for file in other.env_files):
            return True
    return False


def _inner_port(calls: ComposeCalls, call: Call, provider: Service) -> int | None:
    """The port inside of the container that a port of this machine, or one of its own, stands for."""
    for port in provider.ports:
        for target in range(port.target.first, port.target.last + 1):
            if port.published_for(target) == call.port:
                return target
    return call.port if call.port in calls.ports(provider) else None


@check("DOCK610", needs=("DOCK601",), symptoms=(r"\[Errno 111\] Connection refused",))
def published_port_between_containers(calls: ComposeCalls) -> Iterator[Finding]:
    """A container calls another at the port that is published on this machine.

    Between containers the port inside of the container counts, the second one in `"18001:8001"`.
    The first is open on this machine only.

    **Detected** in `environment` and the env files: the name of a service with a port at which it
    is published and, as `ports`, `expose`, its Dockerfile, its command and its variables say, does
    not listen.
    **Fixed** in `environment`: the container's port is put in its place; `undo` brings the old one
    back. An env file is not touched.
    **Silent** where nothing says at which ports the service listens, where a file that is mounted
    into it names that port, where it shares the machine's or another container's network, where
    `extra_hosts` gives the name another address, and for variables that are to be told to others
    (`PUBLIC_URL`, `..._ISSUER`).
    """
    done: set[tuple[object, str]] = set()
    for call in calls.calls:
        variable, service = call.variable, call.service
        found = [o for o in calls.others(service) if call.host in o.names]
        if len(found) != 1 or (variable.place, call.whole) in done or service.network_mode:
            continue
        if call.host in service.extra_hosts or (call.is_web and _FOR_OTHERS.search(variable.name)):
            continue
        other = found[0]
        inner = None if other.network_mode else _inner_port(calls, call, other)
        if inner is None or inner == call.port or calls.may_listen(other, call.port):
            continue
        done.add((variable.place, call.whole))
        holder = call.port_variable or variable
        old, new = call.whole, f"{call.host}:{inner}"
        if call.port_variable:
            old, new = str(call.port), str(inner)
        edit = _in_place(holder, old, new)
        yield Finding(
            f"{holder.name} has {service.name} call {other.name} at {call.port}, "
            f"and that container listens at {inner}",
            looked_at=f"{holder.place}, {other.place}",
            found=call.shown,
            wanted=f"{call.host}:{inner}",
            target=f"{service.name}.{holder.name}",
            place=holder.place,
            next_step="saas-doctor fix --select DOCK610"
            if edit
            else f"set {holder.name} in `environment` of {service.name}, with {inner} for {call.port}",
            severity=None if holder.given and service.active else Severity.WARNING,
            data={"no_fix": edit is None, "edit": edit},
        )


def _in_place(variable: Variable, old: str, new: str) -> EditFile | None:
    """The new address for the old one, where that stands in the file as such and once."""
    node = variable.node
    if node is None or node.source.count(old) != 1 or node.raw.count(old) != 1:
        return None
    start = node.start + node.source.find(old)
    return replaced(node.file, start, start + len(old), new, f"{new} for {old}")
